//! `--format json`: one object a line, the same events.

use nix::sys::signal::Signal::SIGTERM;
use serde_json::Value;

use crate::harness::{Server, ServerBuilder, undisturbed};

fn json(args: &str) -> Server {
    ServerBuilder::new(&format!("--format json {args}")).operated().start()
}

/// The first object for this event; every line before it must be an object too.
#[track_caller]
fn event(server: &Server, name: &str) -> Value {
    let line = server.stdout.find(name, |line| parse(line)["event"] == name);
    parse(&line)
}

/// Reads a line, which must be an object with its time and its event.
#[track_caller]
fn parse(line: &str) -> Value {
    let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"));
    let time = event["time"].as_str().unwrap_or_else(|| panic!("no time in {line:?}"));
    let shape: String =
        time.chars().map(|character| if character.is_ascii_digit() { '0' } else { character }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000000Z", "RFC 3339, UTC, microseconds");
    assert!(event["event"].is_string(), "no event in {line:?}");
    event
}

#[test]
fn listening_names_protocol_and_address() {
    let server = json("");
    let lines = server.stdout.so_far();
    for (line, protocol) in lines.iter().zip(["tcp", "udp"]) {
        let event = parse(line);
        assert_eq!(event["protocol"], protocol);
        assert_eq!(event["address"], server.tcp().to_string());
    }
}

#[test]
fn a_connection_from_its_beginning_to_its_end() {
    let server = json("");
    let mut client = server.quiet_client();
    client.exchange("one", "ACK");
    client.exchange("\u{1b}\"two\\\n", "ACK");
    client.exchange(b"\xff", "ACK");
    let name = client.name();
    drop(client);
    let end = event(&server, "disconnected");
    assert_eq!((&end["peer"], &end["reason"], &end["messages"]), (&name.clone().into(), &"closed".into(), &3.into()));
    assert!(end["seconds"].as_f64().unwrap() >= 0.0);
    let came = event(&server, "connected");
    assert_eq!((&came["protocol"], &came["peer"]), (&"tcp".into(), &name.clone().into()));
    let lines = server.stdout.so_far();
    let messages: Vec<Value> =
        lines.iter().map(|line| parse(line)).filter(|event| event["event"] == "message").collect();
    assert_eq!(messages.len(), 3);
    for message in &messages {
        assert_eq!((&message["protocol"], &message["peer"]), (&"tcp".into(), &name.clone().into()));
    }
    assert_eq!((&messages[0]["text"], &messages[0]["bytes"]), (&"one".into(), &3.into()));
    assert_eq!(messages[1]["bytes"], 7);
    assert!(messages[1]["text"].as_str().unwrap().starts_with("\u{1b}\"two\\"));
    assert_eq!((&messages[2]["text"], &messages[2]["bytes"]), (&"\u{fffd}".into(), &1.into()));
}

#[test]
fn each_reason_is_named() {
    undisturbed(|| {
        let mut server = json("--framing lines --max-message 10 --idle-timeout 0.3 --grace 5");
        let too_long = {
            let mut client = server.quiet_client();
            client.send([b'x'; 100]);
            client.expect_last("message too long\n");
            (client.name(), "too long")
        };
        let reset = {
            let client = server.quiet_client();
            let name = client.name();
            wait_for_connection(&server, &name);
            client.reset();
            (name, "reset")
        };
        let operator = {
            let mut client = server.quiet_client();
            wait_for_connection(&server, &client.name());
            server.type_in(&format!("close {}\n", client.name()));
            client.expect_end();
            (client.name(), "operator")
        };
        let idle = {
            let mut client = server.quiet_client();
            client.expect_last("idle timeout\n");
            (client.name(), "idle")
        };
        let mut client = server.quiet_client();
        client.exchange("hello\n", "ACK\n");
        server.signal(SIGTERM);
        client.expect_last("server is shutting down\n");
        let shutdown = (client.name(), "shutdown");
        drop(client);
        assert_eq!(server.wait_exit(), 0);
        let lines = server.stdout.to_end();
        for (name, reason) in [too_long, reset, operator, idle, shutdown] {
            let end = lines
                .iter()
                .map(|line| parse(line))
                .find(|event| event["event"] == "disconnected" && event["peer"] == name);
            assert_eq!(end.unwrap_or_else(|| panic!("no end of {name}, {reason}"))["reason"], reason);
        }
    });
}

#[track_caller]
fn wait_for_connection(server: &Server, name: &str) {
    server.stdout.find("the connection", |line| {
        let event = parse(line);
        event["event"] == "connected" && event["peer"] == name
    });
}

#[test]
fn a_datagram_is_a_message_by_udp() {
    let server = json("");
    let peer = server.peer();
    peer.check("hello");
    let message = event(&server, "message");
    assert_eq!((&message["protocol"], &message["peer"]), (&"udp".into(), &peer.name().into()));
    assert_eq!((&message["text"], &message["bytes"]), (&"hello".into(), &5.into()));
}

#[test]
fn a_refusal_names_the_peer() {
    let server = json("-t --max-connections 1");
    let mut first = server.quiet_client();
    first.exchange("hello", "ACK");
    let mut surplus = server.quiet_client();
    surplus.expect_last("server is full");
    assert_eq!(event(&server, "refused")["peer"], surplus.name());
}

#[test]
fn the_shutdown_tells_at_its_end_how_many_were_cut() {
    undisturbed(|| {
        let mut server = json("-t --grace 0.2");
        let mut client = server.quiet_client();
        client.exchange("hello", "ACK");
        server.signal(SIGTERM);
        client.expect_last("server is shutting down");
        assert_eq!(server.wait_exit(), 0);
        let last = parse(server.stdout.to_end().last().unwrap());
        assert_eq!((&last["event"], &last["cut"]), (&"shutdown".into(), &1.into()));
    });
}

#[test]
fn stats_carries_the_same_names() {
    let mut server = json("");
    server.quiet_client().exchange("hello", "ACK");
    server.peer().check("hey");
    server.type_in("stats\n");
    let stats = event(&server, "stats");
    let names = "uptime connections peak total refused messages acks bytes idle_cuts resets datagrams_in datagrams_out \
                 unanswered datagrams_dropped lines_dropped longest_turn_ms";
    for name in names.split(' ') {
        assert!(stats[name].is_number(), "{name} in {stats}");
    }
    assert_eq!((&stats["messages"], &stats["acks"], &stats["datagrams_in"]), (&1.into(), &1.into(), &1.into()));
}

#[test]
fn clients_is_a_list() {
    let mut server = json("");
    let mut client = server.quiet_client();
    client.exchange("hello", "ACK");
    server.type_in("clients\n");
    let answer = event(&server, "clients");
    let [entry] = answer["clients"].as_array().unwrap().as_slice() else { panic!("{answer}") };
    assert_eq!((&entry["peer"], &entry["messages"]), (&client.name().into(), &1.into()));
    assert!(entry["seconds"].is_number() && entry["silent"].is_number(), "{entry}");
}

#[test]
fn no_clients_is_an_empty_list() {
    let mut server = json("");
    server.type_in("clients\n");
    assert_eq!(event(&server, "clients")["clients"].as_array().map(Vec::len), Some(0));
}

#[test]
fn every_answer_to_the_operator_is_an_object() {
    let mut server = json("");
    server.type_in("help\nnonsense\nclose 1.2.3.4:5\nclients\n");
    event(&server, "clients");
    server.stdout.so_far().iter().for_each(|line| drop(parse(line)));
}

#[test]
fn the_language_changes_nothing() {
    let server = json("--lang zh");
    server.quiet_client().exchange("hello", "ACK");
    assert_eq!(event(&server, "message")["text"], "hello");
}
