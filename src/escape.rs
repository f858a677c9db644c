//! Outside bytes made safe to print, reversibly.
//!
//! Whatever a peer, a resolver or an operator sent goes through here before a person sees it: it can
//! neither move the cursor, nor forge a line, nor hide or reorder what stands beside it.

use std::fmt::{self, Write};
use std::io;

/// How many bytes of one text are shown at most.
pub const SHOWN: usize = 1024;

/// All of `bytes`, safe to print. [`unescape`] gives the bytes back.
///
/// Printable Unicode stands as it is. The rest becomes `\n`, `\r`, `\t`, `\\`, `\xhh` for a byte that is
/// not UTF-8, or `\u{hhhh}`.
#[must_use]
pub fn escape(bytes: &[u8]) -> Escaped<'_> {
    Escaped { bytes, cut: None }
}

/// The first [`SHOWN`] bytes of `bytes`, safe to print; where that is not all, `… (N bytes)` follows.
///
/// A valid character is never split: one that the limit would cut is left out.
#[must_use]
pub fn shown(bytes: &[u8]) -> Escaped<'_> {
    shown_of(bytes, bytes.len())
}

/// As [`shown`], for a text that belongs to a message of `total` bytes: that is the number named behind a cut.
#[must_use]
pub fn shown_of(bytes: &[u8], total: usize) -> Escaped<'_> {
    let head = first(bytes);
    let cut = (head.len() < bytes.len()).then_some(total);
    Escaped { bytes: head, cut }
}

/// At most the first [`SHOWN`] bytes of `bytes`, raw, without splitting a valid character.
#[must_use]
pub fn first(bytes: &[u8]) -> &[u8] {
    if bytes.len() <= SHOWN {
        return bytes;
    }
    let is_continuation = |&at: &usize| bytes[at] & 0xc0 == 0x80;
    let last = (SHOWN - 3..SHOWN).rev().find(|at| !is_continuation(at));
    let crosses = |&at: &usize| {
        let end = bytes.len().min(at + 4);
        let character = bytes[at..end].utf8_chunks().next();
        let character = character.and_then(|chunk| chunk.valid().chars().next());
        character.is_some_and(|character| at + character.len_utf8() > SHOWN)
    };
    &bytes[..last.filter(crosses).unwrap_or(SHOWN)]
}

/// What an error says to people: safe to print, without the ` (os error N)` that the standard library adds.
#[must_use]
pub fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    let said = match text.rfind(" (os error ") {
        Some(end) if text.ends_with(')') => &text[..end],
        _ => &text,
    };
    escape(said.as_bytes()).to_string()
}

/// A sentence whose parts from outside were [escaped](escape) as they were put in. Whatever else in it is unsafe is
/// escaped now; not once more a backslash, which begins an escape, nor the ellipsis, which marks a [cut](shown).
#[must_use]
pub fn sentence(text: &str) -> String {
    const OURS: [char; 2] = ['\\', '…'];
    let mut safe = String::with_capacity(text.len());
    for part in text.split_inclusive(OURS) {
        let rest = part.trim_end_matches(OURS);
        escape(rest.as_bytes()).push_to(&mut safe);
        safe.push_str(&part[rest.len()..]);
    }
    safe
}

/// Whether [`escape`] leaves `character` as it is.
///
/// It does not for the backslash, for controls, for everything of the general category Cf (bidirectional controls among
/// them), for line and paragraph separators, for what is invisible by default, and for noncharacters; nor for the
/// ellipsis, so that the mark of a cut ([`shown`]) is always ours.
#[must_use]
pub const fn is_safe(character: char) -> bool {
    if character.is_ascii() {
        return is_plain(character as u8);
    }
    !matches!(character,
        '\u{80}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}'
        | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2026}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    ) && character as u32 & 0xfffe != 0xfffe
}

/// The bytes that [`escape`] made `text` from, or `None` where it cannot have made it.
#[must_use]
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            is_safe(character).then(|| push(&mut bytes, character))?;
            continue;
        }
        match rest.next()? {
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            '\\' => bytes.push(b'\\'),
            'x' => {
                let digits = rest.as_str().get(..2)?;
                bytes.push(u8::try_from(hex(digits)?).ok()?);
                rest = rest.as_str()[2..].chars();
            }
            'u' => {
                let (digits, behind) = rest.as_str().strip_prefix('{')?.split_once('}')?;
                push(&mut bytes, char::from_u32(hex(digits)?)?);
                rest = behind.chars();
            }
            _ => return None,
        }
    }
    Some(bytes)
}

fn hex(digits: &str) -> Option<u32> {
    // The standard parser would take a sign too.
    let all = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| all)
}

fn push(bytes: &mut Vec<u8>, character: char) {
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Bytes that print safely; made by [`escape`] and [`shown`].
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a> {
    bytes: &'a [u8],
    cut: Option<usize>,
}

impl Escaped<'_> {
    /// Appends the text to `out` without the detour through a formatter.
    pub fn push_to(&self, out: &mut String) {
        // A String takes everything.
        let _ = self.write_to(out);
    }

    fn write_to(&self, out: &mut impl Write) -> fmt::Result {
        let (plain, rest) = self.bytes.split_at(plain_prefix(self.bytes));
        if let Ok(plain) = str::from_utf8(plain) {
            out.write_str(plain)?;
        }
        for chunk in rest.utf8_chunks() {
            write_valid(out, chunk.valid())?;
            for byte in chunk.invalid() {
                write!(out, "\\x{byte:02x}")?;
            }
        }
        match self.cut {
            Some(total) => write!(out, "… ({total} bytes)"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

/// Whether an ASCII byte stands as it is.
const fn is_plain(byte: u8) -> bool {
    // Not `&&`: one expression without a branch is what the compiler turns into vector code.
    matches!(byte, b' '..=b'~') & (byte != b'\\')
}

/// How many bytes at the start are ASCII that stands as it is.
fn plain_prefix(bytes: &[u8]) -> usize {
    // For the same reason whole blocks are looked at without an early exit inside.
    const BLOCK: usize = 16;
    let all_plain = |block: &&[u8]| block.iter().fold(true, |all, byte| all & is_plain(*byte));
    let blocks = bytes.chunks_exact(BLOCK).take_while(all_plain).count() * BLOCK;
    blocks + bytes[blocks..].iter().take_while(|byte| is_plain(**byte)).count()
}

fn write_valid(out: &mut impl Write, text: &str) -> fmt::Result {
    let mut written = 0;
    for (at, character) in text.char_indices() {
        if is_safe(character) {
            continue;
        }
        out.write_str(&text[written..at])?;
        written = at + character.len_utf8();
        match character {
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            '\\' => out.write_str("\\\\"),
            other => write!(out, "\\u{{{:04x}}}", u32::from(other)),
        }?;
    }
    out.write_str(&text[written..])
}

#[cfg(test)]
mod tests;
