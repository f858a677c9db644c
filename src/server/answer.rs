//! Datagrams: each is told and answered with `check`, but for the few that must not be.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use mio::Registry;

use super::converse::Desk;
use super::peers::Peers;
use crate::datagrams::{Datagrams, Local, Received};
use crate::escape::cause;
use crate::reactor::Source;
use crate::transcript::server::Event;
use crate::wire::{CHECK, Notice, is_reply};

/// Batches received in one turn.
const BATCHES_PER_TURN: usize = 8;
/// A datagram that is itself a reply is answered so often, in all.
const REPLY_TO_REPLY: Duration = Duration::from_secs(1);
/// After a turn of nothing but errors receiving pauses for so long.
const PAUSE: Duration = Duration::from_millis(100);

/// The UDP socket, who spoke to it, and when it last answered a reply.
pub(super) struct Answerer {
    datagrams: Datagrams,
    peers: Peers,
    replied_to_reply: Option<Instant>,
    heard: Option<Instant>,
    /// The last word was said: nothing more is received.
    over: bool,
}

/// When the socket is to be served next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// At its next event.
    Wait,
    /// In the next turn.
    Again,
    /// Not before this.
    At(Instant),
}

impl Answerer {
    pub(super) fn new(socket: UdpSocket) -> io::Result<Answerer> {
        Ok(Answerer {
            datagrams: Datagrams::new(socket)?,
            peers: Peers::default(),
            replied_to_reply: None,
            heard: None,
            over: false,
        })
    }

    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        self.datagrams.register(registry, Source::Datagrams.token())
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.datagrams.local_addr()
    }

    /// Whether a datagram came within `recent` before `now`.
    pub(super) fn heard_within(&self, recent: Duration, now: Instant) -> bool {
        self.heard.is_some_and(|heard| now.saturating_duration_since(heard) < recent)
    }

    /// Whether answers wait for room in the system.
    pub(super) fn waiting(&self) -> bool {
        self.datagrams.waiting()
    }

    /// Receives and answers within the turn's budget.
    pub(super) fn serve(&mut self, desk: &mut Desk, now: Instant) -> Next {
        if self.over {
            self.flush(desk);
            return Next::Wait;
        }
        self.serve_batches(BATCHES_PER_TURN, desk, now)
    }

    /// Answers what had arrived, then tells every recent peer that this is the end.
    pub(super) fn say_goodbye(&mut self, recent: Option<Duration>, desk: &mut Desk, now: Instant) {
        // No more than had arrived before: a flood has no end.
        self.serve_batches(self.datagrams.backlog(), desk, now);
        for (peer, local) in self.peers.recent(now, recent) {
            self.datagrams.reply(peer, local, Notice::ShuttingDown.text().as_bytes());
        }
        // Nobody is told of these that fail: nobody asked.
        self.datagrams.flush(|_, _| {});
        self.over = true;
    }

    fn serve_batches(&mut self, budget: usize, desk: &mut Desk, now: Instant) -> Next {
        self.flush(desk);
        let mut errors = 0;
        for _ in 0..budget {
            match self.datagrams.receive() {
                Ok(received) => {
                    self.answer_batch(desk, now);
                    self.flush(desk);
                    if received == Received::Drained {
                        return Next::Wait;
                    }
                }
                // Mostly the system's note that an answer of ours found nobody.
                Err(error) => {
                    log::debug!("receiving a datagram failed: {}", cause(&error));
                    errors += 1;
                }
            }
        }
        if errors == budget { Next::At(now + PAUSE) } else { Next::Again }
    }

    fn answer_batch(&mut self, desk: &mut Desk, now: Instant) {
        while let Some(datagram) = self.datagrams.next() {
            let (peer, local, bytes) = (datagram.peer, datagram.local, datagram.bytes);
            let reply = is_reply(bytes);
            desk.stats.datagrams_in += 1;
            desk.journal.tell(&Event::Datagram { peer, bytes });
            let answered = if self.is_nobody(peer, local) {
                false
            } else {
                self.peers.hear(peer, local, now);
                self.heard = Some(now);
                (!reply || self.may_answer_reply(now)) && self.datagrams.reply(peer, local, CHECK)
            };
            desk.stats.unanswered += u64::from(!answered);
        }
    }

    /// Nothing goes to port 0, to ourselves, or to a group: no datagram comes
    /// from one, and a forged one would have us speak to a whole network.
    fn is_nobody(&self, peer: SocketAddr, local: Local) -> bool {
        peer.port() == 0 || peer.ip().to_canonical().is_multicast() || self.datagrams.is_own_address(peer, local)
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

    fn flush(&mut self, desk: &mut Desk) {
        let Desk { stats, journal, .. } = desk;
        let sent = self.datagrams.flush(|peer, error| {
            stats.unanswered += 1;
            journal.tell(&Event::ReplyFailed { peer, error: &error });
        });
        stats.datagrams_out += sent as u64;
    }
}
