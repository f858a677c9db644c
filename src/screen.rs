//! Output that never delays the loop.
//!
//! An event is printed whole or not at all. What cannot be written at once
//! waits in a bounded queue; when that is full, events are dropped and their
//! lines counted, and as soon as the reader moves again a line at that place
//! says how many are missing. Lines printed and lines dropped always add up to
//! the lines that were given, the gap lines apart.
//!
//! After a [`Screen::flush`] nothing is left to do until the descriptor's next
//! event or the next [`Screen::print`], so the loop may sleep.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use memchr::{memchr, memchr_iter};
use mio::{Interest, Registry, Token};

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
    /// Where the waiting events of several lines lie in the stream.
    blocks: VecDeque<Range<u64>>,
    /// Whether the last byte written is inside a line.
    torn: bool,
    /// A progress line stands on the terminal, to be overwritten.
    live: bool,

    /// The gap line in the queue, one at most, and the number it tells.
    gap: Option<(Range<u64>, u64)>,
    /// Lines dropped since the last gap line.
    unreported: u64,
    dropped_total: u64,

    /// The last write would have blocked.
    stalled: bool,
    /// The last write failed in a way that may pass: a full disk. A later line tries again.
    resting: bool,
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
            blocks: VecDeque::new(),
            torn: false,
            live: false,
            gap: None,
            unreported: 0,
            dropped_total: 0,
            stalled: false,
            resting: false,
        }
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
        let unfinished = !lines.ends_with('\n');
        let count = count_lines(lines.as_bytes()) + u64::from(unfinished);
        self.resting = false;
        if !self.has_room(lines.len()) {
            self.drop_lines(count);
            return;
        }
        if self.live {
            self.live = false;
            self.queue.extend_from_slice(b"\r\x1b[K");
        }
        let start = self.position(self.queue.len());
        self.queue.extend_from_slice(lines.as_bytes());
        if unfinished {
            self.queue.push(b'\n');
        }
        if count > 1 {
            self.blocks.push_back(start..self.position(self.queue.len()));
        }
    }

    /// Shows `text` as a progress line that the next one, or the next event,
    /// overwrites; an empty one takes it away. Only on a terminal, and only
    /// while nothing waits before it.
    pub fn live(&mut self, text: &str) {
        if text.is_empty() && !self.live {
            return;
        }
        if self.is_terminal && self.failure.is_none() && self.pending() == 0 && self.unreported == 0 {
            self.live = !text.is_empty();
            // On a narrow terminal it is cut short: what wraps cannot be overwritten.
            let (narrow, wide): (&[u8], &[u8]) = if self.live { (b"\x1b[?7l", b"\x1b[?7h") } else { (b"", b"") };
            for piece in [narrow, b"\r", text.as_bytes(), b"\x1b[K", wide] {
                self.queue.extend_from_slice(piece);
            }
        }
    }

    /// Writes what waits, until nothing does or the reader takes no more.
    pub fn flush(&mut self) {
        self.stalled = false;
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
                Err(error) if passes(&error) => self.rest(),
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
        if self.unreported == 0 || self.gap.is_some() || self.pending() > self.limit / 2 || self.failure.is_some() {
            return;
        }
        let line = (self.gap_line)(self.unreported);
        let start = self.position(self.queue.len());
        self.queue.extend_from_slice(line.trim_end_matches('\n').as_bytes());
        self.queue.push(b'\n');
        self.gap = Some((start..self.position(self.queue.len()), self.unreported));
        self.unreported = 0;
    }

    fn advance(&mut self, count: usize) {
        self.head += count;
        self.torn = self.queue[self.head - 1] != b'\n';
        let written = self.position(self.head);
        while self.blocks.front().is_some_and(|block| block.end <= written) {
            self.blocks.pop_front();
        }
        if self.gap.as_ref().is_some_and(|(line, _)| line.end <= written) {
            self.gap = None;
        }
        // Forget what is written once that costs no more than writing it did.
        if self.head >= self.pending() {
            self.forgotten = written;
            self.queue.drain(..self.head);
            self.head = 0;
        }
    }

    /// Drops what waits, except the rest of an event that is already begun:
    /// that completes it when there is room again.
    fn rest(&mut self) {
        self.resting = true;
        let kept = self.begun_event_end();
        let kept_position = self.position(kept);
        self.blocks.retain(|block| block.end <= kept_position);
        self.discard_from(kept);
    }

    /// The index where the event at the head ends, or the head itself where
    /// nothing of it is written yet.
    fn begun_event_end(&self) -> usize {
        let head = self.position(self.head);
        if let Some(block) = self.blocks.front().filter(|block| block.start < head) {
            self.head + usize::try_from(block.end - head).unwrap_or(self.pending())
        } else if self.torn {
            let rest = &self.queue[self.head..];
            self.head + memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1)
        } else {
            self.head
        }
    }

    fn fail(&mut self, error: io::Error) {
        self.discard_from(self.head);
        self.blocks.clear();
        self.descriptor = None;
        self.failure = Some(error);
    }

    /// Takes everything from `index` on out of the queue and counts its lines.
    /// A gap line among them is no loss, but its number is to be told again.
    fn discard_from(&mut self, index: usize) {
        let mut lines = count_lines(&self.queue[index..]);
        let discarded = self.position(index);
        if let Some((_, count)) = self.gap.take_if(|(line, _)| line.end > discarded) {
            lines -= 1;
            self.unreported += count;
        }
        self.queue.truncate(index);
        self.drop_lines(lines);
    }

    fn drop_lines(&mut self, count: u64) {
        self.unreported += count;
        self.dropped_total += count;
    }

    fn position(&self, index: usize) -> u64 {
        self.forgotten + index as u64
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

/// Whether a later write may succeed: the disk is full or failing, or the
/// terminal is not to be had just now.
fn passes(error: &io::Error) -> bool {
    use io::ErrorKind::{OutOfMemory, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | OutOfMemory) || stdio::is_io_failure(error)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{File, OpenOptions};
    use std::io::{PipeReader, Read, Write, pipe};

    use nix::fcntl::{FcntlArg, fcntl};
    use nix::pty::openpty;
    use nix::sys::termios::{FlowArg, tcflow};

    use super::*;

    fn gap_line() -> GapLine {
        Box::new(|count| format!("gap {count}"))
    }

    fn screen(descriptor: io::Result<Descriptor>, limit: usize) -> Screen {
        Screen::new(descriptor, limit, gap_line())
    }

    /// A screen on a pipe of 4096 bytes.
    fn on_a_pipe(limit: usize) -> (PipeReader, Screen) {
        let (reader, writer) = pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
        (reader, screen(Descriptor::writer(writer), limit))
    }

    /// Prints numbered lines of 16 bytes until the pipe and the queue are full.
    fn print_until_dropped(screen: &mut Screen) -> u64 {
        let mut produced = 0;
        while screen.dropped_total() == 0 {
            screen.print(&format!("line {produced:010}\n"));
            screen.flush();
            produced += 1;
        }
        produced
    }

    fn read_some(reader: &mut PipeReader) -> String {
        let mut bytes = [0; 4096];
        let count = reader.read(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    /// What the reader sees when it reads and the screen flushes by turns.
    fn drain(reader: &mut PipeReader, screen: &mut Screen) -> String {
        let mut text = String::new();
        while screen.is_stalled() {
            text += &read_some(reader);
            screen.flush();
        }
        assert_eq!(screen.pending(), 0);
        screen.print("last\n");
        screen.flush();
        while !text.ends_with("last\n") {
            text += &read_some(reader);
            screen.flush();
        }
        text
    }

    /// Follows a stream of `N`-numbered lines and gap lines; the gap lines must
    /// tell exactly what is missing where they stand. Returns the next number.
    fn follow(text: &str) -> u64 {
        let mut next = 0;
        for line in text.lines() {
            let (word, number) = line.split_once(' ').unwrap();
            let number: u64 = number.split(' ').next().unwrap().parse().unwrap();
            match word {
                "gap" => next += number,
                _ => {
                    assert_eq!(number, next, "at {line:?}");
                    next += 1;
                }
            }
        }
        next
    }

    #[test]
    fn what_is_printed_comes_out_with_one_flush_and_missing_newlines_are_added() {
        let (mut reader, mut screen) = on_a_pipe(LIMIT);
        screen.print("one\ntwo\n");
        screen.print("three");
        screen.print("");
        assert_eq!(screen.pending(), 14);
        screen.flush();
        assert_eq!((screen.pending(), screen.is_stalled()), (0, false));
        assert_eq!(read_some(&mut reader), "one\ntwo\nthree\n");
    }

    #[test]
    fn a_stalled_reader_finds_the_gap_before_the_newer_lines_and_every_line_accounted_for() {
        let (mut reader, mut screen) = on_a_pipe(8192);
        let mut produced = print_until_dropped(&mut screen);
        assert!(screen.is_stalled());
        for _ in 0..99 {
            screen.print(&format!("line {produced:010}\n"));
            produced += 1;
        }
        assert_eq!(screen.dropped_total(), 100);
        assert!(screen.pending() <= 8192);

        let text = drain(&mut reader, &mut screen);
        assert!(text.ends_with("\ngap 100\nlast\n"), "{text}");
        let text = text.strip_suffix("last\n").unwrap();
        assert_eq!(follow(text), produced);
        assert_eq!(text.lines().count() as u64 - 1 + screen.dropped_total(), produced);
    }

    #[test]
    fn the_gap_is_reported_even_where_no_newer_line_comes() {
        let (mut reader, mut screen) = on_a_pipe(4096);
        print_until_dropped(&mut screen);
        let mut text = String::new();
        while !text.ends_with("gap 1\n") {
            text += &read_some(&mut reader);
            screen.flush();
        }
        assert_eq!(screen.pending(), 0);
    }

    #[test]
    fn while_the_queue_is_more_than_half_full_newer_lines_stay_behind_the_gap() {
        let (mut reader, mut screen) = on_a_pipe(64 * 1024);
        let produced = print_until_dropped(&mut screen);
        read_some(&mut reader);
        screen.flush();
        assert!(screen.pending() > 32 * 1024);
        screen.print(&format!("line {produced:010}\n"));
        assert_eq!(screen.dropped_total(), 2, "there is room, but the gap does not stand yet");
        let text = drain(&mut reader, &mut screen);
        assert!(text.contains("\ngap 2\n"));
    }

    #[test]
    fn any_mix_of_events_and_reads_keeps_events_whole_and_the_account_exact() {
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut below = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let (mut reader, mut screen) = on_a_pipe(16 * 1024);
        let (mut produced, mut text) = (0, String::new());
        for _ in 0..20_000 {
            let lines = 1 + below(3);
            let event: String = (0..lines)
                .map(|line| {
                    let filler = "x".repeat(usize::try_from(below(300)).unwrap());
                    format!("line {} {line} {lines} {filler}\n", produced + line)
                })
                .collect();
            produced += lines;
            screen.print(&event);
            if below(4) == 0 {
                screen.flush();
                if screen.is_stalled() && below(4) == 0 {
                    text += &read_some(&mut reader);
                }
            }
            assert!(screen.pending() <= 16 * 1024 + 16);
        }
        screen.flush();
        text += &drain(&mut reader, &mut screen);
        let text = text.strip_suffix("last\n").unwrap();
        assert_eq!(follow(text), produced);
        let printed: Vec<&str> = text.lines().filter(|line| line.starts_with("line")).collect();
        assert_eq!(printed.len() as u64 + screen.dropped_total(), produced);
        assert!(screen.dropped_total() > 0 && !printed.is_empty());
        let mut rest = &printed[..];
        while let Some(first) = rest.first() {
            let words: Vec<&str> = first.split(' ').collect();
            assert_eq!(words[2], "0", "an event begins with its first line");
            rest = &rest[words[3].parse::<usize>().unwrap()..];
        }
    }

    #[test]
    fn memory_stays_flat_while_the_reader_is_slow_for_ever() {
        let (mut reader, mut screen) = on_a_pipe(32 * 1024);
        for number in 0..50_000 {
            screen.print(&format!("line {number:010}\n"));
            screen.flush();
            if screen.pending() > 8 * 1024 {
                read_some(&mut reader);
            }
        }
        assert!(screen.queue.capacity() <= 64 * 1024, "{}", screen.queue.capacity());
    }

    #[test]
    fn an_event_larger_than_the_queue_is_printed_when_nothing_waits_before_it() {
        let (mut reader, mut screen) = on_a_pipe(100);
        screen.print("short\n");
        let long = "x".repeat(3000);
        screen.print(&long);
        screen.flush();
        assert_eq!(screen.dropped_total(), 0);
        assert_eq!(read_some(&mut reader).len(), 6 + 3001);
    }

    #[test]
    fn a_closed_pipe_breaks_it_once_and_everything_is_counted() {
        let (reader, mut screen) = on_a_pipe(LIMIT);
        drop(reader);
        screen.print("one\ntwo\n");
        assert!(screen.failure().is_none());
        screen.flush();
        assert_eq!(screen.failure().unwrap().kind(), io::ErrorKind::BrokenPipe);
        screen.print("three\n");
        screen.finish(Duration::from_secs(9));
        assert_eq!((screen.dropped_total(), screen.pending()), (3, 0));
    }

    #[test]
    fn what_cannot_be_written_at_all_is_broken_from_the_start() {
        let (reader, _writer) = pipe().unwrap();
        let mut screen = screen(Descriptor::writer(reader), LIMIT);
        assert!(screen.failure().is_some());
        screen.print("one\n");
        assert_eq!((screen.dropped_total(), screen.pending()), (1, 0));
    }

    #[test]
    fn a_full_disk_drops_the_lines_and_is_tried_again_with_later_ones() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut screen = screen(Descriptor::writer(full), LIMIT);
        screen.print("one\ntwo\n");
        screen.flush();
        screen.flush();
        assert_eq!((screen.dropped_total(), screen.pending()), (2, 0));
        screen.print("three\n");
        screen.finish(Duration::from_secs(9));
        assert_eq!((screen.dropped_total(), screen.pending()), (3, 0));
        assert!(screen.failure().is_none() && !screen.is_stalled());

        let (mut reader, writer) = pipe().unwrap();
        screen.descriptor = Some(Descriptor::writer(writer).unwrap());
        screen.print("four\n");
        screen.flush();
        assert_eq!(read_some(&mut reader), "gap 3\nfour\n");
    }

    #[test]
    fn an_event_cut_by_a_full_disk_is_completed_when_there_is_room_again() {
        for (event, cut) in [("one\ntwo\n", 2), ("one\ntwo\n", 4), ("one\ntwo\n", 6), ("one\n", 2)] {
            let (mut reader, mut screen) = on_a_pipe(LIMIT);
            screen.print(event);
            screen.print("dropped\n");
            screen.print("dropped\ndropped\n");
            screen.advance(cut);
            screen.rest();
            screen.flush();
            assert_eq!(screen.dropped_total(), 3);
            screen.print("later\n");
            screen.flush();
            assert_eq!(read_some(&mut reader), format!("{}gap 3\nlater\n", &event[cut..]));
        }
    }

    #[test]
    fn dropped_events_leave_no_trace_behind() {
        let (_reader, mut screen) = on_a_pipe(LIMIT);
        screen.print("a longer event\nof two lines\n");
        screen.rest();
        screen.unreported = 0;
        screen.print("one\n");
        screen.print("two\n");
        screen.advance(2);
        screen.rest();
        assert_eq!((screen.dropped_total(), screen.pending()), (3, 2));
    }

    #[test]
    fn a_gap_line_that_is_itself_dropped_is_told_again() {
        let (mut reader, mut screen) = on_a_pipe(LIMIT);
        screen.drop_lines(5);
        screen.report_gap();
        screen.drop_lines(2);
        screen.report_gap();
        screen.rest();
        assert_eq!((screen.dropped_total(), screen.pending()), (7, 0));
        screen.print("two\n");
        screen.flush();
        assert_eq!(read_some(&mut reader), "gap 7\ntwo\n");
    }

    /// What comes out of a terminal, up to `end`; it may come in pieces.
    fn read_to(master: &mut File, end: &[u8]) -> Vec<u8> {
        let mut seen = Vec::new();
        while !seen.ends_with(end) {
            let mut bytes = [0; 64];
            let count = master.read(&mut bytes).unwrap();
            seen.extend_from_slice(&bytes[..count]);
        }
        seen
    }

    #[test]
    fn a_terminal_stopped_by_its_user_stalls_and_goes_on() {
        let pty = openpty(None, None).unwrap();
        let mut master = File::from(pty.master);
        let mut screen = screen(Descriptor::writer(pty.slave.try_clone().unwrap()), LIMIT);
        assert!(screen.is_terminal());
        tcflow(&pty.slave, FlowArg::TCOOFF).unwrap();
        screen.print("one\n");
        screen.flush();
        assert!(screen.is_stalled());
        assert_eq!(screen.pending(), 4);
        tcflow(&pty.slave, FlowArg::TCOON).unwrap();
        screen.finish(Duration::from_secs(9));
        assert_eq!(screen.pending(), 0);
        assert_eq!(read_to(&mut master, b"\n"), b"one\r\n");
    }

    #[test]
    fn a_progress_line_is_overwritten_and_only_shown_on_a_terminal() {
        let pty = openpty(None, None).unwrap();
        let mut master = File::from(pty.master);
        let mut terminal = screen(Descriptor::writer(pty.slave), LIMIT);
        terminal.live("1 %");
        terminal.flush();
        terminal.print("done\n");
        terminal.flush();
        assert_eq!(read_to(&mut master, b"\n"), b"\x1b[?7l\r1 %\x1b[K\x1b[?7h\r\x1b[Kdone\r\n");

        let (_reader, mut pipe) = on_a_pipe(LIMIT);
        pipe.live("1 %");
        assert_eq!(pipe.pending(), 0);
    }

    #[test]
    fn finish_waits_for_a_slow_reader_and_for_a_dead_one_no_longer_than_it_may() {
        let (mut reader, mut screen) = on_a_pipe(64 * 1024);
        let produced = print_until_dropped(&mut screen);
        let begin = Instant::now();
        screen.finish(Duration::from_millis(50));
        assert!(begin.elapsed() >= Duration::from_millis(50));
        assert!(screen.pending() > 0);

        let slow = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        screen.finish(Duration::from_secs(9));
        assert_eq!(screen.pending(), 0);
        drop(screen);
        assert_eq!(follow(&slow.join().unwrap()), produced);
    }

    #[test]
    fn an_event_tells_when_a_stalled_reader_takes_again() {
        let mut poll = mio::Poll::new().unwrap();
        let mut events = mio::Events::with_capacity(4);
        let (mut reader, mut screen) = on_a_pipe(LIMIT);
        screen.register(poll.registry(), Token(7)).unwrap();
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        screen.print(&"x".repeat(5000));
        screen.flush();
        assert!(screen.is_stalled());
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty());
        read_some(&mut reader);
        poll.poll(&mut events, Some(Duration::from_secs(9))).unwrap();
        assert_eq!(events.iter().next().unwrap().token(), Token(7));
        screen.flush();
        assert_eq!(screen.pending(), 0);
    }

    #[test]
    fn each_record_of_the_logger_is_one_event() {
        let (mut reader, screen) = on_a_pipe(8192);
        let diagnostics = crate::diagnostics::Diagnostics::new(screen);
        let logger = env_logger::Builder::new()
            .filter_level(log::LevelFilter::Info)
            .format(|out, record| writeln!(out, "{}\n{}", record.level(), record.args()))
            .target(env_logger::Target::Pipe(Box::new(diagnostics.clone())))
            .build();
        let say = |number: u32| {
            log::Log::log(
                &logger,
                &log::Record::builder().level(log::Level::Warn).args(format_args!("{number}")).build(),
            );
        };
        say(1);
        assert_eq!(read_some(&mut reader), "WARN\n1\n", "written at once");
        (0..2000).for_each(|number| say(1000 + number));
        assert!(diagnostics.with(|screen| screen.is_stalled()));
        let dropped = diagnostics.with(|screen| screen.dropped_total());
        assert!(dropped > 0 && dropped.is_multiple_of(2));
        let text = diagnostics.with(|screen| drain(&mut reader, screen));
        assert!(text.ends_with(&format!("\ngap {dropped}\nlast\n")));
    }
}
