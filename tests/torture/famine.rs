//! No descriptors left: every connection that the limit allows is held, or the limit is lowered under the running server.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::fault::Fault;
use crate::harness::{Client, Server, ServerBuilder, have, output, undisturbed, wait_until};
use crate::{alone, figure};

/// How long the famine is watched.
const WATCHED: Duration = Duration::from_secs(1);
/// What it may cost of a processor meanwhile.
const CPU: Duration = Duration::from_millis(50);
/// Everybody is served so soon after there is room.
const RECOVERED: Duration = Duration::from_secs(1);

/// Lowers or raises the soft limit of a running server.
#[track_caller]
fn limit(server: &Server, descriptors: usize) {
    let (pid, limit) = (server.id().to_string(), format!("--nofile={descriptors}:"));
    let limited = output(Command::new("prlimit").args(["--pid", &pid, &limit])).unwrap();
    assert!(limited.status.success());
}

#[track_caller]
fn cpu_while_watched(server: &Server) -> Duration {
    let before = server.proc().cpu();
    thread::sleep(WATCHED);
    server.proc().cpu().checked_sub(before).unwrap()
}

/// A server with ten clients.
fn peopled() -> (Server, Vec<Client>) {
    let server = ServerBuilder::new("-q -t --framing lines --idle-timeout 0").operated().start();
    let mut clients: Vec<_> = (0..10).map(|_| server.quiet_client()).collect();
    for client in &mut clients {
        client.exchange("hello\n", "ACK\n");
    }
    (server, clients)
}

/// The limit at which there is no descriptor to be had: the lowest number that is not taken.
fn full(server: &Server) -> usize {
    let taken = |number: &usize| std::fs::exists(format!("/proc/{}/fd/{number}", server.id())).unwrap();
    (0..).find(|number| !taken(number)).unwrap()
}

#[test]
fn every_connection_that_the_hard_limit_allows_is_held_and_whoever_comes_then_is_told() {
    let _alone = alone();
    // The soft limit is far below the hard one; 32 are kept in reserve.
    let server = ServerBuilder::new("-q -t --framing lines --idle-timeout 0")
        .with(|launch| launch.through_shell("ulimit -Sn 64; ulimit -Hn 512; exec \"$0\" \"$@\""))
        .start();
    let mut held: Vec<_> = (0..480).map(|_| server.quiet_client()).collect();
    held.iter_mut().for_each(|client| client.exchange("hello\n", "ACK\n"));
    for _ in 0..100 {
        server.quiet_client().expect_last("server is full\n");
    }
    held.iter_mut().for_each(|client| client.exchange("hello again\n", "ACK\n"));
    figure("a limit of 512 descriptors: 480 held and answered, before and after 100 more were told that it is full");
}

#[test]
fn with_one_descriptor_in_hand_everybody_who_comes_is_told_that_the_server_is_full() {
    let _alone = alone();
    undisturbed(|| {
        if !have("prlimit") {
            return;
        }
        let (server, mut clients) = peopled();
        limit(&server, full(&server));
        for _ in 0..100 {
            server.quiet_client().expect_last("server is full\n");
        }
        let spent = cpu_while_watched(&server);
        assert!(spent < CPU, "{spent:?} of {WATCHED:?} spent on the famine");
        for client in &mut clients {
            client.exchange("hello\n", "ACK\n");
        }
        // Two make room for two.
        clients.truncate(8);
        let began = Instant::now();
        wait_until("room", || {
            let mut client = server.quiet_client();
            client.send("hello\n");
            client.finish_writing();
            client.try_read_to_end().is_ok_and(|answer| answer == b"ACK\n").then_some(())
        });
        let room = began.elapsed();
        limit(&server, 1024);
        let mut crowd: Vec<_> = (0..100).map(|_| server.quiet_client()).collect();
        crowd.iter_mut().for_each(|client| client.exchange("hello\n", "ACK\n"));
        figure(&format!(
            "famine with one descriptor in hand: 100 clients told, {spent:.1?} of processor in {WATCHED:?}, room after \
         {room:.1?}, 100 of 100 served with the limit lifted"
        ));
        assert!(room < RECOVERED);
    });
}

#[test]
fn without_any_descriptor_clients_wait_and_are_served_when_the_limit_is_lifted() {
    let _alone = alone();
    undisturbed(|| {
        if !have("prlimit") {
            return;
        }
        let (server, mut clients) = peopled();
        // Below what is open already, so that not even the one in hand can be had again.
        limit(&server, 3);
        let mut waiting: Vec<_> = (0..100).map(|_| server.quiet_client()).collect();
        waiting.iter_mut().for_each(|client| client.send("hello\n"));
        let spent = cpu_while_watched(&server);
        assert!(spent < CPU, "{spent:?} of {WATCHED:?} spent on the famine");
        waiting.iter().for_each(Client::expect_nothing_yet);
        clients.iter_mut().for_each(|client| client.exchange("hello\n", "ACK\n"));
        limit(&server, 1024);
        let began = Instant::now();
        waiting.iter_mut().for_each(|client| client.expect("ACK\n"));
        let served = began.elapsed();
        figure(&format!(
            "famine without any: 100 clients wait, {spent:.1?} of processor in {WATCHED:?}, all served {served:.1?} after \
         the limit was lifted"
        ));
        assert!(served < RECOVERED);
    });
}

/// Accepts that fail for their client alone are not paused for: where every one fails, it is no matter of the clients.
#[test]
fn where_no_accept_is_permitted_clients_wait_and_the_loop_does_not_spin() {
    let _alone = alone();
    if !Fault::possible() {
        return;
    }
    let (server, mut clients) = peopled();
    let forbidden = Fault::inject(&server, "accept4", "EPERM", "1+");
    let mut waiting: Vec<_> = (0..10).map(|_| server.quiet_client()).collect();
    waiting.iter_mut().for_each(|client| client.send("hello\n"));
    wait_until("the first failures", || (forbidden.count() >= 100).then_some(()));
    let before = forbidden.count();
    thread::sleep(WATCHED);
    let tried = forbidden.count() - before;
    figure(&format!("accepts that are not permitted: {tried} in {WATCHED:?}"));
    assert!(tried < 1000, "{tried} accepts in {WATCHED:?}");
    clients.iter_mut().for_each(|client| client.exchange("hello\n", "ACK\n"));
    drop(forbidden);
    waiting.iter_mut().for_each(|client| client.expect("ACK\n"));
}
