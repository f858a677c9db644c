//! The probes: sent when they are due, lost when their time is up.

use std::io;
use std::time::{Duration, Instant};

use super::account::KEPT;
use super::ending::wall;
use super::flows::{Choice, Duty};
use super::port::Port;
use super::receipt::Receipt;
use super::{Ping, Settings, Stamps, Via, why};
use crate::process::limits::Shortage;
use crate::transcript::instrument::Event;
use crate::wire::{Framing, Protocol, STAMPED};

/// Probes sent in one turn at most, so that what comes back is heard however many are due.
const SENDS: usize = 1024;
/// A closed loop that lacks something tries again so late.
const SHORTAGE: Duration = Duration::from_millis(10);
/// Late answers are awaited no longer than that.
const LONGEST: Duration = Duration::from_secs(3600);

impl Ping {
    /// Sends what is due, whatever became of the probes before.
    pub(super) fn send_due(&mut self) {
        for _ in 0..SENDS {
            let now = Instant::now();
            if self.next_due(now).is_none_or(|due| due > now) {
                return;
            }
            let Some(due) = self.schedule.as_mut().and_then(|schedule| schedule.take(now)) else {
                return;
            };
            if !self.is_closed() {
                self.tally.own_lateness.record(now.saturating_duration_since(due));
            }
            if let Err(shortage) = self.dispatch(due, now) {
                self.account.unsent += 1;
                if let Some(timeline) = &mut self.timeline {
                    timeline.skip(due.saturating_duration_since(self.began));
                }
                self.tried_again = Some(now + SHORTAGE).filter(|_| self.is_closed());
                self.tell_shortage(&shortage);
            }
        }
    }

    /// When the next probe is to be sent.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let schedule = self.schedule.as_ref()?;
        if schedule.is_closed() && self.account.in_flight() >= self.settings.flows as u64 {
            return None;
        }
        let due = schedule.next_due(now)?;
        Some(self.tried_again.map_or(due, |again| due.max(again)))
    }

    fn is_closed(&self) -> bool {
        self.schedule.as_ref().is_some_and(super::Schedule::is_closed)
    }

    /// Puts a probe on its way, or loses it; an error is our own want, and nothing was sent.
    fn dispatch(&mut self, due: Instant, now: Instant) -> io::Result<()> {
        if self.account.is_full() {
            return Err(Shortage::of("too many probes are out"));
        }
        match self.settings.protocol {
            Protocol::Tcp => self.dispatch_message(due, now),
            Protocol::Udp => self.dispatch_datagram(due, now),
        }
    }

    fn dispatch_message(&mut self, due: Instant, now: Instant) -> io::Result<()> {
        let key = match self.flows.choose() {
            Choice::Use(key) => key,
            choice => match self.flows.open(choice, &self.route, &self.stage.reactor, now) {
                Ok(key) => key,
                Err(error) => return self.lose_unopened(error, self.flows.flow_of(choice), None, due, now),
            },
        };
        let Some(socket) = self.flows.get(key) else {
            return Ok(());
        };
        let (flow, stands) = (socket.flow, socket.state == Duty::Open);
        self.tally.send(flow, Some(socket.source_port));
        let seq = self.account.send(due, now, Via { key: Some(key), flow, moves: self.route.moves() });
        self.flows.carry(key, seq, now);
        if stands && let Some(Err(error)) = self.flows.get(key).map(|socket| socket.link.send(&self.message)) {
            self.end(key, &why(&error), now);
        }
        Ok(())
    }

    /// A datagram by the port whose turn it is: any number by one where stamps are understood, else one by each.
    fn dispatch_datagram(&mut self, due: Instant, now: Instant) -> io::Result<()> {
        let (key, now) = match self.flows.choose() {
            Choice::Use(key) => (key, now),
            choice => match self.flows.open(choice, &self.route, &self.stage.reactor, now) {
                // To make a socket is no part of the round trip.
                Ok(key) => (key, Instant::now()),
                Err(error) => return self.lose_unopened(error, self.flows.flow_of(choice), None, due, now),
            },
        };
        let (stamps, clock) = (self.stamps, self.clock(now));
        let Some(socket) = self.flows.get(key) else {
            return Ok(());
        };
        // From one port that is given all of them leave, whether it is known who answers or not.
        if stamps == Stamps::Known || (stamps == Stamps::Unknown && self.settings.origin.port().is_some()) {
            socket.settle();
        }
        if stamps != Stamps::Off {
            let port = socket.port.get_or_insert_with(|| Box::new(Port::new()));
            if let Some(header) = self.message.first_chunk_mut::<STAMPED>() {
                port.next_probe(clock).encode(header);
            }
        }
        let (flow, source_port) = (socket.flow, socket.source_port);
        let error = match socket.link.send(&self.message) {
            Ok(true) => {
                let seq = self.account.send(due, now, Via { key: Some(key), flow, moves: self.route.moves() });
                if let Some(port) = &mut socket.port {
                    port.sent_as(seq, &self.account);
                }
                self.tally.send(flow, Some(source_port));
                self.flows.carry(key, seq, now);
                return Ok(());
            }
            Ok(false) => Shortage::of("no room to send"),
            Err(error) => error,
        };
        self.flows.offer(key);
        self.lose_unopened(error, flow, Some(source_port), due, now)
    }

    /// Stamps the message as the next one of `port`.
    pub(super) fn stamp(&mut self, port: &Port, now: Instant) {
        let probe = port.next_probe(self.clock(now));
        if let Some(header) = self.message.first_chunk_mut::<STAMPED>() {
            probe.encode(header);
        }
    }

    /// Our clock, as probes carry it.
    fn clock(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX)
    }

    /// The system does not take a probe: it is lost, unless the want is our own.
    fn lose_unopened(
        &mut self,
        error: io::Error,
        flow: usize,
        source_port: Option<u16>,
        due: Instant,
        now: Instant,
    ) -> io::Result<()> {
        if Shortage::is(&error) {
            return Err(error);
        }
        self.tally.send(flow, source_port);
        let seq = self.account.send(due, now, Via { key: None, flow, moves: self.route.moves() });
        self.lose(seq, &why(&error), source_port);
        Ok(())
    }

    /// When the oldest probe is given up.
    pub(super) fn next_expiry(&mut self) -> Option<Instant> {
        self.account.next_expiry()
    }

    /// Gives up what was awaited for too long; the sockets stay for a while, for what comes late.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(seq) = self.account.overdue(now) {
            self.give_up(seq, now);
        }
        self.judge(now);
        self.flows.say_farewell(now);
    }

    /// Tells the fates that are decided to who keeps them in order.
    pub(super) fn judge(&mut self, now: Instant) {
        let outages = &mut self.outages;
        self.account.judge(now, |due, acknowledged| outages.tell(due, acknowledged, wall));
    }

    /// How long a socket is kept for what comes late.
    pub(super) fn kept(&self) -> Duration {
        let kept = self.settings.timeout.and_then(|timeout| timeout.checked_mul(KEPT));
        kept.map_or(LONGEST, |kept| kept.min(LONGEST))
    }

    /// A probe's time is up.
    pub(super) fn give_up(&mut self, seq: u64, now: Instant) {
        let key = self.account.via(seq).and_then(|via| via.key);
        let kept = self.kept();
        let Some((key, socket)) = key.and_then(|key| Some((key, self.flows.get(key)?))) else {
            return self.lose(seq, "no answer in time", None);
        };
        let source_port = Some(socket.source_port);
        if socket.state == Duty::Connecting {
            // Nothing was written, so nothing can come late.
            if self.flows.take_back(key, seq) {
                self.flows.close(key);
            }
            return self.lose(seq, "no connection in time", source_port);
        }
        let is_last = socket.order.back() == Some(&seq);
        let reason = match socket.link.unfinished() {
            Some(_) => "no whole answer in time",
            None => "no answer in time",
        };
        let other_framing = socket.link.other_framing();
        self.mute |= socket.link.is_mute();
        let bare = !socket.is_settled;
        let plain = self.settings.protocol == Protocol::Udp || self.settings.framing == Framing::Bytes;
        if bare && (plain || (is_last && self.flows.is_full(key))) {
            if let Some(socket) = self.flows.get(key) {
                // What a server never reads is not kept for it.
                socket.link.forget_unsent();
            }
            self.flows.retire(key, now + kept);
        }
        self.lose(seq, reason, source_port);
        if let Some(theirs) = other_framing {
            self.tell_framing(theirs);
        }
    }

    /// What waited here while we stood still came nobody knows when, unless the kernel tells.
    pub(super) fn may_have_waited(&self, receipt: Receipt) -> bool {
        self.is_stale && !receipt.is_told()
    }

    /// An answer was received: where that is beyond the wait it is late, though nobody had noticed so far.
    pub(super) fn give_up_before(&mut self, seq: u64, receipt: Receipt) {
        let at = receipt.at();
        if !self.account.is_overdue(seq, at) {
            return;
        }
        let now = Instant::now();
        // Stopped within the turn, we let it wait ourselves.
        if let Some(span) = self.watch.work(now) {
            self.stand_still(span, now);
        }
        // That one was found late does not say that it came late.
        if !self.may_have_waited(receipt) && self.account.is_overdue(seq, at) {
            self.give_up(seq, now);
        }
    }

    /// A probe is lost, if its fate is still open.
    pub(super) fn lose(&mut self, seq: u64, reason: &str, source_port: Option<u16>) {
        let Some((due, Via { key, flow, moves })) = self.account.lose(seq) else {
            return;
        };
        if let Some(key) = key {
            self.flows.come_back(key);
        }
        if let Some(timeline) = &mut self.timeline {
            timeline.lose(due);
        }
        self.tally.lose(flow, source_port);
        let Settings { protocol, dated, .. } = self.settings;
        self.tell(&Event::Lost { protocol, peer: self.route.after(moves), seq, reason, dated });
        let now = Instant::now();
        self.ask_again(now);
        self.send_scout(now);
    }

    /// Says once why a probe, or an address, could not be tried.
    pub(super) fn tell_shortage(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.was_short, true) {
            self.stage.cannot_try(self.settings.protocol, self.route.peer(), error);
        }
    }
}
