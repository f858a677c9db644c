//! At a terminal: the prompt where it belongs, and the terminal left as it was.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::termios::tcgetattr;

use crate::harness::{FarTcp, FarUdp, Input, Output, Process, client_to, end_of, typed_to};

const EN: &str = "type a message, Enter sends it";
const ZH_TCP: &str = "输入要传输的数据";
const ZH_UDP: &str = "输入需要传输的信息: ";

/// Types two lines, each once the one before is answered, and then the end of the input.
#[track_caller]
fn talk_over_tcp(client: &mut Process, far: &FarTcp, answered: &str) {
    let mut caller = far.accept();
    for message in ["one", "two"] {
        let mark = client.terminal.count();
        client.type_in(&format!("{message}\n"));
        caller.answer(message, "ACK");
        client.terminal.find_after(mark, answered, |line| line == answered);
    }
    client.type_in("\x04");
}

#[test]
fn over_tcp_the_prompt_comes_once() {
    for (lang, prompt, connected, answered) in [
        ("en", EN, "connected to ADDRESS", "last message: ACK"),
        ("zh", ZH_TCP, "与IP: HOST PORT: NUMBER 成功建立连接!", "上一条信息状态: ACK"),
    ] {
        let far = FarTcp::new();
        let mut client = typed_to(far.address(), &format!("--lang {lang}"));
        client.terminal.expect(prompt);
        talk_over_tcp(&mut client, &far, answered);
        assert_eq!(client.wait_exit(), 0);
        let connected = connected.replace("ADDRESS", &far.address().to_string());
        let connected = connected.replace("HOST", &far.address().ip().to_string());
        let connected = connected.replace("NUMBER", &far.address().port().to_string());
        assert_eq!(client.terminal.to_end(), [&connected, prompt, "one", answered, "two", answered]);
    }
}

#[test]
fn over_udp_the_chinese_prompt_comes_before_every_message() {
    let far = FarUdp::new();
    let mut client = typed_to(far.address(), "-u --lang zh");
    for message in ["one", "two"] {
        let mark = client.terminal.count().max(1) - 1;
        client.terminal.find_after(mark, "the prompt", |line| line == ZH_UDP);
        client.type_in(&format!("{message}\n"));
        far.answer(message, "check");
        client.terminal.find_after(mark + 2, "the reply", |line| line.starts_with("收到"));
        client.terminal.find_after(mark + 3, "the prompt", |line| line == ZH_UDP);
    }
    client.type_in("\x04");
    assert_eq!(client.wait_exit(), 0);
    let answered = format!("收到('{}', {}) 处返回数据: check", far.address().ip(), far.address().port());
    let scene = [ZH_UDP, "one", &answered, ZH_UDP, "two", &answered, ZH_UDP];
    assert_eq!(client.terminal.to_end(), scene);
}

#[test]
fn over_udp_the_english_prompt_comes_once() {
    let far = FarUdp::new();
    let mut client = typed_to(far.address(), "-u");
    let answered = format!("{} answered: check", far.address());
    client.terminal.expect(EN);
    for message in ["one", "two"] {
        let mark = client.terminal.count();
        client.type_in(&format!("{message}\n"));
        far.answer(message, "check");
        client.terminal.find_after(mark, "the reply", |line| line == answered);
    }
    client.type_in("\x04");
    assert_eq!(client.wait_exit(), 0);
    assert_eq!(client.terminal.to_end(), [EN, "one", &answered, "two", &answered]);
}

#[test]
fn with_stdin_or_stdout_elsewhere_there_is_no_prompt() {
    let far = FarTcp::new();
    for lang in ["en", "zh"] {
        let options = format!("--lang {lang}");
        let mut client = client_to(far.address(), &options).stdin(Input::Terminal).start();
        client.type_in("hello\n");
        far.accept().answer("hello", "ACK");
        client.type_in("\x04");
        let ended = end_of(&mut client);
        assert_eq!((ended.code, ended.out.len()), (0, 2), "{:?}", ended.out);

        let mut client = client_to(far.address(), &options).stdin(Input::Pipe).stdout(Output::Terminal).start();
        client.type_in("hello\n");
        far.accept().answer("hello", "ACK");
        client.end_input();
        assert_eq!(client.wait_exit(), 0);
        assert_eq!(client.terminal.to_end().len(), 2);
    }
}

#[test]
fn given_messages_need_no_prompt() {
    let far = FarTcp::new();
    let mut client = typed_to(far.address(), "-m hello");
    far.accept().answer("hello", "ACK");
    assert_eq!(client.wait_exit(), 0);
    assert_eq!(client.terminal.to_end().len(), 2);
}

#[test]
fn json_has_no_prompt() {
    let far = FarTcp::new();
    let mut client = typed_to(far.address(), "--format json");
    let _caller = far.accept();
    client.type_in("\x04");
    assert_eq!(client.wait_exit(), 0);
    client.terminal.to_end().iter().for_each(|line| assert!(line.starts_with('{'), "{line:?}"));
}

#[test]
fn the_terminal_keeps_its_settings_and_flags() {
    let far = FarTcp::new();
    let mut client = typed_to(far.address(), "");
    let master = client.master.as_ref().unwrap().try_clone().unwrap();
    let before = tcgetattr(&master).unwrap();
    client.terminal.expect(EN);
    client.type_in("hello\n");
    far.accept().answer("hello", "ACK");
    client.terminal.expect("last message: ACK");
    assert_eq!(tcgetattr(&master).unwrap(), before);
    for descriptor in 0..3 {
        let path = format!("/proc/{}/fdinfo/{descriptor}", client.id());
        let info = std::fs::read_to_string(path).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
        let flags = OFlag::from_bits_retain(i32::from_str_radix(flags, 8).unwrap());
        assert!(!flags.contains(OFlag::O_NONBLOCK), "descriptor {descriptor}: {flags:?}");
    }
    assert!(fcntl(&master, FcntlArg::F_GETFL).is_ok());
}

#[test]
fn an_end_typed_on_a_line_of_its_own_ends_it() {
    let far = FarTcp::new();
    let mut client = typed_to(far.address(), "");
    let mut caller = far.accept();
    client.terminal.expect(EN);
    client.type_in("\x04");
    assert_eq!(client.wait_exit(), 0);
    caller.expect_end();
}
