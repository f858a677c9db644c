//! The approach: which address is the one, and connections until they stand.

use std::io;
use std::time::{Duration, Instant};

use super::flows::State;
use super::schedule::Schedule;
use super::tally::Probe;
use super::{Ping, Settings, why};
use crate::client::link::Answer;
use crate::client::stage::Source;
use crate::escape::cause;
use crate::process::limits::Shortage;
use crate::reactor::Slice;
use crate::transcript::address::Address;
use crate::wire::Protocol;

impl Ping {
    /// Asks the address whether it is the one: TCP by connecting, UDP by a
    /// message of its own, unless there is no other to choose.
    pub(super) fn approach(&mut self) {
        let now = Instant::now();
        if self.settings.protocol == Protocol::Udp && !self.route.has_others() {
            return self.start(now);
        }
        let asked = self.open(0, now).and_then(|()| match (self.settings.protocol, self.flows.link(0)) {
            (Protocol::Udp, Some(link)) => link.send(&self.message).map(drop),
            _ => Ok(()),
        });
        self.flows.flows[0].state = State::Connecting(None);
        if let Err(error) = asked {
            self.next_address(&error);
        }
    }

    /// How long the address may take to accept or to answer.
    pub(super) fn patience(&self) -> Option<Duration> {
        let (most, timeout) = (self.route.patience(self.settings.timeout), self.settings.timeout);
        most.into_iter().chain(timeout).min()
    }

    pub(super) fn open(&mut self, flow: usize, now: Instant) -> io::Result<()> {
        self.flows.open(flow, &self.route, &self.stage.reactor, now)
    }

    /// No way to this address: goes to the next, before the run has begun.
    pub(super) fn next_address(&mut self, error: &io::Error) {
        let Settings { protocol, .. } = self.settings;
        let peer = self.route.peer();
        self.note_shortage(error);
        if !Shortage::is(error) {
            self.stage.complain(format_args!("cannot connect to {protocol} {}: {}", Address::new(peer), cause(error)));
        }
        self.flows.drop_link(0, Instant::now());
        if self.route.go_on() {
            self.approach();
        } else {
            self.failed = true;
        }
    }

    fn start(&mut self, now: Instant) {
        self.began = now;
        let until = self.settings.deadline.and_then(|deadline| now.checked_add(deadline));
        self.schedule = Some(Schedule::new(now, self.settings.interval, self.settings.count, until));
        if self.settings.protocol == Protocol::Tcp {
            for flow in 1..self.settings.flows {
                // One that fails is opened by its first probe, which tells.
                if self.open(flow, now).is_ok() {
                    self.flows.expect(flow);
                }
            }
        }
    }

    pub(super) fn check_connection(&mut self, flow: usize, probe: Option<Probe>) {
        let now = Instant::now();
        let since = self.flows.flows[flow].since;
        match self.flows.link(flow).map(|link| link.is_established()) {
            Some(Ok(true)) => {
                self.tally.connects.record(now.saturating_duration_since(since));
                match probe {
                    Some(probe) => self.send(probe, flow),
                    None => self.flows.set(flow, State::Free, now),
                }
                if self.schedule.is_none() {
                    self.start(now);
                }
            }
            Some(Ok(false)) | None => {}
            Some(Err(error)) if self.schedule.is_none() => self.next_address(&error),
            Some(Err(error)) => {
                self.flows.drop_link(flow, now);
                match probe {
                    Some(probe) => self.tell_lost(probe, flow, &why(&error)),
                    None => self.tell_cut(flow, &why(&error)),
                }
            }
        }
    }

    /// Whether a datagram to an address among others was acknowledged.
    pub(super) fn check_answer(&mut self, flow: usize, slice: &mut Slice<Source>) {
        let Some(link) = self.flows.link(flow) else {
            return;
        };
        let mut answers = Vec::new();
        let heard = link.hear(&mut self.buffer, &mut slice.budget, &mut answers);
        if answers.contains(&Answer::Ack) {
            let now = Instant::now();
            self.flows.set(flow, State::Free, now);
            self.start(now);
        } else if let Err(error) = heard {
            self.next_address(&error);
        }
    }

    /// Goes on where an address neither accepts nor answers.
    pub(super) fn judge_patience(&mut self, now: Instant) {
        let waited = now.saturating_duration_since(self.flows.flows[0].since);
        if self.patience().is_some_and(|patience| waited >= patience) {
            self.next_address(&io::ErrorKind::TimedOut.into());
        }
    }
}
