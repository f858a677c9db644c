//! Whole transcripts in English, scene by scene, line for line.

use nix::sys::signal::Signal::SIGTERM;

use crate::harness::{Server, ServerBuilder, server, undisturbed};

/// Ends the server; its whole transcript must be the two listening lines and then these.
#[track_caller]
fn expect_transcript(mut server: Server, scene: &[String]) {
    server.signal(SIGTERM);
    assert_eq!(server.wait_exit(), 0);
    let listening = ["TCP", "UDP"].map(|protocol| format!("{protocol} server listening on {}", server.tcp()));
    let end = ["server is shutting down".to_owned()];
    assert_eq!(server.stdout.to_end(), [&listening, scene, &end].concat());
    assert_eq!(server.stderr.to_end(), [""; 0], "diagnostics where nothing went wrong");
}

#[test]
fn two_clients_come_speak_and_leave() {
    let server = server("");
    let mut one = server.client();
    one.exchange("hello", "ACK");
    let mut two = server.client();
    two.exchange("你好", "ACK");
    one.exchange("again", "ACK");
    let (first, second) = (one.name(), two.name());
    drop(one);
    server.stdout.expect(&format!("{first} disconnected (closed)"));
    two.exchange("still here", "ACK");
    drop(two);
    server.stdout.expect(&format!("{second} disconnected (closed)"));
    let scene = [
        format!("{first} connected"),
        format!("{first} sent: hello"),
        format!("{second} connected"),
        format!("{second} sent: 你好"),
        format!("{first} sent: again"),
        format!("{first} disconnected (closed)"),
        format!("{second} sent: still here"),
        format!("{second} disconnected (closed)"),
    ];
    expect_transcript(server, &scene);
}

#[test]
fn the_server_shuts_down_under_a_client() {
    let mut server = server("-t");
    let mut client = server.client();
    client.exchange("hello", "ACK");
    server.signal(SIGTERM);
    client.expect_last("server is shutting down");
    let name = client.name();
    drop(client);
    assert_eq!(server.wait_exit(), 0);
    let scene = [
        format!("TCP server listening on {}", server.tcp()),
        format!("{name} connected"),
        format!("{name} sent: hello"),
        "server is shutting down".to_owned(),
        format!("{name} disconnected (shutdown)"),
    ];
    assert_eq!(server.stdout.to_end(), scene);
}

#[test]
fn a_client_is_cut_for_idleness() {
    undisturbed(|| {
        let server = server("--idle-timeout 0.3");
        let mut client = server.client();
        client.exchange("hello", "ACK");
        client.expect_last("idle timeout");
        let name = client.name();
        server.stdout.expect(&format!("{name} disconnected (idle)"));
        drop(client);
        let scene = [format!("{name} connected"), format!("{name} sent: hello"), format!("{name} disconnected (idle)")];
        expect_transcript(server, &scene);
    });
}

#[test]
fn a_client_resets_its_connection() {
    let server = server("");
    let mut client = server.client();
    client.exchange("hello", "ACK");
    let name = client.name();
    client.reset();
    server.stdout.expect(&format!("{name} disconnected (reset)"));
    let scene = [format!("{name} connected"), format!("{name} sent: hello"), format!("{name} disconnected (reset)")];
    expect_transcript(server, &scene);
}

#[test]
fn two_datagrams() {
    let server = server("");
    let peer = server.peer();
    let name = peer.name();
    peer.check("hello");
    peer.check("");
    let scene = [format!("{name} sent a datagram: hello"), format!("{name} sent a datagram: ")];
    expect_transcript(server, &scene);
}

#[test]
fn the_operator_closes_a_client() {
    let mut server = ServerBuilder::new("").operated().start();
    let mut client = server.client();
    let name = client.name();
    server.type_in(&format!("close {name}\n"));
    client.expect_end();
    drop(client);
    server.stdout.expect(&format!("{name} disconnected (operator)"));
    expect_transcript(server, &[format!("{name} connected"), format!("{name} disconnected (operator)")]);
}

#[test]
fn english_is_spoken_where_no_variable_asks_for_chinese() {
    for environment in [("LANG", "C"), ("LANG", "de_DE.UTF-8"), ("LC_MESSAGES", "en_US.UTF-8")] {
        let server = ServerBuilder::new("-u")
            .with(|launch| launch.env("LANG", "zh_CN.UTF-8").env(environment.0, environment.1))
            .with(|launch| launch.env("LC_ALL", if environment.0 == "LANG" { "" } else { "en_US.UTF-8" }))
            .start();
        assert!(server.stdout.so_far()[0].starts_with("UDP server listening on "));
    }
}

#[test]
fn lang_en_overrides_the_environment() {
    let server = ServerBuilder::new("-u --lang en").with(|launch| launch.env("LC_ALL", "zh_CN.UTF-8")).start();
    assert!(server.stdout.so_far()[0].starts_with("UDP server listening on "));
}
