//! A proxy says first for whom it speaks: the PROXY header, whole, in pieces, late, false, and never.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Client, Server, ServerBuilder, has_v6, server, sooner_than, undisturbed};

/// Where all tests come from.
const HERE: &str = "-t --proxy-protocol 127.0.0.0/8";
const LINE: &[u8] = b"PROXY TCP4 203.0.113.7 10.0.0.2 40001 6666\r\n";
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x0a\0\0\x02\x9c\x41\x1a\x0a";
/// As long as a header may be: the addresses, and the rest in one TLV that means nothing.
fn longest() -> Vec<u8> {
    let head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x0f\xf0\xcb\0\x71\x07\x0a\0\0\x02\x9c\x41\x1a\x0a\x04\x0f\xe1";
    [&head[..], &[0; 4096 - 31]].concat()
}
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const NAME: &str = "203.0.113.7:40001";

/// Waits for the line that the client behind this proxy has come.
#[track_caller]
fn expect_named(server: &Server, proxy: &Client) {
    server.stdout.expect(&format!("{NAME} via {} connected", proxy.name()));
}

/// What follows the header must be the messages, and they the client's.
#[track_caller]
fn expect_served(framing: &str, header: &[u8], in_pieces: bool) {
    let (message, ack) = match framing {
        "bytes" => ("hello", "ACK"),
        "lines" => ("hello\n", "ACK\n"),
        _ => ("\0\0\0\x05hello", "\0\0\0\x03ACK"),
    };
    let server = server(&format!("{HERE} --framing {framing}"));
    let mut proxy = server.quiet_client();
    if in_pieces {
        for byte in header {
            proxy.send([*byte]);
        }
        expect_named(&server, &proxy);
        proxy.send(message);
    } else {
        proxy.send([header, message.as_bytes()].concat());
    }
    proxy.expect(ack);
    proxy.exchange(message, ack);
    let via = proxy.name();
    proxy.finish_writing();
    proxy.expect_end();
    server.stdout.expect(&format!("{NAME} via {via} disconnected (closed)"));
    let sent = format!("{NAME} sent: hello");
    let told = server.stdout.so_far();
    assert_eq!(told[1..], [format!("{NAME} via {via} connected"), sent.clone(), sent, told[4].clone()]);
}

#[test]
fn the_client_is_who_the_header_names_however_it_is_cut() {
    for framing in ["bytes", "lines", "length"] {
        for header in [LINE, BINARY, &longest()] {
            for in_pieces in [false, true] {
                expect_served(framing, header, in_pieces);
            }
        }
    }
}

#[test]
fn a_header_and_many_messages_may_come_at_once() {
    undisturbed(|| {
        let mut server = ServerBuilder::new(&format!("{HERE} --framing lines")).operated().start();
        let mut proxy = server.quiet_client();
        server.stop();
        proxy.send([LINE, "hello\n".repeat(10_000).as_bytes()].concat());
        server.resume();
        proxy.finish_writing();
        assert_eq!(proxy.read_to_end(), "ACK\n".repeat(10_000).as_bytes());
        assert_eq!(server.stat("messages"), 10_000.0);
    });
}

#[test]
fn with_bytes_the_rest_of_the_read_is_one_message() {
    undisturbed(|| {
        let mut server = ServerBuilder::new(HERE).operated().start();
        let mut proxy = server.quiet_client();
        server.stop();
        proxy.send([BINARY, &[b'x'; 20_000]].concat());
        server.resume();
        proxy.expect("ACK");
        assert_eq!((server.stat("messages"), server.stat("bytes")), (1.0, 20_000.0));
    });
}

#[test]
fn a_header_alone_is_no_message() {
    let mut server = ServerBuilder::new(HERE).operated().start();
    let mut proxy = server.quiet_client();
    proxy.send(LINE);
    expect_named(&server, &proxy);
    assert_eq!((server.stat("messages"), server.stat("bytes"), server.stat("total")), (0.0, 0.0, 1.0));
    proxy.finish_writing();
    proxy.expect_end();
}

#[test]
fn an_ipv6_client_is_named_by_both_versions() {
    let mut binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24".to_vec();
    binary.extend("2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets());
    binary.extend([0; 16]);
    binary.extend([0x9c, 0x41, 0, 25]);
    for header in [b"PROXY TCP6 2001:db8::7 2001:db8::1 40001 25\r\n".as_slice(), &binary] {
        let server = server(HERE);
        let mut proxy = server.quiet_client();
        proxy.send(header);
        server.stdout.expect(&format!("[2001:db8::7]:40001 via {} connected", proxy.name()));
        proxy.exchange("hello", "ACK");
        server.stdout.expect("[2001:db8::7]:40001 sent: hello");
    }
}

#[test]
fn local_and_unknown_keep_the_proxys_own_address() {
    for header in [LOCAL, b"PROXY UNKNOWN\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\0"] {
        let server = server(HERE);
        let mut proxy = server.quiet_client();
        proxy.send(header);
        server.stdout.expect(&format!("{} connected", proxy.name()));
        proxy.exchange("hello", "ACK");
        server.stdout.expect(&format!("{} sent: hello", proxy.name()));
    }
}

#[test]
fn what_is_no_header_is_cut_and_told_as_the_proxys() {
    let unix = [b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8".as_slice(), &[b'x'; 216]].concat();
    let udp = [b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c".as_slice(), &BINARY[16..]].concat();
    let over_long = [&longest()[..14], b"\x0f\xf1", &longest()[16..], b"x"].concat();
    let line = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
    for bytes in [b"hello".as_slice(), b"PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n", &unix, &udp, &over_long, &line] {
        let mut server = ServerBuilder::new(HERE).operated().start();
        let mut proxy = server.quiet_client();
        proxy.send(bytes);
        let got = proxy.try_read_to_end().unwrap_or_default();
        assert!(got.is_empty(), "nothing is said to {}", bytes.escape_ascii());
        server.stdout.expect(&format!("{} disconnected (error)", proxy.name()));
        server.ask("clients", |line| line == "0 clients");
        assert_eq!(server.stdout.so_far()[1], format!("{} connected", proxy.name()));
        assert_eq!((server.stat("messages"), server.stat("connections")), (0.0, 0.0));
    }
}

#[test]
fn one_that_ends_before_its_header_is_whole_is_an_error_and_one_that_resets_a_reset() {
    let server = server(HERE);
    for begun in [b"".as_slice(), &LINE[..20]] {
        // Not only when its time is over.
        sooner_than(Duration::from_secs(4), || {
            let since = Instant::now();
            let mut proxy = server.quiet_client();
            proxy.send(begun);
            proxy.finish_writing();
            proxy.expect_end();
            server.stdout.expect(&format!("{} disconnected (error)", proxy.name()));
            since.elapsed()
        });
    }
    let mut proxy = server.quiet_client();
    proxy.send(&LINE[..20]);
    let name = proxy.name();
    proxy.reset();
    server.stdout.expect(&format!("{name} disconnected (reset)"));
}

#[test]
fn elsewhere_bytes_are_bytes() {
    let server = server("-t --proxy-protocol 10.0.0.0/8 --proxy-protocol 2001:db8::/32");
    let mut client = server.client();
    client.exchange(LINE, "ACK");
    let text = format!("{} sent: PROXY TCP4 203.0.113.7 10.0.0.2 40001 6666\\r", client.name());
    server.stdout.expect(&text);
}

#[test]
fn a_proxy_is_known_by_its_ipv4_address_on_a_socket_of_both_families() {
    if !has_v6() {
        return;
    }
    for from in ["127.0.0.1", "::ffff:127.0.0.0/104"] {
        let server = server(&format!("-t --host :: --proxy-protocol {from}"));
        let mut proxy = Client::connect(([127, 0, 0, 1], server.tcp().port()).into());
        proxy.send(b"PROXY TCP6 ::ffff:203.0.113.7 ::1 40001 1\r\n");
        expect_named(&server, &proxy);
        let mut other = server.client();
        other.exchange(LINE, "ACK");
    }
}

#[test]
fn nothing_is_told_before_the_header_and_the_operator_knows_the_client_by_its_name() {
    let mut server = ServerBuilder::new(HERE).operated().start();
    let mut proxy = server.quiet_client();
    proxy.send(&LINE[..10]);
    // The server has read that: it sleeps again.
    server.proc().wait_state('S');
    let of_itself = format!("no such client: {}", proxy.name());
    server.ask(&format!("close {}", proxy.name()), |line| line == of_itself);
    server.ask("clients", |line| line == "0 clients");
    assert_eq!((server.stat("connections"), server.stat("total"), server.stat("peak")), (0.0, 0.0, 0.0));
    proxy.send(&LINE[10..]);
    expect_named(&server, &proxy);
    let via = format!("{NAME} via {}", proxy.name());
    server.ask("clients", |line| line.starts_with(&format!("{via} connected ")) && line.contains(", 0 messages, "));
    assert_eq!((server.stat("connections"), server.stat("total"), server.stat("peak")), (1.0, 1.0, 1.0));
    server.ask(&format!("close {NAME}"), |line| line == format!("{via} disconnected (operator)"));
    proxy.expect_end();
}

#[test]
fn json_has_the_client_as_peer_and_the_proxy_as_via() {
    let mut server = ServerBuilder::new(&format!("{HERE} --format json")).operated().start();
    let mut proxy = server.quiet_client();
    proxy.send(LINE);
    proxy.exchange("hello", "ACK");
    let clients = server.ask("clients", |line| line.contains(r#""event":"clients""#));
    proxy.finish_writing();
    proxy.expect_end();
    let find = |event: &str| server.stdout.find(event, |line| line.contains(&format!(r#""event":"{event}""#)));
    let read = |line: String| serde_json::from_str::<Value>(&line).unwrap();
    let named = |object: &Value| object["peer"] == NAME && object["via"] == proxy.name();
    assert!(named(&read(clients.clone())["clients"][0]), "{clients}");
    assert!(named(&read(find("connected"))) && named(&read(find("disconnected"))));
    let message = read(find("message"));
    assert!(message["peer"] == NAME && message["via"].is_null(), "{message}");
}

/// A header that does not come within 5 s, or the idle timeout where that is shorter; some of it may come.
#[track_caller]
fn expect_cut(args: &str, allowed: Duration, dribble: bool) {
    let server = server(&format!("{HERE} {args}"));
    let since = Instant::now();
    let mut proxy = server.quiet_client();
    if dribble {
        let mut half = proxy.clone_handle();
        thread::spawn(move || {
            for byte in b"PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx".chunks(1) {
                if !half.try_send(byte) {
                    return;
                }
                thread::sleep(allowed / 10);
            }
        });
    }
    let got = proxy.try_read_to_end().unwrap_or_default();
    let took = since.elapsed();
    assert!(got.is_empty(), "{}", got.escape_ascii());
    // Half a second is promised, a busy machine may add much; the next deadline is far beyond it.
    assert!(took >= allowed && took < allowed * 3 + Duration::from_secs(1), "cut after {took:?} of {allowed:?}");
    server.stdout.expect(&format!("{} disconnected (error)", proxy.name()));
    assert_eq!(server.stdout.so_far()[1], format!("{} connected", proxy.name()));
}

#[test]
fn a_header_that_does_not_come_in_time_is_none() {
    undisturbed(|| {
        thread::scope(|scope| {
            for dribble in [false, true] {
                scope.spawn(move || expect_cut("--idle-timeout 0.4", Duration::from_millis(400), dribble));
                scope.spawn(move || expect_cut("", Duration::from_secs(5), dribble));
                scope.spawn(move || expect_cut("--idle-timeout 0", Duration::from_secs(5), dribble));
            }
        });
    });
}

#[test]
fn a_header_is_no_progress_that_saves_from_the_idle_timeout() {
    let server = server(&format!("{HERE} --idle-timeout 4"));
    sooner_than(Duration::from_millis(5800), || {
        let since = Instant::now();
        let mut proxy = server.quiet_client();
        thread::sleep(Duration::from_secs(2));
        proxy.send(LINE);
        expect_named(&server, &proxy);
        proxy.expect_last("idle timeout");
        let took = since.elapsed();
        assert!(took >= Duration::from_secs(4), "{took:?}");
        took
    });
}

#[test]
fn a_header_that_waits_when_its_time_is_over_is_in_time() {
    undisturbed(|| {
        let server = server(&format!("{HERE} --idle-timeout 2"));
        let mut proxy = server.quiet_client();
        // Whom the server knows when it knows the next one.
        let mut next = server.quiet_client();
        next.send(LINE);
        expect_named(&server, &next);
        server.stop();
        proxy.send([LINE, b"hello"].concat());
        thread::sleep(Duration::from_millis(2200));
        server.resume();
        proxy.expect("ACK");
        expect_named(&server, &proxy);
    });
}

#[test]
fn one_that_waits_for_its_header_takes_a_place_and_the_full_is_judged_at_the_accept() {
    let mut server = ServerBuilder::new(&format!("{HERE} --max-connections 1")).operated().start();
    let mut first = server.quiet_client();
    let mut surplus = server.quiet_client();
    surplus.expect_last("server is full");
    server.stdout.expect(&format!("{} refused (server is full)", surplus.name()));
    first.send(LINE);
    first.exchange("hello", "ACK");
    assert_eq!((server.stat("refused"), server.stat("total")), (1.0, 1.0));
}

#[test]
fn at_the_end_one_without_a_name_is_told_and_of_it_nothing() {
    undisturbed(|| {
        let mut server = server(HERE);
        let (mut unnamed, mut named) = (server.quiet_client(), server.quiet_client());
        unnamed.send(&LINE[..10]);
        server.proc().wait_state('S');
        server.stop();
        named.send([LINE, b"hello"].concat());
        server.signal(nix::sys::signal::Signal::SIGTERM);
        server.resume();
        unnamed.expect_last("server is shutting down");
        named.expect_last("ACKserver is shutting down");
        drop((unnamed, named.clone_handle()));
        named.give_up();
        assert_eq!(server.wait_exit(), 0);
        let told = server.stdout.to_end();
        let wanted = ["server is shutting down".to_owned(), format!("{NAME} via {} connected", named.name())];
        assert_eq!(told[1..3], wanted, "{told:?}");
        assert_eq!(
            told[3..],
            [format!("{NAME} sent: hello"), format!("{NAME} via {} disconnected (shutdown)", named.name())]
        );
    });
}

#[test]
fn at_the_end_one_without_a_name_has_the_grace_like_all_others_and_is_counted_where_it_is_cut() {
    undisturbed(|| {
        let mut server = server(&format!("{HERE} --grace 1.5"));
        let mut unnamed = server.quiet_client();
        unnamed.send(&LINE[..10]);
        let since = Instant::now();
        server.signal(nix::sys::signal::Signal::SIGTERM);
        unnamed.expect_last("server is shutting down");
        assert_eq!(server.wait_exit(), 0);
        assert!(since.elapsed() >= Duration::from_millis(1500), "the grace was only {:?}", since.elapsed());
        assert!(server.stdout.to_end().contains(&"connections cut: 1".to_owned()));
    });
}

#[test]
fn who_waits_for_its_header_holds_no_more_than_that() {
    undisturbed(|| {
        let server = ServerBuilder::new(HERE).start();
        let mut proxies: Vec<_> = (0..200).map(|_| server.quiet_client()).collect();
        let before = server.proc().resident();
        for proxy in &mut proxies {
            proxy.send(&longest()[..4095]);
        }
        let mut last = server.quiet_client();
        last.send(LINE);
        expect_named(&server, &last);
        let grown = server.proc().resident().saturating_sub(before);
        assert!(grown < 200 * 8 * 1024, "{grown} bytes for 200 headers of 4 KiB");
        // They are still alive: each header may be completed.
        for proxy in &mut proxies {
            proxy.send([&longest()[4095..], b"hello"].concat());
            proxy.expect("ACK");
        }
    });
}
