//! The kernel's task list shows exactly one task, always.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal::SIGTERM;

use crate::harness::{Output, Server, ServerBuilder};

/// Looks again and again while TCP, UDP, the operator, a stalled stdout and the diagnostics are all busy.
#[track_caller]
fn has_one_task_while_busy(mut server: Server) {
    assert_eq!(server.proc().tasks(), 1);
    server.stdout.pause();
    let mut clients: Vec<_> = (0..5).map(|_| server.quiet_client()).collect();
    let peer = server.peer();
    for _ in 0..50 {
        for client in &mut clients {
            client.exchange("x".repeat(500), "ACK");
            peer.check("hello");
            assert_eq!(server.proc().tasks(), 1);
        }
        server.type_in("clients\n");
    }
    server.stdout.resume();
    server.signal(SIGTERM);
    clients[0].expect_last("server is shutting down");
    assert_eq!(server.proc().tasks(), 1);
    drop(clients);
    assert_eq!(server.wait_exit(), 0);
}

#[test]
fn asleep_and_busy() {
    has_one_task_while_busy(ServerBuilder::new("--grace 60").operated().start());
}

#[test]
fn with_busy_poll() {
    has_one_task_while_busy(ServerBuilder::new("--grace 60 --busy-poll").operated().start());
}

#[test]
fn with_a_host_name_json_and_diagnostics() {
    let (_unread, stderr) = std::io::pipe().unwrap();
    let builder = ServerBuilder::new("--grace 60 --host localhost --format json").operated();
    let traced = builder.with(|launch| launch.env("RUST_LOG", "trace").stderr(Output::Given(stderr.into())));
    has_one_task_while_busy(traced.start());
}

#[test]
fn busy_poll_spins_only_while_somebody_is_there() {
    let server = ServerBuilder::new("-t --busy-poll").start();
    let mut client = server.client();
    client.exchange("hello", "ACK");
    let spent = |during: Duration| {
        let before = server.proc().cpu();
        thread::sleep(during);
        server.proc().cpu().checked_sub(before).unwrap()
    };
    let busy = spent(Duration::from_millis(500));
    assert!(busy >= Duration::from_millis(50), "it does not spin: {busy:?}");
    let name = client.name();
    drop(client);
    server.stdout.expect(&format!("{name} disconnected (closed)"));
    let asleep = spent(Duration::from_millis(300));
    assert!(asleep <= Duration::from_millis(20), "it spins for nobody: {asleep:?}");
}
