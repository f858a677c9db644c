//! TCP without framing: whatever one read returns is one message.

use std::net::Shutdown;

use crate::harness::{Client, server, undisturbed, wait_until};

#[test]
fn each_message_in_its_turn_is_answered_with_ack() {
    let server = server("-t");
    let mut client = server.client();
    for message in ["hello", "x", "a\nb\n", "\0"] {
        client.exchange(message, "ACK");
    }
}

#[test]
fn a_client_that_shuts_its_writing_side_gets_its_ack_and_a_clean_end() {
    let server = server("-t");
    let mut client = server.client();
    client.send("hello");
    client.finish_writing();
    client.expect_last("ACK");
    server.stdout.expect(&format!("{} disconnected (closed)", client.name()));
}

#[test]
fn a_client_that_says_nothing_gets_nothing_but_a_clean_end() {
    let server = server("-t");
    let mut client = server.client();
    client.finish_writing();
    client.expect_end();
}

#[test]
fn data_and_end_that_arrive_together_are_both_seen() {
    undisturbed(|| {
        let server = server("-t");
        let mut client = server.client();
        server.stop();
        client.send("hello");
        client.finish_writing();
        server.resume();
        client.expect_last("ACK");
    });
}

#[test]
fn what_was_sent_before_a_reset_is_in_the_transcript() {
    undisturbed(|| {
        let server = server("-t");
        let mut client = server.client();
        let name = client.name();
        server.stop();
        client.send("last words");
        client.reset();
        server.resume();
        let end = format!("{name} disconnected (");
        server.stdout.find("the disconnection", |line| line.starts_with(&end));
        server.stdout.expect(&format!("{name} sent: last words"));
    });
}

#[test]
fn one_message_is_at_most_64_kib() {
    let server = server("-t");
    let mut client = server.client();
    let mut sender = client.clone_handle();
    let writer = std::thread::spawn(move || {
        sender.send(vec![b'x'; 1 << 20]);
        sender.finish_writing();
    });
    let acks = client.read_to_end();
    writer.join().unwrap();
    assert!(acks.len() >= 16 * 3, "1 MiB is at least 16 messages, but got {}", acks.len() / 3);
    assert_eq!(acks, b"ACK".repeat(acks.len() / 3));
}

#[test]
fn one_client_that_resets_does_not_disturb_another() {
    let server = server("-t");
    let mut steady = server.client();
    for _ in 0..50 {
        let mut rude = Client::connect(server.tcp());
        rude.send("hello");
        rude.reset();
        steady.exchange("still here?", "ACK");
    }
}

#[test]
fn descriptors_are_given_back() {
    let server = server("-t");
    let mut steady = server.client();
    steady.exchange("x", "ACK");
    let before = server.proc().descriptors();
    let mut clients: Vec<_> = (0..50).map(|_| server.client()).collect();
    for client in &mut clients {
        client.exchange("x", "ACK");
    }
    for (index, client) in clients.into_iter().enumerate() {
        if index % 2 == 0 { client.reset() } else { drop(client) }
    }
    wait_until("the descriptors", || (server.proc().descriptors() == before).then_some(()));
}

#[test]
fn a_port_scan_does_no_harm() {
    let server = server("-t");
    for _ in 0..100 {
        let stream = std::net::TcpStream::connect(server.tcp()).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    }
    server.client().exchange("hello", "ACK");
}
