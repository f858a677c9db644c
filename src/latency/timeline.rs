//! A run over its time, in bounded memory: latency, losses, and what was not sent, by stretches of equal length.
//!
//! The stretches are short at first. When the run outgrows them, each two become one of twice the length, so the picture
//! of an hour is as fine as that of a second, and nothing is ever left out.

use std::time::Duration;

use super::nanoseconds;

/// Stretches at most: about as many as a picture is wide in pixels.
const MOST: usize = 1024;
/// The first ones last 2^10 ns, a microsecond.
const FINEST: u32 = 10;

/// Times of one kind: how many, and how they are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    count: u64,
    /// All of them added up, in ns.
    sum: u64,
    min: u64,
    max: u64,
}

impl Spread {
    fn record(&mut self, time: Duration) {
        let ns = nanoseconds(time);
        self.merge(Spread { count: 1, sum: ns, min: ns, max: ns });
    }

    fn merge(&mut self, other: Spread) {
        *self = match (self.count, other.count) {
            (_, 0) => return,
            (0, _) => other,
            _ => Spread {
                count: self.count + other.count,
                sum: self.sum.saturating_add(other.sum),
                min: self.min.min(other.min),
                max: self.max.max(other.max),
            },
        };
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The shortest, the mean and the longest; `None` where there is none.
    #[must_use]
    pub fn figures(&self) -> Option<[Duration; 3]> {
        let mean = self.sum.checked_div(self.count)?;
        Some([self.min, mean, self.max].map(Duration::from_nanos))
    }
}

/// What became of the probes that were due in one stretch of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// Acknowledged in time, also those whose times are not known.
    pub acknowledged: u64,
    /// Lost.
    pub lost: u64,
    /// Due and not sent.
    pub unsent: u64,
    /// From the sending to the acknowledgement.
    pub rtt: Spread,
    /// From the moment a probe was due.
    pub response: Spread,
    /// Whether the client itself stood still, for a part of it at least.
    pub stood_still: bool,
}

impl Stretch {
    /// Probes that were due in it and whose fate is known.
    #[must_use]
    pub fn due(&self) -> u64 {
        self.acknowledged + self.lost + self.unsent
    }

    fn merge(&mut self, other: &Stretch) {
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.unsent += other.unsent;
        self.rtt.merge(other.rtt);
        self.response.merge(other.response);
        self.stood_still |= other.stood_still;
    }
}

/// A run over its time. It takes 112 KiB, however long the run is.
#[derive(Clone, Debug)]
pub struct Timeline {
    stretches: Vec<Stretch>,
    /// One lasts 2^shift ns.
    shift: u32,
}

impl Timeline {
    /// Nothing has happened yet; allocates all it will ever need.
    #[must_use]
    pub fn new() -> Timeline {
        Timeline { stretches: vec![Stretch::default(); MOST], shift: FINEST }
    }

    /// A probe that was due so long after the beginning was acknowledged in time, with these times (`rtt`, `response`)
    /// where they are known.
    pub fn acknowledge(&mut self, due: Duration, times: Option<(Duration, Duration)>) {
        let stretch = self.at(due);
        stretch.acknowledged += 1;
        if let Some((rtt, response)) = times {
            stretch.rtt.record(rtt);
            stretch.response.record(response);
        }
    }

    /// A probe that was due then was lost.
    pub fn lose(&mut self, due: Duration) {
        self.at(due).lost += 1;
    }

    /// A probe that was due then was not sent.
    pub fn skip(&mut self, due: Duration) {
        self.at(due).unsent += 1;
    }

    /// The client stood still from `begin` to `end`, and did not send so many that were due, evenly, meanwhile.
    pub fn stand_still(&mut self, begin: Duration, end: Duration, unsent: u64) {
        let last = self.place(end.max(begin));
        let first = self.place(begin);
        let span = &mut self.stretches[first..=last];
        let share = |number: usize| u128::from(unsent) * number as u128 / (last - first + 1) as u128;
        for (number, stretch) in span.iter_mut().enumerate() {
            stretch.stood_still = true;
            stretch.unsent += u64::try_from(share(number + 1) - share(number)).unwrap_or(0);
        }
    }

    /// How long one stretch is.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::from_nanos(1 << self.shift)
    }

    /// The stretches in which anything happened, each with its beginning, in their order.
    pub fn stretches(&self) -> impl Iterator<Item = (Duration, &Stretch)> {
        let begin = |number: usize| Duration::from_nanos((number as u64) << self.shift);
        let all = self.stretches.iter().enumerate().map(move |(number, stretch)| (begin(number), stretch));
        all.filter(|(_, stretch)| stretch.due() > 0 || stretch.stood_still)
    }

    /// The whole run as one stretch.
    #[must_use]
    pub fn total(&self) -> Stretch {
        let mut total = Stretch::default();
        self.stretches.iter().for_each(|stretch| total.merge(stretch));
        total
    }

    #[inline]
    fn at(&mut self, due: Duration) -> &mut Stretch {
        let place = self.place(due);
        &mut self.stretches[place]
    }

    /// Where a point in time lies, once there is a place for it.
    #[inline]
    fn place(&mut self, at: Duration) -> usize {
        let ns = nanoseconds(at);
        loop {
            match usize::try_from(ns >> self.shift) {
                Ok(place) if place < MOST => return place,
                _ => self.halve(),
            }
        }
    }

    /// Each two become one, of twice the length.
    fn halve(&mut self) {
        for number in 0..MOST / 2 {
            let mut both = self.stretches[2 * number];
            both.merge(&self.stretches[2 * number + 1]);
            self.stretches[number] = both;
        }
        self.stretches[MOST / 2..].fill(Stretch::default());
        self.shift += 1;
    }
}

impl Default for Timeline {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
