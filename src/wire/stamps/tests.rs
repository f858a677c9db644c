#![allow(clippy::unwrap_used)]

use super::*;
use crate::wire::is_reply;
use proptest::prelude::*;

fn probes() -> impl Strategy<Value = Probe> {
    any::<[u64; 4]>().prop_map(|[session, seq, clock, flags]| Probe { session, seq, clock, flags })
}

fn stamps() -> impl Strategy<Value = Stamp> {
    any::<Numbers>().prop_map(|[session, seq, clock, count, received, left, highest, first]| Stamp {
        session,
        seq,
        clock,
        count,
        received,
        left,
        highest,
        first,
    })
}

fn probed(probe: Probe) -> [u8; STAMPED] {
    let mut datagram = [0xee; STAMPED];
    probe.encode(&mut datagram);
    datagram
}

fn stamped(stamp: Stamp) -> [u8; STAMPED] {
    let mut datagram = [0xee; STAMPED];
    stamp.encode(&mut datagram);
    datagram
}

#[test]
fn both_lie_on_the_wire_as_their_table_says() {
    let probe = Probe { session: 0x0102_0304_0506_0708, seq: 0x11, clock: 0x22, flags: 1 };
    let numbers = |numbers: &[u8]| numbers.iter().flat_map(|&last| [0, 0, 0, 0, 0, 0, 0, last]).collect::<Vec<_>>();
    let session = [1, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(probed(probe).to_vec(), [&b"ACKSTAMP"[..], &session, &numbers(&[0x11, 0x22, 1, 0, 0, 0, 0])].concat());

    let stamp = Stamp {
        session: 0x0102_0304_0506_0708,
        seq: 0x11,
        clock: 0x22,
        count: 0x33,
        received: 0x44,
        left: 0x55,
        highest: 0x66,
        first: 0x77,
    };
    let expected = [&b"check\0\0\x01"[..], &session, &numbers(&[0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77])].concat();
    assert_eq!(stamped(stamp).to_vec(), expected);
}

#[test]
fn the_time_with_the_server_is_known_or_not_told() {
    let time = |received, left| {
        let zeros = [0; STAMPED];
        let mut stamp = Stamp::parse(&[&STAMP[..], &zeros[8..]].concat()).unwrap();
        (stamp.received, stamp.left) = (received, left);
        stamp.server_time()
    };
    assert_eq!(time(1000, 1000), Some(Duration::ZERO));
    assert_eq!(time(1000, 3500), Some(Duration::from_nanos(2500)));
    assert_eq!(time(1, u64::MAX), Some(Duration::from_nanos(u64::MAX - 1)));
    for (received, left) in [(0, 0), (0, 5), (5, 0), (1001, 1000)] {
        assert_eq!(time(received, left), None, "{received} to {left}");
    }
}

proptest! {
    #[test]
    fn a_probe_comes_back_as_it_was_however_long_its_datagram(probe in probes(), rest: Vec<u8>) {
        prop_assert_eq!(Probe::parse(&[&probed(probe)[..], &rest].concat()), Some(probe));
    }

    #[test]
    fn what_a_probe_carries_behind_its_flags_says_nothing(probe in probes(), rest: [u8; 32]) {
        prop_assert_eq!(Probe::parse(&[&probed(probe)[..40], &rest].concat()), Some(probe));
    }

    #[test]
    fn a_stamp_comes_back_as_it_was(stamp in stamps()) {
        prop_assert_eq!(Stamp::parse(&stamped(stamp)), Some(stamp));
        prop_assert!(is_reply(&stamped(stamp)));
    }

    #[test]
    fn what_is_cut_short_is_neither(probe in probes(), stamp in stamps(), length in 0..STAMPED) {
        prop_assert_eq!(Probe::parse(&probed(probe)[..length]), None);
        prop_assert_eq!(Stamp::parse(&stamped(stamp)[..length]), None);
        prop_assert!(!is_reply(&stamped(stamp)[..length]) || length == 5);
    }

    #[test]
    fn what_is_longer_is_no_stamp_and_still_a_reply(stamp in stamps(), rest in prop::collection::vec(any::<u8>(), 1..100)) {
        let longer = [&stamped(stamp)[..], &rest].concat();
        prop_assert_eq!(Stamp::parse(&longer), None);
        prop_assert!(is_reply(&longer));
    }

    #[test]
    fn another_first_word_is_neither(mut datagram: [u8; STAMPED], from_probe: bool, at in 0..8_usize, change in 1..=u8::MAX) {
        datagram[..8].copy_from_slice(if from_probe { PROBE } else { STAMP });
        datagram[at] ^= change;
        prop_assert_eq!((Probe::parse(&datagram), Stamp::parse(&datagram)), (None, None));
        prop_assert!(!is_reply(&datagram));
    }

    #[test]
    fn noise_is_neither(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assume!(!noise.starts_with(PROBE) && !noise.starts_with(STAMP));
        prop_assert_eq!((Probe::parse(&noise), Stamp::parse(&noise)), (None, None));
    }

    #[test]
    fn a_probe_is_no_answer_and_an_answer_no_probe(probe in probes(), stamp in stamps()) {
        prop_assert_eq!(Stamp::parse(&probed(probe)), None);
        prop_assert!(!is_reply(&probed(probe)));
        prop_assert_eq!(Probe::parse(&stamped(stamp)), None);
    }
}

#[test]
fn a_quoted_probe_has_its_mark_however_short_the_quote() {
    let probe = probed(Probe { session: 7, seq: 9, clock: 1, flags: 0 });
    for length in 0..=STAMPED {
        let mark = (length >= 24).then_some(Mark { session: 7, seq: 9 });
        assert_eq!(Mark::quoted(&probe[..length]), mark, "{length} bytes");
    }
    assert_eq!(Mark::quoted(&[b'x'; STAMPED]), None);
}
