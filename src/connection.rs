//! One TCP connection, the same type on both ends: fill, next message, send,
//! flush, half-close.
//!
//! It never blocks and never waits. Reading stops while output waits to be
//! taken, so what one peer can make us keep is bounded by what one read owes it.

use std::io::{self, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token, event};

use crate::reactor::Ready;
use crate::wire::Decoder;

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// The peer has shut its writing side and everything before it was read.
    Ended,
}

/// A stream, the decoder of what comes in, and what could not go out yet.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    outbox: Vec<u8>,
    /// How much of the outbox is on its way already.
    flushed: usize,
    /// Cuts messages out of what [`fill`](Connection::fill) brings.
    pub decoder: Decoder,
}

impl Connection {
    /// A connection on `stream`, whose messages `decoder` finds.
    pub fn new(stream: TcpStream, decoder: Decoder) -> Connection {
        Connection { stream, outbox: Vec::new(), flushed: 0, decoder }
    }

    /// The stream, for what only a socket can tell.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// One read into `buffer`.
    ///
    /// # Errors
    /// The connection is broken; what was read before is not lost.
    #[inline]
    pub fn fill(&mut self, buffer: &mut [u8], ready: Ready) -> io::Result<Fill> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Ok(Fill::Ended),
                Ok(len) => return Ok(Fill::Data { len, more: !ready.drained_by(len, buffer.len()) }),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Fill::Drained),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends `bytes` behind whatever waits already: written at once as far as
    /// the socket takes them, kept for [`flush`](Connection::flush) beyond that.
    ///
    /// # Errors
    /// The connection is broken.
    #[inline]
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = if self.output_waits() { 0 } else { self.write(bytes)? };
        self.outbox.extend_from_slice(&bytes[written..]);
        Ok(())
    }

    /// Writes what waits, as far as the socket takes it. Returns how many bytes moved.
    ///
    /// # Errors
    /// The connection is broken.
    #[inline]
    pub fn flush(&mut self) -> io::Result<usize> {
        if !self.output_waits() {
            return Ok(0);
        }
        let outbox = std::mem::take(&mut self.outbox);
        let flushed = std::mem::take(&mut self.flushed);
        let moved = self.write(&outbox[flushed..])?;
        if flushed + moved < outbox.len() {
            (self.outbox, self.flushed) = (outbox, flushed + moved);
        }
        Ok(moved)
    }

    /// Whether output waits for the peer to take it. Until it did, nothing more
    /// should be read from that peer.
    #[inline]
    pub fn output_waits(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Forgets the output that waits: nobody is there to take it.
    pub fn abandon_output(&mut self) {
        self.outbox = Vec::new();
        self.flushed = 0;
    }

    /// Tells the peer that nothing more will come. Call it when no output waits.
    pub fn half_close(&self) {
        // It can only fail where the connection is gone, which the next read tells.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Writes until all is written or the socket takes no more: with
    /// edge-triggered events only that promises to be told when it does.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while written < bytes.len() {
            match self.stream.write(&bytes[written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => written += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
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

/// Whether `error` means that the other end cut the connection, rather than
/// that something failed here.
pub fn is_reset(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(error.kind(), ConnectionReset | ConnectionAborted | BrokenPipe | NotConnected)
}
