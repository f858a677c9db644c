//! Parting: every way in which a connection, and in the end the server, comes to its end.

use std::time::{Duration, Instant};

use super::converse::{Attention, reason_of};
use super::{Server, Source};
use crate::connection::Fill;
use crate::reactor::{Key, Slice};
use crate::roster::{Peer, State};
use crate::trace::{self, trace};
use crate::transcript::server::Event;
use crate::wire::{Notice, Output, Reason};

/// Clients of the backlog that are still served at the end: more than it holds.
const LAST_ACCEPTS: usize = 8192;
/// Beyond the grace an end takes half a second at the most: this, and the process's own end behind it ...
pub(super) const LAST_MOMENT: Duration = Duration::from_millis(450);
/// ... of which the doors, behind which somebody may have waited, stay open for so long ...
const DOORS: Duration = Duration::from_millis(200);
/// ... and everyone is still read once more, with time to tell what they said.
const LEAST_CALM: Duration = Duration::from_millis(100);
/// A client that is due is looked at so often while there is more in its socket: more than a receive buffer holds.
const LOOKS: u32 = 128;

/// The end of the server, once it has begun: the same turn in another state.
#[derive(Debug)]
pub(super) struct Ending {
    phase: Phase,
    /// Connections that did not end within the grace.
    pub(super) cut: u64,
}

/// How far the end is.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// All goes on, but who has an ACK is told behind it that it was the last. `None`: for ever.
    Draining { until: Option<Instant> },
    /// Everyone is told.
    Closing(Closing),
}

#[derive(Clone, Copy, Debug)]
struct Closing {
    /// From here on there is no time to tell each message that was read: the ACKs matter more.
    haste: Option<Instant>,
    /// Nobody stays beyond this; `None`: it is never.
    until: Option<Instant>,
    /// Nobody is let in beyond this, and no datagram is answered.
    doors: Option<Instant>,
    /// Clients that may still come out of the backlog.
    accepts: usize,
}

impl Closing {
    fn begin(grace: Option<Duration>, now: Instant) -> Closing {
        let after = |span: Option<Duration>| span.and_then(|span| now.checked_add(span));
        let until = after(grace);
        Closing {
            haste: after(grace.map(|grace| LEAST_CALM.max(grace / 2))),
            until,
            doors: until.and_then(|until| until.checked_add(DOORS)),
            accepts: LAST_ACCEPTS,
        }
    }
}

impl Ending {
    fn new(phase: Phase) -> Ending {
        Ending { phase, cut: 0 }
    }

    /// How one is listened to that was read out, or not yet.
    pub(super) fn attention(&self, is_read_out: bool, now: Instant) -> Attention {
        match &self.phase {
            Phase::Draining { .. } => Attention { reads: !is_read_out, drains: true, ..Attention::FULL },
            Phase::Closing(closing) => {
                let tells = closing.haste.is_none_or(|haste| now < haste);
                Attention { reads: !is_read_out, tells, drains: false }
            }
        }
    }

    /// When it goes on by itself: the drain is over, or the doors close.
    pub(super) fn next(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Draining { until } => *until,
            Phase::Closing(closing) => closing.doors,
        }
    }

    /// When the last may be cut; `None` where that is never, or not known yet.
    pub(super) fn until(&self) -> Option<Instant> {
        self.closing().and_then(|closing| closing.until)
    }

    /// One more may come out of the backlog, or not.
    pub(super) fn may_accept(&mut self) -> bool {
        let Phase::Closing(closing) = &mut self.phase else {
            return true;
        };
        let may = closing.accepts > 0;
        closing.accepts -= usize::from(may);
        may
    }

    fn closing(&self) -> Option<&Closing> {
        match &self.phase {
            Phase::Draining { .. } => None,
            Phase::Closing(closing) => Some(closing),
        }
    }
}

impl Server {
    /// Whether everyone is being told that this is the end.
    pub(super) fn is_closing(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.closing().is_some())
    }

    /// At the end of the server, a client that was read out is told so.
    pub(super) fn see_off(&mut self, key: Key, now: Instant) {
        if !self.is_closing() {
            return;
        }
        if self.roster.get_mut(key).is_some_and(|peer| peer.is_client() && !peer.inbox.has_rest()) {
            self.dismiss(key, Some(Notice::ShuttingDown), Reason::Shutdown, now);
        }
    }

    /// Sends what a client that has ended its side is owed, and closes behind it.
    pub(super) fn finish(&mut self, key: Key, now: Instant) {
        self.roster.finish(key);
        let Some(peer) = self.roster.get_mut(key) else {
            return;
        };
        match self.desk.flush(peer) {
            Ok(_) if peer.owed.is_empty() => self.lose(key, Reason::Closed, now),
            Ok(moved) => {
                if moved > 0 {
                    self.roster.progress(key, now);
                }
                self.see_off(key, now);
            }
            Err(error) => {
                let reason = reason_of(&error, peer);
                self.lose(key, reason, now);
            }
        }
    }

    /// The connection is over: tells why, and frees it at the end of the turn.
    pub(super) fn lose(&mut self, key: Key, reason: Reason, now: Instant) {
        self.record_parting(key, reason, now);
        self.roster.doom(key);
    }

    /// Ends a connection from our side: the notice behind all that is owed, no
    /// more input, and time to take it all before it is closed.
    pub(super) fn dismiss(&mut self, key: Key, notice: Option<Notice>, reason: Reason, now: Instant) {
        self.record_parting(key, reason, now);
        match reason {
            // The time of a drain is not the end's.
            Reason::Shutdown if self.is_closing() => self.roster.see_off(key, None),
            Reason::Shutdown => {
                self.roster.see_off(key, self.settings.grace.and_then(|grace| now.checked_add(grace)));
            }
            _ => self.roster.dismiss(key, now),
        }
        self.say_last(key, notice);
    }

    /// The last word of one that was dismissed; its own slices drain what it still sends.
    pub(super) fn say_last(&mut self, key: Key, notice: Option<Notice>) {
        let Some(peer) = self.roster.get_mut(key) else {
            return;
        };
        peer.inbox.forget();
        if let Some(notice) = notice {
            trace!("    its last word: {}", notice.text());
            peer.owed.say(notice);
        }
        match self.desk.flush(peer) {
            Ok(_) => self.process.reactor.ask(Source::Peer(key)),
            Err(_) => self.roster.doom(key),
        }
    }

    /// Moves a dismissed connection towards its end: what waits goes out, then
    /// our side is shut, input is read and forgotten until the peer's side is.
    pub(super) fn linger(&mut self, key: Key, slice: &mut Slice<Source>) {
        // The exercise: why do ACKs still arrive after the server has closed? Because it does not close over unread input.
        let Some(peer) = self.roster.get_mut(key) else {
            return;
        };
        match self.desk.flush(peer).and_then(|_| self.desk.discard(peer, &mut slice.budget)) {
            // It may still be reading.
            Ok(Fill::Ended) if !peer.owed.is_empty() => {}
            Ok(Fill::Ended) | Err(_) => self.roster.doom(key),
            Ok(Fill::Drained | Fill::CutOff | Fill::Data { .. }) => {}
        }
    }

    fn record_parting(&mut self, key: Key, reason: Reason, now: Instant) {
        let Some(peer) = self.roster.get_mut(key) else {
            return;
        };
        let lasted = now.saturating_duration_since(peer.since);
        let via = peer.via.as_deref().copied();
        trace!("    parts: {reason}");
        let event = Event::Disconnected { peer: peer.address, via, reason, messages: peer.messages, lasted };
        match reason {
            // The operator's answer, quiet or not.
            Reason::Operator => self.process.journal.answer(&event),
            _ if peer.is_quiet => {}
            _ => self.process.journal.tell(&event),
        }
        // Who only looks whether we are there mostly leaves by a reset, which is nobody's trouble.
        let reason = if peer.is_quiet && reason == Reason::Reset { Reason::Closed } else { reason };
        self.desk.tally.closed[reason as usize] += 1;
        if let Some(crowd) = &mut self.crowd {
            crowd.leave(peer.address.ip());
        }
        self.desk.stats.resets += u64::from(reason == Reason::Reset);
        self.desk.stats.idle_cuts += u64::from(reason == Reason::Idle);
    }

    /// Cuts who is due, as far as the turn has time for it. A client's last chance: a message that waits in its socket
    /// saves it, and an end that waits there makes it no cut.
    /// Says how many were cut.
    pub(super) fn sweep(&mut self, now: Instant) -> usize {
        let mut swept = 0;
        if self.roster.unnamed() > 0 && !self.sweep_unnamed(now) {
            return swept;
        }
        while let Some(key) = self.roster.idle_at(now) {
            let Some((looked, saw_all)) = self.look_again(key) else {
                return swept;
            };
            if saw_all && self.roster.idle_at(now) == Some(key) {
                swept += 1;
                self.dismiss(key, Some(Notice::IdleTimeout), Reason::Idle, looked);
            }
        }
        while let Some(key) = self.roster.overstayed_at(now) {
            // Once, for its end may wait there: what it still sends saves nobody whose time is over.
            if self.look_again(key).is_none() {
                return swept;
            }
            // What was read is owed, however short the grace; it has an end, since no more is read.
            let owes = |peer: &mut Peer| peer.state() == State::Open && peer.inbox.has_rest();
            if self.roster.overstayed_at(now) == Some(key) && !self.roster.get_mut(key).is_some_and(owes) {
                swept += 1;
                let parted = self.roster.get_mut(key).is_none_or(|peer| peer.parted_for_another_reason());
                if let Some(ending) = &mut self.ending {
                    ending.cut += u64::from(!parted);
                }
                self.roster.doom(key);
            }
        }
        swept
    }

    /// The same for those of whom it should be known by now who they are; false where the turn has no time left.
    fn sweep_unnamed(&mut self, now: Instant) -> bool {
        while let Some(key) = self.roster.unnamed_at(now) {
            let Some((looked, saw_all)) = self.look_again(key) else {
                return false;
            };
            if saw_all && self.roster.unnamed_at(now) == Some(key) {
                self.give_up_late(key, looked);
            }
        }
        true
    }

    /// Serves one that is due once more: when that was, and whether all that its socket held was seen. `None` where the
    /// turn has no time left for it.
    fn look_again(&mut self, key: Key) -> Option<(Instant, bool)> {
        let mut slice = self.process.reactor.due_slice(Source::Peer(key))?;
        if trace::is_on() {
            self.trace_due(key);
        }
        self.serve_peer(key, &mut slice);
        let looked = (slice.now(), !slice.budget.is_cut_off());
        self.process.reactor.put_back(slice);
        let is_patient = self.roster.get_mut(key).is_some_and(|peer| {
            peer.looks += 1;
            peer.looks < LOOKS
        });
        Some((looked.0, looked.1 || !is_patient))
    }

    /// Begins the end a while before the shutdown: from now on every ACK is its connection's last. Sockets of our own
    /// go on; passed ones are somebody else's from now on.
    pub(super) fn drain(&mut self, now: Instant) {
        if self.ending.is_some() {
            return;
        }
        let until = self.settings.drain.and_then(|drain| now.checked_add(drain));
        self.begin_end(Phase::Draining { until });
        // Who waits for ACKs already has its last ones.
        let is_waiting = |peer: &Peer| !peer.owed.is_empty() || peer.inbox.has_rest();
        let waiting = |(key, peer): (Key, &Peer)| (peer.state() != State::Unnamed && is_waiting(peer)).then_some(key);
        let waiting: Vec<Key> = self.roster.iter().filter_map(waiting).collect();
        for key in waiting {
            self.process.reactor.ask(Source::Peer(key));
            if let Some(peer) = self.roster.get_mut(key) {
                peer.is_read_out = true;
            }
        }
    }

    /// Once the time of the drain is over, the shutdown begins.
    pub(super) fn end_drain_if_due(&mut self, now: Instant) {
        let due = self.ending.as_ref().is_some_and(|ending| ending.next().is_some_and(|next| now >= next));
        if due && !self.is_closing() {
            self.shut_down(now);
        }
    }

    /// Begins the end, or that of a drain: the backlog is served, the doors close, everyone is read once more and told.
    /// All of it happens in the turns that follow.
    pub(super) fn shut_down(&mut self, now: Instant) {
        // The exercise, 3: everyone is to be told. There is nobody to find, to wake and to join: all are in one roster.
        if self.is_closing() {
            return;
        }
        let closing = Closing::begin(self.settings.grace, now);
        self.begin_end(Phase::Closing(closing));
        self.metrics = None;
        self.roster.end_at(closing.until);
        self.process.reactor.ask(Source::Listener);
        self.process.reactor.ask(Source::Datagrams);
        if let Some(answerer) = &mut self.answerer {
            answerer.end();
        }
        for (key, _) in self.roster.iter() {
            self.process.reactor.ask(Source::Peer(key));
        }
    }

    /// Tells of the end where it begins with this phase, and leaves sockets that others have, too.
    fn begin_end(&mut self, phase: Phase) {
        match &mut self.ending {
            Some(ending) => ending.phase = phase,
            None => {
                self.ending = Some(Ending::new(phase));
                self.process.journal.tell(&Event::ShuttingDown);
                self.notifier.stopping();
            }
        }
        if self.passed {
            self.leave_doors();
        }
    }

    /// What waits in passed sockets is the next process's: nobody is let in and no datagram is read any more.
    fn leave_doors(&mut self) {
        let answerer = self.take_answerer();
        let registry = self.process.reactor.registry();
        if let Some(door) = self.door.take() {
            door.leave(registry);
        }
        if let Some(answerer) = answerer {
            answerer.leave(registry);
        }
    }

    /// Soon after the grace nobody is let in any more, and datagrams have their last word.
    pub(super) fn close_doors_if_late(&mut self, now: Instant) {
        let closing = self.ending.as_ref().and_then(Ending::closing);
        if closing.and_then(|closing| closing.doors).is_some_and(|doors| now >= doors) {
            self.door = None;
            self.say_goodbye(now);
        }
    }

    /// Whether an end has come to its end.
    pub(super) fn is_over(&self) -> bool {
        self.ending.is_some() && self.door.is_none() && self.answerer.is_none() && self.roster.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_grace_or_a_tenth_of_a_second_is_for_telling_what_was_read() {
        let now = Instant::now();
        for (grace, calm) in [(4000, 2000), (1000, 500), (100, 100), (0, 100)] {
            let ending = Ending::new(Phase::Closing(Closing::begin(Some(Duration::from_millis(grace)), now)));
            let tells = |millis| ending.attention(true, now + Duration::from_millis(millis)).tells;
            assert!(tells(calm - 1) && !tells(calm), "{grace} ms");
        }
        let endless = Ending::new(Phase::Closing(Closing::begin(None, now)));
        assert!(endless.attention(true, now + Duration::from_secs(3600)).tells && endless.until().is_none());
    }
}
