//! Slots and deadlines are used again and again: nobody inherits anything from who was there before.

use std::time::Duration;

use crate::crowd::{Member, listen_to_the_end, listen_until};
use crate::harness::{ServerBuilder, server, undisturbed};
use crate::tools::halt;

#[test]
fn a_thousand_newcomers_are_never_taken_for_those_whose_place_they_take() {
    undisturbed(|| {
        const ROUNDS: usize = 1000;
        let mut server = ServerBuilder::new("-t --framing lines --grace 0.1 --idle-timeout 600").operated().start();
        let mut old = server.quiet_client();
        old.exchange(format!("I am {} to begin with\n", old.name()), "ACK\n");
        let (mut lingering, mut residents, mut closed) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            // One turn meets the command that frees a slot, who wants one, and the last events of who had it. Where that
            // ACK is still being acknowledged when the server halts, that is an event of the old one's, and is served
            // before the command.
            halt(&server);
            let by_itself = match round % 4 {
                0 => "reset",
                1 | 2 => "closed",
                _ => "operator",
            };
            closed.push((old.name(), by_itself));
            server.type_in(&format!("close {}\n", old.name()));
            let mut new = server.quiet_client();
            new.send(format!("I am {} of round {round}\n", new.name()));
            old.send(format!("I am {} and late\n", old.name()));
            lingering.clear();
            match round % 4 {
                0 => old.reset(),
                1 => drop(old),
                2 => old.finish_writing(),
                // It stays a round longer: its grace begins, and ends with it.
                _ => lingering.push(old),
            }
            server.resume();
            new.expect("ACK\n");
            if round % 10 == 0 {
                // Who stays for long would feel every deadline that is not its own.
                residents.push(std::mem::replace(&mut new, server.quiet_client()));
                new.exchange(format!("I am {} as well\n", new.name()), "ACK\n");
            }
            old = new;
        }
        std::thread::sleep(Duration::from_millis(300));
        for resident in &mut residents {
            resident.expect_nothing_yet();
            resident.exchange(format!("I am {} still\n", resident.name()), "ACK\n");
        }
        old.exchange(format!("I am {} at last\n", old.name()), "ACK\n");

        let (total, peak) = (server.stat("total"), server.stat("peak"));
        let lines = server.stdout.so_far();
        let mut told = 0;
        for (name, text) in lines.iter().filter_map(|line| line.split_once(" sent: ")) {
            assert!(text.starts_with(&format!("I am {name} ")), "{name} did not say {text:?}");
            told += usize::from(!text.ends_with(" and late"));
        }
        assert_eq!(told, ROUNDS + 2 * residents.len() + 2);
        let ended: Vec<_> =
            lines.iter().filter_map(|line| line.strip_suffix(')')?.split_once(" disconnected (")).collect();
        assert_eq!(ended.len(), closed.len());
        for (&(name, reason), (closed, by_itself)) in ended.iter().zip(&closed) {
            assert_eq!(name, closed);
            assert!(reason == "operator" || reason == *by_itself, "{name}: {reason} instead of {by_itself}");
        }
        let by_command = ended.iter().filter(|(_, reason)| *reason == "operator").count();
        println!(
            "{ROUNDS} rounds: {total} clients in {peak} places, {} stayed, {by_command} closed by the command, no mix-up",
            residents.len()
        );
        assert!(by_command > ROUNDS * 3 / 4, "the command came first {by_command} times");
        assert!(peak < 200.0, "hardly a place was used twice: {peak} of {total}");
    });
}

#[test]
fn deadlines_die_with_their_clients() {
    undisturbed(|| {
        stale_deadlines(4, 50);
    });
}

/// Bound: 20 s.
#[test]
#[ignore = "takes 20 s"]
fn a_thousand_deadlines_die_with_their_clients() {
    undisturbed(|| {
        stale_deadlines(20, 50);
    });
}

/// Clients leave at the brink of their deadline, in the very turn in which others come.
fn stale_deadlines(rounds: usize, crowd: usize) {
    const TIMEOUT: Duration = Duration::from_millis(400);
    const PATIENCE: Duration = Duration::from_secs(10);
    let server = server("-t -q --framing lines --idle-timeout 0.4 --grace 0.1");
    let (mut shortest, mut longest) = (Duration::MAX, Duration::ZERO);
    for _ in 0..rounds {
        let mut leaving: Vec<_> = (0..crowd).map(|_| Member::join(server.tcp())).collect();
        for member in &mut leaving {
            member.say(b"hello\n");
        }
        listen_until(&mut leaving, PATIENCE, |member| member.heard == b"ACK\n");
        std::thread::sleep(TIMEOUT / 2);
        halt(&server);
        std::thread::sleep(TIMEOUT / 2);
        drop(leaving);
        let mut coming: Vec<_> = (0..crowd).map(|_| Member::join(server.tcp())).collect();
        for member in &mut coming {
            member.say(b"hello\n");
        }
        server.resume();
        listen_to_the_end(&mut coming, PATIENCE);
        for member in &coming {
            assert_eq!(member.heard.escape_ascii().to_string(), "ACK\\nidle timeout\\n");
            shortest = shortest.min(member.silence());
            longest = longest.max(member.silence());
        }
    }
    println!(
        "{} clients in used places were cut after {shortest:?} to {longest:?}, allowed: {TIMEOUT:?}",
        rounds * crowd
    );
    assert!(shortest >= TIMEOUT, "cut by somebody else's deadline");
    assert!(longest < TIMEOUT + Duration::from_secs(2), "cut late");
}
