//! What stamps tell: which way a probe was lost, duplicates and reordering, the server's own time, outages.

use std::net::SocketAddr;

use nix::sys::signal::Signal::SIGTERM;
use serde_json::Value;

use crate::harness::Fate::{Answered, Elsewhere, LostBack, LostThere, Overtaken, Plain, Twice};
use crate::harness::{
    FarUdp, Fate, calm, client_to, closed_port, end_of, last_object, number, private_loopback, server, stamping,
    udp_service, undisturbed,
};

/// The summary of so many probes, each with this fate. The first few may have ports of their own.
fn of(probes: u64, fate: impl Fn(u64) -> Fate + Clone + Send + 'static) -> (Value, Vec<String>) {
    let ended = calm(|| {
        let far = stamping(fate.clone());
        client_to(far, &format!("--ping -u -c {probes} -i 0.01 -W 0.5 --format json"))
    });
    (last_object(&ended.out), ended.err)
}

#[track_caller]
fn expect(summary: &Value, figures: &[(&str, u64)]) {
    for &(name, figure) in figures {
        assert_eq!(summary[name], figure, "{name} in {summary}");
    }
}

#[test]
fn each_leg_has_its_own_losses() {
    undisturbed(|| {
        let (summary, _) = of(100, |seq| if seq % 20 == 7 { LostThere } else { Answered });
        expect(&summary, &[("lost", 5), ("lost_there", 5), ("lost_back", 0), ("lost_unknown", 0), ("duplicated", 0)]);
        let (summary, _) = of(100, |seq| if seq % 20 == 7 { LostBack } else { Answered });
        expect(&summary, &[("lost", 5), ("lost_there", 0), ("lost_back", 5), ("lost_unknown", 0), ("reordered", 0)]);
    });
}

#[test]
fn duplicates_and_reordering_are_counted_and_lose_nothing() {
    undisturbed(|| {
        let (summary, _) = of(60, |seq| match seq % 20 {
            7 => Twice,
            12 => Overtaken,
            _ => Answered,
        });
        expect(&summary, &[("acknowledged", 60), ("lost", 0), ("duplicated", 3), ("reordered", 3), ("late", 0)]);
        assert_eq!((&summary["server_ns"]["min"], &summary["server_ns"]["max"]), (&3000.into(), &3000.into()));
    });
}

#[test]
fn what_is_lost_behind_the_last_answer_is_unknown() {
    undisturbed(|| {
        let (summary, _) = of(40, |seq| if seq > 30 { LostThere } else { Answered });
        expect(&summary, &[("lost", 10), ("lost_there", 0), ("lost_back", 0), ("lost_unknown", 10)]);
        let outage = &summary["outages"][0];
        assert_eq!((&outage["probes"], summary["outages"].as_array().unwrap().len()), (&10.into(), 1), "{summary}");
        assert!((outage["seconds"].as_f64().unwrap() - 0.1).abs() < 1e-6, "{summary}");
    });
}

#[test]
fn two_servers_behind_one_port_make_no_false_leg() {
    undisturbed(|| {
        let (summary, err) = of(40, |seq| if seq % 2 == 0 { Elsewhere } else { Answered });
        expect(&summary, &[("lost", 0), ("acknowledged", 40)]);
        assert!(summary["lost_there"].is_null() && summary["lost_back"].is_null(), "{summary}");
        assert!(err.iter().any(|line| line.contains("several servers answer from one port")), "{err:?}");
    });
}

#[test]
fn a_server_that_is_started_anew_makes_no_false_leg() {
    undisturbed(|| {
        let ip = private_loopback();
        let first = server(&format!("-u --host {ip}"));
        let address = first.udp();
        let mut client = client_to(address, "--ping -u -i 0.02 -c 60 -W 0.5 --format json").start();
        client.stdout.find("a reply", |line| line.contains("\"seq\":10,"));
        first.signal(SIGTERM);
        client.stdout.find("a loss", |line| line.contains("\"lost\""));
        drop(first);
        let _second = server(&format!("-u --host {ip} -p {}", address.port()));
        let ended = end_of(&mut client);
        let summary = last_object(&ended.out);
        let lost = summary["lost"].as_u64().unwrap();
        assert!(lost > 0 && summary["lost_there"] == 0 && summary["lost_back"] == 0, "{summary} {:?}", ended.err);
        expect(&summary, &[("lost_unknown", lost)]);
    });
}

#[test]
fn our_server_s_own_time_is_told_and_a_line_of_its_own() {
    undisturbed(|| {
        let server = server("-u");
        let ended = calm(|| client_to(server.udp(), "--ping -u -q -c 20 -i 0.005"));
        assert_eq!(ended.code, 0, "{:?} {:?}", ended.out, ended.err);
        assert!(ended.out[2].contains(" 0 late, 0 duplicated, 0 reordered, "), "{:?}", ended.out);
        assert_eq!(ended.out[3], "lost     0 on the way there, 0 on the way back, 0 unknown");
        let line = |name: &str| ended.out.iter().find(|line| line.starts_with(name)).unwrap();
        let (rtt, own) = (number(line("rtt"), " = "), number(line("server"), " = "));
        assert!(own < rtt, "{:?}", ended.out);
    });
}

#[test]
fn stamped_probes_share_a_port_and_any_number_is_out() {
    undisturbed(|| {
        let far = FarUdp::new();
        let mut client = client_to(far.address(), "--ping -u -q -c 30 -i 0.01 -W 5").start();
        let (first, probe) = far.receive();
        assert_eq!((probe.len(), &probe[..8]), (72, b"ACKSTAMP".as_slice()));
        let answer = |probe: &[u8], count: u64, first: u64| {
            let mut answer = b"check\0\0\x01".to_vec();
            answer.extend(&probe[8..32]);
            let seq = u64::from_be_bytes(probe[16..24].try_into().unwrap());
            for number in [count, 1, 2, seq, first] {
                answer.extend(number.to_be_bytes());
            }
            answer
        };
        far.say(first, answer(&probe, 1, 1));
        // What had left before that was known has a port of its own; the rest has that of the first.
        let mut others = 0;
        let mut held: Vec<(SocketAddr, Vec<u8>)> = Vec::new();
        for _ in 1..30 {
            let (from, probe) = far.receive();
            others += u64::from(from != first);
            held.push((from, probe));
        }
        assert!(others < 15, "{others}");
        for (count, (from, probe)) in held.iter().filter(|(from, _)| *from == first).enumerate() {
            assert_eq!(u64::from_be_bytes(probe[16..24].try_into().unwrap()), count as u64 + 2, "without gaps");
            far.say(*from, answer(probe, count as u64 + 2, 1));
        }
        for (from, probe) in held.iter().filter(|(from, _)| *from != first) {
            far.say(*from, answer(probe, 1, 1));
        }
        let ended = end_of(&mut client);
        assert!(ended.out[2].starts_with("30 sent, 30 acknowledged, 0 lost (0%), 0 late, "), "{:?}", ended.out);
    });
}

/// A path that is dead for three eighths of the time loses three eighths of what is due, whatever the interval.
#[track_caller]
fn expect_three_eighths(stamps: bool, interval: f64) {
    let probes = (2.0 / interval).round() as u64;
    let dead = probes / 4..probes / 4 + probes * 3 / 8;
    let plain = if stamps { "" } else { "--plain" };
    let ended = calm(|| {
        let dead = dead.clone();
        let far = if stamps {
            stamping(move |seq| if dead.contains(&(seq - 1)) { LostThere } else { Answered })
        } else {
            udp_service(move |socket, number, from| {
                if !dead.contains(&(number - 1)) {
                    let _ = socket.send_to(b"check", from);
                }
            })
        };
        client_to(far, &format!("--ping -u {plain} -i {interval} -c {probes} -W 3 --max-loss 38 --format json -q"))
    });
    let summary = last_object(&ended.out);
    expect(&summary, &[("sent", probes), ("lost", dead.end - dead.start), ("unsent", 0)]);
    assert_eq!(ended.code, 0, "{summary}");
    let outage = &summary["outages"][0];
    assert_eq!(outage["probes"], dead.end - dead.start, "{summary}");
    assert!((outage["seconds"].as_f64().unwrap() - 0.75).abs() <= 2.0 * interval + 1e-6, "{summary}");
    if stamps {
        expect(&summary, &[("lost_there", dead.end - dead.start), ("lost_unknown", 0)]);
    }
}

#[test]
fn an_outage_is_the_same_share_at_every_interval() {
    std::thread::scope(|scope| {
        for stamps in [true, false] {
            scope.spawn(move || {
                for interval in [0.1, 0.01, 0.001] {
                    undisturbed(|| expect_three_eighths(stamps, interval));
                }
            });
        }
    });
}

#[test]
fn a_server_without_stamps_is_recognized_and_said_once() {
    undisturbed(|| {
        let far = udp_service(|socket, _, from| drop(socket.send_to(b"check", from)));
        let ended = calm(|| client_to(far, "--ping -u -q -c 10 -i 0.01"));
        assert_eq!(ended.code, 0, "{:?}", ended.err);
        assert_eq!(
            ended.err.iter().filter(|line| line.contains("the server knows no stamps")).count(),
            1,
            "{:?}",
            ended.err
        );
        assert!(
            !ended.out.iter().any(|line| line.starts_with("lost ") || line.contains("duplicated")),
            "{:?}",
            ended.out
        );
    });
}

#[test]
fn where_a_plain_answer_comes_among_stamped_ones_there_are_no_legs() {
    undisturbed(|| {
        // Two servers behind one port, of which one knows no stamps: what that one was sent is in nobody's count.
        let far = || stamping(|seq| if seq % 2 == 1 { Answered } else { Plain });
        let ended = calm(|| client_to(far(), "--ping -u -c 8 -i 0.05 -W 0.5 --format json"));
        let summary = last_object(&ended.out);
        // Those that were answered plainly at the port of the stamps: whose answer that is, nobody can tell.
        expect(&summary, &[("sent", 8)]);
        assert!((1..=4).contains(&summary["lost"].as_u64().unwrap()), "{summary}");
        assert!(summary["lost_there"].is_null() && summary["lost_back"].is_null(), "{summary}");
    });
}

#[test]
fn where_a_server_without_stamps_takes_over_the_port_of_the_stamps_is_left() {
    undisturbed(|| {
        let (summary, err) = of(60, |seq| if seq < 6 { Answered } else { Plain });
        let lost = summary["lost"].as_u64().unwrap();
        // What had left by that port before the first plain answer came; a probe is due every 10 ms.
        assert!(lost < 30, "{summary} {err:?}");
        assert!(err.iter().any(|line| line.ends_with("the server knows no stamps any more")), "{err:?}");
        // A port that was given is free again when nothing late can come by it.
        let own = closed_port(private_loopback());
        let ended = calm(|| {
            let far = stamping(|seq| if seq < 6 { Answered } else { Plain });
            client_to(far, &format!("--ping -u -c 60 -i 0.05 -W 0.1 --format json -I {own}"))
        });
        let summary = last_object(&ended.out);
        let figure = |name: &str| summary[name].as_u64().unwrap();
        assert!(figure("lost") < 20 && figure("unsent") > 0 && figure("acknowledged") > 5, "{summary}");
    });
}
