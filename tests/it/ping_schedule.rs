//! The open loop: probes are due on a fixed schedule, and what waits is counted from when it was due.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal::SIGINT;

use crate::harness::{
    FarTcp, ack, client_to, end_of, heard, last_object, number, one_of_five, run, server, sooner_than, tcp_service,
    timed,
};

#[test]
fn a_schedule_is_kept_however_long_the_answers_take() {
    // Each answer takes longer than the interval; ten flows carry what is due.
    let far = tcp_service(|mut stream| {
        while heard(&mut stream) {
            thread::sleep(Duration::from_millis(60));
            ack(&mut stream);
        }
    });
    one_of_five(|| {
        let (ended, took) = timed(|| run(client_to(far, "--ping -q -c 50 -i 0.01 --flows 10")));
        assert_eq!(ended.code, 0, "{:?} {:?}", ended.out, ended.err);
        let kept = took < Duration::from_millis(900) && !ended.complaint().contains("--flows");
        if kept { Ok(()) } else { Err((took, ended.err)) }
    });
}

#[test]
fn where_flows_are_too_few_probes_wait_with_their_clock_running() {
    let far = tcp_service(|mut stream| {
        while heard(&mut stream) {
            thread::sleep(Duration::from_millis(50));
            ack(&mut stream);
        }
    });
    let ended = run(client_to(far, "--ping -q -c 12 -i 0.01 --format json"));
    let summary = last_object(&ended.out);
    let ms = |kind: &str, figure: &str| summary[kind][figure].as_f64().unwrap() / 1e6;
    // Each takes 50 ms or more, so the last one, due at 110 ms, is sent at 550 ms or later; and number k waited 40 ms × k.
    assert!(ms("response_ns", "max") > 480.0, "{summary}");
    assert!(ms("rtt_ns", "min") >= 50.0 && ms("rtt_ns", "p50") < ms("response_ns", "p50") / 2.0, "{summary}");
    // As many as are in flight, were they exactly in step; one more is certain to do.
    let remedy = ended.err.iter().find(|line| line.contains("--flows ")).expect("a warning");
    assert_eq!(number(remedy, "--flows "), (ms("rtt_ns", "p50") / 10.0).ceil() + 1.0, "{remedy:?} {summary}");
}

#[test]
fn probes_that_were_due_and_never_sent_are_told_and_no_success() {
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "--ping -i 0.05 -W 30 -w 0.98").start();
    let mut caller = far.accept();
    caller.answer("hello", "ACK");
    caller.expect("hello");
    let ended = end_of(&mut client);
    assert_eq!(ended.code, 1, "{:?}", ended.out);
    assert!(ended.out[3].starts_with("2 sent, 1 acknowledged, 0 lost (0%), 1 in flight, 0 late, "), "{:?}", ended.out);
    assert_eq!(ended.out[4], "18 due, not sent");

    let mut client = client_to(far.address(), "--ping -i 0.05 -W 30 -w 0.98 -c 6 --format json").start();
    let mut caller = far.accept();
    caller.answer("hello", "ACK");
    caller.expect("hello");
    let summary = last_object(&end_of(&mut client).out);
    assert_eq!((&summary["sent"], &summary["unsent"], &summary["in_flight"]), (&2.into(), &4.into(), &1.into()));
}

#[test]
fn after_an_interrupt_they_are_told_and_no_failure() {
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "--ping -i 0.02 -W 30").start();
    let mut caller = far.accept();
    caller.answer("hello", "ACK");
    caller.expect("hello");
    thread::sleep(Duration::from_millis(300));
    client.signal(SIGINT);
    let ended = end_of(&mut client);
    assert_eq!(ended.code, 0, "{:?}", ended.out);
    let unsent = ended.out[4].strip_suffix(" due, not sent").unwrap_or_else(|| panic!("{:?}", ended.out));
    assert!(unsent.parse::<u64>().unwrap() >= 10, "{unsent}");
}

#[test]
fn our_own_lateness_is_warned_about() {
    let server = server("-u");
    let client = client_to(server.udp(), "--ping -u -q -c 100 -i 0.01 --flows 100");
    let mut client = client.start();
    server.stdout.find("a probe", |line| line.ends_with(": hello"));
    client.stop();
    thread::sleep(Duration::from_millis(900));
    client.resume();
    let ended = end_of(&mut client);
    assert_eq!(ended.code, 0, "{:?}", ended.out);
    assert!(ended.complaint().contains("our own sending was late by "), "{:?}", ended.err);
}

#[test]
fn a_schedule_finer_than_milliseconds_is_not_rounded() {
    // Rounded up to whole milliseconds, half of the probes would leave half a millisecond late.
    let server = server("-u");
    one_of_five(|| {
        // What a busy machine answers late is awaited: it is the half that is in time that tells.
        let ended = run(client_to(server.udp(), "--ping -u -q -c 150 -i 0.0041 -W 10 --format json"));
        let summary = last_object(&ended.out);
        assert_eq!(summary["sent"], 150, "{summary}");
        let p50 = summary["response_ns"]["p50"].as_f64().unwrap() / 1e6;
        if p50 < 0.4 { Ok(()) } else { Err(format!("p50 of {p50} ms")) }
    });
}

#[test]
fn a_run_of_many_probes_a_millisecond_takes_its_time_and_no_more() {
    let server = server("-u --quiet");
    one_of_five(|| {
        let ended = run(client_to(server.udp(), "--ping -u -q -c 2000 -i 0.00025 --format json"));
        let summary = last_object(&ended.out);
        assert_eq!(summary["sent"], 2000, "{summary}");
        let seconds = summary["seconds"].as_f64().unwrap();
        assert!(seconds >= 0.49, "{summary}");
        if seconds < 1.5 && summary["acknowledged"] == 2000 { Ok(()) } else { Err(summary) }
    });
}

#[test]
fn a_closed_loop_goes_as_fast_as_it_can() {
    let server = server("-t --quiet");
    sooner_than(Duration::from_secs(3), || {
        let (ended, took) = timed(|| run(client_to(server.tcp(), "--ping -q -i 0 -c 2000")));
        assert_eq!(ended.code, 0, "{:?}", ended.err);
        assert!(ended.out[2].starts_with("2000 sent, 2000 acknowledged"), "{:?}", ended.out);
        took
    });
}

#[test]
fn more_flows_than_there_can_be_are_not_recommended() {
    let server = server("-u");
    let ended = run(client_to(server.udp(), "--ping -u -q -c 100 -i 0.000000001"));
    assert!(ended.complaint().contains("the only remedy"), "{:?}", ended.err);
    assert!(!ended.complaint().contains("--flows"), "{:?}", ended.err);
}

#[test]
fn an_interval_beyond_all_counting_is_one_for_every_flow() {
    let server = server("-u");
    let ended = run(client_to(server.udp(), "--ping -u -q -c 1 -i 1e19 --flows 3"));
    assert!(ended.code == 0 && !ended.complaint().contains("--flows"), "{:?}", ended.err);
    assert!(ended.out[2].starts_with("1 sent, 1 acknowledged"), "{:?}", ended.out);
}

#[test]
fn a_second_probe_that_is_never_due_is_waited_for() {
    let server = server("-t");
    let mut client = client_to(server.tcp(), "--ping -c 2 -i 1e15").start();
    client.stdout.find("the first reply", |line| line.contains("seq=1 "));
    std::thread::sleep(Duration::from_millis(100));
    client.signal(SIGINT);
    let ended = end_of(&mut client);
    assert!(
        number(ended.out.iter().find(|line| line.contains(" late, ")).unwrap(), " late, ") >= 0.1,
        "{:?}",
        ended.out
    );
}
