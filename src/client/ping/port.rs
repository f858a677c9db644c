//! A port that stamped probes leave from: which of its numbers is which probe, and what its answers tell.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use super::account::Account;
use super::legs::{Session, is_possible};
use crate::wire::{Mark, Probe, Stamp};

/// The session of one source port.
#[derive(Debug)]
pub(super) struct Port {
    session: u64,
    /// The numbers that its probes have in the account, the oldest ones forgotten.
    probes: VecDeque<u64>,
    /// How many were forgotten.
    forgotten: u64,
    /// The highest of its numbers that was answered.
    highest_answered: u64,
    /// How many of its probes are out.
    pub(super) out: u64,
    /// What its answers tell of the legs.
    pub(super) legs: Session,
}

impl Port {
    /// A session that nobody else has.
    pub(super) fn new() -> Port {
        Port {
            session: RandomState::new().hash_one(0),
            probes: VecDeque::new(),
            forgotten: 0,
            highest_answered: 0,
            out: 0,
            legs: Session::default(),
        }
    }

    /// How many probes have left by it.
    fn sent(&self) -> u64 {
        self.forgotten + self.probes.len() as u64
    }

    /// The next probe that leaves by it.
    pub(super) fn next_probe(&self, clock: u64) -> Probe {
        Probe { session: self.session, seq: self.sent() + 1, clock, flags: 0 }
    }

    /// It has left, and is number `seq` of the account; those below `known` need not be remembered.
    pub(super) fn sent_as(&mut self, seq: u64, known: u64) {
        self.probes.push_back(seq);
        self.out += 1;
        while self.probes.front().is_some_and(|&oldest| oldest < known) || self.probes.len() > super::account::MOST {
            self.probes.pop_front();
            self.forgotten += 1;
        }
    }

    /// The number in the account of the probe that `stamp` answers; `None` where it cannot be the answer to one.
    pub(super) fn probe_of(&self, stamp: &Stamp) -> Option<u64> {
        if stamp.session != self.session || !is_possible(stamp, self.sent()) {
            return None;
        }
        self.probe_at(stamp.seq)
    }

    /// The number in the account of the probe that bears `mark`, if one that left by this port does.
    pub(super) fn probe_marked(&self, mark: Mark) -> Option<u64> {
        if mark.session == self.session { self.probe_at(mark.seq) } else { None }
    }

    fn probe_at(&self, number: u64) -> Option<u64> {
        let place = number.checked_sub(self.forgotten + 1)?;
        self.probes.get(usize::try_from(place).ok()?).copied()
    }

    /// Takes in what an answer tells, the first to its probe or one more; whether it came after one to a later probe.
    pub(super) fn hear(&mut self, stamp: &Stamp, is_first: bool) -> bool {
        self.legs.hear(stamp, is_first);
        let reordered = is_first && stamp.seq < self.highest_answered;
        self.highest_answered = self.highest_answered.max(stamp.seq);
        reordered
    }

    /// The oldest of its probes that is in flight.
    pub(super) fn oldest_in_flight<V: Copy>(&self, account: &Account<V>) -> Option<u64> {
        self.probes.iter().copied().find(|&seq| account.is_in_flight(seq))
    }

    /// Whether a probe is in flight that the server may have counted: then nobody knows yet which leg it is on.
    pub(super) fn is_open<V: Copy>(&self, account: &Account<V>) -> bool {
        let told = self.legs.highest().saturating_sub(self.forgotten);
        self.probes.iter().take(usize::try_from(told).unwrap_or(usize::MAX)).any(|&seq| account.is_in_flight(seq))
    }
}
