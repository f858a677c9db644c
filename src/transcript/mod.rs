//! The transcript: every event, and every sentence that people read about it, in English, Chinese and JSON.
//!
//! An event is a value ([`server::Event`], [`client::Event`]); [`Render`] turns it into whole lines. Everything that
//! came from outside passes [`escape`] on its way, so one event is always the lines it should be.

pub mod address;
pub mod client;
pub mod framing;
pub mod instrument;
pub mod journal;
pub mod json;
pub mod locale;
pub mod metrics;
pub mod server;
pub mod stamp;
pub mod stats;

use std::fmt::{self, Display};

use crate::escape;
use crate::wire::{Framing, Message, Probe, Protocol};
use json::Object;
pub use locale::{Charset, Lang};
pub use stamp::Stamp;

/// For whom the transcript is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Sentences, for people.
    #[default]
    Text,
    /// One JSON object a line, for programs; the language has no say in it.
    Json,
}

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// For people or for programs.
    pub format: Format,
    /// The language for people.
    pub lang: Lang,
    /// What may be written as it is.
    pub charset: Charset,
}

/// What can be written into a transcript.
pub trait Render {
    /// Appends the event to `out`: no line, or whole ones, each with its `\n`.
    ///
    /// `stamp` is the time of the turn; text does not ask for it.
    fn render(&self, style: Style, stamp: &Stamp, out: &mut String);
}

/// The line that stands for `lines` lines that were dropped, with its `\n`.
#[must_use]
pub fn gap(style: Style, lines: u64) -> String {
    match style.format {
        Format::Text if style.charset == Charset::Ascii => format!("lines dropped: {lines}\n"),
        Format::Text => format!("… lines dropped: {lines}\n"),
        Format::Json => {
            let mut out = String::new();
            Object::event(&mut out, &Stamp::new(), "lines-dropped").value("count", lines).end_line();
            out
        }
    }
}

/// The framing that a message was cut by, if any.
fn cut_by(protocol: Protocol, framing: Framing) -> Option<Framing> {
    match protocol {
        Protocol::Tcp => Some(framing),
        Protocol::Udp => None,
    }
}

/// The part of a message that is shown. Without a framing (`None`: a datagram) and in `bytes` a newline at the end is
/// most likely the sender's Enter, which says nothing.
fn visible(framing: Option<Framing>, message: &[u8]) -> &[u8] {
    match framing {
        None | Some(Framing::Bytes) => message.strip_suffix(b"\n").unwrap_or(message),
        Some(Framing::Lines | Framing::Length) => message,
    }
}

/// Appends the text of a message and ends the line.
fn push_message(out: &mut String, framing: Option<Framing>, message: Message<'_>) {
    escape::shown_of(visible(framing, message.text), message.len).push_to(out);
    out.push('\n');
}

/// What is shown of a datagram that is a probe: its bytes are numbers, most of them nobody's business.
struct ProbeText {
    seq: u64,
    bytes: usize,
}

impl ProbeText {
    fn of(datagram: &[u8]) -> Option<ProbeText> {
        Probe::parse(datagram).map(|probe| ProbeText { seq: probe.seq, bytes: datagram.len() })
    }
}

impl Display for ProbeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "probe {} ({} bytes)", self.seq, self.bytes)
    }
}

/// Appends formatted text to a `String`, which takes everything.
macro_rules! push {
    ($out:expr, $($text:tt)*) => {{
        use std::fmt::Write as _;
        let _ = std::write!($out, $($text)*);
    }};
}
use push;

/// Appends one formatted line.
macro_rules! push_line {
    ($out:expr, $($text:tt)*) => {{
        use std::fmt::Write as _;
        let _ = std::writeln!($out, $($text)*);
    }};
}
use push_line;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_gap_names_the_lines_that_are_missing() {
        for lang in [Lang::En, Lang::Zh] {
            let style = Style { lang, ..Style::default() };
            assert_eq!(gap(style, 123), "… lines dropped: 123\n");
            assert_eq!(gap(Style { charset: Charset::Ascii, ..style }, 123), "lines dropped: 123\n");
        }
        let format = Format::Json;
        let line = gap(Style { format, ..Style::default() }, 123);
        let value: serde_json::Value = serde_json::from_str(line.strip_suffix('\n').unwrap()).unwrap();
        assert_eq!(value["event"], "lines-dropped");
        assert_eq!(value["count"], 123);
        assert!(value["time"].is_string());
    }

    #[test]
    fn one_newline_at_the_end_is_not_shown_where_it_is_not_framing() {
        let table = [
            (None, "a\n\n", "a\\n\n"),
            (None, "\n", "\n"),
            (Some(Framing::Bytes), "a\r\n", "a\\r\n"),
            (Some(Framing::Lines), "a\n", "a\\n\n"),
            (Some(Framing::Length), "a\n", "a\\n\n"),
        ];
        for (framing, message, line) in table {
            let mut out = String::new();
            push_message(&mut out, framing, message.as_bytes().into());
            assert_eq!(out, line, "{framing:?} {message:?}");
        }
    }

    #[test]
    fn a_cut_names_the_length_of_the_whole_message() {
        let message = "x".repeat(2000) + "\n";
        let mut out = String::new();
        push_message(&mut out, None, message.as_bytes().into());
        assert_eq!(out, "x".repeat(1024) + "… (2001 bytes)\n");
    }
}
