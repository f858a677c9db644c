//! Who was told why it is cut has one second to take it, whatever the grace, and keeps nobody out.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGCONT, SIGSTOP, SIGTERM};

use crate::harness::{Client, Server, ServerBuilder, one_of_five, private_loopback, undisturbed, wait_until};

/// What a client that lingers is given.
const SECOND: Duration = Duration::from_secs(1);
/// A busy machine may add this.
const LATE: Duration = Duration::from_secs(1);

fn operated(args: &str) -> Server {
    ServerBuilder::new(&format!("-t --grace 3600 {args}")).operated().start()
}

/// A full server whose four clients were told that they are idle, and neither read that nor leave; and its descriptors
/// without them.
#[track_caller]
fn full_of_the_idle() -> (Server, Vec<Client>, usize) {
    let mut server = operated("--max-connections 4 --idle-timeout 1");
    let descriptors = server.proc().descriptors();
    let lingering: Vec<_> = (0..4).map(|_| server.client()).collect();
    wait_until("the cut of the idle", || (server.stat("idle_cuts") == 4.0).then_some(()));
    (server, lingering, descriptors)
}

/// Whether this many descriptors are open, at the most, before the deadline of the lingering.
#[track_caller]
fn expect_closed_in_a_second(server: &Server, descriptors: usize, since: Instant, what: &str) {
    while server.proc().descriptors() > descriptors {
        assert!(since.elapsed() < SECOND + LATE, "{what}: still open {:?} after it was told", since.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_lingering_are_neither_listed_nor_counted() {
    undisturbed(|| {
        let (mut server, _lingering, _) = full_of_the_idle();
        assert_eq!(server.stat("connections"), 0.0);
        server.ask("clients", |line| line == "0 clients");
    });
}

#[test]
fn the_next_client_is_admitted_as_soon_as_the_idle_are_told() {
    undisturbed(|| {
        let (server, _lingering, _) = full_of_the_idle();
        server.quiet_client().exchange("hello", "ACK");
    });
}

#[test]
fn the_lingering_go_first_when_the_server_is_full() {
    undisturbed(|| {
        let (server, mut lingering, descriptors) = full_of_the_idle();
        let mut newcomers: Vec<_> = (0..4).map(|_| server.quiet_client()).collect();
        newcomers.iter_mut().for_each(|client| client.exchange("hello", "ACK"));
        // As many as were admitted have been cut at once: no descriptor more than the limit is held.
        assert!(server.proc().descriptors() <= descriptors + 4, "they are held beside four others");
        lingering.iter_mut().for_each(|client| client.expect_last("idle timeout"));
        server.quiet_client().expect_last("server is full");
        newcomers.iter_mut().for_each(|client| client.exchange("hello again", "ACK"));
    });
}

#[test]
fn after_a_second_the_idle_are_closed_whatever_the_grace() {
    undisturbed(|| {
        let (server, mut lingering, descriptors) = full_of_the_idle();
        expect_closed_in_a_second(&server, descriptors, Instant::now(), "idle timeout");
        lingering.iter_mut().for_each(|client| client.expect_last("idle timeout"));
    });
}

#[test]
fn whose_message_was_too_long_has_a_second() {
    undisturbed(|| {
        let server = operated("--framing lines --max-message 16");
        let descriptors = server.proc().descriptors();
        let mut client = server.client();
        client.send([b'x'; 100]);
        client.expect_last("message too long\n");
        let since = Instant::now();
        // It has read that, and does not leave; another is served meanwhile, and its going is another's.
        server.quiet_client().exchange("hello\n", "ACK\n");
        expect_closed_in_a_second(&server, descriptors, since, "message too long");
        drop(client);
    });
}

#[test]
fn who_was_told_that_the_server_is_full_has_a_second() {
    undisturbed(|| {
        let server = operated("--max-connections 1 --idle-timeout 60");
        let mut first = server.client();
        let descriptors = server.proc().descriptors();
        let mut refused: Vec<_> = (0..3).map(|_| server.quiet_client()).collect();
        refused.iter_mut().for_each(|client| client.expect_last("server is full"));
        let since = Instant::now();
        expect_closed_in_a_second(&server, descriptors, since, "server is full");
        first.exchange("hello", "ACK");
        drop(refused);
    });
}

#[test]
fn whose_message_was_too_long_has_a_second_at_the_end_of_the_server_too() {
    let mut server = operated("--framing lines --max-message 16");
    server.signal(SIGSTOP);
    // It comes out of the backlog, and is read when the end has begun.
    let mut client = server.quiet_client();
    client.send([b'x'; 100]);
    server.signal(SIGTERM);
    server.signal(SIGCONT);
    client.expect_last("message too long\n");
    // Its grace of an hour is for those who were told of the end.
    assert_eq!(server.wait_exit(), 0);
    assert!(!server.stdout.to_end().iter().any(|line| line.starts_with("connections cut")));
    drop(client);
}

#[test]
fn who_is_refused_for_its_address_takes_nobodys_second() {
    one_of_five(|| {
        let server = operated("--framing lines --max-message 16 --max-connections 2 --max-per-address 1");
        let descriptors = server.proc().descriptors();
        let mut resident = server.client();
        let elsewhere = SocketAddr::new(private_loopback(), 0);
        let mut told = Client::connect_from(elsewhere, server.tcp());
        told.send([b'x'; 100]);
        told.expect_last("message too long\n");
        let mut refused = server.quiet_client();
        refused.expect_last("server is full\n");
        resident.exchange("hello\n", "ACK\n");
        match server.proc().descriptors() - descriptors {
            3 => Ok(()),
            left => Err(format!("one of three was cut: {left} are left")),
        }
    });
}

#[test]
fn who_is_told_of_the_end_makes_no_room_for_those_who_come_then() {
    let server = ServerBuilder::new("-t --max-connections 2 --grace 2").start();
    let held = [server.client(), server.client()];
    server.signal(SIGSTOP);
    // More than are accepted in one slice.
    drop((0..200).map(|_| server.quiet_client()).collect::<Vec<_>>());
    server.signal(SIGTERM);
    server.signal(SIGCONT);
    expect_cut(server, &held);
}

#[test]
fn who_was_told_of_the_end_in_a_drain_makes_no_room_either() {
    undisturbed(|| {
        let server = ServerBuilder::new("-t --max-connections 2 --grace 2 --drain 1").start();
        let mut held = [server.client(), server.client()];
        server.signal(SIGTERM);
        server.stdout.find("that it ends", |line| line == "server is shutting down");
        let last = "ACKserver is shutting down";
        held.iter_mut().for_each(|client| client.exchange("hello", last));
        (0..2).for_each(|_| server.quiet_client().exchange("hello", last));
        expect_cut(server, &held);
    });
}

/// They stay to the end of the grace, when they are cut.
#[track_caller]
fn expect_cut(mut server: Server, held: &[Client]) {
    assert_eq!(server.wait_exit(), 0);
    assert_eq!(server.stdout.to_end().last().unwrap(), &format!("connections cut: {}", held.len()));
}

/// Those who left in the same turn hold their descriptors until its end, and no place.
#[test]
fn the_lingering_keep_their_second_where_others_have_made_room_in_the_same_turn() {
    // A busy machine may take all of that second.
    one_of_five(|| {
        let mut server = operated("--max-connections 8 --idle-timeout 2");
        let descriptors = server.proc().descriptors();
        let mut active: Vec<_> = (0..4).map(|_| server.client()).collect();
        let _lingering: Vec<_> = (0..4).map(|_| server.client()).collect();
        let cut = |server: &mut Server| server.stat("idle_cuts") == 4.0;
        wait_until("the cut of the idle", || {
            active.iter_mut().for_each(|client| client.exchange("hello", "ACK"));
            cut(&mut server).then_some(())
        });
        server.signal(SIGSTOP);
        drop(active);
        let mut newcomers: Vec<_> = (0..4).map(|_| server.quiet_client()).collect();
        newcomers.iter_mut().for_each(|client| client.send("hello"));
        server.signal(SIGCONT);
        newcomers.iter_mut().for_each(|client| client.expect("ACK"));
        match server.proc().descriptors() {
            left if left == descriptors + 8 => Ok(()),
            left => Err(format!("some of the lingering were cut: {left} descriptors, {descriptors} before")),
        }
    });
}
