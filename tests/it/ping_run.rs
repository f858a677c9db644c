//! `--ping`: its letters and its shape are those of ping(8).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use nix::sys::signal::Signal::{SIGINT, SIGTERM};

use crate::harness::{
    FarTcp, FarUdp, Launch, calm, client_to, closed_port, end_of, last_object, number, one_of_five, private_loopback,
    server, shape, sooner_than, timed, undisturbed, wait_until,
};

#[test]
fn a_line_a_reply_and_the_statistics_over_tcp() {
    undisturbed(|| {
        let server = server("-t");
        let name = server.tcp().to_string();
        let ended = calm(|| client_to(server.tcp(), "--ping -c 3 -i 0.02 --lang zh"));
        assert_eq!(ended.code, 0, "{:?}", ended.err);
        let shapes: Vec<String> = ended.out.iter().map(|line| shape(&line.replace(&name, "ADDRESS"))).collect();
        let expected = [
            "ping tcp ADDRESS, 0 bytes, every 0 s",
            "ACK from ADDRESS: seq=0 time=0 ms",
            "ACK from ADDRESS: seq=0 time=0 ms",
            "ACK from ADDRESS: seq=0 time=0 ms",
            "",
            "--- ADDRESS tcp acknowledgement statistics ---",
            "0 sent, 0 acknowledged, 0 lost (0%), 0 late, 0 s",
            "connect  0 ms",
            "rtt      min/p0/p0/p0/max = 0/0/-/-/0 ms, mean 0, jitter 0",
            "response min/p0/p0/p0/max = 0/0/-/-/0 ms",
        ];
        assert_eq!(shapes, expected);
        assert!((1..=3).all(|seq| ended.out[seq].contains(&format!(": seq={seq} time="))), "{:?}", ended.out);
        assert!(ended.out[6].starts_with("3 sent, 3 acknowledged, 0 lost (0%), 0 late, 0."), "{:?}", ended.out);
        assert!(number(&ended.out[6], " late, ") >= 0.04, "{:?}", ended.out);
        let slowest = ended.out[1..4].iter().map(|line| number(line, "time=")).fold(0.0, f64::max);
        assert!(ended.out[8].contains(&format!("/{slowest:.3} ms, mean ")), "{:?}", ended.out);
    });
}

#[test]
fn over_udp_it_is_check_and_there_is_no_connect_line() {
    undisturbed(|| {
        let server = server("-u");
        let name = server.udp().to_string();
        let ended = calm(|| client_to(server.udp(), "--ping -u --plain -c 2 -i 0.02"));
        assert_eq!(ended.code, 0, "{:?}", ended.err);
        let shapes: Vec<String> = ended.out.iter().map(|line| shape(&line.replace(&name, "ADDRESS"))).collect();
        let expected = [
            "ping udp ADDRESS, 0 bytes, every 0 s",
            "check from ADDRESS: seq=0 time=0 ms",
            "check from ADDRESS: seq=0 time=0 ms",
            "",
            "--- ADDRESS udp acknowledgement statistics ---",
            "0 sent, 0 acknowledged, 0 lost (0%), 0 late, 0 s",
            "rtt      min/p0/p0/p0/max = 0/0/-/-/0 ms, mean 0, jitter 0",
            "response min/p0/p0/p0/max = 0/0/-/-/0 ms",
        ];
        assert_eq!(shapes, expected);
    });
}

#[test]
fn quiet_prints_the_statistics_alone() {
    undisturbed(|| {
        let server = server("-t");
        let ended = calm(|| client_to(server.tcp(), "--ping -q -c 3 -i 0.01"));
        assert_eq!((ended.code, ended.out.len()), (0, 6), "{:?}", ended.out);
        assert!(ended.out[1].starts_with("--- "), "{:?}", ended.out);
    });
}

#[test]
fn time_stamps_are_the_time_of_day() {
    undisturbed(|| {
        let server = server("-u");
        let today = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        one_of_five(|| {
            let before = today();
            let ended = calm(|| client_to(server.udp(), "--ping -u -D -c 3 -i 0.15").env("TZ", "XST-8"));
            let after = today();
            let stamp = |line: &String| {
                let stamp: Timestamp = line.strip_prefix('[').unwrap().split_once("] ").unwrap().0.parse().unwrap();
                stamp.as_duration().as_secs_f64()
            };
            let stamps: Vec<f64> = ended.out[1..4].iter().map(stamp).collect();
            for (line, stamp) in ended.out[1..].iter().zip(&stamps) {
                assert!(*stamp >= before - 0.001 && *stamp <= after + 0.001, "{line:?} is not in {before} to {after}");
            }
            // A first reply that was late itself is less apart from the last, and a late last one more.
            if (0.29..0.45).contains(&(stamps[2] - stamps[0])) { Ok(()) } else { Err(stamps) }
        });
    });
}

#[test]
fn a_probe_has_the_size_that_was_asked_for() {
    undisturbed(|| {
        let far = FarTcp::new();
        for (options, probe) in [
            ("", "hello".to_owned()),
            ("-s 1", "h".to_owned()),
            ("-s 12", "hellohellohe".to_owned()),
            ("-s 1024", "hello".repeat(205)[..1024].to_owned()),
        ] {
            let mut client = client_to(far.address(), &format!("--ping -c 1 {options}")).start();
            let mut caller = far.accept();
            caller.answer(probe, "ACK");
            assert_eq!(client.wait_exit(), 0);
            caller.expect_end();
        }
        let far = FarUdp::new();
        let mut client = client_to(far.address(), "--ping -u --plain -c 1 -s 65507").start();
        far.answer(&"hello".repeat(13102)[..65507], "check");
        assert_eq!(client.wait_exit(), 0);
    });
}

#[test]
fn every_framing_can_be_timed() {
    undisturbed(|| {
        for framing in ["lines", "length"] {
            let server = server(&format!("-t --framing {framing}"));
            let ended =
                calm(|| client_to(server.tcp(), &format!("--ping -q -c 20 -i 0.005 -s 20000 --framing {framing}")));
            assert_eq!(ended.code, 0, "{:?} {:?}", ended.out, ended.err);
            assert!(ended.out[2].starts_with("20 sent, 20 acknowledged, 0 lost"), "{:?}", ended.out);
        }
    });
}

#[test]
fn a_deadline_ends_it() {
    undisturbed(|| {
        let server = server("");
        for option in ["", "-u"] {
            one_of_five(|| {
                let (ended, took) =
                    timed(|| calm(|| client_to(server.tcp(), &format!("--ping -q -i 0.05 -w 0.42 {option}"))));
                // The last one is due 0.02 s before the end, and is awaited.
                let figures = &ended.out[2];
                let answered = figures.starts_with("9 sent, 9 acknowledged, 0 lost (0%), 0 late, ");
                let in_time = figures.contains(", 0.4") && ended.code == 0 && took < Duration::from_secs(1);
                if answered && in_time { Ok(()) } else { Err((ended.out, took)) }
            });
        }
    });
}

#[test]
fn a_percentile_is_printed_only_where_the_sample_carries_it() {
    undisturbed(|| {
        let server = server("-u");
        for (count, carried) in
            [(1, "0/0/-/-/0"), (99, "0/0/-/-/0"), (100, "0/0/0/-/0"), (999, "0/0/0/-/0"), (1000, "0/0/0/0/0")]
        {
            let ended = calm(|| client_to(server.udp(), &format!("--ping -u -q -i 0 -c {count}")));
            for name in ["rtt     ", "response"] {
                let line = ended.out.iter().find(|line| line.starts_with(name)).unwrap();
                let expected = format!("{name} min/p0/p0/p0/max = {carried} ms");
                assert_eq!(shape(line.split(", mean").next().unwrap()), expected, "{count}: {line:?}");
            }
        }
    });
}

#[test]
fn an_interrupt_loses_none_of_the_figures() {
    undisturbed(|| {
        let server = server("");
        for (option, signal) in [("-t", SIGINT), ("-u", SIGTERM)] {
            let mut client = client_to(server.tcp(), &format!("--ping -i 0.02 {option}")).start();
            client.stdout.find("the fifth reply", |line| line.contains("seq=5 "));
            client.signal(signal);
            let ended = end_of(&mut client);
            assert_eq!(ended.code, 0, "{:?}", ended.out);
            let replies = ended.out.iter().filter(|line| line.contains(" from ")).count();
            let figures = ended.out.iter().find(|line| line.contains(" sent, ")).unwrap();
            assert_eq!(number(figures, "sent, "), replies as f64, "{:?}", ended.out);
            let has_times = ended.out.iter().any(|line| line.starts_with("response min/p50"));
            assert!(replies >= 5 && has_times, "{:?}", ended.out);
        }
    });
}

#[test]
fn what_is_in_flight_at_an_interrupt_is_said_and_is_no_loss() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut client = client_to(far.address(), "--ping -W 30 -i 0.05").start();
        let mut caller = far.accept();
        caller.answer("hello", "ACK");
        caller.expect("hello");
        client.signal(SIGINT);
        let ended = end_of(&mut client);
        let figures = &ended.out[4];
        assert_eq!(ended.code, 0, "{:?}", ended.out);
        assert!(figures.starts_with("2 sent, 1 acknowledged, 0 lost (0%), 1 in flight, 0 late, "), "{figures:?}");
    });
}

#[test]
fn with_nothing_acknowledged_it_is_exit_1() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut client = client_to(far.address(), "--ping -W 30 --max-loss 100").start();
        far.accept().expect("hello");
        client.signal(SIGINT);
        let ended = end_of(&mut client);
        assert_eq!(ended.code, 1);
        assert!(
            ended.out[3].starts_with("1 sent, 0 acknowledged, 0 lost (0%), 1 in flight, 0 late, "),
            "{:?}",
            ended.out
        );
        assert_eq!(ended.out.last().unwrap(), "response min/p50/p90/p99/max = -/-/-/-/- ms");
    });
}

#[test]
fn a_closed_tcp_port_refuses_every_probe_and_the_run_goes_on() {
    undisturbed(|| {
        let closed = closed_port(private_loopback());
        let ended = calm(|| client_to(closed, "--ping -c 3 -i 0.05"));
        assert_eq!((ended.code, ended.err.len()), (1, 0), "{:?}", ended.err);
        for (line, seq) in ended.out[1..].iter().zip(1..=3) {
            assert_eq!(line, &format!("no ACK from {closed}: seq={seq} lost (refused)"));
        }
        assert!(ended.out[6].starts_with("3 sent, 0 acknowledged, 3 lost (100%), 0 late, 0."), "{:?}", ended.out);
        let summary = last_object(&calm(|| client_to(closed, "--ping -c 3 -i 0.05 --format json")).out);
        assert_eq!((&summary["lost"], summary["connect_ns"].is_null()), (&3.into(), true), "{summary}");
    });
}

#[test]
fn a_tcp_port_that_opens_later_is_found() {
    undisturbed(|| {
        let address = closed_port(private_loopback());
        let mut client = client_to(address, "--ping -i 0.05 -c 12").start();
        client.stdout.find("a loss", |line| line.ends_with("seq=3 lost (refused)"));
        let server = server(&format!("-t --host {} -p {}", address.ip(), address.port()));
        let ended = end_of(&mut client);
        let figures = ended.out.iter().find(|line| line.contains(" sent, ")).unwrap();
        let lost = number(figures, "acknowledged, ");
        assert!(figures.starts_with("12 sent, ") && (3.0..12.0).contains(&lost), "{figures:?} {:?}", ended.err);
        assert_eq!((ended.code, number(figures, "sent, ")), (1, 12.0 - lost), "{figures:?}");
        drop(server);
    });
}

#[test]
fn a_closed_udp_port_refuses_every_probe() {
    undisturbed(|| {
        let closed = closed_port(private_loopback());
        let ended = calm(|| client_to(closed, "--ping -u -c 3 -i 0.05"));
        assert_eq!(ended.code, 1);
        for (line, seq) in ended.out[1..].iter().zip(1..=3) {
            assert_eq!(line, &format!("no check from {closed}: seq={seq} lost (refused)"));
        }
        assert!(ended.out[6].starts_with("3 sent, 0 acknowledged, 3 lost (100%), 0 late, 0."), "{:?}", ended.out);
        assert!(number(&ended.out[6], " late, ") >= 0.1, "{:?}", ended.out);
    });
}

#[test]
fn a_deadline_holds_before_the_connection_stands_too() {
    let mute = crate::harness::Mute::on((private_loopback(), 0).into());
    sooner_than(Duration::from_secs(1), || {
        let (ended, took) = timed(|| calm(|| client_to(mute.address(), "--ping -W 0 -w 0.3")));
        assert_eq!((ended.code, ended.err.len()), (1, 0), "{:?}", ended.err);
        assert!(ended.out[4].starts_with("1 sent, 0 acknowledged, 1 lost (100%)"), "{:?}", ended.out);
        took
    });
    let ended = calm(|| client_to(mute.address(), "--ping -W 0.3 -c 1"));
    assert_eq!(ended.code, 1);
    assert!(ended.out[1].ends_with("seq=1 lost (no connection in time)"), "{:?}", ended.out);
}

#[test]
fn a_deadline_holds_where_a_closed_loop_waits_for_ever() {
    sooner_than(Duration::from_secs(2), || {
        let far = FarUdp::new();
        let mut client = client_to(far.address(), "--ping -u --plain -i 0 -W 0 -w 0.3").start();
        far.answer("hello", "check");
        far.expect("hello");
        let (ended, took) = timed(|| end_of(&mut client));
        assert_eq!((ended.code, ended.err.len()), (1, 0), "{:?}", ended.err);
        let figures = ended.out.iter().find(|line| line.contains(" sent, ")).unwrap();
        assert!(figures.starts_with("2 sent, 1 acknowledged, 1 lost (50%)"), "{:?}", ended.out);
        took
    });
}

#[test]
fn what_is_out_at_the_end_is_awaited_and_then_lost() {
    undisturbed(|| {
        let far = FarUdp::new();
        for (wait, least) in [("0.4", 0.6), ("0", 0.0)] {
            let options = format!("--ping -u --plain -i 0.05 -w 0.22 -W {wait}");
            let (ended, took) = timed(|| calm(|| client_to(far.address(), &options)));
            let figures = ended.out.iter().find(|line| line.contains(" sent, ")).unwrap();
            assert!(figures.starts_with("5 sent, 0 acknowledged, 5 lost (100%), 0 late, "), "{:?}", ended.out);
            assert!(took >= Duration::from_secs_f64(least) && ended.code == 1, "{took:?}");
        }
    });
}

#[test]
fn a_loss_that_is_allowed_is_no_failure_with_a_deadline_either() {
    undisturbed(|| {
        let far = FarUdp::new();
        let mut client = client_to(far.address(), "--ping -u --plain -i 0.05 -w 0.98 -W 0.3 --max-loss 10").start();
        for probe in 0..20 {
            let from = far.expect("hello");
            if probe != 7 {
                far.say(from, "check");
            }
        }
        let ended = end_of(&mut client);
        assert_eq!(ended.code, 0, "{:?} {:?}", ended.out, ended.err);
        let figures = ended.out.iter().find(|line| line.contains(" sent, ")).unwrap();
        assert!(figures.starts_with("20 sent, 19 acknowledged, 1 lost (5%), "), "{:?}", ended.out);
        assert!(!ended.out.iter().any(|line| line.contains("due, not sent")), "{:?}", ended.out);
    });
}

#[test]
fn a_closed_loop_that_gets_nowhere_can_be_interrupted() {
    undisturbed(|| {
        // The system refuses the broadcast address at once, so nothing is ever waited for.
        let mut client = Launch::client(&["255.255.255.255", "7", "--ping", "-u", "-q", "-i", "0"]).start();
        wait_until("the handler", || client.proc().catches(SIGINT as i32).then_some(()));
        client.signal(SIGINT);
        let ended = end_of(&mut client);
        assert_eq!(ended.code, 1);
        assert_eq!(number(&ended.out[2], "acknowledged, "), number(&format!("x{}", ended.out[2]), "x"), "all are lost");
    });
}

#[test]
fn losses_up_to_a_share_are_no_failure() {
    undisturbed(|| {
        for (most, code) in [("10", 0), ("9.99", 1), ("", 1)] {
            let far = FarUdp::new();
            let most = if most.is_empty() { String::new() } else { format!("--max-loss {most}") };
            let mut client =
                client_to(far.address(), &format!("--ping -u --plain -q -c 10 -i 0.01 -W 1 {most}")).start();
            for probe in 0..10 {
                let from = far.expect("hello");
                if probe != 4 {
                    far.say(from, "check");
                }
            }
            let ended = end_of(&mut client);
            assert_eq!(ended.code, code, "{most}");
            assert!(ended.out[2].starts_with("10 sent, 9 acknowledged, 1 lost (10%), 0 late, "), "{:?}", ended.out);
        }
    });
}

#[test]
fn it_is_one_thread() {
    undisturbed(|| {
        let server = server("");
        for option in ["-t", "-u", "--flows 16", "-i 0"] {
            let client = client_to(server.tcp(), &format!("--ping {option}")).start();
            client.stdout.find("a reply", |line| line.contains("seq=1 "));
            assert_eq!(client.proc().tasks(), 1, "{option}");
        }
    });
}
