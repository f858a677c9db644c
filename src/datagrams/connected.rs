//! The client's UDP socket: one server at its far end, and what the network says of the way there.
//!
//! A router that has no way for a datagram says so (ICMP), and so does a host without a service. Such news belongs to a
//! datagram that left long ago, but comes as an error of whatever call is next. Here it is kept apart: what
//! [`send`](Connected::send) fails with is its own, what [`receive`](Connected::receive) fails with is news. On Linux
//! the system keeps a queue of it, with the beginning of each datagram; elsewhere there is the bare error.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use super::{PATIENCE, Received, system};
use crate::reactor::Budget;
use crate::trace::{Counted, trace};
use crate::wire::Mark;

/// What was found out while something was sent and waits to be received. What comes beyond is left to the system, which
/// may forget it.
const FOUND: usize = 256;

/// A datagram of ours did not arrive, says the network.
#[derive(Debug)]
pub struct Refusal {
    /// Why.
    pub error: io::Error,
    /// Which it was: where that is told, and it was a probe.
    pub mark: Option<Mark>,
    /// It was too long for a link on the way.
    pub too_big: Option<TooBig>,
}

/// A router's word on a datagram that is too long for its next link and must not be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBig {
    /// Who says so, where that is told.
    pub by: Option<IpAddr>,
    /// What that link takes, headers included; 0 from a router that does not tell.
    pub mtu: u32,
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> io::Error {
        refusal.error
    }
}

/// The next of what the system has kept.
#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(super) enum News {
    /// The network's word on an earlier datagram.
    Refusal(Refusal),
    /// What the system said itself, when it was sent.
    Own,
    /// There is none, or none any more.
    Nothing,
    /// This system keeps none.
    Unkept,
}

/// What a receive came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// A datagram of so many bytes.
    Datagram(usize),
    /// There is no more for now.
    Drained,
    /// The slice is over, and there may be more.
    CutOff,
}

/// Datagrams that were received together: one room for all the sockets of a client.
#[derive(Debug)]
pub struct Batch(system::Answers);

impl Batch {
    /// An empty one.
    #[expect(clippy::new_without_default, reason = "it takes 2 MiB of addresses")]
    pub fn new() -> Batch {
        Batch(system::Answers::new())
    }

    /// The next datagram, and when the kernel received it, by the clock on the wall in ns since 1970: where it tells.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "a datagram borrows from the batch, an iterator's item cannot")]
    pub fn next(&mut self) -> Option<(&[u8], Option<u64>)> {
        self.0.next()
    }
}

/// A UDP socket that is connected to one server.
#[derive(Debug)]
pub struct Connected {
    socket: UdpSocket,
    /// Whether the system keeps news of it.
    is_kept: bool,
    found: VecDeque<Refusal>,
    /// The error of a call that was not its own: the system has kept what it is about, or has not.
    bare: Option<io::Error>,
    /// The system may have kept more.
    may_be_more: bool,
}

impl Connected {
    /// Takes over a socket that is connected, or will be.
    pub fn new(socket: UdpSocket) -> Connected {
        Connected {
            is_kept: system::keep_news(&socket),
            socket,
            found: VecDeque::new(),
            bare: None,
            may_be_more: false,
        }
    }

    /// The socket itself.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Has `registry` report under `token` when there is room for datagrams, beside those that come.
    ///
    /// # Errors
    /// It does not take it.
    pub fn await_room(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.reregister(&mut self.socket, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Sends a datagram. False where it finds no room.
    ///
    /// # Errors
    /// The system does not take this one.
    pub fn send(&mut self, message: &[u8]) -> io::Result<bool> {
        let mut patience = PATIENCE;
        loop {
            let error = match self.socket.send(message) {
                Ok(_) => {
                    trace!("    sent a datagram of {}", Counted(message.len(), "byte"));
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => system::named(error),
            };
            patience -= 1;
            match self.own(error) {
                Some(error) => return Err(error),
                None if patience == 0 => return Err(io::ErrorKind::Interrupted.into()),
                None => {}
            }
        }
    }

    /// The error of a send, if it was its own. Otherwise it was news of an earlier datagram, which is found then, and
    /// gone from the socket.
    fn own(&mut self, error: io::Error) -> Option<io::Error> {
        if self.found.len() >= FOUND {
            return None;
        }
        for _ in 0..PATIENCE {
            match self.next_news() {
                News::Refusal(refusal) => {
                    self.found.push_back(refusal);
                    self.may_be_more = true;
                    // The next one in the queue has taken its place.
                    let _ = self.socket.take_error();
                    return None;
                }
                News::Own => {}
                News::Nothing => break,
                // Whose it is, a second attempt shows.
                News::Unkept => match self.bare.take() {
                    Some(_) => break,
                    None => {
                        self.bare = Some(error);
                        return None;
                    }
                },
            }
        }
        Some(error)
    }

    fn next_news(&self) -> News {
        if self.is_kept { system::next_news(&self.socket) } else { News::Unkept }
    }

    /// Receives the next datagram into `buffer`, within `budget`. What has come is told before news of what did not
    /// arrive: an answer is the better word on its question.
    ///
    /// # Errors
    /// One of ours did not arrive. There may be more to receive.
    pub fn receive(&mut self, buffer: &mut [u8], budget: &mut Budget) -> Result<Came, Refusal> {
        while budget.may_read() {
            budget.spend(1);
            match self.socket.recv(buffer) {
                Ok(len) => {
                    budget.spend_bytes(len);
                    trace!("    received a datagram of {}", Counted(len, "byte"));
                    return Ok(Came::Datagram(len));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.drained(budget),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.bare = Some(system::named(error)),
            }
        }
        Ok(Came::CutOff)
    }

    /// How many datagrams found no room here since it was made: where the system tells.
    pub fn dropped(&self) -> Option<u64> {
        system::dropped(&self.socket)
    }

    /// Has the kernel tell when each datagram came, where it can.
    ///
    /// # Errors
    /// It does not.
    pub fn tell_times(&self) -> io::Result<()> {
        system::tell_times(&self.socket)
    }

    /// As [`receive`](Connected::receive), but whatever waits up to a batch of it, in place of the batch before; or one
    /// datagram `alone`, which says nothing of others.
    ///
    /// # Errors
    /// One of ours did not arrive. There may be more to receive.
    pub fn receive_batch(&mut self, alone: bool, batch: &mut Batch, budget: &mut Budget) -> Result<Received, Refusal> {
        while budget.may_read() {
            let received = match alone {
                true => batch.0.receive_one(&self.socket),
                false => batch.0.receive(&self.socket),
            };
            match received {
                Ok(received) => {
                    trace!("    received {}", Counted(batch.0.left(), "datagram"));
                    budget.spend(batch.0.left());
                    return Ok(if self.has_news() { Received::More } else { received });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.drained(budget).map(|came| match came {
                        Came::CutOff => Received::CutOff,
                        Came::Datagram(_) | Came::Drained => Received::Drained,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => budget.spend(1),
                Err(error) => {
                    budget.spend(1);
                    self.bare = Some(system::named(error));
                }
            }
        }
        Ok(Received::CutOff)
    }

    /// Whether it is known that there is news of what did not arrive.
    pub fn has_news(&self) -> bool {
        self.may_be_more || self.bare.is_some() || !self.found.is_empty()
    }

    /// No datagram waits any more; news may.
    fn drained(&mut self, budget: &mut Budget) -> Result<Came, Refusal> {
        if let Some(refusal) = self.found.pop_front() {
            return Err(refusal);
        }
        while self.may_be_more || self.bare.is_some() {
            if !budget.may_read() {
                return Ok(Came::CutOff);
            }
            budget.spend(1);
            match self.next_news() {
                News::Refusal(refusal) => {
                    self.bare = None;
                    self.may_be_more = true;
                    return Err(refusal);
                }
                News::Own => {}
                News::Nothing | News::Unkept => {
                    self.may_be_more = false;
                    // There was no room to keep it in.
                    return self
                        .bare
                        .take()
                        .map_or(Ok(Came::Drained), |error| Err(Refusal { error, mark: None, too_big: None }));
                }
            }
        }
        Ok(Came::Drained)
    }
}
