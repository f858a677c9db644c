//! Who is served next, how much of it, and when the turn is over.
//!
//! A source is served a **slice** at a time: so many messages told or so many bytes read, whichever comes first. One
//! that still had something when its slice was over is *old* until it is drained, whatever events come; all others
//! are *new*. The new come first, so who says little never waits for those who say much; the old have a share of
//! every turn, so they go on. One that used much of its slice and was drained for now keeps a place among the old until
//! that comes up, so that nobody stays new by saying a little less than a slice at a time. (These are the flow lists of
//! `fq_codel`, RFC 8290, section 4.2; there every flow keeps such a place.)
//!
//! A turn ends by the clock, since nobody knows beforehand what a slice costs: it is looked at before each slice, but
//! the first of either kind is served in any case.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Source;
use super::token::place_of;

/// Messages told in one slice.
pub const SLICE_MESSAGES: usize = 256;
/// Bytes read in one slice.
pub const SLICE_BYTES: usize = 64 * 1024;
/// Who used no more than this part of a slice said little.
const LITTLE: usize = 4;
/// New sources are served until so long into a turn ...
const NEW_UNTIL: Duration = Duration::from_micros(2500);
/// ... old ones until then ...
const OLD_UNTIL: Duration = Duration::from_micros(5000);
/// ... and those whose deadline is over until then.
const DUE_UNTIL: Duration = Duration::from_micros(7500);

/// What a source may still read and tell in its slice. There is no other way to get one than from the reactor.
#[derive(Debug)]
pub struct Budget {
    told: usize,
    messages: usize,
    bytes: usize,
    to_the_end: bool,
    cut_off: bool,
}

impl Budget {
    fn new(to_the_end: bool) -> Budget {
        Budget { told: 0, messages: SLICE_MESSAGES, bytes: SLICE_BYTES, to_the_end, cut_off: false }
    }

    /// For tests of what reads: as much as they like.
    #[cfg(all(test, feature = "programs"))]
    pub(crate) fn plenty() -> Budget {
        Budget { told: 0, messages: usize::MAX, bytes: usize::MAX, to_the_end: true, cut_off: false }
    }

    /// Whether another message may be told. Ask when there is one: a source that is told no is cut off, and will be
    /// served again.
    #[inline]
    pub fn may_tell(&mut self) -> bool {
        let may = self.told < self.messages;
        self.cut_off |= !may;
        may
    }

    /// Whether more may be read. Ask when there may be more: a source that is told no is cut off, and will be served
    /// again.
    #[inline]
    pub fn may_read(&mut self) -> bool {
        let may = self.told < self.messages && self.bytes > 0;
        self.cut_off |= !may;
        may
    }

    /// How many bytes may still be read.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// So many bytes were read.
    #[inline]
    pub fn spend_bytes(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// So many messages were told, or as much work was done.
    #[inline]
    pub fn spend(&mut self, messages: usize) {
        self.told = self.told.saturating_add(messages);
    }

    /// No more messages than so many, for a source of which more teach nothing.
    pub fn narrow(&mut self, messages: usize) {
        self.messages = self.messages.min(messages);
    }

    /// Whether much of it was used.
    fn is_well_used(&self) -> bool {
        self.told > SLICE_MESSAGES / LITTLE || self.bytes < SLICE_BYTES - SLICE_BYTES / LITTLE
    }

    /// Whether the source still had something when the slice was over.
    pub fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    /// Whether a read of `len` bytes into `room` has emptied a TCP stream.
    ///
    /// With epoll a read that leaves room proves it, and asking once more would
    /// cost a sixth of the CPU per message; what comes later raises a new edge.
    /// But an end of stream or an urgent mark that was told together with the
    /// data raises none, and elsewhere (Windows above all) only `WouldBlock`
    /// makes mio look again.
    #[inline]
    pub fn drained_by(&self, len: usize, room: usize) -> bool {
        const EPOLL: bool =
            cfg!(all(any(target_os = "linux", target_os = "android"), not(mio_unsupported_force_poll_poll)));
        EPOLL && !self.to_the_end && len < room
    }
}

/// One source's share of a turn. Serve it, then [put it back](super::Reactor::put_back).
#[derive(Debug)]
#[must_use = "a source that is not put back is not served again until its next event"]
pub struct Slice<S> {
    source: S,
    now: Instant,
    /// It was served as an old one.
    is_old: bool,
    /// What may be read and told.
    pub budget: Budget,
}

impl<S: Source> Slice<S> {
    /// Whose it is.
    #[inline]
    pub fn source(&self) -> S {
        self.source
    }

    /// The time at which it began, which it needs no other than.
    #[inline]
    pub fn now(&self) -> Instant {
        self.now
    }
}

/// How a source stands that is in one of the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It waits, among the new.
    New,
    /// It waits, among the old.
    Old,
    /// It has nothing, and keeps its place among the old.
    Kept,
}

/// What the queue knows of a source.
#[derive(Clone, Copy, Debug)]
struct Entry<S> {
    source: S,
    /// It must be read until `WouldBlock`: a short read proves nothing.
    to_the_end: bool,
    standing: Standing,
}

/// The sources that wait for a slice, and the clock of the turn.
#[derive(Debug)]
pub(super) struct ReadyQueue<S> {
    new: VecDeque<S>,
    old: VecDeque<S>,
    /// By place, so each source has at most one. Where a list and an entry do not agree, the list is outdated.
    entries: Vec<Option<Entry<S>>>,
    /// How many entries are [`Standing::Old`].
    old_waiting: usize,
    turn: Turn,
}

/// How far the turn is.
#[derive(Debug)]
struct Turn {
    began: Instant,
    /// How many of each list there were when it began: a turn serves each source at most once.
    new_left: usize,
    old_left: usize,
    /// Whether the slice that each kind has in any case is still to come.
    new_first: bool,
    old_first: bool,
    due_first: bool,
}

impl<S: Source> ReadyQueue<S> {
    pub(super) fn new(now: Instant) -> ReadyQueue<S> {
        let turn = Turn { began: now, new_left: 0, old_left: 0, new_first: true, old_first: true, due_first: true };
        ReadyQueue { new: VecDeque::new(), old: VecDeque::new(), entries: Vec::new(), old_waiting: 0, turn }
    }

    /// Whether nobody waits. Then no place is kept for anybody, either: everyone's turn has come.
    pub(super) fn is_empty(&mut self) -> bool {
        let is_empty = self.new.is_empty() && self.old_waiting == 0;
        while is_empty && let Some(source) = self.old.pop_front() {
            self.take(Some(source), true);
        }
        is_empty
    }

    /// Who waits, in no order.
    pub(super) fn waiting(&self) -> impl Iterator<Item = S> {
        self.entries.iter().flatten().filter(|entry| entry.standing.waits()).map(|entry| entry.source)
    }

    pub(super) fn begin_turn(&mut self, now: Instant) {
        let (new_left, old_left) = (self.new.len(), self.old.len());
        self.turn = Turn { began: now, new_left, old_left, new_first: true, old_first: true, due_first: true };
    }

    /// An event told of `source`, or somebody asks for it. One that waits already keeps its place.
    #[inline]
    pub(super) fn enqueue(&mut self, source: S, to_the_end: bool) {
        match *self.entry(source) {
            Some(entry) if entry.source == source => {
                let standing = if entry.standing == Standing::Kept { Standing::Old } else { entry.standing };
                self.enter(Entry { to_the_end: entry.to_the_end | to_the_end, standing, ..entry });
            }
            // An earlier tenant's place in its list is skipped there.
            _ => {
                self.enter(Entry { source, to_the_end, standing: Standing::New });
                match source.is_urgent() {
                    true => self.new.push_front(source),
                    false => self.new.push_back(source),
                }
            }
        }
    }

    /// A slice is over. A source that was cut off waits among the old; one that said much keeps a place there.
    #[inline]
    #[expect(clippy::needless_pass_by_value, reason = "nothing more can be done with it")]
    pub(super) fn put_back(&mut self, slice: Slice<S>) {
        let (source, waits) = (slice.source, slice.budget.cut_off);
        if !waits && (slice.is_old || !slice.budget.is_well_used()) {
            return;
        }
        // Somebody may have asked for it meanwhile; one whose deadline is over may have stood among the old all the time.
        let before = self.entry(source).filter(|entry| entry.source == source).map(|entry| entry.standing);
        let waits = waits || before.is_some_and(Standing::waits);
        let standing = if waits { Standing::Old } else { Standing::Kept };
        self.enter(Entry { source, to_the_end: true, standing });
        if !before.is_some_and(Standing::is_old) {
            self.old.push_back(source);
        }
    }

    /// The next slice of this turn. `clock` is asked only where the time decides.
    #[inline]
    pub(super) fn next(&mut self, mut clock: impl FnMut() -> Instant) -> Option<Slice<S>> {
        while self.turn.new_left > 0 {
            let first = std::mem::take(&mut self.turn.new_first);
            let now = if first { self.turn.began } else { clock() };
            if !first && now >= self.turn.began + NEW_UNTIL {
                break;
            }
            self.turn.new_left -= 1;
            let source = self.new.pop_front();
            match self.take(source, false) {
                Some(entry) => return Some(entry.slice(now)),
                // It did not count.
                None => self.turn.new_first = first,
            }
        }
        while self.turn.old_left > 0 {
            let first = std::mem::take(&mut self.turn.old_first);
            let now = clock();
            if !first && now >= self.turn.began + OLD_UNTIL {
                break;
            }
            self.turn.old_left -= 1;
            let source = self.old.pop_front();
            match self.take(source, true) {
                Some(entry) if entry.standing.waits() => return Some(entry.slice(now)),
                Some(_) | None => self.turn.old_first = first,
            }
        }
        None
    }

    /// A slice for one whose deadline is over, while the turn has time for it.
    pub(super) fn due(&mut self, source: S, now: Instant) -> Option<Slice<S>> {
        let first = std::mem::take(&mut self.turn.due_first);
        let in_time = first || now < self.turn.began + DUE_UNTIL;
        in_time.then(|| self.last(source, now))
    }

    /// A slice for one in any case.
    #[allow(clippy::unused_self)] // nobody else is to have one
    pub(super) fn last(&self, source: S, now: Instant) -> Slice<S> {
        Slice { source, now, is_old: true, budget: Budget::new(true) }
    }

    /// The entry of `source`, if it is what a list says it is.
    #[inline]
    fn take(&mut self, source: Option<S>, is_old: bool) -> Option<Entry<S>> {
        let source = source?;
        let taken = self.entry(source).take_if(|entry| entry.source == source && entry.standing.is_old() == is_old);
        self.old_waiting -= usize::from(taken.is_some_and(Entry::waits_as_old));
        taken
    }

    /// Writes the entry of its source. The one in its place may be an earlier tenant's, which waits no longer.
    #[inline]
    fn enter(&mut self, entry: Entry<S>) {
        let before = self.entry(entry.source).replace(entry);
        self.old_waiting += usize::from(entry.waits_as_old());
        self.old_waiting -= usize::from(before.is_some_and(Entry::waits_as_old));
    }

    #[inline]
    fn entry(&mut self, source: S) -> &mut Option<Entry<S>> {
        let place = place_of(source);
        if self.entries.len() <= place {
            self.entries.resize(place + 1, None);
        }
        &mut self.entries[place]
    }
}

impl Standing {
    #[inline]
    fn waits(self) -> bool {
        self != Standing::Kept
    }

    #[inline]
    fn is_old(self) -> bool {
        self != Standing::New
    }
}

impl<S> Entry<S> {
    #[inline]
    fn waits_as_old(self) -> bool {
        self.standing == Standing::Old
    }

    #[inline]
    fn slice(self, now: Instant) -> Slice<S> {
        Slice { source: self.source, now, is_old: self.standing.is_old(), budget: Budget::new(self.to_the_end) }
    }
}

#[cfg(test)]
mod tests;
