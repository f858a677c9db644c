//! The open loop: probes are due on a fixed schedule, and what waits is counted from when it was due.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal::SIGINT;

use crate::harness::{
    FarTcp, Scratch, ack, calm, client_to, end_of, have, heard, last_object, number, one_of_five, run, server,
    sooner_than, tcp_service, timed, udp_service, undisturbed,
};

#[test]
fn a_schedule_is_kept_however_long_the_answers_take() {
    undisturbed(|| {
        // Each answer takes longer than the interval; ten flows carry what is due.
        let far = tcp_service(|mut stream| {
            while heard(&mut stream) {
                thread::sleep(Duration::from_millis(60));
                ack(&mut stream);
            }
        });
        one_of_five(|| {
            let (ended, took) = timed(|| calm(|| client_to(far, "--ping -q -c 50 -i 0.01 --flows 10")));
            let kept = ended.code == 0 && took < Duration::from_millis(900);
            if kept { Ok(()) } else { Err((took, ended.err)) }
        });
    });
}

/// One flow and answers that take five intervals: what is due is sent all the same.
#[test]
fn where_flows_are_too_few_others_are_opened_and_nobody_waits() {
    undisturbed(|| {
        let far = tcp_service(|mut stream| {
            while heard(&mut stream) {
                thread::sleep(Duration::from_millis(100));
                ack(&mut stream);
            }
        });
        one_of_five(|| {
            let ended = calm(|| client_to(far, "--ping -q -c 12 -i 0.02 --format json"));
            let summary = last_object(&ended.out);
            let ms = |kind: &str, figure: &str| summary[kind][figure].as_f64().unwrap_or_default() / 1e6;
            let prompt = ms("rtt_ns", "min") >= 100.0 && ms("response_ns", "max") < 200.0;
            if prompt && summary["acknowledged"] == 12 { Ok(()) } else { Err((summary, ended.err)) }
        });
    });
}

#[test]
fn a_probe_that_waits_for_its_answer_keeps_no_other_from_being_sent() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut client = client_to(far.address(), "--ping -i 0.05 -W 30 -w 0.48 -c 6").start();
        let callers: Vec<_> = (0..6)
            .map(|_| {
                let mut caller = far.accept();
                caller.expect("hello");
                caller
            })
            .collect();
        callers.into_iter().for_each(|mut caller| caller.say("ACK"));
        let ended = end_of(&mut client);
        assert_eq!(ended.code, 0, "{:?} {:?}", ended.out, ended.err);
        let figures = ended.out.iter().find(|line| line.contains(" sent, ")).unwrap();
        assert!(figures.starts_with("6 sent, 6 acknowledged, 0 lost (0%), "), "{:?}", ended.out);
    });
}

#[test]
fn a_framed_connection_carries_sixty_four_and_then_there_is_another() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut client = client_to(far.address(), "--ping -q -i 0.002 -W 30 -c 70 --framing lines").start();
        let (mut first, mut second) = (far.accept(), far.accept());
        first.expect("hello\n".repeat(64));
        second.expect("hello\n".repeat(6));
        first.expect_nothing();
        first.say("ACK\n".repeat(64));
        second.say("ACK\n".repeat(6));
        let ended = end_of(&mut client);
        assert!(ended.out[2].starts_with("70 sent, 70 acknowledged, 0 lost (0%), "), "{:?} {:?}", ended.out, ended.err);
    });
}

/// What is due while this client is stopped is not sent afterwards, and nobody else is blamed.
#[test]
fn a_client_that_stood_still_says_so() {
    undisturbed(|| {
        let far = tcp_service(|mut stream| {
            while heard(&mut stream) {
                ack(&mut stream);
            }
        });
        let udp = udp_service(|socket, _, from| drop(socket.send_to(b"check", from)));
        for (address, option) in [(far, "-t"), (udp, "-u")] {
            for format in ["text", "json"] {
                let options = format!("--ping {option} -i 0.02 -c 100 -W 0.5 --format {format}");
                let mut client = client_to(address, &options).start();
                client.stdout.find("a reply", |line| line.contains("seq=20 ") || line.contains("\"seq\":20,"));
                client.stop();
                thread::sleep(Duration::from_millis(700));
                client.resume();
                let ended = end_of(&mut client);
                assert_eq!(ended.code, 1, "what was due was not sent: {:?}", ended.out);
                // A busy machine may have held it up besides.
                let said = ended
                    .err
                    .iter()
                    .filter(|line| line.contains("this client stood still for ") && line.contains(" s: "));
                let ours = said.map(|line| number(line, " s: ")).find(|unsent| (25.0..=80.0).contains(unsent));
                assert!(ours.is_some(), "{:?}", ended.err);
                if format == "json" {
                    let summary = last_object(&ended.out);
                    assert_eq!(
                        (&summary["lost"], summary["sent"].as_u64().unwrap() + summary["unsent"].as_u64().unwrap()),
                        (&0.into(), 100)
                    );
                    assert!(summary["rtt_ns"]["max"].as_f64().unwrap() < 6e8, "{summary}");
                    assert!(ended.out.iter().any(|line| line.contains("\"stood_still\"")), "{:?}", ended.out);
                }
            }
        }
    });
}

#[test]
fn what_cannot_be_sent_for_want_of_descriptors_is_no_loss_of_the_path() {
    undisturbed(|| {
        let far = udp_service(|socket, _, from| drop(socket.send_to(b"check", from)));
        let launch = client_to(far, "--ping -u -q -c 200 -i 0.002 -W 5 --flows 100 --format json");
        let ended = run(launch.through_shell("ulimit -n 64; exec \"$0\" \"$@\""));
        let summary = last_object(&ended.out);
        assert_eq!((ended.code, &summary["lost"]), (1, &0.into()), "{summary} {:?}", ended.err);
        assert!(summary["unsent"].as_u64().unwrap() > 0, "{summary}");
        assert!(ended.complaint().contains(": too many open files"), "{:?}", ended.err);
    });
}

#[test]
fn a_schedule_finer_than_milliseconds_is_not_rounded() {
    undisturbed(|| {
        if !have("strace") {
            return;
        }
        // How late a busy machine wakes anybody tells nothing; for when it was asked to does.
        let (server, calls) = (server("-u -q"), Scratch::path("waits"));
        let words = "--ping -u -q -c 150 -i 0.0041 -W 10 --format json";
        let strace = format!("exec strace -e trace=/^epoll,timerfd_settime -o {} \"$0\" \"$@\"", calls.0.display());
        let ended = run(client_to(server.udp(), words).through_shell(&strace));
        assert_eq!((ended.code, &last_object(&ended.out)["lost"]), (0, &0.into()), "{:?}", ended.err);
        let calls = std::fs::read_to_string(&calls.0).unwrap();
        let timeouts = calls.lines().filter_map(|call| call.strip_prefix("epoll_wait(")?.split(", ").last());
        let timeouts: Vec<&str> = timeouts.filter_map(|last| last.split(')').next()).collect();
        assert!(timeouts.len() >= 150 && timeouts.iter().all(|&last| last == "-1" || last == "0"), "{timeouts:?}");
        let alarms =
            calls.lines().filter_map(|call| call.split("it_value={tv_sec=0, tv_nsec=").nth(1)?.split('}').next());
        let alarms: Vec<u64> = alarms.map(|nanos| nanos.parse().unwrap()).collect();
        let (fine, whole): (Vec<u64>, Vec<u64>) = alarms.iter().partition(|&nanos| nanos % 1_000_000 > 0);
        assert!(fine.len() > 20 && whole.len() < 5, "{alarms:?}");
    });
}

#[test]
fn a_run_of_many_probes_a_millisecond_takes_its_time_and_no_more() {
    undisturbed(|| {
        let server = server("-u --quiet");
        one_of_five(|| {
            let ended = calm(|| client_to(server.udp(), "--ping -u -q -c 2000 -i 0.00025 --format json"));
            let summary = last_object(&ended.out);
            assert_eq!(summary["sent"], 2000, "{summary}");
            let seconds = summary["seconds"].as_f64().unwrap();
            assert!(seconds >= 0.49, "{summary}");
            if seconds < 1.5 && summary["acknowledged"] == 2000 { Ok(()) } else { Err(summary) }
        });
    });
}

#[test]
fn a_closed_loop_goes_as_fast_as_it_can() {
    let server = server("-t --quiet");
    sooner_than(Duration::from_secs(3), || {
        let (ended, took) = timed(|| calm(|| client_to(server.tcp(), "--ping -q -i 0 -c 2000")));
        assert_eq!(ended.code, 0, "{:?}", ended.err);
        assert!(ended.out[2].starts_with("2000 sent, 2000 acknowledged"), "{:?}", ended.out);
        took
    });
}

#[test]
fn an_interval_beyond_all_counting_is_one_for_every_flow() {
    undisturbed(|| {
        let server = server("-u");
        let ended = calm(|| client_to(server.udp(), "--ping -u -q -c 1 -i 1e19 --flows 3"));
        assert!(ended.code == 0 && !ended.complaint().contains("--flows"), "{:?}", ended.err);
        assert!(ended.out[2].starts_with("1 sent, 1 acknowledged"), "{:?}", ended.out);
    });
}

#[test]
fn a_second_probe_that_is_never_due_is_waited_for() {
    undisturbed(|| {
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
    });
}
