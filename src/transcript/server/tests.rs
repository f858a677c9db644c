#![allow(clippy::unwrap_used)]

use super::*;
use crate::transcript::stamp::tests::eight_o_clock;
use serde_json::{Value, json};

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

fn rendered(event: Event<'_>, format: Format, lang: Lang) -> String {
    let mut out = String::new();
    event.render(Style { format, lang, ..Style::default() }, &eight_o_clock(), &mut out);
    out
}

/// The event in Chinese, in English, and as the one object it is in JSON, which both languages share.
#[track_caller]
fn check(event: Event<'_>, zh: &str, en: &str, mut json: Value) {
    assert_eq!(rendered(event, Format::Text, Lang::Zh), zh);
    assert_eq!(rendered(event, Format::Text, Lang::En), en);
    let line = rendered(event, Format::Json, Lang::En);
    assert_eq!(rendered(event, Format::Json, Lang::Zh), line);
    assert!(line.starts_with(r#"{"time":"2026-11-23T08:00:00.123456Z","event":""#), "{line}");
    json["time"] = "2026-11-23T08:00:00.123456Z".into();
    assert_eq!(serde_json::from_str::<Value>(line.strip_suffix('\n').unwrap()).unwrap(), json);
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn tcp_listens() {
    check(
        Event::Listening { protocol: Protocol::Tcp, address: at("127.0.0.1:6666") },
        "TCP Server正在监听: Host: 127.0.0.1 Port: 6666\n",
        "TCP server listening on 127.0.0.1:6666\n",
        json!({"event": "listening", "protocol": "tcp", "address": "127.0.0.1:6666"}),
    );
}

#[test]
fn udp_listens() {
    check(
        Event::Listening { protocol: Protocol::Udp, address: at("[::]:6666") },
        "UDP Server正在监听: Host: :: Port: 6666\n",
        "UDP server listening on [::]:6666\n",
        json!({"event": "listening", "protocol": "udp", "address": "[::]:6666"}),
    );
}

#[test]
fn a_client_comes() {
    check(
        Event::Connected { peer: at("[::ffff:10.0.0.5]:4001"), via: None },
        "-----来自IP: 10.0.0.5 Port: 4001 的新连接已经建立-----\n",
        "10.0.0.5:4001 connected\n",
        json!({"event": "connected", "protocol": "tcp", "peer": "10.0.0.5:4001"}),
    );
}

#[test]
fn a_client_sends() {
    check(
        Event::Message {
            peer: at("10.0.0.5:4001"),
            framing: Framing::Bytes,
            message: Message::from("你好\n".as_bytes()),
        },
        "从IP: 10.0.0.5 Port: 4001 处接受到的信息: 你好\n",
        "10.0.0.5:4001 sent: 你好\n",
        json!({"event": "message", "protocol": "tcp", "peer": "10.0.0.5:4001", "bytes": 7, "text": "你好"}),
    );
    check(
        Event::Message {
            peer: at("[fe80::1%2]:4001"),
            framing: Framing::Lines,
            message: Message::from(b"".as_slice()),
        },
        "从IP: fe80::1%2 Port: 4001 处接受到的信息: \n",
        "[fe80::1%2]:4001 sent: \n",
        json!({"event": "message", "protocol": "tcp", "peer": "[fe80::1%2]:4001", "bytes": 0, "text": ""}),
    );
}

#[test]
fn what_a_client_sends_can_neither_forge_a_line_nor_reach_the_terminal() {
    check(
        Event::Message {
            peer: at("10.0.0.5:4001"),
            framing: Framing::Length,
            message: Message::from(b"a\r\n10.0.0.9:1 sent: \x1b[2J\xc2\x9b\xff\\\n".as_slice()),
        },
        "从IP: 10.0.0.5 Port: 4001 处接受到的信息: a\\r\\n10.0.0.9:1 sent: \\u{001b}[2J\\u{009b}\\xff\\\\\\n\n",
        "10.0.0.5:4001 sent: a\\r\\n10.0.0.9:1 sent: \\u{001b}[2J\\u{009b}\\xff\\\\\\n\n",
        json!({
            "event": "message", "protocol": "tcp", "peer": "10.0.0.5:4001", "bytes": 29,
            "text": "a\r\n10.0.0.9:1 sent: \u{1b}[2J\u{9b}\u{fffd}\\\n",
        }),
    );
}

#[test]
fn a_long_message_is_cut() {
    let bytes = [b'x'; 5000];
    let text = "x".repeat(1024);
    check(
        Event::Message { peer: at("10.0.0.5:4001"), framing: Framing::Bytes, message: Message::from(bytes.as_slice()) },
        &format!("从IP: 10.0.0.5 Port: 4001 处接受到的信息: {text}… (5000 bytes)\n"),
        &format!("10.0.0.5:4001 sent: {text}… (5000 bytes)\n"),
        json!({"event": "message", "protocol": "tcp", "peer": "10.0.0.5:4001", "bytes": 5000, "text": text}),
    );
}

#[test]
fn a_client_leaves_for_each_reason() {
    let reasons = [
        (Reason::Closed, "closed"),
        (Reason::Idle, "idle"),
        (Reason::Shutdown, "shutdown"),
        (Reason::TooLong, "too long"),
        (Reason::Operator, "operator"),
        (Reason::Error, "error"),
    ];
    let (peer, lasted) = (at("10.0.0.5:4001"), Duration::from_millis(12_345));
    for (reason, word) in reasons {
        check(
            Event::Disconnected { peer, via: None, reason, messages: 6, lasted },
            "-----从IP: 10.0.0.5 Port: 4001 处断开连接-----\n",
            &format!("10.0.0.5:4001 disconnected ({word})\n"),
            json!({
                "event": "disconnected", "protocol": "tcp", "peer": "10.0.0.5:4001",
                "reason": word, "messages": 6, "seconds": 12.345,
            }),
        );
    }
}

#[test]
fn a_client_comes_and_leaves_by_a_proxy() {
    let (peer, via) = (at("203.0.113.7:40001"), Some(at("[::ffff:10.0.0.2]:51000")));
    check(
        Event::Connected { peer, via },
        "-----来自IP: 203.0.113.7 Port: 40001 的新连接已经建立-----\n",
        "203.0.113.7:40001 via 10.0.0.2:51000 connected\n",
        json!({"event": "connected", "protocol": "tcp", "peer": "203.0.113.7:40001", "via": "10.0.0.2:51000"}),
    );
    check(
        Event::Disconnected { peer, via, reason: Reason::Closed, messages: 1, lasted: Duration::ZERO },
        "-----从IP: 203.0.113.7 Port: 40001 处断开连接-----\n",
        "203.0.113.7:40001 via 10.0.0.2:51000 disconnected (closed)\n",
        json!({
            "event": "disconnected", "protocol": "tcp", "peer": "203.0.113.7:40001", "via": "10.0.0.2:51000",
            "reason": "closed", "messages": 1, "seconds": 0.0,
        }),
    );
}

#[test]
fn a_client_resets() {
    check(
        Event::Disconnected {
            peer: at("10.0.0.5:4001"),
            via: None,
            reason: Reason::Reset,
            messages: 0,
            lasted: Duration::ZERO,
        },
        "oops!! something goes wrong!\n-----从IP: 10.0.0.5 Port: 4001 处断开连接-----\n",
        "10.0.0.5:4001 disconnected (reset)\n",
        json!({
            "event": "disconnected", "protocol": "tcp", "peer": "10.0.0.5:4001",
            "reason": "reset", "messages": 0, "seconds": 0.0,
        }),
    );
}

#[test]
fn a_client_is_refused() {
    check(
        Event::Refused { peer: at("10.0.0.5:4001"), reason: Refusal::Full },
        "10.0.0.5:4001 refused (server is full)\n",
        "10.0.0.5:4001 refused (server is full)\n",
        json!({"event": "refused", "protocol": "tcp", "peer": "10.0.0.5:4001", "reason": "server is full"}),
    );
    check(
        Event::Refused { peer: at("10.0.0.5:4001"), reason: Refusal::Address },
        "10.0.0.5:4001 refused (too many from this address)\n",
        "10.0.0.5:4001 refused (too many from this address)\n",
        json!({"event": "refused", "protocol": "tcp", "peer": "10.0.0.5:4001", "reason": "too many from this address"}),
    );
}

#[test]
fn a_datagram_comes() {
    check(
        Event::Datagram { peer: at("10.0.0.5:4001"), bytes: b"hello\n" },
        "-----来自IP: 10.0.0.5 Port: 4001-----\n数据: hello\n",
        "10.0.0.5:4001 sent a datagram: hello\n",
        json!({"event": "message", "protocol": "udp", "peer": "10.0.0.5:4001", "bytes": 6, "text": "hello"}),
    );
}

#[test]
fn a_datagram_cannot_be_answered() {
    let error = io::Error::other("Network is\nunreachable (os error 101)");
    check(
        Event::ReplyFailed { peer: at("[::1]:4001"), error: &error },
        "oops! something goes wrong when sending message to ('::1', 4001) :Network is\\nunreachable\n",
        "could not answer [::1]:4001: Network is\\nunreachable\n",
        json!({"event": "reply-failed", "protocol": "udp", "peer": "[::1]:4001", "reason": "Network is\\nunreachable"}),
    );
}

#[test]
fn the_server_shuts_down() {
    check(
        Event::ShuttingDown,
        "server is shutting down !\n",
        "server is shutting down\n",
        json!({"event": "shutdown"}),
    );
}

#[test]
fn the_shutdown_ends() {
    check(Event::ShutDown { cut: 0 }, "", "", json!({"event": "shutdown", "cut": 0}));
    check(
        Event::ShutDown { cut: 3 },
        "connections cut: 3\n",
        "connections cut: 3\n",
        json!({"event": "shutdown", "cut": 3}),
    );
}

#[test]
fn the_operator_asks_for_stats() {
    let stats = Stats {
        uptime: Duration::from_micros(12_345_400),
        connections: 3,
        peak: 5,
        total: 9,
        refused_full: 4,
        refused_address: 3,
        messages: 6,
        acks: 8,
        bytes: 42,
        idle_cuts: 1,
        resets: 2,
        datagrams_in: 4,
        datagrams_out: 10,
        unanswered: 11,
        datagrams_dropped: 13,
        lines_dropped: 12,
        longest_turn: Duration::from_nanos(412_345),
    };
    let line = "uptime=12.345 connections=3 peak=5 total=9 refused=7 messages=6 acks=8 bytes=42 idle_cuts=1 resets=2 \
                datagrams_in=4 datagrams_out=10 unanswered=11 datagrams_dropped=13 lines_dropped=12 \
                longest_turn_ms=0.412\n";
    check(
        Event::Stats(&stats),
        line,
        line,
        json!({
            "event": "stats", "uptime": 12.3454, "connections": 3, "peak": 5, "total": 9, "refused": 7, "messages": 6,
            "acks": 8, "bytes": 42, "idle_cuts": 1, "resets": 2, "datagrams_in": 4, "datagrams_out": 10,
            "unanswered": 11, "datagrams_dropped": 13, "lines_dropped": 12, "longest_turn_ms": 0.412,
        }),
    );
}

#[test]
fn the_operator_asks_for_clients() {
    check(Event::Clients(&[]), "0 个客户端\n", "0 clients\n", json!({"event": "clients", "clients": []}));
    let clients = [
        ClientLine {
            peer: at("10.0.0.5:4001"),
            via: None,
            connected: Duration::from_millis(12_345),
            messages: 6,
            silent: Duration::from_millis(400),
        },
        ClientLine {
            peer: at("[::1]:4002"),
            via: Some(at("[::ffff:10.0.0.2]:51000")),
            connected: Duration::ZERO,
            messages: 0,
            silent: Duration::ZERO,
        },
    ];
    let lines = "10.0.0.5:4001 connected 12.3 s, 6 messages, silent 0.4 s\n\
                 [::1]:4002 via 10.0.0.2:51000 connected 0.0 s, 0 messages, silent 0.0 s\n";
    let chinese = "10.0.0.5:4001 已连接 12.3 秒，6 条消息，已沉默 0.4 秒\n\
                   [::1]:4002 via 10.0.0.2:51000 已连接 0.0 秒，0 条消息，已沉默 0.0 秒\n";
    check(
        Event::Clients(&clients),
        chinese,
        lines,
        json!({"event": "clients", "clients": [
            {"peer": "10.0.0.5:4001", "seconds": 12.345, "messages": 6, "silent": 0.4},
            {"peer": "[::1]:4002", "via": "10.0.0.2:51000", "seconds": 0.0, "messages": 0, "silent": 0.0},
        ]}),
    );
}

#[test]
fn the_operator_makes_a_mistake() {
    check(
        Event::NoSuchClient(b"10.0.0.5\x1b"),
        "没有这个客户端: 10.0.0.5\\u{001b}\n",
        "no such client: 10.0.0.5\\u{001b}\n",
        json!({"event": "operator", "text": "no such client: 10.0.0.5\\u{001b}"}),
    );
    check(
        Event::UnknownCommand("clöse \u{202e}x".as_bytes()),
        "未知命令: clöse \\u{202e}x，请输入 help\n",
        "unknown command: clöse \\u{202e}x, try help\n",
        json!({"event": "operator", "text": "unknown command: clöse \\u{202e}x, try help"}),
    );
}

#[test]
fn help_names_every_command() {
    let (text, chinese) = (format!("{HELP}\n"), format!("{HELP_ZH}\n"));
    check(Event::Help, &chinese, &text, json!({"event": "operator", "text": HELP}));
    for word in ["help", "clients", "stats", "close IP:PORT", "shutdown", "quit", "exit"] {
        assert!(text.contains(word) && chinese.contains(word), "{word}");
    }
}
