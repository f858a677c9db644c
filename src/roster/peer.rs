//! One TCP peer of the server: its bytes, its messages, what it is owed, and what it is still here for.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpStream;

use crate::connection::{Connection, Inbox};
use crate::wire::{Decoder, Framing, Output, Owed, Reason};

/// What a connection is still here for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// A proxy stands before it, and has not said yet for whom it speaks.
    Unnamed,
    /// Messages come in, acknowledgements go out.
    Open,
    /// The peer has ended its side; what it is owed is on the way.
    Finishing,
    /// We have ended it: the last word is on the way, input is discarded.
    Dismissed,
    /// Nothing more: it is freed at the end of the turn.
    Doomed,
}

/// One TCP peer.
#[derive(Debug)]
pub struct Peer {
    /// The bytes: in and out.
    pub connection: Connection,
    /// The messages that come in.
    pub inbox: Inbox<Decoder>,
    /// What it is owed.
    pub owed: Owed,
    /// Who it is.
    pub address: SocketAddr,
    /// The proxy that speaks for it.
    pub via: Option<Box<SocketAddr>>,
    /// It is served like everyone, and nothing is told of it.
    pub is_quiet: bool,
    /// When it came.
    pub since: Instant,
    /// When it last made progress: completed a message, or took bytes that waited for it.
    pub progress: Instant,
    /// How many messages it completed.
    pub messages: u64,
    /// Why nothing reaches it any more, though it may have said something before that.
    pub lost: Option<Reason>,
    /// It was read for the last time: the end of the server has come.
    pub is_read_out: bool,
    /// How often it was looked at once more since it last made progress.
    pub looks: u32,
    pub(super) state: State,
    /// Whether it was turned away at the door, and so never counted as a client.
    pub(super) refused: bool,
    half_closed: bool,
    /// Until when it may linger, once dismissed; `None`: until the end of the roster.
    pub(super) until: Option<Instant>,
    /// It was told that the server ends.
    pub(super) seen_off: bool,
}

impl Peer {
    pub(super) fn new(stream: TcpStream, address: SocketAddr, framing: Framing, longest: usize, now: Instant) -> Peer {
        Peer {
            connection: Connection::new(stream),
            inbox: Inbox::new(Decoder::new(framing, longest)),
            owed: Owed::new(framing),
            address,
            via: None,
            is_quiet: false,
            since: now,
            progress: now,
            messages: 0,
            lost: None,
            is_read_out: false,
            looks: 0,
            state: State::Open,
            refused: false,
            half_closed: false,
            until: None,
            seen_off: false,
        }
    }

    /// What it is still here for.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether it counts as a client: neither dismissed nor doomed.
    pub fn is_client(&self) -> bool {
        matches!(self.state, State::Unnamed | State::Open | State::Finishing)
    }

    /// Whether it was told to go, or turned away, for another reason than the end: what becomes of it is no cut of the end's.
    pub fn parted_for_another_reason(&self) -> bool {
        self.state == State::Dismissed && !self.seen_off
    }

    /// Sends what it is owed, as far as it takes it; behind the last word of a dismissed one its writing side is shut.
    /// Returns how many bytes moved.
    ///
    /// # Errors
    /// The connection is broken.
    #[inline]
    pub fn flush(&mut self) -> io::Result<usize> {
        if self.owed.is_empty() && self.state != State::Dismissed {
            return Ok(0);
        }
        let moved = self.connection.flush(&mut self.owed)?;
        if self.state == State::Dismissed && self.owed.is_empty() && !std::mem::replace(&mut self.half_closed, true) {
            self.connection.half_close();
        }
        Ok(moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With its deadlines and its place in the queue an idle connection is to cost 256 bytes at the most.
    #[test]
    #[cfg(all(target_pointer_width = "64", target_os = "linux"))]
    fn a_peer_takes_200_bytes() {
        assert!(size_of::<Peer>() <= 200, "{} bytes", size_of::<Peer>());
    }
}
