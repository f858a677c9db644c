//! Client, server and path frozen in turn: three lines of the summary, and each time it is another one that moves.

use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Crossing, Path, Process, Server, cross, one_of_five, server, undisturbed};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    Client,
    Server,
    Path,
}

/// A run of so many probes at this interval, in which somebody is frozen for so long from the probe of this number on;
/// and how long it really was, in ms.
fn frozen(server: &Server, whom: Whom, probes: u64, interval: f64, freeze: Duration) -> Option<(Crossing, f64)> {
    let took = std::cell::Cell::new(0.0);
    let ping = format!("-u -i {interval} -c {probes} -W 10");
    let run = cross(server.udp(), "", &ping, whom == Whom::Client, |client: &Process, path: &Path| {
        let seq = format!("\"seq\":{},", probes / 4);
        client.stdout.find("a reply", |line| line.contains(&seq));
        let frozen: &Process = match whom {
            Whom::Client => client,
            Whom::Server => server,
            Whom::Path => path,
        };
        frozen.stop();
        let begin = Instant::now();
        thread::sleep(freeze);
        frozen.resume();
        took.set(begin.elapsed().as_secs_f64() * 1e3);
    })?;
    run.tell(&format!("the {whom:?} frozen for {:.0} ms", took.get()));
    Some((run, took.get()))
}

/// Whose fault it was is told by who did not move: a freeze is in what it touches, and less than half of it in the rest.
#[track_caller]
fn expect_its_own_figure(whom: Whom, probes: u64, interval: f64, freeze: Duration) {
    undisturbed(|| {
        let server = server("-u --quiet");
        one_of_five(|| {
            let Some((run, froze)) = frozen(&server, whom, probes, interval, freeze) else { return Ok(()) };
            let most = |kind| run.ms(kind, "max") > froze * 0.9;
            let least = |kind| run.ms(kind, "max") < froze * 0.5;
            let fits = match whom {
                Whom::Client => least("rtt_ns") && least("server_ns"),
                Whom::Server => most("rtt_ns") && most("response_ns") && most("server_ns"),
                Whom::Path => most("rtt_ns") && most("response_ns") && least("server_ns"),
            };
            let figures = ["lost", "late", "lost_there", "lost_back", "lost_unknown", "duplicated", "reordered"];
            assert!(figures.iter().all(|name| run.figure(name) == Some(0)), "{}", run.summary);
            let unsent = run.figure("unsent").unwrap();
            assert_eq!(run.figure("acknowledged"), Some(probes - unsent), "{}", run.summary);
            let due_meanwhile = froze / 1e3 / interval;
            assert!(
                if whom == Whom::Client { unsent as f64 > due_meanwhile / 2.0 } else { unsent == 0 },
                "{}",
                run.summary
            );
            assert_eq!(run.summary["outages"].as_array().unwrap().len(), 0, "{}", run.summary);
            if fits { Ok(()) } else { Err((run.summary, froze)) }
        });
    });
}

const FREEZE: Duration = Duration::from_millis(800);

#[test]
fn a_client_that_was_frozen_moves_nothing_but_what_was_not_sent() {
    expect_its_own_figure(Whom::Client, 100, 0.02, FREEZE);
}

#[test]
fn a_server_that_was_frozen_moves_its_own_time() {
    expect_its_own_figure(Whom::Server, 100, 0.02, FREEZE);
}

#[test]
fn a_path_that_was_frozen_moves_the_round_trip_and_not_the_server_s_time() {
    expect_its_own_figure(Whom::Path, 100, 0.02, FREEZE);
}

/// 2 of 8 s at 200/s, each in turn. It prints a table.
#[test]
#[ignore = "takes 30 s on a quiet machine"]
fn each_frozen_for_two_of_eight_seconds() {
    for whom in [Whom::Client, Whom::Server, Whom::Path] {
        expect_its_own_figure(whom, 1600, 0.005, Duration::from_secs(2));
    }
}
