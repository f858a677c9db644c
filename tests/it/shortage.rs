//! What this machine lacks says nothing of the path: it is named, and the exit code is 2.

use crate::full_disk::served;
use crate::harness::{
    Ended, Launch, Namespace, Scratch, client_to, client_under_test, have, run, server, server_under_test, undisturbed,
};

/// Each mode in a way that ends soon.
const MODES: [&str; 10] = [
    "-m hello",
    "-u -m hello",
    "-z",
    "-zu",
    "--ping -c 1",
    "--ping -c 1 -u",
    "--find-idle 0.1",
    "--find-idle 0.1 -u",
    "--find-size 100 -u",
    "--find-size 100 --framing lines",
];

#[track_caller]
fn expect_shortage(mode: &str, ended: &Ended, what: &str) {
    let said = ended.complaint();
    assert!(ended.code == 2 && said.contains(what), "{mode}: {} {:?} {said:?}", ended.code, ended.out);
    let words = ["unreachable", "refused", "silent", "could not send"];
    assert!(!words.iter().any(|word| ended.out.concat().contains(word)), "{mode} judges: {:?}", ended.out);
}

#[test]
fn a_low_descriptor_limit_is_named_in_every_mode_wherever_it_strikes() {
    undisturbed(|| {
        for mode in MODES {
            let server = served(mode);
            let mut enough = 0;
            for limit in 4..12 {
                let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
                let ended = run(client_to(server.tcp(), mode).through_shell(&script));
                match ended.code {
                    0 => enough += 1,
                    // All of them at once ask for more than one alone.
                    _ => expect_shortage(&format!("{mode} with {limit}"), &ended, "oo many open files"),
                }
            }
            assert!((1..8).contains(&enough), "{mode}: {enough} limits are enough");
        }
    });
}

#[test]
fn what_could_not_be_asked_has_no_verdict_and_the_rest_has() {
    undisturbed(|| {
        let server = server("-q");
        let both = |limit| {
            let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
            run(client_to(server.tcp(), "-ztu").through_shell(&script))
        };
        let ended = (8..12).map(both).find(|ended| !ended.out.is_empty()).unwrap();
        let open = format!("tcp {} open ", server.tcp());
        assert!(ended.code == 2 && ended.out.len() == 1 && ended.out[0].starts_with(&open), "{:?}", ended.out);
        let expected = format!("reactor-client: cannot try udp {}: too many open files", server.tcp());
        assert_eq!(ended.err, [expected]);
    });
}

#[test]
fn a_name_that_there_were_no_descriptors_to_ask_for_is_not_called_unknown() {
    undisturbed(|| {
        for mode in ["-m hello", "-u -m hello", "-z", "-zu", "-z -w 0.1", "-zu -w 0.1", "--ping -c 1", "--ping -c 1 -u"]
        {
            let mut lacking = 0;
            for limit in 4..16 {
                let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
                let words: Vec<&str> = ["localhost", "1"].into_iter().chain(mode.split_whitespace()).collect();
                let ended = run(Launch::client(&words).through_shell(&script));
                let said = ended.err.concat();
                assert!(!ended.out.concat().contains("dns"), "{mode} with {limit}: {:?} {said}", ended.out);
                if said.contains("localhost") {
                    assert!(said.contains("oo many open files"), "{mode} with {limit}: {said}");
                    assert_eq!(ended.code, 2, "{mode} with {limit}: {said}");
                    lacking += 1;
                }
            }
            assert!(lacking > 0 || !mode.contains("-w"), "{mode}: there were always enough");
        }
    });
}

/// A network in which every source port is taken.
fn without_source_ports() -> Option<Namespace> {
    let server = server_under_test();
    Namespace::new(&format!(
        "echo 40000 40000 > /proc/sys/net/ipv4/ip_local_port_range
         {server} -q -p 40000 < /dev/null > /dev/null &
         until grep -q :9C40 /proc/net/tcp && grep -q :9C40 /proc/net/udp; do sleep 0.02; done"
    ))
}

#[test]
fn exhausted_source_ports_are_named_in_every_mode() {
    undisturbed(|| {
        let Some(namespace) = without_source_ports() else { return };
        for mode in MODES {
            let ended = run(namespace.client(&format!("127.0.0.1 6666 {mode}")));
            expect_shortage(mode, &ended, "no source port is left");
        }
    });
}

#[test]
fn what_is_prohibited_here_is_named_in_every_mode() {
    undisturbed(|| {
        let Some(namespace) = Namespace::new("ip route add prohibit 10.9.9.9/32") else { return };
        for mode in MODES {
            expect_shortage(mode, &run(namespace.client(&format!("10.9.9.9 6666 {mode}"))), "not permitted");
        }
    });
}

/// A network where datagrams to the server's port may not leave. `None` (and a word of it) where there can be none.
#[track_caller]
pub(crate) fn behind_a_firewall() -> Option<Namespace> {
    let rule = "nft 'table inet t { chain c { type filter hook output priority 0; udp dport 6666 drop; }; }'";
    if have("nft") { Namespace::new(rule) } else { None }
}

#[test]
fn a_local_firewall_is_named() {
    undisturbed(|| {
        let Some(namespace) = behind_a_firewall() else { return };
        for mode in MODES.into_iter().filter(|mode| mode.contains('u')) {
            expect_shortage(mode, &run(namespace.client(&format!("127.0.0.1 6666 {mode}"))), "not permitted");
        }
    });
}

/// Datagrams to the first of two addresses may not leave.
#[test]
fn an_address_that_cannot_be_tried_is_named_and_passed_over_for_the_next_in_every_mode() {
    undisturbed(|| {
        if !have("nft") {
            return;
        }
        let hosts = Scratch::file("hosts-forbidden", "127.0.0.11 several\n127.0.0.12 several\n");
        let Some(namespace) = Namespace::new(&format!(
            "mount --bind {} /etc/hosts
             nft 'table inet t {{ chain c {{ type filter hook output priority 0; ip daddr 127.0.0.11 udp dport 6666 drop; }}; }}'",
            hosts.0.display()
        )) else {
            return;
        };
        let beside_a_server = format!(
            "{} -q --host 127.0.0.12 < /dev/null > /dev/null &
             until grep -q :1A0A /proc/net/udp; do sleep 0.02; done
             exec \"$0\" \"$@\"",
            server_under_test()
        );
        let named = "reactor-client: cannot try udp 127.0.0.11:6666: not permitted here (a local firewall or route?)";
        for mode in ["-m hello", "-z", "--ping -c 1", "--find-idle 0.1", "--find-size 100", "--find-size 60"] {
            let words = format!("several 6666 -u {mode}");
            let ended = run(namespace.run(&client_under_test(), &words, &beside_a_server));
            assert_eq!(ended.code, 0, "{mode}: {:?} {:?}", ended.out, ended.err);
            assert_eq!(ended.err[0], named, "{mode}");
            // Where the other one is refused, not all of the name was tried.
            let ended = run(namespace.client(&words));
            let expected = if mode.contains("--ping") { 1 } else { 2 };
            assert_eq!(ended.code, expected, "{mode}: {:?} {:?}", ended.out, ended.err);
            assert_eq!(ended.err.iter().filter(|line| *line == named).count(), 1, "{mode}: {:?}", ended.err);
        }
    });
}

#[test]
fn a_family_that_this_machine_has_no_address_of_is_no_shortage() {
    undisturbed(|| {
        let Some(namespace) = Namespace::new("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6") else { return };
        for (mode, protocol) in [("-z", "tcp"), ("-zu", "udp")] {
            let ended = run(namespace.client(&format!("::1 6666 {mode}")));
            assert_eq!(
                (ended.code, ended.out),
                (1, vec![format!("{protocol} [::1]:6666 unreachable")]),
                "{:?}",
                ended.err
            );
        }
        for mode in ["-m hello", "-u -m hello", "--ping -c 1", "--ping -c 1 -u", "--find-idle 0.1", "--find-size -u"] {
            let ended = run(namespace.client(&format!("::1 6666 {mode}")));
            assert_eq!(ended.code, 1, "{mode}: {:?} {:?}", ended.out, ended.err);
        }
    });
}

#[test]
fn a_udp_socket_never_talks_to_itself() {
    undisturbed(|| {
        let Some(namespace) = Namespace::new("echo 40000 40000 > /proc/sys/net/ipv4/ip_local_port_range") else {
            return;
        };
        for host in ["127.0.0.1", "0.0.0.0", "::1", "::ffff:127.0.0.1"] {
            // The one port that there is to leave from is the one to go to.
            let ended = run(namespace.client(&format!("{host} 40000 -u -m check")));
            assert_eq!(ended.code, 1, "{host}: {:?} {:?}", ended.out, ended.err);
            assert!(ended.out.concat().ends_with("onnection refused"), "{host}: {:?}", ended.out);
            let ended = run(namespace.client(&format!("{host} 40000 -zu")));
            assert!(ended.code == 1 && ended.out.concat().ends_with(" refused"), "{host}: {:?}", ended.out);
            for mode in ["--ping -c 1", "--ping -c 1 --plain", "--find-idle 0.1", "--find-size", "-I :40000 -m check"] {
                let ended = run(namespace.client(&format!("{host} 40000 -u {mode}")));
                assert_eq!(ended.code, 1, "{host} {mode}: {:?} {:?}", ended.out, ended.err);
            }
        }
    });
}
