//! The picture of a run, an SVG: latency by percentile, and below it the run over its time.

mod axes;
mod course;
mod percentiles;
mod shapes;

use std::io::{self, Write};

use plotters::chart::MeshStyle;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::prelude::*;

use super::Latencies;
pub use course::{Course, OutageSpan};

/// One line of the upper panel and its name in the legend.
#[derive(Clone, Copy, Debug)]
pub struct Curve<'a> {
    /// What was measured, `rtt`.
    pub name: &'a str,
    /// Its samples.
    pub latencies: &'a Latencies,
}

/// Writes an SVG of `curves`: milliseconds, logarithmic, by percentile; and in a second panel the `course` of the run,
/// where there is one to show.
///
/// Each curve ends at its maximum, at the percentile 1 − 1/n: beyond it there is no sample.
///
/// # Errors
/// Those of `out`.
pub fn write_svg(
    title: &str,
    curves: &[Curve<'_>],
    course: Option<&Course<'_>>,
    mut out: impl Write,
) -> io::Result<()> {
    let mut svg = String::new();
    let height = height(curves) + course.map_or(0, Course::height);
    draw(title, curves, course, height, &mut svg).map_err(|error| io::Error::other(error.to_string()))?;
    let size = |unit| format!("width=\"{}\" height=\"{}\"", WIDTH / unit, height / unit);
    out.write_all(svg.replacen(&size(1), &size(UNITS_PER_PIXEL), 1).as_bytes())
}

type Page<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failure = DrawingAreaErrorKind<io::Error>;

/// The backend rounds to whole units, so a pixel has ten of them: steps would show otherwise.
const UNITS_PER_PIXEL: u32 = 10;
const WIDTH: u32 = 9600;
/// With two curves; each further one makes it higher by its line in the legend.
const HEIGHT: u32 = 5700;
const LEGEND_LINE: i32 = 230;
const LEFT: i32 = 900;
const RIGHT: i32 = 420;
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

/// The height of the upper panel and the title, in units.
fn height(curves: &[Curve<'_>]) -> u32 {
    let further = u32::try_from(curves.len().saturating_sub(2)).unwrap_or(0);
    HEIGHT + LEGEND_LINE.cast_unsigned() * further
}

fn draw(
    title: &str,
    curves: &[Curve<'_>],
    course: Option<&Course<'_>>,
    all: u32,
    svg: &mut String,
) -> Result<(), Failure> {
    let root = SVGBackend::with_string(svg, (WIDTH, all)).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw(&Text::new(printable(title), (LEFT, 170), text(250)))?;
    let (upper, lower) = root.split_vertically(height(curves));
    percentiles::draw(&upper, 580, curves)?;
    if let Some(course) = course {
        course.draw(&lower)?;
    }
    root.present()
}

fn text(size: i32) -> TextStyle<'static> {
    TextStyle::from((FONT, size)).color(&INK)
}

/// The grid and the labels of every chart.
fn styled<'m, 'a, 'b, X, Y>(
    mesh: &'m mut MeshStyle<'a, 'b, X, Y, SVGBackend<'a>>,
) -> &'m mut MeshStyle<'a, 'b, X, Y, SVGBackend<'a>>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    mesh.bold_line_style(BOLD_GRID.stroke_width(10))
        .light_line_style(LIGHT_GRID.stroke_width(10))
        .axis_style(INK.stroke_width(10))
        .set_all_tick_mark_size(40)
        .label_style(text(165))
        .axis_desc_style(text(185))
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

    /// What these samples come to.
    pub(super) fn latencies(samples: impl IntoIterator<Item = Duration>) -> Latencies {
        let mut latencies = Latencies::new();
        samples.into_iter().for_each(|sample| latencies.record(sample));
        latencies
    }

    fn plotted(title: &str, curves: &[Curve<'_>]) -> String {
        let mut out = Vec::new();
        write_svg(title, curves, None, &mut out).unwrap();
        String::from_utf8(out).unwrap()
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
}
