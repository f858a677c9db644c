//! One TCP connection, the same type on both ends: it moves bytes.
//!
//! It never blocks and never waits. What the bytes mean stands beside it: the
//! [`Inbox`] cuts messages out of what comes in, an [`Output`] is what goes out.

mod inbox;

use std::io::{self, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token, event};

pub use self::inbox::{Inbox, Prefaced, Pulled, Reading, buffer};
use crate::escape::cause;
use crate::reactor::Budget;
use crate::trace::{self, Counted, trace};
use crate::wire::Output;

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fill {
    /// This many bytes; with `more`, the stream may hold others: fill again.
    Data {
        /// Bytes at the head of the buffer that was handed in.
        len: usize,
        /// Whether the stream may hold more.
        more: bool,
    },
    /// Nothing is waiting; an event will come when that changes.
    Drained,
    /// Nothing was read: the budget is spent.
    CutOff,
    /// The peer has shut its writing side and everything before it was read.
    Ended,
}

/// A stream.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// A connection on `stream`.
    pub fn new(stream: TcpStream) -> Connection {
        Connection { stream }
    }

    /// The stream, for what only a socket can tell.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// One read into `buffer`, as far as the budget reaches.
    ///
    /// # Errors
    /// The connection is broken; what was read before is not lost.
    #[inline(always)]
    pub fn fill(&mut self, buffer: &mut [u8], budget: &mut Budget) -> io::Result<Fill> {
        let room = buffer.len().min(budget.bytes());
        let outcome = self.read(&mut buffer[..room], budget);
        if trace::is_on() {
            trace_fill(outcome.as_ref().map_err(io::Error::kind).copied(), room);
        }
        outcome
    }

    #[inline(always)]
    fn read(&mut self, buffer: &mut [u8], budget: &mut Budget) -> io::Result<Fill> {
        while budget.may_read() {
            match self.stream.read(buffer) {
                Ok(0) => return Ok(Fill::Ended),
                Ok(len) => {
                    budget.spend_bytes(len);
                    return Ok(Fill::Data { len, more: !budget.drained_by(len, buffer.len()) });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Fill::Drained),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => budget.spend(1),
                Err(error) => return Err(error),
            }
        }
        Ok(Fill::CutOff)
    }

    /// Writes what waits until all is written or the socket takes no more: with
    /// edge-triggered events only that promises to be told when it does.
    /// Returns how many bytes moved.
    ///
    /// # Errors
    /// The connection is broken.
    #[inline]
    pub fn flush(&mut self, output: &mut impl Output) -> io::Result<usize> {
        let (mut moved, mut scratch) = (0, Vec::new());
        while !output.is_empty() {
            match self.stream.write(output.head(&mut scratch)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => {
                    output.advance(len);
                    moved += len;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    trace!("    the socket takes no more for now");
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    trace!("    sending failed: {}", cause(&error));
                    return Err(error);
                }
            }
        }
        if trace::is_on() {
            trace_sent(moved);
        }
        Ok(moved)
    }

    /// Tells the peer that nothing more will come. Call it when no output waits.
    pub fn half_close(&self) {
        trace!("    shut our side");
        // It can only fail where the connection is gone, which the next read tells.
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

impl event::Source for Connection {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.stream.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.stream.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.stream.deregister(registry)
    }
}

// What is traced of each message stands apart, and takes values: a line that borrowed them would keep them out of
// registers, traced or not.

#[cold]
#[inline(never)]
fn trace_fill(outcome: Result<Fill, io::ErrorKind>, room: usize) {
    match outcome {
        Ok(Fill::Data { len, more: true }) => trace!("    read {len} of {room} bytes, there may be more"),
        Ok(Fill::Data { len, more: false }) => trace!("    read {len} of {room} bytes, a short read: it is drained"),
        Ok(Fill::Drained) => trace!("    read nothing: it is drained"),
        Ok(Fill::CutOff) => trace!("    read no more: its slice is over"),
        Ok(Fill::Ended) => trace!("    read the end of the stream"),
        Err(kind) => trace!("    read failed: {kind}"),
    }
}

#[cold]
#[inline(never)]
fn trace_sent(moved: usize) {
    if moved > 0 {
        trace!("    sent {}", Counted(moved, "byte"));
    }
}

/// Whether `error` means that the other end cut the connection, rather than
/// that something failed here.
pub fn is_reset(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(error.kind(), ConnectionReset | ConnectionAborted | BrokenPipe | NotConnected)
}
