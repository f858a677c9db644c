//! What comes back by a link, a slice at a time.

use std::io;

use crate::connection::{Pulled, Reading};
use crate::datagrams::{Came, Connected};
use crate::reactor::Budget;
use crate::wire::{CHECK, LONGEST_MESSAGE, Notice, Replies, Reply};

/// A slice's worth of replies.
#[derive(Debug)]
pub enum Listening<'r> {
    /// Out of a stream.
    Tcp {
        /// What cuts them out.
        reading: Reading<'r, Replies>,
        /// How the stream ends.
        last: Last,
    },
    /// Each a datagram.
    Udp {
        /// The socket.
        connected: &'r mut Connected,
        /// What a datagram is received into.
        buffer: &'r mut [u8],
        /// How many may be.
        budget: &'r mut Budget,
    },
}

/// How the end of a stream is told, one pull after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// It was not seen yet.
    Ahead,
    /// It was seen: the beginning of a reply may stand there.
    Rest,
    /// A reply that is too long begins here.
    Stuck,
    /// That was told, and nothing behind it can be followed.
    Broken,
    /// All was told.
    Over,
}

impl Listening<'_> {
    /// The next reply. The beginning of one that the stream's end cuts short is a wrong one.
    ///
    /// # Errors
    /// The connection is broken, a datagram of ours did not arrive, or
    /// (`InvalidData`) a reply is too long to be followed.
    pub fn pull(&mut self) -> io::Result<Pulled<Reply<'_>>> {
        match self {
            Listening::Udp { connected, buffer, budget } => Ok(match connected.receive(buffer, budget)? {
                Came::Datagram(len) => Pulled::Item(datagram_reply(&buffer[..len])),
                Came::Drained => Pulled::Drained,
                Came::CutOff => Pulled::CutOff,
            }),
            Listening::Tcp { reading, last } => match *last {
                Last::Ahead => match reading.pull()? {
                    Pulled::TooLong => {
                        *last = Last::Stuck;
                        Ok(Pulled::Part)
                    }
                    Pulled::Ended => {
                        *last = Last::Rest;
                        Ok(Pulled::Part)
                    }
                    other => Ok(other),
                },
                Last::Rest => {
                    *last = Last::Over;
                    Ok(reading.last().map_or(Pulled::Ended, Pulled::Item))
                }
                Last::Stuck => {
                    *last = Last::Broken;
                    Ok(Pulled::Item(Reply::Wrong(reading.stuck_at())))
                }
                Last::Broken => {
                    let what = format!("a reply is longer than {LONGEST_MESSAGE} bytes");
                    Err(io::Error::new(io::ErrorKind::InvalidData, what))
                }
                Last::Over => Ok(Pulled::Ended),
            },
        }
    }
}

pub(super) fn datagram_reply(bytes: &[u8]) -> Reply<'_> {
    match Notice::parse(bytes) {
        Some(notice) => Reply::Notice(notice),
        None if bytes == CHECK => Reply::Ack,
        None => Reply::Wrong(bytes.into()),
    }
}
