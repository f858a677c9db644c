//! Stamped datagrams: what is forged begins no exchange that never ends.

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use ack_reactor::wire::STAMPED;
use socket2::{Domain, Protocol, Socket, Type};

use crate::harness::{ServerBuilder, private_loopback, skipped, undisturbed, wait_until};
use crate::stamps::{SESSION, ask, probe};

#[test]
fn a_stamp_is_a_reply_and_answered_at_most_once_a_second_in_all() {
    undisturbed(|| {
        let mut server = ServerBuilder::new("-u -q").operated().start();
        let (first, second) = (server.peer(), server.peer());
        let mut stamp = ask(&first, SESSION, 1);
        server.stop();
        for seq in 1..=10 {
            stamp.seq = seq;
            let mut datagram = [0; STAMPED];
            stamp.encode(&mut datagram);
            first.send(datagram);
            second.send([&datagram[..], b"and longer"].concat());
        }
        server.resume();
        wait_until("all of them", || (server.stat("datagrams_in") == 21.0).then_some(()));
        first.expect("check");
        assert_eq!((server.stat("datagrams_out"), server.stat("unanswered")), (2.0, 19.0));
    });
}

#[test]
fn two_servers_and_a_probe_cannot_keep_each_other_busy() {
    undisturbed(|| {
        let mut server = ServerBuilder::new("-u -q").operated().start();
        let reflector = server.peer();
        reflector.send(probe(SESSION, 1));
        let deadline = Instant::now() + Duration::from_millis(500);
        while Instant::now() < deadline {
            if let Some(answer) = reflector.poll() {
                reflector.send(answer);
            }
            thread::sleep(Duration::from_millis(1));
        }
        assert!(server.stat("datagrams_out") <= 3.0);
        assert_eq!(ask(&server.peer(), SESSION, 1).count, 1);
    });
}

#[test]
fn no_probe_brings_an_answer_to_port_0_to_the_server_itself_or_to_a_chatty_port() {
    // Forging a source takes a raw socket, and that takes a privilege.
    let Ok(raw) = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)) else {
        skipped("no raw socket here");
        return;
    };
    let ip = private_loopback();
    let mut server = ServerBuilder::new(&format!("-u --host {ip}")).operated().start();
    let port = server.udp().port();
    let bystander = UdpSocket::bind((ip, 7));
    if bystander.is_err() {
        skipped("port 7 is not to be had here: what is sent to it goes unseen");
    }
    for source in [0, port, 7] {
        let header = [source, port, 8 + STAMPED as u16, 0].map(u16::to_be_bytes).concat();
        let from = SocketAddr::from((ip, 0));
        raw.bind(&from.into()).unwrap();
        raw.send_to(&[&header[..], &probe(SESSION, 1)].concat(), &from.into()).unwrap();
    }
    wait_until("the forged probes", || (server.stat("datagrams_in") == 3.0).then_some(()));
    assert_eq!((server.stat("datagrams_out"), server.stat("unanswered")), (0.0, 3.0));
    if let Ok(echo) = bystander {
        echo.set_nonblocking(true).unwrap();
        assert!(echo.recv(&mut [0; 100]).is_err());
    }
}
