//! The roster: every TCP connection of the server, in a slab.
//!
//! A connection is open, or finishing (the peer has ended its side and is still
//! owed something), or dismissed (its last word is on the way and it may linger
//! for the grace, while its input is discarded), or doomed. Doom is
//! only marked; [`reap`](Roster::reap) is the one door out, once a turn, so a
//! slot is never given to a new tenant while an event of the old one may still
//! be at hand.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::Registry;
use mio::net::TcpStream;
use slab::Slab;

use crate::connection::Connection;
use crate::reactor::lru::Lru;
use crate::reactor::{Key, Source, stream_interest};
use crate::wire::Decoder;

/// What a connection is still here for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
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
    /// The connection itself.
    pub connection: Connection,
    /// Who it is.
    pub address: SocketAddr,
    /// When it came.
    pub since: Instant,
    /// When it last made progress: completed a message, or took bytes that waited for it.
    pub progress: Instant,
    /// How many messages it completed.
    pub messages: u64,
    state: State,
    /// Whether it was turned away at the door, and so never counted as a client.
    refused: bool,
    half_closed: bool,
    key: Key,
}

impl Peer {
    /// What it is still here for.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether it counts as a client: neither dismissed nor doomed.
    pub fn is_client(&self) -> bool {
        matches!(self.state, State::Open | State::Finishing)
    }

    /// Its key.
    pub fn key(&self) -> Key {
        self.key
    }

    /// Shuts the writing side, once.
    pub fn half_close(&mut self) {
        if !std::mem::replace(&mut self.half_closed, true) {
            self.connection.half_close();
        }
    }
}

/// All connections, with their deadlines.
#[derive(Debug)]
pub struct Roster {
    peers: Slab<Peer>,
    /// How many tenants each slot has had.
    tenants: Vec<u32>,
    idle_timeout: Option<Duration>,
    grace: Option<Duration>,
    /// Open and finishing ones, longest without progress first.
    idle: Lru,
    /// Dismissed ones, first dismissed first; `progress` is then the time of the dismissal.
    lingering: Lru,
    doomed: Vec<Key>,
    open: usize,
    refused: usize,
}

impl Roster {
    /// An empty roster. `idle_timeout` and `grace` of `None` mean never.
    pub fn new(idle_timeout: Option<Duration>, grace: Option<Duration>) -> Roster {
        Roster {
            peers: Slab::new(),
            tenants: Vec::new(),
            idle_timeout,
            grace,
            idle: Lru::default(),
            lingering: Lru::default(),
            doomed: Vec::new(),
            open: 0,
            refused: 0,
        }
    }

    /// Takes a connection in and registers it.
    ///
    /// # Errors
    /// The poll does not take it, or there are more than a token can name; the connection is then closed.
    pub fn open(
        &mut self,
        stream: TcpStream,
        address: SocketAddr,
        decoder: Decoder,
        now: Instant,
        registry: &Registry,
    ) -> io::Result<Key> {
        let entry = self.peers.vacant_entry();
        let slot = match u32::try_from(entry.key()) {
            Ok(slot) if entry.key() < Key::SLOTS => slot,
            _ => return Err(io::Error::other("more connections than a token can name")),
        };
        if self.tenants.len() <= entry.key() {
            self.tenants.resize(entry.key() + 1, 0);
        }
        let tenants = &mut self.tenants[entry.key()];
        let key = Key::new(slot, *tenants);
        let mut connection = Connection::new(stream, decoder);
        registry.register(&mut connection, Source::Peer(key).token(), stream_interest())?;
        *tenants = tenants.wrapping_add(1);
        entry.insert(Peer {
            connection,
            address,
            since: now,
            progress: now,
            messages: 0,
            state: State::Open,
            refused: false,
            half_closed: false,
            key,
        });
        self.idle.touch(slot);
        self.open += 1;
        Ok(key)
    }

    /// The peer of `key`, unless it has been reaped; a later tenant of its slot is somebody else.
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut Peer> {
        self.peers.get_mut(key.slot() as usize).filter(|peer| peer.key == key)
    }

    /// The peer made progress: its idle time begins anew.
    #[inline]
    pub fn progress(&mut self, key: Key, now: Instant) {
        if let Some(peer) = self.get_mut(key)
            && peer.is_client()
        {
            peer.progress = now;
            self.idle.touch(key.slot());
        }
    }

    /// It has ended its side: it is done when what it is owed has gone out.
    pub fn finish(&mut self, key: Key) {
        if let Some(peer) = self.get_mut(key)
            && peer.is_client()
        {
            peer.state = State::Finishing;
        }
    }

    /// Its last word is queued: from now on it lingers, for the grace at most.
    pub fn dismiss(&mut self, key: Key, now: Instant) {
        if let Some(peer) = self.get_mut(key)
            && peer.is_client()
        {
            peer.state = State::Dismissed;
            peer.progress = now;
            self.open -= 1;
            self.idle.remove(key.slot());
            self.lingering.touch(key.slot());
        }
    }

    /// Dismisses a peer that was never a client: the house is full.
    pub fn refuse(&mut self, key: Key, now: Instant) {
        self.dismiss(key, now);
        if let Some(peer) = self.get_mut(key) {
            peer.refused = true;
            self.refused += 1;
        }
    }

    /// Marks it to be freed by the next [`reap`](Roster::reap). Nothing more is read or written.
    pub fn doom(&mut self, key: Key) {
        let Some(peer) = self.get_mut(key) else {
            return;
        };
        let refused = peer.refused;
        match std::mem::replace(&mut peer.state, State::Doomed) {
            State::Doomed => return,
            State::Dismissed => self.lingering.remove(key.slot()),
            State::Open | State::Finishing => {
                self.idle.remove(key.slot());
                self.open -= 1;
            }
        }
        self.refused -= usize::from(refused);
        self.doomed.push(key);
    }

    /// Frees the doomed. Returns how many there were.
    pub fn reap(&mut self, registry: &Registry) -> usize {
        let count = self.doomed.len();
        for key in self.doomed.drain(..) {
            let mut peer = self.peers.remove(key.slot() as usize);
            // Closing the descriptor does it as well; a failure leaves nothing to do.
            let _ = registry.deregister(&mut peer.connection);
        }
        count
    }

    /// The client that has made no progress for the idle timeout, if there is one at `now`.
    pub fn idle_at(&self, now: Instant) -> Option<Key> {
        let (key, due) = self.first(&self.idle, self.idle_timeout)?;
        (due <= now).then_some(key)
    }

    /// The connection whose grace is over, if there is one at `now`.
    pub fn overstayed_at(&self, now: Instant) -> Option<Key> {
        let (key, due) = self.first(&self.lingering, self.grace)?;
        (due <= now).then_some(key)
    }

    /// When the next one is due, idle or overstayed.
    pub fn next_deadline(&self) -> Option<Instant> {
        let idle = self.first(&self.idle, self.idle_timeout);
        let overstayed = self.first(&self.lingering, self.grace);
        [idle, overstayed].into_iter().flatten().map(|(_, due)| due).min()
    }

    /// Clients: open or finishing.
    pub fn clients(&self) -> usize {
        self.open
    }

    /// Dismissed connections that were turned away at the door.
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// Whether `key` is one of those.
    pub fn is_refused(&self, key: Key) -> bool {
        self.peers.get(key.slot() as usize).is_some_and(|peer| peer.key == key && peer.refused)
    }

    /// Connections of every kind: each holds a descriptor.
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether there is none of any kind.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// The clients, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &Peer)> {
        let peers = self.peers.iter().map(|(_, peer)| (peer.key, peer));
        peers.filter(|(_, peer)| peer.is_client())
    }

    /// Every connection that is not doomed, in the order of their slots.
    pub fn keys(&self) -> Vec<Key> {
        self.peers.iter().filter(|(_, peer)| peer.state != State::Doomed).map(|(_, peer)| peer.key).collect()
    }

    /// The first of `queue` and when it is due; `None` where that is never.
    fn first(&self, queue: &Lru, allowed: Option<Duration>) -> Option<(Key, Instant)> {
        let peer = self.peers.get(queue.front()? as usize)?;
        Some((peer.key, peer.progress.checked_add(allowed?)?))
    }
}
