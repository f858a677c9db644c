//! When probes are due: on a fixed schedule, whatever the answers do.

use std::time::{Duration, Instant};

/// The open loop's timetable, or (interval 0) a closed loop's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    start: Instant,
    interval: Duration,
    count: Option<u64>,
    until: Option<Instant>,
    taken: u64,
}

impl Schedule {
    /// Probe number `k` (from 0) is due at `start` + k × `interval`, if k is
    /// below `count` and that is before `until`.
    pub(super) fn new(start: Instant, interval: Duration, count: Option<u64>, until: Option<Instant>) -> Schedule {
        Schedule { start, interval, count, until, taken: 0 }
    }

    /// When the next probe is due; `None` where there is none any more. In a
    /// closed loop it is due as soon as somebody asks.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        if self.count.is_some_and(|count| self.taken >= count) {
            return None;
        }
        let due = if self.interval.is_zero() { now } else { self.due(self.taken) };
        self.until.is_none_or(|until| due < until).then_some(due)
    }

    /// Takes the next probe, if it is due: when it was.
    pub(super) fn take(&mut self, now: Instant) -> Option<Instant> {
        let due = self.next_due(now).filter(|&due| due <= now)?;
        self.taken += 1;
        Some(due)
    }

    /// Takes all that are due by now at once: how many.
    pub(super) fn skip(&mut self, now: Instant) -> u64 {
        if self.interval.is_zero() {
            return 0;
        }
        let Some(elapsed) = now.checked_duration_since(self.start) else {
            return 0;
        };
        // The one at `now` itself is due, too; the one at `until` never is.
        let by_now = elapsed.as_nanos() / self.interval.as_nanos() + 1;
        let before_the_end = self.until.map_or(u128::MAX, |until| {
            until.saturating_duration_since(self.start).as_nanos().div_ceil(self.interval.as_nanos())
        });
        let due = u64::try_from(by_now.min(before_the_end)).unwrap_or(u64::MAX);
        let due = self.count.map_or(due, |count| count.min(due));
        let skipped = due.saturating_sub(self.taken);
        self.taken += skipped;
        skipped
    }

    /// When the next one would be due, were there no end.
    pub(super) fn beyond(&self, now: Instant) -> Instant {
        if self.interval.is_zero() { now } else { self.due(self.taken) }
    }

    /// When nothing more is due, whatever the count.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// What is left of it at `now`: probes, where they are counted, and time, where that is bounded.
    pub(super) fn left(&self, now: Instant) -> (Option<u64>, Option<Duration>) {
        let left = self.count.map(|count| count.saturating_sub(self.taken));
        (left, self.until.map(|until| until.saturating_duration_since(now)))
    }

    /// Whether it is a closed loop's: each probe is due when there is a place for it.
    pub(super) fn is_closed(&self) -> bool {
        self.interval.is_zero()
    }

    /// What is due beyond all counting is due in half a millennium: never, but it is not over.
    fn due(&self, probe: u64) -> Instant {
        let nanos = self.interval.as_nanos().saturating_mul(u128::from(probe));
        let span = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.start.checked_add(span).unwrap_or(self.start)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn probes_are_due_on_schedule_however_late_they_are_taken() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, 10 * MS, Some(4), None);
        assert_eq!(schedule.take(start), Some(start));
        assert_eq!(schedule.take(start + 9 * MS), None);
        assert_eq!(schedule.next_due(start), Some(start + 10 * MS));
        let late = start + 1000 * MS;
        assert_eq!(schedule.take(late), Some(start + 10 * MS));
        assert_eq!(schedule.take(late), Some(start + 20 * MS));
        assert_eq!(schedule.take(late), Some(start + 30 * MS));
        assert_eq!((schedule.take(late), schedule.next_due(late), schedule.skip(late)), (None, None, 0));
    }

    #[test]
    fn a_probe_beyond_all_counting_is_not_due_and_not_forgotten() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, Duration::from_secs(1 << 50), Some(2), None);
        assert!(schedule.take(start).is_some());
        let hour = start + 3_600_000 * MS;
        assert_eq!((schedule.take(hour), schedule.skip(hour)), (None, 0));
        assert!(schedule.next_due(hour).is_some_and(|due| due > hour));
    }

    #[test]
    fn nothing_is_due_at_the_deadline_or_after() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, 10 * MS, None, Some(start + 20 * MS));
        let late = start + 500 * MS;
        assert!(schedule.take(late).is_some() && schedule.take(late).is_some());
        assert_eq!(schedule.take(late), None);
    }

    #[test]
    fn what_is_left_is_what_is_still_to_be_taken_and_the_time_for_it() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, 10 * MS, Some(3), Some(start + 25 * MS));
        assert_eq!(schedule.left(start), (Some(3), Some(25 * MS)));
        assert!(schedule.take(start).is_some());
        assert_eq!(schedule.left(start + 5 * MS), (Some(2), Some(20 * MS)));
        assert_eq!(schedule.skip(start + 500 * MS), 2);
        assert_eq!(schedule.left(start + 500 * MS), (Some(0), Some(Duration::ZERO)));
        assert_eq!(Schedule::new(start, MS, None, None).left(start), (None, None));
    }

    #[test]
    fn a_closed_loop_is_due_whenever_it_is_asked() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, Duration::ZERO, Some(2), None);
        let late = start + 500 * MS;
        assert_eq!(schedule.take(late), Some(late));
        assert_eq!((schedule.next_due(late), schedule.skip(late)), (Some(late), 0));
    }

    proptest! {
        /// To skip is to take one after the other and to throw them away.
        #[test]
        fn what_is_skipped_is_what_would_have_been_taken(
            interval in 1..50_u32,
            count in prop::option::of(0..60_u64),
            until in prop::option::of(0..900_u32),
            steps in prop::collection::vec((any::<bool>(), 0..200_u32), 1..20),
        ) {
            let start = Instant::now();
            let new = || Schedule::new(start, interval * MS, count, until.map(|until| start + until * MS));
            let (mut one, mut other) = (new(), new());
            let mut now = start;
            for (skips, step) in steps {
                now += step * MS;
                let taken = std::iter::from_fn(|| other.take(now)).count() as u64;
                let ours = if skips { one.skip(now) } else { std::iter::from_fn(|| one.take(now)).count() as u64 };
                prop_assert_eq!(ours, taken);
                prop_assert_eq!(one.next_due(now), other.next_due(now));
            }
        }
    }
}
