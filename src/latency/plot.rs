//! Latency by percentile as an SVG, on HdrHistogram's axis: every further nine takes the same width.

use std::io::{self, Write};

use plotters::coord::combinators::{BindKeyPoints, LogCoord, WithKeyPoints};
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use super::{Latencies, Millis, nanoseconds};

/// One line of the plot and its name in the legend.
#[derive(Clone, Copy, Debug)]
pub struct Curve<'a> {
    /// What was measured, `rtt`.
    pub name: &'a str,
    /// Its samples.
    pub latencies: &'a Latencies,
}

/// Writes an SVG of `curves`: milliseconds, logarithmic, by percentile.
///
/// Each curve ends at its maximum, at the percentile 1 − 1/n: beyond it there is no sample.
///
/// # Errors
/// Those of `out`.
pub fn write_svg(title: &str, curves: &[Curve<'_>], mut out: impl Write) -> io::Result<()> {
    let mut svg = String::new();
    draw(title, curves, &mut svg).map_err(|error| io::Error::other(error.to_string()))?;
    let size = |unit| format!("width=\"{}\" height=\"{}\"", WIDTH / unit, height(curves) / unit);
    out.write_all(svg.replacen(&size(1), &size(UNITS_PER_PIXEL), 1).as_bytes())
}

/// The backend rounds to whole units, so a pixel has ten of them: steps would show otherwise.
const UNITS_PER_PIXEL: u32 = 10;
const WIDTH: u32 = 9600;
/// With two curves; each further one makes it higher by its line in the legend.
const HEIGHT: u32 = 5700;
const LEGEND_LINE: u32 = 230;
const LEFT: i32 = 900;
const FONT: &str = "Helvetica, Arial, sans-serif";
const INK: RGBColor = RGBColor(0x26, 0x26, 0x26);
const BOLD_GRID: RGBColor = RGBColor(0xD4, 0xD4, 0xD4);
const LIGHT_GRID: RGBColor = RGBColor(0xF0, 0xF0, 0xF0);

/// What tells a curve apart: its colour, its width, the length of a dash and of the gap after it.
#[derive(Clone, Copy)]
struct Look(RGBColor, u32, i32, i32);

/// The look of the curve with this number. No two of the first twenty share both colour and dash. Later curves are drawn
/// over earlier ones, so a dashed one on a solid one shows both where they coincide.
fn look(number: usize) -> Look {
    // Colours that the colour-blind can tell apart.
    const COLORS: [RGBColor; 5] = [
        RGBColor(0x00, 0x72, 0xB2),
        RGBColor(0xE6, 0x7E, 0x00),
        RGBColor(0x00, 0x9E, 0x73),
        RGBColor(0xA0, 0x4B, 0x85),
        RGBColor(0x60, 0x60, 0x60),
    ];
    const STROKES: [(u32, i32, i32); 4] = [(36, i32::MAX, 0), (22, 100, 70), (22, 30, 45), (22, 220, 60)];
    let (width, dash, gap) = STROKES[number % STROKES.len()];
    Look(COLORS[number % COLORS.len()], width, dash, gap)
}

/// The height of the picture, in units.
fn height(curves: &[Curve<'_>]) -> u32 {
    let further = u32::try_from(curves.len().saturating_sub(2)).unwrap_or(0);
    HEIGHT + LEGEND_LINE * further
}

fn draw(title: &str, curves: &[Curve<'_>], svg: &mut String) -> Result<(), DrawingAreaErrorKind<io::Error>> {
    let text = |size: i32| TextStyle::from((FONT, size)).color(&INK);
    let looks = || (0..).map(look);
    let lines: Vec<_> = curves.iter().map(|curve| points(curve.latencies)).collect();

    let root = SVGBackend::with_string(svg, (WIDTH, height(curves))).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw(&Text::new(printable(title), (LEFT, 170), text(250)))?;
    let mut y = 580;
    for (curve, Look(color, width, dash, gap)) in curves.iter().zip(looks()) {
        let sample = [(LEFT, y), (LEFT + 480, y)].into_iter();
        root.draw(&DashedPathElement::new(sample, dash, gap, color.stroke_width(width)))?;
        root.draw(&Text::new(legend(curve), (LEFT + 600, y - 75), text(175)))?;
        y += LEGEND_LINE.cast_signed();
    }

    let mut chart = ChartBuilder::on(&root)
        .margin(150)
        .margin_top(y)
        .margin_right(420)
        .x_label_area_size(540)
        .y_label_area_size(LEFT - 150)
        .build_cartesian_2d(percentile_axis(&lines), latency_axis(&lines))?;
    chart
        .configure_mesh()
        .bold_line_style(BOLD_GRID.stroke_width(10))
        .light_line_style(LIGHT_GRID.stroke_width(10))
        .axis_style(INK.stroke_width(10))
        .set_all_tick_mark_size(40)
        .x_desc("percentile")
        .y_desc("latency (ms)")
        .x_label_formatter(&|x| percentile_label(*x))
        .y_label_formatter(&ToString::to_string)
        .label_style(text(165))
        .axis_desc_style(text(185))
        .draw()?;
    for (line, Look(color, width, dash, gap)) in lines.iter().zip(looks()) {
        let stroke = color.stroke_width(width);
        chart.draw_series(DashedLineSeries::new(line.clone(), dash, gap, stroke))?;
        let end = line.last().map(|&end| Circle::new(end, 25 + width, color.filled()));
        chart.draw_series(end)?;
    }
    root.present()
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

/// At least a nanosecond: nothing less has a logarithm to show.
fn milliseconds(ns: u64) -> f64 {
    ns.max(1) as f64 / 1e6
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

/// Between the two round values that enclose every point, labelled as densely as can be read.
fn latency_axis(lines: &[Vec<(f64, f64)>]) -> WithKeyPoints<LogCoord<f64>> {
    let values = || lines.iter().flatten().map(|point| point.1);
    let min = values().reduce(f64::min).unwrap_or(0.02);
    let max = values().reduce(f64::max).unwrap_or(0.9);
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

/// XML has no way to write control characters, not even escaped.
fn printable(text: &str) -> String {
    text.replace(|c: char| c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}'), "\u{FFFD}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::collections::HashSet;
    use std::time::Duration;

    fn latencies(samples: impl IntoIterator<Item = Duration>) -> Latencies {
        let mut latencies = Latencies::new();
        samples.into_iter().for_each(|sample| latencies.record(sample));
        latencies
    }

    fn plotted(title: &str, curves: &[Curve<'_>]) -> String {
        let mut out = Vec::new();
        write_svg(title, curves, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

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
    fn every_sample_however_odd_gives_a_plot_with_both_names() {
        let odd = [
            latencies([]),
            latencies([Duration::from_micros(52)]),
            latencies([Duration::from_micros(50); 500]),
            latencies([Duration::ZERO; 2]),
            latencies([Duration::ZERO, Duration::MAX]),
            latencies((1..5000).map(|i| Duration::from_nanos(i * i * i))),
        ];
        for rtt in &odd {
            for response in &odd {
                let curves = [("rtt", rtt), ("response", response)].map(|(name, latencies)| Curve { name, latencies });
                let svg = plotted("both", &curves);
                assert!(svg.starts_with("<svg width=\"960\"") && svg.ends_with("</svg>\n"));
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
                for text in ["rtt (n = ", "response (n = ", "latency (ms)", "percentile"] {
                    assert!(svg.contains(text), "{text} is missing");
                }
                let ends = curves.iter().filter(|curve| !curve.latencies.is_empty()).count();
                assert_eq!(svg.matches("<circle").count(), ends);
            }
        }
        assert!(plotted("none", &[]).ends_with("</svg>\n"));
    }

    #[test]
    fn two_curves_differ_in_colour_and_dash() {
        let samples = latencies((1..500).map(Duration::from_micros));
        let curves = ["rtt", "response"].map(|name| Curve { name, latencies: &samples });
        let svg = plotted("both", &curves);
        let strokes = |color| svg.matches(&format!("<polyline fill=\"none\" {color}")).count();
        // The curve and its sample in the legend; a dashed one is a line for each dash.
        assert_eq!(strokes("opacity=\"1\" stroke=\"#0072B2\""), 2);
        assert!(strokes("opacity=\"1\" stroke=\"#E67E00\"") > 20);
    }

    #[test]
    fn each_of_many_curves_has_a_look_of_its_own_and_leaves_the_chart_its_room() {
        let looks: HashSet<_> = (0..20).map(look).map(|Look(color, _, dash, _)| (color.rgb(), dash)).collect();
        assert_eq!(looks.len(), 20);
        let samples = latencies([]);
        let curves = [Curve { name: "one of many", latencies: &samples }; 12];
        assert!(plotted("many", &curves).starts_with("<svg width=\"960\" height=\"800\""));
    }

    #[test]
    fn text_from_outside_cannot_break_the_document() {
        let samples = latencies([]);
        let curve = Curve { name: "a<b>&\u{1b}", latencies: &samples };
        let svg = plotted("</text>\u{0}\u{ffff}", &[curve]);
        assert!(svg.contains("&lt;/text&gt;\u{fffd}\u{fffd}\n"), "{svg}");
        assert!(svg.contains("a&lt;b&gt;&amp;\u{fffd} (n = 0)"), "{svg}");
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
        let lines = |low: f64, high: f64| latency_axis(&[vec![(1.0, low), (2.0, high)]]);
        let labels =
            |low, high| -> Vec<String> { lines(low, high).bold_points().iter().map(ToString::to_string).collect() };
        assert_eq!(labels(0.21, 0.43), ["0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(labels(0.05, 0.05), ["0.04", "0.05", "0.06"]);
        assert_eq!(labels(0.04, 0.8), ["0.05", "0.1", "0.2", "0.5"]);
        assert_eq!(labels(0.04, 2000.0), ["0.1", "1", "10", "100", "1000"]);
    }
}
