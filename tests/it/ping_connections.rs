//! `--ping` and connections that are cut, servers that come and go, addresses, and flows.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::Signal::SIGTERM;
use socket2::{Domain, Socket, Type};

use crate::client_names::several;
use crate::harness::{
    Ended, FarTcp, FarUdp, Input, Launch, Mute, Process, ack, calm, client_to, closed_port, end_of, heard, in_tables,
    last_object, number, one_of_five, private_loopback, run, server, sooner_than, tcp_service, timed, udp_service,
    undisturbed, wait_until,
};

/// How many lines of stderr say this. A busy machine may have more to say.
fn told(ended: &Ended, what: &str) -> usize {
    ended.err.iter().filter(|line| line.contains(what)).count()
}

#[test]
fn a_connection_that_ends_with_a_probe_in_flight_loses_it_and_says_why() {
    undisturbed(|| {
        for (end, reason) in
            [("close", "closed"), ("reset", "reset"), ("idle timeout", "idle timeout"), ("NACK", "wrong answer")]
        {
            let far = FarTcp::new();
            let mut client = client_to(far.address(), "--ping -c 2 -i 0.1").start();
            let mut caller = far.accept();
            caller.expect("hello");
            match end {
                "close" => caller.close_with(""),
                "reset" => caller.reset(),
                word => caller.close_with(word),
            }
            far.accept().answer("hello", "ACK");
            let ended = end_of(&mut client);
            assert_eq!(ended.code, 1);
            let name = far.address();
            assert_eq!(ended.out[1], format!("no ACK from {name}: seq=1 lost ({reason})"));
            assert!(ended.out[2].starts_with(&format!("ACK from {name}: seq=2 ")), "{:?}", ended.out);
            assert!(ended.out[5].starts_with("2 sent, 1 acknowledged, 1 lost (50%), 0 late, "), "{:?}", ended.out);
        }
    });
}

#[test]
fn a_connection_that_ends_between_probes_loses_nothing() {
    undisturbed(|| {
        for (end, reason) in [("", "closed"), ("reset", "reset"), ("idle timeout", "idle timeout")] {
            let far = FarTcp::new();
            let mut client = client_to(far.address(), "--ping -c 2 -i 0.3").start();
            let mut caller = far.accept();
            caller.answer("hello", "ACK");
            client.stdout.find("the reply", |line| line.contains("seq=1 "));
            if end == "reset" {
                caller.reset();
            } else {
                caller.close_with(end);
            }
            client.stderr.find("a word of it", |line| line.contains("between probes") && line.contains(reason));
            far.accept().answer("hello", "ACK");
            let ended = end_of(&mut client);
            assert_eq!((ended.code, told(&ended, "between probes")), (0, 1), "{:?}", ended.err);
            assert!(ended.out[5].starts_with("2 sent, 2 acknowledged, 0 lost (0%), 0 late, "), "{:?}", ended.out);
        }
    });
}

#[test]
fn a_far_end_that_closes_each_time_does_not_flood_stderr() {
    undisturbed(|| {
        let far = tcp_service(|mut stream| {
            heard(&mut stream);
            ack(&mut stream);
        });
        let ended = calm(|| client_to(far, "--ping -q -c 40 -i 0.01"));
        let counted = ended.err.iter().find(|line| line.contains("flows that were cut between probes, and replaced: "));
        let cuts = number(counted.unwrap_or_else(|| panic!("{:?}", ended.err)), "replaced: ");
        assert_eq!((ended.code, told(&ended, "was cut between probes")), (0, 8), "{:?}", ended.err);
        assert!((9.0..=40.0).contains(&cuts), "{:?}", ended.err);
    });
}

#[test]
fn a_connection_that_stood_while_the_client_was_stopped_took_nobody_knows_how_long() {
    undisturbed(|| {
        one_of_five(|| {
            let mute = Mute::on((private_loopback(), 0).into());
            let launch = client_to(mute.address(), "--ping -c 1 -w 0.5 -W 20 --format json");
            let (mut client, mut admitted) = one_that_is_let_in_late(launch, mute, Process::stop);
            client.resume();
            assert!(heard(&mut admitted));
            ack(&mut admitted);
            let ended = end_of(&mut client);
            let summary = last_object(&ended.out);
            let unknown = summary["acknowledged"] == 1 && summary["connect_ns"].is_null();
            if unknown { Ok(()) } else { Err((summary, ended.err)) }
        });
    });
}

/// A client whose attempt to connect the system does not answer before it tries again, a second later; and that attempt,
/// once `meanwhile` is done.
#[track_caller]
fn one_that_is_let_in_late(launch: Launch, mute: Mute, meanwhile: impl Fn(&Process)) -> (Process, TcpStream) {
    let there = in_tables(mute.address());
    let attempts = || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        table.lines().filter(|line| line.contains(&format!(" {there} 02 "))).count()
    };
    let others = attempts();
    let client = launch.start();
    wait_until("its attempt", || (attempts() > others).then_some(()));
    meanwhile(&client);
    let admitted = mute.admit();
    (client, admitted)
}

#[test]
fn a_connection_took_as_long_as_it_took_however_many_probes_joined_it() {
    undisturbed(|| {
        let mute = Mute::on((private_loopback(), 0).into());
        let launch = client_to(mute.address(), "--ping -c 100 -i 0.02 -W 20 --framing lines --format json");
        let (mut client, mut admitted) = one_that_is_let_in_late(launch, mute, |_| {});
        let mut read = BufReader::new(admitted.try_clone().unwrap());
        let mut line = String::new();
        while read.read_line(&mut line).is_ok_and(|len| len > 0) {
            let _ = admitted.write_all(b"ACK\n");
        }
        let ended = end_of(&mut client);
        let summary = last_object(&ended.out);
        assert_eq!((ended.code, &summary["acknowledged"]), (0, &100.into()), "{summary} {:?}", ended.err);
        assert!(summary["connect_ns"].as_f64().is_some_and(|connected| connected > 5e8), "{summary}");
    });
}

/// Among several addresses the connection is made before the first probe is due: all may be told in one event.
#[test]
fn what_a_full_server_says_with_its_connection_is_why_the_probe_is_lost() {
    undisturbed(|| {
        let Some((names, addresses)) = several("told-at-once", 2) else { return };
        let launch = names.client(&format!("several {} --ping -c 1 -W 5", addresses[0].port()));
        let mute = Mute::on(addresses[0]);
        let (mut client, mut admitted) = one_that_is_let_in_late(launch, mute, Process::stop);
        admitted.write_all(b"server is full").unwrap();
        admitted.shutdown(Shutdown::Write).unwrap();
        client.resume();
        let ended = end_of(&mut client);
        let lost = ended.out.iter().find(|line| line.contains("seq=1 lost"));
        assert!(lost.is_some_and(|line| line.ends_with("lost (server is full)")), "{:?} {:?}", ended.out, ended.err);
    });
}

#[test]
fn what_a_far_end_never_reads_is_kept_no_longer_than_its_answer_is_awaited() {
    undisturbed(|| {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.set_recv_buffer_size(4096).unwrap();
        listener.bind(&SocketAddr::new(private_loopback(), 0).into()).unwrap();
        listener.listen(128).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let words = "--ping --framing length -s 65536 -i 0.0005 -W 0.4";
        let client = client_to(address, words).start();
        client.stdout.find("many losses", |line| line.contains("seq=8000 lost"));
        let peak = client.proc().peak();
        assert!(peak < 80 << 20, "{peak} bytes");
    });
}

#[test]
fn an_acknowledgement_that_comes_with_the_end_counts() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut client = client_to(far.address(), "--ping -c 2 -i 0.1").start();
        for _ in 0..2 {
            let mut caller = far.accept();
            caller.expect("hello");
            caller.close_with("ACK");
        }
        assert_eq!(end_of(&mut client).code, 0);
    });
}

#[test]
fn a_server_that_is_started_anew_is_found_again() {
    undisturbed(|| {
        for option in ["-t", "-u"] {
            let ip = private_loopback();
            let first = server(&format!("{option} --host {ip}"));
            let address = if option == "-t" { first.tcp() } else { first.udp() };
            let mut client = client_to(address, &format!("--ping -i 0.02 -c 60 -W 0.5 --format json {option}")).start();
            client.stdout.find("a reply", |line| line.contains("\"seq\":10,"));
            first.signal(SIGTERM);
            client.stdout.find("a loss", |line| line.contains("\"lost\""));
            drop(first);
            let second = server(&format!("{option} --host {ip} -p {}", address.port()));
            let ended = end_of(&mut client);
            assert_eq!(ended.code, 1);
            let summary = last_object(&ended.out);
            let figure = |name: &str| summary[name].as_u64().unwrap();
            assert_eq!(figure("sent") + figure("unsent"), 60);
            assert_eq!(figure("acknowledged") + figure("lost"), figure("sent"), "{summary}");
            let counted =
                |event: &str| ended.out.iter().filter(|line| line.contains(&format!("\"{event}\""))).count() as u64;
            assert_eq!(
                (counted("reply"), counted("lost")),
                (figure("acknowledged"), figure("lost") + 1),
                "one is the summary's"
            );
            let last = &ended.out[ended.out.len() - 2];
            assert!(last.contains("\"reply\"") && last.contains(&format!("\"seq\":{},", figure("sent"))), "{last}");
            drop(second);
        }
    });
}

#[test]
fn the_worst_flow_is_named_with_the_port_that_was_dropped() {
    undisturbed(|| {
        let dropped = Arc::new(Mutex::new(None));
        let theirs = Arc::clone(&dropped);
        let far = udp_service(move |socket, _, from| {
            let bad = *theirs.lock().unwrap().get_or_insert(from);
            if bad != from {
                socket.send_to(b"check", from).unwrap();
            }
        });
        let ended = calm(|| {
            *dropped.lock().unwrap() = None;
            client_to(far, "--ping -u -q -c 40 -i 0.04 -W 0.8 --flows 4")
        });
        let port = dropped.lock().unwrap().unwrap().port();
        let worst = ended.out.last().unwrap();
        assert!(worst.starts_with(&format!("worst flow: source port {port}, ")), "{worst:?} is not about {port}");
        assert!(worst.contains(" sent, 1 lost, p50 0."), "{worst:?}");
        assert!(ended.out[2].starts_with("40 sent, 39 acknowledged, 1 lost (2.5%)"), "{:?}", ended.out);
    });
}

#[test]
fn where_none_loses_the_worst_flow_is_the_slowest() {
    undisturbed(|| {
        let slow = Arc::new(Mutex::new(None));
        let theirs = Arc::clone(&slow);
        let far = tcp_service(move |mut stream| {
            let bad = *theirs.lock().unwrap().get_or_insert(stream.peer_addr().unwrap());
            while heard(&mut stream) {
                if stream.peer_addr().is_ok_and(|peer| peer == bad) {
                    std::thread::sleep(Duration::from_millis(30));
                }
                ack(&mut stream);
            }
        });
        one_of_five(|| {
            let ended = calm(|| {
                *slow.lock().unwrap() = None;
                client_to(far, "--ping -q -c 40 -i 0.02 --flows 4")
            });
            let port = slow.lock().unwrap().unwrap().port();
            let worst = ended.out.last().unwrap();
            assert_eq!(ended.code, 0);
            let is_named = worst.starts_with(&format!("worst flow: source port {port}, "));
            let is_slow = worst.contains(" 0 lost, p50 ") && number(worst, "p50 ") > 30.0;
            // Another one may be held up for as long.
            if is_named && is_slow { Ok(()) } else { Err(worst.clone()) }
        });
    });
}

#[test]
fn flows_are_connections_or_source_ports_of_their_own() {
    undisturbed(|| {
        let sources = Arc::new(Mutex::new(Vec::<SocketAddr>::new()));
        let theirs = Arc::clone(&sources);
        let far = udp_service(move |socket, _, from| {
            theirs.lock().unwrap().push(from);
            socket.send_to(b"check", from).unwrap();
        });
        one_of_five(|| {
            sources.lock().unwrap().clear();
            assert_eq!(calm(|| client_to(far, "--ping -u -q -c 12 -i 0.02 --flows 4")).code, 0);
            let mut sources = std::mem::take(&mut *sources.lock().unwrap());
            // An answer that takes longer than four intervals finds another port in the place of its own.
            let in_turn = sources.len() == 12 && sources[..4] == sources[4..8];
            sources.sort_unstable();
            sources.dedup();
            if in_turn && sources.len() == 4 { Ok(()) } else { Err(sources) }
        });

        // The same of an ACK and another connection.
        one_of_five(|| {
            let server = server("-t");
            assert_eq!(calm(|| client_to(server.tcp(), "--ping -q -c 12 -i 0.02 --flows 4")).code, 0);
            match server.stdout.so_far().iter().filter(|line| line.ends_with(" connected")).count() {
                4 => Ok(()),
                other => Err(other),
            }
        });
    });
}

#[test]
fn many_flows_raise_the_limit_on_descriptors_themselves() {
    undisturbed(|| {
        let server = server("-u");
        let launch = || client_to(server.udp(), "--ping -u -q -c 400 -i 0.001 --flows 400");
        let ended = calm(|| launch().through_shell("ulimit -S -n 256; exec \"$0\" \"$@\""));
        assert_eq!(ended.code, 0, "{:?} {:?}", ended.out, ended.err);
    });
}

#[test]
fn tcp_goes_on_to_the_address_that_accepts() {
    undisturbed(|| {
        let Some((names, addresses)) = several("ping-tcp", 2) else { return };
        let server = server(&format!("-t --host {} -p {}", addresses[1].ip(), addresses[1].port()));
        let ended = calm(|| names.client(&format!("several {} --ping -c 2 -i 0.01", server.tcp().port())));
        assert_eq!((ended.code, told(&ended, "cannot connect")), (0, 1), "{:?}", ended.err);
        assert!(ended.err[0].contains(&addresses[0].to_string()), "{:?}", ended.err);
        assert!(ended.out[1].starts_with(&format!("ACK from {}: seq=1 ", addresses[1])), "{:?}", ended.out);
    });
}

#[test]
fn udp_goes_on_to_the_address_that_answers() {
    let Some((names, addresses)) = several("ping-udp", 3) else { return };
    let _silent = FarUdp::on(addresses[1]);
    let server = server(&format!("-u --host {} -p {}", addresses[2].ip(), addresses[2].port()));
    sooner_than(Duration::from_secs(2), || {
        let launch = names.client(&format!("several {} --ping -u -c 2 -i 0.01", server.udp().port()));
        let (ended, took) = timed(|| run(launch));
        assert_eq!((ended.code, told(&ended, "cannot connect")), (0, 2), "{:?}", ended.err);
        assert!(ended.out[1].starts_with(&format!("check from {}: seq=1 ", addresses[2])), "{:?}", ended.out);
        // The run begins when an address has answered.
        assert!(ended.out[5].starts_with("2 sent, 2 acknowledged, 0 lost (0%), 0 late, "), "{:?}", ended.out);
        assert!(ended.out[5].ends_with(" s") && !ended.out[5].contains(", 1."), "{:?}", ended.out);
        assert!(took > Duration::from_secs(1), "{took:?}");
        took
    });
}

#[test]
fn the_first_of_several_udp_addresses_that_answers_is_the_one() {
    undisturbed(|| {
        let Some((names, addresses)) = several("ping-one", 2) else { return };
        let server = server(&format!("-u --host {} -p {}", addresses[0].ip(), addresses[0].port()));
        let ended = calm(|| names.client(&format!("several {} --ping -u -c 2 -i 0.01", server.udp().port())));
        assert_eq!((ended.code, told(&ended, "connect")), (0, 0), "{:?}", ended.err);
        assert!(ended.out[1].starts_with(&format!("check from {}: seq=1 ", addresses[0])), "{:?}", ended.out);
    });
}

#[test]
fn a_refused_probe_over_tcp_is_lost_once_and_the_run_goes_on() {
    undisturbed(|| {
        let address = closed_port(private_loopback());
        let far = FarTcp::on(address);
        let mut client = client_to(address, "--ping -c 4 -i 0.1").stdin(Input::Null).start();
        let mut caller = far.accept();
        caller.expect("hello");
        drop(far);
        caller.close_with("ACK");
        let ended = end_of(&mut client);
        assert_eq!(ended.code, 1);
        for (line, seq) in ended.out[2..5].iter().zip(2..=4) {
            assert_eq!(line, &format!("no ACK from {address}: seq={seq} lost (refused)"));
        }
        assert_eq!(number(&ended.out[7], "acknowledged, "), 3.0, "{:?}", ended.out);
    });
}

#[test]
fn an_answer_that_nothing_asked_for_ends_its_flow_so_that_it_is_nobody_elses() {
    undisturbed(|| {
        let far = FarUdp::new();
        let mut client = client_to(far.address(), "--ping -u --plain -c 2 -i 0.3").start();
        let first = far.answer("hello", "check");
        far.say(first, "check");
        let second = far.expect("hello");
        assert_ne!(first, second, "another port, so what the first still brings is no answer to this probe");
        far.say(second, "check");
        let ended = end_of(&mut client);
        assert_eq!(ended.code, 0, "{:?}", ended.out);
        assert!(ended.complaint().contains("acknowledgements that no probe waited for: 1"), "{:?}", ended.err);

        let far = FarTcp::new();
        let mut client = client_to(far.address(), "--ping -c 2 -i 0.3").start();
        let mut caller = far.accept();
        caller.answer("hello", "ACKACK");
        caller.expect_end();
        far.accept().answer("hello", "ACK");
        assert_eq!(client.wait_exit(), 0);
    });
}

#[test]
fn a_probe_whose_connection_never_stands_is_lost() {
    undisturbed(|| {
        // The backlog takes one: the second flow's attempt is never answered.
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::new(private_loopback(), 0).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let ended = calm(|| client_to(address, "--ping -c 2 -i 0.4 -W 0.3 --flows 2"));
        assert_eq!(ended.code, 1);
        assert!(ended.out.iter().any(|line| line.ends_with("seq=2 lost (no connection in time)")), "{:?}", ended.out);
    });
}

#[test]
fn a_full_server_is_why_each_probe_is_lost() {
    undisturbed(|| {
        let server = server("-t --max-connections 1");
        let _client = server.client();
        // It may say so before the client has looked at its connection, or after.
        let ended = calm(|| client_to(server.tcp(), "--ping -c 20 -i 0"));
        let lost = ended.out.iter().filter(|line| line.ends_with(" lost (server is full)")).count();
        assert_eq!((ended.code, lost), (1, 20), "{:?} {:?}", ended.out, ended.err);
    });
}
