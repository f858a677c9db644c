//! Where the client leaves from, by which port, and how its packets are marked: in every mode, over both protocols.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use nix::sys::signal::Signal::{SIGINT, SIGQUIT};
use serde_json::Value;

use crate::harness::{
    FarUdp, Fate, Input, Launch, Names, Namespace, Server, ServerBuilder, calm, client_to, closed_port, end_of, has_v6,
    last_object, private_loopback, run, server, server_under_test, skipped, stamping, undisturbed,
};

/// Each mode, short.
const MODES: [&str; 4] = ["-m hello", "-z", "--ping -c 2 -i 0", "--find-idle 0.2"];

/// A server that loopback reaches from any address.
fn far_server() -> Server {
    server("")
}

/// How many lines there are when all of those before are told: what is told of a client may come after its end.
#[track_caller]
fn mark(server: &Server) -> usize {
    // A port may be given twice, so the text is told once.
    let text = format!("mark {}", server.stdout.count());
    server.peer().check(&text);
    server.stdout.find("the mark", |line| line.ends_with(&text));
    server.stdout.count()
}

/// Somebody has come from `from` over this protocol since `mark`.
#[track_caller]
fn expect_from(server: &Server, mark: usize, protocol: &str, from: &str) {
    let word = if protocol == "-u" { " sent a datagram" } else { " connected" };
    let came = server.stdout.find_after(mark, "who came", |line| line.contains(word));
    assert!(came.starts_with(from), "{came:?} and not from {from}");
}

#[test]
fn every_mode_leaves_from_the_address_that_it_is_given() {
    undisturbed(|| {
        let server = far_server();
        let own = private_loopback().to_string();
        for protocol in ["-t", "-u"] {
            // Over TCP it needs another framing.
            let sizes = (protocol == "-u").then_some("--find-size 100");
            // From an address there are ports enough for an open loop.
            for mode in MODES.into_iter().chain(sizes).chain(["--ping -c 2 -i 0.01"]) {
                let mark = mark(&server);
                let ended = run(client_to(server.tcp(), &format!("{mode} {protocol} -I {own}")));
                assert_eq!(ended.code, 0, "{protocol} {mode}: {:?} {:?}", ended.out, ended.err);
                expect_from(&server, mark, protocol, &format!("{own}:"));
            }
        }
    });
}

#[test]
fn every_mode_leaves_from_the_port_that_it_is_given_and_one_flow_can() {
    undisturbed(|| {
        let server = far_server();
        let own = closed_port(private_loopback());
        let port = own.port();
        for protocol in ["-t", "-u"] {
            for place in [own.to_string(), format!(":{port}")] {
                for mode in &MODES[..3] {
                    let what = format!("{protocol} {mode} -I {place}");
                    let mark = mark(&server);
                    let ended = run(client_to(server.tcp(), &what));
                    assert_eq!(ended.code, 0, "{what}: {:?} {:?}", ended.out, ended.err);
                    // Over TCP the system may remember the connection before; a datagram waits for nobody.
                    let waited = ended.err.iter().any(|line| line.ends_with(": waiting"));
                    assert!(protocol == "-t" || !waited, "{:?}", ended.err);
                    let from = if place.starts_with(':') { format!("127.0.0.1:{port}") } else { own.to_string() };
                    expect_from(&server, mark, protocol, &format!("{from} "));
                }
            }
        }
        for (mode, needs) in
            [("--find-idle 1", "--find-idle needs many ports"), ("--ping --flows 2", "--flows 2 needs as many")]
        {
            let ended = run(client_to(server.tcp(), &format!("{mode} -I :{port}")));
            assert_eq!((ended.code, ended.out.len(), ended.err.len()), (2, 0, 1), "{:?}", ended.err);
            assert!(ended.err[0].contains(needs) && ended.err[0].contains("give the address alone"), "{:?}", ended.err);
        }
    });
}

#[test]
fn over_tcp_a_port_is_waited_for_until_it_is_free_again_and_that_is_said() {
    undisturbed(|| {
        let mut server = ServerBuilder::new("").operated().start();
        let own = closed_port(private_loopback());
        for (mode, shown) in [("-z", " open "), ("-m hello", "last message: ACK")] {
            let mut first = client_to(server.tcp(), &format!("-I {own}")).stdin(Input::Pipe).start();
            first.stdout.find("its connection", |line| line.starts_with("connected to "));
            let mut second = client_to(server.tcp(), &format!("{mode} -I {own}")).start();
            let said = second.stderr.find("that it waits", |line| line.ends_with(": waiting"));
            assert!(said.contains(&format!("the port {} has a connection to there", own.port())), "{said}");
            // Its end is the server's, which remembers it then.
            server.type_in(&format!("close {own}\n"));
            assert_eq!(first.wait_exit(), 1);
            let ended = end_of(&mut second);
            assert_eq!((ended.code, ended.err.len()), (0, 1), "{:?} {:?}", ended.out, ended.err);
            assert!(ended.out.iter().any(|line| line.contains(shown)), "{:?}", ended.out);
        }
        let first = client_to(server.tcp(), &format!("-I {own}")).stdin(Input::Pipe).start();
        first.stdout.find("its connection", |line| line.starts_with("connected to "));
        // Who waits can be interrupted.
        let mut second = client_to(server.tcp(), &format!("-z -I {own}")).start();
        second.stderr.find("that it waits", |line| line.ends_with(": waiting"));
        // And asked how it stands.
        let mark = second.stderr.count();
        second.signal(SIGQUIT);
        second.stderr.find_after(mark, "how it stands", |line| line.ends_with(": waiting"));
        second.signal(SIGINT);
        assert_eq!(second.wait_exit(), 2);
        drop(first);
    });
}

#[test]
fn it_leaves_by_the_interface_that_it_is_given() {
    undisturbed(|| {
        let server = far_server();
        for protocol in ["-t", "-u"] {
            for mode in MODES {
                let ended = run(client_to(server.tcp(), &format!("{mode} {protocol} -I lo")));
                assert_eq!(ended.code, 0, "{protocol} {mode}: {:?} {:?}", ended.out, ended.err);
            }
        }
    });
}

#[test]
fn what_cannot_be_left_from_is_one_sentence_and_exit_2_in_every_mode() {
    undisturbed(|| {
        let server = server("-q --host 127.0.0.1");
        let taken =
            (TcpListener::bind((private_loopback(), 0)).unwrap(), UdpSocket::bind((private_loopback(), 0)).unwrap());
        let (tcp, udp) = (taken.0.local_addr().unwrap(), taken.1.local_addr().unwrap());
        let scenes = [
            ("-t -I 192.0.2.77", "-I 192.0.2.77 is no address of this machine".to_owned()),
            ("-u -I 192.0.2.77:5000", "-I 192.0.2.77 is no address of this machine".to_owned()),
            ("-I ::1", "-I ::1 is an IPv6 address, and '127.0.0.1' has none of those".to_owned()),
            ("-I ::1 -4", "-I ::1 is an IPv6 address, and -4 allows none of those".to_owned()),
            ("-I 127.0.0.1 -6", "-I 127.0.0.1 is an IPv4 address, and -6 allows none of those".to_owned()),
            ("-I fe80::1%no-such0", "no interface here is called 'no-such0'".to_owned()),
            ("-I no-such0", "no interface here has that name".to_owned()),
            ("-I 5000", "to leave from the port 5000 give :5000".to_owned()),
            ("-I :0", "'0' is no port to leave from: give one from 1 to 65535".to_owned()),
            (&format!("-t -I {tcp}"), format!("the tcp port {} is in use here", tcp.port())),
            (&format!("-u -I {udp}"), format!("the udp port {} is in use here", udp.port())),
            ("-Q 256", "give a byte (184 or 0xb8) or a DSCP name (EF, AF41, CS1)".to_owned()),
            ("-Q AF44", "give a byte (184 or 0xb8) or a DSCP name (EF, AF41, CS1)".to_owned()),
            ("--ttl 0", "give a number from 1 to 255".to_owned()),
            ("--ttl 256", "give a number from 1 to 255".to_owned()),
        ];
        for (words, said) in scenes {
            // A fixed port is refused there for another reason.
            let modes = if words.contains(':') && words.contains('.') { &MODES[..3] } else { &MODES[..] };
            for mode in modes {
                let ended = run(client_to(server.tcp(), &format!("{mode} {words}")));
                assert_eq!(
                    (ended.code, ended.out.len(), ended.err.len()),
                    (2, 0, 1),
                    "{mode} {words}: {:?}",
                    ended.err
                );
                assert!(ended.err[0].contains(&said), "{mode} {words}: {:?}", ended.err);
            }
        }
        let ended = run(client_to(server.tcp(), "-m x --format json -I 192.0.2.77"));
        let error = last_object(&ended.out);
        assert_eq!((ended.code, &error["event"]), (2, &"error".into()), "{error}");
        assert_eq!(error["text"], "-I 192.0.2.77 is no address of this machine");
    });
}

#[test]
fn a_port_that_no_server_answers_is_warned_of() {
    undisturbed(|| {
        let server = far_server();
        // An address of its own: the port of all addresses might be another test's just now.
        let own = private_loopback();
        let possible = UdpSocket::bind((own, 19)).is_ok();
        let ended = run(client_to(server.udp(), &format!("-m x -u -W 0.2 -I {own}:19")));
        if possible {
            assert_eq!((ended.code, ended.err.len()), (1, 2), "{:?}", ended.err);
            assert!(ended.err[0].contains("no server answers a datagram from the port 19"), "{:?}", ended.err);
        } else {
            assert!(ended.code == 2 && ended.err[0].contains("CAP_NET_BIND_SERVICE"), "{:?}", ended.err);
        }
    });
}

#[test]
fn from_one_port_all_probes_are_stamped_and_the_legs_are_told() {
    undisturbed(|| {
        let fate = |number| if number % 10 == 3 { Fate::LostThere } else { Fate::Answered };
        let far = stamping(fate);
        let own = closed_port(private_loopback());
        let ended = calm(|| client_to(far, &format!("--ping -u -c 20 -i 0.01 -W 0.3 --format json -I {own}")));
        let summary = last_object(&ended.out);
        let figures = ["sent", "acknowledged", "lost", "lost_there", "unsent"].map(|name| summary[name].as_u64());
        assert_eq!(figures, [20, 18, 2, 2, 0].map(Some), "{summary} {:?}", ended.err);
    });
}

/// They cannot be told apart by a port: where several were out before it was known, nobody says how long each took.
#[test]
fn from_one_port_a_server_without_stamps_is_asked_one_at_a_time() {
    undisturbed(|| {
        let far = FarUdp::new();
        let own = closed_port(private_loopback());
        let words = format!("--ping -u -c 6 -i 0.05 -W 10 --format json -I {own}");
        let mut client = client_to(far.address(), &words).start();
        let from: Vec<_> = (0..3).map(|_| far.receive().0).collect();
        assert_eq!(from, [own; 3]);
        (0..3).for_each(|_| far.say(own, "check"));
        assert_eq!(far.receive().0, own);
        // Nothing leaves while it is out, whatever is due.
        far.expect_nothing();
        far.say(own, "check");
        let ended = end_of(&mut client);
        let summary = last_object(&ended.out);
        let figures = ["sent", "acknowledged", "lost", "unsent"].map(|name| summary[name].as_u64());
        assert_eq!((ended.code, figures), (1, [4, 4, 0, 2].map(Some)), "{summary} {:?}", ended.err);
        let replies = ended.out.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let replies = replies.filter(|line| line["event"] == "reply");
        let timed: Vec<_> = replies.map(|reply| reply["rtt_ns"].is_u64()).collect();
        assert_eq!(timed, [false, false, true, true], "{:?}", ended.out);
        assert!(ended.err.iter().any(|line| line.ends_with("is still out")), "{:?}", ended.err);
    });
}

/// A server and clients in a network of their own, whose filter counts what is marked.
#[track_caller]
fn marked(family: &str, host: &str, words: &str, rule: &str) {
    let Some(namespace) = Namespace::new("nft add table inet marks") else { return };
    let server = server_under_test();
    let script = format!(
        "nft 'add chain inet marks out {{ type filter hook output priority 0 ; }}'
         for protocol in tcp udp; do
             nft add rule inet marks out meta l4proto $protocol th dport 6666 {family} {rule} counter
         done
         {server} -q --host {host} -p 6666 < /dev/null > /dev/null & server=$!
         until \"$0\" -ztuq {host} 6666 -W 0.2; do :; done
         nft reset counters > /dev/null
         \"$0\" -ztuq {host} 6666 {words} || exit 9
         kill $server
         nft list chain inet marks out | grep -c 'counter packets [1-9]'"
    );
    let ended = run(namespace.run(env!("CARGO_BIN_EXE_reactor-client"), "", &script));
    assert_eq!(
        (ended.code, ended.out.as_slice()),
        (0, &["2".to_owned()][..]),
        "{words}: {:?} {:?}",
        ended.out,
        ended.err
    );
}

#[test]
fn packets_are_marked_and_counted_down_from_over_both_families() {
    undisturbed(|| {
        marked("ip dscp", "127.0.0.1", "-Q EF", "46");
        marked("ip dscp", "127.0.0.1", "-Q 0x88", "34");
        marked("ip ttl", "127.0.0.1", "--ttl 7", "7");
        marked("ip6 dscp", "::1", "-Q CS1", "8");
        marked("ip6 hoplimit", "::1", "--ttl 7", "7");
    });
}

#[test]
fn who_may_pass_no_router_is_told_that_he_was_thrown_away() {
    undisturbed(|| {
        let Some(namespace) = Namespace::behind_router("") else { return };
        for (host, address) in [("10.78.0.1", "10.78.0.1:6666"), ("fd78::1", "[fd78::1]:6666")] {
            let ended = run(namespace.client(&format!("{host} 6666 -zu -W 5 --ttl 1")));
            assert_eq!((ended.code, ended.out), (1, vec![format!("udp {address} unreachable")]), "{:?}", ended.err);
        }
    });
}

/// What remembers a flow by its port sends it where the server was; who comes from another port finds the new one.
#[test]
fn a_stale_entry_of_a_nat_is_found_by_asking_from_one_port_and_from_another() {
    undisturbed(|| {
        let set_up = "ip address add 10.77.0.11/32 dev lo
         ip address add 10.77.0.12/32 dev lo
         nft add table ip nat
         nft 'add chain ip nat out { type nat hook output priority -100 ; }'
         nft add rule ip nat out ip daddr 10.99.0.1 udp dport 6666 dnat to 10.77.0.11
         ip route add 10.99.0.0/24 dev lo src 10.77.0.11";
        let Some(namespace) = Namespace::new(set_up) else { return };
        let server = server_under_test();
        let script = format!(
            "old=
         for at in 12 11; do
             {server} -u -q --host 10.77.0.$at -p 6666 < /dev/null > /dev/null & old=$!
             until \"$0\" -zuq 10.77.0.$at -W 0.2; do :; done
         done
         \"$0\" -zu -I :5000 10.99.0.1
         kill $old
         wait $old
         nft flush chain ip nat out
         nft add rule ip nat out ip daddr 10.99.0.1 udp dport 6666 dnat to 10.77.0.12
         \"$0\" -zu -I :5000 10.99.0.1 || true
         \"$0\" -zu 10.99.0.1"
        );
        let ended = run(namespace.run(env!("CARGO_BIN_EXE_reactor-client"), "", &script));
        let words: Vec<_> = ended.out.iter().map(|line| line.split(' ').nth(2).unwrap_or_default()).collect();
        assert_eq!(words, ["open", "refused", "open"], "{:?} {:?}", ended.out, ended.err);
    });
}

/// The other family's port is another port; and what another program holds is named as such.
#[test]
fn a_port_that_is_taken_is_one_of_its_family() {
    if !has_v6() {
        return skipped("no IPv6 here");
    }
    let server = server("--host ::");
    let port = server.tcp().port();
    let six = UdpSocket::bind("[::1]:0").unwrap();
    let taken = six.local_addr().unwrap().port();
    let ended = run(Launch::client(&["-zu", "-I", &format!("[::1]:{taken}"), "::1", &port.to_string()]));
    assert!(
        ended.code == 2 && ended.err[0].contains(&format!("the udp port {taken} is in use here")),
        "{:?}",
        ended.err
    );
    // At addresses of our own nobody else can have that port.
    let (own, other) = (private_loopback(), private_loopback().to_string());
    let ended = run(Launch::client(&["-zu", "-I", &format!("{own}:{taken}"), &other, &port.to_string()]));
    assert_eq!(ended.code, 0, "{:?}", ended.err);
    // Named without its address it is the host's family that counts.
    let four = UdpSocket::bind("0.0.0.0:0").unwrap();
    let taken = four.local_addr().unwrap().port();
    let ended = run(Launch::client(&["-zu", "-I", &format!(":{taken}"), "::1", &port.to_string()]));
    assert_eq!(ended.code, 0, "{:?}", ended.err);
}

#[test]
fn every_address_of_a_name_is_asked_from_one_port() {
    undisturbed(|| {
        let first = closed_port(private_loopback());
        let second = SocketAddr::new(private_loopback(), first.port());
        let Some(names) = Names::several("one-port", &[first.ip(), second.ip()]) else { return };
        let own = closed_port(private_loopback()).port();
        let servers = [first, second].map(|at| server(&format!("-q --host {} -p {}", at.ip(), at.port())));
        let ended = run(names.client(&format!("several {} -ztu -I :{own}", first.port())));
        assert_eq!((ended.code, ended.out.len()), (0, 4), "{:?} {:?}", ended.out, ended.err);
        assert!(ended.out.iter().all(|line| line.contains(" open ")), "{:?}", ended.out);
        drop(servers);
    });
}

#[test]
fn what_can_never_be_left_from_is_said_before_anything_is_tried() {
    let server = far_server();
    for (place, said) in [
        ("224.0.0.1", "an address of many machines"),
        ("255.255.255.255", "an address of many machines"),
        ("lo:7115", "an interface has no ports"),
    ] {
        let ended = run(client_to(server.udp(), &format!("-zu -I {place}")));
        assert!(ended.code == 2 && ended.err[0].contains(said), "{place}: {:?}", ended.err);
    }
    let ended = run(client_to(server.udp(), "-zu -I ::ffff:127.0.0.1"));
    assert_eq!(ended.code, 0, "{:?}", ended.err);
    // An address stays what it is, however long one waits.
    let ended = run(client_to(server.udp(), "-zu -w 2 -I ::1"));
    assert!(ended.code == 2 && ended.err[0].contains("-I ::1 is an IPv6 address"), "{:?}", ended.err);
}
