//! The server's last word and its end: shown at once, with the code that the state of things deserves.

use std::time::Duration;

use nix::sys::signal::Signal::SIGTERM;

use crate::harness::{
    FarTcp, FarUdp, Process, ServerBuilder, client_to, end_of, expect_end, last_object, piped_to, server, sooner_than,
    timed, typed_to, undisturbed,
};

const CLOSED: &str = "connection has been closed by server";
const SHUTDOWN: &str = "server is shutting down";

/// Each notice with the lines that follow from it over TCP, in English and in Chinese.
const NOTICES: [(&str, &[&str], &[&str]); 4] = [
    (SHUTDOWN, &[SHUTDOWN, CLOSED], &[SHUTDOWN, CLOSED]),
    ("idle timeout", &["timed out: idle timeout"], &["oops! something goes wrong!!(probably timeout)"]),
    ("message too long", &["message too long", CLOSED], &["message too long", CLOSED]),
    ("server is full", &["server is full", CLOSED], &["server is full", CLOSED]),
];

#[test]
fn each_notice_has_its_lines_and_code_while_the_input_is_open() {
    for (notice, en, zh) in NOTICES {
        for (lang, lines) in [("en", en), ("zh", zh)] {
            let far = FarTcp::new();
            let mut client = piped_to(far.address(), &format!("--lang {lang}"));
            far.accept().close_with(notice);
            let ended = end_of(&mut client);
            assert_eq!(ended.out[1..], *lines, "{notice}, {lang}");
            // The pipe has not ended: what it holds may be unsent.
            assert_eq!(ended.code, 1, "{notice}, {lang}");
        }
    }
}

#[test]
fn each_notice_is_read_in_each_framing() {
    for (notice, en, _) in NOTICES {
        let length = u8::try_from(notice.len()).unwrap();
        let frame = [&[0, 0, 0, length], notice.as_bytes()].concat();
        for (framing, said) in [("lines", format!("{notice}\n").into_bytes()), ("length", frame)] {
            let far = FarTcp::new();
            let mut client = piped_to(far.address(), &format!("--framing {framing}"));
            far.accept().close_with(said);
            assert_eq!(end_of(&mut client).out[1..], *en, "{notice}, {framing}");
        }
    }
}

#[test]
fn at_a_terminal_only_the_shutdown_is_a_good_end() {
    for (notice, en, _) in NOTICES {
        let far = FarTcp::new();
        let mut client = typed_to(far.address(), "");
        far.accept().close_with(notice);
        let code = i32::from(notice != SHUTDOWN);
        assert_eq!(client.wait_exit(), code, "{notice}");
        client.terminal.expect(en.last().unwrap());
    }
}

#[test]
fn a_shutdown_with_a_message_outstanding_is_a_failure_at_a_terminal_too() {
    let far = FarTcp::new();
    let mut client = typed_to(far.address(), "");
    let mut caller = far.accept();
    client.type_in("hello\n");
    caller.expect("hello");
    caller.close_with(SHUTDOWN);
    assert_eq!(client.wait_exit(), 1);
    let complaint = client.stderr.to_end().concat();
    assert!(complaint.contains("1 of 1"), "{complaint:?}");
}

#[test]
fn a_shutdown_after_the_last_acknowledgement_is_a_good_end() {
    // Both arrive together, the input has ended: nothing is open.
    for (framing, last) in [("bytes", "ACKserver is shutting down"), ("lines", "ACK\nserver is shutting down\n")] {
        let far = FarTcp::new();
        for options in ["-m hello", ""] {
            // Its input is what was given, or else a pipe that has ended.
            let mut client = piped_to(far.address(), &format!("--framing {framing} {options}"));
            if options.is_empty() {
                client.type_in("hello\n");
                client.end_input();
            }
            let mut caller = far.accept();
            caller.expect("hello");
            caller.finish_with(last);
            let ended = end_of(&mut client);
            assert_eq!(ended.code, 0, "{:?} {:?}", ended.out, ended.err);
            assert_eq!(ended.out[1], "last message: ACK");
        }
    }
}

#[test]
fn a_shutdown_with_input_left_unsent_is_a_failure() {
    for (rest, unsent) in [("-m two", 1), ("-m two -m three", 2)] {
        let said = format!("{unsent} of the messages given were not sent");
        let far = FarTcp::new();
        let mut client = client_to(far.address(), &format!("-m one {rest}")).start();
        let mut caller = far.accept();
        caller.expect("one");
        caller.close_with("ACKserver is shutting down");
        let connected = format!("connected to {}", far.address());
        let ended = expect_end(&mut client, 1, &[&connected, "last message: ACK", SHUTDOWN, CLOSED]);
        assert_eq!(ended.err, [format!("reactor-client: {said}")]);

        let far = FarTcp::new();
        let mut client = client_to(far.address(), &format!("-m one {rest} --format json")).start();
        let mut caller = far.accept();
        caller.expect("one");
        caller.close_with("ACKserver is shutting down");
        let ended = end_of(&mut client);
        assert_eq!((ended.code, ended.err), (1, vec![format!("reactor-client: {said}")]));
        // stdout alone tells it, too.
        let event = last_object(&ended.out[..ended.out.len() - 1]);
        assert_eq!((&event["event"], &event["text"]), (&"error".into(), &said.into()), "{event}");
    }
}

#[test]
fn a_shutdown_with_an_open_pipe_is_a_failure() {
    let far = FarTcp::new();
    let mut client = piped_to(far.address(), "");
    let mut caller = far.accept();
    client.type_in("hello\n");
    caller.answer("hello", "ACK");
    client.stdout.expect("last message: ACK");
    caller.close_with(SHUTDOWN);
    assert_eq!(client.wait_exit(), 1);
}

#[test]
fn the_client_ends_at_once_when_the_server_closes() {
    sooner_than(Duration::from_secs(1), || {
        let far = FarTcp::new();
        let mut clients = [piped_to(far.address(), ""), typed_to(far.address(), "")];
        let callers = [far.accept(), far.accept()];
        callers.into_iter().for_each(|caller| caller.close_with(""));
        let (codes, took) = timed(|| clients.each_mut().map(Process::wait_exit));
        assert_eq!(codes, [1, 1]);
        assert_eq!(clients[0].stdout.to_end()[1..], [CLOSED]);
        clients[1].terminal.expect(CLOSED);
        took
    });
}

#[test]
fn the_client_ends_on_the_notice_even_where_the_server_does_not_close() {
    let far = FarTcp::new();
    let mut client = piped_to(far.address(), "");
    let mut caller = far.accept();
    caller.say("server is full");
    let ended = end_of(&mut client);
    assert_eq!((ended.code, &ended.out[1..]), (1, &["server is full", CLOSED].map(str::to_owned)[..]));
    caller.expect_end();
}

#[test]
fn every_acknowledgement_that_had_arrived_is_shown_before_the_end() {
    undisturbed(|| {
        for ending in ["close", "notice", "reset"] {
            let far = FarTcp::new();
            let mut client = piped_to(far.address(), "--framing lines --window 3");
            let mut caller = far.accept();
            client.type_in("1\n2\n3\n");
            caller.expect("1\n2\n3\n");
            client.stop();
            match ending {
                "close" => caller.finish_with("ACK\nACK\n"),
                "notice" => caller.finish_with("ACK\nACK\nserver is shutting down\n"),
                _ => {
                    caller.say("ACK\nACK\n");
                    caller.reset();
                }
            }
            client.resume();
            let ended = end_of(&mut client);
            assert_eq!(ended.out[1..3], ["last message: ACK"; 2], "{ending}");
            assert_eq!(ended.out.last().unwrap(), CLOSED, "{ending}");
            assert_eq!(ended.code, 1, "{ending}");
            assert!(ended.complaint().contains("1 of 3"), "{ending}: {:?}", ended.err);
        }
    });
}

#[test]
fn a_reset_ends_the_client_with_exit_1() {
    let far = FarTcp::new();
    let mut client = piped_to(far.address(), "");
    let mut caller = far.accept();
    client.type_in("hello\n");
    caller.answer("hello", "ACK");
    client.stdout.expect("last message: ACK");
    caller.reset();
    let connected = format!("connected to {}", far.address());
    expect_end(&mut client, 1, &[&connected, "last message: ACK", CLOSED]);
}

#[test]
fn a_server_that_closes_with_the_message_unanswered_is_a_failure() {
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "-m hello").start();
    let mut caller = far.accept();
    caller.expect("hello");
    caller.close_with("");
    let ended = end_of(&mut client);
    assert_eq!((ended.code, ended.out[1].as_str()), (1, CLOSED));
    assert!(ended.complaint().contains("1 of 1"), "{:?}", ended.err);
}

#[test]
fn the_real_server_shuts_down_under_clients_at_a_terminal_and_a_pipe() {
    let mut server = server("");
    let mut piped = piped_to(server.tcp(), "");
    let mut typed = typed_to(server.tcp(), "");
    let mut datagrams = typed_to(server.udp(), "-u");
    for client in [&mut piped, &mut typed, &mut datagrams] {
        client.type_in("hello\n");
    }
    piped.stdout.expect("last message: ACK");
    typed.terminal.expect("last message: ACK");
    datagrams.terminal.expect(&format!("{} answered: check", server.udp()));
    server.signal(SIGTERM);
    assert_eq!([piped.wait_exit(), typed.wait_exit(), datagrams.wait_exit()], [1, 0, 0]);
    assert_eq!(server.wait_exit(), 0);
    assert_eq!(piped.stdout.to_end()[2..], [SHUTDOWN, CLOSED]);
    datagrams.terminal.expect(SHUTDOWN);
    assert!(!datagrams.terminal.so_far().iter().any(|line| line == CLOSED), "a datagram closes no connection");
}

#[test]
fn the_real_server_is_full() {
    let server = ServerBuilder::new("-t --max-connections 1").start();
    let _first = server.client();
    let mut client = piped_to(server.tcp(), "");
    let connected = format!("connected to {}", server.tcp());
    expect_end(&mut client, 1, &[&connected, "server is full", CLOSED]);
}

#[test]
fn the_real_server_cuts_an_idle_client() {
    undisturbed(|| {
        let server = server("-t --idle-timeout 0.3");
        let mut client = piped_to(server.tcp(), "");
        let connected = format!("connected to {}", server.tcp());
        expect_end(&mut client, 1, &[&connected, "timed out: idle timeout"]);
    });
}

#[test]
fn the_real_server_finds_a_message_too_long() {
    let server = server("-t --framing lines --max-message 10");
    let mut client = client_to(server.tcp(), "--framing lines -m 12345678901").start();
    let connected = format!("connected to {}", server.tcp());
    expect_end(&mut client, 1, &[&connected, "message too long", CLOSED]);
}

#[test]
fn a_notice_by_datagram_ends_the_client_at_once() {
    for (notice, ..) in NOTICES {
        let far = FarUdp::new();
        let mut client = piped_to(far.address(), "-u");
        client.type_in("hello\n");
        let source = far.answer("hello", "check");
        let answered = format!("{} answered: check", far.address());
        client.stdout.expect(&answered);
        far.say(source, notice);
        let ended = end_of(&mut client);
        assert_eq!((ended.code, ended.out.len()), (1, 2), "{notice}: {:?}", ended.out);
        assert!(ended.out[1].contains(notice), "{notice}: {:?}", ended.out);
    }
}

#[test]
fn a_notice_instead_of_the_answer_leaves_the_datagram_unacknowledged() {
    let far = FarUdp::new();
    let mut client = client_to(far.address(), "-u -m hello").start();
    far.answer("hello", SHUTDOWN);
    let ended = end_of(&mut client);
    assert_eq!((ended.code, ended.out), (1, vec![SHUTDOWN.to_owned()]));
    assert!(ended.err.concat().contains("1 of 1"), "{:?}", ended.err);
}
