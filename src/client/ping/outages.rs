//! Outages: two or more probes lost in a row.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Outages that are remembered one by one, the longest ones; all are counted.
const MOST: usize = 1024;

/// One outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outage {
    /// When its first probe was due, ...
    pub(super) began: Instant,
    /// ... and what the clock on the wall showed then.
    pub(super) wall: Timestamp,
    /// When the next acknowledged one was.
    pub(super) ended: Instant,
    /// How many were lost.
    pub(super) probes: u64,
}

impl Outage {
    /// How long it was.
    pub(super) fn lasted(&self) -> Duration {
        self.ended.saturating_duration_since(self.began)
    }
}

/// The outages of a run, told in the order of its probes.
#[derive(Clone, Debug, Default)]
pub(super) struct Outages {
    /// Those that are over; of many the longest, in their order.
    over: Vec<Outage>,
    count: u64,
    /// The losses since the last acknowledged probe: when the first was due, by either clock, and how many.
    open: Option<(Instant, Timestamp, u64)>,
}

impl Outages {
    /// The next probe was due at `due`, and was acknowledged in time or not. `wall` tells what the clock on the wall showed
    /// then: it is asked as early as can be, since that clock may be set.
    pub(super) fn tell(&mut self, due: Instant, acknowledged: bool, wall: impl FnOnce(Instant) -> Timestamp) {
        match (&mut self.open, acknowledged) {
            (None, true) => {}
            (Some(_), true) => self.close(due),
            (Some((_, _, probes)), false) => *probes += 1,
            (open @ None, false) => *open = Some((due, wall(due), 1)),
        }
    }

    /// No probe follows; the next would have been due at `due`.
    pub(super) fn end(&mut self, due: Instant) {
        self.close(due);
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The longest, the first of equals.
    pub(super) fn longest(&self) -> Option<Outage> {
        self.over.iter().copied().reduce(|longest, one| if one.lasted() > longest.lasted() { one } else { longest })
    }

    /// Each of them; of many the thousand longest.
    pub(super) fn each(&self) -> &[Outage] {
        &self.over
    }

    fn close(&mut self, ended: Instant) {
        let Some((began, wall, probes @ 2..)) = self.open.take() else {
            return;
        };
        let outage = Outage { began, wall, ended: ended.max(began), probes };
        self.count += 1;
        if self.over.len() == MOST {
            let shortest = self.over.iter().enumerate().min_by_key(|(_, one)| one.lasted());
            let Some((index, _)) = shortest.filter(|(_, one)| one.lasted() < outage.lasted()) else {
                return;
            };
            self.over.remove(index);
        }
        self.over.push(outage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// The outages of probes that are due 10 ms apart: `.` was acknowledged, `x` was not.
    fn of(fates: &str) -> Vec<(u32, u32, u64)> {
        let start = Instant::now();
        let mut outages = Outages::default();
        let mut due = start;
        for fate in fates.chars() {
            outages.tell(due, fate == '.', |_| Timestamp::UNIX_EPOCH);
            due += 10 * MS;
        }
        outages.end(due);
        assert_eq!(outages.count(), outages.each().len() as u64);
        assert_eq!(outages.longest().map(|one| one.lasted()), outages.each().iter().map(Outage::lasted).max());
        let ms = |at: Instant| u32::try_from(at.saturating_duration_since(start).as_millis()).unwrap_or(u32::MAX);
        outages.each().iter().map(|one| (ms(one.began), ms(one.ended), one.probes)).collect()
    }

    #[test]
    fn one_loss_is_none_and_two_in_a_row_are_one() {
        assert_eq!(of(""), []);
        assert_eq!(of("...x.x.x.."), []);
        assert_eq!(of("..xx."), [(20, 40, 2)]);
        assert_eq!(of("xxx.x..xxxx."), [(0, 30, 3), (70, 110, 4)]);
    }

    #[test]
    fn the_time_of_day_is_that_of_the_loss_whatever_is_made_of_the_clock_later() {
        let start = Instant::now();
        let mut outages = Outages::default();
        for (number, acknowledged) in [false, false, true].into_iter().enumerate() {
            let day = i64::try_from(number).unwrap_or_default();
            let set = |_| Timestamp::from_second(day * 86_400).unwrap_or_default();
            outages.tell(start, acknowledged, set);
        }
        assert_eq!(outages.longest().map(|one| one.wall), Some(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn of_more_than_are_remembered_the_longest_are_in_their_order() {
        let start = Instant::now();
        let mut outages = Outages::default();
        // Every other one lasts longer than the one before it, and one in the middle longer than all.
        let many = MOST as u64 * 2;
        let probes = |number: u64| if number == many / 4 { many * 9 } else { 2 + number % 2 * number };
        let mut due = start;
        for number in 0..many {
            for _ in 0..probes(number) {
                outages.tell(due, false, |_| Timestamp::UNIX_EPOCH);
                due += MS;
            }
            outages.tell(due, true, |_| Timestamp::UNIX_EPOCH);
            due += MS;
        }
        assert_eq!(outages.count(), many);
        let wanted: Vec<u64> = (0..many).map(probes).filter(|&probes| probes > 2).collect();
        assert_eq!(wanted.len(), MOST + 1, "one too many: the shortest of them is forgotten");
        let told: Vec<u64> = outages.each().iter().map(|one| one.probes).collect();
        assert_eq!(told, wanted[1..]);
        assert_eq!(outages.longest().map(|one| one.probes), Some(many * 9));
    }

    #[test]
    fn one_that_lasts_to_the_end_ends_where_the_next_probe_would_be_due() {
        assert_eq!(of("..xxx"), [(20, 50, 3)]);
        assert_eq!(of("..x"), []);
    }
}
