#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

/// What must hold for any bytes: the text is safe, and it leads back to them.
fn hold(bytes: &[u8]) {
    let text = escape(bytes).to_string();
    assert!(text.chars().all(|c| c == '\\' || is_safe(c)), "{bytes:x?} leaves {text:?} unsafe");
    assert_eq!(unescape(&text).as_deref(), Some(bytes), "by way of {text:?}");
}

#[test]
fn every_string_of_up_to_two_bytes_is_safe_and_reversible() {
    hold(b"");
    for first in 0..=255 {
        hold(&[first]);
        for second in 0..=255 {
            hold(&[first, second]);
        }
    }
}

#[test]
#[ignore = "16.8 million strings: seconds when optimised, a minute when not"]
fn every_string_of_three_bytes_is_safe_and_reversible() {
    for n in 0..1_u32 << 24 {
        hold(&n.to_be_bytes()[1..]);
    }
}

#[test]
fn every_character_is_safe_and_reversible() {
    for character in '\0'..=char::MAX {
        hold(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_safe_and_reversible(bytes: Vec<u8>) {
        hold(&bytes);
    }

    #[test]
    fn any_text_is_safe_and_reversible(text in r"([ -~\\\n\u{80}-\u{ff}\u{2020}-\u{2070}字])*") {
        hold(text.as_bytes());
    }

    #[test]
    fn what_is_shown_is_the_beginning_and_ends_between_characters(text in r"[aé字😀]{200,600}", skip in 0..4_usize) {
        let bytes = &text.as_bytes()[skip.min(text.len())..];
        let head = first(bytes);
        prop_assert!(bytes.starts_with(head));
        prop_assert!(head.len() == bytes.len().min(SHOWN) || (SHOWN - 3..SHOWN).contains(&head.len()));
        let invalid = |bytes: &[u8]| bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum::<usize>();
        prop_assert_eq!(invalid(head), invalid(bytes));
    }
}

#[test]
fn each_kind_has_its_spelling() {
    let table: [(&[u8], &str); 12] = [
        (b"hello", "hello"),
        (b"a\nb\rc\td\\e", r"a\nb\rc\td\\e"),
        (b"\0\x1b[2J\x7f", r"\u{0000}\u{001b}[2J\u{007f}"),
        ("\u{9b}31m".as_bytes(), r"\u{009b}31m"),
        (b"\xff\xfe", r"\xff\xfe"),
        (b"caf\xc3", r"caf\xc3"),
        ("你好 café 😀".as_bytes(), "你好 café 😀"),
        ("\u{202e}\u{2066}\u{61c}".as_bytes(), r"\u{202e}\u{2066}\u{061c}"),
        ("\u{200b}\u{feff}\u{ad}".as_bytes(), r"\u{200b}\u{feff}\u{00ad}"),
        ("\u{2028}\u{2029}".as_bytes(), r"\u{2028}\u{2029}"),
        ("\u{e0041}".as_bytes(), r"\u{e0041}"),
        (b"0123456789abcdef0123456789\x07", r"0123456789abcdef0123456789\u{0007}"),
    ];
    for (bytes, text) in table {
        assert_eq!(escape(bytes).to_string(), text);
    }
}

#[test]
fn what_is_invisible_or_reorders_is_never_safe() {
    let forbidden = ['\u{ad}', '\u{61c}', '\u{180e}', '\u{feff}', '\u{3164}', '\u{fffe}', '\u{10ffff}'];
    let ranges = [
        '\0'..='\x1f',
        '\x7f'..='\u{9f}',
        '\u{200b}'..='\u{200f}',
        '\u{2028}'..='\u{202e}',
        '\u{2060}'..='\u{206f}',
        '\u{fff9}'..='\u{fffb}',
        '\u{e0000}'..='\u{e007f}',
    ];
    for character in forbidden.into_iter().chain(ranges.into_iter().flatten()) {
        assert!(!is_safe(character), "{character:?}");
    }
    assert!(" ~é字\u{3000}\u{301}😀".chars().all(is_safe));
}

#[test]
fn a_long_text_is_cut_and_its_length_named() {
    let exact = "x".repeat(SHOWN);
    assert_eq!(shown(exact.as_bytes()).to_string(), exact);
    let longer = exact.clone() + "y";
    assert_eq!(shown(longer.as_bytes()).to_string(), exact.clone() + "… (1025 bytes)");
    assert_eq!(shown_of(longer.as_bytes(), 1026).to_string(), exact + "… (1026 bytes)");
}

#[test]
fn a_message_cannot_forge_the_mark_of_a_cut() {
    assert_eq!(shown("hi… (99999 bytes)".as_bytes()).to_string(), r"hi\u{2026} (99999 bytes)");
    let long = "…".repeat(SHOWN);
    assert_eq!(shown(long.as_bytes()).to_string(), r"\u{2026}".repeat(SHOWN / 3) + "… (3072 bytes)");
    assert_eq!(unescape("hi…"), None, "it stands for no byte of the message");
}

#[test]
fn a_character_on_the_limit_is_left_out_whole_and_a_broken_one_is_not() {
    for (behind, kept) in [("é", 1023), ("字", 1023), ("😀", 1023)] {
        let text = "x".repeat(SHOWN - 1) + behind;
        assert_eq!(first(text.as_bytes()).len(), kept, "{behind}");
    }
    let broken = [&[b'x'; SHOWN - 1][..], b"\xe5\xad!"].concat();
    assert_eq!(first(&broken).len(), SHOWN);
    let strays = [0x80; SHOWN + 1];
    assert_eq!(first(&strays).len(), SHOWN);
}

#[test]
fn what_escape_cannot_have_written_is_refused() {
    for text in ["\\", "\\q", "\\x", "\\x4", "\\xg0", "\\u", "\\u{", "\\u{d800}", "\\u{}", "\n", "\\x字", "\\x+f"] {
        assert_eq!(unescape(text), None, "{text:?}");
    }
}

#[test]
fn an_error_is_told_without_its_number_and_safely() {
    let error = io::Error::other("no\x1b[2J way (os error 7)");
    assert_eq!(cause(&error).to_string(), r"no\u{001b}[2J way");
    assert_eq!(cause(&io::Error::other("plain")).to_string(), "plain");
    #[cfg(target_os = "linux")]
    assert_eq!(cause(&io::Error::from_raw_os_error(111)).to_string(), "Connection refused");
}

#[test]
fn a_sentence_keeps_its_escapes_and_its_marks_and_whatever_else_is_unsafe_is_escaped() {
    for text in ["", "\\", "plain", r"'a\u{202e}b' \n", "hi… (9 bytes)", "…"] {
        assert_eq!(sentence(text), text);
    }
    assert_eq!(sentence("a\u{202e}b\n\u{1b}…\r\\x"), r"a\u{202e}b\n\u{001b}…\r\x");
}
