//! stdout that is closed ends the client; stdout that stalls makes it wait, and nothing is lost.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal::{SIGINT, SIGTERM};

use crate::harness::{FarTcp, Input, Lines, Output, client_to, piped_to, server, sooner_than, timed, undisturbed};

#[test]
fn a_closed_stdout_ends_it_with_exit_1() {
    undisturbed(|| {
        let far = FarTcp::new();
        let (reader, writer) = std::io::pipe().unwrap();
        let launch = client_to(far.address(), "").stdin(Input::Pipe).stdout(Output::Given(writer.into()));
        let mut client = launch.start();
        let mut lines = BufReader::new(reader).lines();
        assert!(lines.next().unwrap().unwrap().starts_with("connected to "));
        // The first lines may still find a reader: a child of another test that is just being started.
        client.type_in(&"x\n".repeat(1000));
        let mut stream = far.accept().into_stream();
        drop(lines);
        let answers = thread::spawn(move || {
            let mut answered = 0;
            while stream.read(&mut [0; 64]).is_ok_and(|count| count > 0) && stream.write_all(b"ACK").is_ok() {
                answered += 1;
                thread::sleep(Duration::from_millis(5));
            }
            answered
        });
        let (code, took) = timed(|| client.wait_exit());
        assert_eq!(code, 1);
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert!(answers.join().unwrap() < 500, "it went on unread");
    });
}

#[test]
fn a_stdout_closed_while_nothing_happens_ends_it_at_once() {
    let far = FarTcp::new();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut client = client_to(far.address(), "").stdin(Input::Pipe).stdout(Output::Given(writer.into())).start();
    let mut lines = BufReader::new(reader).lines();
    let _caller = far.accept();
    assert!(lines.next().unwrap().unwrap().starts_with("connected to "));
    drop(lines);
    assert_eq!(client.wait_exit(), 1);
}

#[test]
fn a_stdout_that_nobody_ever_reads_ends_it_with_exit_1() {
    let server = server("-t");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut client = client_to(server.tcp(), "-m hello").stdout(Output::Given(writer.into())).start();
    assert_eq!(client.wait_exit(), 1);
    assert!(!client.stderr.to_end().concat().contains("panicked"));
}

#[test]
fn dev_null_takes_everything() {
    let server = server("");
    for options in ["-m hello", "-u -m hello"] {
        let null = File::options().write(true).open("/dev/null").unwrap();
        let mut client = client_to(server.tcp(), options).stdout(Output::Given(null.into())).start();
        assert_eq!(client.wait_exit(), 0);
    }
}

#[test]
fn a_file_takes_everything() {
    let server = server("-t");
    let file = crate::harness::Scratch::file("out", "");
    let append = File::options().append(true).open(&file.0).unwrap();
    let mut client = client_to(server.tcp(), "-m hello").stdout(Output::Given(append.into())).start();
    assert_eq!(client.wait_exit(), 0);
    let expected = format!("connected to {}\nlast message: ACK\n", server.tcp());
    assert_eq!(std::fs::read_to_string(&file.0).unwrap(), expected);
}

#[test]
fn a_stderr_that_nobody_reads_delays_nothing() {
    let server = server("-t");
    let (_unread, writer) = std::io::pipe().unwrap();
    let launch = client_to(server.tcp(), "").stdin(Input::Pipe).stderr(Output::Given(writer.into()));
    let mut client = launch.start();
    // Every empty line is a complaint; together they are more than a pipe holds.
    client.type_in(&"\n".repeat(5000));
    client.type_in("hello\n");
    client.stdout.expect("last message: ACK");
    client.end_input();
    assert_eq!(client.wait_exit(), 0);
}

/// Enough lines that their replies fill a pipe and what the client keeps.
const MANY: usize = 30_000;

#[test]
fn a_stalled_stdout_stops_the_reading_of_stdin_and_nothing_is_dropped() {
    undisturbed(|| {
        let server = server("-t -q --framing lines");
        let (reader, writer) = std::io::pipe().unwrap();
        let (stdin, mut feed) = std::io::pipe().unwrap();
        let launch = client_to(server.tcp(), "--framing lines --window 8 -W 1");
        let mut client = launch.stdin(Input::Given(stdin.into())).stdout(Output::Given(writer.into())).start();
        let feeder = thread::spawn(move || {
            for number in 0..MANY {
                std::io::Write::write_all(&mut feed, format!("{number:0100}\n").as_bytes()).unwrap();
            }
        });
        // Nothing is read: it must come to rest with most of the input unread, and outlive its own timeout.
        thread::sleep(Duration::from_millis(1500));
        assert!(!feeder.is_finished(), "stdin was read on");
        assert!(client.is_running());
        let before = client.proc().cpu();
        thread::sleep(Duration::from_millis(300));
        let spent = client.proc().cpu().checked_sub(before).unwrap();
        assert!(spent <= Duration::from_millis(20), "it spins: {spent:?}");
        let lines = Lines::collect(reader);
        let code = client.wait_exit();
        assert_eq!(code, 0, "{:?}", client.stderr.to_end());
        feeder.join().unwrap();
        let lines = lines.to_end();
        assert_eq!(lines.len(), MANY + 1);
        assert!(lines[1..].iter().all(|line| line == "last message: ACK"));
    });
}

#[test]
fn a_reply_that_came_while_stdout_was_stalled_is_not_late() {
    undisturbed(|| {
        const REPLIES: usize = 100;
        let far = FarTcp::new();
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        // It is full, and stays so for longer than a reply may take.
        writer.write_all(&[b'.'; 65536]).unwrap();
        let launch = client_to(far.address(), "--framing lines --window 100 -W 0.5").stdin(Input::Pipe);
        let mut client = launch.stdout(Output::Given(writer.into())).start();
        client.type_in(&"x\n".repeat(REPLIES));
        let mut caller = far.accept();
        caller.expect("x\n".repeat(REPLIES));
        // More than the client reads before it waits for its reader.
        caller.say(format!("{}\n", "y".repeat(1000)).repeat(REPLIES));
        thread::sleep(Duration::from_secs(1));
        client.end_input();
        let mut out = String::new();
        reader.read_to_string(&mut out).unwrap();
        assert_eq!(client.wait_exit(), 1);
        let rest = &out[out.len() - 200..];
        assert_eq!((out.matches("last message: ").count(), out.contains("timed out")), (REPLIES, false), "{rest:?}");
    });
}

#[test]
fn what_is_left_at_the_end_waits_for_a_slow_reader() {
    undisturbed(|| {
        let server = server("-t -q --framing lines");
        let (mut reader, writer) = std::io::pipe().unwrap();
        let launch = client_to(server.tcp(), "--framing lines --window 64 --format json").stdin(Input::Pipe);
        let mut client = launch.stdout(Output::Given(writer.into())).start();
        // The pipe takes 64 KiB and the client holds the rest, when all has long been said.
        client.type_in(&"x\n".repeat(550));
        client.end_input();
        thread::sleep(Duration::from_millis(1500));
        let mut all = String::new();
        reader.read_to_string(&mut all).unwrap();
        assert_eq!(client.wait_exit(), 0);
        assert_eq!(all.lines().count(), 552);
        assert!(all.lines().last().unwrap().contains("summary"));
    });
}

#[test]
fn a_signal_ends_it_even_where_stdout_stalls() {
    for signal in [SIGINT, SIGTERM] {
        sooner_than(Duration::from_millis(1500), || {
            let server = server("-t -q --framing lines");
            let (_unread, writer) = std::io::pipe().unwrap();
            let launch = client_to(server.tcp(), "--framing lines --window 64").stdin(Input::Pipe);
            let mut client = launch.stdout(Output::Given(writer.into())).start();
            client.type_in(&"x\n".repeat(10_000));
            thread::sleep(Duration::from_millis(500));
            client.signal(signal);
            timed(|| client.wait_exit()).1
        });
    }
}

#[test]
fn a_signal_that_leaves_messages_unsent_where_stdout_stalls_is_no_success() {
    undisturbed(|| {
        let given = "-m x ".repeat(1000);
        for (options, said) in [(given.as_str(), "of the messages given were not sent"), ("", "was sent")] {
            let server = server("-t -q");
            let (_unread, mut writer) = std::io::pipe().unwrap();
            writer.write_all(&[b'.'; 65536]).unwrap();
            let launch = client_to(server.tcp(), &format!("--format json {options}")).stdin(Input::Pipe);
            let mut client = launch.stdout(Output::Given(writer.into())).start();
            client.type_in(&"x\n".repeat(1000));
            // Each one that was sent is acknowledged; behind 64 KiB of replies that nobody reads no more are sent.
            thread::sleep(Duration::from_millis(800));
            client.signal(SIGINT);
            assert_eq!(client.wait_exit(), 1, "{said}");
            let complaint = client.stderr.to_end().concat();
            assert!(complaint.contains(said) && !complaint.contains("acknowledged"), "{complaint:?}");
        }
    });
}

#[test]
fn lines_appear_at_once() {
    sooner_than(Duration::from_millis(100), || {
        let far = FarTcp::new();
        let mut client = piped_to(far.address(), "");
        let mut caller = far.accept();
        client.type_in("one\n");
        caller.expect("one");
        let answer = || {
            caller.say("ACK");
            client.stdout.expect("last message: ACK");
        };
        timed(answer).1
    });
}

#[test]
fn the_most_talkative_diagnostics_delay_nothing() {
    let server = server("");
    for options in ["-m hello", "-u -m hello"] {
        let mut client = client_to(server.tcp(), options).env("RUST_LOG", "trace").start();
        assert_eq!(client.wait_exit(), 0, "{options}");
    }
}
