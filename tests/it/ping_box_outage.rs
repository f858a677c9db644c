//! A path that is dead for three eighths of a run: over UDP three eighths are lost, whatever the interval; over TCP every
//! due probe is sent, and the accounts are exact. Full length with `--ignored`.

use crate::harness::{Crossing, cross, one_of_five, server, undisturbed};

/// What the path did is what the client says; and it is three eighths, give or take so many probes at either end.
#[track_caller]
fn expect_three_eighths(ping: &str, seconds: f64, rate: f64, more: f64) {
    let server = server("-u --quiet");
    let probes = (seconds * rate) as u64;
    let (outage, start) = (seconds * 0.375, seconds * 0.25);
    let path = format!("--outage {outage}s@{start}s");
    let ping = format!("{ping} -i {} -c {probes} -W 2 -q --max-loss 50", 1.0 / rate);
    one_of_five(|| {
        let Some(run) = cross(server.udp(), &path, &ping, false, |_, _| {}) else { return Ok(()) };
        run.tell(&format!("{path}, {ping}"));
        let [there, back] = run.counts.map(|leg| leg.dropped as u64);
        let lost = run.figure("lost").unwrap();
        let legs = ["lost_there", "lost_back", "lost_unknown"].map(|name| run.figure(name));
        let known = if ping.contains("--plain") { [None; 3] } else { [Some(there), Some(back), Some(0)] };
        if run.figure("late") != Some(0) || lost != there + back || legs != known {
            return Err((run.summary, run.counts));
        }
        assert_eq!((run.figure("sent"), run.figure("unsent")), (Some(probes), Some(0)), "{}", run.summary);
        assert_eq!(run.ended.code, 0, "{}", run.summary);
        let near = (lost as f64 - probes as f64 * 0.375).abs() <= 2.0 * (1.0 + more);
        let outages = run.summary["outages"].as_array().unwrap();
        let whole = outages.len() == 1 && outages[0]["probes"] == lost;
        if near && whole { Ok(()) } else { Err((run.summary, run.counts)) }
    });
}

/// 0.75 of 2 s. So far from the moment at which it was due a probe may leave on a busy machine: 10 ms.
#[test]
fn over_udp_an_outage_is_three_eighths_at_every_interval_and_told_by_leg() {
    undisturbed(|| {
        for rate in [10.0, 100.0, 1000.0] {
            expect_three_eighths("-u", 2.0, rate, rate / 100.0);
        }
    });
}

#[test]
fn over_plain_udp_an_outage_is_three_eighths_at_every_interval() {
    undisturbed(|| {
        for rate in [10.0, 100.0, 1000.0] {
            expect_three_eighths("-u --plain", 2.0, rate, rate / 100.0);
        }
    });
}

/// All are sent, each is acknowledged or lost, and was told once.
#[track_caller]
fn expect_exact_accounts(framing: &str, seconds: f64, rate: f64) {
    let server = server(&format!("-t --quiet --framing {framing}"));
    let probes = (seconds * rate) as u64;
    let (outage, start) = (seconds * 0.375, seconds * 0.25);
    let path = format!("--outage {outage}s@{start}s");
    let ping = format!("-t --framing {framing} -i {} -c {probes} -W 0.3", 1.0 / rate);
    let Some(run) = cross(server.tcp(), &path, &ping, false, |_, _| {}) else { return };
    run.tell(&format!("{path}, {ping}"));
    let figure = |name| run.figure(name).unwrap();
    assert_eq!((figure("sent"), figure("unsent"), figure("in_flight")), (probes, 0, 0), "{}", run.summary);
    assert_eq!(figure("acknowledged") + figure("lost"), probes, "{}", run.summary);
    assert!(figure("lost") > 1 && figure("late") <= figure("lost"), "{}", run.summary);
    assert_told(&run);
    let outages = run.summary["outages"].as_array().unwrap();
    let in_outages: u64 = outages.iter().map(|outage| outage["probes"].as_u64().unwrap()).sum();
    assert!((2..=figure("lost")).contains(&in_outages), "{}", run.summary);
    assert_eq!(run.ended.code, 1);
}

/// There is an event for each that the summary counts.
#[track_caller]
fn assert_told(run: &Crossing) {
    for (event, name) in [("reply", "acknowledged"), ("lost", "lost"), ("late", "late")] {
        let event = format!("\"event\":\"{event}\"");
        let told = run.ended.out.iter().filter(|line| line.contains(&event)).count() as u64;
        assert_eq!(Some(told), run.figure(name), "{name} in {}", run.summary);
    }
}

#[test]
fn over_tcp_every_due_probe_is_sent_and_accounted_for_in_bytes() {
    undisturbed(|| {
        for rate in [10.0, 100.0, 1000.0] {
            expect_exact_accounts("bytes", 2.0, rate);
        }
    });
}

#[test]
fn over_tcp_every_due_probe_is_sent_and_accounted_for_in_lines() {
    undisturbed(|| {
        for rate in [10.0, 100.0, 1000.0] {
            expect_exact_accounts("lines", 2.0, rate);
        }
    });
}

/// 3 of 8 s, give or take a probe at either end (two at 1,000/s). It prints a table.
#[test]
#[ignore = "takes 2 minutes on a quiet machine"]
fn three_of_eight_seconds() {
    undisturbed(|| {
        for rate in [10.0, 100.0, 1000.0] {
            expect_three_eighths("-u", 8.0, rate, rate / 1000.0);
            expect_three_eighths("-u --plain", 8.0, rate, rate / 1000.0);
            expect_exact_accounts("bytes", 8.0, rate);
            expect_exact_accounts("lines", 8.0, rate);
        }
    });
}
