//! The locale: the language that it asks for, and what a terminal that is not UTF-8 is spared.

use crate::harness::{Client, Ended, FarTcp, Launch, Server, ServerBuilder, client_to, end_of, run, server};

type Environment<'a> = &'a [(&'a str, &'a str)];

fn with(launch: Launch, environment: Environment<'_>) -> Launch {
    let launch = launch.env("LC_ALL", "");
    environment.iter().fold(launch, |launch, (name, value)| launch.env(name, value))
}

fn server_in(environment: Environment<'_>, args: &str) -> Server {
    ServerBuilder::new(args).with(|launch| with(launch, environment)).start()
}

#[track_caller]
fn expect_ascii(ended: &Ended) {
    for line in ended.out.iter().chain(&ended.err) {
        assert!(line.is_ascii(), "{line:?}");
    }
}

const GBK: Environment<'_> = &[("LANG", "zh_CN.GBK")];

#[test]
fn chinese_is_asked_for_by_its_name_and_by_utf_8() {
    let chinese: [Environment<'_>; 9] = [
        &[("LANG", "zh")],
        &[("LANG", "zh_CN.UTF-8")],
        &[("LANG", "zh_TW.utf8")],
        &[("LANG", "zh_SG.UTF8@x")],
        &[("LANG", "zh@latin")],
        &[("LANG", "zh_MO")],
        &[("LC_MESSAGES", "zh_CN"), ("LANG", "en_GB.UTF-8")],
        &[("LC_MESSAGES", "zh_CN.GBK"), ("LC_CTYPE", "C.utf-8")],
        &[("LC_ALL", "zh_HK.Utf8"), ("LC_CTYPE", "C.GBK")],
    ];
    let english: [Environment<'_>; 9] = [
        &[],
        &[("LANG", "zha_CN.UTF-8")],
        &[("LANG", "zhx")],
        &[("LANG", "zh_CN")],
        &[("LANG", "zh_TW@x")],
        &[("LANG", "zh_CN.GBK")],
        &[("LANG", "zh_TW.Big5")],
        &[("LC_MESSAGES", "zh"), ("LC_CTYPE", "zh_CN.GB18030")],
        &[("LC_ALL", "C"), ("LANG", "zh_CN.UTF-8")],
    ];
    for (environments, greeting) in [(chinese, "UDP Server正在监听: "), (english, "UDP server listening on ")] {
        for environment in environments {
            let server = server_in(environment, "-u");
            assert!(server.stdout.so_far()[0].starts_with(greeting), "{environment:?}: {:?}", server.stdout.so_far());
        }
    }
}

#[test]
fn beyond_ascii_all_is_escaped_where_the_terminal_is_not_utf_8() {
    let environments: [Environment<'_>; 4] =
        [GBK, &[("LANG", "zh_CN")], &[("LC_CTYPE", "de_DE.ISO-8859-1"), ("LANG", "C.UTF-8")], &[("LC_ALL", "C.GBK")]];
    for environment in environments {
        let server = server_in(environment, "-t --framing lines");
        let mut client = server.client();
        client.exchange("仛é\n", "ACK\n");
        client.exchange(format!("{}\n", "x".repeat(2000)), "ACK\n");
        client.exchange("\\... (9 bytes)\n", "ACK\n");
        let name = client.name();
        server.stdout.expect(&format!(r"{name} sent: \\... (9 bytes)"));
        server.stdout.expect(&format!(r"{name} sent: \u{{4edb}}\u{{00e9}}"));
        server.stdout.expect(&format!(r"{name} sent: {}\... (2000 bytes)", "x".repeat(1024)));
    }
    let server = server_in(&[("LC_ALL", "POSIX")], "-t");
    let mut client = server.client();
    client.exchange("仛", "ACK");
    server.stdout.expect(&format!("{} sent: 仛", client.name()));
}

#[test]
fn the_clients_replies_and_its_stderr_are_escaped_too() {
    let far = FarTcp::new();
    let mut client = with(client_to(far.address(), "-m hello"), GBK).start();
    let mut caller = far.accept();
    caller.answer("hello", "仛");
    let ended = end_of(&mut client);
    expect_ascii(&ended);
    assert_eq!(ended.out[1], r"last message: \u{4edb}");

    let ended = run(with(Launch::client(&["仛.invalid", "-m", "x"]), GBK));
    expect_ascii(&ended);
    assert!(ended.err[0].contains(r"\u{4edb}.invalid"), "{:?}", ended.err);
    let ended = run(with(Launch::client(&["--仛"]), GBK));
    expect_ascii(&ended);
    assert!(ended.err[0].contains(r"\u{4edb}"), "{:?}", ended.err);
}

#[test]
fn json_is_ascii_that_reads_back() {
    let server = server_in(GBK, "-t --format json");
    let mut client = Client::connect(server.tcp());
    client.exchange("仛😀\u{9b}", "ACK");
    let line = server.stdout.find("the message", |line| line.contains("\"message\""));
    assert!(line.is_ascii() && line.contains(r"\u4edb\ud83d\ude00\u009b"), "{line}");
    let message: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(message["text"], "仛😀\u{9b}");
}

#[test]
fn chinese_that_cannot_be_shown_is_refused_with_the_reason() {
    let environments: [(Environment<'_>, &str); 3] = [
        (GBK, "LANG=zh_CN.GBK"),
        (&[("LC_ALL", "zh_TW")], "LC_ALL=zh_TW"),
        (&[("LC_CTYPE", "C.ISO-8859-1")], "LC_CTYPE=C.ISO-8859-1"),
    ];
    for (environment, reason) in environments {
        for launch in [Launch::server(&["--lang", "zh"]), Launch::client(&["--lang", "zh"])] {
            let ended = run(with(launch, environment));
            assert_eq!((ended.code, ended.out.len(), ended.err.len()), (2, 0, 1), "{:?}", ended.err);
            let sentence = &ended.err[0];
            assert!(["--lang zh", "UTF-8", reason].iter().all(|part| sentence.contains(part)), "{sentence}");
        }
    }
    let server = server("-t --lang zh");
    assert_eq!(run(with(client_to(server.tcp(), "--lang zh -m x"), &[("LANG", "zh")])).code, 0);
}

#[test]
fn help_needs_no_more_than_ascii() {
    for launch in [Launch::server, Launch::client] {
        expect_ascii(&run(launch(&["--help"])));
    }
}
