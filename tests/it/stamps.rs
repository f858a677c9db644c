//! Stamped datagrams: a probe is answered with what came of its session.

use std::net::Ipv4Addr;
use std::time::SystemTime;

use ack_reactor::wire::{Probe, STAMPED, Stamp};
use nix::sys::signal::Signal;

use crate::harness::{Peer, Server, ServerBuilder, has_v6, server, undisturbed};

pub(crate) const SESSION: u64 = 0x1122_3344_5566_7788;

pub(crate) fn probe(session: u64, seq: u64) -> [u8; STAMPED] {
    let mut datagram = [0; STAMPED];
    Probe { session, seq, clock: !seq, flags: 0 }.encode(&mut datagram);
    datagram
}

/// The next datagram, which must be the stamp of this probe.
#[track_caller]
pub(crate) fn stamp_of(peer: &Peer, session: u64, seq: u64) -> Stamp {
    let answer = peer.receive();
    let stamp = Stamp::parse(&answer).unwrap_or_else(|| panic!("no stamp: {}", answer.escape_ascii()));
    assert_eq!((stamp.session, stamp.seq, stamp.clock), (session, seq, !seq));
    stamp
}

#[track_caller]
pub(crate) fn ask(peer: &Peer, session: u64, seq: u64) -> Stamp {
    peer.send(probe(session, seq));
    stamp_of(peer, session, seq)
}

/// What the answer to `seq` says came of the session: how many, the highest, the first.
#[track_caller]
fn account(peer: &Peer, seq: u64) -> (u64, u64, u64) {
    let stamp = ask(peer, SESSION, seq);
    (stamp.count, stamp.highest, stamp.first)
}

pub(crate) fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64
}

#[test]
fn the_answer_lies_on_the_wire_as_the_contract_says() {
    let server = server("-u");
    let peer = server.peer();
    let (session, seq, clock) = (*b"\x01\x02\x03\x04\x05\x06\x07\x08", 41_u64.to_be_bytes(), *b"whenever");
    for (length, flags) in [(72, 0_u64), (73, 0), (72, 1), (1472, 1), (1473, 2), (65507, u64::MAX)] {
        let mut datagram = [&b"ACKSTAMP"[..], &session, &seq, &clock, &flags.to_be_bytes()].concat();
        datagram.resize(length, if flags == 0 { 0 } else { 0xab });
        let before = now();
        peer.send(&datagram);
        let answer = peer.receive();
        let after = now();
        // The one flag there is asks for an answer as long as the probe.
        let wanted = if flags & 1 == 1 && cfg!(target_os = "linux") { length } else { 72 };
        assert_eq!(answer.len(), wanted, "to {length} bytes with flags {flags:x}");
        assert!(answer[72..].iter().all(|&byte| byte == 0), "behind the stamp is nothing");
        assert_eq!(&answer[..8], b"check\0\0\x01");
        assert_eq!((&answer[8..16], &answer[16..24], &answer[24..32]), (&session[..], &seq[..], &clock[..]));
        let number = |at: usize| u64::from_be_bytes(answer[at..at + 8].try_into().unwrap());
        assert_eq!((number(32), number(56), number(64)), (1, 41, 41), "count, highest, first");
        assert!(before <= number(40) && number(40) <= number(48) && number(48) <= after, "the times lie between ours");
    }
}

#[test]
fn what_is_no_probe_is_answered_with_check() {
    let server = server("-u");
    let peer = server.peer();
    let whole = probe(SESSION, 1);
    peer.check(&whole[..71]);
    peer.check("ACKSTAMP");
    for first in ["ACKSTAMQ", "ackstamp", "\0CKSTAMP", "ACKSTAM\0"] {
        peer.check([first.as_bytes(), &whole[8..]].concat());
    }
    peer.check([&b" "[..], &whole].concat());
    assert_eq!(account(&peer, 1), (1, 1, 1));
}

#[test]
fn loss_duplicates_and_reordering_are_told_by_count_highest_and_first() {
    let server = server("-u");
    let peer = server.peer();
    for (seq, expected) in [
        (3, (1, 3, 3)),
        (4, (2, 4, 3)),
        (4, (2, 4, 3)), // twice
        (7, (3, 7, 3)), // 5 and 6 are lost
        (6, (4, 7, 3)), // only late
        (6, (4, 7, 3)),
        (2, (4, 7, 3)), // before the memory began
        (8, (5, 8, 3)),
    ] {
        assert_eq!(account(&peer, seq), expected, "at {seq}");
    }
    // What is no probe is no part of it.
    peer.check("hello");
    assert_eq!(account(&peer, 9), (6, 9, 3));
}

#[test]
fn duplicates_are_known_within_1024_numbers_and_a_jump_beyond_clears_them() {
    let server = server("-u -q");
    let peer = server.peer();
    for (seq, expected) in [
        (1, (1, 1, 1)),
        (1024, (2, 1024, 1)),
        (1, (2, 1024, 1)),
        (2, (3, 1024, 1)),
        (1026, (4, 1026, 1)),
        (2, (4, 1026, 1)), // too old to be told
        (3, (5, 1026, 1)),
    ] {
        assert_eq!(account(&peer, seq), expected, "at {seq}");
    }
    let last = 1 << 40;
    assert_eq!(account(&peer, last), (6, last, 1));
    assert_eq!(account(&peer, last - 1024), (6, last, 1), "too old");
    // Of what was known before nothing is left.
    for (seq, count) in (last - 1023..last).zip(7..) {
        assert_eq!(account(&peer, seq), (count, last, 1), "at {seq}");
    }
    assert_eq!(account(&peer, last - 1023), (1029, last, 1), "twice");
}

#[test]
fn another_session_on_the_same_port_replaces_the_one_before() {
    let server = server("-u");
    let peer = server.peer();
    let account = |session, seq| {
        let stamp = ask(&peer, session, seq);
        (stamp.count, stamp.highest, stamp.first)
    };
    assert_eq!((account(1, 8), account(1, 9)), ((1, 8, 8), (2, 9, 8)));
    assert_eq!((account(2, 1), account(2, 2)), ((1, 1, 1), (2, 2, 1)));
    assert_eq!(account(1, 10), (1, 10, 10));
}

#[test]
fn every_peer_has_a_memory_of_its_own() {
    let server = server("-u");
    let (one, other) = (server.peer(), server.peer());
    assert_eq!((account(&one, 1), account(&other, 5)), ((1, 1, 1), (1, 5, 5)));
    assert_eq!((account(&one, 3), account(&other, 6)), ((2, 3, 1), (2, 6, 5)));
}

#[test]
fn probes_and_messages_that_wait_together_are_each_answered_as_what_they_are() {
    undisturbed(|| {
        let mut server = ServerBuilder::new("-u -q").operated().start();
        let peers: Vec<_> = (0..5).map(|_| server.peer()).collect();
        server.stop();
        for seq in 1..=40 {
            for peer in &peers {
                peer.send(probe(SESSION, seq));
                peer.send("hello");
            }
        }
        server.resume();
        for peer in &peers {
            let (stamps, checks): (Vec<_>, Vec<_>) =
                (0..80).map(|_| peer.receive()).partition(|answer| answer != b"check");
            assert_eq!(checks.len(), 40);
            let stamps = stamps.iter().map(|answer| Stamp::parse(answer).unwrap());
            let told: Vec<_> = stamps.map(|stamp| (stamp.seq, stamp.count, stamp.highest, stamp.first)).collect();
            assert_eq!(told, (1..=40).map(|seq| (seq, seq, seq, 1)).collect::<Vec<_>>());
            peer.expect_nothing_yet();
        }
        let counts = (server.stat("datagrams_in"), server.stat("datagrams_out"), server.stat("unanswered"));
        assert_eq!(counts, (400.0, 400.0, 0.0));
    });
}

#[test]
fn the_oldest_of_1024_peers_is_forgotten_with_its_session() {
    let server = server("-u -q");
    let (faithful, forgotten) = (server.peer(), server.peer());
    assert_eq!((account(&faithful, 1), account(&forgotten, 1)), ((1, 1, 1), (1, 1, 1)));
    many_ports(&server, 0..1022);
    assert_eq!(account(&faithful, 2), (2, 2, 1));
    many_ports(&server, 1022..1023);
    assert_eq!(account(&forgotten, 2), (1, 2, 2));
    assert_eq!(account(&faithful, 3), (3, 3, 1));
}

#[test]
fn a_flood_of_probes_from_many_ports_takes_no_more_memory_than_1024_of_them() {
    let server = server("-u -q");
    many_ports(&server, 0..1100);
    let before = server.proc().resident();
    many_ports(&server, 1100..5000);
    let grown = server.proc().resident().saturating_sub(before);
    assert!(grown < 128 << 10, "the server's memory grew by {grown} bytes");
}

/// One probe each from the addresses of these numbers.
#[track_caller]
fn many_ports(server: &Server, numbers: std::ops::Range<u16>) {
    for number in numbers {
        let [high, low] = number.to_be_bytes();
        let peer = Peer::connect_from(Ipv4Addr::new(127, 3, high, low).into(), server.udp());
        assert_eq!(account(&peer, 1), (1, 1, 1));
    }
}

#[test]
fn probes_over_ipv6_are_answered_alike() {
    if !has_v6() {
        return;
    }
    for host in ["::1", "::"] {
        let server = server(&format!("-u --host {host}"));
        let peer = server.peer();
        assert!(peer.address().is_ipv6());
        for (seq, expected) in [(1, (1, 1, 1)), (3, (2, 3, 1)), (2, (3, 3, 1))] {
            assert_eq!(account(&peer, seq), expected);
        }
        assert!(ask(&peer, SESSION, 4).server_time().is_some());
    }
}

#[test]
fn the_transcript_tells_a_probe_by_its_number_and_length() {
    for args in ["-u", "-u --lang zh", "-u --format json"] {
        let server = server(args);
        let peer = server.peer();
        ask(&peer, SESSION, 17);
        peer.send([&probe(SESSION, u64::MAX)[..], b"\x1b[2J\n"].concat());
        stamp_of(&peer, SESSION, u64::MAX);
        for (text, bytes) in [("probe 17 (72 bytes)", 72), ("probe 18446744073709551615 (77 bytes)", 77)] {
            match args {
                "-u" => server.stdout.expect(&format!("{} sent a datagram: {text}", peer.name())),
                "-u --lang zh" => server.stdout.expect(&format!("数据: {text}")),
                _ => {
                    let line = server.stdout.find(text, |line| line.contains("\"message\"") && line.contains(text));
                    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
                    let told = (&event["protocol"], &event["peer"], &event["text"], &event["bytes"]);
                    assert_eq!(told, (&"udp".into(), &peer.name().into(), &text.into(), &bytes.into()));
                }
            }
        }
    }
}

#[test]
fn probes_that_waited_are_stamped_before_the_shutdown_is_announced() {
    undisturbed(|| {
        let mut server = server("-u");
        let peer = server.peer();
        server.stop();
        (1..=100).for_each(|seq| peer.send(probe(SESSION, seq)));
        server.signal(Signal::SIGTERM);
        server.resume();
        (1..=100).for_each(|seq| assert_eq!(stamp_of(&peer, SESSION, seq).count, seq));
        peer.expect("server is shutting down");
        assert_eq!(server.wait_exit(), 0);
    });
}
