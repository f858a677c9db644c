//! The operator's answers are never dropped with the transcript; where nobody takes them, no more is read from stdin.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::crowd::{Crowd, LINES, Member};
use crate::harness::{Input, Output, Server, ServerBuilder, settled, wait_until};
use crate::turn::is_message;
use crate::{alone, figure};

/// How many flood.
const FLOODERS: usize = 20;
/// How much answers that wait may cost the server: the promised mebibyte, twice while its buffer grows, and the allocator.
const GROWTH: u64 = 4 << 20;
/// What may wait in answers and on the way to and from the server: the promised mebibyte, three buffers of a pipe on the way
/// out, and a pipe of commands on the way in, whose answers are three times as long.
const WAITING: usize = (1 << 20) + (6 << 16);

/// A server whose stdout is read slowly, with everybody's arrival told.
fn slowly_read(format: &str) -> (Server, Vec<Member>) {
    let words = format!("-t --framing lines --idle-timeout 0 --format {format}");
    let builder = ServerBuilder::new(&words).operated();
    let server = builder.with(|launch| launch.stdout(Output::LinesBut(is_message))).start();
    let members = Member::crowd(server.tcp(), FLOODERS, LINES);
    wait_until("everybody's arrival", || (server.stdout.count() == 1 + FLOODERS).then_some(()));
    server.stdout.slow_down(true);
    (server, members)
}

#[test]
fn no_answer_is_dropped_with_the_flood() {
    let _alone = alone();
    let (mut server, members) = slowly_read("text");
    let flood = Crowd::flooding(members);
    // Long enough for whatever holds the transcript to be full.
    thread::sleep(Duration::from_secs(2));
    for _ in 0..10 {
        server.type_in("stats\n");
        thread::sleep(Duration::from_millis(50));
        server.type_in("help\n");
        thread::sleep(Duration::from_millis(50));
    }
    let members = flood.call_off();
    server.stdout.slow_down(false);
    // The last of them is answered after everything else.
    server.type_in("no more\n");
    server.stdout.find("the end", |line| line == "unknown command: no more, try help");
    let lines = server.stdout.so_far();
    let stats = lines.iter().filter(|line| line.starts_with("uptime=")).count();
    let helps = lines.iter().filter(|line| line.contains("close IP:PORT")).count();
    let dropped = server.stat("lines_dropped");
    figure(&format!(
        "into a slow reader: {stats} of 10 stats and {helps} of 10 helps came, {dropped} lines were dropped"
    ));
    assert_eq!((stats, helps), (10, 10), "answers to 10 stats and 10 helps");
    assert!(dropped > 0.0, "the reader was not slow enough");
    drop(members);
}

#[test]
fn an_operator_who_types_on_while_nobody_reads_is_stopped_and_then_gets_every_answer_in_order() {
    const COMMANDS: usize = 100_000;
    let _alone = alone();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let builder = ServerBuilder::new("-t -q --framing lines --idle-timeout 0").stdin(Input::Given(reader.into()));
    let server = builder.start();
    let mut client = server.quiet_client();
    client.exchange("hello\n", "ACK\n");
    let before = server.proc().resident();
    server.stdout.pause();
    let typed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&typed);
    let typist = thread::spawn(move || {
        for number in 0..COMMANDS {
            writer.write_all(format!("command-{number}\n").as_bytes()).unwrap();
            count.store(number + 1, Ordering::Relaxed);
        }
    });
    let (mut last, mut since) = (0, Instant::now());
    while since.elapsed() < Duration::from_millis(700) {
        client.exchange("hello\n", "ACK\n");
        let now = typed.load(Ordering::Relaxed);
        if now > last {
            (last, since) = (now, Instant::now());
        }
        thread::sleep(Duration::from_millis(1));
    }
    let grown = server.proc().resident().saturating_sub(before);
    let answers: usize = (0..last).map(|number| answer(number).len() + 1).sum();
    server.stdout.resume();
    // On a busy machine so many take long.
    let taken = settled(Duration::from_secs(1), || (typed.load(Ordering::Relaxed), server.stdout.count()));
    assert_eq!(taken.0, COMMANDS, "commands taken");
    typist.join().unwrap();
    server.stdout.find("the last answer", |line| line == answer(COMMANDS - 1));
    let lines = server.stdout.so_far();
    let got = lines[1..].iter().enumerate().take_while(|(number, line)| **line == answer(*number)).count();
    figure(&format!(
        "typed while nobody read: {last} of {COMMANDS} commands, {answers} bytes of answers, memory +{} KiB; then {got} \
         answers in order",
        grown >> 10
    ));
    assert!(last < COMMANDS && answers < WAITING, "stdin was read on: {answers} bytes of answers");
    assert!(grown < GROWTH, "memory grew by {grown} bytes");
    assert_eq!(got, COMMANDS, "behind which came {:?}", lines.get(1 + got));
}

fn answer(number: usize) -> String {
    format!("unknown command: command-{number}, try help")
}

#[test]
fn every_message_of_a_flood_into_a_slow_reader_is_printed_or_counted() {
    let _alone = alone();
    let (mut server, members) = slowly_read("json");
    let flood = Crowd::flooding(members);
    thread::sleep(Duration::from_secs(2));
    let members = flood.call_off();
    server.stdout.slow_down(false);
    // Whatever was sent is read; nobody leaves, whose going would be one more event.
    settled(Duration::from_millis(200), || server.stat("messages"));
    // Where a gap is open, it is told before the next line that is printed: an answer, for one.
    let (messages, counted) = (server.stat("messages"), server.stat("lines_dropped"));
    let lines = server.stdout.so_far();
    let events = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let gaps = events.filter(|event| event["event"] == "lines-dropped");
    let dropped: u64 = gaps.map(|gap| gap["count"].as_u64().unwrap()).sum();
    let printed = server.stdout.passed();
    figure(&format!("json into a slow reader: {printed} lines printed + {dropped} dropped = {messages} messages"));
    assert_eq!((printed as u64 + dropped) as f64, messages, "printed and dropped");
    assert_eq!(dropped as f64, counted, "dropped as the operator is told");
    assert!(dropped > 0, "the reader was not slow enough");
    drop(members);
}
