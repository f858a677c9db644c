//! `--busy-poll` spins only while there is somebody to be quick for.

use std::thread;
use std::time::Duration;

use crate::harness::{Server, ServerBuilder};

/// For how long the server is awake while `events` happen, and in the while after them.
fn awake(server: &Server, during: Duration, events: impl FnOnce()) -> Duration {
    let before = server.proc().awake();
    events();
    thread::sleep(during);
    server.proc().awake() - before
}

#[track_caller]
fn spins(server: &Server, events: impl FnOnce()) {
    let awake = awake(server, Duration::from_millis(500), events);
    assert!(awake >= Duration::from_millis(200), "it does not spin: awake for {awake:?}");
}

#[track_caller]
fn sleeps(server: &Server) {
    let awake = awake(server, Duration::from_millis(300), || {});
    assert!(awake <= Duration::from_millis(50), "it spins for nobody: awake for {awake:?}");
}

#[test]
fn it_spins_while_a_client_is_connected() {
    let server = ServerBuilder::new("--busy-poll").start();
    sleeps(&server);
    let mut client = server.client();
    spins(&server, || client.exchange("hello", "ACK"));
    let name = client.name();
    drop(client);
    server.stdout.expect(&format!("{name} disconnected (closed)"));
    sleeps(&server);
}

#[test]
fn it_spins_for_a_second_after_a_datagram() {
    let server = ServerBuilder::new("--busy-poll").start();
    spins(&server, || server.peer().check("hello"));
    thread::sleep(Duration::from_millis(700));
    sleeps(&server);
}
