//! Samples in, summary out: round trips in bounded memory, and the percentiles that they carry.
//!
//! A percentile is a claim about the samples beyond it. [`Summary`] makes it, the median apart, only where at
//! least ten lie there: p99 of fifty samples is but another name for the maximum.

mod hgrm;
mod jitter;
mod plot;
mod timeline;

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

pub use hgrm::write_hgrm;
pub use jitter::Jitter;
pub use plot::{Course, Curve, OutageSpan, write_svg};
pub use timeline::{Spread, Stretch, Timeline};

/// One hour in nanoseconds: the highest value the histogram tells apart.
const HIGHEST: u64 = 3_600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Latencies in nanoseconds, each kept to three significant digits, the extremes exactly.
///
/// It takes 264 KiB, however many samples it holds. What lasts longer than an hour counts as an
/// hour, except in [`min`](Self::min) and [`max`](Self::max).
#[derive(Clone, Debug)]
pub struct Latencies {
    histogram: Histogram<u64>,
    extremes: Option<(Duration, Duration)>,
    /// All of them added up, in ns.
    sum: u128,
}

impl Latencies {
    /// No samples yet; allocates all it will ever need.
    #[must_use]
    pub fn new() -> Self {
        let histogram =
            Histogram::new_with_bounds(1, HIGHEST, SIGNIFICANT_DIGITS).expect("the bounds are valid constants");
        Self { histogram, extremes: None, sum: 0 }
    }

    /// The same to two significant digits only, in a tenth of the memory: for the many flows of one run.
    #[must_use]
    pub fn coarse() -> Self {
        let histogram = Histogram::new_with_bounds(1, HIGHEST, 2).expect("the bounds are valid constants");
        Self { histogram, extremes: None, sum: 0 }
    }

    /// Adds one sample.
    pub fn record(&mut self, sample: Duration) {
        self.histogram.saturating_record(nanoseconds(sample).min(HIGHEST));
        self.sum = self.sum.saturating_add(sample.as_nanos());
        self.widen(sample, sample);
    }

    /// Adds every sample of `other`, as if each had been recorded here.
    pub fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("all histograms have the same bounds");
        self.sum = self.sum.saturating_add(other.sum);
        if let Some((min, max)) = other.extremes {
            self.widen(min, max);
        }
    }

    fn widen(&mut self, low: Duration, high: Duration) {
        let (min, max) = self.extremes.unwrap_or((low, high));
        self.extremes = Some((min.min(low), max.max(high)));
    }

    /// The number of samples.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.histogram.len()
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.histogram.is_empty()
    }

    /// The shortest sample, exactly.
    #[must_use]
    pub fn min(&self) -> Option<Duration> {
        self.extremes.map(|(min, _)| min)
    }

    /// The longest sample, exactly.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        self.extremes.map(|(_, max)| max)
    }

    /// What can honestly be said about the samples so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let carried = |permille| self.carries(permille).then(|| self.nearest_rank(permille)).flatten();
        Summary {
            n: self.len(),
            min: self.min(),
            p50: self.nearest_rank(500),
            p90: carried(900),
            p99: carried(990),
            p999: carried(999),
            max: self.max(),
            mean: self.mean(),
            jitter: None,
        }
    }

    /// The mean, exactly.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let mean = self.sum.checked_div(u128::from(self.len()))?;
        Some(Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX)))
    }

    /// Whether n·(1−p) ≥ 10. In whole numbers, since 100 × (1 − 0.9) is 9.99… in floating point.
    fn carries(&self, permille: u64) -> bool {
        u128::from(self.len()) * u128::from(1000 - permille) >= 10 * 1000
    }

    /// The smallest sample that at least n·p samples do not exceed, to three significant digits.
    fn nearest_rank(&self, permille: u64) -> Option<Duration> {
        let (min, max) = self.extremes?;
        let rank = (u128::from(self.len()) * u128::from(permille)).div_ceil(1000);
        // The histogram multiplies by n again and rounds up: half a rank less, so that an error in
        // the last digit cannot make it the next rank.
        let quantile = (rank as f64 - 0.5) / self.len() as f64;
        let value = Duration::from_nanos(self.histogram.value_at_quantile(quantile));
        Some(value.clamp(min, max))
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

/// What a sample carries: `None` where it is too small for that figure.
///
/// It prints as `min/p50/p90/p99/max = 0.041/0.052/0.060/-/0.120 ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The number of samples.
    pub n: u64,
    /// The shortest, exactly.
    pub min: Option<Duration>,
    /// The median, from the first sample on.
    pub p50: Option<Duration>,
    /// From 100 samples on.
    pub p90: Option<Duration>,
    /// From 1,000 samples on.
    pub p99: Option<Duration>,
    /// From 10,000 samples on.
    pub p999: Option<Duration>,
    /// The longest, exactly.
    pub max: Option<Duration>,
    /// The mean.
    pub mean: Option<Duration>,
    /// [`Jitter`], which depends on the samples' order: for who has kept it beside them.
    pub jitter: Option<Duration>,
}

impl Summary {
    /// A JSON object of nanoseconds, `{"min":41000,"p50":52000,"p90":null,…,"mean":53000,"jitter":null}`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let figures = [
            ("min", self.min),
            ("p50", self.p50),
            ("p90", self.p90),
            ("p99", self.p99),
            ("p999", self.p999),
            ("max", self.max),
            ("mean", self.mean),
            ("jitter", self.jitter),
        ];
        let fields = figures.map(|(name, figure)| match figure {
            Some(figure) => format!("\"{name}\":{}", nanoseconds(figure)),
            None => format!("\"{name}\":null"),
        });
        format!("{{{}}}", fields.join(","))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("min/p50/p90/p99/max = ")?;
        for (i, figure) in [self.min, self.p50, self.p90, self.p99, self.max].into_iter().enumerate() {
            if i > 0 {
                f.write_str("/")?;
            }
            match figure {
                Some(figure) => write!(f, "{}", Millis(figure))?,
                None => f.write_str("-")?,
            }
        }
        f.write_str(" ms")
    }
}

/// A duration printed in milliseconds with three decimals, `0.052`, without the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Millis(pub Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = (self.0.as_nanos() + 500) / 1000;
        f.pad(&format!("{}.{:03}", micros / 1000, micros % 1000))
    }
}

/// Whole nanoseconds, as far as 64 bits reach (584 years).
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read_back(summary: Summary) -> Value {
        serde_json::from_str(&summary.to_json()).unwrap()
    }

    fn latencies(samples: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new();
        samples.into_iter().for_each(|ns| latencies.record(Duration::from_nanos(ns)));
        latencies
    }

    fn ns(n: u64) -> Option<Duration> {
        Some(Duration::from_nanos(n))
    }

    #[test]
    fn an_empty_sample_carries_nothing() {
        let summary = Latencies::new().summary();
        assert_eq!(summary.to_string(), "min/p50/p90/p99/max = -/-/-/-/- ms");
        let json = read_back(summary);
        let names = ["min", "p50", "p90", "p99", "p999", "max", "mean", "jitter"];
        assert!(json.as_object().unwrap().len() == names.len() && names.iter().all(|name| json[name].is_null()));
    }

    #[test]
    fn one_sample_has_extremes_and_a_median() {
        let summary = latencies([52_499]).summary();
        assert_eq!((summary.min, summary.p50, summary.max), (ns(52_499), ns(52_499), ns(52_499)));
        assert_eq!(summary.to_string(), "min/p50/p90/p99/max = 0.052/0.052/-/-/0.052 ms");
    }

    #[test]
    fn the_nearest_rank_of_known_data_is_found() {
        // Below 2048 ns every value has its own bucket, so the figures are exact.
        let summary = latencies(1..=1000).summary();
        let expected = Summary {
            n: 1000,
            min: ns(1),
            p50: ns(500),
            p90: ns(900),
            p99: ns(990),
            p999: None,
            max: ns(1000),
            mean: ns(500),
            jitter: None,
        };
        assert_eq!(summary, expected);
        assert_eq!(latencies([10, 20, 30]).summary().p50, ns(20));
        assert_eq!(latencies([10, 20, 30, 40]).summary().p50, ns(20));
    }

    #[test]
    fn a_percentile_appears_with_the_tenth_sample_beyond_it() {
        let carried = |n| {
            let summary = latencies(std::iter::repeat_n(7, n)).summary();
            [summary.p50, summary.p90, summary.p99, summary.p999].iter().flatten().count()
        };
        let sizes = [0, 1, 99, 100, 999, 1000, 9999, 10_000];
        assert_eq!(sizes.map(carried), [0, 1, 1, 2, 2, 3, 3, 4]);
    }

    #[test]
    fn the_text_and_the_json_name_the_figures() {
        let mut latencies = latencies(std::iter::repeat_n(52_000, 989));
        (0..10).for_each(|_| latencies.record(Duration::from_micros(81)));
        latencies.record(Duration::from_nanos(1_234_567));
        let summary = latencies.summary();
        assert_eq!(summary.to_string(), "min/p50/p90/p99/max = 0.052/0.052/0.052/0.081/1.235 ms");
        let json = read_back(summary);
        assert_eq!((&json["min"], &json["max"], &json["p999"]), (&json!(52_000), &json!(1_234_567), &Value::Null));
    }

    #[test]
    fn zero_and_absurdly_long_samples_keep_their_extremes() {
        let mut latencies = latencies([0]);
        latencies.record(Duration::MAX);
        assert_eq!((latencies.min(), latencies.max()), (ns(0), Some(Duration::MAX)));
        assert_eq!(read_back(latencies.summary())["max"], json!(u64::MAX));
        let two_hours = Duration::from_secs(7200);
        let mut latencies = Latencies::new();
        latencies.record(two_hours);
        assert_eq!((latencies.summary().p50, latencies.summary().mean), (Some(two_hours), Some(two_hours)));
    }

    #[test]
    fn milliseconds_are_rounded_to_three_decimals() {
        let shown = |ns| Millis(Duration::from_nanos(ns)).to_string();
        assert_eq!(
            [499, 500, 41_499, 1_000_000, 61_234_999_500].map(shown),
            ["0.000", "0.001", "0.041", "1.000", "61235.000"]
        );
    }

    proptest! {
        #[test]
        fn percentiles_are_monotone_and_within_a_thousandth_of_the_sorted_sample(
            mut samples in prop::collection::vec(0..HIGHEST, 1..12_000),
            shift in 0..40_u32,
        ) {
            samples.iter_mut().for_each(|sample| *sample >>= shift);
            let latencies = latencies(samples.iter().copied());
            samples.sort_unstable();
            let n = samples.len() as u64;
            let summary = latencies.summary();
            prop_assert_eq!((summary.n, summary.min, summary.max), (n, ns(samples[0]), ns(samples[samples.len() - 1])));
            let figures = [(500, summary.p50), (900, summary.p90), (990, summary.p99), (999, summary.p999)];
            let mut last = samples[0];
            for (permille, figure) in figures {
                prop_assert_eq!(figure.is_some(), permille == 500 || n * (1000 - permille) >= 10_000);
                let Some(figure) = figure.map(nanoseconds) else { continue };
                let rank = usize::try_from((n * permille).div_ceil(1000)).unwrap();
                let exact = samples[rank - 1];
                prop_assert!(figure.abs_diff(exact) * 1000 <= exact, "p{}: {} is not {}", permille, figure, exact);
                prop_assert!(last <= figure, "p{} is below the figure before it", permille);
                last = figure;
            }
            prop_assert!(last <= samples[samples.len() - 1]);
        }

        #[test]
        fn merging_equals_recording_everything_in_one(
            ours in prop::collection::vec(0..HIGHEST, 0..200),
            theirs in prop::collection::vec(0..HIGHEST, 0..200),
        ) {
            let mut merged = latencies(ours.iter().copied());
            merged.merge(&latencies(theirs.iter().copied()));
            let together = latencies(ours.into_iter().chain(theirs));
            prop_assert_eq!(merged.summary(), together.summary());
            prop_assert_eq!(merged.histogram, together.histogram);
        }
    }
}
