//! What an acknowledgement costs, counted and not timed: noise changes neither system calls nor instructions.

use std::env;
use std::fs;
use std::ops::RangeInclusive;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::harness::{Scratch, Server, ServerBuilder, installed, output, server_under_test, skipped};
use crate::stamps::{SESSION, ask, probe, stamp_of};

/// System calls of a server that starts, takes one client in and ends.
const START_AND_END: u64 = 300;

/// Names the built server whose instructions are counted, where the tests themselves are not optimised.
const RELEASE: &str = "REACTOR_SERVER";

/// So many messages, one after the other.
type Load = fn(&Server, u64);

fn one_connection(server: &Server, messages: u64) {
    let mut client = server.quiet_client();
    (0..messages).for_each(|_| client.exchange("hello", "ACK"));
}

fn one_source_port(server: &Server, messages: u64) {
    let peer = server.peer();
    (0..messages).for_each(|_| peer.check("hello"));
}

fn one_stamped_port(server: &Server, messages: u64) {
    let peer = server.peer();
    for seq in 1..=messages {
        ask(&peer, SESSION, seq);
    }
}

/// Two source ports by the hundred, which are all there when the server looks.
fn bursts(server: &Server, messages: u64) {
    let peers = [server.peer(), server.peer()];
    for _ in 0..messages / 100 {
        server.stop();
        (0..50).for_each(|_| peers.each_ref().into_iter().for_each(|peer| peer.send("hello")));
        server.resume();
        (0..50).for_each(|_| peers.each_ref().into_iter().for_each(|peer| peer.expect("check")));
    }
}

fn stamped_bursts(server: &Server, messages: u64) {
    let peers = [server.peer(), server.peer()];
    for hundred in 0..messages / 100 {
        let both = || (1..=50).flat_map(|seq| peers.iter().map(move |peer| (peer, hundred * 50 + seq)));
        server.stop();
        both().for_each(|(peer, seq)| peer.send(probe(SESSION, seq)));
        server.resume();
        for (peer, seq) in both() {
            stamp_of(peer, SESSION, seq);
        }
    }
}

/// Messages by the hundred on one connection.
fn one_pipeline(server: &Server, messages: u64) {
    let mut client = server.quiet_client();
    let (lines, acks) = ("hello\n".repeat(100), "ACK\n".repeat(100));
    (0..messages / 100).for_each(|_| client.exchange(&lines, &acks));
}

/// Clients that come, say one message and go.
fn short_lives(server: &Server, messages: u64) {
    (0..messages).for_each(|_| server.quiet_client().exchange("hello", "ACK"));
}

/// Has `tool` start the server, lets it acknowledge, and shuts it down.
#[track_caller]
fn run(tool: &str, args: &str, load: Load, messages: u64) {
    let under_tool = format!("exec {tool} \"$@\"");
    let mut server =
        ServerBuilder::new(args).with(|launch| launch.through_shell(&under_tool)).operated().start_under_a_tool();
    load(&server, messages);
    server.type_in("shutdown\n");
    assert_eq!(server.wait_exit(), 0);
}

/// Says why a test does nothing here; true where it has to.
#[track_caller]
fn cannot(tool: &str, probe: &[&str]) -> bool {
    let works = installed(tool) && output(Command::new(tool).args(probe)).is_ok_and(|output| output.status.success());
    if !works {
        skipped(&format!("{tool} is not installed, or may not trace here"));
    }
    !works
}

/// All system calls of a run.
#[track_caller]
fn system_calls(args: &str, load: Load, messages: u64) -> u64 {
    let counts = Scratch::path(&format!("calls{}", args.replace(' ', "")));
    run(&format!("strace -f -c -o {} \"$0\"", counts.0.display()), args, load, messages);
    let table = fs::read_to_string(&counts.0).unwrap();
    // % time, seconds, usecs/call, calls, errors (or nothing), name
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let calls = rows.filter(|row| row.last() != Some(&"total")).filter_map(|row| row.get(3)?.parse::<u64>().ok());
    calls.sum()
}

#[track_caller]
fn expect_system_calls(per_hundred: RangeInclusive<u64>, args: &str, load: Load) {
    const HUNDREDS: u64 = 30;
    if cannot("strace", &["-c", "-o", "/dev/null", "true"]) {
        return;
    }
    let calls = system_calls(args, load, HUNDREDS * 100);
    println!("{calls} system calls for {HUNDREDS} hundred messages");
    assert!(calls <= per_hundred.end() * HUNDREDS + START_AND_END, "{calls} system calls");
    assert!(calls >= per_hundred.start() * HUNDREDS, "only {calls} system calls: is the counting wrong?");
}

#[test]
fn a_tcp_ack_takes_three_system_calls() {
    expect_system_calls(200..=300, "-t -q", one_connection);
}

#[test]
fn a_udp_ack_takes_three_system_calls() {
    expect_system_calls(200..=if cfg!(target_os = "linux") { 300 } else { 400 }, "-u -q", one_source_port);
}

#[test]
#[cfg(target_os = "linux")]
fn a_stamp_takes_no_system_call_more_than_a_check() {
    expect_system_calls(200..=300, "-u -q", one_stamped_port);
    expect_system_calls(5..=20, "-u -q", stamped_bursts);
    expect_system_calls(5..=20, "-u -q --host 0.0.0.0", stamped_bursts);
}

/// Where nobody stamps, stamps cost nothing.
#[test]
#[cfg(target_os = "linux")]
fn the_kernel_is_asked_to_tell_times_by_the_first_probe_alone() {
    if cannot("strace", &["-c", "-o", "/dev/null", "true"]) {
        return;
    }
    let loads: [(Load, usize); 2] = [(one_source_port, 0), (one_stamped_port, 1)];
    for (load, times) in loads {
        let calls = Scratch::path(&format!("options{times}"));
        run(&format!("strace -e trace=setsockopt -o {} \"$0\"", calls.0.display()), "-u -q", load, 10);
        let calls = fs::read_to_string(&calls.0).unwrap();
        assert!(calls.contains("SO_"), "are the names of options others?\n{calls}");
        assert_eq!(calls.matches("SO_TIMESTAMPNS").count(), times, "{calls}");
    }
}

/// An accept in vain costs as much as a message, and so does a timeout in every wait.
#[test]
#[cfg(target_os = "linux")]
fn a_short_life_takes_one_accept_and_no_timeout() {
    if cannot("strace", &["-c", "-o", "/dev/null", "true"]) {
        return;
    }
    let calls = Scratch::path("lives");
    run(&format!("strace -e trace=accept4,epoll_wait -o {} \"$0\"", calls.0.display()), "-t -q", short_lives, 100);
    let calls = fs::read_to_string(&calls.0).unwrap();
    let accepts = calls.matches("accept4(").count();
    assert!((100..=105).contains(&accepts), "{accepts} accepts for 100 connections\n{calls}");
    let waits = calls.lines().filter(|call| call.starts_with("epoll_wait("));
    let timed = waits.filter(|wait| !wait.contains(", -1) = ") && !wait.contains(", 0) = "));
    // The end waits for its last clients.
    assert!(timed.clone().count() <= 5, "{:?}", timed.collect::<Vec<_>>());
    assert!(calls.matches(", -1) = ").count() >= 100, "are waits written otherwise?\n{calls}");
    expect_system_calls(700..=1100, "-t -q", short_lives);
}

#[test]
fn telling_a_message_takes_one_system_call_more() {
    expect_system_calls(300..=400, "-t", one_connection);
}

#[test]
fn a_hundred_lines_in_one_read_take_as_many_system_calls_as_one_message() {
    expect_system_calls(2..=6, "-t -q --framing lines", one_pipeline);
}

#[test]
fn a_hundred_told_lines_in_one_read_leave_in_one_write() {
    expect_system_calls(3..=8, "-t --framing lines", one_pipeline);
}

#[test]
#[cfg(target_os = "linux")]
fn datagrams_that_wait_are_received_and_answered_in_batches() {
    expect_system_calls(5..=20, "-u -q", bursts);
}

/// All allocations of a run.
#[track_caller]
fn allocations(args: &str, load: Load, messages: u64) -> u64 {
    let summary = Scratch::path(&format!("allocations{}", args.replace(' ', "")));
    // Any server will do, an optimised one is sooner done.
    let server = optimised().unwrap_or_else(|| "\"$0\"".to_owned());
    run(&format!("valgrind --leak-check=no --log-file={} {server}", summary.0.display()), args, load, messages);
    let summary = fs::read_to_string(&summary.0).unwrap();
    // total heap usage: 1,234 allocs, 1,230 frees, ...
    let count = summary.split_once("total heap usage: ").unwrap().1.split_once(" allocs").unwrap().0;
    count.replace(',', "").parse().unwrap()
}

#[test]
fn a_message_allocates_nothing() {
    if cannot("valgrind", &["-q", "true"]) {
        return;
    }
    let loads: [(&str, Load); 6] = [
        ("-t", one_connection),
        ("-t --framing lines", one_pipeline),
        ("-t -q --framing lines", one_pipeline),
        ("-u", one_source_port),
        ("-u", one_stamped_port),
        ("-u --format json", stamped_bursts),
    ];
    for (args, load) in loads {
        let [few, more] = [100, 300].map(|messages| allocations(args, load, messages));
        // A buffer may still find its size.
        assert!(more <= few + 10, "{args}: {few} allocations for 100 messages, {more} for 300");
    }
}

#[test]
fn idle_connections_wake_nobody() {
    let server = ServerBuilder::new("-t").start();
    let _clients: Vec<_> = (0..200).map(|_| server.client()).collect();
    server.proc().wait_state('S');
    let before = server.proc().sleeps();
    thread::sleep(Duration::from_secs(2));
    let woken = server.proc().sleeps() - before;
    assert!(woken <= 2, "woken {woken} times in 2 s by 200 idle connections");
}

/// The optimised server, where there is one.
fn optimised() -> Option<String> {
    let own = || (!cfg!(debug_assertions)).then(server_under_test);
    env::var(RELEASE).ok().or_else(own)
}

/// All instructions of a run of the optimised server.
#[track_caller]
fn instructions(server: &str, args: &str, load: Load, messages: u64) -> u64 {
    let profile = Scratch::path("profile");
    let tool = format!("valgrind -q --tool=callgrind --callgrind-out-file={} {server}", profile.0.display());
    run(&tool, args, load, messages);
    let profile = fs::read_to_string(&profile.0).unwrap();
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    total.unwrap().trim().parse().unwrap()
}

/// The bounds lie a fifth to a third above what was counted when they were set (rustc 1.95, x86-64): compilers differ a
/// little, and so does what a processor has for searching.
#[test]
fn a_message_takes_few_instructions() {
    let Some(server) = optimised() else {
        skipped(&format!("only an optimised server is worth counting; {RELEASE} may name one"));
        return;
    };
    if cannot("valgrind", &["-q", "--tool=callgrind", "--callgrind-out-file=/dev/null", "true"]) {
        return;
    }
    let loads: [(&str, &str, Load, u64); 7] = [
        ("tcp", "-t -q", one_connection, 1450),
        ("tcp, told", "-t", one_connection, 2750),
        ("tcp lines, by the hundred", "-t -q --framing lines", one_pipeline, 22),
        ("udp", "-u -q", one_source_port, 1750),
        ("udp on a wildcard", "-u -q --host 0.0.0.0", one_source_port, 2450),
        ("udp by the hundred", "-u -q", bursts, 1300),
        ("udp, stamped", "-u -q", one_stamped_port, 2500),
    ];
    let counted = loads.map(|(name, args, load, most)| {
        const FEW: u64 = 500;
        const MORE: u64 = 2000;
        // What the start, the end and the first messages take is in both.
        let few = instructions(&server, args, load, FEW);
        let both = instructions(&server, args, load, FEW + MORE);
        (name, (both - few) / MORE, most)
    });
    println!("instructions a message, and at most: {counted:?}");
    assert!(counted.iter().all(|&(_, count, most)| count <= most), "{counted:?}");
}
