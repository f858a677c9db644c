//! `--ping` follows a name that moves, and no resolver stops its clock.

use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use nix::sys::signal::Signal::SIGINT;
use serde_json::Value;

use crate::harness::{
    Ended, Names, Namespace, Process, Scratch, Server, closed_port, end_of, last_object, private_loopback, run, server,
    undisturbed, wait_until,
};

/// Two addresses, and a port that is free at both.
fn two() -> [SocketAddr; 2] {
    let first = closed_port(private_loopback());
    [first, SocketAddr::new(private_loopback(), first.port())]
}

fn server_at(address: SocketAddr, options: &str) -> Server {
    server(&format!("-q --host {} -p {} {options}", address.ip(), address.port()))
}

/// A run that is answered by `old`, then finds the name at `new`, where it is answered; `words` tell it how.
fn moved(test: &str, words: &str, options: &str) -> Option<([SocketAddr; 2], Ended)> {
    let [old, new] = two();
    let names = Names::several(test, &[old.ip()])?;
    let first = server_at(old, options);
    let mut client = names.client(&format!("several {} --ping -i 0.05 -W 0.3 {words}", old.port())).start();
    client.stdout.find("an answer of the first", |line| line.contains(&old.to_string()) && line.contains("seq"));
    let second = server_at(new, options);
    names.move_to(&[new.ip()]);
    drop(first);
    let is_answer = |line: &str| line.contains(" from ") || line.contains("\"reply\"");
    client.stdout.find("an answer of the second", |line| is_answer(line) && line.contains(&new.to_string()));
    expect_no_child(&client);
    client.signal(SIGINT);
    let ended = end_of(&mut client);
    drop(second);
    Some(([old, new], ended))
}

/// Whoever asked the resolver is gone, and reaped.
fn expect_no_child(client: &Process) {
    let children = format!("/proc/{0}/task/{0}/children", client.id());
    wait_until("no child is left", || {
        fs::read_to_string(&children).is_ok_and(|ids| ids.trim().is_empty()).then_some(())
    });
}

#[test]
fn the_run_goes_on_at_the_new_address_and_says_so_once() {
    undisturbed(|| {
        for (number, (words, options)) in [
            ("-u", "-u"),
            ("-u --plain", "-u"),
            ("-u --flows 3 -D", "-u"),
            ("-t", "-t"),
            ("-t --framing lines", "-t --framing lines"),
        ]
        .into_iter()
        .enumerate()
        {
            let Some(([old, new], ended)) = moved(&format!("moves-{number}"), words, options) else { return };
            let said = format!("reactor-client: {} is now {}", old.ip(), new.ip());
            let news: Vec<_> = ended.err.iter().filter(|line| line.contains(" is now ")).collect();
            assert_eq!(news, [&said], "{words}");
            // Each line names whom its probe went to: first the old one alone, in the end the new one.
            let told: Vec<&String> = ended.out.iter().filter(|line| line.contains("seq=")).collect();
            assert!(told[0].contains(&old.to_string()) && told.last().unwrap().contains(&new.to_string()), "{told:?}");
            assert!(
                told.iter().any(|line| line.contains(&format!("from {old}: ")) && line.contains("lost")),
                "{told:?}"
            );
            // One account over both.
            let figures = ended.out.iter().find(|line| line.contains(" sent, ")).unwrap();
            let numbers: Vec<usize> = figures.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
            let answers = told.iter().filter(|line| line.contains("time=") && !line.contains("late")).count();
            let lost = told.iter().filter(|line| line.contains(" lost (")).count();
            assert_eq!(numbers[1..3], [answers, lost], "{words}: {figures}");
            assert_eq!(ended.code, 1, "{words}");
        }
    });
}

#[test]
fn json_tells_the_name_and_the_address_and_every_loss_has_its_leg_or_none() {
    undisturbed(|| {
        let Some(([_, new], ended)) = moved("moves-json", "-u --format json", "-u") else { return };
        let objects: Vec<Value> = ended.out.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let resolved: Vec<&Value> = objects.iter().filter(|object| object["event"] == "resolved").collect();
        assert_eq!(resolved.len(), 1);
        assert_eq!((&resolved[0]["name"], &resolved[0]["address"]), (&"several".into(), &new.to_string().into()));
        let summary = last_object(&ended.out);
        let figure = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("{name} in {summary}"));
        let legs = figure("lost_there") + figure("lost_back") + figure("lost_unknown") + figure("late");
        assert_eq!(legs, figure("lost"), "{summary}");
        assert_eq!(figure("acknowledged") + figure("lost") + figure("in_flight"), figure("sent"), "{summary}");
    });
}

#[test]
fn an_address_that_is_still_among_the_answers_is_kept() {
    undisturbed(|| {
        let [old, other] = two();
        let Some(names) = Names::several("stays", &[old.ip()]) else { return };
        let first = server_at(old, "-u");
        let mut client = names.client(&format!("several {} --ping -u -i 0.05 -W 0.3", old.port())).start();
        client.stdout.find("an answer", |line| line.contains("time="));
        names.move_to(&[other.ip(), old.ip()]);
        drop(first);
        // It asks with the second loss, and has its answer long before the twentieth.
        wait_until("twenty losses", || {
            (client.stdout.so_far().iter().filter(|line| line.contains("lost (refused)")).count() >= 20).then_some(())
        });
        let mark = client.stdout.count();
        let _again = server_at(old, "-u");
        client.stdout.find_after(mark, "an answer again", |line| line.contains("time="));
        client.signal(SIGINT);
        let ended = end_of(&mut client);
        assert!(!ended.complaint().contains("is now"), "{:?}", ended.err);
    });
}

/// A namespace with these host names, where a resolver that is asked for others says nothing.
pub(crate) fn with_a_silent_resolver(test: &str, hosts: &str) -> Option<(Scratch, Scratch, Namespace)> {
    let hosts = Scratch::file(&format!("hosts-{test}"), hosts);
    // What is sent there, nobody takes.
    let resolver = Scratch::file(&format!("resolv-{test}"), "nameserver 10.99.0.1\noptions timeout:30\n");
    let set_up = format!(
        "ip link add void type veth peer name deaf
         ip link set deaf up
         ip link set void up
         ip address add 10.99.0.2/24 dev void
         ip neighbour add 10.99.0.1 lladdr 02:00:00:00:00:01 dev void
         mount --bind {} /etc/hosts
         mount --bind {} /etc/resolv.conf",
        hosts.0.display(),
        resolver.0.display()
    );
    let namespace = Namespace::new(&set_up)?;
    Some((hosts, resolver, namespace))
}

/// A name that is nowhere any more, or a resolver that is silent: nothing waits for it, and all that is due is sent.
#[test]
fn a_resolver_that_does_not_answer_stops_nothing() {
    undisturbed(|| {
        let Some((hosts, _resolver, namespace)) = with_a_silent_resolver("silent", "127.0.0.1 several\n") else {
            return;
        };
        let mut client = namespace.client("several 6666 --ping -u -c 14 -i 0.5 -W 0.2 --format json").start();
        // With the first loss it was resolved long ago; with the second it is asked for again.
        client.stdout.find("the first loss", |line| line.contains("\"lost\""));
        fs::write(&hosts.0, "").unwrap();
        let ended = end_of(&mut client);
        let silent = "reactor-client: the name cannot be asked for again: no resolver answers within 5 s";
        assert_eq!((ended.code, ended.err), (1, vec![silent.to_owned()]));
        let summary = last_object(&ended.out);
        let figures = ["sent", "lost", "unsent"].map(|name| summary[name].as_u64());
        assert_eq!(figures, [14, 14, 0].map(Some), "{summary}");
        assert!(summary["seconds"].as_f64().is_some_and(|seconds| seconds < 9.0), "{summary}");
    });
}

#[test]
fn the_child_prints_what_the_system_says() {
    let own: IpAddr = private_loopback();
    let Some(names) = Names::several("child", &[own]) else { return };
    let ended = run(names.client("--resolve several 7000"));
    assert_eq!((ended.code, ended.out), (0, vec![format!("{own}:7000")]), "{:?}", ended.err);
    let ended = run(names.client("--resolve -6 several 7000"));
    assert_eq!((ended.code, ended.out), (2, vec!["? it has no IPv6 address".to_owned()]), "{:?}", ended.err);
    let ended = run(names.client("--resolve=6 several 7000"));
    assert_eq!((ended.code, ended.out), (0, vec![format!("{own}:7000")]), "{:?}", ended.err);
}

/// From one port all probes are stamped, until a server shows that it knows no stamps: each server for itself.
#[test]
fn a_plain_server_that_takes_over_is_understood_from_one_port_too() {
    undisturbed(|| {
        let [old, new] = two();
        let Some(names) = Names::several("plain-port", &[old.ip()]) else { return };
        let first = server_at(old, "-u");
        let own = closed_port(private_loopback()).port();
        let words = format!("several {} --ping -u -i 0.05 -W 0.3 -I :{own}", old.port());
        let mut client = names.client(&words).start();
        client.stdout.find("an answer of the first", |line| line.contains("time="));
        let plain = UdpSocket::bind(new).unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((_, peer)) = plain.recv_from(&mut buffer) {
                let _ = plain.send_to(b"check", peer);
            }
        });
        names.move_to(&[new.ip()]);
        drop(first);
        let is_answer = |line: &str| line.starts_with(&format!("check from {new}: ")) && line.contains("time=");
        client.stdout.find("an answer of the second", is_answer);
        client.signal(SIGINT);
        let ended = end_of(&mut client);
        assert!(!ended.complaint().contains("no probe waited for it"), "{:?}", ended.err);
    });
}

/// Of several new addresses the first may be dead.
#[test]
fn an_address_that_never_answers_gives_its_turn_to_the_next() {
    undisturbed(|| {
        let [old, new] = two();
        let dead = private_loopback();
        let Some(names) = Names::several("dead-first", &[old.ip()]) else { return };
        let first = server_at(old, "-u");
        let mut client = names.client(&format!("several {} --ping -u -i 0.1 -W 0.3", old.port())).start();
        client.stdout.find("an answer of the first", |line| line.contains("time="));
        let _second = server_at(new, "-u");
        names.move_to(&[dead, new.ip()]);
        drop(first);
        let is_answer = |line: &str| line.starts_with(&format!("check from {new}: ")) && line.contains("time=");
        client.stdout.find("an answer of the second", is_answer);
        client.signal(SIGINT);
        let ended = end_of(&mut client);
        // The name has left the first address, but not the dead one.
        let news: Vec<_> = ended.err.iter().filter(|line| line.contains(&new.ip().to_string())).collect();
        assert_eq!(news, [&format!("reactor-client: {dead} has not answered: trying {} instead", new.ip())]);
        assert!(ended.err.contains(&format!("reactor-client: {} is now {dead}", old.ip())), "{:?}", ended.err);
    });
}

/// What was on its way when the name moved is lost by the old address, whoever answers meanwhile.
#[test]
fn each_line_names_whom_its_probe_went_to() {
    undisturbed(|| {
        let [old, new] = two();
        let Some(names) = Names::several("each-line", &[old.ip()]) else { return };
        let first = server_at(old, "-u");
        let mut client = names.client(&format!("several {} --ping -u -i 0.05 -W 0.5", old.port())).start();
        client.stdout.find("an answer of the first", |line| line.contains("time="));
        let _second = server_at(new, "-u");
        names.move_to(&[new.ip()]);
        first.stop();
        let begins = |line: &str, address: SocketAddr| line.contains(&format!("check from {address}: "));
        client.stdout.find("an answer of the second", |line| begins(line, new));
        let mark = client.stdout.count();
        client.stdout.find_after(mark, "a loss by the first", |line| begins(line, old) && line.contains("lost"));
        client.signal(SIGINT);
        end_of(&mut client);
    });
}
