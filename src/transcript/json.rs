//! JSON that is safe on a terminal too: what [`is_safe`] refuses is written as `\uXXXX`.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use super::address::Address;
use super::{Stamp, push};
use crate::escape::{self, is_safe};
use crate::wire::Protocol;

/// One object under construction, written straight into a `String`.
///
/// Keys are our own words and need no quoting. The object is complete after [`end`](Object::end) or
/// [`end_line`](Object::end_line).
#[derive(Debug)]
#[must_use = "an object that is not ended is not JSON"]
pub struct Object<'o> {
    out: &'o mut String,
    separator: &'static str,
}

impl<'o> Object<'o> {
    /// Begins an event: its `time` and its name come first.
    pub fn event(out: &'o mut String, stamp: &Stamp, event: &'static str) -> Object<'o> {
        Object::begin(out).word("time", stamp.as_str()).word("event", event)
    }

    fn begin(out: &'o mut String) -> Object<'o> {
        out.push('{');
        Object { out, separator: "" }
    }

    fn key(&mut self, key: &'static str) {
        for part in [self.separator, "\"", key, "\":"] {
            self.out.push_str(part);
        }
        self.separator = ",";
    }

    /// A text that needs no quoting: one of our own words.
    fn word(mut self, key: &'static str, word: &str) -> Self {
        self.key(key);
        for part in ["\"", word, "\""] {
            self.out.push_str(part);
        }
        self
    }

    /// A text.
    pub fn string(mut self, key: &'static str, text: &str) -> Self {
        self.key(key);
        self.out.push('"');
        push_quoted(self.out, text);
        self.out.push('"');
        self
    }

    /// What came from outside: at most its first [`escape::SHOWN`] bytes, with U+FFFD for what is not UTF-8.
    pub fn outside(mut self, key: &'static str, bytes: &[u8]) -> Self {
        self.key(key);
        self.out.push('"');
        for chunk in escape::first(bytes).utf8_chunks() {
            push_quoted(self.out, chunk.valid());
            if !chunk.invalid().is_empty() {
                self.out.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.out.push('"');
        self
    }

    /// A socket address, `IP:PORT`.
    pub fn address(mut self, key: &'static str, address: SocketAddr) -> Self {
        self.key(key);
        self.out.push('"');
        Address::new(address).push_to(self.out);
        self.out.push('"');
        self
    }

    /// The client, and the proxy that speaks for it, if there is one.
    pub fn client(self, peer: SocketAddr, via: Option<SocketAddr>) -> Self {
        let object = self.address("peer", peer);
        match via {
            Some(proxy) => object.address("via", proxy),
            None => object,
        }
    }

    /// The `protocol`.
    pub fn protocol(self, protocol: Protocol) -> Self {
        self.word(
            "protocol",
            match protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
            },
        )
    }

    /// A duration in seconds, to the microsecond.
    pub fn seconds(self, key: &'static str, duration: Duration) -> Self {
        self.value(key, format_args!("{:.6}", duration.as_secs_f64()))
    }

    /// What is written in JSON as it is displayed: a number, `null`, `true`.
    pub fn value(mut self, key: &'static str, value: impl Display) -> Self {
        self.key(key);
        push!(self.out, "{value}");
        self
    }

    /// An object within this one.
    pub fn object(mut self, key: &'static str, fill: impl FnOnce(Object<'_>) -> Object<'_>) -> Self {
        self.key(key);
        fill(Object::begin(self.out)).end();
        self
    }

    /// A list of objects, one for each item.
    pub fn list<T>(
        mut self,
        key: &'static str,
        items: &[T],
        fill: impl for<'i> Fn(Object<'i>, &T) -> Object<'i>,
    ) -> Self {
        self.key(key);
        self.out.push('[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            fill(Object::begin(self.out), item).end();
        }
        self.out.push(']');
        self
    }

    /// Closes the object.
    pub fn end(self) {
        self.out.push('}');
    }

    /// Closes the object and its line.
    pub fn end_line(self) {
        self.out.push_str("}\n");
    }
}

fn push_quoted(out: &mut String, text: &str) {
    let stands = |character| is_safe(character) && character != '"';
    let mut written = 0;
    for (at, character) in text.char_indices() {
        if stands(character) {
            continue;
        }
        out.push_str(&text[written..at]);
        written = at + character.len_utf8();
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    push!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push_str(&text[written..]);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn written(fill: impl FnOnce(Object<'_>) -> Object<'_>) -> String {
        let mut out = String::new();
        fill(Object::begin(&mut out)).end();
        out
    }

    /// The text of `bytes` as a JSON parser reads it, after a look at what a terminal would see.
    fn read_back(bytes: &[u8]) -> String {
        let line = written(|object| object.outside("text", bytes));
        assert!(line.chars().all(|c| c == '\\' || is_safe(c)), "{line:?}");
        let value: Value = serde_json::from_str(&line).unwrap();
        value["text"].as_str().unwrap().to_owned()
    }

    #[test]
    fn every_character_reads_back_and_none_is_unsafe() {
        let all: Vec<char> = ('\0'..=char::MAX).collect();
        for some in all.chunks(256) {
            let text: String = some.iter().collect();
            assert_eq!(read_back(text.as_bytes()), text);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_read_back_as_their_lossy_text(bytes: Vec<u8>) {
            prop_assert_eq!(read_back(&bytes), String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn unsafe_characters_are_spelled_in_utf_16() {
        let line = written(|object| object.string("text", "\u{9b}\u{202e}\u{e0041}\x1b\x7f\"\\\n字"));
        assert_eq!(line, r#"{"text":"\u009b\u202e\udb40\udc41\u001b\u007f\"\\\n字"}"#);
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(read_back(&[b'x'; 3000]).len(), 1024);
        assert_eq!(read_back("字".repeat(3000).as_bytes()).len(), 1023);
    }

    #[test]
    fn objects_and_lists_nest() {
        let line = written(|object| {
            object
                .value("n", 1.5)
                .object("empty", |inner| inner)
                .object("full", |inner| inner.value("a", "null").value("b", true))
                .list("none", &[0; 0], |inner, n| inner.value("n", n))
                .list("some", &[1, 2], |inner, n| inner.value("n", n))
                .address("peer", "[::ffff:1.2.3.4]:5".parse().unwrap())
        });
        let expected = json!({
            "n": 1.5, "empty": {}, "full": {"a": null, "b": true},
            "none": [], "some": [{"n": 1}, {"n": 2}], "peer": "1.2.3.4:5",
        });
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), expected);
    }
}
