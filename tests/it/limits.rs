//! How many clients are served, and what the next one is told.

use crate::harness::{Client, ServerBuilder, server, undisturbed, wait_until};

#[test]
fn one_client_more_is_told_that_the_server_is_full() {
    let server = server("-t --max-connections 2");
    let mut clients = [server.client(), server.client()];
    let mut surplus = server.quiet_client();
    surplus.expect_last("server is full");
    server.stdout.expect(&format!("{} refused (server is full)", surplus.name()));
    for client in &mut clients {
        client.exchange("hello", "ACK");
    }
}

#[test]
fn the_refusal_is_framed_like_a_message() {
    for (framing, notice) in [("lines", "server is full\n"), ("length", "\0\0\0\x0eserver is full")] {
        let server = server(&format!("-t --max-connections 1 --framing {framing}"));
        let _first = server.client();
        server.quiet_client().expect_last(notice);
    }
}

#[test]
fn a_client_that_speaks_first_is_told_all_the_same() {
    undisturbed(|| {
        let server = server("-t --max-connections 1");
        let _first = server.client();
        server.stop();
        let mut surplus = server.quiet_client();
        surplus.send("hello");
        server.resume();
        surplus.expect_last("server is full");
    });
}

#[test]
fn a_place_that_becomes_free_is_given_to_the_next() {
    let server = server("-t --max-connections 1");
    for _ in 0..5 {
        let mut client = server.client();
        client.exchange("hello", "ACK");
        let name = client.name();
        drop(client);
        server.stdout.expect(&format!("{name} disconnected (closed)"));
    }
}

#[test]
fn the_refused_are_counted() {
    let mut server = ServerBuilder::new("-t --max-connections 1").operated().start();
    let _first = server.client();
    for _ in 0..3 {
        server.quiet_client().expect_last("server is full");
    }
    assert_eq!((server.stat("refused"), server.stat("connections"), server.stat("peak")), (3.0, 1.0, 1.0));
}

#[test]
fn by_default_the_descriptor_limit_decides_and_32_are_kept_in_reserve() {
    // The soft limit is below the hard one: the server raises it.
    let server = ServerBuilder::new("-t")
        .with(|launch| launch.through_shell("ulimit -Sn 40; ulimit -Hn 64; exec \"$0\" \"$@\""))
        .start();
    let mut clients: Vec<_> = (0..32).map(|_| server.client()).collect();
    for client in &mut clients {
        client.exchange("hello", "ACK");
    }
    server.quiet_client().expect_last("server is full");
}

#[test]
fn far_too_many_clients_at_once_leave_nobody_hanging() {
    undisturbed(|| {
        let server = ServerBuilder::new("-t --grace 0.2")
            .with(|launch| launch.through_shell("ulimit -n 64; exec \"$0\" \"$@\""))
            .start();
        let mut first = server.client();
        server.stop();
        let mut crowd: Vec<_> = (0..150).map(|_| Client::connect(server.tcp())).collect();
        server.resume();
        for client in crowd.drain(40..).collect::<Vec<_>>() {
            drop(client);
        }
        first.exchange("hello", "ACK");
        drop(crowd);
        // Whatever the crowd got, who comes when it has left is served.
        wait_until("service", || {
            let mut late = Client::connect(server.tcp());
            late.send("hello");
            late.finish_writing();
            late.try_read_to_end().is_ok_and(|answer| answer == b"ACK").then_some(())
        });
    });
}

#[test]
fn a_burst_of_connections_is_served_without_loss() {
    undisturbed(|| {
        let server = server("-t --quiet");
        server.stop();
        let mut clients: Vec<_> = (0..300).map(|_| Client::connect(server.tcp())).collect();
        for client in &mut clients {
            client.send("hello");
        }
        server.resume();
        for client in &mut clients {
            client.expect("ACK");
        }
    });
}
