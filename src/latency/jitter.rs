//! Jitter as RFC 3550 (section 6.4.1) has it: how much a time differs from the one before, smoothed over sixteen.

use std::time::Duration;

/// The jitter of a series of times.
#[derive(Clone, Copy, Debug, Default)]
pub struct Jitter {
    last: Option<Duration>,
    /// In ns; `None` below two samples.
    smoothed: Option<f64>,
}

impl Jitter {
    /// Adds the next one.
    #[inline]
    pub fn record(&mut self, sample: Duration) {
        if let Some(last) = self.last.replace(sample) {
            #[allow(clippy::cast_precision_loss)] // beyond three months it is a matter of nanoseconds
            let difference = sample.abs_diff(last).as_nanos() as f64;
            let smoothed = self.smoothed.unwrap_or(0.0);
            self.smoothed = Some(smoothed + (difference - smoothed) / 16.0);
        }
    }

    /// The jitter so far; `None` below two samples.
    pub fn get(&self) -> Option<Duration> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // it saturates, and is never negative
        self.smoothed.map(|smoothed| Duration::from_nanos(smoothed.round() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(samples: &[u64]) -> Option<u64> {
        let mut jitter = Jitter::default();
        samples.iter().for_each(|&us| jitter.record(Duration::from_micros(us)));
        jitter.get().and_then(|jitter| u64::try_from(jitter.as_nanos()).ok())
    }

    #[test]
    fn it_is_the_smoothed_difference_from_one_to_the_next() {
        assert_eq!((of(&[]), of(&[50]), of(&[50, 50]), of(&[50, 66])), (None, None, Some(0), Some(1000)));
        // 16 µs: 1 µs; 0 more: 1 - 1/16; 32 less: 0.9375 + (32 - 0.9375) / 16.
        assert_eq!((of(&[50, 66, 66]), of(&[50, 66, 66, 34])), (Some(938), Some(2879)));
    }
}
