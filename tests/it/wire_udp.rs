//! UDP: each datagram is one message and is answered with `check`.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use socket2::{Domain, Protocol, Socket, Type};

use crate::harness::{
    DEADLINE, Peer, Server, ServerBuilder, private_loopback, server, skipped, undisturbed, wait_until,
};

const NOTICE: &str = "server is shutting down";

#[test]
fn a_datagram_of_any_size_is_answered_with_check() {
    let server = server("-u");
    let peer = server.peer();
    for size in [0, 1, 1024, 1472, 9000, 65506, 65507] {
        peer.check(vec![b'x'; size]);
    }
}

#[test]
fn an_empty_datagram_ends_nothing() {
    let server = server("-u");
    let peer = server.peer();
    for message in ["", "hello", "", ""] {
        peer.check(message);
        server.stdout.expect(&format!("{} sent a datagram: {message}", peer.name()));
    }
}

#[test]
fn many_datagrams_that_wait_together_are_all_answered() {
    undisturbed(|| {
        let server = server("-u --quiet");
        let peers: Vec<_> = (0..10).map(|_| server.peer()).collect();
        server.stop();
        for number in 0..200 {
            peers[number % 10].send(number.to_string());
        }
        server.resume();
        for number in 0..200 {
            peers[number % 10].expect("check");
        }
    });
}

#[test]
fn the_answer_comes_from_the_address_that_was_asked() {
    for host in ["0.0.0.0", "::"] {
        let server = server(&format!("-u --host {host}"));
        for asked in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 9, 8, 7)] {
            // A connected peer hears this address alone.
            Peer::connect((asked, server.udp().port()).into()).check("hello");
        }
    }
}

#[test]
fn what_looks_like_a_reply_is_answered_at_most_once_a_second_in_all() {
    undisturbed(|| {
        let mut server = ServerBuilder::new("-u").operated().start();
        let (first, second) = (server.peer(), server.peer());
        server.stop();
        for reply in ["check", "ACK", NOTICE, "idle timeout", "message too long", "server is full"] {
            first.send(reply);
            second.send(reply);
        }
        first.send("hello");
        second.send("hello");
        server.resume();
        for peer in [&first, &second] {
            peer.expect("check");
        }
        // Whichever of the two got a second answer: there is one in all.
        assert_eq!(
            (server.stat("datagrams_in"), server.stat("datagrams_out"), server.stat("unanswered")),
            (14.0, 3.0, 11.0)
        );
    });
}

#[test]
fn a_reply_is_answered_again_when_a_second_has_passed() {
    undisturbed(|| {
        let server = server("-u");
        let peer = server.peer();
        let first = Instant::now();
        peer.check("check");
        // The peer asks until it is answered: no sooner than a second after the first answer.
        let answer = loop {
            peer.send("check");
            std::thread::sleep(Duration::from_millis(20));
            if let Some(answer) = peer.poll() {
                break answer;
            }
            assert!(first.elapsed() < crate::harness::DEADLINE, "never answered again");
        };
        assert_eq!(answer, b"check");
        assert!(first.elapsed() >= Duration::from_secs(1), "answered again after {:?}", first.elapsed());
    });
}

#[test]
fn two_servers_cannot_keep_each_other_busy() {
    undisturbed(|| {
        let mut server = ServerBuilder::new("-u --quiet").operated().start();
        let reflector = server.peer();
        reflector.send("hello");
        let deadline = Instant::now() + Duration::from_millis(500);
        while Instant::now() < deadline {
            if let Some(answer) = reflector.poll() {
                reflector.send(answer);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(server.stat("datagrams_out") <= 3.0);
        server.peer().check("hello");
    });
}

#[test]
fn nothing_is_sent_to_source_port_0_nor_to_the_server_itself() {
    // Forging a source takes a raw socket, and that takes a privilege.
    let Ok(raw) = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)) else {
        skipped("raw sockets are not permitted here");
        return;
    };
    // What is forged comes from that address.
    let mut server = ServerBuilder::new("-u --host 127.0.0.1").operated().start();
    let port = server.udp().port();
    for source in [0, port] {
        let forged =
            [&source.to_be_bytes()[..], &port.to_be_bytes(), &13_u16.to_be_bytes(), &[0, 0], b"hello"].concat();
        raw.send_to(&forged, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    }
    wait_until("the forged datagrams", || (server.stat("datagrams_in") == 2.0).then_some(()));
    server.peer().check("hello");
    assert_eq!((server.stat("datagrams_in"), server.stat("datagrams_out"), server.stat("unanswered")), (3.0, 1.0, 2.0));
}

#[test]
fn peers_that_have_closed_their_port_disturb_nobody() {
    let server = server("-u --quiet");
    let steady = server.peer();
    for _ in 0..200 {
        server.peer().send("gone");
    }
    steady.check("hello");
}

#[test]
fn datagrams_that_waited_are_answered_before_the_shutdown_is_announced() {
    undisturbed(|| {
        let mut server = server("-u");
        let peer = server.peer();
        server.stop();
        for number in 0..100 {
            peer.send(number.to_string());
        }
        server.signal(Signal::SIGTERM);
        server.resume();
        for _ in 0..100 {
            peer.expect("check");
        }
        peer.expect(NOTICE);
        assert_eq!(server.wait_exit(), 0);
        peer.expect_nothing_yet();
    });
}

#[test]
fn each_peer_gets_one_shutdown_datagram_from_the_address_it_asked() {
    let mut server = server("-u --host 0.0.0.0");
    let port = server.udp().port();
    let peers: Vec<_> = (1..=5).map(|last| Peer::connect((Ipv4Addr::new(127, 0, 0, last), port).into())).collect();
    for peer in peers.iter().chain(&peers) {
        peer.check("hello");
    }
    shut_down(&mut server);
    for peer in &peers {
        peer.expect(NOTICE);
        peer.expect_nothing_yet();
    }
}

#[test]
fn a_peer_not_heard_from_within_the_idle_timeout_is_not_told() {
    undisturbed(|| {
        let mut server = server("-u --idle-timeout 0.5");
        let (old, recent) = (server.peer(), server.peer());
        old.check("hello");
        // Time itself is the subject.
        std::thread::sleep(Duration::from_millis(700));
        recent.check("hello");
        shut_down(&mut server);
        recent.expect(NOTICE);
        old.expect_nothing_yet();
    });
}

#[test]
fn without_an_idle_timeout_every_peer_is_told() {
    undisturbed(|| {
        let mut server = server("-u --idle-timeout 0");
        let old = server.peer();
        old.check("hello");
        std::thread::sleep(Duration::from_millis(300));
        shut_down(&mut server);
        old.expect(NOTICE);
    });
}

#[test]
fn the_newest_1024_peers_are_remembered() {
    let mut server = server("-u --quiet --idle-timeout 0");
    let address = server.udp();
    let peer = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let peer = Peer::connect_from(Ipv4Addr::new(127, 1, high, low).into(), address);
        peer.check("hello");
        peer
    };
    let forgotten = peer(0);
    let oldest = peer(1);
    for number in 2..1024 {
        peer(number);
    }
    let newest = peer(1024);
    shut_down(&mut server);
    oldest.expect(NOTICE);
    newest.expect(NOTICE);
    forgotten.expect_nothing_yet();
}

#[test]
fn speaking_again_makes_a_peer_new() {
    let mut server = server("-u --quiet --idle-timeout 0");
    let address = server.udp();
    let peer = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let peer = Peer::connect_from(Ipv4Addr::new(127, 2, high, low).into(), address);
        peer.check("hello");
        peer
    };
    let faithful = peer(0);
    for number in 1..1024 {
        peer(number);
    }
    faithful.check("still here");
    peer(1024);
    shut_down(&mut server);
    faithful.expect(NOTICE);
}

#[test]
fn a_peer_whose_reply_was_not_answered_is_told_as_well() {
    undisturbed(|| {
        let mut server = server("-u");
        let (first, second) = (server.peer(), server.peer());
        // Both within the second in which one is answered.
        server.stop();
        first.send("check");
        second.send("check");
        server.resume();
        first.expect("check");
        server.stdout.expect(&format!("{} sent a datagram: check", second.name()));
        shut_down(&mut server);
        first.expect(NOTICE);
        second.expect(NOTICE);
    });
}

#[test]
fn the_last_word_is_the_last() {
    undisturbed(|| {
        let mut server = server("--grace 1");
        let (mut lingering, peer) = (server.client(), server.peer());
        peer.check("hello");
        server.signal(Signal::SIGTERM);
        peer.expect(NOTICE);
        peer.send("are you there?");
        assert_eq!(server.wait_exit(), 0);
        peer.expect_nothing_yet();
        lingering.expect_last(NOTICE);
    });
}

#[test]
fn a_socket_that_never_spoke_is_told_nothing() {
    let mut server = server("-u");
    let silent = UdpSocket::bind((private_loopback(), 0)).unwrap();
    shut_down(&mut server);
    silent.set_nonblocking(true).unwrap();
    assert!(silent.recv(&mut [0; 64]).is_err());
}

#[track_caller]
fn shut_down(server: &mut Server) {
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(), 0);
}

/// What somebody forges in the name of a service that answers anything begins no exchange with it.
#[test]
fn nothing_is_sent_to_the_ports_of_services_that_answer_whatever_they_get() {
    let ip = private_loopback();
    let mut server = ServerBuilder::new(&format!("-u --host {ip}")).operated().start();
    let mut unanswered = 0.0;
    for port in [7, 11, 13, 17, 19, 37, 53, 69, 123] {
        let Ok(service) = UdpSocket::bind((ip, port)) else {
            skipped(&format!("port {port} is not to be had here"));
            return;
        };
        service.send_to(b"hello", server.udp()).unwrap();
        unanswered += 1.0;
        wait_until("the count", || (server.stat("unanswered") == unanswered).then_some(()));
        service.set_nonblocking(true).unwrap();
        assert!(service.recv(&mut [0; 100]).is_err(), "an answer came to port {port}");
    }
    // The goodbye goes to none of them, either; a neighbouring port is like any other.
    let other = UdpSocket::bind((ip, 8)).unwrap();
    other.set_read_timeout(Some(DEADLINE)).unwrap();
    let last = UdpSocket::bind((ip, 7)).unwrap();
    last.send_to(b"hello", server.udp()).unwrap();
    other.send_to(b"hello", server.udp()).unwrap();
    let mut buffer = [0; 100];
    let len = other.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], b"check");
    server.signal(Signal::SIGTERM);
    let len = other.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], b"server is shutting down");
    last.set_nonblocking(true).unwrap();
    assert!(last.recv(&mut buffer).is_err());
    assert_eq!(server.wait_exit(), 0);
}
