//! The UDP peers heard from most recently, so that a shutdown can tell them, and what is remembered of their probes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::session::{Seen, Session};
use crate::datagrams::Local;
use crate::reactor::lru::Lru;
use crate::wire::Probe;

/// How many are remembered; the newest stay.
const REMEMBERED: usize = 1024;

/// A bounded table of peers, in the order in which they were last heard.
#[derive(Debug, Default)]
pub(super) struct Peers {
    entries: Vec<Entry>,
    slots: HashMap<SocketAddr, u32>,
    order: Lru,
}

#[derive(Debug)]
struct Entry {
    peer: SocketAddr,
    /// The address of ours that it speaks to, and expects to hear from.
    local: Local,
    heard: Instant,
    /// Those who send no probes have none.
    session: Option<Box<Session>>,
}

impl Peers {
    /// Remembers that `peer` spoke to `local`, in the place of the one silent for longest if need be.
    pub(super) fn hear(&mut self, peer: SocketAddr, local: Local, now: Instant) {
        // Mostly it is the one who spoke last: that needs no look into the table.
        if let Some(newest) = self.newest()
            && newest.peer == peer
        {
            (newest.local, newest.heard) = (local, now);
            return;
        }
        let slot = match self.slots.get(&peer) {
            Some(&slot) => {
                let entry = &mut self.entries[slot as usize];
                (entry.local, entry.heard) = (local, now);
                slot
            }
            None => self.move_in(Entry { peer, local, heard: now, session: None }),
        };
        self.order.touch(slot);
    }

    /// Notes a probe of the peer heard last.
    pub(super) fn note(&mut self, probe: &Probe) -> Option<Seen> {
        let session = &mut self.newest()?.session;
        match session {
            Some(session) => session.note(probe),
            None => *session = Some(Box::new(Session::new(probe))),
        }
        session.as_ref().map(|session| session.seen())
    }

    #[inline]
    fn newest(&mut self) -> Option<&mut Entry> {
        self.order.back().and_then(|slot| self.entries.get_mut(slot as usize))
    }

    #[allow(clippy::cast_possible_truncation)] // the table ends far below 2^32
    fn move_in(&mut self, entry: Entry) -> u32 {
        let slot = match self.order.front() {
            Some(oldest) if self.entries.len() >= REMEMBERED => {
                self.slots.remove(&self.entries[oldest as usize].peer);
                oldest
            }
            _ => self.entries.len() as u32,
        };
        self.slots.insert(entry.peer, slot);
        match self.entries.get_mut(slot as usize) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
        slot
    }

    /// Those heard from within `recent` before `now` (`None`: ever).
    pub(super) fn recent(
        &self,
        now: Instant,
        recent: Option<Duration>,
    ) -> impl Iterator<Item = (SocketAddr, Local)> + '_ {
        let is_recent = move |entry: &&Entry| recent.is_none_or(|recent| now - entry.heard <= recent);
        self.entries.iter().filter(is_recent).map(|entry| (entry.peer, entry.local))
    }
}
