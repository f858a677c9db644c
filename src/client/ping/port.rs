//! A port that stamped probes leave from: which of its numbers is which probe, and what its answers tell.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use super::account::Account;
use super::legs::{Session, is_possible};
use crate::wire::{Mark, Probe, Stamp};

/// So many old ones need not be looked through.
const FEW: usize = 1024;

/// The session of one source port.
#[derive(Debug)]
pub(super) struct Port {
    session: u64,
    /// The numbers that its probes have in the account, but for the oldest ones, ...
    probes: VecDeque<u64>,
    /// ... so many. Of those the ones are ...
    forgotten: u64,
    /// ... here, by their numbers in the session, that the account kept as it forgot the others.
    aside: VecDeque<(u64, u64)>,
    /// At this length it is looked through for what the account keeps no longer.
    full: usize,
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
            aside: VecDeque::new(),
            full: FEW,
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

    /// It has left, and is number `seq` of the account. What that knows no longer need not be remembered here.
    pub(super) fn sent_as<V: Copy>(&mut self, seq: u64, account: &Account<V>) {
        self.probes.push_back(seq);
        self.out += 1;
        while let Some(&oldest) = self.probes.front()
            && oldest < account.first_known()
        {
            self.probes.pop_front();
            self.forgotten += 1;
            if account.is_kept(oldest) {
                self.aside.push_back((self.forgotten, oldest));
            }
        }
        // Not from the front alone: one that is out for ever would keep all after it.
        if self.aside.len() >= self.full {
            self.aside.retain(|&(_, seq)| account.is_kept(seq));
            self.full = FEW.max(2 * self.aside.len());
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
        let Some(place) = number.checked_sub(self.forgotten + 1) else {
            let place = self.aside.binary_search_by_key(&number, |&(number, _)| number).ok()?;
            return self.aside.get(place).map(|&(_, seq)| seq);
        };
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
        self.numbered().map(|(_, seq)| seq).find(|&seq| account.is_in_flight(seq))
    }

    /// Whether a probe is in flight that the server may have counted: then nobody knows yet which leg it is on.
    pub(super) fn is_open<V: Copy>(&self, account: &Account<V>) -> bool {
        let highest = self.legs.highest();
        self.numbered().take_while(|&(number, _)| number <= highest).any(|(_, seq)| account.is_in_flight(seq))
    }

    /// Those that are remembered, the oldest first: their numbers in the session and in the account.
    fn numbered(&self) -> impl Iterator<Item = (u64, u64)> {
        self.aside.iter().copied().chain((self.forgotten + 1..).zip(self.probes.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// With no limit to the wait the first probe is never answered, nor is one in the middle: the other ones are known
    /// as long as the account knows them.
    #[test]
    fn one_that_is_out_for_ever_keeps_no_other_in_memory() {
        let now = Instant::now();
        let mut account = Account::new(now, None);
        let mut port = Port::new();
        let (many, lost) = (200_000, 70_000);
        for number in 1..=many {
            // Every other one leaves by another port.
            account.send(now, now, ());
            account.answer(2 * number - 1, now);
            let seq = account.send(now, now, ());
            port.sent_as(seq, &account);
            if number != 1 && number != lost {
                account.answer(seq, now);
            }
            account.judge(now, |_, _| {});
        }
        assert!(port.probes.len() + port.aside.len() < 10_000, "{} {}", port.probes.len(), port.aside.len());
        let known = [1, lost, many].map(|number| port.probe_at(number));
        assert_eq!(known, [1, lost, many].map(|number| Some(2 * number)));
        assert_eq!((port.probe_at(2), port.probe_at(lost + 1), port.probe_at(many + 1)), (None, None, None));
        assert_eq!(port.oldest_in_flight(&account), Some(2));
        account.answer(2, now);
        assert_eq!(port.oldest_in_flight(&account), Some(2 * lost));
        assert!(!port.is_open(&account), "no server has told of any");
    }
}
