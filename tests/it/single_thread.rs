//! The kernel's task list shows exactly one task, always.

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
