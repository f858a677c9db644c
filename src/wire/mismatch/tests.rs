use proptest::prelude::*;

use super::*;
use crate::wire::{Decode, Replies};

/// What a server says with this framing: so many acknowledgements, then perhaps its last word.
fn stream(framing: Framing, acks: usize, notice: Option<Notice>) -> Vec<u8> {
    let mut stream = framing.ack().repeat(acks);
    notice.into_iter().for_each(|notice| framing.encode(notice.text().as_bytes(), &mut stream));
    stream
}

#[test]
fn what_another_framing_would_send_names_it() {
    use Framing::{Bytes, Length, Lines};
    for (own, heard, theirs) in [
        (Bytes, b"ACK\n".as_slice(), Some(Lines)),
        (Bytes, b"ACK\r\n", Some(Lines)),
        (Bytes, b"ACK\nAC", Some(Lines)),
        (Bytes, b"idle timeout\n", Some(Lines)),
        (Bytes, b"\0", Some(Length)),
        (Bytes, b"\0\0\0\x03ACK", Some(Length)),
        (Bytes, b"\0\0\0\x10message too long", Some(Length)),
        (Lines, b"ACK", Some(Bytes)),
        (Lines, b"ACKACKA", Some(Bytes)),
        (Lines, b"idle timeout", Some(Bytes)),
        (Lines, b"\0\0", Some(Length)),
        (Lines, b"\0\0\0\x03ACK\0\0", Some(Length)),
        (Length, b"ACK", Some(Bytes)),
        (Length, b"ACKACK", Some(Bytes)),
        (Length, b"ACK\n", Some(Lines)),
        (Length, b"ACK\r\n", Some(Lines)),
        (Length, b"idle timeout\n", Some(Lines)),
        (Length, b"message too long", Some(Bytes)),
    ] {
        assert_eq!(own.mistaken_for(heard), theirs, "{own} hears {}", heard.escape_ascii());
    }
}

#[test]
fn what_nobody_would_send_and_what_is_only_not_whole_names_none() {
    use Framing::{Bytes, Length, Lines};
    for (own, heard) in [
        (Lines, b"A".as_slice()),
        (Lines, b"ACK\nAC"),
        (Lines, b"idle time"),
        (Length, b"\0\0"),
        (Bytes, b"AC"),
        (Bytes, b"ACKACKNOWLEDGED"),
        (Bytes, b"ACK\n\n"),
        (Bytes, b"ACK\0"),
        (Bytes, b"idle timeoutACK"),
        (Length, b"\0\0\0\x04ACK\n"),
        (Length, b"\0\0\0\x0cidle timeout\0"),
    ] {
        assert_eq!(own.mistaken_for(heard), None, "{own} hears {}", heard.escape_ascii());
    }
    for own in Framing::ALL {
        for heard in [b"".as_slice(), b"ok", b"\n", b"HTTP/1.1 400 Bad Request\r\n", b"220 ready\r\n", b"\xff\xfd\x01"]
        {
            assert_eq!(own.mistaken_for(heard), None, "{own} hears {}", heard.escape_ascii());
        }
    }
}

#[test]
fn an_acknowledgement_cut_anywhere_tells_as_soon_as_it_can() {
    for (own, theirs, from) in [
        (Framing::Bytes, Framing::Lines, 4),
        (Framing::Bytes, Framing::Length, 1),
        (Framing::Lines, Framing::Bytes, 3),
        (Framing::Lines, Framing::Length, 1),
        (Framing::Length, Framing::Bytes, 1),
        (Framing::Length, Framing::Lines, 4),
    ] {
        let ack = theirs.ack();
        for cut in 0..=ack.len() {
            let told = own.mistaken_for(&ack[..cut]);
            match cut >= from {
                true => assert_eq!(told, Some(theirs), "{own} hears {cut} bytes of {theirs}"),
                // So far it may be another one yet.
                false => assert!(told.is_none() || own == Framing::Length, "{own} hears {cut} bytes of {theirs}"),
            }
        }
    }
}

/// Has a reader of this framing hear these pieces, as far as it can follow.
fn hear(framing: Framing, pieces: &[&[u8]]) -> Replies {
    let mut replies = Replies::new(framing);
    for mut piece in pieces.iter().copied() {
        while !piece.is_empty() || replies.holds() {
            if replies.next(&mut piece).is_err() {
                return replies;
            }
        }
    }
    replies
}

fn a_framing() -> impl Strategy<Value = Framing> {
    proptest::sample::select(&Framing::ALL[..])
}

fn a_notice() -> impl Strategy<Value = Option<Notice>> {
    proptest::option::of(proptest::sample::select(&Notice::ALL[..]))
}

proptest! {
    #[test]
    fn a_stream_cut_anywhere_is_never_taken_for_another_where_both_sides_agree(
        own in a_framing(), acks in 0_usize..20, notice in a_notice(), cut in 0_usize..200
    ) {
        let stream = stream(own, acks, notice);
        let cut = cut.min(stream.len());
        // An end that is still on its way has not come in time.
        let lacks_its_end = own == Framing::Lines && stream.iter().position(|&byte| byte == b'\n') == Some(cut);
        prop_assume!(!lacks_its_end);
        prop_assert_eq!(own.mistaken_for(&stream[..cut]), None);
        prop_assert_eq!(hear(own, &[&stream[..cut]]).other_framing(), None);
    }

    #[test]
    fn however_it_arrives_it_tells_the_same(
        own in a_framing(), theirs in a_framing(), acks in 1_usize..20, notice in a_notice(), cuts in [0_usize..80, 0..80]
    ) {
        let stream = stream(theirs, acks, notice);
        let [first, second] = cuts.map(|cut| cut.min(stream.len()));
        let (first, second) = (first.min(second), first.max(second));
        let replies = hear(own, &[&stream[..first], &stream[first..second], &stream[second..]]);
        prop_assert!(!replies.is_silent());
        prop_assert_eq!(replies.other_framing(), Some(theirs).filter(|&theirs| theirs != own));
    }

    #[test]
    fn whatever_comes_is_borne_with(own in a_framing(), heard in proptest::collection::vec(any::<u8>(), 0..100)) {
        let other = own.mistaken_for(&heard);
        prop_assert!(other != Some(own));
        prop_assert_eq!(hear(own, &[&heard]).is_silent(), heard.is_empty());
    }
}
