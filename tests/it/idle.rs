//! Idle clients are told and cut: never early, hardly late, and never while a message of theirs waits.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use socket2::SockRef;

use crate::harness::{Client, Held, ServerBuilder, has_v6, in_tables, server, sooner_than, undisturbed, wait_until};

/// The idle timeout of these tests; [`ARGS`] says the same.
const TIMEOUT: Duration = Duration::from_millis(400);
const ARGS: &str = "-t --idle-timeout 0.4";

/// The promised half second, and as much again for a busy machine.
const LATE: Duration = Duration::from_secs(1);

/// Waits for the cut of a client whose silence began at `since`; how long it was silent.
#[track_caller]
fn expect_cut(client: &mut Client, since: Instant, notice: &str) -> Duration {
    client.expect_last(notice);
    let silent = since.elapsed();
    assert!(silent >= TIMEOUT, "cut after {silent:?}");
    silent
}

/// A scene with a cut that comes in time; it is played anew where the machine was late itself.
fn punctual(scene: impl Fn() -> Duration) {
    undisturbed(|| sooner_than(TIMEOUT + LATE, &scene));
}

#[test]
fn a_client_that_never_speaks_is_told_and_cut() {
    undisturbed(|| {
        punctual(|| {
            let server = server(ARGS);
            let since = Instant::now();
            let mut client = server.client();
            let silent = expect_cut(&mut client, since, "idle timeout");
            server.stdout.expect(&format!("{} disconnected (idle)", client.name()));
            silent
        });
    });
}

#[test]
fn the_notice_is_framed_like_a_message() {
    undisturbed(|| {
        for (framing, notice) in [("lines", "idle timeout\n"), ("length", "\0\0\0\x0cidle timeout")] {
            punctual(|| {
                let server = server(&format!("{ARGS} --framing {framing}"));
                let since = Instant::now();
                expect_cut(&mut server.client(), since, notice)
            });
        }
    });
}

#[test]
fn every_message_starts_the_time_anew() {
    undisturbed(|| {
        punctual(|| {
            let server = server(ARGS);
            let mut client = server.client();
            let mut since = Instant::now();
            for _ in 0..5 {
                thread::sleep(TIMEOUT / 2);
                since = Instant::now();
                client.exchange("hello", "ACK");
            }
            expect_cut(&mut client, since, "idle timeout")
        });
    });
}

#[test]
fn each_client_has_its_own_time() {
    undisturbed(|| {
        punctual(|| {
            let server = server(ARGS);
            let mut first = server.client();
            thread::sleep(TIMEOUT / 2);
            let second_since = Instant::now();
            let mut second = server.client();
            first.expect_last("idle timeout");
            expect_cut(&mut second, second_since, "idle timeout")
        });
    });
}

#[test]
fn a_client_in_the_place_of_one_that_left_has_its_own_time() {
    undisturbed(|| {
        punctual(|| {
            let server = server(ARGS);
            let first = server.client();
            thread::sleep(TIMEOUT * 3 / 4);
            let name = first.name();
            drop(first);
            server.stdout.expect(&format!("{name} disconnected (closed)"));
            let since = Instant::now();
            let mut successor = server.client();
            expect_cut(&mut successor, since, "idle timeout")
        });
    });
}

#[test]
fn a_partial_message_does_not_count() {
    undisturbed(|| {
        punctual(|| {
            let server = server(&format!("{ARGS} --framing lines"));
            let since = Instant::now();
            let mut client = server.client();
            let mut trickle = client.clone_handle();
            let trickler = thread::spawn(move || {
                for _ in 0..3 {
                    trickle.send("x");
                    thread::sleep(TIMEOUT / 4);
                }
            });
            let silent = expect_cut(&mut client, since, "idle timeout\n");
            trickler.join().unwrap();
            silent
        });
    });
}

#[test]
fn a_client_that_takes_none_of_its_acks_is_cut() {
    undisturbed(|| {
        let mut server = ServerBuilder::new("-t -q --framing lines --idle-timeout 0.4 --grace 0.2").operated().start();
        assert_eq!(server.stat("connections"), 0.0);
        let descriptors = server.proc().descriptors();
        let mut client = Client::connect_narrow(server.tcp(), 4096);
        client.send_until_stuck(&[b'\n'; 65536]);
        wait_until("the cut", || (server.stat("idle_cuts") == 1.0).then_some(()));
        // From then on it is not counted, and has a second yet.
        wait_until("its end", || (server.proc().descriptors() <= descriptors).then_some(()));
    });
}

#[test]
fn a_message_that_waits_saves_its_client_after_the_server_was_stopped() {
    undisturbed(|| {
        punctual(|| {
            let server = server(ARGS);
            let mut saved = server.client();
            let mut lost = server.client();
            server.stop();
            thread::sleep(TIMEOUT * 3 / 2);
            saved.send("I was here");
            let since = Instant::now();
            server.resume();
            saved.expect("ACK");
            lost.expect_last("idle timeout");
            saved.exchange("still am", "ACK");
            expect_cut(&mut saved, since, "idle timeout")
        });
    });
}

#[test]
fn zero_means_never() {
    undisturbed(|| {
        let server = server("-t --idle-timeout 0");
        let mut client = server.client();
        thread::sleep(Duration::from_millis(700));
        client.exchange("hello", "ACK");
    });
}

#[test]
fn absurdly_long_means_never() {
    for seconds in ["1e300", "18446744073709551616", "99999999999"] {
        let mut server = server(&format!("--idle-timeout {seconds} --grace {seconds}"));
        let mut client = server.client();
        client.exchange("hello", "ACK");
        server.signal(Signal::SIGTERM);
        client.expect_last("server is shutting down");
        drop(client);
        assert_eq!(server.wait_exit(), 0);
    }
}

#[test]
fn a_cut_client_that_does_not_close_is_not_kept_for_ever() {
    undisturbed(|| {
        let mut server = ServerBuilder::new("-t --idle-timeout 0.4 --grace 0.2").operated().start();
        assert_eq!(server.stat("connections"), 0.0);
        let descriptors = server.proc().descriptors();
        let mut client = server.client();
        client.expect_last("idle timeout");
        wait_until("its end", || (server.proc().descriptors() <= descriptors).then_some(()));
    });
}

#[test]
fn waiting_for_a_timeout_costs_no_processor_time() {
    undisturbed(|| {
        let server = server("--idle-timeout 600");
        let clients: Vec<_> = (0..20).map(|_| server.client()).collect();
        let before = server.proc().cpu();
        thread::sleep(Duration::from_secs(1));
        let spent = server.proc().cpu().checked_sub(before).unwrap();
        assert!(spent <= Duration::from_millis(20), "{spent:?} of a second for {} idle clients", clients.len());
    });
}

/// The system's timer of a connection, as Linux tells it: 2 is keepalive.
#[cfg(target_os = "linux")]
fn timer_of(ours: std::net::SocketAddr, peer: std::net::SocketAddr) -> Option<String> {
    let (ours, peer) = (in_tables(ours), in_tables(peer));
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let line = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|fields| fields.get(1) == Some(&ours.as_str()) && fields.get(2) == Some(&peer.as_str()))?;
    line.get(5).map(ToString::to_string)
}

#[cfg(target_os = "linux")]
#[test]
fn without_an_idle_timeout_the_system_asks_after_those_who_vanished() {
    let held = Held::new();
    for (idle, kept_alive, passed) in [("0", true, false), ("30", false, false), ("0", true, true)] {
        let idle = format!("--idle-timeout {idle}");
        let server = if passed { held.server(&idle).start() } else { server(&idle) };
        let client = server.client();
        let timer = timer_of(server.tcp(), (client.ip(), client.port()).into())
            .expect("the connection is in the system's table");
        let (kind, left) = timer.split_once(':').unwrap();
        assert_eq!(kind == "02", kept_alive, "{timer}");
        // In hundredths of a second.
        let left = u64::from_str_radix(left, 16).unwrap();
        assert!(!kept_alive || (5000..=6000).contains(&left), "{left}");
    }
}

#[test]
fn those_who_vanished_are_asked_for_six_times_ten_seconds_apart_over_both_families() {
    for held in [Some(Held::new()), has_v6().then(|| Held::at("[::1]:0"))].into_iter().flatten() {
        let _server = held.server("--idle-timeout 0").start();
        let options = SockRef::from(held.listener());
        assert!(options.keepalive().unwrap());
        assert_eq!(options.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        assert_eq!(options.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
        assert_eq!(options.tcp_keepalive_retries().unwrap(), 6);
    }
}

/// It takes more than the slice of its event and that of the sweep to read it.
#[test]
fn a_long_frame_that_waits_whole_in_the_socket_saves_its_client() {
    undisturbed(|| {
        let server = server("-t --framing length --max-message 300000 --idle-timeout 0.5");
        let mut clients: Vec<_> = (0..5).map(|_| server.client()).collect();
        let frame = [&300_000_u32.to_be_bytes()[..], &[b'x'; 300_000]].concat();
        // The receive buffer grows with what it has taken before.
        for client in &mut clients {
            for _ in 0..4 {
                client.exchange(&frame, b"\0\0\0\x03ACK");
            }
        }
        server.signal(Signal::SIGSTOP);
        clients.iter_mut().for_each(|client| client.send(&frame));
        thread::sleep(Duration::from_millis(800));
        server.signal(Signal::SIGCONT);
        clients.iter_mut().for_each(|client| client.expect(b"\0\0\0\x03ACK"));
    });
}
