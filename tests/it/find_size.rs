//! `--find-size` on paths that take less than both ends believe, made of namespaces: client, router, server.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ack_reactor::wire::{Probe, STAMPED};
use nix::sys::signal::Signal::{SIGINT, SIGQUIT};

use crate::harness::{
    Ended, Input, Lab, Names, client_to, closed_port, end_of, has_v6, last_object, private_loopback, run, server,
    stamp, tcp_service, udp_service, undisturbed,
};

/// A link to the server that takes less than the others.
const NARROW: &str = "ip link set east mtu 1280";
/// The router says nothing of it.
const WITHOUT_A_WORD: &str = "nft add table inet words
    nft \"add chain inet words out { type filter hook output priority 0; }\"
    nft add rule inet words out icmp type destination-unreachable drop
    nft add rule inet words out icmpv6 type packet-too-big drop";
/// And lets no fragments pass.
const WITHOUT_FRAGMENTS: &str = "nft add table inet pieces
    nft \"add chain inet pieces in { type filter hook prerouting priority -500; }\"
    nft add rule inet pieces in ip frag-off \\& 0x3fff != 0 drop
    nft add rule inet pieces in exthdr frag exists drop";
/// What comes back is what is too long.
const NARROW_BACK: &str = "ip route replace 10.77.0.0/24 dev west mtu lock 1280
    nft add table inet back
    nft \"add chain inet back pass { type filter hook forward priority 0; }\"
    nft add rule inet back pass ip6 saddr fd78::2 ip6 length \\> 1240 drop";

/// What the client comes to with each of `words`, on the path that a router with these rules makes.
fn across(rules: &[&str], words: &[&str]) -> Option<Vec<Ended>> {
    let lab = Lab::new(rules)?;
    Some(words.iter().map(|words| run(lab.client("--framing lines", words))).collect())
}

/// Each of these command lines must come to this line and exit 0.
#[track_caller]
fn expect(rules: &[&str], expected: &[(&str, &str)]) {
    let words: Vec<&str> = expected.iter().map(|(words, _)| *words).collect();
    let Some(ended) = across(rules, &words) else { return };
    for (ended, (words, line)) in ended.iter().zip(expected) {
        assert_eq!((ended.code, &ended.out[..]), (0, &[(*line).to_owned()][..]), "{words}: {:?}", ended.err);
    }
}

#[test]
fn a_router_that_tells_is_named_and_its_word_is_tried() {
    undisturbed(|| {
        expect(
            &[NARROW],
            &[
                (
                    "--find-size -u 10.78.0.2",
                    "udp 10.78.0.2:6666 answers up to 1252 bytes (path MTU 1280): told by 10.77.0.1 (MTU 1280); \
                     fragmented ones up to 4000 bytes pass",
                ),
                (
                    "--find-size -u fd78::2",
                    "udp [fd78::2]:6666 answers up to 1232 bytes (path MTU 1280): told by fd77::1 (MTU 1280); \
                     fragmented ones up to 4000 bytes pass",
                ),
                (
                    "--find-size 1400 -u 10.78.0.2",
                    "udp 10.78.0.2:6666 answers up to 1252 bytes (path MTU 1280): told by 10.77.0.1 (MTU 1280); \
                     fragmented ones up to 1400 bytes pass",
                ),
                (
                    "--find-size 1252 -u 10.78.0.2",
                    "udp 10.78.0.2:6666 answers up to 1252 bytes: larger ones were not asked for",
                ),
                (
                    "--find-size --framing lines 10.78.0.2",
                    "tcp 10.78.0.2:6666: 1 byte acknowledged, 65536 bytes acknowledged (segments of 1228 bytes, path MTU 1280)",
                ),
                (
                    "--find-size --framing lines fd78::2",
                    "tcp [fd78::2]:6666: 1 byte acknowledged, 65536 bytes acknowledged (segments of 1208 bytes, path MTU 1280)",
                ),
            ],
        );
    });
}

#[test]
fn where_nobody_tells_larger_ones_vanish_and_a_connection_stalls() {
    undisturbed(|| {
        expect(
            &[NARROW, WITHOUT_A_WORD],
            &[
                (
                    "--find-size -u -W 0.3 10.78.0.2",
                    "udp 10.78.0.2:6666 answers up to 1252 bytes (path MTU 1280): larger ones vanish on the way there; \
                     fragmented ones up to 4000 bytes pass",
                ),
                (
                    "--find-size -u -W 0.3 fd78::2",
                    "udp [fd78::2]:6666 answers up to 1232 bytes (path MTU 1280): larger ones vanish on the way there; \
                     fragmented ones up to 4000 bytes do not",
                ),
                (
                    "--find-size -W 0.4 --framing lines 10.78.0.2",
                    "tcp 10.78.0.2:6666: 1 byte acknowledged, 65536 bytes stalls (segments of 1448 bytes, path MTU 1500)",
                ),
                (
                    "--find-size -W 0.4 --framing lines fd78::2",
                    "tcp [fd78::2]:6666: 1 byte acknowledged, 65536 bytes stalls (segments of 1428 bytes, path MTU 1500)",
                ),
            ],
        );
    });
}

#[test]
fn fragments_that_do_not_pass_are_told_of() {
    undisturbed(|| {
        expect(
            &[NARROW, WITHOUT_A_WORD, WITHOUT_FRAGMENTS],
            &[(
                "--find-size -u -W 0.3 10.78.0.2",
                "udp 10.78.0.2:6666 answers up to 1252 bytes (path MTU 1280): larger ones vanish on the way there; \
                 fragmented ones up to 4000 bytes do not",
            )],
        );
    });
}

/// An answer that were cut into fragments would pass, and say that the way back takes what it does not.
#[test]
fn a_way_back_that_takes_less_is_found_too() {
    undisturbed(|| {
        expect(
            &[NARROW_BACK],
            &[
                (
                    "--find-size -u -W 0.3 10.78.0.2",
                    "udp 10.78.0.2:6666 answers up to 1252 bytes (path MTU 1280): larger ones vanish on the way back; \
                     fragmented ones up to 4000 bytes pass",
                ),
                (
                    "--find-size -u -W 0.3 fd78::2",
                    "udp [fd78::2]:6666 answers up to 1232 bytes (path MTU 1280): larger ones vanish on the way back; \
                     fragmented ones up to 4000 bytes pass",
                ),
            ],
        );
    });
}

#[test]
fn the_same_is_told_in_json() {
    undisturbed(|| {
        let words = ["--find-size -u --format json 10.78.0.2", "--find-size --framing lines --format json 10.78.0.2"];
        let Some(ended) = across(&[NARROW], &words) else { return };
        let udp = last_object(&ended[0].out);
        let keys = ["event", "protocol", "address", "told_by"].map(|key| udp[key].as_str().unwrap_or("-").to_owned());
        assert_eq!(keys, ["size", "udp", "10.78.0.2:6666", "10.77.0.1"], "{udp}");
        assert_eq!(
            (&udp["answered"], &udp["path_mtu"], &udp["fragments_pass"]),
            (&1252.into(), &1280.into(), &true.into())
        );
        let tcp = last_object(&ended[1].out);
        assert_eq!(
            (&tcp["answered"], &tcp["path_mtu"], &tcp["segment_bytes"]),
            (&65536.into(), &1280.into(), &1228.into())
        );
        assert!(tcp["told_by"].is_null() && tcp["fragments_pass"].is_null(), "{tcp}");
    });
}

#[test]
fn a_ping_of_a_size_that_vanishes_ends_with_the_remedy() {
    undisturbed(|| {
        let hint = "a message of 5 bytes is answered: try --find-size";
        let words = [
            "--ping -u -s 1400 -c 2 -i 0.1 -W 0.3 10.78.0.2",
            "--ping -u -s 1400 -c 2 -i 0.1 -W 0.3 --plain -q fd78::2",
            "--ping --framing lines -s 1400 -c 2 -i 0.1 -W 0.3 10.78.0.2",
            "--ping -u -s 1400 -c 2 -i 0.1 -W 0.3 --format json 10.78.0.2",
            "--ping -u -s 1000 -c 2 -i 0.1 -W 0.3 10.78.0.2",
        ];
        let Some(ended) = across(&[NARROW, WITHOUT_A_WORD], &words) else { return };
        for ended in &ended[..3] {
            assert_eq!((ended.code, ended.out.last().unwrap().as_str()), (1, hint), "{:?} {:?}", ended.out, ended.err);
            // The framing is not the cause.
            assert!(!ended.complaint().contains("framing"), "{:?}", ended.err);
        }
        assert_eq!((ended[3].code, ended[3].complaint().contains(hint)), (1, true), "{:?}", ended[3].err);
        assert_eq!((ended[4].code, ended[4].out.join("\n").contains("find-size")), (0, false), "{:?}", ended[4].out);
        // A router that tells makes the first one too long, and the others fragments.
        let Some(told) = across(&[NARROW], &words[..1]) else { return };
        let text = told[0].out.join("\n");
        assert!(text.contains("seq=1 lost (Message too long)") && text.contains(hint), "{text}");
    });
}

#[test]
fn on_loopback_the_longest_datagram_is_answered() {
    undisturbed(|| {
        let four = server("");
        let ended = run(client_to(four.udp(), "--find-size -u"));
        let line = format!("udp {} answers up to 65507 bytes: no datagram is longer", four.udp());
        assert_eq!((ended.code, ended.out), (0, vec![line]), "{:?}", ended.err);
        if has_v6() {
            let six = server("--host ::1");
            let ended = run(client_to(six.udp(), "--find-size -u"));
            let line = format!("udp {} answers up to 65488 bytes (path MTU 65536): the interface here", six.udp());
            assert!(ended.code == 0 && ended.out[0].starts_with(&line), "{:?} {:?}", ended.out, ended.err);
        }
    });
}

#[test]
fn a_server_without_stamps_tells_of_the_way_there_alone() {
    undisturbed(|| {
        let far = udp_service(|socket, _, peer| drop(socket.send_to(b"check", peer)));
        let ended = run(client_to(far, "--find-size 3000 -u"));
        assert_eq!(ended.out, [format!("udp {far} answers up to 3000 bytes: larger ones were not asked for")]);
        let said = "reactor-client: the server knows no stamps: what is found is the way there alone";
        assert_eq!((ended.code, ended.err), (0, vec![said.to_owned()]));
        // Too little for a stamp.
        let server = server("-u");
        let ended = run(client_to(server.udp(), "--find-size 71 -u"));
        assert_eq!(ended.out, [format!("udp {} answers up to 71 bytes: larger ones were not asked for", server.udp())]);
        assert!(ended.code == 0 && ended.complaint().contains("carry no stamp: what is found is the way there alone"));
    });
}

#[test]
fn a_server_that_knows_no_flag_tells_of_the_way_there_alone() {
    undisturbed(|| {
        let far = answering(3000, u64::MAX, false);
        let ended = run(client_to(far, "--find-size 3000 -u"));
        assert_eq!(ended.out, [format!("udp {far} answers up to 3000 bytes: larger ones were not asked for")]);
        assert_eq!(ended.code, 0);
        assert!(ended.complaint().contains("does not answer at a probe's length"), "{:?}", ended.err);
    });
}

/// A far end that answers what is no longer than `limit`, `as_long` as it is, until it has answered so many.
fn answering(limit: usize, most: u64, as_long: bool) -> SocketAddr {
    let mut answered = 0;
    answering_while(private_loopback(), as_long, move |len| {
        let answers = len <= limit && answered < most;
        answered += u64::from(answers);
        answers
    })
}

/// The same, for as long as it is to answer what is so long.
fn answering_while(
    own: impl Into<IpAddr>,
    as_long: bool,
    mut answers: impl FnMut(usize) -> bool + Send + 'static,
) -> SocketAddr {
    let socket = std::net::UdpSocket::bind((own.into(), 0)).unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut buffer, mut count, mut highest) = (vec![0; 65_536], 0, 0);
        while let Ok((len, peer)) = socket.recv_from(&mut buffer) {
            let Some(probe) = Probe::parse(&buffer[..len]) else { continue };
            count += 1;
            highest = highest.max(probe.seq);
            if answers(len) {
                let mut answer = vec![0; if as_long && probe.asks_for_length() { len } else { STAMPED }];
                answer[..STAMPED].copy_from_slice(&stamp(&buffer[..STAMPED], count, highest, 1));
                let _ = socket.send_to(&answer, peer);
            }
        }
    });
    address
}

#[test]
fn any_limit_is_found_to_the_byte() {
    undisturbed(|| {
        for limit in [72, 73, 500, 1999, 2000] {
            let far = answering(limit, u64::MAX, true);
            let ended = run(client_to(far, "--find-size 2000 -u -W 0.2"));
            assert_eq!(ended.code, 0, "{limit}: {:?}", ended.err);
            assert!(ended.out[0].starts_with(&format!("udp {far} answers up to {limit} bytes")), "{:?}", ended.out);
            assert!(limit == 2000 || ended.out[0].contains("vanish on the way back"), "{:?}", ended.out);
        }
    });
}

#[test]
fn a_path_that_breaks_meanwhile_has_no_limit() {
    undisturbed(|| {
        let far = answering(1000, 3, true);
        let ended = run(client_to(far, "--find-size 2000 -u -W 0.2"));
        let said = format!("reactor-client: the path to udp {far} broke: small ones are not answered any more");
        assert_eq!((ended.code, ended.out.len(), ended.err), (1, 0, vec![said]));
    });
}

/// Nothing vanished before: the interface itself says what it does not take.
#[test]
fn a_path_that_breaks_while_fragments_are_tried_has_no_limit() {
    undisturbed(|| {
        if !has_v6() {
            return;
        }
        let mut is_there = true;
        let far = answering_while(Ipv6Addr::LOCALHOST, true, move |len| {
            is_there &= len <= 65_488;
            is_there
        });
        let ended = run(client_to(far, "--find-size -u -W 0.2"));
        let said = format!("reactor-client: the path to udp {far} broke: small ones are not answered any more");
        assert_eq!((ended.code, ended.out, ended.err), (1, vec![], vec![said]));
    });
}

#[test]
fn what_is_not_open_has_no_size() {
    undisturbed(|| {
        let closed = closed_port(private_loopback());
        for (words, why) in [("-u", "refused"), ("--framing lines", "refused")] {
            let protocol = if words == "-u" { "udp" } else { "tcp" };
            let ended = run(client_to(closed, &format!("--find-size {words}")));
            let said = format!("reactor-client: the path to {protocol} {closed} is not open: {why}");
            assert_eq!((ended.code, ended.out.len(), ended.err), (1, 0, vec![said]), "{words}");
        }
        let deaf = udp_service(|_, _, _| {});
        let ended = run(client_to(deaf, "--find-size -u -W 0.1"));
        assert!(ended.code == 1 && ended.complaint().ends_with("is not open: silent"), "{:?}", ended.err);
        let wrong = udp_service(|socket, _, peer| drop(socket.send_to(b"hello", peer)));
        let ended = run(client_to(wrong, "--find-size -u"));
        assert!(ended.code == 1 && ended.complaint().ends_with("is not open: a wrong answer"), "{:?}", ended.err);
        let leaving = udp_service(|socket, _, peer| drop(socket.send_to(b"server is shutting down", peer)));
        let ended = run(client_to(leaving, "--find-size -u"));
        assert!(
            ended.code == 1 && ended.complaint().ends_with("is not open: server is shutting down"),
            "{:?}",
            ended.err
        );
        let mute = tcp_service(|mut stream| drop(std::io::copy(&mut stream, &mut std::io::sink())));
        let ended = run(client_to(mute, "--find-size --framing length -W 0.1 --format json"));
        let error = last_object(&ended.out);
        assert_eq!((ended.code, &error["event"]), (1, &"error".into()), "{error}");
    });
}

#[test]
fn a_server_that_takes_no_message_so_long_is_no_path_that_stalls() {
    undisturbed(|| {
        let server = server("-t --framing length --max-message 1000");
        let ended = run(client_to(server.tcp(), "--find-size --framing length"));
        assert_eq!((ended.code, ended.out.len()), (1, 0), "{:?}", ended.out);
        assert!(ended.complaint().contains("--max-message"), "{:?}", ended.err);
        let ended = run(client_to(server.tcp(), "--find-size 1000 --framing length"));
        assert!(
            ended.code == 0 && ended.out[0].contains("1 byte acknowledged, 1000 bytes acknowledged"),
            "{:?}",
            ended.out
        );
        let ended = run(client_to(server.tcp(), "--find-size 1 --framing length"));
        assert!(ended.code == 0 && ended.out[0].contains(": 1 byte acknowledged ("), "{:?}", ended.out);
    });
}

#[test]
fn an_interrupt_ends_it_with_what_is_known_and_sigquit_tells_it_meanwhile() {
    undisturbed(|| {
        let mute = tcp_service(|mut stream| drop(std::io::copy(&mut stream, &mut std::io::sink())));
        let deaf = udp_service(|_, _, _| {});
        for (address, words, known) in [
            (deaf, "--find-size -u -W 60", "nothing is answered yet; asking 72 (try"),
            (mute, "--find-size --framing lines -W 60", "a message of 1 byte is out"),
        ] {
            let mut client = client_to(address, words).stdin(Input::Null).start();
            crate::harness::wait_until("the client to catch its signals", || {
                client.proc().catches(SIGINT as i32).then_some(())
            });
            client.signal(SIGQUIT);
            client.stderr.find("the figures so far", |line| line.contains(known) || line.contains("connecting"));
            client.signal(SIGINT);
            let ended = end_of(&mut client);
            assert_eq!((ended.code, ended.out.len()), (1, 0), "{:?}", ended.out);
            assert!(ended.err.last().unwrap().starts_with("reactor-client: interrupted: "), "{:?}", ended.err);
        }
    });
}

#[test]
fn what_makes_no_sense_is_refused_with_what_does() {
    undisturbed(|| {
        let closed = closed_port(private_loopback());
        for (words, said) in [
            ("--find-size", "--framing lines"),
            ("--find-size -u -W 0", "-W"),
            ("--find-size 0 -u", "from 1 to 65527"),
            ("--find-size 65528 -u", "from 1 to 65527"),
            ("--find-size 99999999999999999999999 -u", "from 1 to 65527"),
            ("--find-size 16777217 --framing lines", "from 1 to 16777216"),
            ("--find-size -u -w 3", "-w belongs to"),
            ("--find-size -u --ping", "cannot be used with"),
            ("--find-size -tu", "-z"),
        ] {
            let ended = run(client_to(closed, words));
            assert_eq!((ended.code, ended.out.len(), ended.err.len()), (2, 0, 1), "{words}: {:?}", ended.err);
            assert!(ended.err[0].contains(said), "{words}: {:?}", ended.err);
        }
    });
}

/// What follows the option may be the number or the host already.
#[test]
fn the_host_may_follow_the_option() {
    undisturbed(|| {
        let server = server("");
        let (ip, port) = (server.udp().ip(), server.udp().port());
        for words in [
            format!("--find-size {ip} {port} -u"),
            format!("--find-size {ip}:{port} -u"),
            format!("-u --find-size {ip} -p {port}"),
            format!("-u {ip} --find-size 65507 {port}"),
        ] {
            let words: Vec<&str> = words.split(' ').collect();
            let ended = run(crate::harness::Launch::client(&words));
            assert_eq!((ended.code, ended.out.len()), (0, 1), "{words:?}: {:?}", ended.err);
        }
        let words = ["--find-size", "one", "two", "three", "-u"];
        let ended = run(crate::harness::Launch::client(&words));
        assert!(ended.code == 2 && ended.err[0].contains("a word too many"), "{:?}", ended.err);
    });
}

/// `several` and a port that is free at both of its addresses.
fn two_addresses(test: &str) -> Option<(Names, [std::net::SocketAddr; 2])> {
    let first = closed_port(private_loopback());
    let both = [first, std::net::SocketAddr::new(private_loopback(), first.port())];
    Some((Names::several(test, &both.map(|address| address.ip()))?, both))
}

/// What the first of two addresses says is its own, and what was passed over is said.
#[test]
fn of_several_addresses_each_has_its_own_answer() {
    undisturbed(|| {
        for (says, why) in [("server is full\n", "server is full"), ("NO\nACK\nACK\n", "a wrong answer")] {
            let Some((names, [first, second])) = two_addresses("size-tcp") else { return };
            let far = crate::harness::FarTcp::on(first);
            let server = server(&format!("-t --framing lines --host {} -p {}", second.ip(), second.port()));
            let mut client = names.client(&format!("--find-size --framing lines several {}", first.port())).start();
            far.accept().close_with(says);
            let ended = end_of(&mut client);
            assert_eq!(ended.err, [format!("reactor-client: cannot connect to tcp {first}: {why}")]);
            assert!(ended.code == 0 && ended.out[0].starts_with(&format!("tcp {second}: ")), "{:?}", ended.out);
            drop(server);
        }
        let Some((names, [first, second])) = two_addresses("size-udp") else { return };
        let server = server(&format!("-u --host {} -p {}", second.ip(), second.port()));
        let ended = run(names.client(&format!("--find-size -u several {}", first.port())));
        assert_eq!(ended.err, [format!("reactor-client: cannot connect to udp {first}: refused")]);
        assert!(ended.code == 0 && ended.out[0].starts_with(&format!("udp {second} answers ")), "{:?}", ended.out);
        server.stop();
        let ended = run(names.client(&format!("--find-size -u -W 0.1 several {}", first.port())));
        assert!(ended.code == 1 && ended.complaint().ends_with("is not open: silent"), "{:?}", ended.err);
    });
}

#[test]
fn an_acknowledgement_that_comes_before_its_message_is_a_wrong_answer() {
    undisturbed(|| {
        let far = crate::harness::FarTcp::new();
        let mut client = client_to(far.address(), "--find-size 10000000 --framing lines").start();
        let mut caller = far.accept();
        caller.answer("x\n", "ACK\nACK\n");
        let ended = end_of(&mut client);
        assert_eq!((ended.code, ended.out.len()), (1, 0), "{:?}", ended.out);
        assert!(ended.complaint().contains("a wrong answer"), "{:?}", ended.err);
    });
}

/// A late plain answer to one size would be one to the next.
#[test]
fn plain_answers_to_one_port_tell_no_size() {
    undisturbed(|| {
        let far = udp_service(|socket, _, peer| drop(socket.send_to(b"check", peer)));
        let own = closed_port(private_loopback());
        let ended = run(client_to(far, &format!("--find-size 3000 -u -I {own}")));
        assert_eq!((ended.code, ended.out.len()), (2, 0), "{:?}", ended.out);
        assert!(ended.complaint().contains("do not say which size they are for"), "{:?}", ended.err);
        let server = server("-u");
        let ended = run(client_to(server.udp(), &format!("--find-size 3000 -u -I 127.0.0.1:{}", own.port())));
        assert_eq!((ended.code, ended.out.len()), (0, 1), "{:?}", ended.err);
    });
}

/// The other end of our link takes less than ours: of what is longer the system says that it has no room for it.
#[test]
fn a_link_whose_other_end_takes_less_is_an_answer() {
    undisturbed(|| {
        expect(
            &["ip link set west mtu 1280"],
            &[(
                "--find-size 1400 -u -W 0.2 10.78.0.2",
                "udp 10.78.0.2:6666 answers up to 1252 bytes (path MTU 1280): larger ones vanish on the way back; \
                 fragmented ones up to 1400 bytes do not",
            )],
        );
    });
}

/// A far end that takes its time for long messages.
fn slow_with_long_ones() -> std::net::SocketAddr {
    let socket = std::net::UdpSocket::bind((private_loopback(), 0)).unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((len, peer)) = socket.recv_from(&mut buffer) {
            std::thread::sleep(std::time::Duration::from_millis(if len > 100 { 150 } else { 0 }));
            let _ = socket.send_to(b"check", peer);
        }
    });
    address
}

#[test]
fn late_answers_are_no_matter_of_size_and_a_given_port_does_not_hide_it() {
    undisturbed(|| {
        let slow = slow_with_long_ones();
        let ended = run(client_to(slow, "--ping -u --plain -s 1400 -c 3 -i 0.4 -W 0.1"));
        assert!(ended.code == 1 && !ended.out.join("\n").contains("find-size"), "{:?}", ended.out);
        let words = [
            "--ping -u -s 1400 -c 2 -i 0.1 -W 0.3 -I :5000 10.78.0.2",
            "--ping --framing lines -s 1400 -c 2 -i 0.1 -W 0.3 -I :5001 10.78.0.2",
        ];
        let Some(ended) = across(&[NARROW, WITHOUT_A_WORD], &words) else { return };
        for ended in ended {
            let last = ended.out.last().unwrap();
            assert_eq!(last, "a message of 5 bytes is answered: try --find-size", "{:?}", ended.out);
        }
    });
}

#[test]
fn what_has_no_way_from_here_is_no_fault_of_the_path() {
    let words = ["-z", "-zu", "-m x", "--ping -c 1", "--ping -u -c 1", "--find-size -u"];
    let words = words.map(|words| format!("{words} --framing lines -I 127.0.0.1 10.78.0.2"));
    let Some(ended) = across(&[], &words.each_ref().map(String::as_str)) else { return };
    for (ended, words) in ended.iter().zip(words) {
        let said = "from -I 127.0.0.1 no way leads there";
        assert!(ended.code == 2 && ended.complaint().contains(said), "{words}: {} {:?}", ended.code, ended.err);
    }
}
