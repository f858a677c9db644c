//! Answers that leave from one address of ours: what the messages of one system call share.

use std::array;
use std::io::IoSlice;
use std::iter;

use super::super::Local;
use super::BATCH;

/// The most answers in one message; kernels allow 64.
pub(super) const MERGED: usize = BATCH;

/// Room that is kept for the answers of the next batch: those to long probes are rare.
const KEPT: usize = 64 * 1024;

/// Messages from one address, in the order in which they were pushed.
pub(super) struct Group<S, C> {
    pub(super) local: Local,
    pub(super) content: C,
    pub(super) peers: Vec<Option<S>>,
    /// How many answers the message to each peer holds, at least one.
    pub(super) counts: Vec<usize>,
}

/// What the messages of a group say.
pub(super) trait Content: Default {
    /// The answer at `index`.
    fn answer(&self, index: usize) -> &[u8];

    /// The messages from `start` on, of so many answers each, laid out in `slices`.
    fn messages<'a>(
        &'a self,
        start: usize,
        counts: &[usize],
        slices: &'a mut [IoSlice<'a>; MERGED],
    ) -> [&'a [IoSlice<'a>]; BATCH];

    /// The messages have left.
    fn clear(&mut self);
}

/// The same for all.
#[derive(Default)]
pub(super) struct Shared(pub(super) &'static [u8]);

impl Content for Shared {
    fn answer(&self, _: usize) -> &[u8] {
        self.0
    }

    fn messages<'a>(
        &'a self,
        _: usize,
        counts: &[usize],
        slices: &'a mut [IoSlice<'a>; MERGED],
    ) -> [&'a [IoSlice<'a>]; BATCH] {
        *slices = [IoSlice::new(self.0); MERGED];
        let (slices, mut counted) = (&*slices, counts.iter());
        array::from_fn(|_| &slices[..counted.next().map_or(1, |&count| count)])
    }

    fn clear(&mut self) {}
}

/// To each its own, in one buffer.
#[derive(Default)]
pub(super) struct Copied {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Copied {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
    }

    /// The same, with zeros behind it up to `length`.
    pub(super) fn push_long(&mut self, bytes: &[u8], length: usize) {
        let end = self.bytes.len() + length.max(bytes.len());
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(end, 0);
        self.ends.push(end);
    }
}

impl Content for Copied {
    fn answer(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(index).copied().unwrap_or(start);
        &self.bytes[start..end]
    }

    fn messages<'a>(
        &'a self,
        start: usize,
        _: &[usize],
        slices: &'a mut [IoSlice<'a>; MERGED],
    ) -> [&'a [IoSlice<'a>]; BATCH] {
        let count = self.ends.len().saturating_sub(start);
        for (slice, index) in iter::zip(&mut *slices, start..start + count) {
            *slice = IoSlice::new(self.answer(index));
        }
        let slices = &*slices;
        array::from_fn(|index| &slices[index..=index])
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.ends.clear();
    }
}

impl<S: Copy + PartialEq, C: Content> Group<S, C> {
    /// The one of `groups` that fits, an empty one to use again, or a new one.
    pub(super) fn find(groups: &mut Vec<Self>, local: Local, fits: impl Fn(&C) -> bool) -> &mut Self {
        let own = groups.iter().position(|group| group.local == local && fits(&group.content));
        let free = || groups.iter().position(|group| group.peers.is_empty());
        let index = own.or_else(free).unwrap_or_else(|| {
            groups.push(Group { local, content: C::default(), peers: Vec::new(), counts: Vec::new() });
            groups.len() - 1
        });
        groups[index].local = local;
        &mut groups[index]
    }

    pub(super) fn push(&mut self, peer: S, mergeable: bool) {
        match self.counts.last_mut() {
            Some(count) if mergeable && *count < MERGED && self.peers.last() == Some(&Some(peer)) => {
                *count += 1;
            }
            _ => {
                self.peers.push(Some(peer));
                self.counts.push(1);
            }
        }
    }

    /// Makes the messages of the batch at `start` one answer each; false where they were.
    pub(super) fn split(&mut self, start: usize) -> bool {
        let end = self.counts.len().min(start + BATCH);
        if self.counts[start..end].iter().all(|&count| count == 1) {
            return false;
        }
        let peers: Vec<_> = iter::zip(&self.peers[start..end], &self.counts[start..end])
            .flat_map(|(&peer, &count)| iter::repeat_n(peer, count))
            .collect();
        self.counts.splice(start..end, iter::repeat_n(1, peers.len()));
        self.peers.splice(start..end, peers);
        true
    }

    pub(super) fn clear(&mut self) {
        self.peers.clear();
        self.counts.clear();
        self.content.clear();
    }
}
