//! The drain: after SIGTERM the server serves on for a while, and every ACK is its connection's last.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGINT, SIGTERM};

use crate::harness::{
    Client, DEADLINE, Held, Server, ServerBuilder, private_loopback, server, settled, sooner_than, undisturbed,
    wait_until,
};

const NOTICE: &str = "server is shutting down";

/// Sends SIGTERM and waits until the server has seen it.
#[track_caller]
fn terminate(server: &Server) {
    server.signal(SIGTERM);
    server.stdout.find("that it ends", |line| line == NOTICE || line.contains(r#""event":"shutdown""#));
}

#[test]
fn every_ack_is_the_last_and_the_notice_comes_in_the_same_write() {
    for (framing, message, last) in [
        ("bytes", b"hello".as_slice(), b"ACKserver is shutting down".as_slice()),
        ("lines", b"hello\n", b"ACK\nserver is shutting down\n"),
        ("length", b"\0\0\0\x05hello", b"\0\0\0\x03ACK\0\0\0\x17server is shutting down"),
    ] {
        for format in ["text", "json"] {
            let mut server = server(&format!("-t --drain 60 --framing {framing} --format {format}"));
            let mut streams: Vec<TcpStream> = (0..10).map(|_| TcpStream::connect(server.tcp()).unwrap()).collect();
            let ack = &last[..last.len() - framing_of(framing, NOTICE)];
            for stream in &mut streams {
                stream.set_read_timeout(Some(DEADLINE)).unwrap();
                stream.write_all(message).unwrap();
                assert_eq!(read_once(stream), ack);
            }
            terminate(&server);
            for stream in &mut streams {
                stream.write_all(message).unwrap();
                // What came with one write is read with one read.
                assert_eq!(read_once(stream).escape_ascii().to_string(), last.escape_ascii().to_string());
                assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0, "and a clean end");
            }
            assert!(server.is_running(), "its own sockets stay open for the whole time");
        }
    }
}

/// How long the notice is.
fn framing_of(framing: &str, notice: &str) -> usize {
    notice.len() + ["bytes", "lines", "", "", "length"].iter().position(|&name| name == framing).unwrap()
}

fn read_once(stream: &mut TcpStream) -> Vec<u8> {
    let mut buffer = [0; 256];
    let length = stream.read(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

#[test]
fn a_newcomer_has_one_ack_and_datagrams_are_answered_until_the_goodbye() {
    undisturbed(|| {
        for format in ["text", "json"] {
            let mut server = server(&format!("--drain 1 --format {format}"));
            let peer = server.peer();
            terminate(&server);
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(300) {
                let mut newcomer = server.quiet_client();
                newcomer.send("hello");
                newcomer.expect_last(["ACK", NOTICE].concat());
                peer.check("hello");
            }
            peer.expect(NOTICE);
            assert_eq!(server.wait_exit(), 0);
        }
    });
}

#[test]
fn the_silent_are_told_at_the_end_of_it() {
    undisturbed(|| {
        let mut server = server("-t --drain 0.7");
        let (mut silent, mut partial) = (server.client(), server.client());
        partial.send("");
        let began = Instant::now();
        terminate(&server);
        silent.expect_last(NOTICE);
        let told = began.elapsed();
        assert!(told >= Duration::from_millis(700), "told after {told:?} already");
        partial.expect_last(NOTICE);
        drop((silent, partial));
        assert_eq!(server.wait_exit(), 0);
    });
}

#[test]
fn with_sockets_of_its_own_it_lasts_the_whole_time_though_nobody_is_there() {
    undisturbed(|| {
        for args in ["-t", "-u", ""] {
            let mut server = server(&format!("{args} --drain 0.7"));
            let began = Instant::now();
            server.signal(SIGTERM);
            assert_eq!(server.wait_exit(), 0);
            let took = began.elapsed();
            assert!(took >= Duration::from_millis(700), "{args}: only {took:?}");
        }
    });
}

#[test]
fn with_passed_sockets_it_lasts_until_nobody_is_left() {
    undisturbed(|| {
        // Far beyond the patience of a test.
        let held = Held::new();
        let mut server = held.server("--drain 600 --idle-timeout 0 --grace 600").start();
        let (mut client, mut silent, peer) = (server.client(), server.client(), held.peer());
        client.exchange("hello", "ACK");
        peer.check("hello");
        terminate(&server);
        // The sockets are somebody else's at once.
        let mut next = held.client();
        next.send("for the next one");
        peer.send("for the next one");
        client.send("the last");
        client.expect_last(["ACK", NOTICE].concat());
        drop(client);
        assert!(server.is_running());
        silent.send("not silent any more");
        silent.expect_last(["ACK", NOTICE].concat());
        next.expect_nothing_yet();
        drop(silent);
        assert_eq!(server.wait_exit(), 0);
        next.expect_nothing_yet();
        peer.expect_nothing_yet();
        let _second = held.server("").start();
        next.expect("ACK");
        peer.expect("check");
    });
}

#[test]
fn with_passed_sockets_and_nobody_there_it_does_not_last_at_all() {
    let held = Held::new();
    let mut server = held.server("--drain 600").start();
    server.signal(SIGTERM);
    assert_eq!(server.wait_exit(), 0);
}

#[test]
fn nothing_but_sigterm_drains() {
    let mut interrupted = server("--drain 600");
    let (mut client, peer) = (interrupted.client(), interrupted.peer());
    peer.check("hello");
    interrupted.signal(SIGINT);
    client.expect_last(NOTICE);
    peer.expect(NOTICE);
    drop(client);
    assert_eq!(interrupted.wait_exit(), 0);

    let mut shut = ServerBuilder::new("-t --drain 600").operated().start();
    let mut client = shut.client();
    shut.type_in("shutdown\n");
    client.expect_last(NOTICE);
    drop(client);
    assert_eq!(shut.wait_exit(), 0);
}

#[test]
fn the_operator_ends_a_drain_and_a_second_signal_ends_all() {
    undisturbed(|| {
        let mut server = ServerBuilder::new("--drain 600").operated().start();
        let mut client = server.client();
        terminate(&server);
        client.expect_nothing_yet();
        assert_eq!(server.stat("connections"), 1.0);
        server.type_in("shutdown\n");
        client.expect_last(NOTICE);
        drop(client);
        assert_eq!(server.wait_exit(), 0);
        let told = server.stdout.to_end().iter().filter(|line| *line == NOTICE).count();
        assert_eq!(told, 1, "the end is told once");

        for (second, code) in [(SIGTERM, 143), (SIGINT, 130)] {
            let mut server = crate::harness::server("--drain 600");
            let _client = server.client();
            terminate(&server);
            server.signal(second);
            assert_eq!(server.wait_exit(), code);
        }
    });
}

#[test]
fn the_exit_comes_within_the_drain_the_grace_and_half_a_second() {
    let (drain, grace, more) = (300, 300, 500);
    sooner_than(Duration::from_millis(drain + grace + more), || {
        let mut server = server(&format!("-t --framing lines --drain 0.{drain} --grace 0.{grace}"));
        let (mut told, silent) = (server.client(), server.client());
        let mut deaf = Client::connect_narrow(server.tcp(), 4096);
        deaf.send_until_stuck(&[b'\n'; 65536]);
        let began = Instant::now();
        server.signal(SIGTERM);
        told.send("hello\n");
        assert_eq!(server.wait_exit(), 0);
        let took = began.elapsed();
        drop((told, silent));
        took
    });
}

#[test]
fn who_was_told_and_does_not_go_has_the_grace_and_is_counted() {
    undisturbed(|| {
        let held = Held::new();
        let mut server = held.server("--drain 600 --grace 0.5").start();
        let (mut stays, mut goes) = (server.client(), server.client());
        terminate(&server);
        let began = Instant::now();
        for client in [&mut stays, &mut goes] {
            client.send("hello");
            client.expect_last(["ACK", NOTICE].concat());
        }
        drop(goes);
        assert_eq!(server.wait_exit(), 0);
        assert!(began.elapsed() >= Duration::from_millis(500), "the grace was only {:?}", began.elapsed());
        assert!(server.stdout.to_end().contains(&"connections cut: 1".to_owned()));
    });
}

#[test]
fn an_idle_client_has_its_second_in_a_drain_too_though_another_has_a_long_grace() {
    undisturbed(|| {
        let held = Held::new();
        let mut server = held.server("--drain 600 --grace 600 --idle-timeout 1").start();
        let (mut told, mut idle) = (server.client(), server.client());
        terminate(&server);
        told.send("hello");
        told.expect_last(["ACK", NOTICE].concat());
        idle.expect_last("idle timeout");
        // Both stay. The idle one's second is over long before the other's grace.
        wait_until("the idle one's end", || (!idle.try_send(b"x")).then_some(()));
        assert!(told.try_send(b"x"), "the other one has its grace");
        drop(told);
        assert_eq!(server.wait_exit(), 0);
        assert!(!server.stdout.to_end().iter().any(|line| line.starts_with("connections cut")));
    });
}

#[test]
fn of_many_that_are_outstanding_what_was_read_has_its_ack() {
    undisturbed(|| {
        for transcript in ["", "-q "] {
            let mut server = ServerBuilder::new(&format!("-t --framing lines --drain 600 --format json {transcript}"))
                .operated()
                .start();
            let mut client = server.quiet_client();
            client.exchange("hello\n", "ACK\n");
            server.stop();
            client.send("a\n".repeat(20_000));
            server.signal(SIGTERM);
            server.resume();
            let all = String::from_utf8(client.read_to_end()).unwrap();
            let acks = all.strip_suffix(&format!("{NOTICE}\n")).expect("no notice at the end");
            assert_eq!("ACK\n".repeat(acks.len() / 4), acks);
            // One read is 4 KiB where each message is told, else whatever there is.
            let read = if transcript.is_empty() { 2048 } else { 20_000 };
            assert_eq!(acks.len() / 4, read);
            assert_eq!(server.stat("messages"), 1.0 + acks.len() as f64 / 4.0, "each that was read has an ACK");
        }
    });
}

#[test]
fn who_has_not_taken_its_acks_yet_has_its_last_ones() {
    undisturbed(|| {
        let mut server = ServerBuilder::new("-t -q --framing lines --drain 600").operated().start();
        let mut deaf = Client::connect_narrow(server.tcp(), 4096);
        let mut sent = 0.0;
        // Until all that it said was read (it comes in one piece), and its ACKs find no more room for good.
        while server.stat("acks") == sent || settled(Duration::from_millis(200), || server.stat("acks")) == sent {
            deaf.send([b'\n'; 10_000]);
            sent += 10_000.0;
            wait_until("what was sent", || (server.stat("messages") == sent).then_some(()));
        }
        server.signal(SIGTERM);
        let all = deaf.read_to_end();
        let acks = all.strip_suffix(format!("{NOTICE}\n").as_bytes()).expect("no notice behind the ACKs");
        assert!(!acks.is_empty() && acks.chunks(4).all(|ack| ack == b"ACK\n"));
    });
}

#[test]
fn who_had_ended_its_side_gets_its_ack_and_the_end() {
    undisturbed(|| {
        let server = server("-t --drain 600");
        let mut client = server.client();
        server.stop();
        client.send("hello");
        client.finish_writing();
        server.signal(SIGTERM);
        server.resume();
        let all = client.read_to_end();
        assert!(all.starts_with(b"ACK"), "{}", all.escape_ascii());
        let mut next = server.quiet_client();
        next.send("hello");
        next.finish_writing();
        assert!(next.read_to_end().starts_with(b"ACK"));
    });
}

#[test]
fn several_processes_share_a_port_where_they_all_say_so() {
    let ip = private_loopback();
    let first = server(&format!("--reuse-port --host {ip}"));
    let at = format!("--host {ip} -p {}", first.tcp().port());
    let mut alone = ServerBuilder::new(&at).with(|launch| launch).start_unheard(std::process::Stdio::null());
    assert_eq!(alone.wait_exit(), 1, "a port in use is an error otherwise");
    let second = server(&format!("--reuse-port {at}"));
    assert_eq!((first.tcp(), first.udp()), (second.tcp(), second.udp()));
    // The system deals them out by their addresses: both have some.
    let came = |server: &Server, what: &str| server.stdout.so_far().iter().any(|line| line.ends_with(what));
    wait_until("that both are asked", || {
        Client::connect(first.tcp()).exchange("hello", "ACK");
        let peer = UdpSocket::bind((ip, 0)).unwrap();
        peer.connect(first.udp()).unwrap();
        peer.send(b"hello").unwrap();
        let both = |what| came(&first, what) && came(&second, what);
        (both(" sent: hello") && both(" sent a datagram: hello")).then_some(())
    });
}

/// The header says who it is, and is no message: what it comes in pieces of is heard on in a drain.
#[test]
fn a_client_whose_proxy_is_slow_to_name_it_has_its_last_ack() {
    undisturbed(|| {
        for with_message in [false, true] {
            let server = server("-t --drain 60 --framing lines --proxy-protocol 127.0.0.1");
            let mut early = server.quiet_client();
            early.send("PROXY TCP4 203.0.113.7 ");
            // The server has read that: a second client, whose header is whole, is told.
            let mut told = server.quiet_client();
            told.send("PROXY TCP4 203.0.113.8 127.0.0.1 40001 6666\r\n");
            server.stdout.find("the second", |line| line.starts_with("203.0.113.8:40001 via "));
            terminate(&server);
            let mut late = server.quiet_client();
            late.send("PROXY TCP4 203.0.113.7 ");
            for client in [&mut early, &mut late] {
                client.expect_nothing_yet();
                if with_message {
                    client.send("127.0.0.1 40001 6666\r\nhello\n");
                } else {
                    client.send("127.0.0.1 40001 6666\r\n");
                    client.send("hello\n");
                }
                client.expect_last("ACK\nserver is shutting down\n");
            }
        }
    });
}
