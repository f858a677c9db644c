//! `-z`: one fixed word for each protocol and address, and only an acknowledgement earns `open`.

use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::time::Duration;

use nix::sys::signal::Signal::SIGINT;
use serde_json::Value;

use crate::client_names::several;
use crate::harness::{
    Ended, FarTcp, FarUdp, Launch, Mute, Process, client_to, closed_port, end_of, have, private_loopback, run, server,
    shape, sooner_than, timed, undisturbed, wait_until,
};

/// The verdict must be this one line and this code, with nothing on stderr.
#[track_caller]
fn expect(ended: &Ended, line: &str, code: i32) {
    assert_eq!((ended.out.as_slice(), ended.code), (&[line.to_owned()][..], code), "{:?}", ended.err);
    assert!(ended.err.is_empty(), "{:?}", ended.err);
}

/// The verdict must be this one line, the code 1, and stderr this sentence.
#[track_caller]
fn expect_explained(ended: &Ended, line: &str, sentence: &str) {
    assert_eq!((ended.out.as_slice(), ended.code), (&[line.to_owned()][..], 1), "{:?}", ended.err);
    assert_eq!(ended.err, [format!("reactor-client: {sentence}")]);
}

/// It must be `open`, with the time that the acknowledgement took.
#[track_caller]
fn expect_open(line: &str, protocol: &str, address: SocketAddr) {
    let rest = line.strip_prefix(&format!("{protocol} {address} ")).unwrap_or_else(|| panic!("{line:?}"));
    assert_eq!(shape(rest), "open 0 ms", "{line:?}");
}

#[test]
fn our_server_is_open_over_both() {
    let server = server("");
    for (options, protocols) in
        [("-z", &["tcp"][..]), ("-z -t", &["tcp"]), ("-zu", &["udp"]), ("-ztu", &["tcp", "udp"])]
    {
        let ended = run(client_to(server.tcp(), options));
        assert_eq!(
            (ended.code, ended.out.len(), ended.err.len()),
            (0, protocols.len(), 0),
            "{options}: {:?}",
            ended.out
        );
        for (line, protocol) in ended.out.iter().zip(protocols) {
            expect_open(line, protocol, server.tcp());
        }
    }
}

#[test]
fn it_is_open_in_every_framing_and_speaks_english_in_every_language() {
    for framing in ["bytes", "lines", "length"] {
        let server = server(&format!("-t --framing {framing}"));
        let ended = run(client_to(server.tcp(), &format!("-z --framing {framing} --lang zh")));
        assert_eq!(ended.code, 0, "{:?}", ended.out);
        expect_open(&ended.out[0], "tcp", server.tcp());
    }
}

#[test]
fn an_acknowledgement_in_pieces_is_one() {
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "-z -W 10").start();
    let mut caller = far.accept();
    caller.answer("hello", "A");
    caller.say("CK");
    assert_eq!(client.wait_exit(), 0);
}

#[test]
fn closed_ports_are_refused() {
    let closed = closed_port(private_loopback());
    for (option, protocol) in [("-z", "tcp"), ("-zu", "udp")] {
        sooner_than(Duration::from_secs(1), || {
            let (ended, took) = timed(|| run(client_to(closed, option)));
            expect(&ended, &format!("{protocol} {closed} refused"), 1);
            took
        });
    }
}

#[test]
fn a_udp_port_that_swallows_everything_is_silent_after_three_tries() {
    sooner_than(Duration::from_millis(1500), || {
        let far = FarUdp::new();
        let (ended, took) = timed(|| run(client_to(far.address(), "-zu -W 0.2")));
        expect(&ended, &format!("udp {} silent", far.address()), 1);
        let sources: Vec<SocketAddr> = (0..3).map(|_| far.expect("hello")).collect();
        far.expect_nothing();
        assert!(sources[0] != sources[1] && sources[1] != sources[2], "{sources:?}");
        assert!(took >= Duration::from_millis(600), "{took:?}");
        took
    });
}

#[test]
fn a_try_takes_a_second_unless_told_otherwise() {
    sooner_than(Duration::from_secs(4), || {
        let far = FarUdp::new();
        let (ended, took) = timed(|| run(client_to(far.address(), "-zu")));
        assert_eq!(ended.code, 1);
        assert!(took >= Duration::from_secs(3), "{took:?}");
        took
    });
}

#[test]
fn an_answer_to_an_earlier_try_is_not_taken_for_the_last_ones() {
    undisturbed(|| {
        let far = FarUdp::new();
        let mut client = client_to(far.address(), "-zu -W 0.6").start();
        let first = far.expect("hello");
        let second = far.expect("hello");
        far.say(first, "check");
        far.expect("hello");
        far.say(second, "check");
        expect(&end_of(&mut client), &format!("udp {} silent", far.address()), 1);
    });
}

#[test]
fn the_answer_to_the_last_try_counts() {
    undisturbed(|| {
        let far = FarUdp::new();
        let mut client = client_to(far.address(), "-zu -W 0.6").start();
        far.expect("hello");
        far.expect("hello");
        far.answer("hello", "check");
        let ended = end_of(&mut client);
        assert_eq!(ended.code, 0);
        expect_open(&ended.out[0], "udp", far.address());
    });
}

#[test]
fn a_tcp_port_that_accepts_and_says_nothing_is_silent() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut client = client_to(far.address(), "-z -W 0.2").start();
        let mut callers = [far.accept(), far.accept(), far.accept()];
        let question = "nothing came back at all: do both sides have the same --framing? here it is bytes";
        expect_explained(&end_of(&mut client), &format!("tcp {} silent", far.address()), question);
        far.expect_nobody();
        callers.iter_mut().for_each(|caller| caller.expect("hello"));
    });
}

#[test]
fn a_host_that_answers_no_attempt_to_connect_is_silent() {
    undisturbed(|| {
        let mute = Mute::on((private_loopback(), 0).into());
        let ended = run(client_to(mute.address(), "-z -W 0.2"));
        expect(&ended, &format!("tcp {} silent", mute.address()), 1);
    });
}

#[test]
fn a_host_without_a_way_to_it_is_unreachable() {
    // The system refuses a connection to the broadcast address by itself.
    for (option, protocol) in [("-z", "tcp"), ("-zu", "udp")] {
        let ended = run(Launch::client(&["255.255.255.255", "7", option]));
        expect(&ended, &format!("{protocol} 255.255.255.255:7 unreachable"), 1);
    }
}

#[test]
fn anything_but_the_acknowledgement_is_a_wrong_answer() {
    let answers: [(&[u8], &str); 5] = [
        (b"ACKNOWLEDGED", "ACKNOWLEDGED"),
        (b"check", "check"),
        (b"ack", "ack"),
        (b"\x1b[2J\xff\n", "\\u{001b}[2J\\xff"),
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP/1.1 400 Bad Request\\r"),
    ];
    for (answer, text) in answers {
        let far = FarTcp::new();
        let mut client = client_to(far.address(), "-z -W 10").start();
        far.accept().answer("hello", answer);
        expect(&end_of(&mut client), &format!("tcp {} wrong-answer ({text})", far.address()), 1);
    }
    for (answer, text) in [(&b""[..], ""), (b"ACK", "ACK"), (b"checks", "checks"), (b"hello", "hello")] {
        let far = FarUdp::new();
        let mut client = client_to(far.address(), "-zu -W 10").start();
        far.answer("hello", answer);
        expect(&end_of(&mut client), &format!("udp {} wrong-answer ({text})", far.address()), 1);
    }
}

#[test]
fn a_wrong_answer_is_shown_as_any_message_is() {
    let long = "x".repeat(5000);
    let shown = format!("{}… (5000 bytes)", "x".repeat(1024));
    for (framing, answer, text) in [
        // Its end never comes.
        ("lines", long.as_bytes(), shown.as_str()),
        ("lines", "hi… (9 bytes)\n".as_bytes(), "hi\\u{2026} (9 bytes)"),
        // Nobody's Enter: a frame has an end without it.
        ("length", b"\0\0\0\x04ACK\n", "ACK\\n"),
    ] {
        let far = FarTcp::new();
        let mut client = client_to(far.address(), &format!("-z -W 10 --framing {framing}")).start();
        let mut caller = far.accept();
        caller.expect(if framing == "lines" { &b"hello\n"[..] } else { b"\0\0\0\x05hello" });
        caller.close_with(answer);
        let ended = end_of(&mut client);
        assert_eq!(ended.out, [format!("tcp {} wrong-answer ({text})", far.address())], "{framing}: {:?}", ended.err);
    }
}

#[test]
fn what_is_said_of_a_strange_name_is_escaped_once() {
    for format in ["text", "json"] {
        let ended = run(Launch::client(&["-z", "a\u{202e}b.invalid", "--format", format]));
        let name = r"cannot resolve the host name 'a\u{202e}b.invalid'";
        assert!(ended.code == 2 && ended.err[0].contains(name), "{:?}", ended.err);
        if format == "json" {
            let said: Value = serde_json::from_str(&ended.out[0]).unwrap();
            assert!(said["text"].as_str().unwrap().starts_with(name), "{said}");
        }
    }
}

#[test]
fn an_acknowledgement_cut_short_is_a_wrong_answer() {
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "-z -W 10").start();
    let mut caller = far.accept();
    caller.expect("hello");
    caller.close_with("AC");
    expect(&end_of(&mut client), &format!("tcp {} wrong-answer (AC)", far.address()), 1);
}

#[test]
fn a_server_that_closes_or_resets_is_named_so() {
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "-z -W 10").start();
    let mut caller = far.accept();
    caller.expect("hello");
    caller.close_with("");
    expect(&end_of(&mut client), &format!("tcp {} closed", far.address()), 1);
    let mut client = client_to(far.address(), "-z -W 10").start();
    let mut caller = far.accept();
    caller.expect("hello");
    caller.reset();
    expect(&end_of(&mut client), &format!("tcp {} reset", far.address()), 1);
}

#[test]
fn a_notice_is_closed_with_its_text() {
    for notice in ["server is shutting down", "idle timeout", "message too long", "server is full"] {
        let far = FarTcp::new();
        let mut client = client_to(far.address(), "-z -W 10").start();
        let mut caller = far.accept();
        caller.expect("hello");
        caller.close_with(notice);
        expect(&end_of(&mut client), &format!("tcp {} closed ({notice})", far.address()), 1);
    }
    let far = FarUdp::new();
    let mut client = client_to(far.address(), "-zu -W 10").start();
    far.answer("hello", "server is shutting down");
    expect(&end_of(&mut client), &format!("udp {} closed (server is shutting down)", far.address()), 1);
}

#[test]
fn our_full_server_is_closed() {
    let server = server("-t --max-connections 1");
    let _client = server.client();
    let ended = run(client_to(server.tcp(), "-z"));
    expect(&ended, &format!("tcp {} closed (server is full)", server.tcp()), 1);
}

#[test]
fn what_comes_with_the_connection_is_read_with_it() {
    undisturbed(|| {
        let mute = Mute::on((Ipv4Addr::LOCALHOST, 0).into());
        let address = mute.address();
        let mut client = client_to(address, "-z -W 8").start();
        wait_until("the handler", || client.proc().catches(SIGINT as i32).then_some(()));
        std::thread::sleep(Duration::from_millis(100));
        client.stop();
        let mut stream = mute.admit();
        stream.write_all(b"server is full").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        client.resume();
        expect(&end_of(&mut client), &format!("tcp {address} closed (server is full)"), 1);
    });
}

#[test]
fn a_name_that_does_not_resolve_is_dns_and_exit_2() {
    let ended = run(Launch::client(&["no-such-host.invalid", "7", "-ztu"]));
    assert_eq!((ended.code, ended.err.len()), (2, 1), "{:?}", ended.err);
    assert_eq!(ended.out, ["tcp no-such-host.invalid:7 dns", "udp no-such-host.invalid:7 dns"]);
    assert!(ended.err[0].contains("no-such-host.invalid"));
}

#[test]
fn every_protocol_asked_for_must_be_open() {
    for (only, code) in [("-t", 1), ("-u", 1), ("", 0)] {
        let server = server(only);
        let address = if only == "-u" { server.udp() } else { server.tcp() };
        let ended = run(client_to(address, "-ztu"));
        assert_eq!((ended.code, ended.out.len()), (code, 2), "{:?}", ended.out);
    }
}

#[test]
fn one_open_address_of_several_is_enough() {
    let Some((names, addresses)) = several("verdict", 3) else { return };
    let (tcp, udp) = (FarTcp::on(addresses[1]), FarUdp::on(addresses[2]));
    let mut client = names.client(&format!("several {} -ztu -W 10", addresses[0].port())).start();
    tcp.accept().answer("hello", "ACK");
    udp.answer("hello", "check");
    let ended = end_of(&mut client);
    let words: Vec<String> = ended.out.iter().map(|line| line.split(" ms").next().unwrap().to_owned()).collect();
    let word = |protocol: &str, index: usize, word: &str| format!("{protocol} {} {word}", addresses[index]);
    let expected = [
        word("tcp", 0, "refused"),
        word("tcp", 1, "open "),
        word("tcp", 2, "refused"),
        word("udp", 0, "refused"),
        word("udp", 1, "refused"),
        word("udp", 2, "open "),
    ];
    assert_eq!(ended.code, 0, "{words:?}");
    assert!(words.iter().zip(&expected).all(|(word, wanted)| word.starts_with(wanted)), "{words:?}");
}

/// socat between the client and `target`, where it is have.
fn through_socat(listen: &str, target: &str) -> Option<(Process, SocketAddr)> {
    if !have("socat") {
        return None;
    }
    let here = closed_port(private_loopback());
    let listen = format!("{listen}:{},bind={},fork", here.port(), here.ip());
    // What it forks is nobody's child in the end, and must end by itself.
    let socat = Launch::program("socat", &["-d", "-d", "-d", "-T", "5", &listen, target]).start();
    socat
        .stderr
        .find("its socket", |line| line.contains("listening") || line.contains("starting") || line.contains("bound"));
    Some((socat, here))
}

#[test]
fn behind_a_proxy_the_path_is_what_lies_behind_it() {
    let server = server("");
    let closed = closed_port(private_loopback());
    let Some((_socat, proxy)) = through_socat("TCP4-LISTEN", &format!("TCP4:{}", server.tcp())) else { return };
    let ended = run(client_to(proxy, "-z"));
    assert_eq!(ended.code, 0, "{:?}", ended.out);
    expect_open(&ended.out[0], "tcp", proxy);

    // The proxy accepts on behalf of nobody: a netcat would be content.
    let Some((_socat, proxy)) = through_socat("TCP4-LISTEN", &format!("TCP4:{closed}")) else { return };
    let ended = run(client_to(proxy, "-z"));
    assert_eq!(ended.code, 1, "{:?}", ended.out);
    let word = ended.out[0].rsplit(' ').next().unwrap();
    assert!(["closed", "reset"].contains(&word), "{:?}", ended.out);
}

#[test]
fn behind_a_datagram_proxy_too() {
    undisturbed(|| {
        let server = server("-u");
        let Some((_socat, proxy)) = through_socat("UDP4-LISTEN", &format!("UDP4:{}", server.udp())) else { return };
        let ended = run(client_to(proxy, "-zu"));
        assert_eq!(ended.code, 0, "{:?}", ended.out);
        let closed = closed_port(private_loopback());
        let Some((_socat, proxy)) = through_socat("UDP4-LISTEN", &format!("UDP4:{closed}")) else { return };
        let ended = run(client_to(proxy, "-zu -W 0.2"));
        assert_eq!(ended.code, 1, "{:?}", ended.out);
    });
}

#[test]
fn in_json_it_is_an_event_with_its_times() {
    let server = server("");
    let closed = closed_port(private_loopback());
    let tell = |address: SocketAddr, options: &str| -> Vec<Value> {
        let ended = run(client_to(address, &format!("-z --format json {options}")));
        ended.out.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let open = tell(server.tcp(), "-tu");
    for (event, protocol) in open.iter().zip(["tcp", "udp"]) {
        assert_eq!(event["event"], "verdict");
        assert_eq!((&event["protocol"], &event["verdict"]), (&protocol.into(), &"open".into()));
        assert_eq!(event["address"], server.tcp().to_string());
        assert!(event["rtt_ns"].as_u64().is_some_and(|rtt| rtt > 0), "{event}");
        assert_eq!(event["connect_ns"].is_u64(), protocol == "tcp", "{event}");
    }
    let refused = &tell(closed, "")[0];
    assert_eq!((&refused["verdict"], refused["rtt_ns"].is_null()), (&"refused".into(), true), "{refused}");
    let far = FarUdp::new();
    let mut client = client_to(far.address(), "-zu -W 10 --format json").start();
    far.answer("hello", "a\"b");
    let wrong: Value = serde_json::from_str(&end_of(&mut client).out[0]).unwrap();
    assert_eq!((&wrong["verdict"], &wrong["text"]), (&"wrong-answer".into(), &"a\"b".into()));
    let dns = run(Launch::client(&["no-such-host.invalid", "-z", "--format", "json"]));
    let event: Value = serde_json::from_str(dns.out.last().unwrap()).unwrap();
    assert_eq!(
        (dns.code, &event["verdict"], &event["address"]),
        (2, &"dns".into(), &"no-such-host.invalid:6666".into())
    );
}

#[test]
fn quiet_it_says_it_by_its_code_alone() {
    let server = server("-t");
    let ended = run(client_to(server.tcp(), "-zq"));
    assert_eq!((ended.code, ended.out.len(), ended.err.len()), (0, 0, 0));
    let ended = run(client_to(server.tcp(), "-zqu"));
    assert_eq!((ended.code, ended.out.len(), ended.err.len()), (1, 0, 0));
}

#[test]
fn an_interrupt_loses_nothing_that_was_found_out() {
    undisturbed(|| {
        // TCP, whose line comes first, is silent; UDP is open.
        let tcp = FarTcp::on(closed_port(private_loopback()));
        let udp = FarUdp::on(tcp.address());
        let mut client = client_to(tcp.address(), "-ztu -W 30").start();
        let _caller = tcp.accept();
        udp.answer("hello", "check");
        // The answer lies in its socket: whatever the signal finds first, it is read.
        std::thread::sleep(Duration::from_millis(200));
        client.signal(SIGINT);
        let ended = end_of(&mut client);
        assert_eq!((ended.code, ended.out.len()), (1, 1), "{:?}", ended.out);
        expect_open(&ended.out[0], "udp", udp.address());
        assert_eq!(ended.complaint(), format!("reactor-client: interrupted: no verdict on tcp {} yet", tcp.address()));
    });
}

#[test]
fn a_verdict_that_nobody_reads_is_not_waited_for() {
    undisturbed(|| {
        // TCP is open and told; UDP would take its time.
        let tcp = FarTcp::on(closed_port(private_loopback()));
        let _udp = FarUdp::on(tcp.address());
        let (reader, writer) = std::io::pipe().unwrap();
        let launch = client_to(tcp.address(), "-ztu -W 30").stdout(crate::harness::Output::Given(writer.into()));
        let mut client = launch.start();
        let mut caller = tcp.accept();
        drop(reader);
        // Until then a child of another test, just being started, may hold the reader as well.
        std::thread::sleep(Duration::from_millis(200));
        caller.answer("hello", "ACK");
        assert_eq!(client.wait_exit(), 1);
    });
}

#[test]
fn it_is_one_thread() {
    let (tcp, udp) = (FarTcp::new(), FarUdp::new());
    for (address, option) in [(tcp.address(), "-z"), (udp.address(), "-zu")] {
        let client = client_to(address, option).start();
        crate::harness::wait_until("the handler", || client.proc().catches(SIGINT as i32).then_some(()));
        assert_eq!(client.proc().tasks(), 1);
    }
}

#[test]
fn the_beginning_of_a_reply_is_a_wrong_answer_and_no_silence() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut client = client_to(far.address(), "-z -W 0.2").start();
        let mut callers = [far.accept(), far.accept(), far.accept()];
        callers.iter_mut().for_each(|caller| caller.say("AC"));
        expect(&end_of(&mut client), &format!("tcp {} wrong-answer (AC)", far.address()), 1);
    });
}

#[test]
fn a_server_that_speaks_another_framing_answers_wrongly() {
    undisturbed(|| {
        let server = server("-t");
        for framing in ["lines", "length"] {
            let ended = run(client_to(server.tcp(), &format!("-z -W 1 --framing {framing}")));
            let why = format!(
                "the server answers as with --framing bytes, and here it is {framing}: both sides need the same --framing"
            );
            expect_explained(&ended, &format!("tcp {} wrong-answer (ACK)", server.tcp()), &why);
        }
    });
}

#[test]
fn a_frame_cut_short_is_a_wrong_answer() {
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "-z -W 10 --framing length").start();
    let mut caller = far.accept();
    caller.expect(b"\0\0\0\x05hello");
    caller.close_with(b"\0\0\0\x03AC");
    expect(&end_of(&mut client), &format!("tcp {} wrong-answer (AC)", far.address()), 1);
}

/// An acknowledgement without its newline is another framing's, ended or not.
#[test]
fn an_acknowledgement_that_lacks_its_end_is_a_wrong_answer() {
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "-z -W 10 --framing lines").start();
    let mut caller = far.accept();
    caller.expect(b"hello\n");
    caller.close_with(b"ACK");
    let why = "the server answers as with --framing bytes, and here it is lines: both sides need the same --framing";
    expect_explained(&end_of(&mut client), &format!("tcp {} wrong-answer (ACK)", far.address()), why);
}
