//! Lines from any descriptor: a terminal, a pipe, a file, `/dev/null` or nothing.
//!
//! Memory is flat however much comes: [`Console::fill`] reads only when no
//! whole line is waiting, and of a line that is too long only the length is kept.

use std::io;

use memchr::memchr;
use mio::{Interest, Registry, Token};

use crate::stdio::{self, Descriptor};

/// The most that one [`Console::fill`] reads.
const READ: usize = 16 * 1024;

/// What a [`Console::fill`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// There may be more: take the lines and fill again.
    Data,
    /// Nothing now. Look again at the next event, and when the process is
    /// continued: a terminal read from the background ends here too.
    Drained,
    /// Nothing will come any more. An unterminated rest is now a line.
    Ended,
}

/// One line of input, without its newline and otherwise as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line that is short enough.
    Whole {
        /// Its place in the input, from 1.
        number: u64,
        /// What it says; any byte but a newline.
        bytes: &'a [u8],
    },
    /// A line that is not: its bytes are gone.
    TooLong {
        /// Its place in the input, from 1.
        number: u64,
        /// How many bytes it had.
        length: u64,
    },
}

/// The lines of one descriptor.
pub struct Console {
    /// Gone once the end was seen, and with it its place in the selector.
    descriptor: Option<Descriptor>,
    error: Option<io::Error>,
    is_terminal: bool,
    longest: usize,
    /// Bytes `start..end` are read and not yet taken; up to `scanned` none is a newline.
    buffer: Vec<u8>,
    start: usize,
    scanned: usize,
    end: usize,
    /// Bytes of the present line that were thrown away because it is too long.
    skipped: u64,
    number: u64,
}

impl Console {
    /// The lines of the standard input, each of at most `longest` bytes
    /// without its newline. One that cannot be read has ended.
    #[must_use]
    pub fn stdin(longest: usize) -> Self {
        Self::new(stdio::stdin(), longest)
    }

    /// The lines of `descriptor`, each of at most `longest` bytes without its
    /// newline. An error stands for one that has ended.
    #[must_use]
    pub fn new(descriptor: io::Result<Descriptor>, longest: usize) -> Self {
        let (descriptor, error) = match descriptor {
            Ok(descriptor) => (Some(descriptor), None),
            Err(error) => (None, Some(error)),
        };
        Self {
            is_terminal: descriptor.as_ref().is_some_and(Descriptor::is_terminal),
            descriptor,
            error,
            longest,
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            end: 0,
            skipped: 0,
            number: 0,
        }
    }

    /// Asks for events, unless it is always ready or has ended.
    ///
    /// # Errors
    ///
    /// The selector's.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.descriptor {
            Some(descriptor) => descriptor.register(registry, token, Interest::READABLE),
            None => Ok(()),
        }
    }

    /// Whether the lines are typed at a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Whether no event will tell that there is something to read: the loop
    /// has to look by itself. Certain once it has been registered.
    #[must_use]
    pub fn always_ready(&self) -> bool {
        self.descriptor.as_ref().is_none_or(Descriptor::always_ready)
    }

    /// Whether the end was seen. Lines may still wait to be taken.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.descriptor.is_none()
    }

    /// Why it ended, if it was not the end of the input.
    #[must_use]
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }

    /// Reads once, at most 16 KiB; not at all while a whole line is waiting.
    pub fn fill(&mut self) -> Fill {
        if self.descriptor.is_some() && self.newline().is_some() {
            return Fill::Data;
        }
        self.skip_if_too_long();
        // Only the unterminated rest is left. It moves once, since it then lies at the front.
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.scanned -= self.start;
        self.start = 0;

        let Some(descriptor) = &mut self.descriptor else {
            return Fill::Ended;
        };
        if self.buffer.len() < self.end + READ {
            self.buffer.resize(self.end + READ, 0);
        }
        match descriptor.read(&mut self.buffer[self.end..self.end + READ]) {
            Ok(0) => self.end_of_input(None),
            Ok(count) => {
                self.end += count;
                Fill::Data
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Fill::Drained,
            Err(error) if self.is_terminal && stdio::is_io_failure(&error) => Fill::Drained,
            Err(error) => self.end_of_input(Some(error)),
        }
    }

    /// The next line, in the order of the input.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        let (line_end, next) = match self.newline() {
            Some(at) => (at, at + 1),
            None if self.ended() && self.skipped + self.waiting() > 0 => (self.end, self.end),
            None => return None,
        };
        let line = self.start..line_end;
        let length = self.skipped + line.len() as u64;
        self.start = next;
        self.scanned = next;
        self.skipped = 0;
        self.number += 1;
        let number = self.number;
        Some(if length > self.longest as u64 {
            Line::TooLong { number, length }
        } else {
            Line::Whole { number, bytes: &self.buffer[line] }
        })
    }

    /// Where the first line ends. No byte is looked at twice.
    fn newline(&mut self) -> Option<usize> {
        let found = memchr(b'\n', &self.buffer[self.scanned..self.end]);
        self.scanned = found.map_or(self.end, |at| self.scanned + at);
        found.map(|_| self.scanned)
    }

    /// Throws the unterminated rest away once it can only become too long.
    fn skip_if_too_long(&mut self) {
        if self.skipped + self.waiting() > self.longest as u64 {
            self.skipped += self.waiting();
            self.start = self.end;
            self.scanned = self.end;
        }
    }

    fn waiting(&self) -> u64 {
        (self.end - self.start) as u64
    }

    fn end_of_input(&mut self, error: Option<io::Error>) -> Fill {
        self.descriptor = None;
        self.error = error;
        Fill::Ended
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::File;
    use std::io::{PipeWriter, Read, Seek, Write, pipe};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::process::Command;
    use std::time::Duration;

    use mio::{Events, Poll};
    use nix::unistd::{Pid, getpgrp, tcsetpgrp};

    use super::*;

    fn on_a_pipe(longest: usize) -> (PipeWriter, Console) {
        let (reader, writer) = pipe().unwrap();
        (writer, Console::new(Descriptor::reader(reader), longest))
    }

    /// Fills until the end is seen: a child that another test is just starting
    /// may still hold the writing end for a moment.
    fn fill_to_the_end(console: &mut Console) {
        while console.fill() != Fill::Ended {
            std::thread::yield_now();
        }
    }

    fn whole(number: u64, bytes: &[u8]) -> Option<Line<'_>> {
        Some(Line::Whole { number, bytes })
    }

    #[test]
    fn a_line_loses_its_newline_and_nothing_else() {
        let (mut writer, mut console) = on_a_pipe(100);
        assert_eq!(console.fill(), Fill::Drained);
        writer.write_all(b" a\0b\r\n\n\xff\xfe\nrest").unwrap();
        assert_eq!(console.fill(), Fill::Data);
        assert_eq!(console.next_line(), whole(1, b" a\0b\r"));
        assert_eq!(console.next_line(), whole(2, b""));
        assert_eq!(console.next_line(), whole(3, b"\xff\xfe"));
        assert_eq!(console.next_line(), None);
        assert_eq!(console.fill(), Fill::Drained);
        drop(writer);
        fill_to_the_end(&mut console);
        assert_eq!(console.next_line(), whole(4, b"rest"));
        assert_eq!(console.next_line(), None);
        fill_to_the_end(&mut console);
        assert!(console.error().is_none());
    }

    #[test]
    fn an_end_right_after_a_newline_adds_no_line() {
        let (mut writer, mut console) = on_a_pipe(100);
        writer.write_all(b"one\n").unwrap();
        drop(writer);
        assert_eq!(console.fill(), Fill::Data);
        assert_eq!(console.fill(), Fill::Data, "a line is waiting");
        assert_eq!(console.next_line(), whole(1, b"one"));
        fill_to_the_end(&mut console);
        assert_eq!(console.next_line(), None);
    }

    #[test]
    fn a_line_may_come_in_any_pieces() {
        let (mut writer, mut console) = on_a_pipe(100);
        for byte in b"hello\nworld\n" {
            writer.write_all(&[*byte]).unwrap();
            assert_eq!(console.fill(), Fill::Data);
            match byte {
                b'\n' => assert!(matches!(console.next_line(), Some(Line::Whole { bytes: [_, _, _, _, _], .. }))),
                _ => assert_eq!(console.next_line(), None),
            }
        }
    }

    #[test]
    fn a_line_too_long_is_told_once_with_its_number_and_length() {
        let (mut writer, mut console) = on_a_pipe(4);
        writer.write_all(b"1234\n12345\nok\n1234567").unwrap();
        console.fill();
        assert_eq!(console.next_line(), whole(1, b"1234"));
        assert_eq!(console.next_line(), Some(Line::TooLong { number: 2, length: 5 }));
        assert_eq!(console.next_line(), whole(3, b"ok"));
        assert_eq!(console.next_line(), None);
        writer.write_all(b"89").unwrap();
        console.fill();
        assert_eq!(console.next_line(), None);
        writer.write_all(b"\nok\n12345").unwrap();
        drop(writer);
        console.fill();
        assert_eq!(console.next_line(), Some(Line::TooLong { number: 4, length: 9 }));
        assert_eq!(console.next_line(), whole(5, b"ok"));
        assert_eq!(console.next_line(), None);
        fill_to_the_end(&mut console);
        assert_eq!(console.next_line(), Some(Line::TooLong { number: 6, length: 5 }));
        assert_eq!(console.next_line(), None);
    }

    #[test]
    fn an_endless_line_takes_no_more_memory() {
        let mut console = Console::new(Descriptor::reader(File::open("/dev/zero").unwrap()), 65_536);
        for _ in 0..2000 {
            assert_eq!(console.fill(), Fill::Data);
            assert_eq!(console.next_line(), None);
        }
        assert!(console.buffer.capacity() <= 2 * (65_536 + READ));
        assert_eq!(console.skipped + console.waiting(), 2000 * READ as u64);
    }

    #[test]
    fn lines_that_nobody_takes_stop_the_reading() {
        let (mut writer, mut console) = on_a_pipe(100);
        for _ in 0..3 {
            writer.write_all(&[b'\n'; READ]).unwrap();
        }
        for _ in 0..9 {
            assert_eq!(console.fill(), Fill::Data);
        }
        assert_eq!(console.waiting(), READ as u64);
        while console.next_line().is_some() {}
        assert_eq!(console.fill(), Fill::Data);
        assert_eq!(console.next_line(), whole(READ as u64 + 1, b""));
    }

    #[test]
    fn a_file_is_read_to_its_end_through_the_shared_offset() {
        let path = std::env::temp_dir().join(format!("ack-reactor-console-{}", std::process::id()));
        std::fs::write(&path, "one\ntwo").unwrap();
        let mut file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut console = Console::new(Descriptor::reader(file.try_clone().unwrap()), 100);
        let poll = Poll::new().unwrap();
        console.register(poll.registry(), Token(0)).unwrap();
        assert!(console.always_ready() && !console.is_terminal());
        assert_eq!(console.fill(), Fill::Data);
        assert_eq!(file.stream_position().unwrap(), 7);
        assert_eq!(console.next_line(), whole(1, b"one"));
        assert_eq!(console.next_line(), None);
        assert_eq!(console.fill(), Fill::Ended);
        assert_eq!(console.next_line(), whole(2, b"two"));
    }

    #[test]
    fn nothing_to_read_from_is_an_end_and_says_why() {
        let mut null = Console::new(Descriptor::reader(File::open("/dev/null").unwrap()), 100);
        let poll = Poll::new().unwrap();
        null.register(poll.registry(), Token(0)).unwrap();
        assert!(null.always_ready());
        assert_eq!(null.fill(), Fill::Ended);
        assert!(null.error().is_none());

        let mut directory = Console::new(Descriptor::reader(File::open("/").unwrap()), 100);
        directory.register(poll.registry(), Token(0)).unwrap();
        assert_eq!(directory.fill(), Fill::Ended);
        assert_eq!(directory.error().unwrap().kind(), io::ErrorKind::IsADirectory);

        let (_reader, writer) = pipe().unwrap();
        let mut write_only = Console::new(Descriptor::reader(writer), 100);
        write_only.register(poll.registry(), Token(0)).unwrap();
        assert!(write_only.ended() && write_only.always_ready());
        assert_eq!(write_only.fill(), Fill::Ended);
        assert!(write_only.error().is_some());
    }

    #[test]
    fn after_its_end_no_event_comes_any_more() {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(4);
        let (peer, shared) = UnixStream::pair().unwrap();
        let mut console = Console::new(Descriptor::reader(shared.try_clone().unwrap()), 100);
        console.register(poll.registry(), Token(3)).unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        poll.poll(&mut events, Some(Duration::from_secs(9))).unwrap();
        assert_eq!(events.iter().next().unwrap().token(), Token(3));
        assert_eq!(console.fill(), Fill::Ended);
        drop(peer);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty());
    }

    /// Runs itself once more as a job of a terminal of its own, since a job can
    /// only be sent to the background of the terminal that controls it.
    #[test]
    fn a_background_job_reads_its_terminal_once_it_is_in_the_foreground() {
        const JOB: &str = "ACK_REACTOR_TEST_JOB";
        if std::env::var_os(JOB).is_some() {
            return background_job();
        }
        let (mut pty, pts) = pty_process::blocking::open().unwrap();
        let name = "console::tests::a_background_job_reads_its_terminal_once_it_is_in_the_foreground";
        let mut job = pty_process::blocking::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", name])
            .env(JOB, "1")
            .spawn(pts)
            .unwrap();
        pty.write_all(b"stats\n").unwrap();
        let status = job.wait().unwrap();
        let mut output = [0; 4096];
        let count = pty.read(&mut output).unwrap_or(0);
        assert!(status.success(), "{}", String::from_utf8_lossy(&output[..count]));
    }

    fn background_job() {
        stdio::block_terminal_stops().unwrap();
        let mut console = Console::stdin(100);
        assert!(console.is_terminal());
        let foreground = |group| tcsetpgrp(io::stdin().as_fd(), group).unwrap();

        // Another job takes the terminal, then gives it back.
        let mut other = {
            use std::os::unix::process::CommandExt;
            Command::new("sleep").arg("60").process_group(0).spawn().unwrap()
        };
        foreground(Pid::from_raw(i32::try_from(other.id()).unwrap()));
        assert_eq!(console.fill(), Fill::Drained);
        assert!(!console.ended());
        foreground(getpgrp());
        other.kill().unwrap();
        other.wait().unwrap();

        let mut poll = Poll::new().unwrap();
        console.register(poll.registry(), Token(0)).unwrap();
        poll.poll(&mut Events::with_capacity(4), Some(Duration::from_secs(9))).unwrap();
        assert_eq!(console.fill(), Fill::Data);
        assert_eq!(console.next_line(), whole(1, b"stats"));
    }
}
