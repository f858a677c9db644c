//! The client against servers that vanish, stall, flood, or say nothing.

use std::fs::{self, File};
use std::io::{PipeWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGKILL;

use crate::harness::{Input, Launch, Lines, Output, server, undisturbed};
use crate::tools::{MIB, Scratch, peak_memory, peak_until_exit};

/// A server for one client, in the hands of `talk`.
fn far(talk: impl FnOnce(TcpStream) + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (address, thread::spawn(move || talk(listener.accept().unwrap().0)))
}

#[test]
fn a_server_that_is_killed_ends_it_at_once_though_stdin_is_silent() {
    undisturbed(|| {
        let server = server("-t");
        let mut client = Launch::client(&[&server.tcp().to_string()]).stdin(Input::Pipe).start();
        client.type_in("hello\n");
        client.stdout.expect("last message: ACK");
        let since = Instant::now();
        server.signal(SIGKILL);
        assert_eq!(client.wait_exit(), 1);
        println!("exit {:?} after the server was killed", since.elapsed());
        assert!(since.elapsed() < Duration::from_secs(2));
        assert_eq!(client.stdout.to_end().last().unwrap(), "connection has been closed by server");
    });
}

#[test]
fn a_server_that_is_killed_before_it_answers_leaves_a_true_account() {
    undisturbed(|| {
        let server = server("-t --framing lines");
        let args = [&*server.tcp().to_string(), "--framing", "lines", "--window", "10"];
        let mut client = Launch::client(&args).stdin(Input::Pipe).start();
        client.type_in("one\ntwo\n");
        client.stdout.find("the second ACK", {
            let seen = std::cell::Cell::new(0);
            move |line| {
                seen.set(seen.get() + usize::from(line == "last message: ACK"));
                seen.get() == 2
            }
        });
        server.stop();
        client.type_in("three\nfour\nfive\n");
        client.end_input();
        // All three are in the server's socket when it dies.
        crate::harness::wait_until("the client's sleep", || (client.proc().state() == 'S').then_some(()));
        thread::sleep(Duration::from_millis(100));
        server.signal(SIGKILL);
        assert_eq!(client.wait_exit(), 1);
        let said = client.stderr.to_end();
        assert!(said.iter().any(|line| line.ends_with("3 of 5 messages were not acknowledged")), "{said:?}");
    });
}

#[test]
fn a_server_that_accepts_and_leaves_ends_it() {
    undisturbed(|| {
        for reset in [false, true] {
            let (address, far) = far(move |stream| {
                if reset {
                    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                }
            });
            let mut client = Launch::client(&[&address]).stdin(Input::Pipe).start();
            let since = Instant::now();
            assert_eq!(client.wait_exit(), 1, "reset {reset}");
            assert!(since.elapsed() < Duration::from_secs(2));
            far.join().unwrap();
        }
    });
}

#[test]
fn a_server_that_floods_acks_nobody_asked_for_costs_no_memory_and_is_reported() {
    let (address, far) = far(|mut stream| {
        let _ = stream.read(&mut [0; 100]);
        let acks = b"ACK\n".repeat(8192);
        for _ in 0..32 {
            if stream.write_all(&acks).is_err() {
                return;
            }
        }
    });
    let null = || Output::Given(Stdio::null());
    let launch = Launch::client(&[&address, "--framing", "lines"]).stdout(null()).stderr(null());
    let mut client = launch.stdin(Input::Pipe).start();
    let before = peak_memory(&client).unwrap();
    client.type_in("hello\n");
    let peak = peak_until_exit(&mut client, before);
    assert_eq!(client.wait_exit(), 1);
    println!("{} ACKs for one message: {peak} bytes of memory", 32 * 8192);
    assert!(peak < 24 * MIB);
    far.join().unwrap();
}

#[test]
fn acknowledgements_that_come_all_at_once_are_all_shown_whatever_stdout_is() {
    const MESSAGES: usize = 10_000;
    let file = Scratch::new("stdout");
    let stdouts: [Stdio; 2] = [Stdio::null(), File::create(&file.0).unwrap().into()];
    let outputs = stdouts.map(Output::Given).into_iter().chain([Output::Lines]);
    for output in outputs {
        let (address, far) = far(|mut stream| {
            let mut taken = 0;
            while taken < MESSAGES {
                taken += stream.read(&mut [0; 65536]).unwrap() / 2;
            }
            stream.write_all(&b"ACK\n".repeat(MESSAGES)).unwrap();
            let _ = stream.read(&mut [0; 100]);
        });
        let args = [&*address, "--framing", "lines", "--window", "10000"];
        let mut client = Launch::client(&args).stdin(Input::Pipe).stdout(output).start();
        client.type_in(&"x\n".repeat(MESSAGES));
        client.end_input();
        assert_eq!(client.wait_exit(), 0);
        far.join().unwrap();
        if client.stdout.count() > 0 {
            assert_eq!(client.stdout.to_end().len(), MESSAGES + 1);
        }
    }
    assert_eq!(fs::read_to_string(&file.0).unwrap().lines().count(), MESSAGES + 1);
}

#[test]
fn acknowledgements_that_come_all_at_once_wait_for_a_stalled_stdout() {
    undisturbed(|| {
        const MESSAGES: usize = 20_000;
        for (format, answer) in [("text", "ACK\n"), ("json", "ACK\n"), ("json", "\n")] {
            let (address, far) = far(move |mut stream| {
                let mut taken = 0;
                while taken < MESSAGES {
                    taken += stream.read(&mut [0; 65536]).unwrap() / 2;
                }
                stream.write_all(answer.repeat(MESSAGES).as_bytes()).unwrap();
                let _ = stream.read(&mut [0; 100]);
            });
            let (unread, stdout) = std::io::pipe().unwrap();
            let args = [&*address, "--framing", "lines", "--window", "20000", "--format", format];
            let launch = Launch::client(&args).stdin(Input::Pipe).stdout(Output::Given(stdout.into()));
            let mut client = launch.start();
            client.type_in(&"x\n".repeat(MESSAGES));
            client.end_input();
            // It has read all that it will before anybody reads from it.
            let mut spent = Duration::MAX;
            while std::mem::replace(&mut spent, client.proc().cpu()) != spent || client.proc().state() != 'S' {
                thread::sleep(Duration::from_millis(100));
            }
            let lines = Lines::collect(unread).to_end();
            let shown =
                lines.iter().filter(|line| line.contains("last message: ") || line.contains("\"reply\"")).count();
            println!("{format}, {answer:?}: {shown} of {MESSAGES} replies shown after a stalled stdout");
            assert_eq!(shown, MESSAGES);
            assert_eq!(client.wait_exit(), i32::from(answer == "\n"));
            far.join().unwrap();
        }
    });
}

#[test]
fn of_64_mebibytes_on_stdin_before_a_slow_server_nothing_stays_in_memory() {
    undisturbed(|| {
        much_input(64);
    });
}

/// Bound: 60 s in a release build.
#[test]
#[ignore = "takes 60 s"]
fn of_a_gibibyte_on_stdin_before_a_slow_server_nothing_stays_in_memory() {
    undisturbed(|| {
        much_input(1024);
    });
}

/// Lines of 4096 bytes, `mebibytes` in all, to a server that does nothing for a second and is slow thereafter.
fn much_input(mebibytes: u64) {
    const LINE: usize = 4096;
    let (address, far) = far(move |mut stream| {
        let mut buffer = vec![0; 65536];
        thread::sleep(Duration::from_secs(1));
        let mut taken = 0;
        loop {
            let count = stream.read(&mut buffer).unwrap();
            if count == 0 {
                return;
            }
            let lines = buffer[..count].iter().filter(|&&byte| byte == b'\n').count();
            stream.write_all(&b"ACK\n".repeat(lines)).unwrap();
            if taken / (16 * MIB) < (taken + count as u64) / (16 * MIB) {
                thread::sleep(Duration::from_millis(100));
            }
            taken += count as u64;
        }
    });
    let (stdin, feed) = std::io::pipe().unwrap();
    let args = [&*address, "--framing", "lines", "--window", "4096", "--format", "json"];
    let mut client =
        Launch::client(&args).stdin(Input::Given(stdin.into())).stdout(Output::Given(Stdio::null())).start();
    let before = peak_memory(&client).unwrap();
    let feeding = thread::spawn(move || {
        feed_lines(feed, mebibytes * MIB / LINE as u64, LINE);
    });
    let since = Instant::now();
    let peak = peak_until_exit(&mut client, before);
    assert_eq!(client.wait_exit(), 0);
    println!("{mebibytes} MiB on stdin, {:?}: {peak} bytes of memory at the most", since.elapsed());
    assert!(peak < 24 * MIB, "{peak} bytes");
    feeding.join().unwrap();
    far.join().unwrap();
}

fn feed_lines(mut feed: PipeWriter, lines: u64, length: usize) {
    let mut line = vec![b'x'; length];
    line[length - 1] = b'\n';
    let block = line.repeat(16);
    for _ in 0..lines / 16 {
        feed.write_all(&block).unwrap();
    }
}
