//! UDP: forged senders, loops of replies, errors of the network, and bursts while nobody looks.

use std::net::UdpSocket;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal::SIGTERM;

use crate::harness::{
    ServerBuilder, can_be_shut_in, client_under_test, have, output, private_loopback, server, server_under_test,
    skipped, undisturbed, wait_until,
};

#[test]
fn forged_senders_start_no_loop_and_harm_nobody() {
    forge(&["own_address", "source_port_0", "odd_sources", "two_servers", "icmp_storm"]);
}

#[test]
fn forged_senders_for_whom_nobody_answers_keep_nobody_from_being_answered() {
    forge(&["nobody_on_link"]);
}

#[test]
fn answers_that_find_no_room_are_dropped_and_receiving_goes_on() {
    forge(&["no_room"]);
}

#[test]
fn forged_news_of_what_was_answered_or_never_sent_changes_nothing_in_any_mode() {
    play("news.py", &client_under_test(), &["ping", "chat", "verdict", "find_idle"]);
}

#[test]
fn news_of_one_probe_loses_that_one_alone() {
    play("news.py", &client_under_test(), &["one_is_true"]);
}

/// Plays these scenes of `forge.py`.
#[track_caller]
fn forge(scenes: &[&str]) {
    play("forge.py", &server_under_test(), scenes);
}

/// Has a script play scenes with a program.
#[track_caller]
fn play(script: &str, program: &str, scenes: &[&str]) {
    // Forging takes a raw socket: in a namespace of our own everybody may have one.
    if !can_be_shut_in() || !have("python3") {
        return;
    }
    let script = format!("{}/tests/faults/{script}", env!("CARGO_MANIFEST_DIR"));
    undisturbed(|| {
        let forged = output(Command::new("unshare").args(["-Urn", "python3", &script, program]).args(scenes)).unwrap();
        let (said, complained) = (String::from_utf8_lossy(&forged.stdout), String::from_utf8_lossy(&forged.stderr));
        print!("{said}");
        assert!(forged.status.success(), "{said}{complained}");
        said.lines().filter_map(|line| line.strip_prefix("skipped: ")).for_each(skipped);
    });
}

#[test]
fn a_burst_of_2000_into_a_second_of_stall_loses_nothing() {
    undisturbed(|| {
        const BURST: usize = 2000;
        const PEERS: usize = 20;
        let mut server = ServerBuilder::new("-u -q").operated().start();
        let peers: Vec<_> = (0..PEERS).map(|_| server.peer()).collect();
        server.stop();
        for number in 0..BURST {
            peers[number % PEERS].send([b'x'; 64]);
        }
        thread::sleep(Duration::from_secs(1));
        server.resume();
        for number in 0..BURST {
            peers[number % PEERS].expect("check");
        }
        let counts = (server.stat("datagrams_in"), server.stat("datagrams_out"), server.stat("unanswered"));
        println!("{BURST} datagrams of 64 bytes into a second of stall: in/out/unanswered {counts:?}, 0 lost");
        assert_eq!(counts, (BURST as f64, BURST as f64, 0.0));
    });
}

#[test]
fn a_burst_that_waits_at_sigterm_is_answered_whole() {
    undisturbed(|| {
        const BURST: usize = 1500;
        const PEERS: usize = 15;
        let mut server = server("-u -q");
        let peers: Vec<_> = (0..PEERS).map(|_| server.peer()).collect();
        server.stop();
        for number in 0..BURST {
            peers[number % PEERS].send([b'x'; 64]);
        }
        server.signal(SIGTERM);
        server.resume();
        for number in 0..BURST {
            peers[number % PEERS].expect("check");
        }
        for peer in &peers {
            peer.expect("server is shutting down");
        }
        println!("{BURST} datagrams that waited at SIGTERM were answered, then {PEERS} peers told");
        assert_eq!(server.wait_exit(), 0);
    });
}

#[test]
fn a_thousand_peers_that_close_before_the_answer_cost_nobody_a_reply() {
    let mut server = ServerBuilder::new("-u -q").operated().start();
    let bystander = server.peer();
    for _ in 0..1000 {
        // The answer finds a closed port, and the system says so to the server.
        server.peer().send("gone");
        bystander.check("hello");
    }
    wait_until("the account", || (server.stat("datagrams_in") == 2000.0).then_some(()));
    let (out, unanswered) = (server.stat("datagrams_out"), server.stat("unanswered"));
    println!(
        "1000 peers were gone before their answer: {out} answers, {unanswered} unanswered; a bystander lost 0 of 1000"
    );
    assert_eq!(out + unanswered, 2000.0);
}

#[test]
fn the_shortest_and_the_longest_datagrams_waiting_together_are_each_answered_once() {
    undisturbed(|| {
        let server = server("-u -q");
        let peers: Vec<_> = (0..4).map(|_| server.peer()).collect();
        server.stop();
        for peer in &peers {
            peer.send("");
            peer.send(vec![b'x'; 65507]);
            peer.send("");
        }
        server.resume();
        for peer in &peers {
            for _ in 0..3 {
                peer.expect("check");
            }
            peer.check("");
            peer.expect_nothing_yet();
        }
    });
}

#[test]
fn a_third_party_cannot_answer_a_client_or_break_its_wait() {
    undisturbed(|| {
        let far = UdpSocket::bind((private_loopback(), 0)).unwrap();
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        far.set_read_timeout(Some(crate::harness::DEADLINE)).unwrap();
        let address = far.local_addr().unwrap().to_string();
        let mut client = crate::harness::Launch::client(&["-u", &address, "-m", "hello"]).start();
        let mut buffer = [0; 100];
        let (_, peer) = far.recv_from(&mut buffer).unwrap();
        for lie in ["check", "server is shutting down", ""] {
            stranger.send_to(lie.as_bytes(), peer).unwrap();
        }
        thread::sleep(Duration::from_millis(50));
        assert!(client.is_running(), "it believed a stranger");
        far.send_to(b"check", peer).unwrap();
        assert_eq!(client.wait_exit(), 0);
    });
}
