//! A shutdown ends in time whatever waits: what was read is acknowledged, the cut are counted truly, the last event is told.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::signal::Signal::SIGTERM;
use serde_json::Value;

use crate::crowd::{Crowd, LINES, Member, WAITING};
use crate::harness::{Output, Server, ServerBuilder, undisturbed, wait_until};
use crate::turn::is_message;
use crate::{alone, best_of_three, crowd, figure};

/// The grace, in which all but the deaf can read to the end, and how much later than that the process is gone: the promised
/// half second, and what a busy machine adds.
const GRACE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 3 } else { 1 });
const LATE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1500 } else { 750 });
/// For so long it is waited for, so that the figure can be told.
const PATIENCE: Duration = Duration::from_secs(20);
/// Clients that neither read nor leave.
const DEAF: usize = 7;

#[test]
fn a_shutdown_before_a_crowd_of_full_sockets_ends_in_time_and_tells_whom_it_cut_in_json() {
    let _alone = alone();
    undisturbed(|| {
        best_of_three(|| {
            let (server, ended, took) = shut_down_before_a_crowd("json");
            let events = events(&server);
            let last = events.last().unwrap();
            figure(&format!("the last event: {last}"));
            assert_eq!(last["event"], "shutdown");
            let cut = last["cut"].as_u64().unwrap() as usize;
            expect_goodbye(&ended, cut.saturating_sub(DEAF));
            if cut > DEAF {
                return false;
            }
            // The others' were dropped on the way to stdout, and counted with the messages.
            let told = expect_acknowledged_as_told(&ended, &events);
            figure(&format!("{told} of {} clients were told of with as many messages as they got ACKs", ended.len()));
            took <= GRACE + LATE && cut == DEAF
        });
    });
}

#[test]
fn a_shutdown_before_a_crowd_of_full_sockets_ends_in_time_and_tells_whom_it_cut_in_text() {
    let _alone = alone();
    undisturbed(|| {
        best_of_three(|| {
            let (server, ended, took) = shut_down_before_a_crowd("text");
            let last = server.stdout.to_end().pop().unwrap();
            figure(&format!("the last line: {last}"));
            let cut: usize = last.strip_prefix("connections cut: ").unwrap().parse().unwrap();
            expect_goodbye(&ended, cut.saturating_sub(DEAF));
            took <= GRACE + LATE && cut == DEAF
        });
    });
}

#[test]
fn every_message_that_is_told_at_a_shutdown_is_acknowledged() {
    // More than a slice each, and less in all than stdout may hold back.
    const CLIENTS: usize = 16;
    const MESSAGES: usize = 400;
    let _alone = alone();
    let builder = ServerBuilder::new("-t --framing lines --format json --grace 5");
    let mut server = builder.with(|launch| launch.stdout(Output::LinesBut(is_message))).start();
    let mut members = Member::crowd(server.tcp(), CLIENTS, LINES);
    server.stdout.find("the last arrival", |line| line.contains(&members[CLIENTS - 1].name.to_string()));
    server.stop();
    members.iter_mut().for_each(|member| member.speak(MESSAGES));
    server.signal(SIGTERM);
    server.resume();
    let ended = Crowd::listening(members).until_all_have_ended();
    assert_eq!(server.wait_exit(), 0);
    expect_goodbye(&ended, 0);
    let events = events(&server);
    let acks: usize = ended.iter().map(Member::acknowledged).sum();
    figure(&format!("{acks} of {CLIENTS} times {MESSAGES} messages were read at a shutdown"));
    assert_eq!(expect_acknowledged_as_told(&ended, &events), CLIENTS, "clients whose end was told");
    assert_eq!(server.stdout.passed(), acks, "messages told");
    assert_eq!(events.last().unwrap()["cut"], 0);
}

#[test]
fn who_never_stops_sending_does_not_hold_the_exit() {
    const FLOODS: usize = 400;
    let _alone = alone();
    best_of_three(|| {
        let words = format!("-t -q --framing lines --grace {} --idle-timeout 60", GRACE.as_secs());
        let mut server = ServerBuilder::new(&words).start();
        let streams: Vec<_> = (0..FLOODS).map(|_| TcpStream::connect(server.tcp()).unwrap()).collect();
        let floods = thread::spawn(move || send_and_read(streams));
        let busy = server.proc().cpu() + Duration::from_millis(500);
        wait_until("the floods", || (server.proc().cpu() > busy).then_some(()));
        let since = Instant::now();
        server.signal(SIGTERM);
        let (code, took) = exit_of(&mut server, since);
        figure(&format!(
            "{FLOODS} clients that read and never stop sending: exit {took:.3?} after SIGTERM with a grace of {GRACE:?}"
        ));
        assert_eq!(code, 0);
        floods.join().unwrap();
        took <= GRACE + LATE
    });
}

/// Its exit code, and how long after `since` that came.
#[track_caller]
fn exit_of(server: &mut Server, since: Instant) -> (i32, Duration) {
    while server.is_running() && since.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(2));
    }
    (server.wait_exit(), since.elapsed())
}

/// Empty lines on each connection, and its ACKs forgotten, until all are broken.
fn send_and_read(streams: Vec<TcpStream>) {
    let (mut poll, mut events) = (Poll::new().unwrap(), Events::with_capacity(streams.len()));
    let mut streams: Vec<_> = streams.into_iter().map(Some).collect();
    for (place, stream) in streams.iter().enumerate() {
        let stream = stream.as_ref().unwrap();
        stream.set_nonblocking(true).unwrap();
        let source = stream.as_raw_fd();
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut SourceFd(&source), Token(place), interest).unwrap();
    }
    let (lines, mut acks) = (vec![b'\n'; 1 << 16], vec![0; 1 << 20]);
    let mut left = streams.len();
    while left > 0 {
        poll.poll(&mut events, Some(PATIENCE)).unwrap();
        for event in &events {
            let Some(stream) = &mut streams[event.token().0] else {
                continue;
            };
            until_stuck(|| stream.read(&mut acks));
            let writes = until_stuck(|| stream.write(&lines));
            if !writes {
                streams[event.token().0] = None;
                left -= 1;
            }
        }
    }
}

/// Whether the connection is whole when it gives or takes no more.
fn until_stuck(mut step: impl FnMut() -> io::Result<usize>) -> bool {
    loop {
        match step() {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

fn events(server: &Server) -> Vec<Value> {
    server.stdout.to_end().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Each must have got as many ACKs as messages are told of it at its end; how many are told of.
#[track_caller]
fn expect_acknowledged_as_told(ended: &[Member], events: &[Value]) -> usize {
    let told = events.iter().filter(|event| event["event"] == "disconnected");
    let told: HashMap<_, _> = told.map(|event| (event["peer"].as_str().unwrap(), &event["messages"])).collect();
    let pairs: Vec<_> =
        ended.iter().filter_map(|member| Some((member, *told.get(member.name.to_string().as_str())?))).collect();
    for (member, messages) in &pairs {
        assert_eq!(**messages, member.acknowledged(), "messages of {}", member.name);
    }
    pairs.len()
}

/// Each must have got nothing but ACKs, the notice and a clean end; but not those whom the server says that it has cut,
/// where the grace was too short for a busy machine.
#[track_caller]
fn expect_goodbye(ended: &[Member], cut: usize) {
    let without = ended.iter().filter_map(|member| {
        let last = member.last.escape_ascii().to_string();
        let whole = last == LINES.goodbye.escape_ascii().to_string() && member.broken.is_none();
        (!whole).then(|| format!("behind the ACKs of {}: {last}, {:?}", member.name, member.broken))
    });
    let without: Vec<_> = without.collect();
    assert!(without.len() <= cut, "{cut} were cut, but: {without:#?}");
}

/// The server is stopped until everything waits and SIGTERM has come. All but the deaf read to the end and close.
/// How long the server took.
fn shut_down_before_a_crowd(format: &str) -> (Server, Vec<Member>, Duration) {
    let words = format!("-t --framing lines --format {format} --grace {} --idle-timeout 60", GRACE.as_secs());
    let builder = ServerBuilder::new(&words);
    let mut server = builder.with(|launch| launch.stdout(Output::LinesBut(is_message))).start();
    let mut listening = Member::crowd(server.tcp(), crowd() - DEAF, LINES);
    let mut deaf = Member::crowd(server.tcp(), DEAF, LINES);
    server.stop();
    listening.iter_mut().chain(&mut deaf).for_each(|member| member.speak(WAITING));
    server.signal(SIGTERM);
    let listening = Crowd::listening(listening);
    let since = Instant::now();
    server.resume();
    let (code, took) = exit_of(&mut server, since);
    let ended = listening.until_all_have_ended();
    let acks: usize = ended.iter().map(Member::acknowledged).sum();
    figure(&format!(
        "{} clients with 128 KiB of empty lines each, {format}: exit {took:.3?} after SIGTERM with a grace of {GRACE:?}; \
         {acks} ACKs, {} message lines",
        crowd(),
        server.stdout.passed()
    ));
    assert_eq!(code, 0);
    drop(deaf);
    (server, ended, took)
}
