//! What has arrived of one session of probes: how many distinct ones, the first, the highest.
//!
//! Duplicates are known within the last 1024 numbers. Numbers before the first, which a client sent before this memory
//! began, and numbers too old to tell whether they came before are not counted.

use crate::wire::Probe;

/// Within so many numbers, the highest included, a duplicate is known.
const WINDOW: u64 = 1024;
const BITS: u64 = u64::BITS as u64;
/// One word more than the window has: a window that begins within a word also ends within one.
const WORDS: usize = 1024 / 64 + 1;

/// The memory of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    id: u64,
    count: u64,
    highest: u64,
    first: u64,
    /// Which numbers have come, one bit each, in a ring of words: number N is in word N / 64.
    seen: [u64; WORDS],
}

/// What a session looked like when a probe had arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) count: u64,
    pub(super) highest: u64,
    pub(super) first: u64,
}

impl Session {
    /// A session that begins with this probe.
    pub(super) fn new(probe: &Probe) -> Session {
        let mut session =
            Session { id: probe.session, count: 1, highest: probe.seq, first: probe.seq, seen: [0; WORDS] };
        session.mark(probe.seq);
        session
    }

    /// Notes a probe; one of another session begins that one and ends this.
    pub(super) fn note(&mut self, probe: &Probe) {
        if probe.session != self.id {
            *self = Session::new(probe);
            return;
        }
        let seq = probe.seq;
        if seq > self.highest {
            // Words that come into use again after a whole round still say what was long ago.
            let entered = self.highest / BITS + 1..=seq / BITS;
            entered.take(WORDS).for_each(|word| self.seen[place(word)] = 0);
            self.highest = seq;
        }
        let counts = seq >= self.first && self.highest - seq < WINDOW && self.mark(seq);
        self.count += u64::from(counts);
    }

    pub(super) fn seen(&self) -> Seen {
        Seen { count: self.count, highest: self.highest, first: self.first }
    }

    /// True where the number, one within the window, is new.
    fn mark(&mut self, seq: u64) -> bool {
        let word = &mut self.seen[place(seq / BITS)];
        let bit = 1 << (seq % BITS);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

/// Where a word lies in the ring.
#[allow(clippy::cast_possible_truncation)] // below WORDS
fn place(word: u64) -> usize {
    (word % WORDS as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn probe(session: u64, seq: u64) -> Probe {
        Probe { session, seq, clock: 0, flags: 0 }
    }

    fn after(numbers: &[u64]) -> Seen {
        let mut session = Session::new(&probe(1, numbers[0]));
        numbers[1..].iter().for_each(|&seq| session.note(&probe(1, seq)));
        session.seen()
    }

    #[test]
    fn a_window_is_1024_numbers_wide() {
        let with = |number| after(&[1, 2000, 977, number]).count;
        assert_eq!(with(977), 3, "the oldest is known");
        assert_eq!(with(978), 4, "another is new");
        assert_eq!(with(976), 3, "an older one cannot be told and is not counted");
        assert_eq!(with(1), 3);
    }

    #[test]
    fn a_jump_beyond_the_window_clears_it() {
        for jump in [1023, 1024, 1025, 1087, 1088, 1089, 5000, u64::MAX - 10] {
            let seen = after(&[10, 10 + jump, 10 + jump - 1, 10 + jump - 1]);
            assert_eq!(seen, Seen { count: 3, highest: 10 + jump, first: 10 }, "by {jump}");
        }
    }

    #[test]
    fn the_ends_of_the_numbers_are_numbers() {
        assert_eq!(after(&[0, 0, 1]), Seen { count: 2, highest: 1, first: 0 });
        let last = u64::MAX;
        assert_eq!(after(&[last - 1, last, last, last - 1, 0]), Seen { count: 2, highest: last, first: last - 1 });
    }

    #[test]
    fn a_number_before_the_first_is_not_counted() {
        assert_eq!(after(&[5, 4, 6, 3]), Seen { count: 2, highest: 6, first: 5 });
    }

    #[test]
    fn another_session_begins_anew() {
        let mut session = Session::new(&probe(1, 5));
        session.note(&probe(1, 6));
        session.note(&probe(2, 6));
        assert_eq!(session, Session::new(&probe(2, 6)));
        session.note(&probe(1, 6));
        assert_eq!(session, Session::new(&probe(1, 6)));
    }

    /// What a session is to mean, with a memory that never ends.
    struct Model {
        first: u64,
        highest: u64,
        counted: HashSet<u64>,
    }

    impl Model {
        fn note(&mut self, seq: u64) -> Seen {
            self.highest = self.highest.max(seq);
            if seq >= self.first && seq + WINDOW > self.highest {
                self.counted.insert(seq);
            }
            Seen { count: self.counted.len() as u64, highest: self.highest, first: self.first }
        }
    }

    proptest! {
        /// Loss, duplicates, reordering, delay and jumps are steps of all widths, both ways.
        #[test]
        fn it_counts_as_a_set_that_forgets_nothing(
            first in prop_oneof![1..3_u64, 1000..5000_u64],
            steps in prop::collection::vec(prop_oneof![
                6 => -3..=4_i64,
                2 => -70..=70_i64,
                2 => -1100..=1100_i64,
                1 => -3000..=6000_i64,
            ], 0..300),
        ) {
            let mut session = Session::new(&probe(1, first));
            let mut model = Model { first, highest: first, counted: HashSet::from([first]) };
            let mut seq = first;
            for step in steps {
                seq = seq.saturating_add_signed(step);
                session.note(&probe(1, seq));
                prop_assert_eq!(session.seen(), model.note(seq), "at {}", seq);
            }
        }
    }
}
