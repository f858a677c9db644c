//! Whether this client stood still: stopped, or without a processor.
//!
//! Its probes are late then, and its answers wait unseen; that is not the path's doing.

use std::time::{Duration, Instant};

/// Who wakes so much later than he asked has stood still.
const STILL: Duration = Duration::from_millis(100);

/// The watch over the loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    awake: Instant,
}

impl Watch {
    /// It is awake now.
    pub(super) fn new(now: Instant) -> Watch {
        Watch { awake: now }
    }

    /// The turn has come so far at `now`: how long it stood still on the way, if it did. That is told once.
    pub(super) fn work(&mut self, now: Instant) -> Option<Duration> {
        let turn = now.saturating_duration_since(self.awake);
        (turn > STILL).then(|| {
            self.awake = now;
            turn
        })
    }

    /// It went to sleep at `slept`, asked to be woken at `asked`, and woke at `now`: how long it stood still, if it did.
    /// A time to wake that was over already is no lateness of the sleep's; what the turn before took is judged beside.
    pub(super) fn wake(&mut self, slept: Instant, asked: Option<Instant>, now: Instant) -> Option<Duration> {
        let turn = slept.saturating_duration_since(self.awake);
        let sleep = asked.map_or(Duration::ZERO, |asked| now.saturating_duration_since(asked.max(slept)));
        self.awake = now;
        let stood: Duration = [turn, sleep].into_iter().filter(|&span| span > STILL).sum();
        (!stood.is_zero()).then_some(stood)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn who_stood_still_while_he_worked_knows_it_before_he_sends_what_became_due() {
        let start = Instant::now();
        let mut watch = Watch::new(start);
        assert_eq!(watch.work(start + 100 * MS), None);
        assert_eq!(watch.work(start + 2000 * MS), Some(2000 * MS));
        assert_eq!(watch.work(start + 2001 * MS), None, "it was told");
        assert_eq!(watch.wake(start + 2002 * MS, Some(start + 2050 * MS), start + 2051 * MS), None);
    }

    #[test]
    fn who_wakes_late_stood_still_and_who_was_late_to_sleep_did_not() {
        let at = {
            let start = Instant::now();
            move |ms: u32| start + ms * MS
        };
        let stood = |slept, asked: Option<u32>, woke| Watch::new(at(0)).wake(at(slept), asked.map(at), at(woke));
        assert_eq!(stood(1, Some(50), 51), None);
        assert_eq!(stood(1, Some(50), 150), None);
        assert_eq!(stood(1, Some(50), 2050), Some(2000 * MS));
        assert_eq!(stood(1, None, 2050), None, "it was not to wake");
        // Stopped while it worked, and then between the clock and the sleep.
        assert_eq!(stood(2000, Some(50), 2001), Some(2000 * MS));
        assert_eq!(stood(1, Some(0), 2001), Some(2000 * MS));
        // Behind its schedule by a second, and as quick as it can be.
        let mut watch = Watch::new(at(1000));
        assert_eq!(watch.wake(at(1003), Some(at(2)), at(1004)), None);
    }
}
