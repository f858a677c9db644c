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
/// Batches received at the end, for what had arrived before: more than the receive buffer holds, and no more, lest a
/// flood put the end off.
const LAST_BATCHES: usize = 256;
/// A datagram that is itself a reply is answered so often, in all.
const REPLY_TO_REPLY: Duration = Duration::from_secs(1);
/// Errors in a row after which receiving pauses ...
const ERRORS_PER_TURN: usize = 16;
/// ... for so long.
const PAUSE: Duration = Duration::from_millis(100);

/// The UDP socket, who spoke to it, and when it last answered a reply.
pub(super) struct Answerer {
    datagrams: Datagrams,
    peers: Peers,
    replied_to_reply: Option<Instant>,
    heard: Option<Instant>,
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
        self.serve_batches(BATCHES_PER_TURN, desk, now)
    }

    /// Answers what had arrived, then tells every recent peer that this is the end.
    pub(super) fn say_goodbye(&mut self, recent: Option<Duration>, desk: &mut Desk, now: Instant) {
        self.serve_batches(LAST_BATCHES, desk, now);
        for (peer, local) in self.peers.recent(now, recent) {
            self.datagrams.reply(peer, local, Notice::ShuttingDown.text().as_bytes());
        }
        // Nobody is told of these that fail: nobody asked.
        self.datagrams.flush(|_, _| {});
    }

    fn serve_batches(&mut self, budget: usize, desk: &mut Desk, now: Instant) -> Next {
        self.flush(desk);
        let mut errors = 0;
        for _ in 0..budget {
            match self.datagrams.receive() {
                Ok(received) => {
                    errors = 0;
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
                    if errors == ERRORS_PER_TURN {
                        return Next::At(now + PAUSE);
                    }
                }
            }
        }
        Next::Again
    }

    fn answer_batch(&mut self, desk: &mut Desk, now: Instant) {
        while let Some(datagram) = self.datagrams.next() {
            let (peer, local, bytes) = (datagram.peer, datagram.local, datagram.bytes);
            let reply = is_reply(bytes);
            desk.stats.datagrams_in += 1;
            desk.journal.tell(&Event::Datagram { peer, bytes });
            if self.may_answer(peer, local, reply, now) && self.datagrams.reply(peer, local, CHECK) {
                self.peers.hear(peer, local, now);
                self.heard = Some(now);
            } else {
                desk.stats.unanswered += 1;
            }
        }
    }

    /// Nothing goes to port 0, to a group or to ourselves, and a reply is
    /// answered once a second in all: otherwise one forged datagram could make
    /// a whole network answer, or start an exchange between two servers that
    /// never ends.
    fn may_answer(&mut self, peer: SocketAddr, local: Local, reply: bool, now: Instant) -> bool {
        let is_group = peer.ip().to_canonical().is_multicast();
        if peer.port() == 0 || is_group || self.datagrams.is_own_address(peer, local) {
            return false;
        }
        if !reply {
            return true;
        }
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
