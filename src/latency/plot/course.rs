//! The run over its time: latency, and below it what was lost; outages are shaded.

use std::ops::Range;
use std::time::Duration;

use plotters::coord::ranged1d::Ranged;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axes::{Linear, Unit, latency_axis, time_ticks};
use super::shapes::{bands, differs, lines, ms, where_they_differ};
use super::{Failure, LEFT, LEGEND_LINE, Look, Page, RIGHT, WIDTH, look, printable, styled, text};
use crate::latency::{Spread, Stretch, Timeline};

/// Probes lost in a row.
#[derive(Clone, Copy, Debug)]
pub struct OutageSpan {
    /// From the beginning of the run to the due time of the first.
    pub begin: Duration,
    /// Until one was acknowledged again.
    pub length: Duration,
    /// How many.
    pub probes: u64,
}

/// A run over its time.
#[derive(Clone, Copy, Debug)]
pub struct Course<'a> {
    /// What became of its probes.
    pub timeline: &'a Timeline,
    /// When it began, as it is to be read.
    pub began: &'a str,
    /// How long it was, or would have been.
    pub length: Duration,
    /// How many outages there were, ...
    pub outages: u64,
    /// ... and as many of them as are known one by one.
    pub spans: &'a [OutageSpan],
}

const LOSS: RGBColor = RGBColor(0xC0, 0x18, 0x2B);
const OUTAGE: RGBColor = RGBColor(0xFA, 0xDC, 0xDC);
const UNSENT: RGBColor = RGBColor(0x8A, 0x8A, 0x8A);
const STILL: RGBColor = RGBColor(0xE0, 0xE0, 0xE0);
/// Where the legend begins, with the height of what is above it.
const LEGEND: i32 = 480;
/// The row for what is written above an outage.
const LABELS: i32 = 260;
const CHART: i32 = 2300;
const GAP: i32 = 260;
const STRIP: i32 = 420;
/// What is marked is at least so wide and so high.
const VISIBLE: i32 = 25;
/// About the width of a letter in a label.
const LETTER: i32 = 80;
/// How much of its colour a band has.
const BAND: f64 = 0.25;
/// So many points or fewer have a dot each.
const DOTS: usize = 160;

/// What stands in one line of the legend.
enum Sample {
    Line(Look),
    Band(Look),
    Shade(RGBColor),
}

impl Course<'_> {
    /// The height of the panel, in units.
    pub(super) fn height(&self) -> u32 {
        let legend = i32::try_from(self.legend().len()).unwrap_or(0) * LEGEND_LINE;
        (LEGEND + legend + self.labels() + CHART + GAP + STRIP + 540 + 150).cast_unsigned()
    }

    fn labels(&self) -> i32 {
        if self.spans.is_empty() { 0 } else { LABELS }
    }

    /// What the marks mean, as far as there are any.
    fn legend(&self) -> Vec<(Sample, String)> {
        let total = self.timeline.total();
        let is_single = self.timeline.stretches().all(|(_, stretch)| stretch.rtt.len() < 2);
        let mut legend = vec![match is_single {
            true => (Sample::Line(look(0)), "rtt of each probe".to_owned()),
            false => {
                let length = short(self.timeline.length());
                (Sample::Band(look(0)), format!("rtt: least, mean and most of every {length}"))
            }
        }];
        if self.response_differs() {
            legend.push((Sample::Line(look(1)), "response, where it differs".to_owned()));
        }
        legend.push((Sample::Shade(LOSS), format!("{} of {} lost", total.lost, total.acknowledged + total.lost)));
        if let Some(longest) = self.spans.iter().max_by_key(|span| span.length) {
            let number = match self.outages {
                1 => "1 outage:".to_owned(),
                number => format!("{number} outages, the longest"),
            };
            let probes = longest.probes;
            legend.push((
                Sample::Shade(OUTAGE),
                format!("{number} {} ({probes} probes)", Self::when(longest, self.time().unit)),
            ));
        }
        let stood_still = self.timeline.stretches().any(|(_, stretch)| stretch.stood_still);
        if stood_still {
            legend.push((Sample::Shade(STILL), "this client stood still: that is not the path's doing".to_owned()));
        }
        if total.unsent > 0 {
            legend.push((Sample::Shade(UNSENT), format!("{} due, not sent", total.unsent)));
        }
        legend
    }

    fn response_differs(&self) -> bool {
        self.timeline.stretches().any(|(_, stretch)| differs(stretch))
    }

    /// The axis ends with the run, and with all that is known of it.
    fn time(&self) -> Time {
        let last = self.timeline.stretches().last().map(|(begin, _)| begin.saturating_add(self.timeline.length()));
        let end = self.length.max(last.unwrap_or_default());
        Time { end, unit: Unit::of(end) }
    }

    /// `at 2.010 s for 0.750 s`
    fn when(span: &OutageSpan, unit: Unit) -> String {
        format!("at {:.3} {} for {:.3} s", unit.count(span.begin), unit.name, span.length.as_secs_f64())
    }

    /// Draws it on a page of its [height](Self::height).
    pub(super) fn draw(&self, page: &Page<'_>) -> Result<(), Failure> {
        page.draw(&Text::new("over the time of the run", (LEFT, 80), text(210)))?;
        let mut y = LEGEND;
        for (sample, words) in self.legend() {
            let corners = [(LEFT, y - 70), (LEFT + 480, y + 70)];
            match sample {
                Sample::Shade(color) => page.draw(&bar(corners, &color))?,
                Sample::Band(Look(color, ..)) => page.draw(&bar(corners, &color.mix(BAND)))?,
                Sample::Line(_) => {}
            }
            if let Sample::Line(Look(color, width, dash, gap)) | Sample::Band(Look(color, width, dash, gap)) = sample {
                let line = [(LEFT, y), (LEFT + 480, y)].into_iter();
                page.draw(&DashedPathElement::new(line, dash, gap, color.stroke_width(width / 2)))?;
            }
            page.draw(&Text::new(words, (LEFT + 600, y - 75), text(175)))?;
            y += LEGEND_LINE;
        }
        let (top, time) = (y + self.labels(), self.time());
        let (above, strip) = page.split_vertically(top + CHART);
        self.draw_latency(&above, top, time)?;
        self.draw_losses(&strip, time)?;
        self.label_outages(page, top, time)
    }

    fn draw_latency(&self, page: &Page<'_>, top: i32, time: Time) -> Result<(), Failure> {
        let spreads = self.timeline.stretches().flat_map(|(_, stretch)| [stretch.rtt, stretch.response]);
        let extremes = spreads.filter_map(|spread| spread.figures()).flat_map(|[min, _, max]| [min, max]);
        let extremes: Vec<f64> = extremes.map(ms).collect();
        let mut chart = ChartBuilder::on(page)
            .margin_left(150)
            .margin_top(top)
            .margin_right(RIGHT)
            .y_label_area_size(LEFT - 150)
            .build_cartesian_2d(time.axis(), latency_axis(extremes.iter().copied()))?;
        self.shade(page, &chart.plotting_area().get_pixel_range().1, time)?;
        styled(&mut chart.configure_mesh()).y_desc("latency (ms)").y_label_formatter(&ToString::to_string).draw()?;
        let unit = time.unit;
        let Look(color, ..) = look(0);
        chart.draw_series(bands(self.timeline, unit).into_iter().map(|band| Polygon::new(band, color.mix(BAND))))?;
        let curves: [fn(&Stretch) -> Spread; 2] = [|at| at.rtt, |at| at.response];
        let [rtt, response] = curves.map(|spread| lines(self.timeline, unit, spread));
        let dotted = rtt.iter().map(Vec::len).sum::<usize>() <= DOTS;
        let response = where_they_differ(&rtt, response);
        // The dashed one comes last, so that both are seen.
        for (number, lines) in [rtt, response].into_iter().enumerate() {
            let Look(color, width, dash, gap) = look(number);
            for line in lines {
                if dotted || line.len() == 1 {
                    chart.draw_series(line.iter().map(|&point| Circle::new(point, 20 + width / 2, color.filled())))?;
                }
                chart.draw_series(DashedLineSeries::new(line, dash, gap, color.stroke_width(width / 2)))?;
            }
        }
        Ok(())
    }

    /// The share of the probes that were due in each stretch and were lost, or not sent.
    fn draw_losses(&self, page: &Page<'_>, time: Time) -> Result<(), Failure> {
        let decimals = time_ticks(time.unit.count(time.end)).1;
        let mut chart = ChartBuilder::on(page)
            .margin(150)
            .margin_top(GAP)
            .margin_right(RIGHT)
            .x_label_area_size(540)
            .y_label_area_size(LEFT - 150)
            .build_cartesian_2d(time.axis(), Linear { from: 0.0, to: 1.0, ticks: vec![0.0, 1.0] })?;
        self.shade(page, &chart.plotting_area().get_pixel_range().1, time)?;
        styled(&mut chart.configure_mesh())
            .x_desc(printable(&format!("time of the run ({}), from {}", time.unit.name, self.began)))
            .y_desc("lost")
            .x_label_formatter(&|x| format!("{x:.decimals$}"))
            .y_label_formatter(&|share| format!("{:.0}%", share * 100.0))
            .draw()?;
        let (screen, unit, length) = (page.use_screen_coord(), time.unit, self.timeline.length());
        let place = |x, share| chart.plotting_area().map_coordinate(&(x, share));
        for (begin, stretch) in self.timeline.stretches() {
            let [lost, gone] =
                [stretch.lost, stretch.lost + stretch.unsent].map(|count| count as f64 / stretch.due().max(1) as f64);
            let (from, to) = (unit.count(begin), unit.count(begin.saturating_add(length)));
            for (low, high, color) in [(0.0, lost, LOSS), (lost, gone, UNSENT)] {
                if high > low {
                    let ((left, bottom), (right, top)) = (place(from, low), place(to, high));
                    let corners = [(left, top.min(bottom - VISIBLE)), (right.max(left + VISIBLE), bottom)];
                    screen.draw(&bar(corners, &color))?;
                }
            }
        }
        Ok(())
    }

    /// Shades outages, and where this client stood still, between two heights of the page.
    fn shade(&self, page: &Page<'_>, rows: &Range<i32>, time: Time) -> Result<(), Failure> {
        let still = self.timeline.stretches().filter(|(_, stretch)| stretch.stood_still);
        let still = still.map(|(begin, _)| (begin, self.timeline.length(), STILL));
        let outages = self.spans.iter().map(|span| (span.begin, span.length, OUTAGE));
        for (begin, length, color) in outages.chain(still) {
            let (left, right) = (time.column(begin), time.column(begin.saturating_add(length)));
            page.use_screen_coord().draw(&bar([(left, rows.start), (right.max(left + VISIBLE), rows.end)], &color))?;
        }
        Ok(())
    }

    /// Writes above the longest ones what they are, as many as there is room for.
    fn label_outages(&self, page: &Page<'_>, top: i32, time: Time) -> Result<(), Failure> {
        let mut longest: Vec<&OutageSpan> = self.spans.iter().collect();
        longest.sort_by_key(|span| std::cmp::Reverse(span.length));
        let mut taken: Vec<(i32, i32)> = Vec::new();
        for span in longest {
            let words = Self::when(span, time.unit);
            let half = i32::try_from(words.chars().count()).unwrap_or(0) * LETTER / 2;
            let middle = time.column(span.begin.saturating_add(span.length / 2));
            let middle = middle.min(WIDTH.cast_signed() - half - 100).max(LEFT + half);
            if taken.iter().any(|&(left, right)| middle - half < right && left < middle + half) {
                continue;
            }
            taken.push((middle - half, middle + half));
            let style = text(150).color(&LOSS).pos(Pos::new(HPos::Center, VPos::Bottom));
            page.draw(&Text::new(words, (middle, top - 60), style))?;
        }
        Ok(())
    }
}

/// The axis of time.
#[derive(Clone, Copy)]
struct Time {
    end: Duration,
    unit: Unit,
}

impl Time {
    /// With a little room at both ends.
    fn axis(self) -> Linear {
        let end = self.unit.count(self.end).max(f64::MIN_POSITIVE);
        Linear { from: -0.01 * end, to: 1.01 * end, ticks: time_ticks(end).0 }
    }

    /// Where a point in time is on the page.
    fn column(self, at: Duration) -> i32 {
        self.axis().map(&self.unit.count(at.min(self.end)), (LEFT, WIDTH.cast_signed() - RIGHT))
    }
}

fn bar(corners: [(i32, i32); 2], color: &impl Color) -> Rectangle<(i32, i32)> {
    Rectangle::new(corners, color.filled())
}

/// `1.024 µs`, `2.097 ms`, `8.590 s`
fn short(length: Duration) -> String {
    let seconds = length.as_secs_f64();
    let units = [(1e-3, 1e6, "µs"), (1.0, 1e3, "ms")];
    let (_, factor, name) = units.into_iter().find(|(below, ..)| seconds < *below).unwrap_or((0.0, 1.0, "s"));
    format!("{:.3} {name}", seconds * factor)
}

#[cfg(test)]
mod tests;
