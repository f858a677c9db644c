//! The way to a name: its addresses, tried one after the other, each opened here and given up for the next here.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::link::Link;
use super::origin::Origin;
use super::stage::{Source, Stage};
use crate::reactor::{Key, Reactor, Slots};
use crate::wire::{Framing, Protocol};

/// Each address but the last gets so long to accept a connection ...
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// ... or to answer a datagram.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// The address being tried or used, and those that are left.
#[derive(Debug)]
pub struct Route {
    protocol: Protocol,
    framing: Framing,
    origin: Origin,
    peer: SocketAddr,
    rest: VecDeque<SocketAddr>,
    /// The addresses that were settled on and left, in that order.
    left: Vec<SocketAddr>,
    /// Whether an address was not tried for a shortage of our own.
    was_short: bool,
}

impl Route {
    /// The way to the first of `addresses`, of which there is one at least.
    pub fn new(protocol: Protocol, framing: Framing, origin: Origin, addresses: Vec<SocketAddr>) -> Route {
        let mut rest = VecDeque::from(addresses);
        let peer = rest.pop_front().unwrap_or(([0, 0, 0, 0], 0).into());
        Route { protocol, framing, origin, peer, rest, left: Vec::new(), was_short: false }
    }

    /// The address being tried or used.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Opens a socket to that address, under `key`.
    ///
    /// # Errors
    /// There is no socket, or the system knows at once that there is no way.
    pub fn open(&self, key: Key, reactor: &Reactor<Source>) -> io::Result<Link> {
        Link::open(self.protocol, self.peer, self.framing, &self.origin, key, reactor)
    }

    /// Opens a socket to that address among `links`, as soon as the system lets us.
    ///
    /// # Errors
    /// As [`Stage::as_soon_as_may_be`].
    pub fn open_soon(&self, links: &mut Slots<Link>, stage: &mut Stage) -> io::Result<Key> {
        stage.as_soon_as_may_be(None, |reactor| links.insert_with(|key| self.open(key, reactor)))
    }

    /// Whether there are other addresses to try.
    pub fn has_others(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Gives the address up for the next; whether there is one.
    pub fn go_on(&mut self) -> bool {
        let next = self.rest.pop_front();
        self.peer = next.unwrap_or(self.peer);
        next.is_some()
    }

    /// As [`go_on`](Route::go_on), and says why this address was not the one, where that is known.
    pub fn pass_over(&mut self, why: &mut Option<String>, stage: &mut Stage) -> bool {
        let passed = self.peer;
        let goes_on = self.go_on();
        if let Some(why) = why.take_if(|_| goes_on) {
            stage.pass_over(self.protocol, passed, &why);
        }
        goes_on
    }

    /// Says that this address cannot be tried for a [shortage](crate::process::limits::Shortage) of our own.
    pub fn lack(&mut self, shortage: &io::Error, stage: &mut Stage) {
        self.was_short = true;
        stage.cannot_try(self.protocol, self.peer, shortage);
    }

    /// Whether an address was not tried: then not all of the name was, and where no other is open either, nothing is known.
    pub fn was_short(&self) -> bool {
        self.was_short
    }

    /// This address is the one, whatever kept others from being tried.
    pub fn settle(&mut self) {
        self.rest.clear();
        self.was_short = false;
    }

    /// The name has moved: another address is the one from now on.
    pub fn move_to(&mut self, address: SocketAddr) {
        self.left.push(std::mem::replace(&mut self.peer, address));
    }

    /// Whether this address was in use before.
    pub fn has_been_at(&self, address: SocketAddr) -> bool {
        self.left.contains(&address)
    }

    /// The same way from any port of ours, for what is asked beside.
    pub fn from_any_port(&self) -> Route {
        let (rest, left) = (VecDeque::new(), Vec::new());
        Route { origin: self.origin.from_any_port(), rest, left, ..*self }
    }

    /// How many addresses were left for another.
    pub fn moves(&self) -> usize {
        self.left.len()
    }

    /// The address in use after so many moves.
    pub fn after(&self, moves: usize) -> SocketAddr {
        self.left.get(moves).copied().unwrap_or(self.peer)
    }

    /// How long the address may take to accept or to answer, where one may take `timeout`.
    pub fn patience(&self, timeout: Option<Duration>) -> Option<Duration> {
        let most = match self.protocol {
            _ if self.rest.is_empty() => return timeout,
            Protocol::Tcp => CONNECT_TIMEOUT,
            Protocol::Udp => ANSWER_TIMEOUT,
        };
        Some(most)
    }
}
