//! However much waits and however many send it, a turn is short: who says little is answered at once, with the transcript on.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGTERM;

use crate::bystander::Latencies;
use crate::crowd::{Crowd, FRAMES, LINES, Member, Wire};
use crate::harness::{Client, Output, Scratch, Server, ServerBuilder, undisturbed};
use crate::volley::Volley;
use crate::{alone, best_of_three, crowd, figure};

/// Within this half of the bystander's messages are acknowledged; the operator and a signal are answered.
const ANSWERED: Duration = Duration::from_millis(200);
/// The idle timeout under the flood, and how much later than that a cut may come.
const IDLE: Duration = Duration::from_secs(1);
const LATE: Duration = if cfg!(debug_assertions) {
    // The turns of a debug build, and of a flood that shares its processor, are many times as long.
    Duration::from_secs(2)
} else {
    Duration::from_millis(500)
};
/// How many messages the median is of at the least, and how many are sent if all goes well.
const NEEDED: usize = 20;
const MESSAGES: usize = 100;
/// The bystander gives up after so long.
const PATIENCE: Duration = Duration::from_secs(6);
/// Source ports that flood over UDP meanwhile.
const PORTS: usize = 8;

#[test]
fn nobody_waits_for_a_crowd_of_floods_of_empty_lines_in_text_to_a_pipe() {
    let _alone = alone();
    undisturbed(|| {
        best_of_three(|| {
            let builder = served("text", LINES);
            let server = builder.with(|launch| launch.stdout(Output::LinesBut(is_message))).start();
            beside_a_crowd("text to a pipe", server, LINES)
        });
    });
}

#[test]
fn nobody_waits_for_a_crowd_of_floods_of_empty_lines_in_json_to_a_file() {
    let _alone = alone();
    undisturbed(|| {
        best_of_three(|| {
            let file = Scratch::path("crowd.json");
            let server = served("json", LINES).start_into(&file.0, is_message);
            beside_a_crowd("json to a file", server, LINES)
        });
    });
}

#[test]
fn nobody_waits_for_a_crowd_of_floods_of_frames_without_content() {
    let _alone = alone();
    undisturbed(|| {
        best_of_three(|| {
            let builder = served("json", FRAMES);
            let server = builder.with(|launch| launch.stdout(Output::LinesBut(is_message))).start();
            beside_a_crowd("frames, json to a pipe", server, FRAMES)
        });
    });
}

fn served(format: &str, wire: Wire) -> ServerBuilder {
    let idle = IDLE.as_secs();
    let words = format!("--framing {} --format {format} --idle-timeout {idle} --grace 0.3", wire.framing);
    ServerBuilder::new(&words).operated()
}

/// Whether a line of the transcript, in either format, tells a message of the flood.
pub(crate) fn is_message(line: &[u8]) -> bool {
    // Every time stamp has 27 letters.
    line.ends_with(b" sent: ")
        || line.ends_with(b" sent a datagram: flood")
        || line.get(38..).is_some_and(|rest| rest.starts_with(br#""event":"message""#))
}

/// Measures everybody who has no part in the flood; whether all of it was in time.
fn beside_a_crowd(what: &str, mut server: Server, wire: Wire) -> bool {
    let mut bystander = server.quiet_client();
    bystander.exchange(wire.message, wire.ack);
    let members = Member::crowd(server.tcp(), crowd(), wire);
    let _crowd = Crowd::flooding(members);
    let _volley = Volley::at(server.udp(), PORTS);
    thread::sleep(Duration::from_millis(500));

    let mut idle = server.quiet_client();
    let since = Instant::now();
    let silence = thread::spawn(move || {
        let told = idle.try_read_to_end();
        (since.elapsed(), told)
    });
    let latencies = now_and_then(bystander, wire);
    figure(&format!(
        "{} flooders over TCP, {PORTS} over UDP, {what}: {latencies}; p50 bound {ANSWERED:?}, p99 target 20 ms",
        crowd()
    ));
    let (silent, told) = silence.join().unwrap();
    let told = told.unwrap_or_else(|error| error.to_string().into()).escape_ascii().to_string();
    figure(&format!("beside them an idle client was cut after {silent:.3?} of {IDLE:?}: {told:?}"));
    let operator = Latencies::of((0..5).map(|_| timed_stat(&mut server)).collect()).median();
    let longest = server.stat("longest_turn_ms");

    let mut client = server.quiet_client();
    client.exchange(wire.message, wire.ack);
    let since = Instant::now();
    server.signal(SIGTERM);
    client.expect_last(wire.goodbye);
    let notice = since.elapsed();
    figure(&format!(
        "beside them: stats after {operator:.1?}; notice {notice:.1?} after SIGTERM; longest_turn_ms={longest}, target 20"
    ));
    assert!(silent >= IDLE, "cut early, after {silent:?}");
    latencies.count() >= NEEDED
        && latencies.median() <= ANSWERED
        && operator <= ANSWERED
        && silent <= IDLE + LATE
        && told.contains("idle timeout")
        && notice <= ANSWERED
}

/// How long a client waits for its ACKs that says something now and then.
fn now_and_then(mut client: Client, wire: Wire) -> Latencies {
    let began = Instant::now();
    let mut samples = Vec::new();
    while samples.len() < MESSAGES && began.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(25));
        let sent = Instant::now();
        let answered = client.try_send(wire.message) && client.take_some();
        samples.push(sent.elapsed());
        if !answered {
            break;
        }
    }
    Latencies::of(samples)
}

fn timed_stat(server: &mut Server) -> Duration {
    let since = Instant::now();
    server.stat("uptime");
    since.elapsed()
}
