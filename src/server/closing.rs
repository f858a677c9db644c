//! Parting: every way in which a connection, and in the end the server, comes to its end.

use std::time::Instant;

use super::Server;
use super::converse::{Verdict, reason_of};
use crate::connection::Fill;
use crate::reactor::{Key, Ready, Source};
use crate::roster::State;
use crate::transcript::server::Event;
use crate::wire::{Notice, Reason};

/// Idle clients looked at in one turn.
const SWEEPS_PER_TURN: usize = 256;
/// Clients of the backlog that are still served at the end: more than it holds.
const LAST_ACCEPTS: usize = 8192;

impl Server {
    /// One turn of one connection, whatever it is still here for.
    pub(super) fn serve_peer(&mut self, key: Key, ready: Ready, now: Instant) {
        let Some(peer) = self.roster.get_mut(key) else {
            return;
        };
        match peer.state() {
            State::Open => {
                let (progress, verdict) = self.desk.converse(peer, ready);
                if progress {
                    self.roster.progress(key, now);
                }
                match verdict {
                    Verdict::Wait => {}
                    Verdict::Again => self.reactor.again(ready.source),
                    Verdict::Finish => self.finish(key, now),
                    Verdict::Dismiss(notice, reason) => self.dismiss(key, Some(notice), reason, now),
                    Verdict::Lost(reason) => self.lose(key, reason, now),
                }
            }
            State::Finishing => self.finish(key, now),
            State::Dismissed => self.linger(key),
            State::Doomed => {}
        }
    }

    /// Sends what a client that has ended its side is owed, and closes behind it.
    fn finish(&mut self, key: Key, now: Instant) {
        self.roster.finish(key);
        let Some(peer) = self.roster.get_mut(key) else {
            return;
        };
        match peer.connection.flush() {
            Ok(moved) => {
                let done = !peer.connection.output_waits();
                if moved > 0 {
                    self.roster.progress(key, now);
                }
                if done {
                    self.lose(key, Reason::Closed, now);
                }
            }
            Err(error) => {
                let reason = reason_of(&error, peer);
                self.lose(key, reason, now);
            }
        }
    }

    /// The connection is over: tells why, and frees it at the end of the turn.
    fn lose(&mut self, key: Key, reason: Reason, now: Instant) {
        self.record_parting(key, reason, now);
        self.roster.doom(key);
    }

    /// Ends a connection from our side: the notice behind all that is owed, no
    /// more input, and time to take it all before it is closed.
    pub(super) fn dismiss(&mut self, key: Key, notice: Option<Notice>, reason: Reason, now: Instant) {
        self.record_parting(key, reason, now);
        self.say_last(key, notice);
        self.roster.dismiss(key, now);
        self.linger(key);
    }

    /// Queues the last word.
    pub(super) fn say_last(&mut self, key: Key, notice: Option<Notice>) {
        let (Some(peer), Some(notice)) = (self.roster.get_mut(key), notice) else {
            return;
        };
        let mut last_word = Vec::new();
        self.settings.framing.encode(notice.text().as_bytes(), &mut last_word);
        if peer.connection.send(&last_word).is_err() {
            // Lingering finds out.
            peer.connection.abandon_output();
        }
    }

    /// Moves a dismissed connection towards its end: what waits goes out, then
    /// our side is shut, input is read and forgotten until the peer's side is.
    pub(super) fn linger(&mut self, key: Key) {
        let Some(peer) = self.roster.get_mut(key) else {
            return;
        };
        let flushed = peer.connection.flush();
        let out = !peer.connection.output_waits();
        if out {
            peer.half_close();
        }
        match flushed.and_then(|_| self.desk.discard(peer)) {
            Ok(Fill::Drained) => {}
            Ok(Fill::Ended) if !out => {}
            Ok(Fill::Ended) | Err(_) => self.roster.doom(key),
            Ok(Fill::Data { .. }) => self.reactor.again(Source::Peer(key)),
        }
    }

    fn record_parting(&mut self, key: Key, reason: Reason, now: Instant) {
        let Some(peer) = self.roster.get_mut(key) else {
            return;
        };
        let lasted = now.saturating_duration_since(peer.since);
        let event = Event::Disconnected { peer: peer.address, reason, messages: peer.messages, lasted };
        match reason {
            // The operator's answer, quiet or not.
            Reason::Operator => self.desk.journal.answer(&event),
            _ => self.desk.journal.tell(&event),
        }
        self.desk.stats.resets += u64::from(reason == Reason::Reset);
        self.desk.stats.idle_cuts += u64::from(reason == Reason::Idle);
    }

    /// Cuts who is due. A client's last chance: a message that waits in its socket saves it.
    pub(super) fn sweep(&mut self, now: Instant) {
        for _ in 0..SWEEPS_PER_TURN {
            let Some(key) = self.roster.idle_at(now) else {
                break;
            };
            self.serve_peer(key, Ready::unasked(Source::Peer(key)), now);
            if self.roster.idle_at(now) == Some(key) {
                self.dismiss(key, Some(Notice::IdleTimeout), Reason::Idle, now);
            }
        }
        while let Some(key) = self.roster.overstayed_at(now) {
            self.cut += u64::from(self.stopping && !self.roster.is_refused(key));
            self.roster.doom(key);
        }
    }

    /// Shutdown: the backlog is served, the doors close, everyone is told.
    /// What is left of the conversation is lingering.
    pub(super) fn shut_down(&mut self, now: Instant) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        self.desk.journal.tell(&Event::ShuttingDown);
        self.accept_up_to(LAST_ACCEPTS, now, |_, _| {});
        self.door = None;
        if let Some(answerer) = &mut self.answerer {
            answerer.say_goodbye(self.settings.idle_timeout, &mut self.desk, now);
        }
        self.stopping_until = self.settings.grace.and_then(|grace| now.checked_add(grace));
        for key in self.roster.keys() {
            self.serve_peer(key, Ready::unasked(Source::Peer(key)), now);
            let open = self.roster.get_mut(key).is_some_and(|peer| peer.is_client());
            if open {
                self.dismiss(key, Some(Notice::ShuttingDown), Reason::Shutdown, now);
            }
        }
    }

    /// Whether a shutdown has come to its end.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let answers_wait = self.answerer.as_ref().is_some_and(super::answer::Answerer::waiting);
        let time_is_up = self.stopping_until.is_some_and(|until| now >= until);
        self.stopping && self.roster.is_empty() && (!answers_wait || time_is_up)
    }
}
