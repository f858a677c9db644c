//! Connections that come and go, and connections that only stay: descriptors return, memory is flat.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::harness::{ServerBuilder, skipped, wait_until};
use crate::{alone, figure};

/// What the first connections may leave allocated is measured apart.
const WARM_UP: usize = 1000;
/// How much memory may grow over any number of connections.
const GROWTH: u64 = 1 << 20;
/// How much memory a connection may hold that says nothing.
const IDLE_MEMORY: f64 = 1024.0;

#[test]
fn five_thousand_connections_leave_nothing_behind() {
    churn(5000);
}

#[test]
#[ignore = "long: within 2 minutes"]
fn a_hundred_thousand_connections_leave_nothing_behind() {
    churn(100_000);
}

#[test]
fn a_thousand_idle_connections_cost_next_to_nothing() {
    idle(1000);
}

#[test]
#[ignore = "needs a descriptor limit of 10,100"]
fn ten_thousand_idle_connections_cost_next_to_nothing() {
    idle(10_000);
}

/// Whoever was cut in the middle of a slice left its place in the queue to the next one in its slot.
#[test]
fn floods_that_are_turned_away_and_come_again_leave_a_server_at_rest() {
    const AT_ONCE: usize = 24;
    const RETURNS: usize = 3000;
    let _alone = alone();
    let server = ServerBuilder::new("-q -t --framing lines --max-connections 1").start();
    let mut resident = server.quiet_client();
    resident.exchange("hello\n", "ACK\n");
    let mut floods: Vec<_> = (0..AT_ONCE).map(|_| flood(server.tcp())).collect();
    let lines = b"x\n".repeat(100_000);
    let mut returns = 0;
    while returns < RETURNS {
        for flood_again in &mut floods {
            match flood_again.write(&lines) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => {
                    *flood_again = flood(server.tcp());
                    returns += 1;
                }
                _ => {}
            }
        }
    }
    drop(floods);
    wait_until("rest", || {
        let cpu = server.proc().cpu();
        thread::sleep(Duration::from_millis(200));
        (server.proc().cpu() == cpu).then_some(())
    });
}

/// A connection that is written to without waiting.
fn flood(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nonblocking(true).unwrap();
    stream
}

fn churn(connections: usize) {
    let _alone = alone();
    let mut server = ServerBuilder::new("-q -t --framing lines").operated().start();
    let descriptors = server.proc().descriptors();
    let come_and_go = |count: usize| {
        for turn in 0..count {
            let mut client = server.quiet_client();
            client.exchange("hello\n", "ACK\n");
            // A client that closes keeps its port for a minute, one that resets does not; there are 28,000.
            if turn % 8 > 0 {
                client.reset();
            }
        }
    };
    come_and_go(WARM_UP);
    let resident = server.proc().resident();
    let began = Instant::now();
    come_and_go(connections);
    let rate = connections as f64 / began.elapsed().as_secs_f64();
    wait_until("the descriptors", || (server.proc().descriptors() == descriptors).then_some(()));
    let grown = server.proc().resident().saturating_sub(resident);
    figure(&format!(
        "churn: {connections} connections, {rate:.0} a second; descriptors {descriptors} as before, memory +{} KiB",
        grown >> 10
    ));
    assert!(grown < GROWTH, "memory grew by {grown} bytes");
    assert_eq!(server.stat("total"), (connections + WARM_UP) as f64);
}

fn idle(connections: usize) {
    let _alone = alone();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if hard < connections as u64 + 100 {
        skipped(&format!("{connections} idle connections, with a limit of {hard} descriptors"));
        return;
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let server = ServerBuilder::new("-q -t --framing lines --idle-timeout 600").operated().start();
    let descriptors = server.proc().descriptors();
    server.quiet_client().exchange("hello\n", "ACK\n");
    let resident = server.proc().resident();
    let mut clients: Vec<_> = (0..connections).map(|_| server.quiet_client()).collect();
    clients.iter_mut().for_each(|client| client.exchange("hello\n", "ACK\n"));
    let each = server.proc().resident().saturating_sub(resident) as f64 / connections as f64;
    let cpu = server.proc().cpu();
    thread::sleep(Duration::from_secs(1));
    let spent = server.proc().cpu().checked_sub(cpu).unwrap();
    drop(clients);
    wait_until("the descriptors", || (server.proc().descriptors() == descriptors).then_some(()));
    server.quiet_client().exchange("hello\n", "ACK\n");
    figure(&format!("idle: {connections} connections, {each:.0} bytes each, {spent:?} of processor in a second"));
    assert!(each < IDLE_MEMORY, "{each} bytes each");
    assert!(spent <= Duration::from_millis(20), "{spent:?} spent on idle connections");
}
