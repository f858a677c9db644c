//! The UDP peers heard from most recently, so that a shutdown can tell them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::datagrams::Local;
use crate::reactor::lru::Lru;

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
}

impl Peers {
    /// Remembers that `peer` spoke to `local`, in the place of the one silent for longest if need be.
    pub(super) fn hear(&mut self, peer: SocketAddr, local: Local, now: Instant) {
        let entry = Entry { peer, local, heard: now };
        // Mostly it is the one who spoke last: that needs no look into the table.
        if let Some(newest) = self.order.back().and_then(|slot| self.entries.get_mut(slot as usize))
            && newest.peer == peer
        {
            *newest = entry;
            return;
        }
        let slot = match self.slots.get(&peer) {
            Some(&slot) => {
                self.entries[slot as usize] = entry;
                slot
            }
            None => self.move_in(entry),
        };
        self.order.touch(slot);
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
