//! The one poll loop: what can wake a program, in what order it is served, and how
//! long the loop may sleep.
//!
//! mio is edge-triggered: an event says *who* may be worth asking, once. So a
//! source is asked until it says `WouldBlock`, or it stays in the **ready
//! queue** and the next wait does not sleep. The queue hands out slices: each
//! source's share of a turn, bounded in work, so nobody starves anybody.
//!
//! ```text
//! wait ── events ──> ready queue ── next_slice() ──> the program serves the source
//!                        ^                                 │
//!                        └─────────── put_back() ──────────┘  if it was cut off
//! ```
//!
//! | room | what it is |
//! |---|---|
//! | [`Source`], [`Key`] | who a token names |
//! | [`Slice`], [`Budget`] | who is served next, how much of it, and when the turn is over |
//! | [`Slots`] | a slab whose keys say which tenant of a slot is meant |
//! | [`Turns`] | how long the turns took |
//! | [`lru`] | keys in the order of their last touch |
//! | `readiness` | what an event says of its source |
//! | `timer` | an alarm finer than the poll's milliseconds |

pub mod lru;
mod readiness;
mod ready;
mod slots;
#[cfg(feature = "programs")]
pub mod timer;
mod token;
mod turns;

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Registry};

use crate::trace::{self, Counted, trace};

use self::readiness::Readiness;
use self::ready::ReadyQueue;
pub use self::ready::{Budget, SLICE_BYTES, SLICE_MESSAGES, Slice};
pub use self::slots::Slots;
pub use self::token::{Key, Source};
pub use self::turns::Turns;

/// Events taken from the kernel in one wait.
const EVENTS_PER_WAIT: usize = 1024;
/// A poll that fails is tried again after this pause ...
const POLL_RETRY: Duration = Duration::from_millis(10);
/// ... and ends the program when it has failed for so long.
const POLL_GIVES_UP: Duration = Duration::from_secs(5);
/// A wait that ended so long after its deadline was not late by rounding: the process was stopped.
const LATE: Duration = Duration::from_millis(5);

/// What to register a TCP stream for, once and for all: reading, writing and,
/// where it can be told, urgent data (see [`Budget::drained_by`]).
pub fn stream_interest() -> Interest {
    let both = Interest::READABLE | Interest::WRITABLE;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let both = both | Interest::PRIORITY;
    both
}

/// Of two deadlines the sooner; `None` is never.
#[inline]
pub fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// The poll, the ready queue, and the sources that were told to wait a while.
#[derive(Debug)]
pub struct Reactor<S> {
    poll: Poll,
    events: Events,
    ready: ReadyQueue<S>,
    pauses: Vec<(Instant, S)>,
    turn_began: Instant,
    turns: Turns,
    failing_since: Option<Instant>,
    /// For the trace: the turn's number, and what its events say.
    turn: u64,
    seen: Vec<(S, Readiness)>,
    /// How long was slept before the turn that is not told yet.
    untold: Option<Duration>,
}

impl<S: Source> Reactor<S> {
    /// A loop without sources.
    ///
    /// # Errors
    /// The system has no descriptor left for the poll.
    pub fn new() -> io::Result<Reactor<S>> {
        let now = Instant::now();
        Ok(Reactor {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_PER_WAIT),
            ready: ReadyQueue::new(now),
            pauses: Vec::new(),
            turn_began: now,
            turns: Turns::default(),
            failing_since: None,
            turn: 0,
            seen: Vec::new(),
            untold: None,
        })
    }

    /// Where sources are registered.
    pub fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Whether a source waits for a slice: then the next wait does not sleep.
    pub fn has_ready(&mut self) -> bool {
        !self.ready.is_empty()
    }

    /// The longest time between two waits so far.
    pub fn longest_turn(&self) -> Duration {
        self.turns.longest()
    }

    /// How long the turns took so far.
    pub fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Waits for events, until `deadline` at the latest (never early, late by
    /// at most a millisecond of rounding), and not at all while a source is
    /// ready. Returns the time of the turn that begins, which needs no other.
    ///
    /// # Errors
    /// Only where the poll has failed for five seconds on end; an interrupted
    /// wait is a turn like any other.
    pub fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Instant> {
        let before = Instant::now();
        self.turns.record(before.saturating_duration_since(self.turn_began));
        let deadline = self.pauses.iter().map(|pause| pause.0).chain(deadline).min();
        let timeout = match deadline {
            _ if !self.ready.is_empty() => Some(Duration::ZERO),
            Some(deadline) => Some(deadline.saturating_duration_since(before)),
            None => None,
        };
        let interrupted = self.poll_events(timeout)?;
        let mut now = Instant::now();
        // What arrived while the process was stopped is seen before any deadline is judged.
        let late = self.events.is_empty() && deadline.is_some_and(|deadline| now > deadline + LATE);
        if interrupted || late {
            self.poll_events(Some(Duration::ZERO))?;
            now = Instant::now();
        }
        self.turn_began = now;
        if trace::is_on() {
            self.trace_turn(now.saturating_duration_since(before).min(timeout.unwrap_or(Duration::MAX)));
        }
        self.collect_events();
        self.end_pauses(now);
        self.ready.begin_turn(now);
        Ok(now)
    }

    /// The next slice of this turn; `None` where nobody waits or the turn's time is spent. A turn serves each source
    /// at most once.
    #[inline]
    pub fn next_slice(&mut self) -> Option<Slice<S>> {
        self.ready.next(Instant::now)
    }

    /// A slice for a source whose time has come without an event, so that it may be looked at once more; `None` where the
    /// turn has no time left for those. At least one a turn has.
    pub fn due_slice(&mut self, source: S) -> Option<Slice<S>> {
        self.ready.due(source, Instant::now())
    }

    /// A slice for what is looked at once more when the last turn is over.
    pub fn last_slice(&mut self, source: S) -> Slice<S> {
        self.ready.last(source, Instant::now())
    }

    /// A slice is over. A source that was cut off by its end is served again in the next turn, which will not sleep.
    #[inline]
    pub fn put_back(&mut self, slice: Slice<S>) {
        self.ready.put_back(slice);
    }

    /// Serves `source` in the next turn, which will not sleep, without an event.
    pub fn ask(&mut self, source: S) {
        self.ready.enqueue(source, true);
    }

    /// Serves `source` at `until` without an event: what failed for lack of something is
    /// neither given up nor tried in a spin.
    pub fn pause(&mut self, source: S, until: Instant) {
        self.pauses.retain(|pause| pause.1 != source);
        self.pauses.push((until, source));
    }

    /// As [`pause`](Reactor::pause), for `span` from now; one that is paused already is not kept any longer.
    pub fn pause_unless_paused(&mut self, source: S, span: Duration) {
        if !self.pauses.iter().any(|pause| pause.1 == source) {
            self.pauses.push((Instant::now() + span, source));
        }
    }

    /// Ends the pause of `source` now, if it has one.
    pub fn wake(&mut self, source: S) {
        if let Some(at) = self.pauses.iter().position(|pause| pause.1 == source) {
            self.pauses.swap_remove(at);
            self.ask(source);
        }
    }

    /// Whether this turn was told.
    pub fn is_told(&self) -> bool {
        self.untold.is_none()
    }

    /// When the next wait ends without an event, where the program's own deadline is this.
    pub fn next_wake(&mut self, deadline: Option<Instant>) -> Option<Instant> {
        match self.has_ready() {
            true => Some(self.turn_began),
            false => self.pauses.iter().map(|pause| pause.0).chain(deadline).min(),
        }
    }

    /// What woke `source` in this turn, in words; known to the trace alone.
    pub fn readiness(&self, source: S) -> Readiness {
        self.seen.iter().find(|(seen, _)| *seen == source).map(|(_, readiness)| *readiness).unwrap_or_default()
    }

    #[cold]
    #[inline(never)]
    fn trace_turn(&mut self, slept: Duration) {
        let told = self.events.iter().filter_map(|event| Some((S::of(event.token())?, Readiness::of(event))));
        self.seen = told.collect();
        self.untold = Some(slept);
        if self.has_news() {
            self.tell_turn();
        }
    }

    /// Whether the turn is for somebody else's sake than the trace's way out, or for a deadline.
    fn has_news(&self) -> bool {
        // Who was left over by the turn before has no event, and is served all the same.
        let mut sources = self.seen.iter().map(|(source, _)| *source).chain(self.ready.waiting()).peekable();
        sources.peek().is_none() || sources.any(|source| !source.is_of_trace())
    }

    /// Tells the trace of a turn, unless that was done. One in which only the trace's own way out woke the loop is not
    /// told, until it turns out that somebody else is served, too.
    #[cold]
    #[inline(never)]
    pub fn tell_turn(&mut self) {
        let Some(slept) = self.untold.take() else {
            return;
        };
        self.turn += 1;
        let others = self.seen.iter().filter(|(source, _)| !source.is_of_trace()).count();
        let (turn, events) = (self.turn, Counted(others, "event"));
        match slept.is_zero() {
            true => trace!("turn {turn}: did not sleep, {events}"),
            false => trace!("turn {turn}: slept {:.3} s, {events}", slept.as_secs_f64()),
        }
    }

    /// Polls once; true where a signal or a stop interrupted the wait.
    fn poll_events(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {
                self.failing_since = None;
                Ok(false)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => {
                let since = *self.failing_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= POLL_GIVES_UP {
                    return Err(error);
                }
                log::warn!("poll failed, trying again: {error}");
                thread::sleep(POLL_RETRY);
                Ok(false)
            }
        }
    }

    fn collect_events(&mut self) {
        for event in &self.events {
            if let Some(source) = S::of(event.token()) {
                let to_the_end = event.is_read_closed() || event.is_priority() || event.is_error();
                self.ready.enqueue(source, to_the_end);
            }
        }
        self.events.clear();
    }

    fn end_pauses(&mut self, now: Instant) {
        while let Some(&(_, source)) = self.pauses.iter().find(|pause| pause.0 <= now) {
            self.wake(source);
        }
    }
}

#[cfg(test)]
mod tests;
