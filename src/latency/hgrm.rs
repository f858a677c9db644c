//! HdrHistogram's percentile text format, `.hgrm`, which its plotter and its ports read.

use std::io::{self, Write};

use super::{Latencies, SIGNIFICANT_DIGITS, nanoseconds};

const NS_PER_MS: f64 = 1e6;
/// Rows between one halving of the distance to 100 % and the next, the customary number.
const TICKS_PER_HALF_DISTANCE: u32 = 5;

/// Writes the distribution of `latencies`, in milliseconds down to the nanosecond.
///
/// # Errors
/// Those of `out`.
pub fn write_hgrm(latencies: &Latencies, mut out: impl Write) -> io::Result<()> {
    let histogram = &latencies.histogram;
    let max = latencies.max().map_or(0, nanoseconds);

    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut count = 0;
    for row in histogram.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        count += row.count_since_last_iteration();
        let quantile = row.quantile_iterated_to();
        if quantile < 1.0 {
            let value = ms(row.value_iterated_to().min(max));
            writeln!(
                out,
                "{value:12.6} {quantile:2.12} {count:10} {:14.2}",
                1.0 / (1.0 - quantile)
            )?;
        } else {
            writeln!(out, "{:12.6} {quantile:2.12} {count:10}", ms(max))?;
        }
    }

    let (mean, deviation) = (histogram.mean() / NS_PER_MS, histogram.stdev() / NS_PER_MS);
    let sub_buckets = (2 * 10_u32.pow(u32::from(SIGNIFICANT_DIGITS))).next_power_of_two();
    writeln!(
        out,
        "#[Mean    = {mean:12.6}, StdDeviation   = {deviation:12.6}]"
    )?;
    writeln!(
        out,
        "#[Max     = {:12.6}, Total count    = {:12}]",
        ms(max),
        histogram.len()
    )?;
    writeln!(
        out,
        "#[Buckets = {:12}, SubBuckets     = {sub_buckets:12}]",
        histogram.buckets()
    )
}

fn ms(ns: u64) -> f64 {
    ns as f64 / NS_PER_MS
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::time::Duration;

    fn written(samples: impl IntoIterator<Item = u64>) -> String {
        let mut latencies = Latencies::new();
        samples
            .into_iter()
            .for_each(|ns| latencies.record(Duration::from_nanos(ns)));
        let mut out = Vec::new();
        write_hgrm(&latencies, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// What hdr-histogram-js 3.0.1, a port of the original, writes for the same samples. (Python's
    /// hdrhistogram 0.10.8 agrees on every count and value, but spaces its rows differently.)
    #[test]
    fn known_samples_are_written_as_the_original_writes_them() {
        let samples = (0..2000_u64).map(|i| {
            let tail = if i % 100 == 99 { (i + 1) * 5000 } else { 0 };
            40_000 + i * i * 7919 % 30_000 + tail
        });
        assert_eq!(
            written(samples.chain([12_345_343])),
            include_str!("known.hgrm")
        );
    }

    #[test]
    fn no_value_exceeds_the_exact_maximum() {
        let text = written([1_000_000, 10_000_001]);
        assert!(
            text.contains("\n   10.000001 1.000000000000          2\n"),
            "{text}"
        );
        assert!(
            text.contains("#[Max     =    10.000001, Total count    =            2]"),
            "{text}"
        );
        assert!(!text.contains("10.002"), "{text}");
    }

    #[test]
    fn an_empty_sample_is_a_header_and_a_trailer() {
        let text = written([]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            "       Value     Percentile TotalCount 1/(1-Percentile)"
        );
        assert_eq!(lines[1], "");
        assert_eq!(
            lines[2],
            "#[Mean    =     0.000000, StdDeviation   =     0.000000]"
        );
        assert_eq!(lines.len(), 5);
    }
}
