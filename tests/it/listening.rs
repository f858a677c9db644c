//! Where the server listens, and what it says when it cannot.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use nix::sys::signal::Signal::SIGTERM;

use crate::harness::{Client, DEADLINE, Launch, Peer, Server, has_v6, private_loopback, server};

#[test]
fn both_protocols_share_the_port_that_the_system_chose() {
    let server = server("");
    assert_eq!(server.tcp(), server.udp());
    assert_ne!(server.tcp().port(), 0);
    server.client().exchange("hello", "ACK");
    server.peer().check("hello");
}

#[test]
fn the_default_port_is_6666() {
    let host = private_loopback();
    let process = Launch::server(&["--host", &host.to_string()]).start();
    process.stdout.expect(&format!("TCP server listening on {host}:6666"));
    process.stdout.expect(&format!("UDP server listening on {host}:6666"));
}

#[test]
fn the_default_address_is_127_0_0_1() {
    let process = Launch::server(&["-p", "0"]).start();
    process.stdout.find("the listener", |line| line.starts_with("TCP server listening on 127.0.0.1:"));
    process.stdout.find("the socket", |line| line.starts_with("UDP server listening on 127.0.0.1:"));
}

#[test]
fn tcp_is_announced_before_udp() {
    let server = server("");
    let expected = ["TCP", "UDP"].map(|protocol| format!("{protocol} server listening on {}", server.tcp()));
    assert_eq!(server.stdout.so_far(), expected);
}

/// A server on an address of its own, where nobody else's ports can be mistaken for its.
fn secluded(args: &str) -> Server {
    server(&format!("{args} -p 7003"))
}

#[test]
fn with_t_alone_udp_is_not_bound() {
    let server = secluded("-t");
    server.client().exchange("hello", "ACK");
    Peer::connect(server.tcp()).expect_refused();
    assert_eq!(server.stdout.so_far()[0], format!("TCP server listening on {}", server.tcp()));
    assert!(!server.stdout.so_far().iter().any(|line| line.starts_with("UDP")));
}

#[test]
fn with_u_alone_tcp_is_not_bound() {
    let server = secluded("--udp");
    server.peer().check("hello");
    assert!(TcpStream::connect(server.udp()).is_err());
    assert_eq!(server.stdout.so_far()[0], format!("UDP server listening on {}", server.udp()));
}

#[test]
fn t_and_u_together_ask_for_both() {
    let server = server("-t -u");
    server.client().exchange("hello", "ACK");
    server.peer().check("hello");
}

#[test]
fn a_taken_udp_port_leaves_nothing_bound_and_is_named() {
    let address = (private_loopback(), 7004).into();
    let _held = UdpSocket::bind(address).unwrap();
    refuses_to_start(address, "udp");
}

#[test]
fn a_taken_tcp_port_leaves_nothing_bound_and_is_named() {
    let address = (private_loopback(), 7004).into();
    let _held = TcpListener::bind(address).unwrap();
    refuses_to_start(address, "tcp");
}

#[test]
fn a_second_server_on_the_same_port_is_refused_and_the_first_serves_on() {
    let first = secluded("-u");
    refuses_to_start(first.udp(), "udp");
    first.peer().check("hello");
}

/// Starts a server there for both protocols, which must name protocol, address and cause, and exit 1.
#[track_caller]
fn refuses_to_start(taken: SocketAddr, protocol: &str) {
    let mut process = Launch::server(&["--host", &taken.ip().to_string(), "-p", &taken.port().to_string()]).start();
    assert_eq!(process.wait_exit(), 1);
    let said = process.stderr.to_end().join("\n");
    assert!(said.to_lowercase().contains(protocol), "no protocol in {said:?}");
    assert!(said.contains(&taken.to_string()), "no address in {said:?}");
    assert!(said.to_lowercase().contains("in use"), "no cause in {said:?}");
    assert_eq!(process.stdout.to_end(), [""; 0], "a listening line of a server that does not listen");
}

#[test]
fn an_address_of_another_machine_is_refused_with_its_cause() {
    let mut process = Launch::server(&["--host", "192.0.2.1", "-p", "0"]).start();
    assert_eq!(process.wait_exit(), 1);
    let said = process.stderr.to_end().join("\n");
    assert!(said.contains("192.0.2.1") && said.to_lowercase().contains("assign"), "{said:?}");
}

#[test]
fn a_port_can_be_taken_again_at_once_after_a_shutdown_under_clients() {
    let host = private_loopback().to_string();
    for _ in 0..3 {
        let mut process = Launch::server(&["--host", &host, "-p", "7001"]).start();
        process.stdout.expect(&format!("UDP server listening on {host}:7001"));
        let mut client = Client::connect(format!("{host}:7001").parse().unwrap());
        client.exchange("hello", "ACK");
        process.signal(SIGTERM);
        client.expect_last("server is shutting down");
        drop(client);
        assert_eq!(process.wait_exit(), 0);
    }
}

#[test]
fn a_host_may_be_a_name() {
    let server = server("--host localhost");
    assert!(server.tcp().ip().is_loopback());
    server.client().exchange("hello", "ACK");
    server.peer().check("hello");
}

#[test]
fn ipv6_is_bracketed_beside_its_port() {
    if !has_v6() {
        return;
    }
    let server = server("--host ::1");
    assert_eq!(server.tcp().ip(), IpAddr::V6(Ipv6Addr::LOCALHOST));
    server.stdout.expect(&format!("TCP server listening on [::1]:{}", server.tcp().port()));
    let mut client = server.client();
    assert!(client.name().starts_with("[::1]:"));
    client.exchange("hello", "ACK");
    let peer = server.peer();
    peer.check("hello");
    server.stdout.expect(&format!("{} sent a datagram: hello", peer.name()));
}

#[test]
fn the_unspecified_ipv6_address_serves_both_families_and_shows_ipv4_as_ipv4() {
    if !has_v6() {
        return;
    }
    let server = server("--host ::");
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, server.tcp().port()));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, server.tcp().port()));
    for address in [v4, v6] {
        let mut client = Client::connect(address);
        client.exchange("hello", "ACK");
        server.stdout.expect(&format!("{} sent: hello", client.name()));
        let peer = Peer::connect(address);
        peer.check("hello");
        server.stdout.expect(&format!("{} sent a datagram: hello", peer.name()));
    }
}

#[test]
fn on_all_addresses_a_broadcast_is_answered_whichever_family_is_bound() {
    for host in ["0.0.0.0", "::"].into_iter().filter(|&host| host != "::" || has_v6()) {
        let server = server(&format!("-u --host {host}"));
        let port = server.udp().port();
        let socket = UdpSocket::bind((private_loopback(), 0)).unwrap();
        socket.set_broadcast(true).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        for _ in 0..2 {
            socket.send_to(b"hello", (Ipv4Addr::new(127, 255, 255, 255), port)).unwrap();
            let mut buffer = [0; 16];
            let (length, _) = socket.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"check", "{host}");
            // Who asks one address alone is answered from there, before and behind it.
            Peer::connect((private_loopback(), port).into()).check("hello");
        }
    }
}
