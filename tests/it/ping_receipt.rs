//! When an answer over UDP was received: by the kernel's clock on Linux, so that a client that is late sees no slow path.

use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGINT;
use serde_json::Value;

use crate::harness::{
    Fate, client_to, end_of, in_tables, last_object, one_of_five, private_loopback, run, stamp, stamping, undisturbed,
};

/// For so long the client is stopped.
const STOPPED: Duration = Duration::from_millis(1500);

/// A probe of a client that is stopped as soon as it was sent, is answered at once, and finds the answer when it goes on:
/// its lines, if the probe was answered in half the time.
fn stopped_with(options: &str, stamps: bool) -> Result<Vec<String>, String> {
    let far = UdpSocket::bind((private_loopback(), 0)).unwrap();
    let mut client = client_to(far.local_addr().unwrap(), &format!("--ping -u -c 1 {options}")).start();
    let mut probe = [0; 100];
    let (_, from) = far.recv_from(&mut probe).unwrap();
    let since = Instant::now();
    client.stop();
    match stamps {
        true => far.send_to(&stamp(&probe, 1, 1, 1), from),
        false => far.send_to(b"check", from),
    }
    .unwrap();
    let took = since.elapsed();
    thread::sleep(STOPPED);
    client.resume();
    let ended = end_of(&mut client);
    if took > STOPPED / 5 || ended.code != 0 {
        return Err(format!("answered after {took:?}: {:?} {:?}", ended.out, ended.err));
    }
    Ok(ended.out)
}

#[test]
#[cfg(target_os = "linux")]
fn an_answer_that_waited_while_the_client_was_stopped_has_its_true_time() {
    undisturbed(|| {
        // With the shorter wait it is known that the client stood still; with the longer it might be the path.
        for wait in ["-W 10", "-W 0.6"] {
            for (options, stamps) in [("", true), ("--plain", false), ("-i 0", true), ("-i 0 --plain", false)] {
                one_of_five(|| {
                    let out = stopped_with(&format!("{wait} {options} --format json"), stamps)?;
                    let reply = out.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
                    let reply = reply.into_iter().find(|object| object["event"] == "reply").unwrap();
                    let summary = last_object(&out);
                    for time in [&reply["rtt_ns"], &summary["rtt_ns"]["max"], &summary["response_ns"]["max"]] {
                        let time = time.as_f64().ok_or_else(|| format!("no time: {out:?}"))?;
                        if time > STOPPED.as_nanos() as f64 / 2.0 {
                            return Err(format!("{wait} {options}: {out:?}"));
                        }
                    }
                    Ok(())
                });
            }
            one_of_five(|| {
                let out = stopped_with(wait, true)?;
                let time = out.iter().find_map(|line| line.split_once("seq=1 time=")).ok_or("no time")?.1;
                let time: f64 = time.trim_end_matches(" ms").parse().unwrap();
                if time < STOPPED.as_millis() as f64 / 2.0 { Ok(()) } else { Err(format!("{wait}: {out:?}")) }
            });
        }
    });
}

/// A port that owes nothing is not asked for more; one that owes an answer is, whatever else came before it.
#[test]
fn a_closed_loop_takes_in_all_answers_in_whatever_order_and_number_they_come() {
    undisturbed(|| {
        for flows in [1, 2, 8] {
            let far = stamping(move |number| match number % 7 {
                1 if number < 1900 => Fate::Twice,
                // What is out alone is overtaken by nothing.
                3 if number < 1900 && flows > 1 => Fate::Overtaken,
                _ => Fate::Answered,
            });
            let ended = run(client_to(far, &format!("--ping -u -i 0 -c 2000 -W 15 -q --flows {flows} --format json")));
            let summary = last_object(&ended.out);
            assert_eq!(
                (&summary["acknowledged"], &summary["lost"]),
                (&2000.into(), &0.into()),
                "{summary} {:?}",
                ended.err
            );
            assert_eq!(summary["duplicated"], 272, "{summary}");
        }
    });
}

/// How many datagrams the kernel has dropped at this address, by its own table.
#[cfg(target_os = "linux")]
fn dropped_at(address: std::net::SocketAddr) -> u64 {
    let table = std::fs::read_to_string("/proc/net/udp").unwrap();
    let line = table.lines().find(|line| line.contains(&format!(": {} ", in_tables(address)))).unwrap();
    line.split_whitespace().last().unwrap().parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn what_found_no_room_in_our_own_receive_buffer_is_said_to_be_no_fault_of_the_path() {
    undisturbed(|| {
        let far = UdpSocket::bind((private_loopback(), 0)).unwrap();
        let own = std::net::SocketAddr::new(private_loopback(), 0);
        let address = far.local_addr().unwrap();
        let client = client_to(address, &format!("--ping -u -q -i 0.2 -W 30 -I {}", own.ip()));
        let mut client = client.start();
        let mut probe = [0; 100];
        let mut hear = || (far.recv_from(&mut probe).unwrap().1, stamp(&probe, 1, 1, 1));
        let (from, answer) = hear();
        far.send_to(&answer, from).unwrap();
        // Only the port that stays has the large buffer.
        let (from, mut answer) = hear();
        client.stop();
        answer[63] = 2;
        while dropped_at(from) == 0 {
            (0..1000).for_each(|_| drop(far.send_to(&answer, from)));
        }
        let dropped = dropped_at(from);
        client.resume();
        client.signal(SIGINT);
        let ended = end_of(&mut client);
        let said = format!("datagrams that found no room in this client's receive buffer: {dropped};");
        assert!(ended.complaint().contains(&said), "{said} {:?}", ended.err);
    });
}
