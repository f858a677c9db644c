//! Restarts under load: with passed sockets and a drain nothing is lost at all, with a shared port nothing that was
//! acknowledged.

use std::collections::HashMap;
use std::time::Duration;

use nix::sys::signal::Signal::SIGTERM;

use crate::harness::{DEADLINE, Held, Server, private_loopback, server, undisturbed, wait_until};
use crate::load::{Account, Load};

const RESTARTS: usize = 5;

/// How often each message stands in the transcripts.
fn told(transcripts: &[Vec<String>]) -> HashMap<&str, usize> {
    let mut told = HashMap::new();
    for line in transcripts.iter().flatten() {
        assert!(!line.contains("lines dropped"), "this machine is too busy to hold the transcript");
        if let Some((_, text)) = line.split_once(" sent: ").or_else(|| line.split_once(" sent a datagram: ")) {
            *told.entry(text).or_default() += 1;
        }
    }
    told
}

/// Waits until there is work for this server.
fn wait_for_work(server: &Server) {
    let told = |word: &str| server.stdout.so_far().iter().filter(|line| line.contains(word)).count();
    wait_until("work", || (told(" sent: ") > 30 && told(" sent a datagram: ") > 30).then_some(()));
}

#[track_caller]
fn expect_exit(mut server: Server) -> Vec<String> {
    assert_eq!(server.wait_exit(), 0);
    server.stdout.to_end()
}

#[test]
fn with_passed_sockets_and_a_drain_nothing_is_lost() {
    let held = Held::new();
    let loads = [Load::tcp, Load::udp].map(|load| load(held.address(), DEADLINE));
    let mut transcripts = Vec::new();
    for round in 0..RESTARTS {
        let server = held.server("--drain 10").start();
        wait_for_work(&server);
        server.signal(SIGTERM);
        if round % 2 == 0 {
            // The next one comes when this one has gone.
            transcripts.push(expect_exit(server));
        } else {
            // Or before.
            let next = held.server("--drain 10").start();
            transcripts.push(expect_exit(server));
            wait_for_work(&next);
            next.signal(SIGTERM);
            transcripts.push(expect_exit(next));
        }
    }
    let last = held.server("").start();
    let [tcp, udp] = loads.map(Load::end);
    last.signal(SIGTERM);
    transcripts.push(expect_exit(last));
    for account in [&tcp, &udp] {
        let Account { refused, cut, lost, goodbyes, .. } = account;
        assert_eq!((refused, cut, lost, goodbyes), (&0, &0, &0, &0));
    }
    let told = told(&transcripts);
    for message in tcp.acknowledged.iter().chain(&udp.acknowledged) {
        assert_eq!(told.get(message.as_str()), Some(&1), "{message}");
    }
    assert_eq!(told.len(), tcp.acknowledged.len() + udp.acknowledged.len());
}

#[test]
fn with_a_shared_port_nothing_that_was_acknowledged_is_lost() {
    undisturbed(|| {
        let at = format!("--reuse-port --drain 0.3 --host {}", private_loopback());
        let mut current = server(&at);
        let loads = [Load::tcp, Load::udp].map(|load| load(current.tcp(), Duration::from_secs(2)));
        let at = format!("{at} -p {}", current.tcp().port());
        let mut transcripts = Vec::new();
        for _ in 0..RESTARTS {
            wait_for_work(&current);
            let next = server(&at);
            current.signal(SIGTERM);
            transcripts.push(expect_exit(std::mem::replace(&mut current, next)));
        }
        let [tcp, udp] = loads.map(Load::end);
        current.signal(SIGTERM);
        transcripts.push(expect_exit(current));
        let told = told(&transcripts);
        for message in tcp.acknowledged.iter().chain(&udp.acknowledged) {
            assert_eq!(told.get(message.as_str()), Some(&1), "{message}");
        }
    });
}
