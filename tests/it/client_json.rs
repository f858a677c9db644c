//! `--format json`: one object a line, the same events and the same exit codes.

use serde_json::{Value, json};

use crate::harness::{
    FarTcp, FarUdp, Process, client_to, closed_port, end_of, one_of_five, piped_to, private_loopback, run, server,
    undisturbed,
};

/// The objects of a transcript, their times and round trips checked and taken away.
#[track_caller]
fn objects(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| object(line)).collect()
}

#[track_caller]
fn object(line: &str) -> Value {
    let mut event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"));
    let fields = event.as_object_mut().unwrap();
    let time = fields.remove("time").unwrap();
    let shape: String = time.as_str().unwrap().chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000000Z", "RFC 3339, UTC, microseconds");
    if let Some(rtt) = fields.remove("rtt_ns") {
        assert!(rtt.as_u64().is_some_and(|rtt| rtt > 0 && rtt < 10_000_000_000), "{line:?}");
        fields.insert("timed".into(), true.into());
    }
    event
}

fn summary(sent: u64, acknowledged: u64) -> Value {
    json!({"event": "summary", "sent": sent, "acknowledged": acknowledged})
}

#[track_caller]
fn transcript(client: &mut Process, code: i32) -> Vec<Value> {
    let ended = end_of(client);
    assert_eq!(ended.code, code, "{:?} {:?}", ended.out, ended.err);
    objects(&ended.out)
}

#[test]
fn a_conversation_over_tcp() {
    let server = server("-t");
    let peer = server.tcp().to_string();
    let mut client = piped_to(server.tcp(), "--format json --lang zh");
    client.type_in("one\ntwo\n");
    client.end_input();
    let reply = json!({"event": "reply", "protocol": "tcp", "peer": peer, "bytes": 3, "text": "ACK", "timed": true});
    let connected = json!({"event": "connected", "protocol": "tcp", "peer": peer});
    assert_eq!(transcript(&mut client, 0), [connected, reply.clone(), reply, summary(2, 2)]);
}

#[test]
fn a_conversation_over_udp() {
    let server = server("-u");
    let peer = server.udp().to_string();
    let mut client = client_to(server.udp(), "-u --format json -m hello").start();
    let reply = json!({"event": "reply", "protocol": "udp", "peer": peer, "bytes": 5, "text": "check", "timed": true});
    assert_eq!(transcript(&mut client, 0), [reply, summary(1, 1)]);
}

#[test]
fn the_round_trip_is_the_time_from_the_message_to_its_reply() {
    undisturbed(|| {
        one_of_five(|| {
            let far = FarTcp::new();
            let mut client = client_to(far.address(), "--format json -m hello").start();
            let mut caller = far.accept();
            caller.expect("hello");
            std::thread::sleep(std::time::Duration::from_millis(200));
            caller.say("ACK");
            let lines = end_of(&mut client).out;
            let reply: Value = serde_json::from_str(&lines[1]).unwrap();
            let rtt = reply["rtt_ns"].as_u64().unwrap();
            assert!(rtt >= 200_000_000, "{rtt}");
            if rtt < 400_000_000 { Ok(()) } else { Err(rtt) }
        });
    });
}

#[test]
fn notices_and_what_follows_from_them() {
    for notice in ["server is shutting down", "message too long", "server is full", "idle timeout"] {
        let far = FarTcp::new();
        let peer = far.address().to_string();
        let mut client = piped_to(far.address(), "--format json");
        far.accept().close_with(notice);
        let events = transcript(&mut client, 1);
        let told = json!({
            "event": "notice", "protocol": "tcp", "peer": peer, "bytes": notice.len(), "text": notice,
        });
        assert_eq!(events[1], told);
        let follows = if notice == "idle timeout" { "timeout" } else { "closed" };
        assert_eq!((&events[2]["event"], &events[2]["peer"]), (&follows.into(), &peer.into()));
        assert_eq!(events[3..], [summary(0, 0)]);
    }
}

#[test]
fn the_server_closes() {
    let far = FarTcp::new();
    let peer = far.address().to_string();
    let mut client = client_to(far.address(), "--format json -m hello").start();
    let mut caller = far.accept();
    caller.expect("hello");
    caller.close_with("");
    let closed = json!({"event": "closed", "protocol": "tcp", "peer": peer});
    assert_eq!(transcript(&mut client, 1)[1..], [closed, summary(1, 0)]);
}

#[test]
fn a_reply_that_does_not_come() {
    undisturbed(|| {
        let (tcp, udp) = (FarTcp::new(), FarUdp::new());
        for (address, protocol, option) in [(tcp.address(), "tcp", ""), (udp.address(), "udp", "-u")] {
            let mut client = client_to(address, &format!("--format json -m hello -W 0.3 {option}")).start();
            let events = transcript(&mut client, 1);
            let timeout = &events[events.len() - 2];
            assert_eq!((&timeout["event"], &timeout["protocol"]), (&"timeout".into(), &protocol.into()));
            assert_eq!(timeout["peer"], address.to_string());
            assert!(timeout["reason"].is_string(), "{timeout}");
            assert_eq!(events.last(), Some(&summary(1, 0)));
        }
    });
}

#[test]
fn a_wrong_reply_has_its_bytes_and_text() {
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "--format json -m hello").start();
    far.accept().answer("hello", b"\x1b\"\xff");
    let events = transcript(&mut client, 1);
    assert_eq!((&events[1]["bytes"], &events[1]["text"]), (&3.into(), &"\u{1b}\"\u{fffd}".into()));
    assert_eq!(events[2], summary(1, 0));
}

#[test]
fn a_refused_port_ends_in_a_summary_too() {
    let closed = closed_port(private_loopback());
    for option in ["", "-u"] {
        let ended = run(client_to(closed, &format!("--format json -m hello {option}")));
        assert_eq!(ended.code, 1);
        let events = objects(&ended.out);
        let last = events.last().unwrap();
        assert_eq!((&last["event"], &last["acknowledged"]), (&"summary".into(), &0.into()), "{option}");
    }
}

#[test]
fn an_interrupt_ends_in_a_summary() {
    let far = FarTcp::new();
    let mut client = piped_to(far.address(), "--format json");
    client.stdout.find("the connection", |line| line.contains("connected"));
    client.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(transcript(&mut client, 0).last(), Some(&summary(0, 0)));
}
