//! A line that the terminal itself has cut is not sent, but named with the remedy.

use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

use crate::harness::{FarTcp, FarUdp, Input, Process, client_to, piped_to, undisturbed};

/// How much of a line a terminal keeps on Linux.
const KEPT: usize = 4095;

fn sentence(line: u64, sides: &str) -> String {
    format!(
        "reactor-client: line {line} is not sent: the terminal cuts a line at 4095 bytes, so its end may be missing; \
         a pipe or a file brings it whole{sides}"
    )
}

/// The client typed at, with its stdout and stderr collected.
#[track_caller]
fn typed_at(address: std::net::SocketAddr, options: &str) -> Process {
    client_to(address, options).stdin(Input::Terminal).start()
}

#[test]
fn over_tcp_a_line_that_the_terminal_has_cut_is_named_and_the_next_one_goes_through() {
    for (framing, next, sides) in [
        ("lines", "next\n", ""),
        ("length", "\0\0\0\x04next", ""),
        ("bytes", "next", ", with --framing lines on both sides"),
    ] {
        for format in ["text", "json"] {
            for length in [KEPT, KEPT + 1, 4993, 9000] {
                let far = FarTcp::new();
                let mut client = typed_at(far.address(), &format!("--framing {framing} --format {format}"));
                let mut caller = far.accept();
                client.type_in(&format!("{}\n", "x".repeat(length)));
                client.stderr.expect(&sentence(1, sides));
                client.type_in("next\n");
                caller.expect(next);
                match framing {
                    "bytes" => caller.say("ACK"),
                    "lines" => caller.say("ACK\n"),
                    _ => caller.say("\0\0\0\x03ACK"),
                }
                client.stdout.find("the answer", |line| line.contains("ACK"));
                client.type_in("\x04");
                assert_eq!(client.wait_exit(), 1, "{framing}, {format}, {length}");
                assert_eq!(client.stderr.to_end(), [sentence(1, sides)]);
            }
        }
    }
}

#[test]
fn over_udp_it_is_named_too() {
    for format in ["text", "json"] {
        let far = FarUdp::new();
        let mut client = typed_at(far.address(), &format!("-u --format {format}"));
        client.type_in("first\n");
        far.answer("first", "check");
        client.stdout.find("the answer", |line| line.contains("check"));
        client.type_in(&format!("{}\n", "x".repeat(4993)));
        client.stderr.expect(&sentence(2, ""));
        client.type_in("next\n");
        far.answer("next", "check");
        client.stdout.find_after(1, "the answer", |line| line.contains("check"));
        client.type_in("\x04");
        assert_eq!(client.wait_exit(), 1);
        assert_eq!(client.stderr.to_end(), [sentence(2, "")]);
    }
}

#[test]
fn with_nothing_but_errors_it_is_named_and_nothing_else_needs_to_be_sent() {
    let far = FarTcp::new();
    let mut client = typed_at(far.address(), "--framing lines -q");
    let mut caller = far.accept();
    client.type_in(&format!("{}\n", "x".repeat(5000)));
    client.stderr.expect(&sentence(1, ""));
    client.type_in("\x04");
    caller.expect_end();
    assert_eq!(client.wait_exit(), 1);
}

/// These lines must arrive as they are, each acknowledged.
#[track_caller]
fn expect_whole(mut client: Process, far: &FarTcp, lines: &[String], end: impl FnOnce(&mut Process)) {
    let mut caller = far.accept();
    for (index, line) in lines.iter().enumerate() {
        caller.answer(format!("{line}\n"), "ACK\n");
        client.stdout.find_after(index + 1, "the answer", |line| line == "last message: ACK");
    }
    end(&mut client);
    assert_eq!(client.wait_exit(), 0);
    assert_eq!(client.stderr.to_end(), [""; 0]);
}

#[test]
fn a_line_of_one_byte_less_is_whole() {
    let far = FarTcp::new();
    let mut client = typed_at(far.address(), "--framing lines");
    let line = "x".repeat(KEPT - 1);
    client.type_in(&format!("{line}\n"));
    expect_whole(client, &far, &[line], |client| client.type_in("\x04"));
}

#[test]
fn a_long_line_handed_over_piece_by_piece_is_whole() {
    let far = FarTcp::new();
    let mut client = typed_at(far.address(), "--framing lines");
    // Ctrl-D in the middle of a line hands over what there is of it.
    let line = "x".repeat(3000);
    client.type_in(&format!("{line}\x04{line}\n"));
    expect_whole(client, &far, &[line.repeat(2)], |client| client.type_in("\x04"));
}

#[test]
fn a_terminal_that_hands_out_every_key_cuts_nothing() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut client = typed_at(far.address(), "--framing lines -W 0");
        let master = client.master.as_ref().unwrap().try_clone().unwrap();
        let mut settings = tcgetattr(&master).unwrap();
        settings.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        tcsetattr(&master, SetArg::TCSANOW, &settings).unwrap();
        let lines = [KEPT, KEPT + 1].map(|length| "x".repeat(length));
        // The first is read at one go: it waits there when the client goes on.
        client.stop();
        client.type_in(&format!("{}\n", lines[0]));
        client.resume();
        client.type_in(&format!("{}\n", lines[1]));
        expect_whole(client, &far, &lines, |client| client.signal(nix::sys::signal::SIGINT));
    });
}

#[test]
fn a_pipe_cuts_nothing() {
    let far = FarTcp::new();
    let mut client = piped_to(far.address(), "--framing lines");
    let lines = [KEPT, KEPT + 1, 9000].map(|length| "x".repeat(length));
    client.type_in(&format!("{}\n", lines.join("\n")));
    expect_whole(client, &far, &lines, Process::end_input);
}
