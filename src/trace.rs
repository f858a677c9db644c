//! A turn, told while it happens: `--trace`.
//!
//! The lines go by the `log` facade under a target of their own, so one comparison is all they cost where nobody wants
//! them. What stands at the left margin is a turn, below it who is served, below that what it led to:
//!
//! ```text
//! turn 17: slept 2.314 s, 1 event
//!   127.0.0.1:35130 (slot 0, generation 1) readable
//!     read 6 of 65536 bytes, a short read: it is drained
//!     1 message; owed 1 ACK
//!     sent 3 bytes
//!   swept 0, reaped 0, printed 1 line; next deadline in 30.000 s
//! ```

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use log::{Level, LevelFilter};

/// The target of the lines.
pub const TARGET: &str = "turn";

/// Whether anybody wants to know. No means one comparison.
#[inline(always)]
pub fn is_on() -> bool {
    log::max_level() == LevelFilter::Trace && is_wanted()
}

/// Whether these lines are what is wanted of all there is.
#[cold]
#[inline(never)]
fn is_wanted() -> bool {
    log::log_enabled!(target: TARGET, Level::Trace)
}

/// Tells a line of the trace, where anybody wants to know. What its words cost is paid then only.
macro_rules! trace {
    ($($words:tt)+) => {
        if $crate::trace::is_on() {
            log::trace!(target: $crate::trace::TARGET, $($words)+);
        }
    };
}
pub(crate) use trace;

/// `1 byte`, `2 bytes`.
pub struct Counted(pub usize, pub &'static str);

impl Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counted(count, what) = self;
        write!(f, "{count} {what}{}", if *count == 1 { "" } else { "s" })
    }
}

/// When the next wait ends by itself.
pub struct NextDeadline(pub Option<Instant>);

impl Display for NextDeadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            None => f.write_str("no deadline"),
            Some(Duration::ZERO) => f.write_str("next deadline now"),
            Some(left) => write!(f, "next deadline in {:.3} s", left.as_secs_f64()),
        }
    }
}
