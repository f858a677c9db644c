//! `--ping` in JSON, and an output that does not take what it is given.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use nix::sys::signal::Signal::SIGINT;
use serde_json::Value;

use crate::harness::{
    FarUdp, Lines, Output, ServerBuilder, calm, client_to, end_of, last_object, server, settled, undisturbed,
    wait_until,
};

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn replies_and_the_summary_are_events() {
    undisturbed(|| {
        let server = server("");
        for (options, protocol) in [("", "tcp"), ("-u", "udp")] {
            let ended =
                calm(|| client_to(server.tcp(), &format!("--ping -c 3 -i 0.01 --flows 2 --format json {options}")));
            assert_eq!((ended.code, ended.out.len()), (0, 4), "{:?}", ended.out);
            let mut replies: Vec<Value> =
                ended.out[..3].iter().map(|line| serde_json::from_str(line).unwrap()).collect();
            // The answers of two flows may overtake each other.
            replies.sort_by_key(|reply| reply["seq"].as_u64());
            for (reply, seq) in replies.iter().zip(1_u64..) {
                assert_eq!(
                    keys(reply),
                    ["event", "flow", "peer", "protocol", "response_ns", "rtt_ns", "seq", "server_ns", "time"],
                    "{reply}"
                );
                assert_eq!((&reply["event"], reply["seq"].as_u64()), (&"reply".into(), Some(seq)));
                assert_eq!((&reply["protocol"], &reply["peer"]), (&protocol.into(), &server.tcp().to_string().into()));
                assert!(reply["response_ns"].as_u64() >= reply["rtt_ns"].as_u64(), "{reply}");
                assert!([1, 2].contains(&reply["flow"].as_u64().unwrap()), "{reply}");
            }
            let summary = last_object(&ended.out);
            for (key, figure) in
                [("sent", 3), ("acknowledged", 3), ("lost", 0), ("late", 0), ("unsent", 0), ("in_flight", 0)]
            {
                assert_eq!(summary[key], figure, "{key} in {summary}");
            }
            assert!(summary["seconds"].as_f64().unwrap() >= 0.02, "{summary}");
            assert_eq!(summary["connect_ns"].is_u64(), protocol == "tcp", "{summary}");
            for kind in ["rtt_ns", "response_ns"] {
                let times = &summary[kind];
                assert_eq!(keys(times), ["jitter", "max", "mean", "min", "p50", "p90", "p99", "p999"], "{summary}");
                assert!(times["min"].is_u64() && times["p50"].is_u64() && times["max"].is_u64(), "{summary}");
                assert!(times["p90"].is_null() && times["p99"].is_null() && times["p999"].is_null(), "{summary}");
            }
            assert_eq!(keys(&summary["worst_flow"]), ["lost", "p50_ns", "sent", "source_port"], "{summary}");
        }
    });
}

#[test]
fn losses_are_events_with_their_reason() {
    undisturbed(|| {
        let far = FarUdp::new();
        let mut client = client_to(far.address(), "--ping -u --plain -c 1 -W 0.1 --format json").start();
        far.expect("hello");
        let ended = end_of(&mut client);
        let lost: Value = serde_json::from_str(&ended.out[0]).unwrap();
        assert_eq!((&lost["event"], &lost["seq"]), (&"lost".into(), &1.into()));
        assert_eq!(lost["reason"], "no answer in time");
        let summary = last_object(&ended.out);
        assert_eq!((ended.code, &summary["lost"], summary["rtt_ns"]["p50"].is_null()), (1, &1.into(), true));
        assert!(summary["worst_flow"].is_null(), "{summary}");
    });
}

#[test]
fn a_closed_stdout_ends_it() {
    undisturbed(|| {
        let server = server("-u --quiet");
        let (reader, writer) = std::io::pipe().unwrap();
        let mut client = client_to(server.udp(), "--ping -u -i 0.01").stdout(Output::Given(writer.into())).start();
        let mut lines = BufReader::new(reader).lines();
        lines.next().unwrap().unwrap();
        drop(lines);
        assert_eq!(client.wait_exit(), 1);
    });
}

#[test]
fn a_reader_that_comes_late_still_gets_the_whole_summary() {
    undisturbed(|| {
        // More replies than a pipe and the queue hold: some are dropped and counted, the figures are not.
        let mut server = ServerBuilder::new("-u --quiet").operated().start();
        let (reader, writer) = std::io::pipe().unwrap();
        let mut client =
            client_to(server.udp(), "--ping -u -i 0 -c 40000").stdout(Output::Given(writer.into())).start();
        wait_until("the first probe", || (server.stat("datagrams_in") > 0.0).then_some(()));
        // On a busy machine so many take long, and until the last nobody reads.
        settled(Duration::from_secs(1), || server.stat("datagrams_in"));
        let lines = Lines::collect(reader);
        // On a busy machine so many take long.
        settled(Duration::from_secs(1), || lines.count());
        assert_eq!(client.wait_exit(), 0);
        let lines = lines.to_end();
        let figures = lines.iter().find(|line| line.contains(" sent, ")).unwrap();
        assert!(figures.starts_with("40000 sent, 40000 acknowledged, 0 lost (0%)"), "{figures:?}");
        let replies = lines.iter().filter(|line| line.starts_with("check from ")).count();
        let dropped: usize =
            lines.iter().filter_map(|line| line.strip_prefix("… lines dropped: ")?.parse::<usize>().ok()).sum();
        assert_eq!(replies + dropped, 40000);
        assert!(dropped > 0, "the reader was not late enough");
    });
}

#[test]
fn an_interrupted_run_does_not_wait_for_a_reader_that_never_comes() {
    undisturbed(|| {
        let server = server("-u --quiet");
        let (_reader, writer) = std::io::pipe().unwrap();
        let mut client = client_to(server.udp(), "--ping -u -i 0").stdout(Output::Given(writer.into())).start();
        std::thread::sleep(Duration::from_millis(1000));
        client.signal(SIGINT);
        let (_, took) = crate::harness::timed(|| client.wait_exit());
        assert!(took < Duration::from_secs(3), "{took:?}");
    });
}
