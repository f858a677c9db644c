//! The clock on the wall, which stamps are written by, and whether it was set meanwhile.
//!
//! The kernel tells by it when a datagram came, so what is compared with that must come from it, too. It may jump: the
//! steady clock, read before and after it, shows that, whatever kept us between.

use std::time::{Duration, Instant, SystemTime};

/// What two clocks may differ by beyond their drift before one of them has jumped.
const SLACK: Duration = Duration::from_millis(1);

/// They drift by less than one part in this many, while the wall's is disciplined: the kernel slews by 1 in 2000.
const DRIFT: u32 = 1000;

/// The wall's clock. The steady one is what everything else goes by.
#[derive(Debug, Default)]
pub struct Clock {
    last: Option<Reading>,
    /// It has jumped, and what came before that may still wait to be read.
    torn: bool,
}

/// Both clocks at one moment: the wall's was read between the other two.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// In ns since 1970.
    wall: u64,
    before: Instant,
    after: Instant,
}

impl Clock {
    /// The time, in ns since 1970.
    pub fn read(&mut self) -> u64 {
        let before = Instant::now();
        let wall = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        let wall = u64::try_from(wall).unwrap_or(0);
        self.take(Reading { wall, before, after: Instant::now() });
        wall
    }

    fn take(&mut self, reading: Reading) {
        self.torn |= self.last.is_some_and(|last| reading.jumped_since(&last));
        self.last = Some(reading);
    }

    /// When a datagram came and its answer leaves, as they may be told: as zeros where the clock jumped meanwhile, or
    /// may have.
    pub fn pair(&self, received: u64, left: u64) -> (u64, u64) {
        if self.torn || received == 0 || left < received { (0, 0) } else { (received, left) }
    }

    /// When a datagram came, by the steady clock: the wall's tells but how long before the last reading, or after it,
    /// that was. `None` where the clock jumped meanwhile, or may have. Whoever asks knows between which moments it must
    /// have been; what is not is no time of receipt, either.
    #[inline]
    pub fn steady(&self, received: u64) -> Option<Instant> {
        let Reading { wall, after, .. } = self.last.filter(|_| !self.torn)?;
        match wall.checked_sub(received) {
            Some(age) => after.checked_sub(Duration::from_nanos(age)),
            None => after.checked_add(Duration::from_nanos(received - wall)),
        }
    }

    /// Nothing waits any more that came before now.
    pub fn settle(&mut self) {
        self.torn = false;
    }
}

impl Reading {
    fn jumped_since(&self, last: &Reading) -> bool {
        let least = self.before.saturating_duration_since(last.after);
        let most = self.after.saturating_duration_since(last.before);
        let slack = SLACK + most / DRIFT;
        let [least, most, slack] =
            [least, most, slack].map(|time| i128::try_from(time.as_nanos()).unwrap_or(i128::MAX / 2));
        let passed = i128::from(self.wall) - i128::from(last.wall);
        passed < least - slack || passed > most + slack
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const DAY: Duration = Duration::from_secs(86_400);

    /// A clock that showed 10 days at `start`, and since then what the readings say: what has passed by each of the clocks.
    fn clock_after(start: Instant, readings: &[(Duration, Duration)]) -> Clock {
        let mut clock = Clock::default();
        clock.take(reading(Duration::ZERO, start, start));
        for &(wall, steady) in readings {
            clock.take(reading(wall, start + steady, start + steady));
        }
        clock
    }

    fn reading(passed: Duration, before: Instant, after: Instant) -> Reading {
        Reading { wall: u64::try_from((10 * DAY + passed).as_nanos()).unwrap_or(0), before, after }
    }

    #[test]
    fn a_clock_that_keeps_step_is_believed() {
        let start = Instant::now();
        for (wall, steady) in [
            (Duration::ZERO, Duration::ZERO),
            (300 * MS, 300 * MS),
            (MS, Duration::ZERO),
            (Duration::ZERO, MS),
            // Slewed by an hour's worth of 500 ppm.
            (Duration::from_secs(3600) + 1800 * MS, Duration::from_secs(3600)),
            (Duration::from_secs(3600) - 1800 * MS, Duration::from_secs(3600)),
        ] {
            assert_eq!(clock_after(start, &[(wall, steady)]).pair(5, 7), (5, 7), "{wall:?} in {steady:?}");
        }
    }

    #[test]
    fn a_pair_that_a_jump_tore_is_not_told_until_all_that_waited_is_read() {
        let start = Instant::now();
        for (wall, steady) in [(1010 * MS, 1000 * MS), (1000 * MS, 1010 * MS), (DAY, MS), (3 * MS, Duration::ZERO)] {
            let mut clock = clock_after(start, &[(wall, steady), (wall + 20 * MS, steady + 20 * MS)]);
            assert_eq!(clock.pair(5, 7), (0, 0), "{wall:?} in {steady:?}");
            clock.settle();
            assert_eq!(clock.pair(5, 7), (5, 7));
        }
    }

    #[test]
    fn a_clock_set_back_is_seen_even_where_the_pair_looks_right() {
        let start = Instant::now();
        let clock = clock_after(start, &[(DAY, DAY), (DAY - 20 * MS, DAY + 10 * MS)]);
        assert_eq!(clock.pair(5, 7), (0, 0));
    }

    #[test]
    fn to_stand_still_between_two_readings_is_no_jump() {
        let start = Instant::now();
        let mut clock = clock_after(start, &[]);
        // Stopped before, then after the wall's clock was read.
        clock.take(reading(300 * MS, start, start + 300 * MS));
        clock.take(reading(300 * MS, start + 300 * MS, start + 900 * MS));
        assert_eq!(clock.pair(5, 7), (5, 7));
    }

    #[test]
    fn a_negative_pair_and_an_unknown_receipt_are_zeros() {
        let clock = Clock::default();
        assert_eq!(clock.pair(7, 7), (7, 7));
        assert_eq!(clock.pair(7, 6), (0, 0));
        assert_eq!(clock.pair(0, 6), (0, 0));
    }

    #[test]
    fn what_was_received_is_as_old_as_the_clock_on_the_wall_says() {
        let start = Instant::now();
        let clock = clock_after(start, &[(300 * MS, 300 * MS)]);
        let stamp = |passed: Duration| u64::try_from((10 * DAY + passed).as_nanos()).unwrap_or(0);
        assert_eq!(clock.steady(stamp(100 * MS)), Some(start + 100 * MS));
        assert_eq!(clock.steady(stamp(300 * MS)), Some(start + 300 * MS));
        assert_eq!(clock.steady(stamp(301 * MS)), Some(start + 301 * MS), "after the reading");
        assert_eq!(Clock::default().steady(stamp(100 * MS)), None, "there was none");
    }

    #[test]
    fn an_age_that_a_jump_tore_is_not_known_until_all_that_waited_is_read() {
        let start = Instant::now();
        for (wall, steady) in [(302 * MS, 300 * MS), (298 * MS, 300 * MS), (DAY, 300 * MS)] {
            let mut clock = clock_after(start, &[(wall, steady)]);
            let stamp = u64::try_from((10 * DAY + 100 * MS).as_nanos()).unwrap_or(0);
            assert_eq!(clock.steady(stamp), None, "{wall:?} in {steady:?}");
            clock.settle();
            assert!(clock.steady(stamp).is_some());
        }
    }

    #[test]
    fn a_reading_that_took_long_makes_nothing_younger_than_it_was() {
        let start = Instant::now();
        let mut clock = clock_after(start, &[]);
        clock.take(reading(300 * MS, start + 300 * MS, start + 350 * MS));
        let stamp = u64::try_from((10 * DAY + 200 * MS).as_nanos()).unwrap_or(0);
        assert_eq!(clock.steady(stamp), Some(start + 250 * MS));
    }

    #[test]
    fn it_shows_the_time() {
        let now = || SystemTime::UNIX_EPOCH.elapsed().map(|time| time.as_nanos()).unwrap_or_default();
        let (before, read, after) = (now(), u128::from(Clock::default().read()), now());
        assert!(before <= read && read <= after, "{before} {read} {after}");
    }
}
