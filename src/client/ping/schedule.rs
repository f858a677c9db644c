//! When probes are due: on a fixed schedule, whatever the answers do.

use std::time::{Duration, Instant};

/// The open loop's timetable, or (interval 0) a closed loop's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    start: Instant,
    interval: Duration,
    count: Option<u64>,
    until: Option<Instant>,
    sent: u64,
}

impl Schedule {
    /// Probe number `k` (from 0) is due at `start` + k × `interval`, if k is
    /// below `count` and that is before `until`.
    pub(super) fn new(start: Instant, interval: Duration, count: Option<u64>, until: Option<Instant>) -> Schedule {
        Schedule { start, interval, count, until, sent: 0 }
    }

    /// When the next probe is due; `None` where there is none any more. In a
    /// closed loop it is due as soon as somebody asks.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        if self.count.is_some_and(|count| self.sent >= count) {
            return None;
        }
        let due = if self.interval.is_zero() { now } else { self.due(self.sent) };
        self.until.is_none_or(|until| due < until).then_some(due)
    }

    /// Takes the next probe, if it is due: its number, from 1, and when it was due.
    pub(super) fn take(&mut self, now: Instant) -> Option<(u64, Instant)> {
        let due = self.next_due(now).filter(|&due| due <= now)?;
        self.sent += 1;
        Some((self.sent, due))
    }

    /// Probes that are due before `end` and were never taken.
    pub(super) fn overdue(&self, end: Instant) -> u64 {
        if self.interval.is_zero() {
            return 0;
        }
        let end = self.until.map_or(end, |until| until.min(end));
        let elapsed = end.saturating_duration_since(self.start).as_nanos();
        let due = u64::try_from(elapsed.div_ceil(self.interval.as_nanos())).unwrap_or(u64::MAX);
        self.count.map_or(due, |count| count.min(due)).saturating_sub(self.sent)
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
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn probes_are_due_on_schedule_however_late_they_are_taken() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, 10 * MS, Some(4), None);
        assert_eq!(schedule.take(start), Some((1, start)));
        assert_eq!(schedule.take(start + 9 * MS), None);
        assert_eq!(schedule.next_due(start), Some(start + 10 * MS));
        let late = start + 1000 * MS;
        assert_eq!(schedule.overdue(late), 3);
        assert_eq!(schedule.take(late), Some((2, start + 10 * MS)));
        assert_eq!(schedule.take(late), Some((3, start + 20 * MS)));
        assert_eq!(schedule.take(late), Some((4, start + 30 * MS)));
        assert_eq!((schedule.take(late), schedule.next_due(late), schedule.overdue(late)), (None, None, 0));
    }

    #[test]
    fn a_probe_beyond_all_counting_is_not_due_and_not_forgotten() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, Duration::from_secs(1 << 50), Some(2), None);
        assert!(schedule.take(start).is_some());
        let hour = start + 3_600_000 * MS;
        assert_eq!((schedule.take(hour), schedule.overdue(hour)), (None, 0));
        assert!(schedule.next_due(hour).is_some_and(|due| due > hour));
    }

    #[test]
    fn nothing_is_due_at_the_deadline_or_after() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, 10 * MS, None, Some(start + 20 * MS));
        let late = start + 500 * MS;
        assert_eq!(schedule.overdue(late), 2);
        assert!(schedule.take(late).is_some() && schedule.take(late).is_some());
        assert_eq!(schedule.take(late), None);
    }

    #[test]
    fn a_closed_loop_is_due_whenever_it_is_asked() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, Duration::ZERO, Some(2), None);
        let late = start + 500 * MS;
        assert_eq!(schedule.take(late), Some((1, late)));
        assert_eq!((schedule.next_due(late), schedule.overdue(late)), (Some(late), 0));
    }
}
