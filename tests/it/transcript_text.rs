//! What came from outside is shown safely and reversibly, and one event stays one line.

use crate::harness::{FarUdp, Server, client_to, end_of, server};

/// Sends this as one TCP message (in the default framing), and gives the TEXT shown for it.
#[track_caller]
fn shown(server: &Server, bytes: &[u8]) -> String {
    let mut client = server.client();
    client.exchange(bytes, "ACK");
    let start = format!("{} sent: ", client.name());
    let line = server.stdout.find("the message", |line| line.starts_with(&start));
    line[start.len()..].to_owned()
}

/// Sends this as one datagram, and gives the TEXT shown for it.
#[track_caller]
fn shown_datagram(server: &Server, bytes: &[u8]) -> String {
    let peer = server.peer();
    peer.check(bytes);
    let start = format!("{} sent a datagram: ", peer.name());
    let line = server.stdout.find("the datagram", |line| line.starts_with(&start));
    line[start.len()..].to_owned()
}

/// Undoes the escapes.
fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let length = match escape.as_bytes()[0] {
            b'x' => {
                bytes.push(u8::from_str_radix(&escape[1..3], 16).unwrap());
                3
            }
            b'u' => {
                let end = escape.find('}').unwrap();
                let character = char::from_u32(u32::from_str_radix(&escape[2..end], 16).unwrap()).unwrap();
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                end + 1
            }
            letter => {
                bytes.push(match letter {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'\\' => b'\\',
                    other => panic!("no escape: \\{}", other as char),
                });
                1
            }
        };
        rest = &escape[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

#[test]
fn printable_unicode_stands_as_it_is() {
    let server = server("");
    for text in ["hello, world", "你好，世界", "größe", "🦀", "'\"{}[]()"] {
        assert_eq!(shown(&server, text.as_bytes()), text);
        assert_eq!(shown_datagram(&server, text.as_bytes()), text);
    }
}

#[test]
fn every_byte_there_is_can_be_read_back() {
    let server = server("");
    let all: Vec<u8> = (0..=255).collect();
    for text in [shown(&server, &all), shown_datagram(&server, &all)] {
        assert!(text.chars().all(|character| !character.is_control()), "{text:?}");
        assert_eq!(decode(&text), all);
    }
}

#[test]
fn the_short_escapes_are_the_usual_ones() {
    let server = server("");
    assert_eq!(shown(&server, b"a\nb\rc\td\\e"), "a\\nb\\rc\\td\\\\e");
    assert_eq!(shown(&server, b"\xff-").to_lowercase(), "\\xff-");
}

#[test]
fn what_hides_or_turns_text_is_escaped() {
    let server = server("");
    for hidden in [
        "\u{1b}[2J",
        "\u{9b}2J",
        "\u{7f}",
        "\u{202e}txt",
        "\u{2066}x",
        "\u{200b}",
        "\u{feff}x",
        "\u{2028}",
        "\u{2029}",
        "\u{85}",
    ] {
        let text = shown(&server, hidden.as_bytes());
        let first = hidden.chars().next().unwrap();
        assert!(text.starts_with("\\u{") && !text.contains(first), "{text:?}");
        assert_eq!(decode(&text), hidden.as_bytes());
    }
}

#[test]
fn a_message_cannot_forge_a_line() {
    let server = server("");
    let before = server.stdout.count();
    let text = shown(&server, b"x\n10.0.0.1:1 connected");
    assert_eq!(text, "x\\n10.0.0.1:1 connected");
    assert_eq!(server.stdout.so_far()[before..].iter().filter(|line| line.starts_with("10.0.0.1")).count(), 0);
}

#[test]
fn one_trailing_newline_is_not_shown() {
    let server = server("");
    assert_eq!(shown(&server, b"hello\n"), "hello");
    assert_eq!(shown(&server, b"hello\n\n"), "hello\\n");
    assert_eq!(shown_datagram(&server, b"hello\n"), "hello");
    assert_eq!(shown_datagram(&server, b"\n"), "");
}

#[test]
fn in_a_frame_a_trailing_newline_is_part_of_the_message() {
    let server = server("-t --framing length");
    let mut client = server.client();
    client.exchange(b"\0\0\0\x06hello\n", b"\0\0\0\x03ACK");
    server.stdout.expect(&format!("{} sent: hello\\n", client.name()));
}

#[test]
fn of_a_long_message_the_first_1024_bytes_are_shown_and_its_length() {
    let server = server("");
    let whole = "x".repeat(1024);
    assert_eq!(shown_datagram(&server, whole.as_bytes()), whole);
    assert_eq!(shown_datagram(&server, &[b'x'; 1025]), format!("{whole}… (1025 bytes)"));
    assert_eq!(shown_datagram(&server, &[b'x'; 65507]), format!("{whole}… (65507 bytes)"));
}

#[test]
fn a_message_cannot_forge_the_mark_of_a_cut() {
    let server = server("");
    let forged = "hi… (99999 bytes)";
    for text in [shown(&server, forged.as_bytes()), shown_datagram(&server, forged.as_bytes())] {
        assert_eq!(text, "hi\\u{2026} (99999 bytes)");
        assert_eq!(decode(&text), forged.as_bytes());
    }
}

#[test]
fn nor_can_a_reply_forge_it() {
    let forged = "hi… (9 bytes)";
    for (options, before) in [("", "answered: "), ("--lang zh", "处返回数据: "), ("--format json", "\"text\":\"")]
    {
        let far = FarUdp::new();
        let mut client = client_to(far.address(), &format!("-u -m hello {options}")).start();
        far.answer("hello", forged);
        let ended = end_of(&mut client);
        let (_, text) = ended.out[0].split_once(before).unwrap_or_else(|| panic!("{options}: {:?}", ended.out));
        // JSON has a way of its own to write it.
        let expected = if options.contains("json") { "hi\\u2026 (9 bytes)\"" } else { "hi\\u{2026} (9 bytes)" };
        assert!(text.starts_with(expected), "{options}: {text:?}");
    }
}

#[test]
fn a_character_is_not_cut_in_two() {
    let server = server("");
    let text = shown_datagram(&server, "界".repeat(1000).as_bytes());
    let (shown, length) = text.split_once("… ").unwrap();
    assert!(shown.chars().all(|character| character == '界') && shown.len() <= 1024, "{shown:?}");
    assert_eq!(length, "(3000 bytes)");
}
