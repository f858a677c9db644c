//! What a connection costs the server in memory, whatever the client does: little.

use std::thread;
use std::time::{Duration, Instant};

use crate::crowd::{LINES, Member};
use crate::harness::{Output, Server, ServerBuilder, settled};
use crate::turn::is_message;
use crate::{alone, crowd, figure};

/// What a connection may cost.
const EACH: u64 = 8 << 10;
/// What the allocator may add, however many there are.
const ALLOWANCE: u64 = 2 << 20;
/// The longest message is one byte longer.
const UNFINISHED: usize = (64 << 10) - 1;
/// For so long at most the deaf are given more.
const FILLING: Duration = Duration::from_secs(20);

#[test]
fn a_crowd_that_takes_no_acks_costs_little_memory() {
    let _alone = alone();
    deaf("-q");
}

#[test]
fn a_crowd_that_takes_no_acks_costs_little_memory_with_the_transcript_on() {
    let _alone = alone();
    deaf("");
}

#[test]
fn a_crowd_of_unfinished_messages_costs_little_memory() {
    let _alone = alone();
    for framing in ["lines", "length"] {
        let server = served(&format!("-q --framing {framing}"));
        let before = server.proc().resident();
        let length = u32::try_from(UNFINISHED + 1).unwrap().to_be_bytes();
        let clients: Vec<_> = (0..count())
            .map(|_| {
                let mut client = server.quiet_client();
                client.send(if framing == "length" { &length[..] } else { b"" });
                client.send(vec![b'x'; UNFINISHED]);
                client
            })
            .collect();
        expect_little(&server, before, &format!("{UNFINISHED} bytes of an unfinished message each ({framing})"));
        drop(clients);
    }
}

fn count() -> usize {
    crowd() * 6 / 5
}

fn served(args: &str) -> Server {
    let builder = ServerBuilder::new(&format!("-t --idle-timeout 600 {args}"));
    let server = builder.with(|launch| launch.stdout(Output::LinesBut(is_message))).start();
    // A server that has printed nothing yet has yet to take what its screen may hold.
    server.stdout.pause();
    let (message, answer) = if args.contains("length") { ("\0\0\0\0", "\0\0\0\x03ACK") } else { ("\n", "ACK\n") };
    server.quiet_client().exchange(message.repeat(100_000), answer.repeat(100_000));
    server.stdout.resume();
    server
}

/// Each sends empty lines until the server takes no more, and reads nothing.
#[track_caller]
fn deaf(args: &str) {
    let server = served(&format!("--framing lines {args}"));
    let before = server.proc().resident();
    let mut crowd: Vec<_> = (0..count()).map(|_| Member::join_narrow(server.tcp(), LINES)).collect();
    let lines = LINES.message.repeat(64 << 10);
    let (began, mut sent, mut last) = (Instant::now(), 0, Instant::now());
    while last.elapsed() < Duration::from_secs(1) && began.elapsed() < FILLING {
        let more: usize = crowd.iter_mut().map(|member| member.send_all_it_takes(&lines)).sum();
        sent += more;
        if more > 0 {
            last = Instant::now();
        }
        thread::sleep(Duration::from_millis(10));
    }
    expect_little(&server, before, &format!("deaf after {} messages each, {args}", sent / count()));
}

#[track_caller]
fn expect_little(server: &Server, before: u64, what: &str) {
    settled(Duration::from_millis(200), || server.proc().cpu());
    let grown = server.proc().resident().saturating_sub(before);
    let clients = count();
    figure(&format!(
        "{clients} clients, {what}: {:.1} MiB, {} bytes each",
        grown as f64 / 1048576.0,
        grown / clients as u64
    ));
    assert!(grown <= clients as u64 * EACH + ALLOWANCE, "memory grew by {grown} bytes for {clients} clients");
}
