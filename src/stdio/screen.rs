//! Output that never delays the loop.
//!
//! An event is printed whole or not at all. What cannot be written at once
//! waits in a bounded queue; when that is full, events are dropped and their
//! lines counted, and as soon as the reader moves again a line at that place
//! says how many are missing. Lines printed and lines dropped always add up to
//! the lines that were given, the gap lines apart. What somebody asked for is
//! never dropped: whoever answers looks at [`Screen::answers_waiting`] before
//! the next question is read.
//!
//! After a [`Screen::flush`] nothing is left to do until the descriptor's next
//! event or the next [`Screen::print`], so the loop may sleep; unless it
//! [rests](Screen::is_resting), since no event tells that a disk has room again.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memchr::memchr_iter;
use mio::{Interest, Registry, Token};

use crate::stdio::typing::Typing;
use crate::stdio::{self, Descriptor};

/// The queue of a standard stream, in bytes.
pub const LIMIT: usize = 1024 * 1024;

/// Says in one line, with or without its newline, how many lines are missing.
/// It must not print or log.
pub type GapLine = Box<dyn Fn(u64) -> String + Send>;

/// One output stream and the lines that wait for it.
pub struct Screen {
    /// Gone once it is broken.
    descriptor: Option<Descriptor>,
    failure: Option<io::Error>,
    is_terminal: bool,
    limit: usize,
    gap_line: GapLine,

    /// The bytes from `head` on wait to be written.
    queue: Vec<u8>,
    head: usize,
    /// How much was written and forgotten, so that `forgotten + index into
    /// queue` is a place in the stream for good.
    forgotten: u64,
    /// A progress line stands on the terminal, to be overwritten.
    live: bool,
    /// Somebody types on the same terminal.
    typing: Option<Arc<Typing>>,

    /// Where the gap lines in the queue end in the stream.
    gaps: VecDeque<u64>,
    /// The waiting answers in the queue, and how long they are together.
    answers: VecDeque<Range<u64>>,
    answers_waiting: usize,
    /// Lines dropped since the last gap line.
    unreported: u64,
    dropped_total: u64,

    /// The last write would have blocked.
    stalled: bool,
    /// The last write failed in a way that may pass: a full disk. A later line that the queue has room for, or
    /// [`Screen::try_again`], tries again.
    resting: bool,
    /// Whether such a failure is its end all the same.
    ends_when_full: bool,
}

impl Screen {
    /// The standard output, with a queue of [`LIMIT`].
    #[must_use]
    pub fn stdout(gap_line: GapLine) -> Self {
        Self::new(stdio::stdout(), LIMIT, gap_line)
    }

    /// The standard error output, with a queue of [`LIMIT`].
    #[must_use]
    pub fn stderr(gap_line: GapLine) -> Self {
        Self::new(stdio::stderr(), LIMIT, gap_line)
    }

    /// The output `descriptor`, with a queue of `limit` bytes. An error stands
    /// for one that is broken already.
    #[must_use]
    pub fn new(descriptor: io::Result<Descriptor>, limit: usize, gap_line: GapLine) -> Self {
        let (descriptor, failure) = match descriptor {
            Ok(descriptor) => (Some(descriptor), None),
            Err(error) => (None, Some(error)),
        };
        Self {
            is_terminal: descriptor.as_ref().is_some_and(Descriptor::is_terminal),
            descriptor,
            failure,
            limit,
            gap_line,
            queue: Vec::new(),
            head: 0,
            forgotten: 0,
            live: false,
            typing: None,
            gaps: VecDeque::new(),
            answers: VecDeque::new(),
            answers_waiting: 0,
            unreported: 0,
            dropped_total: 0,
            stalled: false,
            resting: false,
            ends_when_full: false,
        }
    }

    /// For a program that must not lose a line: from here on a full disk breaks it for good.
    pub fn end_when_full(&mut self) {
        self.ends_when_full = true;
    }

    /// Its terminal is also typed at: what is printed begins on a line of its own.
    pub fn mind(&mut self, typing: Arc<Typing>) {
        self.typing = Some(typing);
    }

    /// Asks for an event when it can be written again, unless it always can.
    ///
    /// # Errors
    ///
    /// The selector's.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.descriptor {
            Some(descriptor) => descriptor.register(registry, token, Interest::WRITABLE),
            None => Ok(()),
        }
    }

    /// Whether people watch it on a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.queue.len() - self.head
    }

    /// Whether bytes wait because the reader takes none. Its event comes when it does.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// Whether something waits until a write is tried again, of which no event will tell: the disk is full.
    #[must_use]
    pub fn is_resting(&self) -> bool {
        self.resting && (self.pending() > 0 || self.unreported > 0)
    }

    /// Lets the next [`flush`](Screen::flush) try whether there is room again.
    pub fn try_again(&mut self) {
        self.resting = false;
    }

    /// An event came for it: finds out whether its reader has gone, even
    /// while there is nothing to write.
    pub fn heed_event(&mut self) {
        if self.descriptor.as_ref().is_some_and(Descriptor::is_abandoned) {
            self.fail(io::ErrorKind::BrokenPipe.into());
        }
    }

    /// What broke it, for good: everything printed since is dropped.
    #[must_use]
    pub fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }

    /// Lines dropped since the start, reported or not.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped_total
    }

    /// Queues one event of one or more whole lines (a missing last newline is
    /// added), or drops all of it.
    pub fn print(&mut self, lines: &str) {
        if lines.is_empty() {
            return;
        }
        if self.has_room(lines.len()) {
            self.resting = false;
            self.enqueue(lines);
        } else {
            self.drop_lines(count_lines(lines));
        }
    }

    /// Queues what somebody asked for, whether there is room or not. It is
    /// lost only where the output is broken for good.
    pub fn answer(&mut self, lines: &str) {
        if lines.is_empty() {
            return;
        }
        self.resting = false;
        if self.failure.is_some() {
            return self.drop_lines(count_lines(lines));
        }
        if self.unreported > 0 {
            self.put_gap_line();
        }
        let answer = self.enqueue(lines);
        self.answers_waiting += length(answer.clone());
        self.answers.push_back(answer);
    }

    /// The bytes of answers that the reader has not taken.
    #[must_use]
    pub fn answers_waiting(&self) -> usize {
        self.answers_waiting
    }

    /// Counts lines that were never made as dropped.
    pub fn skip(&mut self, lines: u64) {
        self.drop_lines(lines);
    }

    /// Puts lines into the queue; where they now lie in the stream.
    fn enqueue(&mut self, lines: &str) -> Range<u64> {
        let is_first = self.pending() == 0;
        if self.live {
            self.live = false;
            self.queue.extend_from_slice(b"\r\x1b[K");
            self.typing.iter().for_each(|typing| typing.forget());
        } else if let Some(typing) = &self.typing {
            typing.begin_line(&mut self.queue, is_first, lines);
        }
        let start = self.position(self.queue.len());
        self.queue.extend_from_slice(lines.as_bytes());
        if !lines.ends_with('\n') {
            self.queue.push(b'\n');
        }
        start..self.position(self.queue.len())
    }

    /// For the end of the program: lets what the next one prints on the terminal begin at the start of a line. Whether
    /// anything was to be printed for it.
    pub fn end_line(&mut self, may_be_half: bool) -> bool {
        let is_first = self.pending() == 0;
        match &self.typing {
            Some(typing) if self.failure.is_none() => typing.end_line(&mut self.queue, is_first, may_be_half),
            _ => false,
        }
    }

    /// Shows `text` as a progress line that the next one, or the next event,
    /// overwrites; an empty one takes it away. Only on a terminal, and only
    /// while nothing waits before it.
    pub fn live(&mut self, text: &str) {
        if text.is_empty() && !self.live {
            return;
        }
        // What stands last is taken away wherever it stands.
        let has_room = text.is_empty() || (self.pending() == 0 && self.unreported == 0);
        if self.is_terminal && self.failure.is_none() && has_room {
            self.live = !text.is_empty();
            self.typing.iter().for_each(|typing| typing.forget());
            // On a narrow terminal it is cut short: what wraps cannot be overwritten.
            let (narrow, wide): (&[u8], &[u8]) = if self.live { (b"\x1b[?7l", b"\x1b[?7h") } else { (b"", b"") };
            for piece in [narrow, b"\r", text.as_bytes(), b"\x1b[K", wide] {
                self.queue.extend_from_slice(piece);
            }
        }
    }

    /// The progress line stands where others write now: nothing overwrites it.
    pub fn leave_live(&mut self) {
        self.live = false;
    }

    /// Writes what waits, until nothing does or the reader takes no more.
    #[inline]
    pub fn flush(&mut self) {
        self.stalled = false;
        if self.pending() > 0 || self.unreported > 0 {
            self.write_out();
        }
    }

    fn write_out(&mut self) {
        while !self.resting {
            self.report_gap();
            let Some(descriptor) = &mut self.descriptor else {
                return;
            };
            if self.head == self.queue.len() {
                return;
            }
            match descriptor.write(&self.queue[self.head..]) {
                Ok(count) if count > 0 => self.advance(count),
                Ok(_) => self.stalled = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.stalled = true,
                Err(error) if passes(&error) && !self.ends_when_full => self.resting = true,
                Err(error) => self.fail(error),
            }
            if self.stalled {
                return;
            }
        }
    }

    /// For the end of the program: writes what is left, waiting for the reader
    /// `limit` at most. Afterwards it may be printed to again.
    pub fn finish(&mut self, limit: Duration) {
        let begin = Instant::now();
        self.resting = false;
        loop {
            self.flush();
            let left = limit.saturating_sub(begin.elapsed());
            match &self.descriptor {
                Some(descriptor) if self.stalled && !left.is_zero() => {
                    // However it ends, the write or the clock decides.
                    let _ = descriptor.wait_writable(left);
                }
                _ => return,
            }
        }
    }

    /// Whether an event of `length` bytes fits. One larger than the whole
    /// queue fits when it is empty, and a reader that is not known to be
    /// stalled is first given what waits.
    fn has_room(&mut self, length: usize) -> bool {
        let fits = |screen: &Self| screen.pending() == 0 || screen.pending() + length <= screen.limit;
        if !fits(self) && !self.stalled {
            self.flush();
        }
        self.report_gap();
        self.failure.is_none() && self.unreported == 0 && fits(self)
    }

    /// Puts the gap line in its place once the queue has room again, and only
    /// then: until it stands there, nothing newer may.
    fn report_gap(&mut self) {
        if self.unreported > 0 && self.gaps.is_empty() && self.pending() <= self.limit / 2 && self.failure.is_none() {
            self.put_gap_line();
        }
    }

    fn put_gap_line(&mut self) {
        let line = (self.gap_line)(self.unreported);
        self.queue.extend_from_slice(line.trim_end_matches('\n').as_bytes());
        self.queue.push(b'\n');
        self.gaps.push_back(self.position(self.queue.len()));
        self.unreported = 0;
    }

    fn advance(&mut self, count: usize) {
        self.head += count;
        let written = self.position(self.head);
        while self.gaps.front().is_some_and(|end| *end <= written) {
            self.gaps.pop_front();
        }
        while let Some(answer) = self.answers.front().filter(|answer| answer.end <= written) {
            self.answers_waiting -= length(answer.clone());
            self.answers.pop_front();
        }
        // Forget what is written once that costs no more than writing it did.
        if self.head >= self.pending() {
            self.forgotten = written;
            self.queue.drain(..self.head);
            self.head = 0;
        }
    }

    /// It is broken for good, as whoever writes past the queue may find, too: what waits is lost. A gap line is no loss.
    pub fn fail(&mut self, error: io::Error) {
        let lines = count_newlines(&self.queue[self.head..]) - self.gaps.len() as u64;
        self.drop_lines(lines);
        self.queue.truncate(self.head);
        self.gaps.clear();
        self.answers.clear();
        self.answers_waiting = 0;
        self.resting = false;
        self.descriptor = None;
        self.failure = Some(error);
    }

    fn drop_lines(&mut self, count: u64) {
        self.unreported += count;
        self.dropped_total += count;
    }

    fn position(&self, index: usize) -> u64 {
        self.forgotten + index as u64
    }
}

fn count_newlines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

/// The lines that these become, the last one with or without its newline.
fn count_lines(lines: &str) -> u64 {
    count_newlines(lines.as_bytes()) + u64::from(!lines.ends_with('\n'))
}

/// How many bytes lie between two places in the stream: no more than the queue holds.
fn length(place: Range<u64>) -> usize {
    usize::try_from(place.end - place.start).unwrap_or(usize::MAX)
}

/// Whether a later write may succeed: the disk is full or failing, the file may
/// not grow, or the terminal is not to be had just now.
fn passes(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, OutOfMemory, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge | OutOfMemory) || stdio::is_io_failure(error)
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
