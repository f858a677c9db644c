#![allow(clippy::unwrap_used)]

use super::*;
use crate::transcript::stamp::tests::eight_o_clock;
use serde_json::{Value, json};

const UDP: Protocol = Protocol::Udp;
const TCP: Protocol = Protocol::Tcp;

fn server() -> SocketAddr {
    "[::1]:6666".parse().unwrap()
}

fn rendered(event: Event<'_>, format: Format, lang: Lang) -> String {
    let mut out = String::new();
    event.render(Style { format, lang, ..Style::default() }, &eight_o_clock(), &mut out);
    out
}

/// The event in Chinese, in English, and as the objects it is in JSON, which both languages share.
#[track_caller]
fn check(event: Event<'_>, zh: &str, en: &str, json: &[Value]) {
    assert_eq!(rendered(event, Format::Text, Lang::Zh), zh);
    assert_eq!(rendered(event, Format::Text, Lang::En), en);
    let lines = rendered(event, Format::Json, Lang::En);
    assert_eq!(rendered(event, Format::Json, Lang::Zh), lines);
    assert!(lines.is_empty() || lines.ends_with('\n'));
    let begin = r#"{"time":"2026-11-23T08:00:00.123456Z","event":""#;
    let objects: Vec<Value> = lines
        .lines()
        .inspect(|line| assert!(line.starts_with(begin), "{line}"))
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|mut object: Value| {
            object.as_object_mut().unwrap().remove("time");
            object
        })
        .collect();
    assert_eq!(objects, json);
}

#[test]
fn the_connection_stands() {
    check(
        Event::Connected { peer: server() },
        "与IP: ::1 PORT: 6666 成功建立连接!\n",
        "connected to [::1]:6666\n",
        &[json!({"event": "connected", "protocol": "tcp", "peer": "[::1]:6666"})],
    );
}

#[test]
fn the_prompt_comes_once_except_in_chinese_over_udp() {
    let en = "type a message, Enter sends it\n";
    check(Event::Prompt { protocol: TCP, first: true }, "输入要传输的数据\n", en, &[]);
    check(Event::Prompt { protocol: TCP, first: false }, "", "", &[]);
    check(Event::Prompt { protocol: UDP, first: true }, "输入需要传输的信息: \n", en, &[]);
    check(Event::Prompt { protocol: UDP, first: false }, "输入需要传输的信息: \n", "", &[]);
}

#[test]
fn the_server_acknowledges_over_tcp() {
    let rtt = Some(Duration::from_nanos(52_001));
    check(
        Event::Reply {
            protocol: TCP,
            peer: server(),
            framing: Framing::Bytes,
            message: Message::from(b"ACK".as_slice()),
            rtt,
        },
        "上一条信息状态: ACK\n",
        "last message: ACK\n",
        &[json!({
            "event": "reply", "protocol": "tcp", "peer": "[::1]:6666", "bytes": 3, "text": "ACK", "rtt_ns": 52001,
        })],
    );
}

#[test]
fn the_server_acknowledges_over_udp() {
    let rtt = Some(Duration::from_secs(1));
    check(
        Event::Reply {
            protocol: UDP,
            peer: server(),
            framing: Framing::Lines,
            message: Message::from(b"check\n".as_slice()),
            rtt,
        },
        "收到('::1', 6666) 处返回数据: check\n",
        "[::1]:6666 answered: check\n",
        &[json!({
            "event": "reply", "protocol": "udp", "peer": "[::1]:6666", "bytes": 6, "text": "check",
            "rtt_ns": 1_000_000_000,
        })],
    );
}

#[test]
fn a_hostile_reply_is_shown_safely_and_has_no_round_trip_where_none_was_asked() {
    check(
        Event::Reply {
            protocol: TCP,
            peer: server(),
            framing: Framing::Lines,
            message: Message::from(b"\x1b]0;x\x07\n".as_slice()),
            rtt: None,
        },
        "上一条信息状态: \\u{001b}]0;x\\u{0007}\\n\n",
        "last message: \\u{001b}]0;x\\u{0007}\\n\n",
        &[json!({
            "event": "reply", "protocol": "tcp", "peer": "[::1]:6666", "bytes": 7, "text": "\u{1b}]0;x\u{7}\n",
        })],
    );
}

#[test]
fn a_datagram_cannot_be_sent_or_is_refused() {
    let error = io::Error::other("Connection refused (os error 111)");
    check(
        Event::SendFailed { peer: server(), error: &error },
        "oops! something goes wrong when sending message: Connection refused\n",
        "could not send to [::1]:6666: Connection refused\n",
        &[json!({"event": "send-failed", "protocol": "udp", "peer": "[::1]:6666", "reason": "Connection refused"})],
    );
}

#[test]
fn the_server_says_that_it_shuts_down() {
    let text = b"server is shutting down";
    let both = "server is shutting down\nconnection has been closed by server\n";
    let notice = |protocol: &str| {
        json!({
            "event": "notice", "protocol": protocol, "peer": "[::1]:6666", "bytes": 23,
            "text": "server is shutting down",
        })
    };
    check(
        Event::Notice { protocol: TCP, peer: server(), text },
        both,
        both,
        &[notice("tcp"), json!({"event": "closed", "protocol": "tcp", "peer": "[::1]:6666"})],
    );
    check(
        Event::Notice { protocol: UDP, peer: server(), text },
        "server is shutting down\n",
        "server is shutting down\n",
        &[notice("udp")],
    );
}

#[test]
fn the_server_closes_unannounced() {
    let line = "connection has been closed by server\n";
    check(
        Event::Closed { protocol: TCP, peer: server() },
        line,
        line,
        &[json!({"event": "closed", "protocol": "tcp", "peer": "[::1]:6666"})],
    );
}

#[test]
fn the_server_cuts_the_client_for_idleness() {
    check(
        Event::Notice { protocol: TCP, peer: server(), text: b"idle timeout" },
        "oops! something goes wrong!!(probably timeout)\n",
        "timed out: idle timeout\n",
        &[
            json!({
                "event": "notice", "protocol": "tcp", "peer": "[::1]:6666", "bytes": 12, "text": "idle timeout",
            }),
            json!({"event": "timeout", "protocol": "tcp", "peer": "[::1]:6666", "reason": "idle timeout"}),
        ],
    );
}

#[test]
fn nothing_comes_in_time() {
    let reason = "no reply within 30 s";
    let timeout =
        |protocol: &str| json!({"event": "timeout", "protocol": protocol, "peer": "[::1]:6666", "reason": reason});
    check(
        Event::TimedOut { protocol: TCP, peer: server(), reason },
        "oops! something goes wrong!!(probably timeout)\n",
        "timed out: no reply within 30 s\n",
        &[timeout("tcp")],
    );
    check(
        Event::TimedOut { protocol: UDP, peer: server(), reason },
        "client time out !\n",
        "timed out: no reply within 30 s\n",
        &[timeout("udp")],
    );
}

#[test]
fn another_notice_is_shown_before_the_end() {
    for text in ["message too long", "server is full"] {
        let lines = format!("{text}\nconnection has been closed by server\n");
        check(
            Event::Notice { protocol: TCP, peer: server(), text: text.as_bytes() },
            &lines,
            &lines,
            &[
                json!({
                    "event": "notice", "protocol": "tcp", "peer": "[::1]:6666", "bytes": text.len(), "text": text,
                }),
                json!({"event": "closed", "protocol": "tcp", "peer": "[::1]:6666"}),
            ],
        );
    }
}

#[test]
fn the_summary_is_for_programs() {
    check(
        Event::Summary { sent: 7, acknowledged: 6 },
        "",
        "",
        &[json!({"event": "summary", "sent": 7, "acknowledged": 6})],
    );
}

#[test]
fn what_ended_the_run_is_for_programs() {
    let text = "cannot resolve the host name 'x\\u{202e}'";
    check(Event::Error { text }, "", "", &[json!({"event": "error", "text": text})]);
}
