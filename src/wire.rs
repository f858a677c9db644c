//! The wire: the words both ends speak and the framings that turn bytes into messages.

use std::fmt;

/// The transport a message travelled by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// How a TCP stream is cut into messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Whatever one read returned is one message.
    #[default]
    Bytes,
    /// A message ends with a newline; one carriage return before it is dropped.
    Lines,
    /// A message follows its length as a 4-byte big-endian count.
    Length,
}

/// Why a connection ended, as the transcript tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
