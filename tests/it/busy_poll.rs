//! `--busy-poll` spins only while there is somebody to be quick for.

use std::thread;
use std::time::Duration;

use crate::harness::{Server, ServerBuilder, undisturbed, wait_until};

/// It is awake for far longer than those who come now and then would keep it so.
#[track_caller]
fn spins(server: &Server, mut somebody_comes: impl FnMut()) {
    let before = server.proc().awake();
    wait_until("its spinning", || {
        somebody_comes();
        thread::sleep(Duration::from_millis(45));
        (server.proc().awake() - before >= Duration::from_millis(200)).then_some(())
    });
}

#[track_caller]
fn sleeps(server: &Server) {
    let before = server.proc().awake();
    thread::sleep(Duration::from_millis(300));
    let awake = server.proc().awake() - before;
    assert!(awake <= Duration::from_millis(50), "it spins for nobody: awake for {awake:?}");
}

#[test]
fn it_spins_while_a_client_is_connected() {
    undisturbed(|| {
        let server = ServerBuilder::new("--busy-poll").start();
        sleeps(&server);
        let mut client = server.client();
        spins(&server, || client.exchange("hello", "ACK"));
        let name = client.name();
        drop(client);
        server.stdout.expect(&format!("{name} disconnected (closed)"));
        sleeps(&server);
    });
}

#[test]
fn it_spins_for_a_second_after_a_datagram() {
    undisturbed(|| {
        let server = ServerBuilder::new("--busy-poll").start();
        spins(&server, || server.peer().check("hello"));
        thread::sleep(Duration::from_millis(1200));
        sleeps(&server);
    });
}
