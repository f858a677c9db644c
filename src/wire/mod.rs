//! The wire: the words both ends speak, and the framings that cut messages out
//! of a byte stream. Pure: bytes in, messages out.
//!
//! | framing | one message is | acknowledged with | a notice is |
//! |---|---|---|---|
//! | `bytes` | whatever one read returned | `ACK` | its text |
//! | `lines` | the bytes up to `\n`, one `\r` before it dropped | `ACK\n` | text and `\n` |
//! | `length` | a 4-byte big-endian count, then that many bytes | the same frame holding `ACK` | the same frame |
//!
//! A datagram is one message and is answered with `check`; one that is a [`Probe`], with a [`Stamp`].

use std::fmt;

mod decoder;
mod mismatch;
mod output;
mod owed;
#[cfg(feature = "programs")]
#[doc(hidden)]
pub mod preface;
mod replies;
mod stamps;

pub use self::decoder::{Count, Decoder, End, Message};
pub use self::output::{Outbox, Output};
pub use self::owed::Owed;
pub use self::replies::{Replies, Reply};
pub use self::stamps::{Mark, Probe, STAMPED, Stamp};

/// A message longer than the decoder accepts: the stream cannot be followed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// What cuts a stream that arrives in pieces: the server's messages, the client's replies.
pub trait Decode {
    /// What is cut out of it: borrowed from the piece, or from what was kept of earlier ones.
    type Item<'a>
    where
        Self: 'a;

    /// The next item; `input` moves past it. `None` where `input` completes none: then it is used up, and what is
    /// needed of it was kept.
    ///
    /// # Errors
    /// [`TooLong`] as soon as it is certain, before the item is kept.
    fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<Self::Item<'a>>, TooLong>;

    /// How many bytes one read should bring at most.
    fn piece(&self) -> usize;

    /// Gives up the memory of an item that was handed out: nobody looks at it any more.
    fn release(&mut self) {}

    /// Whether there are whole items that need no more input.
    fn holds(&self) -> bool {
        false
    }
}

/// The acknowledgement of a TCP message.
pub const ACK: &[u8] = b"ACK";
/// The acknowledgement of a datagram.
pub const CHECK: &[u8] = b"check";
/// The port of both programs where none is given.
pub const DEFAULT_PORT: u16 = 6666;
/// The most bytes that one read takes, and so the longest message of `bytes` framing.
pub const READ_SIZE: usize = 64 * 1024;
/// The longest message that `lines` and `length` accept unless told otherwise.
pub const LONGEST_MESSAGE: usize = 65_536;
/// The most payload that one UDP datagram carries over IPv4.
pub const LONGEST_DATAGRAM: usize = 65_507;

/// The transport a message travelled by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// A stream: messages are cut out of it by a [`Framing`].
    Tcp,
    /// Datagrams: each is one message.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// Why a connection ended, as the transcript tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The peer shut its writing side, and everything owed was sent.
    Closed,
    /// The peer completed no message for the idle timeout.
    Idle,
    /// The peer reset the connection.
    Reset,
    /// The server is shutting down.
    Shutdown,
    /// The peer sent a message longer than is accepted.
    TooLong,
    /// The operator closed it.
    Operator,
    /// Reading or writing failed in another way.
    Error,
}

impl Reason {
    /// All of them, in the order in which they are numbered.
    pub const ALL: [Reason; 7] = [
        Reason::Closed,
        Reason::Idle,
        Reason::Reset,
        Reason::Shutdown,
        Reason::TooLong,
        Reason::Operator,
        Reason::Error,
    ];
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Closed => "closed",
            Reason::Idle => "idle",
            Reason::Reset => "reset",
            Reason::Shutdown => "shutdown",
            Reason::TooLong => "too long",
            Reason::Operator => "operator",
            Reason::Error => "error",
        })
    }
}

/// What the server says last on a connection that it ends itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Notice {
    /// It is shutting down.
    ShuttingDown,
    /// The client completed no message for the idle timeout.
    IdleTimeout,
    /// The client sent a message longer than is accepted.
    TooLong,
    /// It has as many clients as it takes.
    Full,
}

impl Notice {
    /// Every notice there is.
    pub const ALL: [Notice; 4] = [Notice::ShuttingDown, Notice::IdleTimeout, Notice::TooLong, Notice::Full];

    /// The notice's words on the wire.
    pub const fn text(self) -> &'static str {
        match self {
            Notice::ShuttingDown => "server is shutting down",
            Notice::IdleTimeout => "idle timeout",
            Notice::TooLong => "message too long",
            Notice::Full => "server is full",
        }
    }

    /// The notice that `message` is, to the byte.
    pub fn parse(message: &[u8]) -> Option<Notice> {
        Notice::ALL.into_iter().find(|notice| notice.text().as_bytes() == message)
    }
}

/// Services that answer whatever they are sent (echo, systat, daytime, qotd, chargen, time, dns, tftp, ntp). An answer to
/// one of them, for a datagram that somebody forged in its name, would begin an exchange that never ends.
pub const CHATTY_PORTS: [u16; 9] = [7, 11, 13, 17, 19, 37, 53, 69, 123];

/// Whether a datagram is itself a reply. Answering those without limit would let
/// two servers and one forged datagram keep each other busy for ever.
pub fn is_reply(datagram: &[u8]) -> bool {
    datagram == CHECK || datagram == ACK || Notice::parse(datagram).is_some() || stamps::is_stamp(datagram)
}

/// How a TCP stream is cut into messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Framing {
    /// Whatever one read returned is one message.
    #[default]
    Bytes,
    /// A message ends with a newline; one carriage return before it is dropped.
    Lines,
    /// A message follows its length as a 4-byte big-endian count.
    Length,
}

impl Framing {
    /// The acknowledgement of one message, as it stands on the wire.
    pub const fn ack(self) -> &'static [u8] {
        match self {
            Framing::Bytes => ACK,
            Framing::Lines => b"ACK\n",
            Framing::Length => b"\0\0\0\x03ACK",
        }
    }

    /// Appends `message` as it stands on the wire.
    ///
    /// A message that `length` framing cannot count (4 GiB and more) is cut to
    /// what it can; the programs refuse such messages long before.
    pub fn encode(self, message: &[u8], out: &mut Vec<u8>) {
        match self {
            Framing::Bytes => out.extend_from_slice(message),
            Framing::Lines => {
                out.extend_from_slice(message);
                out.push(b'\n');
            }
            Framing::Length => {
                let count = u32::try_from(message.len()).unwrap_or(u32::MAX);
                out.extend_from_slice(&count.to_be_bytes());
                out.extend_from_slice(&message[..count as usize]);
            }
        }
    }

    /// How many bytes a message on the wire has beside its own.
    fn around(self) -> usize {
        match self {
            Framing::Bytes => 0,
            Framing::Lines => 1,
            Framing::Length => size_of::<u32>(),
        }
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Framing::Bytes => "bytes",
            Framing::Lines => "lines",
            Framing::Length => "length",
        })
    }
}

#[cfg(test)]
mod tests;
