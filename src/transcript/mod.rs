//! The transcript: every event, and every sentence that people read about it, in English, Chinese and JSON.
//!
//! An event is a value ([`server::Event`], [`client::Event`]); [`Render`] turns it into whole lines. Everything that
//! came from outside passes [`escape`] on its way, so one event is always the lines it should be.

pub mod address;
pub mod client;
pub mod instrument;
pub mod journal;
pub mod json;
pub mod server;
pub mod stamp;
pub mod stats;

use std::ffi::OsString;
use std::fmt::{self, Display};

use crate::escape;
use crate::wire::{Framing, Message, Probe};
use json::Object;
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

/// The language of the sentences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Chinese.
    Zh,
}

impl Lang {
    /// The language the environment asks for: the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is not empty decides.
    #[must_use]
    pub fn auto(get: impl Fn(&str) -> Option<OsString>) -> Lang {
        let wish = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(get).find(|value| !value.is_empty());
        match wish {
            Some(value) if value.as_encoded_bytes().starts_with(b"zh") => Lang::Zh,
            _ => Lang::En,
        }
    }
}

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// For people or for programs.
    pub format: Format,
    /// The language for people.
    pub lang: Lang,
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
        Format::Text => format!("… lines dropped: {lines}\n"),
        Format::Json => {
            let mut out = String::new();
            Object::event(&mut out, &Stamp::new(), "lines-dropped").value("count", lines).end_line();
            out
        }
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
    fn the_first_variable_that_is_not_empty_chooses_the_language() {
        let lang = |all: &str, messages: &str, lang: &str| {
            Lang::auto(|name| {
                let value = match name {
                    "LC_ALL" => all,
                    "LC_MESSAGES" => messages,
                    "LANG" => lang,
                    _ => panic!("asked for {name}"),
                };
                (value != "unset").then(|| value.into())
            })
        };
        assert_eq!(lang("unset", "unset", "unset"), Lang::En);
        assert_eq!(lang("unset", "unset", "zh_CN.UTF-8"), Lang::Zh);
        assert_eq!(lang("", "", "zh"), Lang::Zh);
        assert_eq!(lang("", "zh_TW", "en_GB.UTF-8"), Lang::Zh);
        assert_eq!(lang("C.UTF-8", "zh_CN", "zh_CN"), Lang::En);
        assert_eq!(lang("unset", "en_GB", "zh_CN"), Lang::En);
    }

    #[test]
    fn a_gap_names_the_lines_that_are_missing() {
        for lang in [Lang::En, Lang::Zh] {
            let format = Format::Text;
            assert_eq!(gap(Style { format, lang }, 123), "… lines dropped: 123\n");
        }
        let format = Format::Json;
        let line = gap(Style { format, lang: Lang::En }, 123);
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
