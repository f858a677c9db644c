//! Latency over the time of a run, as lines and bands.

use std::time::Duration;

use super::axes::{Unit, milliseconds};
use crate::latency::{Spread, Stretch, Timeline, nanoseconds};

/// Where the response takes so much longer than the round trip, that is seen.
const DIFFERS: f64 = 1.1;

/// A line of a chart, point by point.
type Line = Vec<(f64, f64)>;
type Lines = Vec<Line>;

/// From the least to the most, by stretches that follow each other.
pub(super) fn bands(timeline: &Timeline, unit: Unit) -> Lines {
    let length = timeline.length();
    let mut bands: Vec<(Duration, Line, Line)> = Vec::new();
    for (begin, stretch) in timeline.stretches() {
        let Some([min, _, max]) = stretch.rtt.figures() else { continue };
        if bands.last().is_none_or(|(end, ..)| *end != begin) {
            bands.push((begin, Vec::new(), Vec::new()));
        }
        let Some((end, low, high)) = bands.last_mut() else { continue };
        *end = begin.saturating_add(length);
        for x in [begin, *end] {
            low.push((unit.count(x), ms(min)));
            high.push((unit.count(x), ms(max)));
        }
    }
    // What is as thin as a line is one.
    bands.retain(|(_, low, high)| low != high);
    let round = |(_, low, high): (_, Line, Line)| low.into_iter().chain(high.into_iter().rev()).collect();
    bands.into_iter().map(round).collect()
}

/// The means, interrupted where anything was lost or not sent.
pub(super) fn lines(timeline: &Timeline, unit: Unit, spread: fn(&Stretch) -> Spread) -> Lines {
    let middle = timeline.length() / 2;
    let mut lines: Lines = vec![Vec::new()];
    for (begin, stretch) in timeline.stretches() {
        let Some([_, mean, _]) = spread(stretch).figures() else {
            lines.push(Vec::new());
            continue;
        };
        if let Some(line) = lines.last_mut() {
            line.push((unit.count(begin.saturating_add(middle)), ms(mean)));
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// Whether the response of a stretch is to be seen beside its round trip.
pub(super) fn differs(stretch: &Stretch) -> bool {
    let mean = |spread: Spread| spread.figures().map(|[_, mean, _]| ms(mean));
    mean(stretch.rtt).zip(mean(stretch.response)).is_some_and(|(rtt, response)| response > rtt * DIFFERS)
}

/// Of the lines of the response the parts that are to be seen beside those of the round trip, with the way there and back.
pub(super) fn where_they_differ(rtt: &Lines, response: Lines) -> Lines {
    let mut parts = Vec::new();
    for (rtt, response) in rtt.iter().zip(response) {
        let differs: Vec<bool> =
            rtt.iter().zip(&response).map(|(rtt, response)| response.1 > rtt.1 * DIFFERS).collect();
        let mut part = Vec::new();
        for (number, point) in response.into_iter().enumerate() {
            if differs[number.saturating_sub(1)..differs.len().min(number + 2)].contains(&true) {
                part.push(point);
            } else {
                parts.push(std::mem::take(&mut part));
            }
        }
        parts.push(part);
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// As the chart has it.
pub(super) fn ms(time: Duration) -> f64 {
    milliseconds(nanoseconds(time))
}
