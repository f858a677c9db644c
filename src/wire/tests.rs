#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

/// Everything a decoder makes of `pieces`: the messages, then how it ended.
fn decode(framing: Framing, longest: usize, pieces: &[&[u8]]) -> (Vec<Vec<u8>>, String) {
    let mut decoder = Decoder::new(framing, longest);
    let mut messages = Vec::new();
    for mut piece in pieces.iter().copied() {
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(message)) => messages.push(message.text.to_vec()),
                Ok(None) => break,
                Err(TooLong) => return (messages, "too long".into()),
            }
        }
    }
    let end = match decoder.end() {
        Ok(End::Clean) => "clean".into(),
        Ok(End::Message(rest)) => {
            messages.push(rest.text.to_vec());
            "clean".into()
        }
        Ok(End::CutShort(got)) => format!("cut short after {got}"),
        Err(TooLong) => "too long".into(),
    };
    (messages, end)
}

#[test]
fn a_stream_cut_at_every_index_gives_the_same_messages() {
    let lines: &[u8] = b"one\r\n\n\r\r\ntwo\0\xff\nrest";
    let frames: &[u8] = b"\0\0\0\x03one\0\0\0\0\0\0\0\x02\n\n\0\0\0\x05ab";
    for (framing, stream) in [(Framing::Lines, lines), (Framing::Length, frames)] {
        let whole = decode(framing, 10, &[stream]);
        for i in 0..=stream.len() {
            for j in i..=stream.len() {
                let pieces = [&stream[..i], &stream[i..j], &stream[j..]];
                assert_eq!(decode(framing, 10, &pieces), whole, "{framing} cut at {i} and {j}");
            }
        }
    }
}

#[test]
fn lines_keep_all_but_the_newline_and_one_carriage_return() {
    let (messages, end) = decode(Framing::Lines, 100, &[b"a\r\n\r\n\nb\r\r\nc\r"]);
    assert_eq!(messages, [b"a".as_slice(), b"", b"", b"b\r", b"c\r"]);
    assert_eq!(end, "clean");
}

#[test]
fn a_line_is_accepted_up_to_the_limit_and_refused_beyond_it() {
    for (stream, expected) in [
        (b"abc\n".as_slice(), "clean"),
        (b"abcd\n", "clean"),
        (b"abcd\r\n", "clean"),
        (b"abcde\n", "too long"),
        (b"abcde", "too long"),
        (b"abcd\re", "too long"),
        (b"abcd\r", "too long"),
        (b"abcd", "clean"),
    ] {
        for cut in 0..=stream.len() {
            let (_, end) = decode(Framing::Lines, 4, &[&stream[..cut], &stream[cut..]]);
            assert_eq!(end, expected, "{stream:?} cut at {cut}");
        }
    }
}

#[test]
fn a_frame_too_long_is_refused_by_its_count_alone() {
    assert_eq!(decode(Framing::Length, 4, &[b"\0\0\0\x04abcd"]), (vec![b"abcd".to_vec()], "clean".into()));
    assert_eq!(decode(Framing::Length, 4, &[b"\0\0\0\x05"]).1, "too long");
    assert_eq!(decode(Framing::Length, 4, &[b"\xff", b"\xff\xff", b"\xff"]).1, "too long");
}

#[test]
fn a_frame_that_the_end_of_stream_cuts_short_is_no_message() {
    assert_eq!(decode(Framing::Length, 9, &[b"\0\0\0\x02ab\0\0"]), (vec![b"ab".to_vec()], "cut short after 2".into()));
}

#[test]
fn of_a_message_in_pieces_what_can_be_shown_and_the_length_are_kept_and_then_nothing() {
    let long = [b'x'; 50_000];
    let framed = |framing: Framing| {
        let mut bytes = Vec::new();
        framing.encode(&long, &mut bytes);
        bytes
    };
    for framing in [Framing::Lines, Framing::Length] {
        let (mut decoder, bytes) = (Decoder::new(framing, 100_000), framed(framing));
        for mut piece in bytes[..bytes.len() - 1].chunks(777) {
            assert_eq!(decoder.next(&mut piece), Ok(None));
            assert!(decoder.head.capacity() <= 2048, "{}", decoder.head.capacity());
        }
        let mut last = &bytes[bytes.len() - 1..];
        let message = decoder.next(&mut last).unwrap().unwrap();
        assert_eq!((message.len, message.text), (50_000, &long[..1027]));
        decoder.release();
        assert_eq!((decoder.head.capacity(), decoder.unfinished()), (0, None));
    }
}

#[test]
fn a_read_brings_4_kib_or_what_the_open_frame_lacks() {
    let mut decoder = Decoder::new(Framing::Length, 100_000);
    assert_eq!(decoder.piece(), 4096);
    for (bytes, piece) in [(b"\0\0\x27".as_slice(), 4096), (b"\x10", 10_000), (&[0; 3000], 7000), (&[0; 7000], 4096)] {
        let mut input = bytes;
        let _ = decoder.next(&mut input).unwrap();
        assert_eq!(decoder.piece(), piece);
    }
    assert_eq!(Decoder::new(Framing::Lines, 100_000).piece(), 4096);
    assert_eq!(Decoder::new(Framing::Bytes, 100_000).piece(), 65_536);
    let mut decoder = Decoder::new(Framing::Length, 1 << 30);
    let mut input: &[u8] = b"\x20\0\0\0";
    assert_eq!(decoder.next(&mut input), Ok(None));
    assert_eq!(decoder.piece(), 65_536);
}

fn replies(framing: Framing, pieces: &[&[u8]]) -> Vec<String> {
    let (mut replies, mut seen) = (Replies::new(framing), Vec::new());
    for piece in pieces {
        let mut input = *piece;
        while !input.is_empty() || replies.holds() {
            seen.extend(replies.next(&mut input).unwrap().map(|reply| match reply {
                Reply::Ack => "ack".to_owned(),
                Reply::Notice(notice) => notice.text().to_owned(),
                Reply::Wrong(wrong) => format!("wrong {}", String::from_utf8_lossy(wrong.text)),
            }));
        }
    }
    seen
}

#[test]
fn acks_and_the_notice_are_told_apart_however_the_bytes_are_cut() {
    let stream = b"ACKACKserver is full";
    for cut in 0..stream.len() {
        let seen = replies(Framing::Bytes, &[&stream[..cut], &stream[cut..]]);
        assert_eq!(seen, ["ack", "ack", "server is full"], "cut at {cut}");
    }
}

#[test]
fn anything_but_acks_and_one_notice_is_a_wrong_answer() {
    assert_eq!(replies(Framing::Bytes, &[b"ACKNOWLEDGED"]), ["wrong ACKNOWLEDGED"]);
    assert_eq!(replies(Framing::Bytes, &[b"hello", b"ACK"]), ["wrong hello", "ack"]);
    assert_eq!(replies(Framing::Lines, &[b"ACK\nac", b"k\n"]), ["ack", "wrong ack"]);
    assert_eq!(replies(Framing::Lines, &[b"idle timeout\nACK\n"]), ["idle timeout", "wrong ACK"]);
}

#[test]
fn the_replies_are_known_for_what_they_are_and_nothing_else_is() {
    for reply in ["check", "ACK", "server is shutting down", "idle timeout", "message too long", "server is full"] {
        assert!(is_reply(reply.as_bytes()), "{reply}");
        assert!(!is_reply(format!("{reply}\n").as_bytes()), "{reply} with a newline");
    }
    assert!(!is_reply(b""));
}

fn cut_anywhere<'a>(stream: &'a [u8], cuts: &[proptest::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    at.extend([0, stream.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn any_segmentation_of_encoded_messages_gives_them_back(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>().prop_filter("no line ends", |b| !b"\r\n".contains(b)), 0..40), 0..20),
        framing in proptest::sample::select(vec![Framing::Lines, Framing::Length]),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..30),
    ) {
        let mut stream = Vec::new();
        messages.iter().for_each(|message| framing.encode(message, &mut stream));
        prop_assert_eq!(decode(framing, 40, &cut_anywhere(&stream, &cuts)), (messages, "clean".to_string()));
    }

    #[test]
    fn any_bytes_in_any_pieces_mean_what_they_mean_in_one_piece(
        stream in proptest::collection::vec(proptest::sample::select(b"\0\x01\x02\r\nab".to_vec()), 0..60),
        framing in proptest::sample::select(vec![Framing::Lines, Framing::Length]),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..30),
    ) {
        prop_assert_eq!(decode(framing, 5, &cut_anywhere(&stream, &cuts)), decode(framing, 5, &[&stream]));
    }
}

proptest! {
    #[test]
    fn counting_the_messages_agrees_with_cutting_them_out(
        framing in prop_oneof![Just(Framing::Bytes), Just(Framing::Lines), Just(Framing::Length)],
        longest in prop_oneof![3_usize..6, Just(1000)],
        pieces in prop::collection::vec(prop::collection::vec(prop_oneof![4 => Just(b'a'), 2 => Just(b'\n'), 2 => Just(b'\r'), 2 => Just(0)], 0..20), 0..8),
    ) {
        let (mut cutter, mut counter) = (Decoder::new(framing, longest), Decoder::new(framing, longest));
        for piece in &pieces {
            let (mut input, mut expected) = (piece.as_slice(), Count::default());
            let outcome = loop {
                match cutter.next(&mut input) {
                    Ok(Some(message)) => expected.add(message),
                    Ok(None) => break Ok(()),
                    Err(TooLong) => break Err(TooLong),
                }
            };
            prop_assert_eq!(counter.count(piece), (expected, outcome));
            if outcome.is_err() {
                return Ok(());
            }
        }
        prop_assert_eq!(cutter.end(), counter.end());
    }
}
