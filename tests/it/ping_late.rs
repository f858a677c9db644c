//! Probes that are not answered in time: lost; answered later: late, and never credited to another probe.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{
    Ended, FarTcp, FarUdp, ack, calm, client_to, closed_port, end_of, heard, last_object, one_of_five,
    private_loopback, tcp_service, udp_service, undisturbed,
};

/// Longer than the client waits for an answer (0.5 s), as no machine is busy.
const LATE: Duration = Duration::from_millis(1500);

fn events(ended: &Ended, event: &str) -> Vec<Value> {
    let all = ended.out.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|object| object["event"] == event).collect()
}

fn seqs(events: &[Value]) -> Vec<u64> {
    let mut seqs: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    seqs.sort_unstable();
    seqs
}

/// Of 100 probes every tenth was answered [`LATE`]: each of those is lost and then late, and no other is touched.
#[track_caller]
fn expect_late(ended: &Ended, delayed: u64) {
    let summary = last_object(&ended.out);
    let figure = |name: &str| summary[name].as_u64().unwrap();
    assert_eq!(figure("sent"), figure("acknowledged") + figure("lost"), "{summary}");
    assert_eq!((figure("lost"), figure("late")), (delayed, delayed), "{summary}");
    let (lost, late, replies) = (events(ended, "lost"), events(ended, "late"), events(ended, "reply"));
    assert_eq!(seqs(&lost), seqs(&late));
    assert_eq!(replies.len() as u64, figure("acknowledged"));
    let late_ns = u64::try_from(LATE.as_nanos()).unwrap();
    assert!(late.iter().all(|event| event["rtt_ns"].as_u64().unwrap() >= late_ns), "{late:?}");
    assert!(replies.iter().all(|event| event["rtt_ns"].as_u64().unwrap() < late_ns / 2), "{replies:?}");
    assert!(summary["rtt_ns"]["max"].as_u64().unwrap() < late_ns / 2, "{summary}");
    assert_eq!(ended.code, 1);
}

#[test]
fn late_answers_over_udp() {
    undisturbed(|| {
        let ended = calm(|| {
            let far = udp_service(|socket, number, from| {
                if number % 10 == 3 && number < 90 {
                    let socket = socket.try_clone().unwrap();
                    thread::spawn(move || {
                        thread::sleep(LATE);
                        let _ = socket.send_to(b"check", from);
                    });
                } else {
                    socket.send_to(b"check", from).unwrap();
                }
            });
            client_to(far, "--ping -u -c 200 -i 0.02 -W 0.5 --flows 3 --format json")
        });
        expect_late(&ended, 9);
    });
}

#[test]
fn late_answers_over_tcp() {
    undisturbed(|| {
        let ended = calm(|| {
            let count = Arc::new(AtomicU64::new(0));
            let far = tcp_service(move |mut stream| {
                while heard(&mut stream) {
                    let number = count.fetch_add(1, Ordering::Relaxed) + 1;
                    if number % 10 == 3 && number < 90 {
                        thread::sleep(LATE);
                    }
                    ack(&mut stream);
                }
            });
            client_to(far, "--ping -c 200 -i 0.02 -W 0.5 --flows 3 --format json")
        });
        expect_late(&ended, 9);
    });
}

#[test]
fn a_loss_and_a_late_answer_have_lines_of_their_own() {
    undisturbed(|| {
        let far = FarUdp::new();
        let name = far.address();
        let mut client = client_to(name, "--ping -u --plain -c 2 -W 0.5 -i 1").start();
        let first = far.expect("hello");
        client.stdout.expect(&format!("ping udp {name}, 5 bytes, every 1 s"));
        client.stdout.expect(&format!("no check from {name}: seq=1 lost (no answer in time)"));
        far.say(first, "check");
        client.stdout.find("the late line", |line| line.starts_with(&format!("late check from {name}: seq=1 time=")));
        let second = far.answer("hello", "check");
        assert_ne!(first, second, "the port of a lost probe is not used again");
        let ended = end_of(&mut client);
        assert!(ended.out[6].starts_with("2 sent, 1 acknowledged, 1 lost (50%), 1 late, "), "{:?}", ended.out);
    });
}

#[test]
fn an_answer_to_a_lost_probe_is_never_credited_to_the_next() {
    undisturbed(|| {
        // The second probe is on its way, unanswered, when the answer to the first one comes.
        let udp = FarUdp::new();
        let mut client = client_to(udp.address(), "--ping -u --plain -c 2 -W 0.8 -i 1 --format json").start();
        let first = udp.expect("hello");
        udp.expect("hello");
        udp.say(first, "check");
        let ended = end_of(&mut client);
        assert_eq!((seqs(&events(&ended, "late")), events(&ended, "reply").len()), (vec![1], 0), "{:?}", ended.out);

        let tcp = FarTcp::new();
        let mut client = client_to(tcp.address(), "--ping -c 2 -W 0.8 -i 1 --format json").start();
        let mut caller = tcp.accept();
        caller.expect("hello");
        let mut other = tcp.accept();
        other.expect("hello");
        caller.say("ACK");
        let ended = end_of(&mut client);
        assert_eq!((seqs(&events(&ended, "late")), events(&ended, "reply").len()), (vec![1], 0), "{:?}", ended.out);
        assert_eq!(last_object(&ended.out)["lost"], 2);
    });
}

/// The client finds the answer and the end of the wait in one turn, too short a time after it to say that it stood still.
#[test]
fn an_answer_beyond_the_wait_is_late_however_soon_after_it_is_found() {
    undisturbed(|| {
        one_of_five(|| {
            let far = FarTcp::new();
            let mut client = client_to(far.address(), "--ping -c 1 -W 0.5 --format json").start();
            let mut caller = far.accept();
            caller.expect("hello");
            client.stop();
            thread::sleep(Duration::from_millis(530));
            caller.say("ACK");
            client.resume();
            let ended = end_of(&mut client);
            let summary = last_object(&ended.out);
            let is_late =
                (&summary["acknowledged"], &summary["lost"], &summary["late"]) == (&0.into(), &1.into(), &1.into());
            if is_late { Ok(()) } else { Err((summary, ended.err)) }
        });
    });
}

/// The same of a datagram by the only port there is: with its answer the port is free for the next probe.
#[test]
fn a_port_whose_answer_is_late_as_it_is_found_is_free_again() {
    undisturbed(|| {
        one_of_five(|| {
            let far = FarUdp::new();
            let own = closed_port(private_loopback());
            let words = format!("--ping -u --plain -c 2 -i 1 -W 0.5 --format json -I {own}");
            let mut client = client_to(far.address(), &words).start();
            let from = far.receive().0;
            client.stop();
            thread::sleep(Duration::from_millis(530));
            far.say(from, "check");
            client.resume();
            far.answer("hello", "check");
            let ended = end_of(&mut client);
            let summary = last_object(&ended.out);
            let figures = ["acknowledged", "lost", "late", "unsent"].map(|name| summary[name].as_u64());
            if figures == [1, 1, 1, 0].map(Some) { Ok(()) } else { Err((summary, ended.err)) }
        });
    });
}

/// Of an answer that came while the client was stopped nobody knows when that was, unless the kernel tells (UDP): it is
/// acknowledged, though its probe's wait was what the client slept for, and is over as it wakes.
#[test]
fn an_answer_that_waited_for_the_client_is_no_late_one() {
    undisturbed(|| {
        for protocol in ["-t", "-u"] {
            let (tcp, udp) = (FarTcp::new(), FarUdp::new());
            let address = if protocol == "-t" { tcp.address() } else { udp.address() };
            let mut client = client_to(address, &format!("--ping {protocol} -c 1 -W 1 --format json")).start();
            if protocol == "-t" {
                let mut caller = tcp.accept();
                caller.expect("hello");
                client.stop();
                caller.say("ACK");
                thread::sleep(Duration::from_secs(3));
                client.resume();
                expect_acknowledged(&end_of(&mut client), false);
            } else {
                let from = udp.receive().0;
                client.stop();
                udp.say(from, "check");
                thread::sleep(Duration::from_secs(3));
                client.resume();
                expect_acknowledged(&end_of(&mut client), cfg!(target_os = "linux"));
            }
        }
    });
}

#[track_caller]
fn expect_acknowledged(ended: &Ended, timed: bool) {
    let summary = last_object(&ended.out);
    let figures = ["acknowledged", "lost", "late"].map(|name| summary[name].as_u64());
    assert_eq!(figures, [1, 0, 0].map(Some), "{summary} {:?}", ended.err);
    assert_eq!(summary["rtt_ns"]["max"].is_u64(), timed, "{summary}");
    assert!(ended.err.iter().any(|line| line.contains("this client stood still for")), "{:?}", ended.err);
}

#[test]
fn an_answer_in_pieces_that_spans_the_wait_is_late() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut client = client_to(far.address(), "--ping -c 2 -W 0.6 -i 1 --format json").start();
        let mut caller = far.accept();
        caller.answer("hello", "AC");
        client.stdout.find("the loss", |line| line.contains("\"lost\""));
        caller.say("K");
        client.stdout.find("the late answer", |line| line.contains("\"late\""));
        far.accept().answer("hello", "ACK");
        assert_eq!(last_object(&end_of(&mut client).out)["late"], 1);
    });
}

#[test]
fn lost_probes_can_be_many_more_than_the_retired_flows_kept() {
    undisturbed(|| {
        let far = udp_service(|_, _, _| {});
        let ended = calm(|| client_to(far, "--ping -u -q -c 600 -i 0.001 -W 0.05 --flows 64 --format json"));
        let summary = last_object(&ended.out);
        assert_eq!(
            (&summary["sent"], &summary["lost"], &summary["acknowledged"]),
            (&600.into(), &600.into(), &0.into())
        );
    });
}
