//! How long the turns took.

use std::time::Duration;

/// The turns so far, by how long they took: from the end of one wait to the beginning of the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    counts: [u64; Self::BOUNDS.len() + 1],
    total_ns: u64,
    longest_ns: u64,
}

impl Turns {
    /// The longest turn that still belongs to a bucket; one more bucket is for those beyond the last.
    pub const BOUNDS: [Duration; 13] = [
        Duration::from_micros(10),
        Duration::from_micros(25),
        Duration::from_micros(50),
        Duration::from_micros(100),
        Duration::from_micros(250),
        Duration::from_micros(500),
        Duration::from_micros(1_000),
        Duration::from_micros(2_500),
        Duration::from_micros(5_000),
        Duration::from_micros(10_000),
        Duration::from_micros(25_000),
        Duration::from_micros(50_000),
        Duration::from_micros(100_000),
    ];

    /// A turn is over.
    #[inline]
    pub(super) fn record(&mut self, turn: Duration) {
        let turn_ns = nanoseconds(turn);
        // The bits of a number leave two buckets at the most.
        let mut bucket = FIRST[(turn_ns | 1).leading_zeros() as usize];
        while BOUNDS_NS.get(bucket).is_some_and(|&bound| turn_ns > bound) {
            bucket += 1;
        }
        self.counts[bucket] += 1;
        self.total_ns = self.total_ns.wrapping_add(turn_ns);
        self.longest_ns = self.longest_ns.max(turn_ns);
    }

    /// How many there were in each bucket.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The time of all of them together.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.total_ns)
    }

    /// The longest.
    pub fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest_ns)
    }
}

const BOUNDS_NS: [u64; Turns::BOUNDS.len()] = {
    let mut bounds = [0; Turns::BOUNDS.len()];
    let mut at = 0;
    while at < bounds.len() {
        bounds[at] = nanoseconds(Turns::BOUNDS[at]);
        at += 1;
    }
    bounds
};

/// The bucket of the smallest number with so many leading zeros.
const FIRST: [usize; 64] = {
    let mut first = [0; 64];
    let mut zeros = 0;
    while zeros < 64 {
        while first[zeros] < BOUNDS_NS.len() && BOUNDS_NS[first[zeros]] < (1 << 63) >> zeros {
            first[zeros] += 1;
        }
        zeros += 1;
    }
    first
};

#[allow(clippy::cast_possible_truncation)] // no turn takes 584 years
const fn nanoseconds(span: Duration) -> u64 {
    span.as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket_and_what_is_beyond_the_last_has_one_too() {
        let mut turns = Turns::default();
        for bound in Turns::BOUNDS {
            turns.record(bound);
            turns.record(bound + Duration::from_nanos(1));
        }
        turns.record(Duration::ZERO);
        let mut expected = [2; Turns::BOUNDS.len() + 1];
        expected[Turns::BOUNDS.len()] = 1;
        assert_eq!(turns.counts(), expected);
        assert_eq!(turns.longest(), Duration::from_nanos(100_000_001));
        assert_eq!(turns.total(), Turns::BOUNDS.iter().sum::<Duration>() * 2 + Duration::from_nanos(13));
    }

    #[test]
    fn every_length_falls_into_the_first_bucket_that_holds_it() {
        for power in 0..40 {
            for turn in [(1_u64 << power) - 1, 1 << power, (1 << power) + 1, 3 << power].map(Duration::from_nanos) {
                let mut turns = Turns::default();
                turns.record(turn);
                let expected = Turns::BOUNDS.iter().position(|bound| turn <= *bound).unwrap_or(Turns::BOUNDS.len());
                assert_eq!(turns.counts().iter().position(|&count| count == 1), Some(expected), "{turn:?}");
            }
        }
    }

    #[test]
    fn an_endless_turn_breaks_nothing() {
        let mut turns = Turns::default();
        turns.record(Duration::MAX);
        turns.record(Duration::from_nanos(u64::MAX));
        assert_eq!(turns.counts().iter().sum::<u64>(), 2);
    }
}
