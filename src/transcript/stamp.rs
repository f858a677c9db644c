//! The wall clock of a turn.

use std::cell::OnceCell;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A point in time in RFC 3339, UTC, with microseconds: `2026-11-23T08:00:00.123456Z`.
///
/// The clock is read and formatted when it is first asked for, then never again: made new each turn, it costs nothing
/// where no event needs it, and the same for one event as for a thousand.
#[derive(Clone, Debug, Default)]
pub struct Stamp(OnceCell<String>);

impl Stamp {
    /// The time at which it will first be asked for.
    #[must_use]
    pub const fn new() -> Stamp {
        Stamp(OnceCell::new())
    }

    /// The given time.
    #[must_use]
    pub fn at(time: Timestamp) -> Stamp {
        Stamp(OnceCell::from(format!("{time:.6}")))
    }

    /// The time as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get_or_init(|| format!("{:.6}", Timestamp::now()))
    }
}

/// A point in time as the clocks on the wall show it, in RFC 3339 with microseconds: `2026-11-23T16:00:00.123456+08:00`.
/// Where the system does not say which zone it is in, it is UTC and says so (`Z`).
#[must_use]
pub fn local(time: Timestamp) -> String {
    match TimeZone::try_system() {
        Ok(zone) => time.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string(),
        Err(_) => format!("{time:.6}"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The time of every event in tests.
    pub(in crate::transcript) fn eight_o_clock() -> Stamp {
        Stamp::at(Timestamp::new(1_795_420_800, 123_456_789).unwrap())
    }

    #[test]
    fn a_stamp_always_has_six_digits_behind_the_second() {
        for nanos in [0, 123_456_789, 999_999_999] {
            let stamp = Stamp::at(Timestamp::new(1_795_420_800, nanos).unwrap());
            assert_eq!(stamp.as_str(), format!("2026-11-23T08:00:00.{:06}Z", nanos / 1000));
        }
    }

    #[test]
    fn a_stamp_stays_what_it_was_when_it_was_first_asked_for() {
        let stamp = Stamp::new();
        let before = Timestamp::now();
        let first = stamp.as_str().to_owned();
        while Timestamp::now().duration_since(before).as_micros() < 2 {}
        assert_eq!(stamp.as_str(), first);
        assert_ne!(Stamp::new().as_str(), first);
    }
}
