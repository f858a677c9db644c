//! What must hold for any bytes at all. The fuzz targets look for bytes for
//! which it does not; `cargo test` asks it of every file of the corpus.

#![allow(dead_code)] // each target uses one of them

use ack_reactor::client::target::Target;
use ack_reactor::escape::{escape, is_safe, shown, unescape};
use ack_reactor::server::operator::Command;
use ack_reactor::wire::preface::{LONGEST_PREFACE, Preface};
use ack_reactor::wire::{Decode, Decoder, End, Framing, Replies, TooLong};

/// The first bytes choose framing, limit and cuts; the rest is the stream. It
/// means the same in one piece, and no message is longer than allowed.
pub(crate) fn framing(data: &[u8]) {
    let Some((&[choice, limit, cuts], stream)) = data.split_first_chunk::<3>() else { return };
    let framing = [Framing::Bytes, Framing::Lines, Framing::Length][usize::from(choice) % 3];
    let longest = usize::from(limit);
    let piece = usize::from(cuts).max(1);
    if framing != Framing::Bytes {
        assert_eq!(decode(framing, longest, stream.chunks(piece)), decode(framing, longest, std::iter::once(stream)));
    }
    let mut replies = Replies::new(framing);
    for piece in stream.chunks(piece) {
        let mut input = piece;
        while !input.is_empty() || replies.holds() {
            match replies.next(&mut input) {
                Ok(Some(reply)) => assert!(reply.message().len <= stream.len() + 64),
                Ok(None) => {}
                Err(TooLong) => return,
            }
        }
    }
}

fn decode<'a>(framing: Framing, longest: usize, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, String) {
    let mut decoder = Decoder::new(framing, longest);
    let mut messages = Vec::new();
    for mut piece in pieces {
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(message)) => messages.push(message.text.to_vec()),
                Ok(None) => break,
                Err(TooLong) => return (messages, "too long".into()),
            }
        }
    }
    assert!(messages.iter().all(|message| message.len() <= longest));
    match decoder.end() {
        Ok(End::Message(rest)) => messages.push(rest.text.to_vec()),
        Ok(End::CutShort(got)) => return (messages, format!("cut short after {got}")),
        Ok(_) => {}
        Err(TooLong) => return (messages, "too long".into()),
    }
    (messages, "clean".into())
}

/// What is shown is safe, one line, bounded, and says what the bytes were.
pub(crate) fn escaping(data: &[u8]) {
    let text = escape(data).to_string();
    // The backslash is safe where it escapes.
    assert!(text.chars().all(|character| is_safe(character) || character == '\\'), "{text:?}");
    assert_eq!(unescape(&text).as_deref(), Some(data));
    assert!(shown(data).to_string().len() <= 10 * 1024 + 64);
}

/// The first byte chooses the cuts; the rest begins a connection. A header means the same whole and in pieces, is no
/// longer than what came, and nothing more is asked for behind the longest.
pub(crate) fn preface(data: &[u8]) {
    let Some((&piece, stream)) = data.split_first() else { return };
    let whole = Preface::parse(stream);
    let piece = usize::from(piece).max(1);
    let ends = (1..).map(|count| count * piece).take_while(|&end| end < stream.len()).chain([stream.len()]);
    let mut verdicts = ends.map(|end| Preface::parse(&stream[..end]));
    assert_eq!(verdicts.find(|verdict| *verdict != Ok(None)).unwrap_or(Ok(None)), whole);
    match whole {
        Ok(Some(preface)) => {
            assert!((1..=stream.len().min(LONGEST_PREFACE)).contains(&preface.len));
            assert_eq!(Preface::parse(&stream[..preface.len]), whole);
            assert_eq!(Preface::parse(&stream[..preface.len - 1]), Ok(None));
        }
        Ok(None) => assert!(stream.len() < LONGEST_PREFACE),
        Err(_) => {}
    }
}

/// No command line and no address makes the parsers fall over, and what they
/// complain of is named safely.
pub(crate) fn operator(data: &[u8]) {
    let _ = Command::parse(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let (host, port) = text.split_once(' ').map_or((text, None), |(host, port)| (host, Some(port)));
        match Target::parse(Some(host), port, None) {
            Ok(target) => assert!(target.port > 0 && !target.host.is_empty()),
            Err(error) => assert_eq!(error.to_string().lines().count(), 1),
        }
    }
}
