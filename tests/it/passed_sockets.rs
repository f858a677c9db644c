//! Sockets that were passed: used in place of the server's own, and left to whoever comes next.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};

use nix::sys::signal::Signal::{SIGINT, SIGTERM};

use crate::harness::{
    Client, Held, Input, Launch, Peer, Process, Scratch, ServerBuilder, closed_port, have, in_tables, pass, pass_two,
    private_loopback, run, server_under_test, undisturbed, wait_until,
};

const NOTICE: &str = "server is shutting down";

/// systemd's own, which starts the server when somebody comes.
#[track_caller]
fn socket_activate(words: &str, server: &str) -> Option<Process> {
    if !have("systemd-socket-activate") {
        return None;
    }
    let server = format!("{words} {} {server}", server_under_test());
    let words: Vec<&str> = server.split_whitespace().collect();
    Some(Launch::program("systemd-socket-activate", &words).start())
}

/// Waits until it listens.
fn connect(address: SocketAddr) -> Client {
    drop(wait_until("the supervisor", || TcpStream::connect(address).ok()));
    Client::connect(address)
}

/// Whether somebody has this address for datagrams. (To try would be to have it oneself for a moment.)
fn is_bound(address: SocketAddr) -> bool {
    fs::read_to_string("/proc/net/udp").unwrap().contains(&format!(": {} ", in_tables(address)))
}

#[test]
fn systemd_passes_a_stream_socket() {
    for (format, line) in [("text", "TCP server listening on "), ("json", r#""event":"listening","protocol":"tcp""#)] {
        let address = closed_port(private_loopback());
        let Some(mut server) = socket_activate(&format!("-l {address}"), &format!("--format {format}")) else { return };
        connect(address).exchange("hello", "ACK");
        let listening = server.stdout.find("that it listens", |said| said.contains(line));
        assert!(listening.contains(&address.to_string()), "{listening}");
        assert!(UdpSocket::bind(address).is_ok(), "only what is passed is served");
        server.signal(SIGTERM);
        assert_eq!(server.wait_exit(), 0);
    }
}

#[test]
fn systemd_passes_a_datagram_socket() {
    let address = closed_port(private_loopback());
    let Some(mut server) = socket_activate(&format!("-d -l {address}"), "") else { return };
    wait_until("the supervisor", || is_bound(address).then_some(()));
    let peer = Peer::connect(address);
    peer.check("hello");
    server.stdout.expect(&format!("UDP server listening on {address}"));
    assert!(TcpListener::bind(address).is_ok(), "only what is passed is served");
    server.signal(SIGTERM);
    assert_eq!(server.wait_exit(), 0);
    peer.expect_nothing_yet();
}

#[test]
fn systemd_passes_both() {
    let address = closed_port(private_loopback());
    // It hands on what it was passed itself.
    let Some(mut server) = socket_activate(&format!("-l {address} systemd-socket-activate -d -l {address}"), "") else {
        return;
    };
    let mut client = connect(address);
    wait_until("the second supervisor", || is_bound(address).then_some(()));
    Peer::connect(address).check("hello");
    client.exchange("hello", "ACK");
    server.stdout.expect(&format!("TCP server listening on {address}"));
    server.stdout.expect(&format!("UDP server listening on {address}"));
    server.signal(SIGTERM);
    client.expect_last(NOTICE);
    drop(client);
    assert_eq!(server.wait_exit(), 0);
}

#[test]
fn inetd_s_way_is_refused_with_a_sentence() {
    let address = closed_port(private_loopback());
    let Some(server) = socket_activate(&format!("--inetd -a -l {address}"), "") else { return };
    let mut client = connect(address);
    // Its stdout is the connection, and stays empty.
    server.stderr.find("the refusal", |line| line.starts_with("reactor-server: stdin is a network socket"));
    client.expect_end();
}

#[test]
fn where_nothing_is_passed_it_binds_as_always() {
    for nothing in [
        "LISTEN_FDS=0 LISTEN_PID=$$",
        "LISTEN_PID=$$",
        // Passed to somebody else, whose environment it has.
        "LISTEN_FDS=1 LISTEN_PID=1",
        "LISTEN_FDS=1",
        "LISTEN_FDS=1 LISTEN_PID=me",
    ] {
        // What descriptor 3 is, is then nobody's business.
        let script = format!("exec 3<&0 </dev/null; {nothing} exec \"$0\" \"$@\"");
        let foreign = || Input::Given(OwnedFd::from(udp()).into());
        let server = ServerBuilder::new("").stdin(foreign()).with(|launch| launch.through_shell(&script)).start();
        server.client().exchange("hello", "ACK");
        server.peer().check("hello");
    }
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let fifo = Scratch::path("operator");
    nix::unistd::mkfifo(&fifo.0, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // As a unit with an operator's FIFO, `StandardInput=fd:`, has it: as stdin and among what is passed.
    let script =
        format!("exec 3<>{} 4</dev/null; exec 0<&3; LISTEN_FDS=2 LISTEN_PID=$$ exec \"$0\" \"$@\"", fifo.0.display());
    let mut server = ServerBuilder::new("").with(|launch| launch.through_shell(&script)).start();
    server.client().exchange("hello", "ACK");
    server.peer().check("hello");
    std::fs::OpenOptions::new().write(true).open(&fifo.0).unwrap().write_all(b"shutdown\n").unwrap();
    assert_eq!(server.wait_exit(), 0);
}

/// Two ends of one connection.
fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn udp() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

#[track_caller]
fn expect_refusal(launch: Launch, what: &str) {
    let ended = run(launch);
    assert_eq!((ended.code, ended.out.len()), (2, 0), "{what}: {:?}", ended.out);
    expect_sentence(&ended.err, what);
}

/// The same of a server that was passed two sockets: its stderr is mixed into its stdout.
#[track_caller]
fn expect_refusal_of_two(launch: Launch, what: &str) {
    let mut process = launch.start();
    assert_eq!(process.wait_exit(), 2, "{what}");
    expect_sentence(&process.stdout.to_end(), what);
}

#[track_caller]
fn expect_sentence(said: &[String], what: &str) {
    assert_eq!(said.len(), 1, "{what}: {said:?}");
    assert!(said[0].starts_with("reactor-server: ") && said[0].contains(what), "{what}: {said:?}");
}

#[test]
fn what_cannot_be_served_is_refused_with_a_sentence() {
    let tcp = || TcpListener::bind("127.0.0.1:0").unwrap();
    expect_refusal_of_two(pass_two("", tcp(), tcp()), "two stream sockets were passed");
    expect_refusal_of_two(pass_two("", udp(), udp()), "two datagram sockets were passed");
    let path = Scratch::path("unix");
    expect_refusal(pass("", UnixListener::bind(&path.0).unwrap()), "a Unix socket");
    expect_refusal(pass("", UnixDatagram::unbound().unwrap()), "a Unix socket");
    expect_refusal_of_two(pass_two("", tcp(), UnixDatagram::unbound().unwrap()), "descriptor 4");
    let (client, accepted) = connected();
    expect_refusal(pass("", accepted), "is a stream socket that is connected already");
    drop(client);
    let (one, other) = (udp(), udp());
    one.connect(other.local_addr().unwrap()).unwrap();
    expect_refusal(pass("", one), "is a datagram socket that is connected already");
    let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    expect_refusal(pass("", bound), "a stream socket that does not listen");
    for nonsense in ["two", "-1", "99999999999999999999", "4000000000"] {
        let script = format!("LISTEN_FDS={nonsense} LISTEN_PID=$$ exec \"$0\"");
        expect_refusal(Launch::server(&[]).through_shell(&script), &format!("LISTEN_FDS is '{nonsense}'"));
    }
    // By stdin: connected, or the listening one itself.
    let (client, accepted) = connected();
    for stdin in [OwnedFd::from(accepted), tcp().into(), udp().into()] {
        expect_refusal(Launch::server(&[]).stdin(Input::Given(stdin.into())), "stdin is a network socket");
    }
    drop(client);
}

#[test]
fn what_says_what_to_bind_is_refused_beside_passed_sockets() {
    for option in ["--host 127.0.0.1", "--port 6666", "-p 0", "-t", "-u", "--tcp", "--udp", "--reuse-port"] {
        let socket = udp();
        let long = match option.split(' ').next().unwrap() {
            "-p" => "--port",
            "-t" => "--tcp",
            "-u" => "--udp",
            long => long,
        };
        expect_refusal(pass(option, socket), &format!("{long} says what to bind, but sockets were passed"));
    }
}

#[test]
fn what_waits_at_the_end_stays_for_the_next_process() {
    undisturbed(|| {
        for (format, signal) in [("text", SIGTERM), ("json", SIGINT)] {
            let held = Held::new();
            let mut first = held.server(&format!("--format {format}")).start();
            let (mut known, peer) = (held.client(), held.peer());
            known.exchange("hello", "ACK");
            peer.check("hello");
            first.stop();
            let mut waiting = [held.client(), held.client(), held.client()];
            for client in &mut waiting {
                client.send("waiting");
            }
            let late = held.peer();
            late.send("waiting, too");
            first.signal(signal);
            first.resume();
            known.expect_last(NOTICE);
            drop(known);
            assert_eq!(first.wait_exit(), 0);
            for client in &waiting {
                client.expect_nothing_yet();
            }
            late.expect_nothing_yet();
            // Not even a goodbye: it will be answered again.
            peer.expect_nothing_yet();

            let mut second = held.server(&format!("--format {format}")).start();
            for client in &mut waiting {
                client.expect("ACK");
            }
            late.expect("check");
            peer.check("again");
            second.signal(signal);
            for client in &mut waiting {
                client.expect_last(NOTICE);
            }
            drop(waiting);
            assert_eq!(second.wait_exit(), 0);
            peer.expect_nothing_yet();
        }
    });
}

#[test]
fn the_loop_does_not_spin_by_a_socket_that_was_left() {
    let held = Held::new();
    let mut server = held.server("--grace 60").start();
    let mut lingering = held.client();
    lingering.exchange("hello", "ACK");
    server.signal(SIGTERM);
    lingering.expect_last(NOTICE);
    let sleeps = server.proc().sleeps();
    for _ in 0..100 {
        drop(held.client());
        held.peer().send("for the next one");
    }
    let woken = server.proc().sleeps() - sleeps;
    assert!(woken < 20, "woken {woken} times by what is not its own any more");
    drop(lingering);
    assert_eq!(server.wait_exit(), 0);
}

#[test]
fn datagrams_are_answered_from_where_they_were_sent_to_whatever_an_earlier_process_had_switched_on() {
    let held = Held::at("0.0.0.0:0");
    let at = |ip: &str| std::net::SocketAddr::new(ip.parse().unwrap(), held.address().port());
    let mut first = held.server("").start();
    // A probe has the kernel tell times, with each datagram of this socket from now on.
    Peer::connect(at("127.0.0.2")).send([b"ACKSTAMP".as_slice(), &[0; 64]].concat());
    first.stdout.find("the probe", |line| line.contains("probe 0 (72 bytes)"));
    first.signal(SIGTERM);
    assert_eq!(first.wait_exit(), 0);
    let _second = held.server("").start();
    for ip in ["127.0.0.1", "127.0.0.3"] {
        // It hears nobody else.
        Peer::connect(at(ip)).check("hello");
    }
}

#[test]
fn datagrams_are_answered_from_where_they_were_sent_to_whatever_another_process_switches_on() {
    let held = Held::at("0.0.0.0:0");
    let at = |ip: &str| std::net::SocketAddr::new(ip.parse().unwrap(), held.address().port());
    let first = held.server("").start();
    Peer::connect(at("127.0.0.1")).check("hello");
    first.stop();
    let mut second = held.server("").start();
    Peer::connect(at("127.0.0.2")).send([b"ACKSTAMP".as_slice(), &[0; 64]].concat());
    second.stdout.find("the probe", |line| line.contains("probe 0 (72 bytes)"));
    second.signal(SIGTERM);
    assert_eq!(second.wait_exit(), 0);
    first.resume();
    for ip in ["127.0.0.1", "127.0.0.3"] {
        Peer::connect(at(ip)).check("hello");
    }
}
