//! The one poll loop: what can wake us, in what order it is served, and how
//! long the loop may sleep.
//!
//! mio is edge-triggered: an event says *who* may be worth asking, once. So a
//! source is asked until it says `WouldBlock`, or it stays in the **ready
//! queue** and the next wait does not sleep. The queue is served round-robin,
//! each source within a budget of its own, so nobody starves anybody.
//!
//! ```text
//! wait ── events ──> ready queue ── next_ready() ──> the program serves the source
//!                        ^                         │
//!                        └──────── again() ────────┘  not drained yet
//! ```

pub mod lru;
#[cfg(feature = "programs")]
pub mod timer;

use std::collections::VecDeque;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Registry, Token};

/// Events taken from the kernel in one wait.
const EVENTS_PER_WAIT: usize = 1024;
/// A poll that fails is tried again after this pause ...
const POLL_RETRY: Duration = Duration::from_millis(10);
/// ... and ends the program when it has failed for so long.
const POLL_GIVES_UP: Duration = Duration::from_secs(5);
/// A wait that ended so long after its deadline was not late by rounding: the process was stopped.
const LATE: Duration = Duration::from_millis(5);

/// Half of a token is the slot, the other half tells whose it is.
const HALF: u32 = usize::BITS / 2;
const LOWER_HALF: usize = (1 << HALF) - 1;

/// Whatever can wake the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A signal came.
    Signals,
    /// The TCP listener has a connection to accept.
    Listener,
    /// The UDP socket has a datagram to read, or room to send one.
    Datagrams,
    /// stdin has something to read.
    Console,
    /// stdout takes bytes again.
    Screen,
    /// stderr takes bytes again.
    Diagnostics,
    /// A time has come that is finer than the poll's milliseconds.
    Alarm,
    /// One connection (or a client's UDP socket) out of many.
    Peer(Key),
}

/// A slab slot and the generation of its tenant, so that an event, a deadline
/// or a queue entry of an earlier tenant never reaches a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    slot: u32,
    generation: u32,
}

impl Key {
    /// How many slots a token can name.
    pub const SLOTS: usize = LOWER_HALF;

    /// The key of the tenant that moves into `slot` after `tenants` others.
    ///
    /// Generations start at 1 and wrap (after 4,294,967,295 tenants of one slot
    /// where tokens have 64 bits, after 65,535 where they have 32).
    pub fn new(slot: u32, tenants: u32) -> Key {
        let generations = u32::try_from(LOWER_HALF).unwrap_or(u32::MAX);
        Key { slot, generation: tenants % generations + 1 }
    }

    /// The slab slot.
    pub fn slot(self) -> u32 {
        self.slot
    }
}

impl Source {
    /// The sources there is one of each; a token of generation 0 names them by their place here.
    const SINGLE: [Source; 7] = [
        Source::Signals,
        Source::Listener,
        Source::Datagrams,
        Source::Console,
        Source::Screen,
        Source::Diagnostics,
        Source::Alarm,
    ];

    /// The token to register this source with.
    pub fn token(self) -> Token {
        match self {
            Source::Peer(key) => Token((key.generation as usize) << HALF | key.slot as usize),
            single => Token(single.place()),
        }
    }

    #[allow(clippy::cast_possible_truncation)] // both halves fit, by construction
    fn of(token: Token) -> Option<Source> {
        let (generation, slot) = (token.0 >> HALF, token.0 & LOWER_HALF);
        match generation {
            0 => Source::SINGLE.get(slot).copied(),
            _ => Some(Source::Peer(Key { slot: slot as u32, generation: generation as u32 })),
        }
    }

    /// A small number for this source; those of one slot share it.
    fn place(self) -> usize {
        match self {
            Source::Peer(key) => Source::SINGLE.len() + key.slot as usize,
            Source::Signals => 0,
            Source::Listener => 1,
            Source::Datagrams => 2,
            Source::Console => 3,
            Source::Screen => 4,
            Source::Diagnostics => 5,
            Source::Alarm => 6,
        }
    }
}

/// A source that is worth asking now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Who.
    pub source: Source,
    /// Read until `WouldBlock`: a short read proves nothing here.
    pub to_the_end: bool,
}

impl Ready {
    /// Asks `source` without an event: everything must be read from it.
    pub fn unasked(source: Source) -> Ready {
        Ready { source, to_the_end: true }
    }

    /// Whether a read of `len` bytes into `room` has emptied a TCP stream.
    ///
    /// With epoll a read that leaves room proves it, and asking once more would
    /// cost a sixth of the CPU per message; what comes later raises a new edge.
    /// But an end of stream or an urgent mark that was told together with the
    /// data raises none, and elsewhere (Windows above all) only `WouldBlock`
    /// makes mio look again.
    pub fn drained_by(self, len: usize, room: usize) -> bool {
        const EPOLL: bool =
            cfg!(all(any(target_os = "linux", target_os = "android"), not(mio_unsupported_force_poll_poll)));
        EPOLL && !self.to_the_end && len < room
    }
}

/// What to register a TCP stream for, once and for all: reading, writing and,
/// where it can be told, urgent data (see [`Ready::drained_by`]).
pub fn stream_interest() -> Interest {
    let both = Interest::READABLE | Interest::WRITABLE;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let both = both | Interest::PRIORITY;
    both
}

/// The poll, the ready queue, and the sources that were told to wait a while.
#[derive(Debug)]
pub struct Reactor {
    poll: Poll,
    events: Events,
    queue: VecDeque<Source>,
    /// Who is in the queue, by place: each source at most once.
    queued: Vec<Option<Ready>>,
    /// How many of the queue are still to be served in this turn.
    turn: usize,
    pauses: Vec<(Instant, Source)>,
    turn_began: Instant,
    longest_turn: Duration,
    failing_since: Option<Instant>,
}

impl Reactor {
    /// A loop without sources.
    ///
    /// # Errors
    /// The system has no descriptor left for the poll.
    pub fn new() -> io::Result<Reactor> {
        Ok(Reactor {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_PER_WAIT),
            queue: VecDeque::new(),
            queued: Vec::new(),
            turn: 0,
            pauses: Vec::new(),
            turn_began: Instant::now(),
            longest_turn: Duration::ZERO,
            failing_since: None,
        })
    }

    /// Where sources are registered.
    pub fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// The longest time between two waits so far.
    pub fn longest_turn(&self) -> Duration {
        self.longest_turn
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
        self.longest_turn = self.longest_turn.max(before.saturating_duration_since(self.turn_began));
        let deadline = self.pauses.iter().map(|pause| pause.0).chain(deadline).min();
        let timeout = match deadline {
            _ if !self.queue.is_empty() => Some(Duration::ZERO),
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
        self.collect_events();
        self.end_pauses(now);
        self.turn = self.queue.len();
        Ok(now)
    }

    /// The next source of this turn. A turn serves each source at most once.
    #[inline]
    pub fn next_ready(&mut self) -> Option<Ready> {
        while self.turn > 0 {
            self.turn -= 1;
            let source = self.queue.pop_front()?;
            let queued = &mut self.queued[source.place()];
            if queued.is_some_and(|ready| ready.source == source) {
                return queued.take();
            }
        }
        None
    }

    /// Serves `source` again in the next turn, which will not sleep.
    pub fn again(&mut self, source: Source) {
        self.enqueue(Ready::unasked(source));
    }

    /// Serves `source` again at `when`: what failed for lack of something is
    /// neither given up nor tried in a spin.
    pub fn again_at(&mut self, source: Source, when: Instant) {
        self.pauses.retain(|pause| pause.1 != source);
        self.pauses.push((when, source));
    }

    /// Ends the pause of `source` now, if it has one.
    pub fn wake(&mut self, source: Source) {
        if let Some(at) = self.pauses.iter().position(|pause| pause.1 == source) {
            self.pauses.swap_remove(at);
            self.again(source);
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
            let Some(source) = Source::of(event.token()) else {
                continue;
            };
            let to_the_end = event.is_read_closed() || event.is_priority() || event.is_error();
            enqueue(&mut self.queue, &mut self.queued, Ready { source, to_the_end });
        }
        self.events.clear();
    }

    fn end_pauses(&mut self, now: Instant) {
        while let Some(&(_, source)) = self.pauses.iter().find(|pause| pause.0 <= now) {
            self.wake(source);
        }
    }

    fn enqueue(&mut self, ready: Ready) {
        enqueue(&mut self.queue, &mut self.queued, ready);
    }
}

/// Apart from the reactor, so that its events can be walked meanwhile.
#[inline]
fn enqueue(queue: &mut VecDeque<Source>, queued: &mut Vec<Option<Ready>>, ready: Ready) {
    let place = ready.source.place();
    if queued.len() <= place {
        queued.resize(place + 1, None);
    }
    match &mut queued[place] {
        Some(standing) if standing.source == ready.source => standing.to_the_end |= ready.to_the_end,
        // An earlier tenant's entry stays in the queue and is skipped there.
        vacant => {
            *vacant = Some(ready);
            match ready.source {
                // A signal may change what the rest of the turn should do.
                Source::Signals => queue.push_front(ready.source),
                other => queue.push_back(other),
            }
        }
    }
}

#[cfg(test)]
mod tests;
