//! The page for monitors: what it tells, who is answered what, and that nobody else waits for those who look.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGTERM;

use crate::harness::{
    Client, DEADLINE, Input, Launch, Server, ServerBuilder, closed_port, have, private_loopback, undisturbed,
    wait_until,
};

const REQUEST: &str = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A server with a door for monitors, and where that is.
#[track_caller]
fn watched(args: &str) -> (Server, SocketAddr) {
    let server = ServerBuilder::new(&format!("{args} --metrics 127.0.0.1:0")).operated().start();
    let address = door(&server);
    (server, address)
}

#[track_caller]
pub(crate) fn door(server: &Server) -> SocketAddr {
    let told = server.stderr.find("where the metrics are", |line| line.contains("metrics are at http://"));
    let address = told.split_once("http://").unwrap().1.strip_suffix("/metrics").unwrap();
    address.parse().unwrap()
}

/// Sends a request, and gives the head and the body of the answer once it has come to its clean end.
#[track_caller]
fn answer(door: SocketAddr, request: impl AsRef<[u8]>) -> (String, String) {
    let mut visitor = Client::connect(door);
    visitor.send(request);
    let answer = String::from_utf8(visitor.read_to_end()).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer but {answer:?}"));
    (head.to_owned(), body.to_owned())
}

#[track_caller]
pub(crate) fn page(door: SocketAddr) -> String {
    let (head, body) = answer(door, REQUEST);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"), "{head}");
    body
}

/// The samples of a page, without the prefix that each must have.
#[track_caller]
pub(crate) fn samples(page: &str) -> HashMap<String, f64> {
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.strip_prefix("ack_reactor_").unwrap().rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    samples.map(sample).collect()
}

#[test]
fn the_page_tells_what_happened() {
    undisturbed(|| {
        let (mut server, door) = watched("-t -u --framing lines --max-connections 2 --max-message 8 --idle-timeout 2");
        let address = server.tcp();
        let idle = Client::connect(address);
        server.stdout.find("the idle cut", |line| line.ends_with("disconnected (idle)"));
        drop(idle);
        server.client().exchange("one\ntwo\n", "ACK\nACK\n");
        server.stdout.find("a clean end", |line| line.ends_with("disconnected (closed)"));
        server.client().exchange("much too long\n", "message too long\n");
        server.client().reset();
        server.stdout.find("a reset", |line| line.ends_with("disconnected (reset)"));
        let told = server.client();
        server.type_in(&format!("close {}\n", told.name()));
        server.stdout.find("a cut", |line| line.ends_with("disconnected (operator)"));
        let mut stays = [server.client(), server.client()];
        Client::connect(address).expect_last("server is full\n");
        server.peer().check("hello");
        server.peer().check("hey");
        stays.iter_mut().for_each(|client| client.exchange("\n", "ACK\n"));
        let samples = samples(&page(door));
        let value = |name: &str| samples.get(name).copied().unwrap_or_else(|| panic!("no {name} in {samples:#?}"));
        let closed = |reason: &str| value(&format!("connections_closed_total{{reason=\"{reason}\"}}"));
        // The two that stay may have been silent for too long by now.
        let late = closed("idle") - 1.0;
        for (name, expected) in [
            ("connections", 2.0 - late),
            ("connections_max", 2.0),
            ("connections_accepted_total", 7.0),
            ("connections_refused_total{reason=\"full\"}", 1.0),
            ("connections_refused_total{reason=\"address\"}", 0.0),
            ("messages_total{protocol=\"tcp\"}", 4.0),
            ("messages_total{protocol=\"udp\"}", 2.0),
            ("acknowledgements_total{protocol=\"tcp\"}", 4.0),
            ("acknowledgements_total{protocol=\"udp\"}", 2.0),
            ("message_bytes_total{protocol=\"tcp\"}", 6.0),
            ("message_bytes_total{protocol=\"udp\"}", 8.0),
            ("datagrams_unanswered_total", 0.0),
            ("transcript_lines_dropped_total", 0.0),
            (&format!("build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1.0),
        ] {
            assert!((value(name) - expected).abs() < 0.1, "{name}: {} and not {expected}", value(name));
        }
        for (reason, expected) in
            [("closed", 1.0), ("too long", 1.0), ("reset", 1.0), ("operator", 1.0), ("shutdown", 0.0), ("error", 0.0)]
        {
            assert!((closed(reason) - expected).abs() < 0.1, "{reason}: {}", closed(reason));
        }
        let turns = value("turn_seconds_count");
        assert!(turns > 10.0 && value("turn_seconds_sum") > 0.0, "{samples:#?}");
        assert!((value("turn_seconds_bucket{le=\"+Inf\"}") - turns).abs() < 0.1, "{samples:#?}");
    });
}

#[test]
fn prometheus_has_nothing_to_say_against_the_page() {
    undisturbed(|| {
        if !have("promtool") {
            return;
        }
        for args in ["-t -u", "-t", "-u --format json"] {
            let (server, door) = watched(args);
            let page = page(door);
            let check = Launch::program("promtool", &["check", "metrics"]).stdin(Input::Pipe);
            let mut promtool = check.start();
            promtool.type_in(&page);
            promtool.end_input();
            assert_eq!(promtool.wait_exit(), 0, "{:?}\n{page}", promtool.stderr.to_end());
            let said = [promtool.stdout.to_end(), promtool.stderr.to_end()].concat();
            assert_eq!(said, [""; 0], "{page}");
            drop(server);
        }
    });
}

#[test]
fn each_request_has_its_answer() {
    undisturbed(|| {
        let (_server, door) = watched("");
        let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(4096));
        for (request, status) in [
            ("GET /metrics HTTP/1.0\r\n\r\n", "200 OK"),
            ("GET /metrics?x=y HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK"),
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404 Not Found"),
            ("POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "405 Method Not Allowed"),
            ("nonsense\r\n\r\n", "400 Bad Request"),
            (&long, "400 Bad Request"),
        ] {
            let (head, body) = answer(door, request);
            assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request:.40}: {head}");
            assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{request:.40}: {head}");
            assert!(head.contains("\r\nConnection: close") && !body.is_empty(), "{request:.40}: {head}");
            assert_eq!(head.contains("\r\nAllow: GET, HEAD"), status.starts_with("405"), "{head}");
        }
        let (head, body) = answer(door, "HEAD /metrics HTTP/1.1\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && body.is_empty(), "{head}\n{body}");
    });
}

#[test]
fn a_request_may_come_in_pieces_and_its_sender_may_end_behind_it() {
    undisturbed(|| {
        let (server, door) = watched("");
        let mut bystander = server.client();
        let mut visitor = Client::connect(door);
        for piece in REQUEST.as_bytes().chunks(7) {
            visitor.send(piece);
            // By then it has been read.
            bystander.exchange("hello", "ACK");
        }
        visitor.finish_writing();
        assert!(visitor.read_to_end().starts_with(b"HTTP/1.1 200 OK\r\n"));
        let mut silent = Client::connect(door);
        silent.finish_writing();
        silent.expect_end();
        let mut torn = Client::connect(door);
        torn.send("GET /met");
        torn.finish_writing();
        assert!(torn.read_to_end().starts_with(b"HTTP/1.1 400 "));
    });
}

/// Goes on until the visitor is cut.
#[track_caller]
fn until_cut(mut visit: impl FnMut() -> bool) {
    let began = Instant::now();
    while visit() {
        assert!(began.elapsed() < DEADLINE, "it is never cut");
    }
}

#[test]
fn a_visitor_has_a_second_whatever_it_does() {
    undisturbed(|| {
        let (server, door) = watched("");
        let mut bystander = server.client();
        let mut is_well = || {
            bystander.exchange("hello", "ACK");
            true
        };
        // Silent.
        let began = Instant::now();
        Client::connect(door).expect_end();
        assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
        // Slow: a request that never ends.
        let mut slow = Client::connect(door);
        until_cut(|| is_well() && slow.try_send(b"G"));
        // Does not take its answer, nor end.
        let mut deaf = Client::connect_narrow(door, 2048);
        deaf.send(REQUEST);
        until_cut(|| is_well() && deaf.try_send(b"more"));
        // Never stops.
        let mut endless = Client::connect(door);
        let junk = vec![b'x'; 65536];
        until_cut(|| is_well() && endless.try_send(&junk));
        page(door);
    });
}

#[test]
fn the_next_visitors_wait_and_nobody_else_does() {
    undisturbed(|| {
        let (server, door) = watched("");
        let mut bystander = server.client();
        let first = Client::connect(door);
        let asking: Vec<_> = (0..20)
            .map(|_| {
                thread::spawn(move || {
                    let mut visitor = Client::connect(door);
                    visitor.send(REQUEST);
                    visitor.read_to_end().starts_with(b"HTTP/1.1 200 OK\r\n")
                })
            })
            .collect();
        // The first holds the door: nobody else is answered, and whoever comes for an ACK has it.
        for _ in 0..20 {
            bystander.exchange("hello", "ACK");
        }
        drop(first);
        assert!(asking.into_iter().all(|visitor| visitor.join().unwrap()));
    });
}

#[test]
fn one_visitor_at_a_time_is_inside() {
    undisturbed(|| {
        let (server, door) = watched("-t");
        let descriptors = || server.proc().descriptors();
        let before = descriptors();
        let began = Instant::now();
        let mut first = Client::connect(door);
        wait_until("the first visitor", || (descriptors() > before).then_some(()));
        // Each of these knocks.
        let mut others: Vec<Client> = (0..5).map(|_| Client::connect(door)).collect();
        others.iter_mut().for_each(|other| other.send(REQUEST));
        assert!(descriptors() <= before + 1);
        // It keeps its second, and then they have their turn.
        first.expect_end();
        assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
        assert!(others.iter_mut().all(|other| other.read_to_end().starts_with(b"HTTP/1.1 200 OK\r\n")));
    });
}

#[test]
fn a_port_that_was_asked_for_is_told_to_who_wants_to_know() {
    let address = SocketAddr::new(private_loopback(), 9100);
    let words = format!("-t --metrics {address}");
    let quiet = ServerBuilder::new(&words).start();
    page(address);
    assert_eq!(quiet.stdout.so_far().len(), 1, "{:?}", quiet.stdout.so_far());
    assert_eq!(quiet.stderr.so_far(), [""; 0]);
    drop(quiet);
    let server = ServerBuilder::new(&words).with(|launch| launch.env("RUST_LOG", "info")).start();
    assert_eq!(door(&server), address);
}

#[test]
fn the_resets_of_who_is_quiet_are_ends_like_others() {
    let (mut server, door) = watched("-t --quiet-from 127.0.0.2");
    for from in ["127.0.0.2:0", "127.0.0.1:0"] {
        let mut client = Client::connect_from(from.parse().unwrap(), server.tcp());
        client.exchange("hello", "ACK");
        client.reset();
    }
    wait_until("their ends", || (server.stat("connections") == 0.0).then_some(()));
    let samples = samples(&page(door));
    let closed = |reason: &str| samples[&format!("connections_closed_total{{reason=\"{reason}\"}}")];
    assert_eq!((closed("reset"), closed("closed"), server.stat("resets")), (1.0, 1.0, 1.0));
}

#[test]
fn a_door_that_cannot_be_bound_ends_the_start_and_names_it() {
    let address = private_loopback();
    let taken = TcpListener::bind((address, 0)).unwrap();
    let door = taken.local_addr().unwrap().to_string();
    let mut server = Launch::server(&["--host", &address.to_string(), "-p", "0", "--metrics", &door]).start();
    assert_eq!(server.wait_exit(), 1);
    assert_eq!(server.stderr.to_end(), [format!("reactor-server: cannot bind tcp {door}: Address already in use")]);
    assert_eq!(server.stdout.to_end(), [""; 0]);
}

#[test]
fn a_shared_port_is_not_shared_with_the_clients() {
    let address = private_loopback();
    let free = closed_port(address);
    for door in [free.to_string(), format!("0.0.0.0:{}", free.port())] {
        let (host, port) = (address.to_string(), free.port().to_string());
        let words = ["--host", &host, "-p", &port, "-t", "--reuse-port", "--metrics", &door];
        let mut server = Launch::server(&words).start();
        assert_eq!(server.wait_exit(), 2);
        let said = format!("reactor-server: --metrics {door} is where clients are served: give it a port of its own");
        assert_eq!(server.stderr.to_end(), [said]);
    }
}

#[test]
fn a_host_without_an_address_is_named_with_exit_2() {
    let mut server = Launch::server(&["-p", "0", "--metrics", "no-such-host.invalid:9100"]).start();
    assert_eq!(server.wait_exit(), 2);
    let said = server.stderr.to_end();
    assert!(said[0].contains("cannot resolve the host name 'no-such-host.invalid'"), "{said:?}");
}

#[test]
fn at_a_shutdown_this_door_closes_first() {
    let (mut server, door) = watched("-t --grace 10");
    // It reads nothing, so it stays for the grace.
    let mut lingers = server.client();
    lingers.send("hello");
    let mut visitor = Client::connect(door);
    visitor.send("GET");
    server.proc().wait_state('S');
    server.signal(SIGTERM);
    server.stdout.find("the shutdown", |line| line == "server is shutting down");
    visitor.try_read_to_end().unwrap_or_default();
    let refused = TcpStream::connect_timeout(&door, DEADLINE).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(server.is_running());
    lingers.expect_last("ACKserver is shutting down");
    drop(lingers);
    assert_eq!(server.wait_exit(), 0);
}
