//! Whole transcripts in Chinese, scene by scene, line for line.

use nix::sys::signal::Signal::SIGTERM;

use crate::harness::{Client, Peer, Server, ServerBuilder, has_v6, server, undisturbed};

fn came(client: &Client) -> String {
    format!("-----来自IP: {} Port: {} 的新连接已经建立-----", client.ip(), client.port())
}

fn left(client: &Client) -> String {
    format!("-----从IP: {} Port: {} 处断开连接-----", client.ip(), client.port())
}

fn said(client: &Client, text: &str) -> String {
    format!("从IP: {} Port: {} 处接受到的信息: {text}", client.ip(), client.port())
}

/// Ends the server; its whole transcript must be the two listening lines and then these.
#[track_caller]
fn expect_transcript(mut server: Server, scene: &[String]) {
    server.signal(SIGTERM);
    assert_eq!(server.wait_exit(), 0);
    let (ip, port) = (server.tcp().ip(), server.tcp().port());
    let listening = ["TCP", "UDP"].map(|protocol| format!("{protocol} Server正在监听: Host: {ip} Port: {port}"));
    let end = ["server is shutting down !".to_owned()];
    assert_eq!(server.stdout.to_end(), [&listening, scene, &end].concat());
}

#[test]
fn two_clients_come_speak_and_leave() {
    let server = server("--lang zh");
    let mut one = server.client();
    one.exchange("hello", "ACK");
    let mut two = server.client();
    two.exchange("你好", "ACK");
    let mut scene = vec![came(&one), said(&one, "hello"), came(&two), said(&two, "你好"), left(&one)];
    drop(one);
    server.stdout.expect(&scene[4]);
    two.exchange("再见", "ACK");
    scene.extend([said(&two, "再见"), left(&two)]);
    drop(two);
    server.stdout.expect(&scene[6]);
    expect_transcript(server, &scene);
}

#[test]
fn the_server_shuts_down_under_a_client() {
    let mut server = server("-t --lang zh");
    let mut client = server.client();
    client.exchange("hello", "ACK");
    server.signal(SIGTERM);
    // What goes over the wire is the same in every language.
    client.expect_last("server is shutting down");
    let scene = [
        format!("TCP Server正在监听: Host: {} Port: {}", server.tcp().ip(), server.tcp().port()),
        came(&client),
        said(&client, "hello"),
        "server is shutting down !".to_owned(),
        left(&client),
    ];
    drop(client);
    assert_eq!(server.wait_exit(), 0);
    assert_eq!(server.stdout.to_end(), scene);
}

#[test]
fn a_client_is_cut_for_idleness() {
    undisturbed(|| {
        let server = server("--lang zh --idle-timeout 0.3");
        let mut client = server.client();
        client.expect_last("idle timeout");
        let scene = [came(&client), left(&client)];
        drop(client);
        server.stdout.expect(&scene[1]);
        expect_transcript(server, &scene);
    });
}

#[test]
fn a_client_resets_its_connection() {
    let server = server("--lang zh");
    let client = server.client();
    let scene = [came(&client), "oops!! something goes wrong!".to_owned(), left(&client)];
    client.reset();
    server.stdout.expect(&scene[2]);
    expect_transcript(server, &scene);
}

#[test]
fn a_datagram_is_two_lines() {
    let server = server("--lang zh");
    let peer = server.peer();
    peer.check("hello");
    peer.check("two\nlines");
    let from = format!("-----来自IP: 127.0.0.1 Port: {}-----", peer.address().port());
    let scene = [from.clone(), "数据: hello".to_owned(), from, "数据: two\\nlines".to_owned()];
    expect_transcript(server, &scene);
}

#[test]
fn what_is_cut_after_the_grace_and_who_is_refused_is_said_in_english() {
    undisturbed(|| {
        let mut server = server("-t --lang zh --max-connections 1 --grace 0.1");
        let mut first = server.client();
        let mut surplus = server.quiet_client();
        surplus.expect_last("server is full");
        server.stdout.expect(&format!("{} refused (server is full)", surplus.name()));
        drop(surplus);
        server.signal(SIGTERM);
        first.expect_last("server is shutting down");
        assert_eq!(server.wait_exit(), 0);
        assert!(server.stdout.to_end().contains(&"connections cut: 1".to_owned()));
    });
}

#[test]
fn ipv6_is_bare_beside_the_word_port() {
    if !has_v6() {
        return;
    }
    let server = server("--host ::1 --lang zh");
    server.stdout.expect(&format!("TCP Server正在监听: Host: ::1 Port: {}", server.tcp().port()));
    let mut client = server.client();
    client.exchange("hello", "ACK");
    server.stdout.expect(&said(&client, "hello"));
    assert_eq!(client.ip().to_string(), "::1");
}

#[test]
fn ipv4_on_a_socket_of_both_families_is_shown_as_ipv4() {
    let server = server("--host :: --lang zh");
    let v4 = ([127, 0, 0, 1], server.tcp().port()).into();
    let client = Client::connect(v4);
    server.stdout.expect(&came(&client));
    let peer = Peer::connect(v4);
    peer.check("hello");
    server.stdout.expect(&format!("-----来自IP: 127.0.0.1 Port: {}-----", peer.address().port()));
}

#[test]
fn the_first_variable_that_is_not_empty_decides() {
    let environments = [
        [("LC_ALL", "zh_CN.UTF-8"), ("LANG", "C")],
        [("LC_ALL", ""), ("LANG", "zh")],
        [("LC_ALL", ""), ("LC_MESSAGES", "zh_TW")],
    ];
    for environment in environments {
        let server = ServerBuilder::new("-u")
            .with(|launch| environment.iter().fold(launch, |launch, (name, value)| launch.env(name, value)))
            .start();
        assert!(server.stdout.so_far()[0].starts_with("UDP Server正在监听: "), "{environment:?}");
    }
}
