//! A client and the server: where it goes, what it sends, and that it ends once all is acknowledged.

use std::io::Write;
use std::net::SocketAddr;

use crate::harness::{
    FarTcp, Input, Launch, ServerBuilder, client_to, expect_end, has_v6, piped_to, private_loopback, run, server,
    undisturbed,
};

#[test]
fn messages_given_on_the_command_line_are_sent_in_order_and_acknowledged() {
    let server = server("-t");
    let words = [&server.tcp().to_string(), "-m", "one", "--message", "two words", "-m", "你好"];
    let ended = run(Launch::client(&words));
    let connected = format!("connected to {}", server.tcp());
    let ack = "last message: ACK";
    assert_eq!(ended.out, [&connected, ack, ack, ack]);
    assert_eq!((ended.code, ended.err.len()), (0, 0), "{:?}", ended.err);
    for text in ["one", "two words", "你好"] {
        server.stdout.find(text, |line| line.ends_with(&format!("sent: {text}")));
    }
}

#[test]
fn given_messages_are_sent_instead_of_stdin() {
    let server = server("-t");
    let (typed, mut typist) = std::io::pipe().unwrap();
    typist.write_all(b"typed\n").unwrap();
    let mut client = client_to(server.tcp(), "-m given").stdin(Input::Given(typed.into())).start();
    assert_eq!(client.wait_exit(), 0);
    let ended = server.stdout.find("the end", |line| line.contains("disconnected"));
    assert!(ended.ends_with("(closed)"), "{ended:?}");
    assert!(!server.stdout.so_far().iter().any(|line| line.contains("typed")));
}

#[test]
fn each_framing_acknowledges() {
    for framing in ["bytes", "lines", "length"] {
        let server = server(&format!("-t --framing {framing}"));
        let mut client = piped_to(server.tcp(), &format!("--framing {framing}"));
        client.type_in("one\ntwo\n\u{1b}three");
        client.end_input();
        let ack = "last message: ACK";
        expect_end(&mut client, 0, &[&format!("connected to {}", server.tcp()), ack, ack, ack]);
    }
}

#[test]
fn bytes_that_are_no_text_are_sent_as_they_are() {
    let far = FarTcp::new();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut client = client_to(far.address(), "--framing lines");
    client = client.stdin(crate::harness::Input::Given(reader.into()));
    let mut client = client.start();
    std::io::Write::write_all(&mut writer, b"\xff\x00\xfe \t\x1b\n").unwrap();
    drop(writer);
    let mut caller = far.accept();
    caller.answer(b"\xff\x00\xfe \t\x1b\n", "ACK\n");
    assert_eq!(client.wait_exit(), 0);
}

#[test]
fn the_length_frame_holds_a_big_endian_count() {
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "--framing length -m hello").start();
    far.accept().answer(b"\0\0\0\x05hello", b"\0\0\0\x03ACK");
    assert_eq!(client.wait_exit(), 0);
}

#[test]
fn empty_messages_count_with_lines_and_length_and_udp() {
    let lines = server("--framing lines");
    let ended = run(Launch::client(&[&lines.tcp().to_string(), "--framing", "lines", "-m", "", "-m", ""]));
    assert_eq!((ended.code, ended.out.len()), (0, 3), "{:?}", ended.err);
    let length = server("--framing length");
    let ended = run(Launch::client(&[&length.tcp().to_string(), "--framing", "length", "-m", ""]));
    assert_eq!((ended.code, ended.out.len()), (0, 2), "{:?}", ended.err);
    let ended = run(Launch::client(&[&lines.udp().to_string(), "-u", "-m", ""]));
    assert_eq!((ended.code, ended.out.len()), (0, 1), "{:?}", ended.err);
}

#[test]
fn host_and_port_may_be_one_word() {
    let server = server("");
    let address = server.tcp().to_string();
    for words in [&[address.as_str(), "-m", "hello"][..], &[&address, "-u", "-m", "hello"]] {
        assert_eq!(run(Launch::client(words)).code, 0, "{words:?}");
    }
}

#[test]
fn the_port_is_6666_where_none_is_given() {
    let host = private_loopback().to_string();
    let _server = ServerBuilder::new(&format!("--host {host} -p 6666")).start();
    let ended = run(Launch::client(&[&host, "-m", "hello"]));
    assert_eq!((ended.code, ended.out[0].as_str()), (0, format!("connected to {host}:6666").as_str()));
    let ended = run(Launch::client(&[&host, "-u", "-m", "hello"]));
    assert_eq!((ended.code, ended.out[0].as_str()), (0, format!("{host}:6666 answered: check").as_str()));
}

#[test]
fn ipv6_is_spoken_in_every_spelling() {
    if !has_v6() {
        return;
    }
    let server = server("--host ::1");
    let port = server.tcp().port().to_string();
    let bracketed = format!("[::1]:{port}");
    for words in [&[bracketed.as_str()][..], &["::1", &port], &["[::1]", &port], &["-6", "::1", &port]] {
        let ended = run(Launch::client(&[words, &["-m", "hello"]].concat()));
        assert_eq!((ended.code, &ended.out[0]), (0, &format!("connected to {bracketed}")), "{words:?}");
        let ended = run(Launch::client(&[words, &["-u", "-m", "hello"]].concat()));
        assert_eq!((ended.code, &ended.out[0]), (0, &format!("{bracketed} answered: check")), "{words:?}");
    }
    let ended = run(client_to(server.tcp(), "-m hello --lang zh"));
    assert_eq!(ended.out[0], format!("与IP: ::1 PORT: {port} 成功建立连接!"));
    let ended = run(client_to(server.tcp(), "-u -m hello --lang zh"));
    assert_eq!(ended.out[0], format!("收到('::1', {port}) 处返回数据: check"));
}

#[test]
fn a_family_restricts_the_addresses() {
    let four = server("-t");
    let four = four.tcp();
    assert_eq!(run(client_to(four, "-4 -m hello")).code, 0);
    assert_eq!(run(client_to(four, "-6 -m hello")).code, 2);
    let six: SocketAddr = "[::1]:9".parse().unwrap();
    assert_eq!(run(client_to(six, "-4 -m hello")).code, 2);
    let both = run(client_to(four, "-4 -6 -m hello"));
    assert_eq!((both.code, both.err.len()), (2, 1), "{:?}", both.err);
}

#[test]
fn a_localhost_name_is_resolved() {
    let server = server("--host localhost");
    let target = format!("localhost:{}", server.tcp().port());
    assert_eq!(run(Launch::client(&[&target, "-4", "-m", "hello"])).code, 0);
    assert_eq!(run(Launch::client(&[&target, "-m", "hello"])).code, 0);
    assert_eq!(run(Launch::client(&[&target, "-u", "-m", "hello"])).code, 0);
}

#[test]
fn one_message_is_outstanding_at_a_time() {
    undisturbed(|| {
        for (framing, end) in [("bytes", ""), ("lines", "\n")] {
            let far = FarTcp::new();
            let mut client = piped_to(far.address(), &format!("--framing {framing}"));
            client.type_in("one\ntwo\nthree\n");
            client.end_input();
            let mut caller = far.accept();
            for message in ["one", "two", "three"] {
                caller.expect(format!("{message}{end}"));
                if message != "three" {
                    caller.expect_nothing();
                }
                caller.say(format!("ACK{end}"));
            }
            assert_eq!(client.wait_exit(), 0);
        }
    });
}

#[test]
fn a_message_is_sent_at_once() {
    let far = FarTcp::new();
    let mut client = piped_to(far.address(), "");
    let mut caller = far.accept();
    for message in ["one", "two"] {
        client.type_in(&format!("{message}\n"));
        caller.answer(message, "ACK");
    }
    client.end_input();
    assert_eq!(client.wait_exit(), 0);
}

#[test]
fn the_window_says_how_many_may_be_outstanding() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut client = piped_to(far.address(), "--framing lines --window 3");
        client.type_in("1\n2\n3\n4\n5\n");
        client.end_input();
        let mut caller = far.accept();
        caller.expect("1\n2\n3\n");
        caller.expect_nothing();
        caller.say("ACK\n");
        caller.expect("4\n");
        caller.expect_nothing();
        caller.say("ACK\nACK\n");
        caller.expect("5\n");
        caller.say("ACK\nACK\n");
        let ack = "last message: ACK";
        expect_end(&mut client, 0, &[&format!("connected to {}", far.address()), ack, ack, ack, ack, ack]);
    });
}

#[test]
fn many_messages_are_each_acknowledged_through_a_window() {
    for framing in ["lines", "length"] {
        let server = server(&format!("-t -q --framing {framing}"));
        let mut client = piped_to(server.tcp(), &format!("--window 64 --framing {framing}"));
        client.type_in(&(0..5000).map(|number| format!("{number}\n")).collect::<String>());
        client.end_input();
        assert_eq!(client.wait_exit(), 0);
        assert_eq!(client.stdout.to_end().len(), 5001);
    }
}

#[test]
fn an_acknowledgement_may_come_in_pieces() {
    undisturbed(|| {
        for (framing, pieces) in [("bytes", &["A", "C", "K"][..]), ("lines", &["A", "CK", "\n"])] {
            let far = FarTcp::new();
            let mut client = piped_to(far.address(), &format!("--framing {framing} -m x"));
            let mut caller = far.accept();
            caller.expect("x");
            for piece in pieces {
                caller.say(piece);
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            expect_end(&mut client, 0, &[&format!("connected to {}", far.address()), "last message: ACK"]);
        }
    });
}

#[test]
fn a_closed_tcp_port_is_refused_with_exit_1() {
    let closed = crate::harness::closed_port(private_loopback());
    let ended = run(client_to(closed, "-m hello"));
    assert_eq!((ended.code, ended.out.len()), (1, 0));
    let complaint = ended.complaint();
    assert!(complaint.contains(&closed.to_string()) && complaint.contains("refused"), "{complaint:?}");
}

#[test]
fn the_language_follows_the_locale() {
    let far = FarTcp::new();
    let cases: [(&[(&str, &str)], bool); 6] = [
        (&[("LC_ALL", "zh_CN.UTF-8")], true),
        (&[("LC_ALL", ""), ("LC_MESSAGES", "zh_TW"), ("LANG", "en_US")], true),
        (&[("LC_ALL", ""), ("LC_MESSAGES", ""), ("LANG", "zh")], true),
        (&[("LC_ALL", "C"), ("LANG", "zh_CN.UTF-8")], false),
        (&[("LC_ALL", ""), ("LC_MESSAGES", "en_US"), ("LANG", "zh_CN")], false),
        (&[("LC_ALL", "")], false),
    ];
    for (variables, chinese) in cases {
        let launch =
            variables.iter().fold(client_to(far.address(), ""), |launch, (name, value)| launch.env(name, value));
        let connected = run(launch).out[0].clone();
        assert_eq!(connected.contains("成功建立连接"), chinese, "{variables:?}: {connected:?}");
    }
}

#[test]
fn the_port_may_be_an_option_in_every_mode_but_not_be_given_twice() {
    undisturbed(|| {
        let server = server("--host 127.0.0.1");
        let port = server.tcp().port().to_string();
        for mode in ["-m hello", "-u -m hello", "-z", "--ping -c 1", "--find-idle 0.1"] {
            let ended = run(Launch::client(&["-p", &port].into_iter().chain(mode.split(' ')).collect::<Vec<_>>()));
            assert_eq!(ended.code, 0, "{mode}: {:?}", ended.err);
        }
        for words in [["127.0.0.1", &port, "-p", "7"], ["127.0.0.1:7", "-m", "x", "--port=7"]] {
            let ended = run(Launch::client(&words));
            assert_eq!((ended.code, ended.err.len()), (2, 1), "{:?}", ended.err);
            assert!(ended.err[0].contains("two ports are given"), "{:?}", ended.err);
        }
    });
}
