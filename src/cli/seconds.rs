//! Times as people write them: `30`, `0.5`, `500ms`, `2m`, `1h30m`.

use std::time::Duration;

/// What is accepted.
const FORM: &str = "give seconds, such as 30, 0.5, 500ms or 1h30m";

/// The units, from the longest to the shortest, in nanoseconds.
const UNITS: [(&str, u128); 6] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", SECOND),
    ("ms", 1_000_000),
    ("us", 1000),
];
const SECOND: u128 = 1_000_000_000;

/// A span of time given in seconds; `None` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seconds(pub(super) Option<Duration>);

impl Seconds {
    /// Reads a number of seconds, or numbers with a unit each, the longest first. A span too long to count means for
    /// ever; one that is not 0 does not become it, since 0 means something else.
    pub(super) fn parse(word: &str) -> Result<Seconds, String> {
        let nanos = spelled(word.trim()).ok_or(FORM)?;
        let (seconds, rest) = (u64::try_from(nanos / SECOND), u32::try_from(nanos % SECOND).unwrap_or_default());
        Ok(Seconds(seconds.ok().map(|seconds| Duration::new(seconds, rest))))
    }

    /// The same, where 0 means for ever as well.
    pub(super) fn or_never(self) -> Option<Duration> {
        self.0.filter(|span| !span.is_zero())
    }
}

/// The nanoseconds that a word stands for; as many as can be counted where they are more.
fn spelled(word: &str) -> Option<u128> {
    if let Some((number, exponent)) = word.split_once(['e', 'E']) {
        return times(number, SECOND, exponent.parse().ok()?);
    }
    if let Some(nanos) = times(word, SECOND, 0) {
        return Some(nanos);
    }
    let (mut rest, mut units, mut nanos) = (word, &UNITS[..], 0_u128);
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic())?);
        let (unit, next) = behind.split_at(behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len()));
        let at = units.iter().position(|(name, _)| *name == unit)?;
        nanos = nanos.saturating_add(times(number, units[at].1, 0)?);
        (rest, units) = (next, &units[at + 1..]);
    }
    (!word.is_empty()).then_some(nanos)
}

/// `number` times `unit` times ten to the power of `exponent`, in whole numbers; what is above 0 stays so.
fn times(number: &str, unit: u128, exponent: i32) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if digits().next().is_none() || !digits().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let point = i64::try_from(whole.len()).ok()? + i64::from(exponent);
    let mut nanos = 0_u128;
    for (place, digit) in (0_i64..).zip(digits()).filter(|(_, digit)| *digit != b'0') {
        let value = u128::from(digit - b'0') * unit;
        // The place of a digit before the point counts up from 0, behind it down from -1.
        let power = point - place - 1;
        let part = match u32::try_from(power) {
            Ok(power) => 10_u128.checked_pow(power).and_then(|power| value.checked_mul(power)).unwrap_or(u128::MAX),
            Err(_) => {
                u32::try_from(-power).ok().and_then(|power| 10_u128.checked_pow(power)).map_or(0, |power| value / power)
            }
        };
        nanos = nanos.saturating_add(part).max(1);
    }
    Some(nanos)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn seconds_are_understood_as_people_write_them() {
        for (word, expected) in [
            ("30", 30.0),
            ("0.5", 0.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e1", 10.0),
            ("25e-1", 2.5),
            ("0", 0.0),
            ("0s", 0.0),
            ("500ms", 0.5),
            ("1.5s", 1.5),
            ("2m", 120.0),
            ("1h30m", 5400.0),
            ("1.5h", 5400.0),
            ("1d", 86_400.0),
            ("1m30.25s", 90.25),
            (" 250us ", 0.000_25),
        ] {
            assert_eq!(Seconds::parse(word), Ok(Seconds(Some(Duration::from_secs_f64(expected)))), "{word}");
        }
        for least in ["1e-12", "0.0000000001", "0.0001us", "1e-99999"] {
            assert_eq!(Seconds::parse(least), Ok(Seconds(Some(Duration::from_nanos(1)))), "{least}");
        }
        for never in ["1e30", "1e400", "18446744073709551616", "99999999999999999999d", "1e2000000000"] {
            assert_eq!(Seconds::parse(never), Ok(Seconds(None)), "{never}");
        }
        for wrong in [
            "", ".", "-1", "-0.5", "+1", "nan", "inf", "-inf", "infinity", "ten", "5x", "1,5", "1h30", "30m1h", "1m1m",
            "ms", "1 s", "1e3s", "1e", "e3", "1.2.3", "1S", "٣s", "1h-30m",
        ] {
            assert_eq!(Seconds::parse(wrong), Err(FORM.to_owned()), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_span_reads_back_from_its_units(nanos in 0_u128..u128::from(u64::MAX) * SECOND) {
            let mut rest = nanos / 1000 * 1000;
            let mut word = String::new();
            for (name, unit) in UNITS {
                word += &format!("{}{name}", rest / unit);
                rest %= unit;
            }
            let Seconds(span) = Seconds::parse(&word).unwrap();
            prop_assert_eq!(span.unwrap().as_nanos(), nanos / 1000 * 1000, "{}", word);
        }

        #[test]
        fn a_fraction_is_exact_in_every_unit(whole in 0_u64..100_000, fraction in 0_u128..1_000_000_000, at in 0_usize..6) {
            let (name, unit) = UNITS[at];
            let expected = u128::from(whole) * unit + fraction * unit / SECOND;
            let Seconds(span) = Seconds::parse(&format!("{whole}.{fraction:09}{name}")).unwrap();
            // Each digit is rounded down by itself: less than a nanosecond for each.
            prop_assert!(expected.abs_diff(span.unwrap().as_nanos()) <= 9, "{:?} is not {}", span, expected);
        }

        #[test]
        fn plain_seconds_are_what_the_standard_parser_reads(seconds in 0.0_f64..1e5) {
            let Seconds(span) = Seconds::parse(&seconds.to_string()).unwrap();
            let wanted = Duration::from_secs_f64(seconds);
            prop_assert!(span.unwrap().abs_diff(wanted) <= Duration::from_nanos(20));
        }

        #[test]
        fn nothing_panics_and_only_what_has_digits_is_taken(word in r"[0-9.eEhmsud+ -]{0,12}|\PC{0,8}") {
            let taken = Seconds::parse(&word).is_ok();
            prop_assert!(!taken || word.bytes().any(|byte| byte.is_ascii_digit()));
            prop_assert!(!taken || !word.contains(['+', ',']) || word.to_lowercase().contains("e+"));
        }
    }
}
