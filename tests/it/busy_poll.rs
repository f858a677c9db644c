//! `--busy-poll` spins only while there is somebody to be quick for.

use std::thread;
use std::time::Duration;

use crate::harness::{Server, ServerBuilder};

/// The processor time that the server uses in the next while.
fn spent(server: &Server, during: Duration) -> Duration {
    let before = server.proc().cpu();
    thread::sleep(during);
    server.proc().cpu().checked_sub(before).unwrap()
}

#[track_caller]
fn spins(server: &Server) {
    let busy = spent(server, Duration::from_millis(500));
    assert!(busy >= Duration::from_millis(50), "it does not spin: {busy:?}");
}

#[track_caller]
fn sleeps(server: &Server) {
    let asleep = spent(server, Duration::from_millis(300));
    assert!(asleep <= Duration::from_millis(20), "it spins for nobody: {asleep:?}");
}

#[test]
fn it_spins_while_a_client_is_connected() {
    let server = ServerBuilder::new("--busy-poll").start();
    sleeps(&server);
    let mut client = server.client();
    client.exchange("hello", "ACK");
    spins(&server);
    let name = client.name();
    drop(client);
    server.stdout.expect(&format!("{name} disconnected (closed)"));
    sleeps(&server);
}

#[test]
fn it_spins_for_a_second_after_a_datagram() {
    let server = ServerBuilder::new("--busy-poll").start();
    server.peer().check("hello");
    spins(&server);
    thread::sleep(Duration::from_millis(700));
    sleeps(&server);
}
