//! No turn of the client is without end: whatever stdin brings, the server and the signals are heard.

use std::fs::File;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal::SIGINT;

use crate::harness::{
    FarTcp, Input, Output, Scratch, client_to, end_of, run, server, settled, sooner_than, start, timed, undisturbed,
};

#[test]
fn a_burst_of_replies_into_a_file_is_written_whole() {
    let server = server("-t -q --framing lines");
    let numbers: String = (0..20_000).map(|number| format!("{number}\n")).collect();
    let (lines, out) = (Scratch::file("numbers", &numbers), Scratch::file("replies", ""));
    let launch = client_to(server.tcp(), "--framing lines --window 2000 --format json");
    let stdin = Input::Given(File::open(&lines.0).unwrap().into());
    let stdout = Output::Given(File::options().write(true).open(&out.0).unwrap().into());
    let mut client = launch.stdin(stdin).stdout(stdout).start();
    // On a busy machine so many take long.
    settled(Duration::from_secs(1), || out.0.metadata().unwrap().len());
    assert_eq!(client.wait_exit(), 0);
    let replies = std::fs::read_to_string(&out.0).unwrap();
    assert_eq!(replies.lines().filter(|line| line.contains("\"reply\"")).count(), 20_000);
}

/// What a shell can pipe in without end.
fn endless(script: &str) -> Input {
    let mut source = Command::new("sh");
    source.args(["-c", script]).stdout(std::process::Stdio::piped());
    // It ends with its pipe.
    Input::Given(start(&mut source).unwrap().stdout.unwrap().into())
}

#[test]
fn endless_empty_lines_do_not_hide_the_servers_end_or_a_signal() {
    undisturbed(|| {
        let server = server("-t -q --idle-timeout 0.5");
        let (ended, took) = timed(|| run(client_to(server.tcp(), "").stdin(endless("yes ''"))));
        assert_eq!(ended.code, 1);
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert_eq!(ended.out.last().unwrap(), "timed out: idle timeout");
        let far = FarTcp::new();
        let mut client = client_to(far.address(), "").stdin(endless("yes ''")).start();
        let _caller = far.accept();
        client.signal(SIGINT);
        client.wait_exit();
    });
}

#[test]
fn a_line_without_end_does_not_hide_the_servers_end_or_a_signal() {
    undisturbed(|| {
        let zero = || Input::Given(File::open("/dev/zero").unwrap().into());
        let server = server("-t -q --idle-timeout 0.5");
        let ended = run(client_to(server.tcp(), "").stdin(zero()));
        assert_eq!((ended.code, ended.out.last().unwrap().as_str()), (1, "timed out: idle timeout"));
        let far = FarTcp::new();
        let mut client = client_to(far.address(), "").stdin(zero()).start();
        let _caller = far.accept();
        client.signal(SIGINT);
        client.wait_exit();
    });
}

#[test]
fn a_stdin_that_cannot_be_read_is_no_clean_end() {
    let server = server("-t -q");
    let ended = run(client_to(server.tcp(), "").stdin(Input::Given(File::open("/").unwrap().into())));
    assert_eq!(ended.code, 1);
    assert!(ended.complaint().contains("cannot read the standard input: Is a directory"), "{:?}", ended.err);
}

#[test]
fn each_reply_is_awaited_from_its_own_message_on_however_many_follow() {
    sooner_than(Duration::from_secs(5), || {
        let far = FarTcp::new();
        let (stdin, mut typist) = std::io::pipe().unwrap();
        let launch = client_to(far.address(), "--framing lines --window 100 -W 1");
        let mut client = launch.stdin(Input::Given(stdin.into())).start();
        let mut caller = far.accept();
        let (ended, took) = timed(|| {
            // Until the client has ended, and nobody reads any more.
            for _ in 0..100 {
                if typist.write_all(b"x\n").is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            end_of(&mut client)
        });
        caller.expect("x\nx\n");
        assert_eq!(ended.code, 1);
        took
    });
}
