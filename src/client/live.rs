//! The live line on stderr, where a person watches: when it is written anew.

use std::time::{Duration, Instant};

use super::stage::Stage;

/// It is written anew so often.
pub const EVERY: Duration = Duration::from_millis(500);

/// When it is due, where stderr is a terminal.
#[derive(Clone, Copy, Debug)]
pub struct Live(Option<Instant>);

impl Live {
    /// One that is due for the first time `after` so long.
    pub fn new(stage: &Stage, after: Duration) -> Live {
        Live(stage.is_terminal_err().then(|| Instant::now() + after))
    }

    /// Whether anybody watches.
    pub fn is_watched(&self) -> bool {
        self.0.is_some()
    }

    /// When it is due.
    pub fn due(&self) -> Option<Instant> {
        self.0
    }

    /// Whether it is to be shown now; then it is due again in a while.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.0.is_some_and(|due| due <= now);
        if is_due {
            self.0 = Some(now + EVERY);
        }
        is_due
    }
}
