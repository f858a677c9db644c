//! When an answer was received: by the kernel's word where that is possible, else when it was found.

use std::time::Instant;

/// The time of receipt, by the steady clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receipt {
    /// The kernel has told it.
    Told(Instant),
    /// It is not known: the answer was found then.
    Found(Instant),
}

impl Receipt {
    /// The kernel tells this, or nothing. `before` is a time before the answer was found, and `clock` shows one after it,
    /// which is asked only where that matters.
    #[inline]
    pub(super) fn new(told: Option<Instant>, before: Instant, clock: impl FnOnce() -> Instant) -> Receipt {
        match told {
            Some(told) if told <= before => Receipt::Told(told),
            Some(told) => Receipt::Found(clock()).or(told),
            None => Receipt::Found(clock()),
        }
    }

    /// What was told, unless that is still to come.
    fn or(self, told: Instant) -> Receipt {
        if told <= self.at() { Receipt::Told(told) } else { self }
    }

    /// The receipt of an answer to what was sent at `sent`: nobody answers before he is asked.
    #[inline]
    pub(super) fn since(self, sent: Option<Instant>, clock: impl FnOnce() -> Instant) -> Receipt {
        match (self, sent) {
            (Receipt::Told(told), Some(sent)) if told < sent => Receipt::Found(clock()),
            _ => self,
        }
    }

    /// When it was, as far as is known.
    pub(super) fn at(self) -> Instant {
        let (Receipt::Told(at) | Receipt::Found(at)) = self;
        at
    }

    /// Whether that is the time of receipt.
    pub(super) fn is_told(self) -> bool {
        matches!(self, Receipt::Told(_))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_kernel_is_believed_between_the_sending_and_now() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let receipt = |told: Option<u64>| Receipt::new(told.map(at), at(10), || at(12)).since(Some(at(5)), || at(13));
        assert_eq!(receipt(Some(5)), Receipt::Told(at(5)));
        assert_eq!(receipt(Some(10)), Receipt::Told(at(10)));
        assert_eq!(receipt(Some(11)), Receipt::Told(at(11)), "it came while others were served");
        assert_eq!(receipt(Some(13)), Receipt::Found(at(12)), "it is still to come");
        assert_eq!(receipt(Some(4)), Receipt::Found(at(13)), "it was not asked yet");
        assert_eq!(receipt(None), Receipt::Found(at(12)));
        assert_eq!(Receipt::new(Some(at(4)), at(10), || at(12)).since(None, || at(13)), Receipt::Told(at(4)));
    }

    #[test]
    fn the_clock_is_read_only_where_it_matters() {
        let now = Instant::now();
        let never = || unreachable!("it does not matter");
        assert!(Receipt::new(Some(now), now, never).since(Some(now), never).is_told());
    }
}
