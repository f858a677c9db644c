//! Nobody reads stdout, nor stderr at trace level: no client notices, and every line is printed or counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGTERM;

use crate::bystander::Bystander;
use crate::harness::{Client, Lines, Output, ServerBuilder};
use crate::{PROMPT, alone, best_of_three, figure};

/// Commands whose log, and messages whose lines, are more than the mebibyte that may wait for stderr or stdout, and its pipe.
const FILLING: u32 = 1500;

const GAP: &str = "… lines dropped: ";

#[test]
fn two_seconds_of_unread_output_delay_nobody_and_every_line_is_accounted_for() {
    best_of_three(|| stalled_for(Duration::from_secs(2)));
}

#[test]
#[ignore = "long: within 70 seconds"]
fn twenty_seconds_of_unread_output_delay_nobody_and_every_line_is_accounted_for() {
    best_of_three(|| stalled_for(Duration::from_secs(20)));
}

/// A thousand messages a second into a screen that stands still; whether the bystander was answered promptly.
fn stalled_for(duration: Duration) -> bool {
    let _alone = alone();
    let (unread, stderr) = std::io::pipe().unwrap();
    let builder = ServerBuilder::new("-t --framing lines --idle-timeout 0").operated();
    let traced = builder.with(|launch| launch.env("RUST_LOG", "trace").stderr(Output::Given(stderr.into())));
    let mut server = traced.start();
    let talker = server.client();
    let bystander = Bystander::beside(&server);
    server.stdout.find_after(3, "the bystander", |line| line.ends_with(" sent: hello"));
    server.stdout.pause();

    let name = talker.name();
    let text = "x".repeat(900);
    let over = Arc::new(AtomicBool::new(false));
    let (told, line) = (Arc::clone(&over), format!("{text}\n"));
    let said = Arc::new(AtomicU32::new(0));
    let saying = Arc::clone(&said);
    let talking = thread::spawn(move || talk(talker, &line, &saying, &told));
    // What the operator types is logged. It asks for nothing: an answer is never dropped, so it would have to wait.
    let command = format!("{}\n", " ".repeat(900));
    let (since, mut commands) = (Instant::now(), 0_u32);
    // Where they come slowly, it takes longer until they fill what waits for stderr, and for stdout.
    let filled = |commands| commands >= FILLING && (said.load(Ordering::Relaxed) >= FILLING || talking.is_finished());
    while since.elapsed() < duration || !filled(commands) {
        server.type_in(&command);
        commands += 1;
        thread::sleep(Duration::from_millis(1));
    }
    let stderr = Lines::collect(unread);
    server.stdout.resume();
    server.stdout.find("the gap", |line| line.starts_with(GAP));
    over.store(true, Ordering::Relaxed);
    let mut talker = talking.join().unwrap();
    let latencies = bystander.latencies();
    // Another gap can only stand before the next line that is printed.
    talker.exchange("the last\n", "ACK\n");
    server.stdout.expect(&format!("{name} sent: the last"));

    let (produced, counted) = (server.stat("messages"), server.stat("lines_dropped"));
    let lines = server.stdout.so_far();
    let dropped: usize = lines.iter().filter_map(|line| line.strip_prefix(GAP)?.parse::<usize>().ok()).sum();
    let whole = format!("{name} sent: {text}");
    let is_whole =
        |line: &&String| **line == whole || line.ends_with(" sent: hello") || line.ends_with(" sent: the last");
    let printed = lines.iter().filter(is_whole).count();
    let others = lines.iter().filter(|line| !is_whole(line) && !line.starts_with(GAP));
    let torn: Vec<_> = others.filter(|line| !is_event(line)).collect();
    drop(talker);
    server.signal(SIGTERM);
    assert_eq!(server.wait_exit(), 0);
    let log = stderr.to_end();
    let torn_log = log.iter().filter(|line| !is_logged(line) && !line.starts_with(GAP)).collect::<Vec<_>>();
    let unlogged: usize = log.iter().filter_map(|line| line.strip_prefix(GAP)?.parse::<usize>().ok()).sum();
    figure(&format!(
        "stalled for {duration:?}: {printed} lines printed + {dropped} dropped = {produced} produced; {} lines of log \
         printed, {unlogged} dropped; {latencies}",
        log.len()
    ));
    assert!(torn.is_empty(), "torn lines: {torn:?}");
    assert!(torn_log.is_empty(), "torn lines of log: {torn_log:?}");
    assert_eq!((printed + dropped) as f64, produced, "printed and dropped");
    assert_eq!(dropped as f64, counted, "dropped as the operator is told");
    assert!(log.len() + unlogged >= commands as usize, "{commands} commands logged or counted");
    assert!(dropped > 0 && unlogged > 0, "both have stalled");
    latencies.p99() < PROMPT
}

/// One message a millisecond.
fn talk(mut client: Client, line: &str, said: &AtomicU32, over: &AtomicBool) -> Client {
    let mut due = Instant::now();
    while !over.load(Ordering::Relaxed) {
        client.exchange(line, "ACK\n");
        said.fetch_add(1, Ordering::Relaxed);
        due += Duration::from_millis(1);
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    client
}

fn is_event(line: &str) -> bool {
    line.starts_with("TCP server listening on ")
        || line.starts_with("uptime=")
        || line.ends_with(" connected")
        || line.contains(" disconnected (")
}

/// A time stamp at its head.
fn is_logged(line: &str) -> bool {
    let stamp = line.split(' ').next().unwrap_or_default();
    stamp.len() == "2000-01-01T00:00:00.000000Z".len() && stamp.ends_with('Z')
}
