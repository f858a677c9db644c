//! Latency by percentile, on HdrHistogram's axis: every further nine takes the same width.

use plotters::coord::combinators::{BindKeyPoints, LogCoord, WithKeyPoints};
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use super::axes::{latency_axis, milliseconds};
use super::{Curve, Failure, LEFT, LEGEND_LINE, Look, Page, RIGHT, look, printable, styled, text};
use crate::latency::{Latencies, Millis, nanoseconds};

/// Draws the curves below `y`, each with its line in the legend.
pub(super) fn draw(page: &Page<'_>, mut y: i32, curves: &[Curve<'_>]) -> Result<(), Failure> {
    let looks = || (0..).map(look);
    let lines: Vec<_> = curves.iter().map(|curve| points(curve.latencies)).collect();
    for (curve, Look(color, width, dash, gap)) in curves.iter().zip(looks()) {
        let sample = [(LEFT, y), (LEFT + 480, y)].into_iter();
        page.draw(&DashedPathElement::new(sample, dash, gap, color.stroke_width(width)))?;
        page.draw(&Text::new(legend(curve), (LEFT + 600, y - 75), text(175)))?;
        y += LEGEND_LINE;
    }
    let latencies = latency_axis(lines.iter().flatten().map(|point| point.1));
    let mut chart = ChartBuilder::on(page)
        .margin(150)
        .margin_top(y)
        .margin_right(RIGHT)
        .x_label_area_size(540)
        .y_label_area_size(LEFT - 150)
        .build_cartesian_2d(percentile_axis(&lines), latencies)?;
    styled(&mut chart.configure_mesh())
        .x_desc("percentile")
        .y_desc("latency (ms)")
        .x_label_formatter(&|x| percentile_label(*x))
        .y_label_formatter(&ToString::to_string)
        .draw()?;
    for (line, Look(color, width, dash, gap)) in lines.iter().zip(looks()) {
        let stroke = color.stroke_width(width);
        chart.draw_series(DashedLineSeries::new(line.clone(), dash, gap, stroke))?;
        let end = line.last().map(|&end| Circle::new(end, 25 + width, color.filled()));
        chart.draw_series(end)?;
    }
    Ok(())
}

/// The steps that nearest rank means: the k-th of n samples is the percentile p of every p from
/// (k−1)/n to k/n. Each p as 1/(1−p), whose logarithm counts the nines.
fn points(latencies: &Latencies) -> Vec<(f64, f64)> {
    let Some((min, max)) = latencies.extremes else {
        return Vec::new();
    };
    let (n, min, max) = (latencies.len(), nanoseconds(min), nanoseconds(max));
    let mut points = Vec::new();
    let mut below = 0;
    for bucket in latencies.histogram.iter_recorded() {
        let value = milliseconds(bucket.value_iterated_to().clamp(min, max));
        let begin = below;
        below += bucket.count_at_value();
        for share in [begin, below.min(n - 1)] {
            points.push((n as f64 / (n - share) as f64, value));
        }
    }
    points.push((n as f64, milliseconds(max)));
    points.dedup();
    points
}

/// From 0% to the last point. The ticks are the nines, and the median as long as there is room.
fn percentile_axis(lines: &[Vec<(f64, f64)>]) -> WithKeyPoints<LogCoord<f64>> {
    let last = lines.iter().flatten().map(|point| point.0).fold(10.0, f64::max);
    let nines = (0..20).map(|nines| 10_f64.powi(nines)).take_while(|x| *x <= last);
    let median = (last < 1e7).then_some(2.0);
    (1.0..last * 1.1).log_scale().with_key_points(nines.chain(median).collect())
}

/// The percentile at which 1/(1−p) is `x`.
fn percentile_label(x: f64) -> String {
    let nines = (1..20).take_while(|nines| 10_f64.powi(*nines) <= x).count();
    let decimals = nines.saturating_sub(2);
    format!("{:.decimals$}%", 100.0 - 100.0 / x)
}

/// `rtt (n = 2000): p50 0.052, p90 0.060, p99 0.081, max 0.120 ms`, as far as n carries them.
fn legend(curve: &Curve<'_>) -> String {
    let summary = curve.latencies.summary();
    let figures = [
        ("p50", summary.p50),
        ("p90", summary.p90),
        ("p99", summary.p99),
        ("p99.9", summary.p999),
        ("max", summary.max),
    ];
    let carried: Vec<_> =
        figures.into_iter().filter_map(|(name, figure)| Some(format!("{name} {}", Millis(figure?)))).collect();
    let mut text = format!("{} (n = {})", printable(curve.name), summary.n);
    if !carried.is_empty() {
        text += &format!(": {} ms", carried.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::super::tests::latencies;
    use super::*;

    #[test]
    fn a_curve_steps_at_every_rank_and_ends_at_the_maximum() {
        // Below 2048 ns every value has its own bucket, so the figures are exact.
        let steps = points(&latencies([1000, 2000, 2000, 500].map(Duration::from_nanos)));
        let steps: Vec<_> = steps.iter().map(|(x, ms)| format!("{x:.3} {ms:.4}")).collect();
        let expected = ["1.000 0.0005", "1.333 0.0005", "1.333 0.0010", "2.000 0.0010", "2.000 0.0020", "4.000 0.0020"];
        assert_eq!(steps, expected);
    }

    #[test]
    fn a_curve_passes_through_the_percentiles_of_the_summary() {
        let latencies = latencies((0..2000).map(|i| Duration::from_micros(40 + i * i % 977)));
        let steps = points(&latencies);
        let at = |x: f64| steps.iter().rfind(|step| step.0 < x * (1.0 - 1e-9)).unwrap().1;
        let summary = latencies.summary();
        for (x, figure) in [(2.0, summary.p50), (10.0, summary.p90), (100.0, summary.p99)] {
            assert_eq!(at(x), milliseconds(nanoseconds(figure.unwrap())));
        }
    }

    #[test]
    fn the_legend_names_the_figures_that_the_sample_carries() {
        let legend_of = |n: u64| {
            let latencies = latencies((0..n).map(|_| Duration::from_micros(50)));
            legend(&Curve { name: "rtt", latencies: &latencies })
        };
        assert_eq!(legend_of(0), "rtt (n = 0)");
        assert_eq!(legend_of(99), "rtt (n = 99): p50 0.050, max 0.050 ms");
        assert_eq!(legend_of(100), "rtt (n = 100): p50 0.050, p90 0.050, max 0.050 ms");
    }

    #[test]
    fn labels_are_round() {
        let nines = [1.0, 2.0, 10.0, 100.0, 1e3, 1e6].map(percentile_label);
        assert_eq!(nines, ["0%", "50%", "90%", "99%", "99.9%", "99.9999%"]);
    }
}
