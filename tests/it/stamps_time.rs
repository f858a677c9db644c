//! Stamped datagrams: when a probe came and its answer left, by the server's own clock.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Peer, server, undisturbed};
use crate::stamps::{SESSION, ask, now, probe, stamp_of};

#[test]
fn the_time_with_the_server_holds_the_time_for_which_it_stood_still() {
    undisturbed(|| {
        const STILL: Duration = Duration::from_millis(300);
        for host in ["127.0.0.1", "0.0.0.0"] {
            let server = server(&format!("-u --host {host}"));
            let (peer, other) = (server.peer(), server.peer());
            // The first has the kernel tell from then on when a datagram comes.
            assert!(ask(&peer, SESSION, 1).server_time().is_some_and(|time| time < STILL));
            server.stop();
            let began = Instant::now();
            peer.send(probe(SESSION, 2));
            other.send(probe(SESSION, 1));
            thread::sleep(STILL);
            server.resume();
            for (peer, seq) in [(&peer, 2), (&other, 1)] {
                let stamp = stamp_of(peer, SESSION, seq);
                let still = stamp.server_time().unwrap();
                assert!((STILL..began.elapsed()).contains(&still), "{still:?} with the server on {host}");
            }
        }
    });
}

#[test]
fn times_of_one_server_go_forward_and_are_those_of_the_clock_on_the_wall() {
    let server = server("-u");
    let peer = server.peer();
    let mut last = now();
    for seq in 1..=300 {
        let stamp = ask(&peer, SESSION, seq);
        assert!(
            last <= stamp.received && stamp.received <= stamp.left && stamp.left <= now(),
            "{stamp:?} after {last}"
        );
        last = stamp.left;
    }
}

#[test]
fn a_stamp_comes_from_the_address_that_was_asked() {
    undisturbed(|| {
        for host in ["0.0.0.0", "::"] {
            let server = server(&format!("-u --host {host}"));
            let port = server.udp().port();
            // A connected peer hears this address alone.
            let asked = [[127, 0, 0, 1], [127, 0, 0, 2], [127, 9, 8, 7]];
            let peers = asked.map(|ip| Peer::connect((Ipv4Addr::from(ip), port).into()));
            for seq in 1..=2 {
                server.stop();
                peers.iter().for_each(|peer| peer.send(probe(SESSION, seq)));
                server.resume();
                peers.iter().for_each(|peer| assert!(stamp_of(peer, SESSION, seq).server_time().is_some()));
            }
        }
    });
}
