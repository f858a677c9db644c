//! What other tools hide: a server that froze, replies that were dropped. Full length with `--ignored`.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Ended, calm, client_to, end_of, last_object, say, server, udp_service, undisturbed};

fn ms(summary: &Value, kind: &str, figure: &str) -> f64 {
    let ns = summary[kind][figure].as_f64();
    ns.unwrap_or_else(|| panic!("no {figure} of {kind} in {summary}")) / 1e6
}

fn report(what: &str, ended: &Ended) -> Value {
    let summary = last_object(&ended.out);
    say(&format!("{what}: {summary} {:?}", ended.err));
    summary
}

/// A run of so many probes at this interval, during which the server is frozen for a while. Returns the
/// summary and how long it really was frozen, in ms.
fn frozen(option: &str, probes: u32, interval: f64, freeze: Duration) -> (Value, f64) {
    let rounds = (0..20).find_map(|_| frozen_once(option, probes, interval, freeze));
    rounds.expect("twenty times this machine held the client up")
}

fn frozen_once(option: &str, probes: u32, interval: f64, freeze: Duration) -> Option<(Value, f64)> {
    let server = server(&format!("{option} --quiet"));
    let address = if option == "-t" { server.tcp() } else { server.udp() };
    let options = format!("{option} --ping -c {probes} -i {interval} -W 30 --format json -q");
    let mut client = client_to(address, &options).start();
    // A quarter of the run, then the freeze.
    thread::sleep(Duration::from_secs_f64(f64::from(probes) * interval / 4.0));
    server.stop();
    let begin = Instant::now();
    thread::sleep(freeze);
    server.resume();
    let froze = begin.elapsed().as_secs_f64() * 1e3;
    let ended = end_of(&mut client);
    if ended.complaint().contains("stood still") {
        return None;
    }
    assert_eq!(ended.code, 0, "{:?}", ended.err);
    let summary = report(&format!("{option}, frozen for {froze:.0} ms"), &ended);
    assert_eq!((&summary["sent"], &summary["acknowledged"]), (&probes.into(), &probes.into()), "{summary}");
    assert_eq!((&summary["lost"], &summary["late"], &summary["unsent"]), (&0.into(), &0.into(), &0.into()));
    Some((summary, froze))
}

/// Of a run of `total` ms frozen for `froze`, the share p answers within froze − (1 − p) × total: those due
/// during the freeze wait for its end, evenly. Those that wait behind them, or for a busy machine, add to that.
#[track_caller]
fn expect_percentile(summary: &Value, figure: &str, share: f64, froze: f64, total: f64, more: f64) {
    let expected = froze - (1.0 - share) * total;
    let measured = ms(summary, "response_ns", figure);
    let bounds = expected - 50.0..expected + more;
    assert!(bounds.contains(&measured), "{figure} is {measured} ms, not within {bounds:?}");
}

#[test]
fn a_server_that_froze_shows_in_the_response_times() {
    undisturbed(|| {
        for option in ["-t", "-u"] {
            let (summary, froze) = frozen(option, 1000, 0.002, Duration::from_millis(500));
            expect_percentile(&summary, "p90", 0.9, froze, 2000.0, 400.0);
            expect_percentile(&summary, "p99", 0.99, froze, 2000.0, 400.0);
            // Every probe that was due meanwhile was sent: the round trips show it, too.
            assert!(ms(&summary, "rtt_ns", "p90") > 200.0, "{summary}");
            assert!(ms(&summary, "rtt_ns", "max") > froze - 100.0, "{summary}");
        }
    });
}

/// 8 s at 1,000/s, 2 s of them frozen: p90 = 1.2 s, p99 = 1.92 s, each no less than that by
/// more than 0.05 s and no more by more than 0.1 s.
#[test]
#[ignore = "takes 16 s on a quiet machine"]
fn a_server_frozen_for_two_of_eight_seconds() {
    for option in ["-t", "-u"] {
        let (summary, froze) = frozen(option, 8000, 0.001, Duration::from_secs(2));
        expect_percentile(&summary, "p90", 0.9, froze, 8000.0, 100.0);
        expect_percentile(&summary, "p99", 0.99, froze, 8000.0, 100.0);
        let (rtt, response) = (ms(&summary, "rtt_ns", "p90"), ms(&summary, "response_ns", "p90"));
        assert!((rtt - response).abs() < 100.0, "{summary}");
    }
}

/// Every so-manieth reply is dropped: exactly those are lost, and the run goes on.
#[track_caller]
fn dropped(probes: u64, every: u64, options: &str) {
    let launch = || {
        let far = udp_service(move |socket, number, from| {
            if number % every != 0 {
                socket.send_to(b"check", from).unwrap();
            }
        });
        client_to(far, &format!("-u --ping -c {probes} --format json {options}"))
    };
    let ended = calm(launch);
    let (summary, dropped) = (report(&format!("1 of {every} dropped"), &ended), probes / every);
    assert_eq!((&summary["sent"], &summary["lost"]), (&probes.into(), &dropped.into()), "{summary}");
    assert_eq!((&summary["acknowledged"], &summary["unsent"]), (&(probes - dropped).into(), &0.into()), "{summary}");
    let told = ended.out.iter().filter(|line| line.contains("\"event\":\"lost\"")).count();
    assert_eq!((told as u64, ended.code), (dropped, 1));
}

#[test]
fn replies_that_are_dropped_are_counted_exactly() {
    undisturbed(|| {
        dropped(400, 50, "-i 0.002 -W 1 --flows 4");
        dropped(40, 10, "-i 0.002 -W 1");
    });
}

/// 5 s at 500/s, 1 of 200 dropped: 12 lost of 2,500, on four flows in 5 to 6 s.
#[test]
#[ignore = "takes 6 s on a quiet machine"]
fn one_of_two_hundred_replies_dropped() {
    undisturbed(|| {
        dropped(2500, 200, "-i 0.002 -W 1 --flows 4");
    });
}
