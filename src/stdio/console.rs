//! Lines from any descriptor: a terminal, a pipe, a file, `/dev/null` or nothing.
//!
//! Memory is flat however much comes: [`Console::fill`] reads only when no
//! whole line is waiting, and of a line that is too long only the length is kept.

use std::io;

use memchr::memchr;
use mio::{Interest, Registry, Token};

use crate::reactor::Budget;
use crate::stdio::{self, Descriptor};

/// The most that one [`Console::fill`] reads.
const READ: usize = 16 * 1024;

/// What a [`Console::fill`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// There may be more: take the lines and fill again.
    Data,
    /// Nothing was read: the budget is spent.
    CutOff,
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
    /// A line of which the terminal has kept as much as it keeps of any: its end may be missing.
    Cut {
        /// Its place in the input, from 1.
        number: u64,
        /// How many bytes are left of it.
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
    /// Whether the terminal may have cut the present line.
    is_cut: bool,
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
            is_cut: false,
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

    /// The same, for who says it once.
    pub fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }

    /// Reads once, at most 16 KiB; not at all while a whole line is waiting.
    pub fn fill(&mut self, budget: &mut Budget) -> Filled {
        // The exercise, 1: input blocks. This does not.
        if self.descriptor.is_some() && self.newline().is_some() {
            return Filled::Data;
        }
        if !budget.may_read() {
            return Filled::CutOff;
        }
        self.skip_if_too_long();
        // Only the unterminated rest is left. It moves once, since it then lies at the front.
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.scanned -= self.start;
        self.start = 0;

        let Some(descriptor) = &mut self.descriptor else {
            return Filled::Ended;
        };
        if self.buffer.len() < self.end + READ {
            self.buffer.resize(self.end + READ, 0);
        }
        match descriptor.read(&mut self.buffer[self.end..self.end + READ]) {
            Ok(0) => self.end_of_input(None),
            Ok(count) => {
                budget.spend_bytes(count);
                // A terminal hands out one line at a time.
                let read = &self.buffer[self.end..self.end + count];
                let kept = read.strip_suffix(b"\n").unwrap_or(read).len();
                self.is_cut |= kept >= stdio::TERMINAL_LINE && descriptor.cuts_lines();
                self.end += count;
                Filled::Data
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Filled::Drained,
            Err(error) if self.is_terminal && stdio::is_io_failure(&error) => Filled::Drained,
            Err(error) => self.end_of_input(Some(error)),
        }
    }

    /// Whether there is a next line, without reading.
    #[must_use]
    pub fn has_line(&mut self) -> bool {
        self.newline().is_some() || (self.ended() && self.skipped + self.waiting() > 0)
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
        Some(if std::mem::take(&mut self.is_cut) {
            Line::Cut { number, length }
        } else if length > self.longest as u64 {
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

    fn end_of_input(&mut self, error: Option<io::Error>) -> Filled {
        self.descriptor = None;
        self.error = error;
        Filled::Ended
    }
}

#[cfg(all(test, unix))]
mod tests;
