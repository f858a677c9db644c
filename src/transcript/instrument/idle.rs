//! The answer of a search for the idle timeout, rounded outwards.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::transcript::json::Object;
use crate::transcript::{Stamp, push_line};
use crate::wire::Protocol;

/// What ended a silent flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The server said so first.
    Announced,
    /// The connection was closed, the datagram refused.
    Closed,
    /// The connection was reset.
    Reset,
    /// Nothing came back any more.
    Silent,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Announced => "announced",
            Cause::Closed => "closed",
            Cause::Reset => "reset",
            Cause::Silent => "silent",
        })
    }
}

/// What became of the silences that were tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// All were survived.
    None,
    /// So long a one was not, and what ended it.
    Cut(Duration, Cause),
    /// The path itself broke, so long after the search began.
    Broken(Duration),
}

impl Idle {
    pub(super) fn text(self, protocol: Protocol, survived: Duration, out: &mut String) {
        match self {
            Idle::None => {
                // Short of a tenth, tenths would say nothing.
                let shown = match survived.as_millis() {
                    ..100 => survived.as_secs_f64().to_string(),
                    _ => tenths_below(survived),
                };
                push_line!(out, "no idle timeout up to {} s", shown.strip_suffix(".0").unwrap_or(&shown));
            }
            Idle::Cut(cut, cause) => {
                let (from, to) = (tenths_below(survived), tenths_above(cut));
                let cause = match cause {
                    Cause::Announced => "announced by the server",
                    Cause::Closed => "closed",
                    Cause::Reset => "reset",
                    Cause::Silent => "silent",
                };
                push_line!(out, "{protocol} idle timeout between {from} and {to} s: {cause}");
            }
            Idle::Broken(after) => push_line!(out, "the path broke after {:.1} s", after.as_secs_f64()),
        }
    }

    pub(super) fn json(
        self,
        protocol: Protocol,
        peer: SocketAddr,
        survived: Duration,
        stamp: &Stamp,
        out: &mut String,
    ) {
        let (cut, cause) = match self {
            Idle::None => (None, "none".to_owned()),
            Idle::Cut(cut, cause) => (Some(micros_above(cut)), cause.to_string()),
            Idle::Broken(_) => (None, "broken".to_owned()),
        };
        let object = Object::event(out, stamp, "idle").protocol(protocol).address("address", peer);
        let object = object.value("survived_s", micros_below(survived));
        object.value("cut_s", cut.as_deref().unwrap_or("null")).string("cause", &cause).end_line();
    }
}

/// Seconds to a tenth that is not above.
fn tenths_below(time: Duration) -> String {
    let tenths = time.as_millis() / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Seconds to a tenth that is not below.
fn tenths_above(time: Duration) -> String {
    let tenths = time.as_nanos().div_ceil(100_000_000);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Seconds to a microsecond that is not above.
fn micros_below(time: Duration) -> String {
    format!("{}.{:06}", time.as_secs(), time.subsec_micros())
}

/// Seconds to a microsecond that is not below.
fn micros_above(time: Duration) -> String {
    micros_below(time.saturating_add(Duration::from_nanos(999)))
}
