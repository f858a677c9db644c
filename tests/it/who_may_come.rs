//! How many may come from one address, and of whom nothing is told.

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::harness::{Client, Server, ServerBuilder, has_v6, server, undisturbed, wait_until};

const FULL: &str = "server is full";

fn operated(args: &str) -> Server {
    ServerBuilder::new(args).operated().start()
}

#[track_caller]
fn expect_crowded(server: &Server, surplus: &mut Client) {
    surplus.expect_last(FULL);
    server.stdout.expect(&format!("{} refused (too many from this address)", surplus.name()));
}

#[test]
fn one_connection_more_from_an_address_is_told_that_the_server_is_full() {
    let mut server = operated("-t --max-per-address 2");
    let mut clients = [server.client(), server.client()];
    expect_crowded(&server, &mut server.quiet_client());
    clients.iter_mut().for_each(|client| client.exchange("hello", "ACK"));
    assert_eq!((server.stat("refused"), server.stat("connections"), server.stat("total")), (1.0, 2.0, 2.0));
    let [leaves, _stays] = clients;
    let gone = format!("{} disconnected (closed)", leaves.name());
    drop(leaves);
    server.stdout.expect(&gone);
    server.client().exchange("hello", "ACK");
}

#[test]
fn the_refusal_is_told_in_chinese_and_json_too() {
    let server = ServerBuilder::new("-t --max-per-address 1 --lang zh").start();
    let _first = server.client();
    expect_crowded(&server, &mut server.quiet_client());
    let server = ServerBuilder::new("-t --max-per-address 1 --format json").start();
    let mut first = server.quiet_client();
    first.exchange("hello", "ACK");
    let mut surplus = server.quiet_client();
    surplus.expect_last(FULL);
    let line = server.stdout.find("the refusal", |line| line.contains(r#""event":"refused""#));
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["reason"], "too many from this address");
    assert_eq!(event["peer"], surplus.name());
}

/// Whatever way a client parts, its place is free.
#[test]
fn every_way_to_part_makes_room_for_another() {
    undisturbed(|| {
        let mut server = operated("-t --max-per-address 1 --framing lines --max-message 10 --idle-timeout 1");
        for round in 0..3 {
            let closed = server.client();
            let name = closed.name();
            drop(closed);
            server.stdout.expect(&format!("{name} disconnected (closed)"));
            let reset = server.client();
            let name = reset.name();
            reset.reset();
            server.stdout.expect(&format!("{name} disconnected (reset)"));
            let mut long = server.client();
            long.send("x".repeat(100));
            long.expect_last("message too long\n");
            let closed = server.client();
            let line = format!("{} disconnected (operator)", closed.name());
            server.ask(&format!("close {}", closed.name()), |answer| answer == line);
            let mut idle = server.client();
            idle.expect_last("idle timeout\n");
            // Who lingers has left.
            let _stays = closed;
            assert_eq!(server.stat("connections"), 0.0, "round {round}");
        }
        assert_eq!(server.stat("refused"), 0.0);
    });
}

#[test]
fn ipv4_clients_of_a_socket_for_both_families_are_counted_as_what_they_are() {
    if !has_v6() {
        return;
    }
    let server = server("-t --host :: --max-per-address 1");
    let v4: SocketAddr = ([127, 0, 0, 1], server.tcp().port()).into();
    let mut first = Client::connect(v4);
    first.exchange("hello", "ACK");
    expect_crowded(&server, &mut Client::connect(v4));
    // All of IPv4 lies in one /64, and so does ::1.
    server.client().exchange("hello", "ACK");
}

#[test]
fn behind_a_proxy_the_client_that_the_header_names_is_counted() {
    let mut server = operated("-t --proxy-protocol 127.0.0.1 --max-per-address 1");
    let header = |ip: &str, port: u16| format!("PROXY TCP4 {ip} 10.0.0.2 {port} 6666\r\n");
    let come = |ip, port| {
        let mut proxy = server.quiet_client();
        proxy.send(header(ip, port) + "hello");
        proxy
    };
    let (mut one, mut same, mut other) = (come("203.0.113.7", 1), come("203.0.113.7", 2), come("203.0.113.8", 3));
    one.expect("ACK");
    same.expect_last(FULL);
    other.expect("ACK");
    server.stdout.expect("203.0.113.7:2 refused (too many from this address)");
    // Of IPv6 a /64 is one.
    let six = |address: &str| {
        let mut proxy = server.quiet_client();
        proxy.send(format!("PROXY TCP6 {address} ::1 5 6\r\nhello"));
        proxy
    };
    let (mut one, mut same, mut other) = (six("2001:db8::1"), six("2001:db8::ffff:2"), six("2001:db8:0:1::1"));
    one.expect("ACK");
    same.expect_last(FULL);
    other.expect("ACK");
    assert_eq!((server.stat("refused"), server.stat("total"), server.stat("connections")), (2.0, 4.0, 4.0));
}

#[test]
fn of_quiet_addresses_nothing_is_told_and_everything_counted() {
    for format in ["text", "json"] {
        let mut server = operated(&format!("--quiet-from 10.0.0.0/8 --quiet-from 127.0.0.1 --format {format}"));
        let listening = server.stdout.count();
        let mut client = server.quiet_client();
        client.exchange("hello", "ACK");
        server.peer().check("hello");
        drop(client);
        let mut resets = server.quiet_client();
        resets.exchange("hello", "ACK");
        resets.reset();
        wait_until("both have gone", || (server.stat("connections") == 0.0).then_some(()));
        let figures = ["total", "messages", "acks", "datagrams_in", "datagrams_out", "resets", "lines_dropped"];
        let figures: HashMap<_, _> = figures.map(|name| (name, server.stat(name))).into();
        let wanted = [("total", 2.0), ("messages", 2.0), ("acks", 2.0), ("datagrams_in", 1.0), ("datagrams_out", 1.0)];
        wanted.into_iter().for_each(|(name, value)| assert_eq!(figures[name], value, "{name}"));
        assert_eq!((figures["resets"], figures["lines_dropped"]), (0.0, 0.0));
        let told = server.stdout.so_far();
        let asked = |line: &String| line.starts_with("uptime=") || line.contains(r#""event":"stats""#);
        assert!(told[listening..].iter().all(asked), "{told:?}");
    }
}

#[test]
fn a_frame_that_a_quiet_one_cuts_short_is_no_diagnostic() {
    let mut server = operated("--quiet-from 127.0.0.2 --framing length");
    let quiet: SocketAddr = "127.0.0.2:0".parse().unwrap();
    for (source, total) in [(Some(quiet), 1.0), (None, 2.0)] {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        source.into_iter().for_each(|source| socket.bind(&source.into()).unwrap());
        socket.connect(&server.tcp().into()).unwrap();
        socket.send(b"\0\0\0\x05he").unwrap();
        socket.shutdown(Shutdown::Both).unwrap();
        wait_until("its coming", || (server.stat("total") == total).then_some(()));
        wait_until("its going", || (server.stat("connections") == 0.0).then_some(()));
    }
    server.stderr.find("the other one's", |line| line.contains("ended its stream within a message"));
    let told = server.stderr.so_far();
    assert!(!told.iter().any(|line| line.contains("127.0.0.2")), "{told:?}");
}

#[test]
fn others_are_told_as_ever_and_the_quiet_answer_to_the_operator() {
    let mut server = operated("--quiet-from 127.0.0.2");
    let mut loud = server.client();
    loud.exchange("hello", "ACK");
    server.stdout.expect(&format!("{} sent: hello", loud.name()));
    let mut quiet = Client::connect_from("127.0.0.2:0".parse().unwrap(), server.tcp());
    quiet.exchange("hello", "ACK");
    server.ask("clients", |line| line.starts_with(&format!("{} connected ", quiet.name())));
    let line = format!("{} disconnected (operator)", quiet.name());
    server.ask(&format!("close {}", quiet.name()), |answer| answer == line);
    let peer = server.peer();
    peer.check("hello");
    server.stdout.find("its datagram", |line| line.ends_with(" sent a datagram: hello"));
    let quiet = server.stdout.so_far().iter().filter(|line| line.starts_with("127.0.0.2:")).count();
    assert_eq!(quiet, 2, "the operator's two answers alone");
}

#[test]
fn behind_a_proxy_the_quiet_are_who_the_header_names_and_its_own_checks() {
    let server = server("-t --proxy-protocol 127.0.0.1 --quiet-from 127.0.0.1 --quiet-from 203.0.113.0/24");
    let come = |header: &[u8]| {
        let mut proxy = server.quiet_client();
        proxy.send(header);
        proxy.exchange("hello", "ACK");
        proxy
    };
    let _check = come(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
    let _quiet = come(b"PROXY TCP4 203.0.113.7 10.0.0.2 1 2\r\n");
    // A bad header is the proxy's own.
    let mut bad = server.quiet_client();
    bad.send("hello");
    let _ = bad.try_read_to_end();
    let loud = come(b"PROXY TCP4 198.51.100.7 10.0.0.2 1 2\r\n");
    server.stdout.expect("198.51.100.7:1 sent: hello");
    let told = server.stdout.so_far();
    assert_eq!(told[1..], [format!("198.51.100.7:1 via {} connected", loud.name()), told[2].clone()]);
}

#[test]
fn a_transcript_of_connections_has_no_messages() {
    for framing in ["bytes", "lines"] {
        let mut server = operated(&format!("--transcript connections --framing {framing}"));
        let mut client = server.client();
        let (message, ack) = if framing == "lines" { ("hello\n", "ACK\n") } else { ("hello", "ACK") };
        (0..10).for_each(|_| client.exchange(message, ack));
        server.peer().check("hello");
        client.send("a rest");
        let name = client.name();
        client.finish_writing();
        client.expect_last(ack);
        server.stdout.expect(&format!("{name} disconnected (closed)"));
        assert_eq!(
            (server.stat("messages"), server.stat("datagrams_in"), server.stat("lines_dropped")),
            (11.0, 1.0, 0.0)
        );
        let told = server.stdout.so_far();
        assert!(!told.iter().any(|line| line.contains("sent")), "{told:?}");
    }
}

#[test]
fn no_transcript_is_quiet_and_all_is_the_default() {
    let mut server = operated("-t --transcript none");
    let mut client = server.quiet_client();
    client.exchange("hello", "ACK");
    drop(client);
    wait_until("its end", || (server.stat("connections") == 0.0).then_some(()));
    assert!(server.stdout.so_far()[1..].iter().all(|line| line.starts_with("uptime=")));
    let server = crate::harness::server("-t --transcript all");
    let mut client = server.client();
    client.exchange("hello", "ACK");
    server.stdout.expect(&format!("{} sent: hello", client.name()));
}
