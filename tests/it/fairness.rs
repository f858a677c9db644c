//! Whoever floods gets served, and nobody else waits for it: not the other clients, the operator, the clock or a signal.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGTERM;

use crate::harness::{Flood, Server, ServerBuilder, settled, undisturbed};

/// How long anybody may wait beside a flood: far more than a turn, far less than a starving client would.
const PATIENCE: Duration = Duration::from_secs(1);

fn operated(args: &str) -> Server {
    ServerBuilder::new(&format!("-q --framing lines {args}")).operated().start()
}

#[test]
fn another_client_is_answered_beside_a_flood() {
    undisturbed(|| {
        let server = operated("");
        let mut client = server.quiet_client();
        let _flood = Flood::start(&server, 1);
        for _ in 0..50 {
            let since = Instant::now();
            client.exchange("hello\n", "ACK\n");
            assert!(since.elapsed() < PATIENCE, "the answer took {:?}", since.elapsed());
        }
    });
}

#[test]
fn a_new_client_is_accepted_beside_a_flood() {
    undisturbed(|| {
        let server = operated("");
        let _flood = Flood::start(&server, 1);
        for _ in 0..20 {
            let since = Instant::now();
            server.quiet_client().exchange("hello\n", "ACK\n");
            assert!(since.elapsed() < PATIENCE, "the answer took {:?}", since.elapsed());
        }
    });
}

#[test]
fn the_operator_is_answered_beside_a_flood() {
    undisturbed(|| {
        let mut server = operated("");
        let _flood = Flood::start(&server, 1);
        for _ in 0..10 {
            let since = Instant::now();
            assert!(server.stat("uptime") >= 0.0);
            assert!(since.elapsed() < PATIENCE, "the answer took {:?}", since.elapsed());
        }
    });
}

#[test]
fn an_idle_client_is_cut_in_time_beside_a_flood() {
    undisturbed(|| {
        let words = "--framing lines --transcript connections --format json --idle-timeout 0.4";
        let server = ServerBuilder::new(words).operated().start();
        let _flood = Flood::start(&server, 1);
        let since = Instant::now();
        let mut idle = server.quiet_client();
        idle.expect_last("idle timeout\n");
        let silent = since.elapsed();
        // Its time counts from the beginning of the slice that let it in: it may have come in the middle of that. By that
        // count it is never cut too soon.
        assert!(silent >= Duration::from_millis(350) && silent < PATIENCE * 2, "cut after {silent:?}");
        let name = idle.name();
        let parted = server.stdout.find("its end", |line| line.contains(&name) && line.contains("\"disconnected\""));
        let parted: serde_json::Value = serde_json::from_str(&parted).unwrap();
        assert!(parted["seconds"].as_f64().is_some_and(|seconds| seconds >= 0.4), "{parted}");
    });
}

#[test]
fn a_signal_is_obeyed_beside_a_flood() {
    undisturbed(|| {
        let mut server = operated("--grace 0.3");
        let mut client = server.quiet_client();
        client.exchange("hello\n", "ACK\n");
        let _flood = Flood::start(&server, 1);
        let since = Instant::now();
        server.signal(SIGTERM);
        client.expect_last("server is shutting down\n");
        assert!(since.elapsed() < PATIENCE, "the notice took {:?}", since.elapsed());
        assert_eq!(server.wait_exit(), 0);
    });
}

#[test]
fn being_stopped_and_continued_again_and_again_loses_nothing() {
    undisturbed(|| {
        let mut server = operated("");
        let mut client = server.quiet_client();
        for _ in 0..100 {
            server.stop();
            client.send("hello\n");
            server.resume();
            client.expect("ACK\n");
        }
        assert_eq!((server.stat("messages"), server.stat("acks")), (100.0, 100.0));
    });
}

#[test]
fn after_a_flood_memory_is_as_before_and_the_server_sleeps() {
    undisturbed(|| {
        let server = operated("");
        let mut client = server.quiet_client();
        client.exchange("hello\n", "ACK\n");
        let before = server.proc().resident();
        let flood = Flood::start(&server, 1);
        thread::sleep(Duration::from_millis(300));
        let grown = server.proc().resident().saturating_sub(before);
        assert!(grown < 16 << 20, "the server's memory grew by {grown} bytes");
        drop(flood);
        settled(Duration::from_millis(100), || server.proc().cpu());
        client.exchange("hello\n", "ACK\n");
    });
}
