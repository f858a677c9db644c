//! Datagrams: each is told and answered, with `check` or a probe with its stamp, but for the few that must not be.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use mio::Registry;

use super::Source;
use super::desk::Desk;
use super::peers::Peers;
use super::session::Seen;
use crate::datagrams::clock::Clock;
use crate::datagrams::{Datagram, Datagrams, Local, Received};
use crate::escape::cause;
use crate::reactor::{Budget, Slice, Source as _};
use crate::trace::{self, Counted, trace};
use crate::transcript::journal::Journal;
use crate::transcript::server::Event;
use crate::wire::{CHATTY_PORTS, CHECK, Notice, Probe, STAMPED, Stamp, is_reply};

/// A datagram that is itself a reply is answered so often, in all.
const REPLY_TO_REPLY: Duration = Duration::from_secs(1);
/// After so many errors in one slice ...
const ERRORS: usize = 8;
/// ... receiving pauses for so long.
const PAUSE: Duration = Duration::from_millis(100);

/// The UDP socket, who spoke to it, and when it last answered a reply.
pub(super) struct Answerer {
    datagrams: Datagrams,
    /// What the kernel had dropped at it before it was ours.
    dropped_before: u64,
    peers: Peers,
    replied_to_reply: Option<Instant>,
    heard: Option<Instant>,
    /// At the end, how many batches are still answered: no more than had arrived before, for a flood has no end.
    last_batches: Option<usize>,
    /// What stamps are written by, since the first probe.
    clock: Option<Clock>,
    /// When the batch was read, where its probes ask for it.
    read: Option<u64>,
    /// The stamps of the batch, until it is known when they leave.
    stamps: Vec<Owed>,
}

/// A stamp that is owed.
struct Owed {
    peer: SocketAddr,
    local: Local,
    stamp: Stamp,
    /// As long a one, and whole, where the probe asks for it.
    length: Option<usize>,
}

/// What is to become of the socket after its slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Afterwards {
    /// Its next event brings it back, or the end of its slice did not let it finish.
    Wait,
    /// It is not served before this.
    At(Instant),
    /// What had arrived is answered, and the end has come.
    Over,
}

impl Answerer {
    /// Answers on `socket`, which others may have, too, where it was `passed`.
    pub(super) fn new(socket: UdpSocket, passed: bool) -> io::Result<Answerer> {
        let datagrams = if passed { Datagrams::shared(socket)? } else { Datagrams::new(socket)? };
        Ok(Answerer {
            dropped_before: datagrams.dropped().unwrap_or(0),
            datagrams,
            peers: Peers::default(),
            replied_to_reply: None,
            heard: None,
            last_batches: None,
            clock: None,
            read: None,
            stamps: Vec::new(),
        })
    }

    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        self.datagrams.register(registry, Source::Datagrams.token())
    }

    /// Leaves what waits in a socket that was passed to those who have it, too: they go on with it.
    pub(super) fn leave(mut self, registry: &Registry) {
        self.datagrams.leave(registry);
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.datagrams.local_addr()
    }

    /// Whether a datagram came within `recent` before `now`.
    pub(super) fn heard_within(&self, recent: Duration, now: Instant) -> bool {
        self.heard.is_some_and(|heard| now.saturating_duration_since(heard) < recent)
    }

    /// How many datagrams the kernel has dropped, where it tells.
    pub(super) fn dropped(&self) -> Option<u64> {
        self.datagrams.dropped().map(|dropped| dropped.saturating_sub(self.dropped_before))
    }

    /// From now on only what has arrived is answered.
    pub(super) fn end(&mut self) {
        self.last_batches = Some(self.datagrams.backlog());
    }

    /// Receives and answers a slice of what waits.
    pub(super) fn serve(&mut self, desk: &mut Desk, journal: &mut Journal, slice: &mut Slice<Source>) -> Afterwards {
        let now = slice.now();
        let mut errors = 0;
        loop {
            if self.last_batches == Some(0) {
                return Afterwards::Over;
            }
            match self.datagrams.receive(&mut slice.budget) {
                Ok(Received::CutOff) => return Afterwards::Wait,
                Ok(received) => {
                    self.last_batches = self.last_batches.map(|left| left - 1);
                    self.answer_batch(desk, journal, &mut slice.budget, now);
                    if received == Received::Drained {
                        self.clock.as_mut().into_iter().for_each(Clock::settle);
                        return if self.last_batches.is_some() { Afterwards::Over } else { Afterwards::Wait };
                    }
                }
                // On Windows an answer of ours that found nobody is noted here, and says nothing of who waits: whoever closes its
                // socket at once is not to deafen us.
                Err(error) if cfg!(windows) && error.kind() == ErrorKind::ConnectionReset => slice.budget.spend(1),
                Err(error) => {
                    log::debug!("receiving a datagram failed: {}", cause(&error));
                    errors += 1;
                    if errors == ERRORS {
                        return Afterwards::At(now + PAUSE);
                    }
                }
            }
        }
    }

    fn answer_batch(&mut self, desk: &mut Desk, journal: &mut Journal, budget: &mut Budget, now: Instant) {
        let before = desk.stats.datagrams_in;
        while let Some(Datagram { peer, local, bytes, received }) = self.datagrams.next() {
            let (reply, probe, length) = (is_reply(bytes), Probe::parse(bytes), bytes.len());
            budget.spend(1);
            budget.spend_bytes(bytes.len());
            desk.stats.datagrams_in += 1;
            desk.tally.datagram_bytes += bytes.len() as u64;
            if desk.tells_messages && !desk.is_quiet(peer.ip()) {
                journal.tell(&Event::Datagram { peer, bytes });
            }
            let answered = if self.is_nobody(peer, local) {
                false
            } else {
                self.peers.hear(peer, local, now);
                self.heard = Some(now);
                match probe {
                    Some(probe) => self.stamp(peer, local, &probe, length, received),
                    None => (!reply || self.may_answer_reply(now)) && self.datagrams.reply(peer, local, CHECK),
                }
            };
            desk.stats.unanswered += u64::from(!answered);
        }
        if !self.stamps.is_empty() {
            desk.stats.unanswered += self.queue_stamps();
        }
        let sent = self.datagrams.flush(|peer, error| {
            desk.stats.unanswered += 1;
            if !desk.is_quiet(peer.ip()) {
                journal.tell(&Event::ReplyFailed { peer, error: &error });
            }
        });
        if trace::is_on() {
            trace_batch(desk.stats.datagrams_in - before, sent.sent);
        }
        desk.stats.datagrams_out += sent.sent as u64;
        desk.stats.unanswered += sent.dropped as u64;
    }

    /// Notes the probe, so long, of a peer that was just heard and prepares its stamp.
    fn stamp(&mut self, peer: SocketAddr, local: Local, probe: &Probe, length: usize, received: Option<u64>) -> bool {
        let Some(seen) = self.peers.note(probe) else {
            return false;
        };
        let clock = self.clock.get_or_insert_with(|| {
            if let Err(error) = self.datagrams.tell_times() {
                log::debug!("the system does not tell when datagrams come: {}", cause(&error));
            }
            Clock::default()
        });
        let received = received.unwrap_or_else(|| *self.read.get_or_insert_with(|| clock.read()));
        let (Probe { session, seq, clock, .. }, Seen { count, highest, first }) = (*probe, seen);
        let stamp = Stamp { session, seq, clock, count, received, left: 0, highest, first };
        let length = probe.asks_for_length().then_some(length);
        self.stamps.push(Owed { peer, local, stamp, length });
        true
    }

    /// Completes the stamps of the batch and queues them: between the clock and the wire is nothing but the sending. Says
    /// how many are for peers that the socket cannot reach.
    fn queue_stamps(&mut self) -> u64 {
        let clock = self.clock.get_or_insert_default();
        let left = clock.read();
        let mut unreached = 0;
        for Owed { peer, local, stamp, length } in self.stamps.drain(..) {
            let (received, left) = clock.pair(stamp.received, left);
            let mut datagram = [0; STAMPED];
            Stamp { received, left, ..stamp }.encode(&mut datagram);
            let queued = match length {
                None => self.datagrams.reply_copy(peer, local, &datagram),
                Some(length) => self.datagrams.reply_whole(peer, local, &datagram, length),
            };
            unreached += u64::from(!queued);
        }
        self.read = None;
        unreached
    }

    /// Tells every peer heard from within `recent` that this is the end.
    pub(super) fn say_goodbye(&mut self, recent: Option<Duration>, now: Instant) {
        for (peer, local) in self.peers.recent(now, recent) {
            self.datagrams.reply(peer, local, Notice::ShuttingDown.text().as_bytes());
        }
        // Nobody is told of these that fail: nobody asked.
        self.datagrams.flush(|_, _| {});
    }

    /// Nothing goes to port 0, to ourselves, to a service that would answer, or
    /// to a group: no datagram comes from one, and a forged one would have us
    /// speak to a whole network.
    fn is_nobody(&self, peer: SocketAddr, local: Local) -> bool {
        let port = peer.port();
        port == 0
            || CHATTY_PORTS.contains(&port)
            || peer.ip().to_canonical().is_multicast()
            || self.datagrams.is_own_address(peer, local)
    }

    /// A reply is answered once a second in all: otherwise one forged datagram
    /// could start an exchange between two servers that never ends.
    fn may_answer_reply(&mut self, now: Instant) -> bool {
        let due = self.replied_to_reply.is_none_or(|last| now.saturating_duration_since(last) >= REPLY_TO_REPLY);
        if due {
            self.replied_to_reply = Some(now);
        }
        due
    }
}

#[cold]
#[inline(never)]
fn trace_batch(came: u64, sent: usize) {
    let came = usize::try_from(came).unwrap_or(usize::MAX);
    trace!("    {}; sent {}", Counted(came, "datagram"), Counted(sent, "answer"));
}
