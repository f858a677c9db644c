//! `--plot`: the second panel shows what the summary says of losses, outages and a client that stood still.

use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::harness::{Crossing, Path, Process, Scratch, cross, one_of_five, server, undisturbed};

/// A run through a path with these options, and its plot.
fn plotted(
    target: SocketAddr,
    path: &str,
    ping: &str,
    is_still: bool,
    meanwhile: impl Fn(&Process, &Path),
) -> Option<(Crossing, String)> {
    let plot = Scratch::path("course.svg");
    let ping = format!("{ping} --plot {}", plot.0.display());
    let crossing = cross(target, path, &ping, is_still, meanwhile)?;
    Some((crossing, fs::read_to_string(&plot.0).unwrap()))
}

/// Marks of this colour beside the one in the legend.
fn marks(svg: &str, color: &str) -> usize {
    let fill = format!("fill=\"{color}\"");
    svg.lines().filter(|line| line.starts_with("<rect ") && line.contains(&fill)).count().saturating_sub(1)
}

#[track_caller]
fn expect(svg: &str, text: &str) {
    let texts: Vec<_> = svg.split("<text ").skip(1).filter_map(|text| text.lines().nth(1)).collect();
    assert!(texts.iter().any(|shown| shown.contains(text)), "no {text:?} among {texts:?}");
}

#[test]
fn the_losses_and_outages_of_a_run_are_marked() {
    undisturbed(|| {
        let server = server("--quiet");
        for option in ["-u", "-u --plain", "-t"] {
            let target = if option == "-t" { server.tcp() } else { server.udp() };
            let ping = format!("{option} -i 0.02 -c 50 -W 0.2 -q");
            let Some((run, svg)) = plotted(target, "--outage 500ms@300ms", &ping, false, |_, _| {}) else { return };
            let (sent, lost) = (run.figure("sent").unwrap(), run.figure("lost").unwrap());
            assert!(lost > 1, "{}", run.summary);
            expect(&svg, &format!("{lost} of {sent} lost"));
            // So far apart, each has a mark of its own.
            assert_eq!(marks(&svg, "#C0182B") as u64, lost, "{}", run.summary);
            let outages = run.summary["outages"].as_array().unwrap();
            // In both charts.
            assert_eq!(marks(&svg, "#FADCDC"), 2 * outages.len(), "{}", run.summary);
            let longest = outages.iter().max_by_key(|outage| outage["probes"].as_u64()).unwrap();
            let (seconds, probes) = (longest["seconds"].as_f64().unwrap(), &longest["probes"]);
            expect(&svg, &format!("for {seconds:.3} s ({probes} probes)"));
            expect(&svg, "time of the run (s), from 20");
        }
    });
}

#[test]
fn a_run_without_a_loss_says_so() {
    undisturbed(|| {
        let server = server("--quiet");
        one_of_five(|| {
            let Some((run, svg)) = plotted(server.udp(), "", "-u -i 0.005 -c 30 -W 10 -q", false, |_, _| {}) else {
                return Ok(());
            };
            if run.figure("lost") != Some(0) {
                return Err(run.summary);
            }
            expect(&svg, "0 of 30 lost");
            assert_eq!((marks(&svg, "#C0182B"), svg.contains("outage")), (0, false));
            Ok(())
        });
    });
}

#[test]
fn where_the_client_stood_still_nothing_is_blamed_on_the_path() {
    undisturbed(|| {
        let server = server("--quiet");
        for option in ["-u", "-t"] {
            let target = if option == "-t" { server.tcp() } else { server.udp() };
            let stop = |client: &Process, _: &Path| {
                client.stdout.find("a reply", |line| line.contains("\"seq\":10,"));
                client.stop();
                thread::sleep(Duration::from_millis(500));
                client.resume();
            };
            let ping = format!("{option} -i 0.02 -c 60 -W 10");
            let Some((run, svg)) = plotted(target, "", &ping, true, stop) else { return };
            let unsent = run.figure("unsent").unwrap();
            assert!(unsent > 10 && run.figure("lost") == Some(0), "{}", run.summary);
            expect(&svg, "this client stood still");
            expect(&svg, &format!("{unsent} due, not sent"));
            expect(&svg, &format!("0 of {} lost", 60 - unsent));
            assert_eq!(marks(&svg, "#C0182B"), 0);
            assert!(marks(&svg, "#E0E0E0") > 2);
        }
    });
}
