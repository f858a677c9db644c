//! The probes: sent when they are due, lost when their time is up.

use std::io;
use std::time::Instant;

use super::flows::State;
use super::tally::Probe;
use super::{Ping, Settings, why};
use crate::process::limits::Shortage;
use crate::transcript::instrument::Event;

/// A lost probe's socket is kept for so many times the wait for one answer.
const KEPT: u32 = 10;
/// Probes sent in one turn at most, so that what comes back is heard however many are due.
const SENDS: usize = 1024;

impl Ping {
    /// Sends what is due by the flows that are free.
    pub(super) fn send_due(&mut self) {
        for _ in 0..SENDS {
            let now = Instant::now();
            let Some(schedule) = &mut self.schedule else {
                return;
            };
            if schedule.next_due(now).is_none_or(|due| due > now) {
                return;
            }
            let Some(flow) = self.flows.take_ready() else {
                return;
            };
            let Some((seq, due)) = schedule.take(now) else {
                return;
            };
            let (state, free_since) = (self.flows.flows[flow].state, self.flows.flows[flow].since);
            let probe = Probe { seq, due, sent: now };
            self.tally.send(probe, flow, free_since);
            if state == State::Absent
                && let Err(error) = self.open(flow, now)
            {
                self.note_shortage(&error);
                self.lose(probe, flow, &why(&error), now);
                continue;
            }
            match self.flows.flows[flow].state {
                State::Connecting(_) => {
                    self.flows.flows[flow].state = State::Connecting(Some(probe));
                    self.flows.expect(flow);
                }
                _ => self.send(probe, flow),
            }
        }
    }

    /// Puts a probe on its way.
    pub(super) fn send(&mut self, probe: Probe, flow: usize) {
        let Some(link) = self.flows.link(flow) else {
            return;
        };
        let sent = Instant::now();
        let outcome = link.send(&self.message);
        self.tally.flows[flow].source_port = link.local_port().unwrap_or_default();
        let probe = Probe { sent, ..probe };
        self.flows.flows[flow].state = State::Busy(probe);
        match outcome {
            Ok(true) => self.flows.expect(flow),
            Ok(false) => self.lose(probe, flow, "no room to send", sent),
            Err(error) => {
                self.note_shortage(&error);
                self.lose(probe, flow, &why(&error), sent);
            }
        }
    }

    /// Where `error` is a shortage of our own: the first one is said, the others are counted.
    pub(super) fn note_shortage(&mut self, error: &io::Error) {
        if Shortage::is(error) {
            self.untried += 1;
            if self.untried == 1 {
                self.stage.cannot_try(self.settings.protocol, self.route.peer(), error);
            }
        }
    }

    /// When what has been awaited for longest is given up, and by which flow it went.
    pub(super) fn next_expiry(&self) -> Option<(Instant, usize)> {
        let (flow, since) = self.flows.longest_awaited()?;
        Some((since.checked_add(self.settings.timeout?)?, flow))
    }

    /// Gives up what was awaited for too long; the sockets stay for a while, for what comes late.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((_, flow)) = self.next_expiry().filter(|expiry| expiry.0 <= now) {
            match self.flows.flows[flow].state {
                State::Busy(probe) => {
                    let kept = self.settings.timeout.and_then(|timeout| timeout.checked_mul(KEPT));
                    let until = kept.and_then(|kept| now.checked_add(kept));
                    let unfinished = self.flows.link(flow).is_some_and(|link| link.unfinished().is_some());
                    let why = if unfinished { "no whole answer in time" } else { "no answer in time" };
                    self.flows.retire(flow, probe, until, now);
                    self.tell_lost(probe, flow, why);
                }
                State::Connecting(Some(probe)) => self.lose(probe, flow, "no connection in time", now),
                State::Connecting(None) | State::Absent | State::Free => {
                    self.flows.drop_link(flow, now);
                    self.stage.complain(format_args!("flow {} has no connection in time, it is replaced", flow + 1));
                }
            }
        }
        self.flows.say_farewell(now);
    }

    /// A probe is lost for a reason that leaves nothing to wait for: its socket goes with it.
    pub(super) fn lose(&mut self, probe: Probe, flow: usize, why: &str, now: Instant) {
        self.flows.drop_link(flow, now);
        self.tell_lost(probe, flow, why);
    }

    pub(super) fn tell_lost(&mut self, probe: Probe, flow: usize, reason: &str) {
        self.tally.lose(flow);
        let Settings { protocol, dated, .. } = self.settings;
        self.tell(&Event::Lost { protocol, peer: self.route.peer(), seq: probe.seq, reason, dated });
    }
}
