//! The client's messages: lines of stdin, or those given on the command line.

use std::collections::VecDeque;
use std::io;

use mio::Registry;

use super::stage::Source;
use crate::reactor::{Budget, Source as _};
use crate::stdio::console::{Console, Filled, Line};

/// Where messages come from.
pub enum Input {
    /// Given with `-m`.
    Given(VecDeque<Vec<u8>>),
    /// Typed, piped or read from a file.
    Lines {
        /// stdin.
        console: Console,
        /// It may have something that no event will tell of.
        readable: bool,
    },
}

/// What the input has to say.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// A message.
    Message(Vec<u8>),
    /// A line that is too long to be one: its number and its length.
    TooLong(u64, u64),
    /// A line that the terminal may have cut: its number.
    Cut(u64),
    /// Nothing yet: an event will tell.
    NotYet,
    /// Nothing yet, but there is more to read: ask again in the next turn.
    Later,
    /// Nothing more.
    Ended,
}

impl Input {
    /// The messages given, or else stdin, whose lines are messages of up to `longest` bytes.
    pub fn new(given: Vec<Vec<u8>>, longest: usize) -> Input {
        match given.is_empty() {
            false => Input::Given(given.into()),
            true => Input::Lines { console: Console::stdin(longest), readable: true },
        }
    }

    /// Registers stdin, where that is what is read.
    ///
    /// # Errors
    /// The poll does not take it.
    pub fn register(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Input::Given(_) => Ok(()),
            Input::Lines { console, .. } => console.register(registry, Source::Console.token()),
        }
    }

    /// stdin may have something to read.
    pub fn wake(&mut self) {
        if let Input::Lines { readable, .. } = self {
            *readable = true;
        }
    }

    /// Whether messages are typed by a person.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Input::Lines { console, .. } if console.is_terminal())
    }

    /// How many messages that were given with `-m` are still to be sent.
    pub fn given(&self) -> usize {
        match self {
            Input::Given(messages) => messages.len(),
            Input::Lines { .. } => 0,
        }
    }

    /// Whether a line of stdin was read that is still to be sent. Reads nothing.
    pub fn has_line(&mut self) -> bool {
        match self {
            Input::Given(_) => false,
            Input::Lines { console, .. } => console.has_line(),
        }
    }

    /// What stdin failed with, if it did not just end.
    pub fn error(&self) -> Option<&io::Error> {
        match self {
            Input::Given(_) => None,
            Input::Lines { console, .. } => console.error(),
        }
    }

    /// The next message. Reads only when asked, and at most once, so an
    /// endless stdin costs neither memory nor the turn.
    pub fn next_message(&mut self, budget: &mut Budget) -> Typed {
        match self {
            Input::Given(messages) => messages.pop_front().map_or(Typed::Ended, Typed::Message),
            Input::Lines { console, readable } => {
                if let Some(next) = next_line(console) {
                    return next;
                }
                if *readable && !console.ended() {
                    *readable = console.fill(budget) != Filled::Drained;
                }
                match next_line(console) {
                    Some(next) => next,
                    None if console.ended() => Typed::Ended,
                    None if *readable => Typed::Later,
                    None => Typed::NotYet,
                }
            }
        }
    }
}

fn next_line(console: &mut Console) -> Option<Typed> {
    Some(match console.next_line()? {
        Line::Whole { bytes, .. } => Typed::Message(bytes.to_vec()),
        Line::TooLong { number, length } => Typed::TooLong(number, length),
        Line::Cut { number, .. } => Typed::Cut(number),
    })
}
