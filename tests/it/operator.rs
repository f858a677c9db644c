//! What the operator can ask, and what mistakes are answered with.

use std::thread;
use std::time::Duration;

use crate::harness::{Server, ServerBuilder, undisturbed};

fn operated(args: &str) -> Server {
    ServerBuilder::new(args).operated().start()
}

/// Whether the text is a number with exactly so many decimals.
fn is_number(text: &str, decimals: usize) -> bool {
    text.parse::<f64>().is_ok_and(|number| number >= 0.0)
        && text.split_once('.').map_or(0, |(_, rest)| rest.len()) == decimals
}

#[test]
fn help_names_every_command() {
    let mut server = operated("");
    server.type_in("help\nclients\n");
    server.stdout.expect("0 clients");
    let help = server.stdout.so_far()[2..].join("\n");
    for command in ["help", "clients", "stats", "close IP:PORT", "shutdown"] {
        assert!(help.contains(command), "no {command} in {help:?}");
    }
}

#[test]
fn clients_says_0_clients_where_there_is_none() {
    let mut server = operated("");
    server.ask("clients", |line| line == "0 clients");
}

#[test]
fn clients_answers_a_line_each() {
    let mut server = operated("");
    let mut clients = [server.client(), server.client()];
    for (index, client) in clients.iter_mut().enumerate() {
        for _ in 0..index + 2 {
            client.exchange("hello", "ACK");
        }
    }
    for (index, client) in clients.iter().enumerate() {
        let start = format!("{} connected ", client.name());
        let line = server.ask("clients", |line| line.starts_with(&start));
        let rest = &line[start.len()..];
        let (seconds, rest) = rest.split_once(" s, ").unwrap();
        let (messages, rest) = rest.split_once(" messages, silent ").unwrap();
        let silent = rest.strip_suffix(" s").unwrap();
        assert!(is_number(seconds, 1) && is_number(silent, 1), "{line:?}");
        assert_eq!(messages, (index + 2).to_string());
    }
}

#[test]
fn stats_is_one_line_of_names_and_numbers() {
    let mut server = operated("-t -u --idle-timeout 0");
    let mut client = server.client();
    client.exchange("hello", "ACK");
    client.exchange("worlds", "ACK");
    let leaver = server.client();
    let name = leaver.name();
    leaver.reset();
    server.stdout.expect(&format!("{name} disconnected (reset)"));
    server.peer().check("hey");
    let line = server.ask("stats", |line| line.starts_with("uptime="));
    let fields: Vec<(&str, &str)> = line.split(' ').map(|field| field.split_once('=').unwrap()).collect();
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let expected = "uptime connections peak total refused messages acks bytes idle_cuts resets datagrams_in datagrams_out \
                    unanswered datagrams_dropped lines_dropped longest_turn_ms";
    assert_eq!(names.join(" "), expected);
    let value = |wanted: &str| fields.iter().find(|(name, _)| *name == wanted).unwrap().1;
    assert!(is_number(value("uptime"), 3) && is_number(value("longest_turn_ms"), 3), "{line:?}");
    let counted =
        [("connections", "1"), ("peak", "2"), ("total", "2"), ("refused", "0"), ("messages", "2"), ("acks", "2")];
    let counted_too =
        [("idle_cuts", "0"), ("resets", "1"), ("datagrams_in", "1"), ("datagrams_out", "1"), ("unanswered", "0")];
    assert_eq!(value("datagrams_dropped"), "0", "{line:?}");
    for (name, wanted) in counted.into_iter().chain(counted_too) {
        assert_eq!(value(name), wanted, "{name} in {line:?}");
    }
}

#[test]
fn close_cuts_the_client_that_it_names_and_no_other() {
    let mut server = operated("");
    let mut cut = server.client();
    let mut kept = server.client();
    cut.exchange("hello", "ACK");
    let answer = format!("{} disconnected (operator)", cut.name());
    server.ask(&format!("close {}", cut.name()), |line| line == answer);
    cut.expect_end();
    kept.exchange("hello", "ACK");
}

#[test]
fn a_client_that_is_not_there_cannot_be_closed() {
    let mut server = operated("");
    for address in ["127.0.0.1:1", "[::1]:80"] {
        let answer = format!("no such client: {address}");
        server.ask(&format!("close {address}"), |line| line == answer);
    }
}

#[test]
fn a_client_cannot_be_closed_twice() {
    let mut server = operated("");
    let mut client = server.client();
    server.type_in(&format!("close {0}\nclose {0}\n", client.name()));
    client.expect_end();
    let name = client.name();
    drop(client);
    server.stdout.expect(&format!("{name} disconnected (operator)"));
    server.ask(&format!("close {name}"), |line| line == format!("no such client: {name}"));
    let ends = server.stdout.so_far().iter().filter(|line| line.contains("disconnected")).count();
    assert_eq!(ends, 1);
}

#[test]
fn an_unknown_command_is_named_and_help_is_offered() {
    let mut server = operated("");
    for command in ["frobnicate", "client", "größe"] {
        let answer = format!("unknown command: {command}, try help");
        server.ask(command, |line| line == answer);
    }
}

#[test]
fn a_hostile_command_is_shown_escaped() {
    let mut server = operated("");
    let answer = server.ask("\x1b[31m\\", |line| line.starts_with("unknown command: "));
    assert!(answer.starts_with("unknown command: \\u{") && answer.ends_with("[31m\\\\, try help"), "{answer:?}");
}

#[test]
fn an_empty_line_breaks_nothing() {
    let mut server = operated("");
    server.type_in("\n\n\r\n");
    server.ask("clients", |line| line == "0 clients");
}

#[test]
fn a_command_may_come_in_pieces() {
    undisturbed(|| {
        let mut server = operated("");
        for piece in ["cli", "e", "nts", "\n"] {
            server.type_in(piece);
            thread::sleep(Duration::from_millis(10));
        }
        server.stdout.expect("0 clients");
    });
}

#[test]
fn many_commands_may_come_in_one_piece() {
    let mut server = operated("");
    let commands: String = (0..200).map(|number| format!("command-{number}\n")).collect();
    server.type_in(&format!("{commands}clients\n"));
    server.stdout.expect("0 clients");
    let answers = server.stdout.so_far()[2..].to_vec();
    let expected: Vec<String> = (0..200).map(|number| format!("unknown command: command-{number}, try help")).collect();
    assert_eq!(answers[..200], expected);
}

#[test]
fn an_unterminated_last_line_is_a_command() {
    let mut server = operated("");
    server.type_in("shutdown");
    server.end_input();
    assert_eq!(server.wait_exit(), 0);
}

#[test]
fn bytes_that_are_no_text_are_a_mistake_like_any_other() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let server = ServerBuilder::new("").stdin(crate::harness::Input::Given(reader.into())).start();
    std::io::Write::write_all(&mut writer, b"\xff\xfe\nclients\n").unwrap();
    server.stdout.expect("0 clients");
    server.stdout.find("the answer", |line| line.eq_ignore_ascii_case("unknown command: \\xff\\xfe, try help"));
}

#[test]
fn answers_come_with_quiet_too() {
    let mut server = operated("--quiet");
    let mut client = server.quiet_client();
    client.exchange("hello", "ACK");
    server.ask("clients", |line| line.starts_with(&client.name()));
    server.ask("stats", |line| line.starts_with("uptime="));
    server.ask("close 127.0.0.1:1", |line| line == "no such client: 127.0.0.1:1");
}

#[test]
fn an_operator_who_floods_does_not_disturb_the_clients() {
    let (reader, writer) = std::io::pipe().unwrap();
    let server = ServerBuilder::new("-q").stdin(crate::harness::Input::Given(reader.into())).start();
    let flood = thread::spawn(move || {
        let mut writer = writer;
        while std::io::Write::write_all(&mut writer, &b"y\n".repeat(10_000)).is_ok() {}
    });
    let mut client = server.quiet_client();
    for _ in 0..200 {
        client.exchange("hello", "ACK");
    }
    drop(server);
    flood.join().unwrap();
}

#[test]
fn who_reads_chinese_is_answered_in_chinese_and_commands_are_the_same_words() {
    let mut server = operated("-t -q --lang zh");
    server.type_in("clients\nclose 1.2.3.4:5\nnonsense\nhelp\nstats\n");
    for line in ["0 个客户端", "没有这个客户端: 1.2.3.4:5", "未知命令: nonsense，请输入 help"] {
        server.stdout.expect(line);
    }
    server.stdout.find("help", |line| line.starts_with("clients ") && line.contains("有谁连接着"));
    server.stdout.find("the figures", |line| line.starts_with("uptime="));
}
