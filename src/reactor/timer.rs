//! An alarm finer than the poll's own timeout.
//!
//! A poll counts in whole milliseconds and rounds up; a probe that is due every
//! half a millisecond cannot live with that. On Linux a timer descriptor wakes
//! the loop to the microsecond. Elsewhere the loop sleeps as far as whole
//! milliseconds reach and spins the last stretch.

pub use platform::Alarm;

#[cfg(target_os = "linux")]
mod platform {
    use std::io;
    use std::os::fd::{AsFd, AsRawFd};
    use std::time::{Duration, Instant};

    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};
    use nix::sys::time::TimeSpec;
    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

    /// One alarm at a time.
    #[derive(Debug)]
    pub struct Alarm {
        timer: TimerFd,
        set_for: Option<Instant>,
    }

    impl Alarm {
        /// An alarm that is not set.
        ///
        /// # Errors
        /// No descriptor is left.
        pub fn new() -> io::Result<Alarm> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            Ok(Alarm { timer: TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?, set_for: None })
        }

        /// Registers it, for good.
        ///
        /// # Errors
        /// The poll does not take it.
        pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
            registry.register(&mut SourceFd(&self.timer.as_fd().as_raw_fd()), token, Interest::READABLE)
        }

        /// Sees to it that the loop wakes at `deadline`. Returns the deadline
        /// that the poll itself is to be given.
        pub fn set(&mut self, deadline: Option<Instant>) -> Option<Instant> {
            if deadline == self.set_for {
                // It has rung or will; what is past is past for the poll as well.
                return deadline.filter(|&deadline| deadline <= Instant::now());
            }
            self.wind(deadline?, Instant::now())
        }

        /// Sees to it that the loop wakes by `deadline`, at the cost of a wake-up for nothing now and then: one that
        /// is set for an earlier time stays, so that a deadline which moves on with every event is set when it comes,
        /// not with every event. (A timeout of the poll starts and stops a timer in every wait that sleeps.) Returns
        /// the deadline that the poll itself is to be given. `now` is the time of the turn: whatever rings later than
        /// that is still to be told.
        pub fn cover(&mut self, deadline: Option<Instant>, now: Instant) -> Option<Instant> {
            let deadline = deadline?;
            if deadline <= now {
                return Some(deadline);
            }
            match self.set_for {
                Some(set_for) if now < set_for && set_for <= deadline => None,
                _ => self.wind(deadline, Instant::now()),
            }
        }

        fn wind(&mut self, deadline: Instant, now: Instant) -> Option<Instant> {
            // A timer set to nothing would never ring.
            let left = deadline.saturating_duration_since(now).max(Duration::from_nanos(1));
            match self.timer.set(Expiration::OneShot(TimeSpec::from_duration(left)), TimerSetTimeFlags::empty()) {
                Ok(()) => {
                    self.set_for = Some(deadline);
                    None
                }
                Err(_) => Some(deadline),
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::io;
    use std::time::{Duration, Instant};

    use mio::{Registry, Token};

    /// The stretch before a deadline in which a poll would sleep too long.
    const LAST_STRETCH: Duration = Duration::from_millis(2);

    /// One alarm at a time.
    #[derive(Debug)]
    pub struct Alarm;

    impl Alarm {
        /// An alarm that is not set.
        ///
        /// # Errors
        /// None here.
        pub fn new() -> io::Result<Alarm> {
            Ok(Alarm)
        }

        /// Nothing to register here.
        ///
        /// # Errors
        /// None here.
        pub fn register(&mut self, _: &Registry, _: Token) -> io::Result<()> {
            Ok(())
        }

        /// Returns the deadline that the poll is to be given: short of
        /// `deadline` by the last stretch, which is spun.
        pub fn set(&mut self, deadline: Option<Instant>) -> Option<Instant> {
            deadline.map(|deadline| deadline.checked_sub(LAST_STRETCH).unwrap_or(deadline))
        }

        /// Returns `deadline`: whole milliseconds do here.
        pub fn cover(&mut self, deadline: Option<Instant>, _: Instant) -> Option<Instant> {
            deadline
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::{Duration, Instant};

    use super::Alarm;
    use crate::reactor::token::tests::Who;
    use crate::reactor::{Reactor, Source};

    #[test]
    fn it_wakes_the_loop_at_its_time_and_can_be_set_again() {
        let mut reactor = Reactor::<Who>::new().unwrap();
        let mut alarm = Alarm::new().unwrap();
        alarm.register(reactor.registry(), Who::Listener.token()).unwrap();
        for _ in 0..3 {
            let due = Instant::now() + Duration::from_micros(300);
            while reactor.wait(alarm.set(Some(due))).unwrap() < due {}
        }
    }

    #[test]
    fn a_deadline_is_covered_by_an_earlier_one_and_not_by_a_later_one() {
        let mut reactor = Reactor::<Who>::new().unwrap();
        let mut alarm = Alarm::new().unwrap();
        alarm.register(reactor.registry(), Who::Listener.token()).unwrap();
        let began = Instant::now();
        let [soon, later, never] = [2, 4, 3_600_000].map(|millis| began + Duration::from_millis(millis));
        // Set for what is far, it must be set anew for what is near; set for that, it covers the rest until it rang.
        alarm.cover(Some(never), began);
        for due in [soon, later] {
            let mut now = Instant::now();
            alarm.cover(Some(soon), now);
            while now < due {
                now = reactor.wait(alarm.cover(Some(due), now)).unwrap();
            }
        }
        assert!(began.elapsed() < Duration::from_secs(60));
        assert_eq!(alarm.cover(None, Instant::now()), None);
        assert_eq!(alarm.cover(Some(soon), Instant::now()), Some(soon), "what is past is for the poll");
    }
}
