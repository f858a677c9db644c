//! `--trace`: whole turns, in the words of the code.

use crate::harness::{Client, Input, Output, Server, ServerBuilder, client_to, end_of, piped_to, server, undisturbed};

/// Digits where they differ from run to run: ports, and spans of time.
fn normalized(line: &str) -> String {
    let normalize = |word: &str| {
        let is_span = word.contains('.') && word.parse::<f64>().is_ok();
        match word.strip_prefix("127.0.0.1:") {
            _ if is_span => "S".to_owned(),
            Some(rest) => format!("CLIENT{}", rest.trim_start_matches(|digit: char| digit.is_ascii_digit())),
            None => word.to_owned(),
        }
    };
    let words: Vec<String> = line.split(' ').map(normalize).collect();
    // A wait may end within the millisecond, or before it.
    words.join(" ").replace("did not sleep,", "slept S s,")
}

/// What is told, but for turns in which nothing was the matter: the system may end a wait for reasons of its own.
fn told(server: &Server) -> Vec<String> {
    let mut lines = server.stderr.so_far();
    while let Some(index) = lines.windows(2).position(|turn| {
        let [begin, end] = turn else { return false };
        begin.starts_with("turn ") && begin.ends_with(", 0 events") && end.starts_with("  swept 0, reaped 0, printed 0")
    }) {
        lines.drain(index..index + 2);
    }
    lines
}

/// The turns after the setting up, without their numbers.
fn turns(server: &Server) -> Vec<String> {
    let lines = told(server);
    let second = lines.iter().enumerate().filter(|(_, line)| line.starts_with("turn ")).nth(2);
    let shown =
        lines[second.map_or(lines.len(), |(index, _)| index)..].iter().map(|line| match line.split_once(": ") {
            Some((turn, rest)) if turn.starts_with("turn ") => normalized(&format!("turn: {rest}")),
            _ => normalized(line),
        });
    let mut shown: Vec<String> = shown.collect();
    // How much of an end one event tells of is the system's affair: the read finds it.
    for index in 1..shown.len() {
        if shown[index] == "    read the end of the stream" {
            shown[index - 1] = "  CLIENT (slot 0, generation 1) at its end".to_owned();
        }
    }
    shown
}

/// A server whose turns are traced, and which sleeps now.
fn traced(args: &str) -> Server {
    let server = ServerBuilder::new(&format!("-t --trace {args}")).start();
    rests(&server, 2);
    server
}

/// So many of its turns have ended.
fn rests(server: &Server, times: usize) {
    crate::harness::wait_until("the end of a turn", || {
        let ends = told(server).iter().filter(|line| line.contains(" reaped ")).count();
        (ends >= times).then_some(())
    });
}

/// A client that was let in, in a turn of its own.
fn let_in(server: &Server) -> Client {
    let client = server.client();
    // A socket that was just registered is writable: that is an event, too.
    rests(server, 4);
    client
}

const LET_IN: &str = "\
turn: slept S s, 1 event
  the listener readable
    accepted CLIENT: slot 0, generation 1
  swept 0, reaped 0, printed 1 line; next deadline in S s
turn: slept S s, 1 event
  CLIENT (slot 0, generation 1) writable
    read nothing: it is drained
  swept 0, reaped 0, printed 0 lines; next deadline in S s
";

#[track_caller]
fn expect(server: &Server, ends: usize, expected: &str) {
    rests(server, ends);
    let wanted = format!("{LET_IN}{expected}");
    // A deadline that is no longer one may wake it later for nothing.
    let trace = turns(server).into_iter().take(wanted.lines().count()).collect::<Vec<_>>().join("\n");
    assert!(trace == wanted.trim_end(), "the trace:\n{trace}\n\nand not:\n{wanted}");
}

#[test]
fn a_message() {
    undisturbed(|| {
        let server = traced("");
        let mut client = let_in(&server);
        client.exchange("hello", "ACK");
        expect(
            &server,
            5,
            "\
turn: slept S s, 1 event
  CLIENT (slot 0, generation 1) readable, writable
    read 5 of 65536 bytes, a short read: it is drained
    1 message; owed 1 ACK
    sent 3 bytes
  swept 0, reaped 0, printed 1 line; next deadline in S s
",
        );
    });
}

#[test]
fn two_in_one_read() {
    undisturbed(|| {
        let server = traced("--framing lines");
        let mut client = let_in(&server);
        client.exchange("one\ntwo\n", "ACK\nACK\n");
        expect(
            &server,
            5,
            "\
turn: slept S s, 1 event
  CLIENT (slot 0, generation 1) readable, writable
    read 8 of 4096 bytes, a short read: it is drained
    2 messages; owed 2 ACKs
    sent 8 bytes
  swept 0, reaped 0, printed 2 lines; next deadline in S s
",
        );
    });
}

#[test]
fn a_half_close() {
    undisturbed(|| {
        let server = traced("--framing lines");
        let mut client = let_in(&server);
        client.send("rest");
        rests(&server, 5);
        client.finish_writing();
        client.expect_last("ACK\n");
        expect(
            &server,
            6,
            "\
turn: slept S s, 1 event
  CLIENT (slot 0, generation 1) readable, writable
    read 4 of 4096 bytes, a short read: it is drained
  swept 0, reaped 0, printed 0 lines; next deadline in S s
turn: slept S s, 1 event
  CLIENT (slot 0, generation 1) at its end
    read the end of the stream
    1 message; owed 1 ACK
    sent 4 bytes
    parts: closed
  swept 0, reaped 1, printed 2 lines; no deadline
",
        );
    });
}

#[test]
fn an_idle_cut() {
    undisturbed(|| {
        let server = traced("--idle-timeout 0.5");
        let mut client = let_in(&server);
        // It takes what was sent: that makes room, which is an event of its own.
        rests(&server, 6);
        client.expect("idle timeout");
        client.expect_end();
        drop(client);
        expect(
            &server,
            7,
            "\
turn: slept S s, 1 event
  the alarm rang
  CLIENT (slot 0, generation 1) is due
    read nothing: it is drained
    parts: idle
    its last word: idle timeout
    sent 12 bytes
    shut our side
  swept 1, reaped 0, printed 1 line; next deadline now
turn: slept S s, 1 event
  CLIENT (slot 0, generation 1) writable
    read nothing: it is drained
  swept 0, reaped 0, printed 0 lines; next deadline in S s
turn: slept S s, 1 event
  CLIENT (slot 0, generation 1) at its end
    read the end of the stream
  swept 0, reaped 1, printed 0 lines; no deadline
",
        );
    });
}

#[test]
fn a_reset() {
    undisturbed(|| {
        let server = traced("");
        let client = let_in(&server);
        client.reset();
        expect(
            &server,
            5,
            "\
turn: slept S s, 1 event
  CLIENT (slot 0, generation 1) readable, writable, its end is there, takes nothing any more, failed
    read failed: connection reset
    parts: reset
  swept 0, reaped 1, printed 1 line; no deadline
",
        );
    });
}

#[test]
fn a_shutdown() {
    undisturbed(|| {
        let mut server = traced("");
        let mut client = let_in(&server);
        server.signal(nix::sys::signal::Signal::SIGTERM);
        rests(&server, 7);
        client.expect_last("server is shutting down");
        drop(client);
        assert_eq!(server.wait_exit(), 0);
        expect(
            &server,
            8,
            "\
turn: slept S s, 1 event
  the signals readable
    SIGTERM
  swept 0, reaped 0, printed 1 line; next deadline now
turn: slept S s, 0 events
  the listener without an event
  the UDP socket without an event
  CLIENT (slot 0, generation 1) without an event
    read nothing: it is drained
    parts: shutdown
    its last word: server is shutting down
    sent 23 bytes
    shut our side
  swept 0, reaped 0, printed 1 line; next deadline now
turn: slept S s, 1 event
  CLIENT (slot 0, generation 1) writable
    read nothing: it is drained
  swept 0, reaped 0, printed 0 lines; next deadline in S s
turn: slept S s, 1 event
  CLIENT (slot 0, generation 1) at its end
    read the end of the stream
  swept 0, reaped 1, printed 0 lines; the end
",
        );
    });
}

/// A stderr that takes lines again is an event. If that were told, it would be the next line to wait for it.
#[test]
fn a_stderr_that_is_read_slowly_is_no_news() {
    undisturbed(|| {
        let server = traced("-q");
        let mut client = server.quiet_client();
        server.stderr.pause();
        for _ in 0..2000 {
            client.exchange("hello", "ACK");
        }
        server.stderr.resume();
        client.exchange("hello", "ACK");
        crate::harness::settled(std::time::Duration::from_millis(200), || server.stderr.count());
        let lines = server.stderr.so_far();
        let is_end = |line: &str| line.starts_with("  swept");
        let is_turn = |line: &str| line.starts_with("turn ") && !line.starts_with("turn 0:");
        let empty = lines.windows(2).find(|pair| is_end(&pair[1]) && (is_end(&pair[0]) || is_turn(&pair[0])));
        assert!(empty.is_none(), "a turn for nothing: {empty:?}");
        assert!(lines.len() > 10_000, "it was never full: {} lines", lines.len());
    });
}

/// What is printed on one of two streams to one terminal makes the other one writable, too.
#[test]
fn on_a_terminal_it_rests_where_nothing_happens() {
    undisturbed(|| {
        let server = server("");
        for mode in ["-m hello", "-ztu", "--ping -u -c 2 -i 0.3", "--find-size -u"] {
            let launch = client_to(server.tcp(), &format!("{mode} --trace"));
            let mut client = launch.stdout(Output::Terminal).stderr(Output::Terminal).start();
            let code = client.wait_exit();
            let lines = client.terminal.in_the_end().len();
            assert!(code == 0 && (5..300).contains(&lines), "{mode}: {code} with {lines} lines");
        }
        // Nothing is typed.
        let mut client = client_to(server.tcp(), "--trace").stdin(Input::Terminal);
        client = client.stdout(Output::Terminal).stderr(Output::Terminal);
        let client = client.start();
        client.terminal.find("the prompt", |line| line.contains("type a message"));
        // Where it does not rest there are thousands.
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(client.terminal.count() < 60, "{} lines of a client that nobody talks to", client.terminal.count());
        let launch = crate::harness::Launch::server(&["-p", "0", "--trace"]);
        let server = launch.stdout(Output::Terminal).stderr(Output::Terminal).start();
        server.terminal.find("its address", |line| line.contains("listening"));
        std::thread::sleep(std::time::Duration::from_millis(300));
        let lines = server.terminal.count();
        assert!(lines < 30, "{lines} lines of a server that nobody asks");
    });
}

#[test]
fn nothing_is_told_that_was_not_asked_for() {
    undisturbed(|| {
        let server = server("-t");
        let mut client = server.client();
        client.exchange("hello", "ACK");
        assert!(server.stderr.so_far().is_empty());
    });
}

#[test]
fn the_client_tells_its_turns_in_every_mode() {
    undisturbed(|| {
        let server = server("");
        for mode in [
            "-m hello",
            "-m hello -u",
            "-ztu",
            "--ping -c 2 -i 0.01",
            "--ping -u -c 2 -i 0.01",
            "--find-idle 0.1",
            "--find-size -u",
        ] {
            let ended = end_of(&mut client_to(server.tcp(), &format!("{mode} --trace")).start());
            assert_eq!(ended.code, 0, "{mode}: {:?}", ended.err);
            let trace = ended.err.join("\n");
            for words in ["turn 1: ", "  a socket (slot 0, generation 1) ", "    sent ", "; next deadline "] {
                assert!(trace.contains(words), "{mode}: no '{words}' in\n{trace}");
            }
            // What is told stays on stdout.
            assert!(!ended.out.join("\n").contains("turn 1"), "{mode}: {:?}", ended.out);
        }
        let mut client = piped_to(server.tcp(), "--trace");
        client.type_in("hello\n");
        client.stderr.expect("  to be sent: a message of 5 bytes");
        client.end_input();
        assert_eq!(end_of(&mut client).code, 0);
    });
}
