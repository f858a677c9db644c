//! The roster: every TCP connection of the server, in its slots.
//!
//! A connection is open (first, where a proxy stands before it, unnamed: who the
//! client is has not been said yet), or finishing (the peer has ended its side and is still
//! owed something), or dismissed (its last word is on the way and it may linger
//! for a while to take it, while its input is discarded), or doomed. Doom is
//! only marked; [`reap`](Roster::reap) is the one door out, once a turn, so a
//! slot is never given to a new tenant while an event of the old one may still
//! be at hand.

mod peer;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::Registry;
use mio::net::TcpStream;

pub use self::peer::{Peer, State};
use crate::reactor::lru::Lru;
use crate::reactor::{Key, Reactor, Slots, Source, sooner, stream_interest};
use crate::wire::Framing;

/// One that was told to go has so long to take it.
const LINGER: Duration = Duration::from_secs(1);
/// Who the client is has to be said within this, or the idle timeout where that is shorter.
const NAMED_WITHIN: Duration = Duration::from_secs(5);

/// All connections, with their deadlines.
#[derive(Debug)]
pub struct Roster {
    peers: Slots<Peer>,
    framing: Framing,
    longest: usize,
    idle_timeout: Option<Duration>,
    /// Nobody stays beyond this, once the end has come; `None`: for ever.
    end: Option<Instant>,
    /// Clients, longest without progress first.
    idle: Lru,
    /// The unnamed among them, first come first.
    unnamed: Lru,
    unnamed_count: usize,
    /// Dismissed ones, first dismissed first.
    lingering: Lru,
    /// Those who were seen off, in the same order: they may stay for another time than the rest.
    seen_off: Lru,
    doomed: Vec<Key>,
    clients: usize,
    refused: usize,
}

impl Roster {
    /// An empty roster of connections with this framing and messages of up to `longest` bytes. An `idle_timeout` of
    /// `None` means never.
    pub fn new(framing: Framing, longest: usize, idle_timeout: Option<Duration>) -> Roster {
        Roster {
            peers: Slots::new(),
            framing,
            longest,
            idle_timeout,
            end: None,
            idle: Lru::default(),
            unnamed: Lru::default(),
            unnamed_count: 0,
            lingering: Lru::default(),
            seen_off: Lru::default(),
            doomed: Vec::new(),
            clients: 0,
            refused: 0,
        }
    }

    /// Takes a connection in and registers it.
    ///
    /// # Errors
    /// The poll does not take it, or there are more than a token can name; the connection is then closed.
    pub fn open<S: Source>(
        &mut self,
        stream: TcpStream,
        address: SocketAddr,
        now: Instant,
        reactor: &Reactor<S>,
    ) -> io::Result<Key> {
        let mut peer = Peer::new(stream, address, self.framing, self.longest, now);
        let key = self.peers.insert_with(|key| {
            reactor.registry().register(&mut peer.connection, S::of_key(key).token(), stream_interest())?;
            Ok(peer)
        })?;
        self.idle.touch(key.slot());
        self.clients += 1;
        Ok(key)
    }

    /// The peer of `key`, unless it has been reaped; a later tenant of its slot is somebody else.
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut Peer> {
        self.peers.get_mut(key)
    }

    /// The peer made progress: its idle time begins anew.
    #[inline]
    pub fn progress(&mut self, key: Key, now: Instant) {
        if let Some(peer) = self.peers.get_mut(key)
            && peer.is_client()
        {
            peer.progress = now;
            peer.looks = 0;
            self.idle.touch(key.slot());
        }
    }

    /// A proxy stands before one that was just opened: it is to say soon for whom it speaks.
    pub fn expect_name(&mut self, key: Key) {
        if let Some(peer) = self.peers.get_mut(key)
            && peer.state == State::Open
        {
            peer.state = State::Unnamed;
            self.unnamed.touch(key.slot());
            self.unnamed_count += 1;
        }
    }

    /// It is known now who it is: `client`, or who it seemed to be. That is no progress, its idle time goes on.
    pub fn name(&mut self, key: Key, client: Option<SocketAddr>) {
        if let Some(peer) = self.peers.get_mut(key)
            && peer.state == State::Unnamed
        {
            peer.state = State::Open;
            if let Some(client) = client {
                peer.via = Some(Box::new(std::mem::replace(&mut peer.address, client)));
            }
            self.forget_unnamed(key);
        }
    }

    fn forget_unnamed(&mut self, key: Key) {
        self.unnamed.remove(key.slot());
        self.unnamed_count -= 1;
    }

    /// It has ended its side: it is done when what it is owed has gone out.
    pub fn finish(&mut self, key: Key) {
        if let Some(peer) = self.peers.get_mut(key)
            && peer.is_client()
        {
            peer.state = State::Finishing;
        }
    }

    /// Its last word is queued: from now on it lingers for a second, but not beyond the end.
    pub fn dismiss(&mut self, key: Key, now: Instant) {
        if self.part(key, now.checked_add(LINGER)) {
            self.lingering.touch(key.slot());
        }
    }

    /// Its last word is queued, that the server ends: it lingers until then (`None`: until the end, where that is known).
    /// Of two, the first may not stay longer.
    pub fn see_off(&mut self, key: Key, until: Option<Instant>) {
        if self.part(key, until) {
            self.seen_off.touch(key.slot());
            if let Some(peer) = self.peers.get_mut(key) {
                peer.seen_off = true;
            }
        }
    }

    /// Whether it was a client.
    fn part(&mut self, key: Key, until: Option<Instant>) -> bool {
        let Some(peer) = self.peers.get_mut(key).filter(|peer| peer.is_client()) else {
            return false;
        };
        let was_unnamed = std::mem::replace(&mut peer.state, State::Dismissed) == State::Unnamed;
        peer.looks = 0;
        peer.until = until;
        self.clients -= 1;
        self.idle.remove(key.slot());
        if was_unnamed {
            self.forget_unnamed(key);
        }
        true
    }

    /// Dismisses a peer that was never a client: the house is full.
    pub fn refuse(&mut self, key: Key, now: Instant) {
        self.dismiss(key, now);
        if let Some(peer) = self.peers.get_mut(key) {
            peer.refused = true;
            self.refused += 1;
        }
    }

    /// Marks it to be freed by the next [`reap`](Roster::reap). Nothing more is read or written.
    pub fn doom(&mut self, key: Key) {
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        let was_refused = peer.refused;
        match std::mem::replace(&mut peer.state, State::Doomed) {
            State::Doomed => return,
            State::Dismissed if peer.seen_off => self.seen_off.remove(key.slot()),
            State::Dismissed => self.lingering.remove(key.slot()),
            state @ (State::Unnamed | State::Open | State::Finishing) => {
                self.idle.remove(key.slot());
                self.clients -= 1;
                if state == State::Unnamed {
                    self.forget_unnamed(key);
                }
            }
        }
        self.refused -= usize::from(was_refused);
        self.doomed.push(key);
    }

    /// Frees the doomed. Returns how many there were.
    pub fn reap(&mut self, registry: &Registry) -> usize {
        let count = self.doomed.len();
        for key in self.doomed.drain(..) {
            let peer = self.peers.remove(key);
            // With epoll closing the descriptor does it, and one system call less.
            if cfg!(not(target_os = "linux"))
                && let Some(mut peer) = peer
            {
                // A failure leaves nothing to do.
                let _ = registry.deregister(&mut peer.connection);
            }
        }
        count
    }

    /// Whether the next [`reap`](Roster::reap) frees somebody.
    pub fn has_doomed(&self) -> bool {
        !self.doomed.is_empty()
    }

    /// From now on nobody idles, and nobody lingers beyond `until` (`None`: never).
    pub fn end_at(&mut self, until: Option<Instant>) {
        self.idle_timeout = None;
        self.end = until;
    }

    /// The client that has made no progress for the idle timeout, if there is one at `now`.
    pub fn idle_at(&self, now: Instant) -> Option<Key> {
        // The exercise sets a timeout on each socket; equal ones are a queue.
        let (key, due) = self.first_idle()?;
        (due <= now).then_some(key)
    }

    /// The one of which it should have been said by `now` who it is, if there is one.
    pub fn unnamed_at(&self, now: Instant) -> Option<Key> {
        let (key, due) = self.first_unnamed()?;
        (due <= now).then_some(key)
    }

    /// The connection that has lingered long enough, if there is one at `now`; at the end that is everyone.
    pub fn overstayed_at(&self, now: Instant) -> Option<Key> {
        let (key, due) = self.first_overstayed()?;
        (due <= now).then_some(key)
    }

    /// When the next one is due: unnamed, idle or overstayed.
    pub fn next_deadline(&self) -> Option<Instant> {
        let due = |first: Option<(Key, Instant)>| first.map(|(_, due)| due);
        let known = sooner(due(self.first_idle()), due(self.first_overstayed()));
        // Mostly there is none, and nobody pays for that.
        if self.unnamed_count == 0 { known } else { sooner(due(self.first_unnamed()), known) }
    }

    fn first_unnamed(&self) -> Option<(Key, Instant)> {
        let (key, peer) = self.peers.tenant(self.unnamed.front()?)?;
        let allowed = self.idle_timeout.map_or(NAMED_WITHIN, |timeout| timeout.min(NAMED_WITHIN));
        Some((key, peer.since.checked_add(allowed)?))
    }

    fn first_idle(&self) -> Option<(Key, Instant)> {
        let (key, peer) = self.peers.tenant(self.idle.front()?)?;
        Some((key, peer.progress.checked_add(self.idle_timeout?)?))
    }

    fn first_overstayed(&self) -> Option<(Key, Instant)> {
        let fronts = [self.lingering.front(), self.seen_off.front()];
        if fronts == [None, None] {
            // Who has not even been dismissed by the end never will be.
            let end = self.end?;
            return self.peers.tenant(self.idle.front()?).map(|(key, _)| (key, end));
        }
        let due = |slot| {
            let (key, peer) = self.peers.tenant(slot)?;
            Some((key, sooner(peer.until, self.end)?))
        };
        fronts.into_iter().flatten().filter_map(due).min_by_key(|(_, due)| *due)
    }

    /// The one that has lingered for longest: its place may be wanted. Who was told that the server ends keeps it: it was
    /// a client a moment ago.
    pub fn longest_lingering(&self) -> Option<Key> {
        self.peers.tenant(self.lingering.front()?).map(|(key, _)| key)
    }

    /// Clients: open or finishing, the unnamed among them.
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// Clients of which it is not known yet who they are.
    pub fn unnamed(&self) -> usize {
        self.unnamed_count
    }

    /// Dismissed connections that were turned away at the door.
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// Connections of every kind but the doomed.
    pub fn len(&self) -> usize {
        self.peers.len() - self.doomed.len()
    }

    /// Whether there is none of any kind, the doomed among them.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// The clients, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &Peer)> {
        self.peers.iter().filter(|(_, peer)| peer.is_client())
    }
}
