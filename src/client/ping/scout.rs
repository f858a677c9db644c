//! A short message beside long probes: where they are lost and it is answered, their size is the cause.

use std::io;
use std::time::{Duration, Instant};

use super::Ping;
use super::flows::{Choice, Duty};
use crate::client::link::{Answer, Datagram};
use crate::client::stage::Source;
use crate::datagrams::{Received, Refusal};
use crate::mtu::is_too_big;
use crate::reactor::{Key, Slice};
use crate::wire::Protocol;

/// What it says.
const SHORT: &[u8] = b"hello";
/// No path worth the name loses a message for a length up to this (RFC 791: 576 bytes pass, headers included).
const HARMLESS: usize = 512;
/// It is sent so often at most, ...
const TRIES: u32 = 3;
/// ... so far apart, and has so long to be answered.
const APART: Duration = Duration::from_secs(1);

/// What is known of size as a cause.
#[derive(Debug, Default)]
pub(super) struct Scout {
    key: Option<Key>,
    /// When it was sent last.
    asked: Option<Instant>,
    tries: u32,
    is_answered: bool,
    /// Whether somebody said that a probe was too long.
    is_too_big: bool,
}

impl Scout {
    /// Whether it is the one that this socket carries.
    pub(super) fn is(&self, key: Key) -> bool {
        self.key == Some(key)
    }

    /// A probe was lost for what may be its size.
    pub(super) fn note(&mut self, refusal: &Refusal) -> bool {
        let is_too_big = refusal.too_big.is_some() || is_too_big(&refusal.error);
        self.is_too_big |= is_too_big;
        is_too_big
    }
}

impl Ping {
    /// A probe was lost: would a short one be answered?
    pub(super) fn send_scout(&mut self, now: Instant) {
        let is_suspect = self.account.acknowledged == 0 || self.scout.is_too_big;
        let is_done = self.scout.is_answered || self.scout.tries >= TRIES;
        let waits = self.scout.asked.is_some_and(|asked| now < asked + APART);
        if self.settings.size <= HARMLESS || !is_suspect || is_done || waits {
            return;
        }
        if let Some(earlier) = self.scout.key.take() {
            self.flows.close(earlier);
        }
        self.scout.asked = Some(now);
        self.scout.tries += 1;
        // A port that is given is taken by the probes.
        let opened = self.flows.open(Choice::Beside, &self.route.from_any_port(), &self.stage.reactor, now);
        let Ok(key) = opened else {
            return;
        };
        self.scout.key = Some(key);
        if self.settings.protocol == Protocol::Udp {
            self.say_short(key);
        }
    }

    fn say_short(&mut self, key: Key) {
        let said = self.flows.get(key).map(|socket| socket.link.send(SHORT));
        if !matches!(said, Some(Ok(true))) {
            self.dismiss_scout();
        }
    }

    fn dismiss_scout(&mut self) {
        if let Some(key) = self.scout.key.take() {
            self.flows.close(key);
        }
    }

    pub(super) fn serve_scout(&mut self, key: Key, slice: &mut Slice<Source>) {
        let Some(socket) = self.flows.get(key) else {
            return;
        };
        if socket.state == Duty::Connecting {
            match socket.link.is_established() {
                Ok(false) => return,
                Ok(true) => {
                    socket.state = Duty::Open;
                    self.say_short(key);
                }
                Err(_) => return self.dismiss_scout(),
            }
        }
        match self.hear_scout(key, slice) {
            Ok(false) => {}
            Ok(true) => {
                // It may take no longer than a probe.
                self.scout.is_answered |= self.scout_ends().is_none_or(|end| slice.now() <= end);
                self.dismiss_scout();
            }
            Err(_) => self.dismiss_scout(),
        }
    }

    /// Whether it is acknowledged.
    fn hear_scout(&mut self, key: Key, slice: &mut Slice<Source>) -> io::Result<bool> {
        let Some(socket) = self.flows.get(key) else {
            return Ok(false);
        };
        if socket.link.is_stream() {
            let mut answers = Vec::new();
            let link = &mut socket.link;
            link.flush().and_then(|_| link.hear(&mut self.buffer, &mut slice.budget, &mut answers))?;
            return Ok(answers.contains(&Answer::Ack));
        }
        loop {
            let received = socket.link.receive(false, &mut self.batch, &mut slice.budget)?;
            while let Some((bytes, _)) = self.batch.next() {
                slice.budget.spend_bytes(bytes.len());
                if Datagram::parse(bytes) == Datagram::Check {
                    return Ok(true);
                }
            }
            if received != Received::More {
                return Ok(false);
            }
        }
    }

    /// Until when its answer is awaited, where that is all there is to wait for.
    pub(super) fn scout_ends(&self) -> Option<Instant> {
        self.scout.key?;
        let wait = self.settings.timeout.map_or(APART, |timeout| timeout.min(APART));
        self.scout.asked.map(|asked| asked + wait)
    }

    /// The bytes of the message that is answered, where probes are lost for nothing but their size.
    pub(super) fn short_answered(&self) -> Option<usize> {
        let is_cause = (self.account.acknowledged == 0 && self.account.late == 0) || self.scout.is_too_big;
        (self.scout.is_answered && is_cause && self.account.lost > 0).then_some(SHORT.len())
    }
}
