//! The three instruments over IPv6: the same words, the address in brackets.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::harness::{
    FarUdp, Launch, Names, Server, calm, client_to, closed_port, end_of, has_v6, last_object, number, run, server,
    shape, sooner_than, timed, undisturbed,
};

fn server_v6(args: &str) -> Server {
    server(&format!("--host ::1 {args}"))
}

fn far_v6() -> FarUdp {
    FarUdp::on((Ipv6Addr::LOCALHOST, 0).into())
}

#[test]
fn every_way_to_write_the_address_leads_to_the_same_verdicts() {
    undisturbed(|| {
        if !has_v6() {
            return;
        }
        let server = server_v6("");
        let (address, port) = (server.tcp(), server.tcp().port().to_string());
        assert_eq!(address.to_string(), format!("[::1]:{port}"));
        for words in [&["::1", &port][..], &[&format!("[::1]:{port}")], &["[::1]", &port], &["-6", "::1", &port]] {
            let ended = run(Launch::client(&[words, &["-ztu"]].concat()));
            let shapes: Vec<String> =
                ended.out.iter().map(|line| shape(&line.replace(&address.to_string(), "ADDRESS"))).collect();
            assert_eq!((ended.code, shapes), (0, vec!["tcp ADDRESS open 0 ms".into(), "udp ADDRESS open 0 ms".into()]));
        }
        let ended = run(client_to(address, "-zu --format json"));
        let verdict = last_object(&ended.out);
        assert_eq!(
            (&verdict["address"], &verdict["verdict"]),
            (&address.to_string().into(), &"open".into()),
            "{verdict}"
        );
    });
}

#[test]
fn a_family_that_the_address_is_not_of_could_not_be_tried() {
    undisturbed(|| {
        let ended = run(Launch::client(&["::1", "7", "-4", "-z"]));
        assert_eq!((ended.code, ended.out, ended.err.len()), (2, vec!["tcp [::1]:7 dns".to_owned()], 1));
        for instrument in [&["--ping"][..], &["--find-idle", "5"]] {
            let ended = run(Launch::client(&[&["::1", "7", "-4"], instrument].concat()));
            assert_eq!((ended.code, ended.out.len(), ended.err.len()), (2, 0, 1), "{:?}", ended.err);
        }
    });
}

#[test]
fn closed_and_silent_ports_have_their_words() {
    undisturbed(|| {
        if !has_v6() {
            return;
        }
        let closed = closed_port(Ipv6Addr::LOCALHOST.into());
        for (option, protocol) in [("-z", "tcp"), ("-zu", "udp")] {
            let ended = run(client_to(closed, option));
            assert_eq!((ended.code, ended.out), (1, vec![format!("{protocol} {closed} refused")]));
        }
        let far = far_v6();
        let ended = run(client_to(far.address(), "-zu -W 0.1"));
        assert_eq!((ended.code, ended.out), (1, vec![format!("udp {} silent", far.address())]));
    });
}

#[test]
fn probes_are_answered_and_counted() {
    undisturbed(|| {
        if !has_v6() {
            return;
        }
        let server = server_v6("");
        for (option, word) in [("-t", "ACK"), ("-u", "check")] {
            let ended = calm(|| client_to(server.tcp(), &format!("--ping -c 12 -i 0.01 --flows 3 {option}")));
            assert_eq!(ended.code, 0, "{:?} {:?}", ended.out, ended.err);
            let first = format!("{word} from {}: seq=1 time=", server.tcp());
            assert!(ended.out.iter().any(|line| line.starts_with(&first)), "{:?}", ended.out);
            let figures = ended.out.iter().find(|line| line.contains(" sent, ")).unwrap();
            assert!(figures.starts_with("12 sent, 12 acknowledged, 0 lost (0%), 0 late, "), "{figures:?}");
        }
    });
}

#[test]
fn a_lost_probe_leaves_its_source_port_and_its_answer_is_late() {
    undisturbed(|| {
        if !has_v6() {
            return;
        }
        let far = far_v6();
        let mut client = client_to(far.address(), "--ping -u --plain -c 2 -i 1 -W 0.8").start();
        let first = far.expect("hello");
        let second: SocketAddr = far.expect("hello");
        assert_ne!(first, second);
        far.say(first, "check");
        client
            .stdout
            .find("the late answer", |line| line.starts_with("late check from [::1]:") && line.contains("seq=1 "));
        far.say(second, "check");
        let ended = end_of(&mut client);
        let figures = ended.out.iter().find(|line| line.contains(" sent, ")).unwrap();
        assert!(figures.starts_with("2 sent, 1 acknowledged, 1 lost (50%), 1 late, "), "{figures:?}");
    });
}

#[test]
fn an_idle_timeout_is_found() {
    if !has_v6() {
        return;
    }
    let server = server_v6("--idle-timeout 0.5");
    sooner_than(Duration::from_secs(2), || {
        let (ended, took) = timed(|| run(client_to(server.tcp(), "--find-idle 2")));
        assert_eq!((ended.code, ended.err.len()), (0, 0), "{:?}", ended.err);
        assert_eq!(shape(&ended.out[0]), "tcp idle timeout between 0 and 0 s: announced by the server");
        assert!(number(&ended.out[0], "and ") >= 0.5, "{:?}", ended.out);
        took
    });
    let ended = run(client_to(server.udp(), "--find-idle 0.3 -u --format json"));
    let event = last_object(&ended.out);
    assert_eq!((&event["address"], &event["cause"]), (&server.udp().to_string().into(), &"none".into()), "{event}");
}

/// Every link has its own `fe80::1`: which is meant, nobody but the user knows.
#[test]
fn a_link_local_address_without_its_zone_could_not_be_tried() {
    undisturbed(|| {
        let modes =
            ["-z", "-zu", "-z -w 30", "-m x", "-u -m x", "--ping", "--ping -u", "--find-idle 5", "--find-size -u"];
        for mode in modes.into_iter().chain(["--find-size --framing lines", "-zu -I :5000"]) {
            let ended = run(client_to((Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), 7).into(), mode));
            let said = "reactor-client: fe80::1 needs its zone, such as fe80::1%eth0";
            assert_eq!((ended.code, ended.out.len(), ended.err), (2, 0, vec![said.to_owned()]), "{mode}");
        }
        if !has_v6() {
            return;
        }
        // With its zone it is asked.
        for words in [&["fe80::1%lo", "7"][..], &["fe80::1", "7", "-I", "lo"]] {
            let ended = run(Launch::client(&[words, &["-zu", "-W", "0.2"]].concat()));
            assert!(ended.code == 1 && ended.out.len() == 1, "{words:?}: {} {:?}", ended.code, ended.err);
        }
    });
}

#[test]
fn a_name_that_leads_there_leads_to_its_other_addresses() {
    undisturbed(|| {
        let lost = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).into();
        let server = server("");
        let Some(names) = Names::several("no-zone", &[server.udp().ip(), lost]) else { return };
        let port = server.udp().port();
        for mode in ["-zu", "-z", "-m x", "-u -m x", "--ping -c 1 -W 10", "--ping -u -c 1 -W 10"] {
            let ended = run(names.client(&format!("several {port} {mode}")));
            assert_eq!(ended.code, 0, "{mode}: {:?} {:?}", ended.out, ended.err);
            // All addresses are asked for a verdict; elsewhere the first that answers is enough.
            assert_eq!(
                ended.complaint().contains("fe80::1 needs its zone"),
                mode.contains("-z"),
                "{mode}: {:?}",
                ended.err
            );
        }
        let Some(names) = Names::several("no-zone-at-all", &[lost]) else { return };
        for mode in ["-zu", "-m x", "--ping -c 1", "--find-idle 5"] {
            let ended = run(names.client(&format!("several {port} {mode}")));
            assert!(ended.code == 2 && ended.complaint().contains("needs its zone"), "{mode}: {:?}", ended.err);
        }
    });
}
