//! The guide's six steps from a blocking server to the loop: each does what the one before could not, and fails where
//! the guide says so.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::Stdio;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::harness::{Client, Launch, Output, Process, settled, undisturbed, wait_until};

const STEPS: [(&str, &str); 6] = [
    ("blocking", include_str!("../../src/guide/steps/blocking.rs")),
    ("threads", include_str!("../../src/guide/steps/threads.rs")),
    ("loop", include_str!("../../src/guide/steps/loop.rs")),
    ("pending_output", include_str!("../../src/guide/steps/pending_output.rs")),
    ("budgets", include_str!("../../src/guide/steps/budgets.rs")),
    ("linger", include_str!("../../src/guide/steps/linger.rs")),
];
const NOTICE: &str = "server is shutting down\n";

/// It listens, and somebody can type at it.
#[track_caller]
fn start(step: &str, stdout: Output) -> Option<(Process, SocketAddr)> {
    Launch::serving_example(&format!("step_{step}"), stdout)
}

/// Lines that nobody reads.
fn unheard() -> Output {
    Output::Given(Stdio::null())
}

#[test]
fn each_is_a_page() {
    for (step, listing) in STEPS {
        let lines = listing.lines().filter(|line| !line.is_empty() && !line.trim_start().starts_with("//")).count();
        assert!((15..80).contains(&lines), "{step}: {lines}");
    }
}

#[test]
fn all_of_them_acknowledge_lines() {
    for (step, _) in STEPS {
        let Some((_process, address)) = start(step, unheard()) else { return };
        let mut client = Client::connect(address);
        client.exchange("one\n", "ACK\n");
        client.exchange("two\nthree\n", "ACK\nACK\n");
    }
}

#[test]
fn blocking_lets_everybody_wait_for_one_and_threads_do_not() {
    for (step, waits) in [("blocking", true), ("threads", false)] {
        let Some((_process, address)) = start(step, unheard()) else { return };
        let mut first = Client::connect(address);
        first.exchange("hello\n", "ACK\n");
        let mut second = Client::connect(address);
        second.send("hello\n");
        if waits {
            for _ in 0..100 {
                first.exchange("again\n", "ACK\n");
            }
            second.expect_nothing_yet();
            drop(first);
        }
        second.expect("ACK\n");
    }
}

#[test]
fn threads_leave_without_a_word_and_the_loop_does_not() {
    for (step, word) in [("threads", ""), ("loop", NOTICE)] {
        let Some((mut process, address)) = start(step, unheard()) else { return };
        let mut client = Client::connect(address);
        client.exchange("hello\n", "ACK\n");
        process.end_input();
        client.expect_last(word);
        assert_eq!(process.wait_exit(), 0);
    }
}

/// Far more lines than there is room for acknowledgements that nobody takes.
const LINES: usize = 2 << 20;

/// Sends them all, while nobody reads, and waits until the server has done with them what it can.
fn flood(client: &Client, process: &Process) -> JoinHandle<bool> {
    let mut client = client.clone_handle();
    let flood = thread::spawn(move || client.try_send(&vec![b'\n'; LINES]));
    wait_for_rest(process);
    flood
}

/// Waits until it sleeps and has nothing to do.
#[track_caller]
fn wait_for_rest(process: &Process) {
    wait_until("its rest", || {
        let (_, state) = settled(Duration::from_millis(100), || (process.proc().cpu(), process.proc().state()));
        (state == 'S').then_some(())
    });
}

#[test]
fn the_loop_cuts_who_reads_late_and_pending_output_waits_for_him() {
    undisturbed(|| {
        for (step, waits) in [("loop", false), ("pending_output", true)] {
            let Some((process, address)) = start(step, unheard()) else { return };
            let mut client = Client::connect(address);
            let flood = flood(&client, &process);
            if waits {
                client.expect("ACK\n".repeat(LINES));
                assert!(flood.join().unwrap());
            } else {
                let came = client.try_read_to_end().map(|acks| acks.len());
                assert!(!came.is_ok_and(|len| len == "ACK\n".len() * LINES), "it waited");
            }
            // Nobody else is harmed.
            Client::connect(address).exchange("hello\n", "ACK\n");
        }
    });
}

#[test]
fn pending_output_lets_everybody_wait_for_the_busiest_and_budgets_do_not() {
    // So many arrive in one piece.
    const BURST: usize = 50_000;
    undisturbed(|| {
        for (step, all) in [("pending_output", true), ("budgets", false)] {
            let Some((process, address)) = start(step, Output::Lines) else { return };
            // Which key each has is known when it has spoken; that it takes bytes again is an event, too.
            let [mut modest, mut busy] = [(), ()].map(|()| Client::connect(address));
            let keys = [&mut modest, &mut busy].map(|client| {
                let mark = process.stdout.count();
                client.exchange("\n", "ACK\n");
                process.stdout.find_after(mark, "the line", |line| line.ends_with("sent a line"))
            });
            let mark = process.stdout.count();
            busy.send([b'\n'; BURST]);
            modest.send("\n");
            process.stdout.find_after(mark, "the modest one's line", |line| line == keys[0]);
            let lines = process.stdout.so_far();
            let before = lines[mark..].iter().take_while(|line| **line == keys[1]).count();
            assert_eq!(before == BURST, all, "{step}: {before}");
        }
    });
}

/// All that is owed has room, and only input is left unread: what a server does that was held up, and told to end meanwhile.
#[test]
fn budgets_close_over_unread_input_and_linger_does_not() {
    const BURST: usize = 60_000;
    undisturbed(|| {
        for (step, lingers) in [("budgets", false), ("linger", true)] {
            let Some((mut process, address)) = start(step, Output::Lines) else { return };
            let mut client = Client::connect(address);
            client.exchange("\n", "ACK\n");
            // It sleeps in the midst of a slice, since nobody takes its lines.
            process.stdout.pause();
            client.send([b'\n'; BURST]);
            wait_for_rest(&process);
            process.end_input();
            process.stdout.resume();
            if lingers {
                let all = client.read_to_end();
                assert!(all.ends_with(NOTICE.as_bytes()), "{} bytes came", all.len());
                drop(client);
                assert_eq!(process.wait_exit(), 0);
            } else {
                assert_eq!(process.wait_exit(), 0);
                let came = client.try_read_to_end().map(|all| all.len());
                assert_eq!(came.map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset));
            }
        }
    });
}

#[test]
fn budgets_leave_while_something_is_owed_and_linger_stays() {
    undisturbed(|| {
        for (step, lingers) in [("budgets", false), ("linger", true)] {
            let Some((mut process, address)) = start(step, unheard()) else { return };
            let mut client = Client::connect(address);
            let flood = flood(&client, &process);
            process.end_input();
            if lingers {
                let all = client.read_to_end();
                assert!(all.ends_with(NOTICE.as_bytes()), "{} bytes came", all.len());
                drop((client, flood.join()));
                assert_eq!(process.wait_exit(), 0);
            } else {
                assert_eq!(process.wait_exit(), 0);
                // Whoever writes when the reset comes hears of it.
                assert!(!client.try_read_to_end().is_ok_and(|all| all.ends_with(NOTICE.as_bytes())));
            }
        }
    });
}
