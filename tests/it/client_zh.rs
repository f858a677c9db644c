//! Whole transcripts in Chinese from the client's side, scene by scene, line for line.

use std::net::SocketAddr;

use nix::sys::signal::Signal::SIGTERM;

use crate::harness::{Process, expect_end, piped_to, server, typed_to, undisturbed, wait_until};

fn connected(server: SocketAddr) -> String {
    format!("与IP: {} PORT: {} 成功建立连接!", server.ip(), server.port())
}

const PROMPT: &str = "输入要传输的数据";
const ACK: &str = "上一条信息状态: ACK";

/// Types a line, the way a person does: the next one only when this one is answered.
#[track_caller]
fn converse(client: &mut Process, text: &str, answer: &str) {
    let mark = client.terminal.count();
    client.type_in(&format!("{text}\n"));
    client.terminal.find_after(mark, answer, |line| line == answer);
}

#[test]
fn a_client_sends_two_messages_and_leaves() {
    let server = server("--lang zh");
    let mut client = piped_to(server.tcp(), "--lang zh");
    client.type_in("hello\n你好\n");
    client.end_input();
    let ended = expect_end(&mut client, 0, &[&connected(server.tcp()), ACK, ACK]);
    assert_eq!(ended.err, [""; 0]);

    let mut client = typed_to(server.tcp(), "--lang zh");
    client.terminal.expect(PROMPT);
    converse(&mut client, "hello", ACK);
    converse(&mut client, "你好", ACK);
    client.type_in("\x04");
    assert_eq!(client.wait_exit(), 0);
    let scene = [&connected(server.tcp()), PROMPT, "hello", ACK, "你好", ACK];
    assert_eq!(client.terminal.to_end(), scene);
    assert_eq!(client.stderr.to_end(), [""; 0]);
}

#[test]
fn the_server_shuts_down_under_a_client() {
    let server = server("--lang zh");
    let end = ["server is shutting down", "connection has been closed by server"];
    let mut piped = piped_to(server.tcp(), "--lang zh");
    piped.type_in("hello\n");
    piped.stdout.expect(ACK);
    let mut typed = typed_to(server.tcp(), "--lang zh");
    typed.terminal.expect(PROMPT);
    converse(&mut typed, "hello", ACK);
    server.signal(SIGTERM);
    expect_end(&mut piped, 1, &[&connected(server.tcp()), ACK, end[0], end[1]]);
    assert_eq!(typed.wait_exit(), 0);
    let scene = [&connected(server.tcp()), PROMPT, "hello", ACK, end[0], end[1]];
    assert_eq!(typed.terminal.to_end(), scene);
}

#[test]
fn a_client_is_cut_for_idleness() {
    undisturbed(|| {
        let server = server("-t --lang zh --idle-timeout 0.5");
        let cut = "oops! something goes wrong!!(probably timeout)";
        let mut piped = piped_to(server.tcp(), "--lang zh");
        piped.type_in("hello\n");
        expect_end(&mut piped, 1, &[&connected(server.tcp()), ACK, cut]);
        let mut typed = typed_to(server.tcp(), "--lang zh");
        typed.terminal.expect(PROMPT);
        converse(&mut typed, "hello", ACK);
        assert_eq!(typed.wait_exit(), 1);
        assert_eq!(typed.terminal.to_end(), [&connected(server.tcp()), PROMPT, "hello", ACK, cut]);
    });
}

#[test]
fn two_messages_by_udp() {
    let server = server("-u --lang zh");
    let check = format!("收到('{}', {}) 处返回数据: check", server.udp().ip(), server.udp().port());
    let mut piped = piped_to(server.udp(), "-u --lang zh");
    piped.type_in("hello\n你好\n");
    piped.end_input();
    let ended = expect_end(&mut piped, 0, &[&check, &check]);
    assert_eq!(ended.err, [""; 0]);

    let prompt = "输入需要传输的信息: ";
    let mut typed = typed_to(server.udp(), "-u --lang zh");
    typed.terminal.expect(prompt);
    for (text, prompts) in [("hello", 2), ("你好", 3)] {
        converse(&mut typed, text, &check);
        wait_until("the next prompt", || {
            (typed.terminal.so_far().iter().filter(|line| *line == prompt).count() == prompts).then_some(())
        });
    }
    typed.type_in("\x04");
    assert_eq!(typed.wait_exit(), 0);
    assert_eq!(typed.terminal.to_end(), [prompt, "hello", &check, prompt, "你好", &check, prompt]);
}
