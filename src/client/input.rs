//! The client's messages: lines of stdin, or those given on the command line.

use std::collections::VecDeque;

use mio::Registry;

use crate::console::{Console, Fill, Line};
use crate::reactor::Source;

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
pub enum Next {
    /// A message.
    Message(Vec<u8>),
    /// A line that is too long to be one: its number and its length.
    TooLong(u64, u64),
    /// Nothing yet.
    NotYet,
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
    pub fn register(&mut self, registry: &Registry) -> std::io::Result<()> {
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

    /// The next message. Reads only when asked, so an endless stdin costs no memory.
    pub fn next_message(&mut self) -> Next {
        match self {
            Input::Given(messages) => messages.pop_front().map_or(Next::Ended, Next::Message),
            Input::Lines { console, readable } => loop {
                match console.next_line() {
                    Some(Line::Whole { bytes, .. }) => return Next::Message(bytes.to_vec()),
                    Some(Line::TooLong { number, length }) => return Next::TooLong(number, length),
                    None => {}
                }
                if console.ended() {
                    return Next::Ended;
                }
                if !*readable {
                    return Next::NotYet;
                }
                *readable = console.fill() != Fill::Drained;
            },
        }
    }
}
