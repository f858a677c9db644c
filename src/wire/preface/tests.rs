#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// Version 2 with this command, family and rest.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [VERSION_2, &[command, family], &len, rest].concat()
}

const V4: [u8; 12] = [203, 0, 113, 7, 10, 0, 0, 2, 0x9c, 0x41, 0x1a, 0x0a];
const TLVS: [u8; 11] = [0x04, 0, 3, 1, 2, 3, 0xea, 0, 2, 0xff, 0xff];

fn v6() -> Vec<u8> {
    let address = "2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets();
    [&address[..], &address, &[0x9c, 0x41, 0, 25]].concat()
}

/// The header that comes whole, with whom it names.
#[track_caller]
fn check(header: &[u8], client: Option<&str>) {
    let client = client.map(|client| client.parse().unwrap());
    let wanted = Ok(Some(Preface { client, len: header.len() }));
    assert_eq!(Preface::parse(header), wanted, "{}", header.escape_ascii());
    assert_eq!(Preface::parse(&[header, b"hello"].concat()), wanted, "what follows is no part of it");
    for len in 0..header.len() {
        assert_eq!(Preface::parse(&header[..len]), Ok(None), "{}", header[..len].escape_ascii());
    }
}

#[test]
fn a_header_names_the_client_or_nobody() {
    check(b"PROXY TCP4 203.0.113.7 10.0.0.2 40001 6666\r\n", Some("203.0.113.7:40001"));
    check(b"PROXY TCP6 2001:db8::7 2001:db8::1 40001 6666\r\n", Some("[2001:db8::7]:40001"));
    check(b"PROXY UNKNOWN\r\n", None);
    check(b"PROXY UNKNOWN whatever it +is\r\n", None);
    check(&v2(0x21, 0x11, &V4), Some("203.0.113.7:40001"));
    check(&v2(0x21, 0x21, &v6()), Some("[2001:db8::7]:40001"));
    check(&v2(0x21, 0x11, &[&V4[..], &TLVS].concat()), Some("203.0.113.7:40001"));
    check(&v2(0x20, 0x00, b""), None);
    // What a LOCAL header says of a family is to be skipped.
    check(&v2(0x20, 0x11, &V4), None);
    check(&v2(0x20, 0x31, b"x"), None);
    check(&v2(0x21, 0x00, b"anything"), None);
}

#[test]
fn what_is_no_header_is_told_from_it_as_soon_as_it_is_certain() {
    let table: [(&[u8], Flaw); 12] = [
        (b"h", Flaw::Absent),
        (b"PROXYx", Flaw::Absent),
        (b"\r\n\r\nx", Flaw::Absent),
        (b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", Flaw::Malformed),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", Flaw::Malformed),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", Flaw::Malformed),
        (b"PROXY TCP4 2001:db8::7 1.2.3.4 1 2\r\n", Flaw::Malformed),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", Flaw::Malformed),
        (b"PROXY\x20\n", Flaw::Malformed),
        (&v2(0x31, 0x11, &V4)[..FIXED], Flaw::Malformed),
        (&v2(0x22, 0x11, &V4)[..FIXED], Flaw::Malformed),
        // Shorter than the addresses that it says it has.
        (&v2(0x21, 0x11, &V4[..11]), Flaw::Malformed),
    ];
    for (bytes, flaw) in table {
        assert_eq!(Preface::parse(bytes), Err(flaw), "{}", bytes.escape_ascii());
        assert_eq!(Preface::parse(&bytes[..bytes.len() - 1]), Ok(None), "{}", bytes.escape_ascii());
    }
}

#[test]
fn who_did_not_come_by_tcp_over_ip_is_nobody_here() {
    for family in [0x12, 0x22, 0x31, 0x32, 0x10, 0x01, 0xff] {
        assert_eq!(Preface::parse(&v2(0x21, family, &[0; 216])), Err(Flaw::OtherFamily), "{family:#x}");
    }
}

#[test]
fn a_header_is_at_most_4096_bytes_long_and_a_line_107() {
    check(&v2(0x21, 0x11, &[&V4[..], &[0; 4096 - FIXED - V4.len()]].concat()), Some("203.0.113.7:40001"));
    assert_eq!(Preface::parse(&v2(0x21, 0x11, &[0; 4097 - FIXED])[..FIXED]), Err(Flaw::TooLong));
    assert_eq!(Preface::parse(&v2(0x20, 0x00, &[0; 4097 - FIXED])[..FIXED]), Err(Flaw::TooLong));
    let unknown = |len: usize| [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; len - 16], b"\r\n".to_vec()].concat();
    check(&unknown(107), None);
    assert_eq!(Preface::parse(&unknown(108)), Err(Flaw::TooLong));
    assert_eq!(Preface::parse(&unknown(108)[..107]), Err(Flaw::TooLong));
    assert_eq!(Preface::parse(&unknown(108)[..106]), Ok(None));
}

/// What it comes to where it arrives in these pieces: the first verdict.
fn in_pieces(bytes: &[u8], mut ends: Vec<usize>) -> Result<Option<Preface>, Flaw> {
    ends.push(bytes.len());
    ends.sort_unstable();
    ends.into_iter().map(|end| Preface::parse(&bytes[..end])).find(|verdict| *verdict != Ok(None)).unwrap_or(Ok(None))
}

/// Headers, good and bad, and what may follow them.
fn beginnings() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![Just("TCP4"), Just("TCP6"), Just("UNKNOWN"), Just("UDP4")];
    let address = prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| address.to_string()),
        "[ -~]{0,40}"
    ];
    let line =
        (word, address.clone(), address, 0u32..70_000, 0u32..70_000, prop_oneof![Just("\r\n"), Just("\n"), Just("")])
            .prop_map(|(word, source, destination, from, to, end)| {
                format!("PROXY {word} {source} {destination} {from} {to}{end}").into_bytes()
            });
    let command = prop_oneof![4 => Just(0x21), 1 => Just(0x20), 1 => any::<u8>()];
    let family = prop_oneof![4 => Just(0x11), 4 => Just(0x21), 1 => Just(0), 1 => any::<u8>()];
    let binary = (command, family, proptest::collection::vec(any::<u8>(), 0..300), any::<Option<u16>>()).prop_map(
        |(command, family, rest, claimed)| {
            let mut header = v2(command, family, &rest);
            if let Some(claimed) = claimed.filter(|claimed| claimed % 3 == 0) {
                header[14..16].copy_from_slice(&claimed.to_be_bytes());
            }
            header
        },
    );
    (prop_oneof![line, binary, any::<Vec<u8>>()], any::<Vec<u8>>()).prop_map(|(head, tail)| [head, tail].concat())
}

proptest! {
    #[test]
    fn any_split_of_any_header_comes_to_the_same(bytes in beginnings(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let whole = Preface::parse(&bytes);
        if let Ok(Some(preface)) = whole {
            prop_assert!((1..=bytes.len().min(LONGEST_PREFACE)).contains(&preface.len));
        }
        prop_assert_eq!(in_pieces(&bytes, cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect()), whole);
        prop_assert_eq!(in_pieces(&bytes, (0..bytes.len()).collect()), whole);
    }

    #[test]
    fn nothing_more_is_asked_for_behind_4096_bytes(mut bytes in beginnings()) {
        bytes.resize(LONGEST_PREFACE, 0);
        prop_assert_ne!(Preface::parse(&bytes), Ok(None));
    }
}
