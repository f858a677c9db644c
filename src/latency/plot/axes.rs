//! The axes that both panels have, or could have: latency, logarithmic, and the time of the run.

use std::ops::Range;
use std::time::Duration;

use plotters::coord::combinators::{BindKeyPoints, LogCoord, WithKeyPoints};
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;

/// At least a nanosecond: nothing less has a logarithm to show.
pub(super) fn milliseconds(ns: u64) -> f64 {
    ns.max(1) as f64 / 1e6
}

/// Between the two round values that enclose every point, labelled as densely as can be read.
pub(super) fn latency_axis(values: impl Iterator<Item = f64> + Clone) -> WithKeyPoints<LogCoord<f64>> {
    let min = values.clone().reduce(f64::min).unwrap_or(0.02);
    let max = values.reduce(f64::max).unwrap_or(0.9);
    let every = round_values(&[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let low = every.iter().rfind(|value| **value < min).copied().unwrap_or(min);
    let high = every.iter().find(|value| **value > max).copied().unwrap_or(max);
    let within =
        |values: Vec<f64>| -> Vec<f64> { values.into_iter().filter(|value| (low..=high).contains(value)).collect() };
    let light = within(every);
    let mut bold = light.clone();
    for digits in [&[1, 2, 5][..], &[1]] {
        if bold.len() > 10 {
            bold = within(round_values(digits));
        }
    }
    (low..high).log_scale().with_key_points(bold).with_light_points(light)
}

/// `digits` in every decade that a duration can fall into, ascending. Divided where they are
/// below one, since 0.3 is 3/10 but not 3 × 0.1, and a label shows the difference.
fn round_values(digits: &[i32]) -> Vec<f64> {
    let decade = |exponent: i32| {
        digits.iter().map(move |&digit| match exponent {
            ..0 => f64::from(digit) / 10_f64.powi(-exponent),
            _ => f64::from(digit) * 10_f64.powi(exponent),
        })
    };
    (-7..=14).flat_map(decade).collect()
}

/// A length of time in the unit that suits it: how many there are, and what the unit is called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unit {
    seconds: f64,
    pub(super) name: &'static str,
}

impl Unit {
    /// The unit for an axis of this length.
    pub(super) fn of(length: Duration) -> Unit {
        let units = [(0.1, 0.001, "ms"), (200.0, 1.0, "s"), (3.0 * 3600.0, 60.0, "min"), (4.0 * 86_400.0, 3600.0, "h")];
        let fits = units.into_iter().find(|(most, ..)| length.as_secs_f64() < *most);
        let (_, seconds, name) = fits.unwrap_or((0.0, 86_400.0, "d"));
        Unit { seconds, name }
    }

    pub(super) fn count(self, length: Duration) -> f64 {
        length.as_secs_f64() / self.seconds
    }
}

/// A linear axis with these ticks and no others.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) ticks: Vec<f64>,
}

impl Ranged for Linear {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (begin, end): (i32, i32)) -> i32 {
        let share = (value - self.from) / (self.to - self.from);
        #[allow(clippy::cast_possible_truncation)] // some thousands
        let way = (f64::from(end - begin) * share).round() as i32;
        begin + way
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

/// Round values from 0 to `end`, twelve at most, and the decimals that they need.
pub(super) fn time_ticks(end: f64) -> (Vec<f64>, usize) {
    let step = round_values(&[1, 2, 5]).into_iter().find(|step| end / step <= 11.0).unwrap_or(end);
    let ticks = (0_u32..12).map(|tick| f64::from(tick) * step).take_while(|tick| *tick <= end * (1.0 + 1e-9)).collect();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a few digits
    let decimals = (-(step * 1.000_001).log10().floor()).clamp(0.0, 9.0) as usize;
    (ticks, decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_round_labels() {
        let labels = |low: f64, high: f64| -> Vec<String> {
            latency_axis([low, high].into_iter()).bold_points().iter().map(ToString::to_string).collect()
        };
        assert_eq!(labels(0.21, 0.43), ["0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(labels(0.05, 0.05), ["0.04", "0.05", "0.06"]);
        assert_eq!(labels(0.04, 0.8), ["0.05", "0.1", "0.2", "0.5"]);
        assert_eq!(labels(0.04, 2000.0), ["0.1", "1", "10", "100", "1000"]);
    }

    #[test]
    fn a_run_of_any_length_has_round_times_in_a_unit_that_suits_it() {
        let shown = |seconds: f64| {
            let length = Duration::from_secs_f64(seconds);
            let unit = Unit::of(length);
            let (ticks, decimals) = time_ticks(unit.count(length));
            let ticks: Vec<String> = ticks.iter().map(|tick| format!("{tick:.decimals$}")).collect();
            format!("{} {}", ticks.join(" "), unit.name)
        };
        assert_eq!(shown(0.000_05), "0.000 0.005 0.010 0.015 0.020 0.025 0.030 0.035 0.040 0.045 0.050 ms");
        assert_eq!(shown(1.0), "0.0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1.0 s");
        assert_eq!(shown(8.0), "0 1 2 3 4 5 6 7 8 s");
        assert_eq!(shown(119.0), "0 20 40 60 80 100 s");
        assert_eq!(shown(3600.0), "0 10 20 30 40 50 60 min");
        assert_eq!(shown(86_400.0), "0 5 10 15 20 h");
        assert!(shown(1e9).ends_with("10000 d"), "{}", shown(1e9));
        for exponent in -9..19 {
            let length = Duration::from_secs_f64(10_f64.powi(exponent));
            let ticks = time_ticks(Unit::of(length).count(length)).0;
            assert!((3..=12).contains(&ticks.len()), "{length:?}: {ticks:?}");
        }
    }
}
