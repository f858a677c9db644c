//! `--find-idle`: silences of different lengths side by side, and what ended those that did not last.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGCONT, SIGINT, SIGSTOP};
use socket2::SockRef;

use crate::client_names::several;
use crate::harness::{
    Ended, FarUdp, Launch, Output, ack, client_to, closed_port, end_of, have, heard, last_object, number, one_of_five,
    private_loopback, run, server, shape, shown, sooner_than, tcp_service, timed, udp_service, undisturbed, wait_until,
};

/// When the far ends of these tests have had enough.
const IDLE: Duration = Duration::from_millis(600);

/// Acknowledges until the client is silent for [`IDLE`].
fn ack_until_idle(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(IDLE)).unwrap();
    while heard(stream) {
        ack(stream);
    }
}

/// The answer must be one line that brackets a cut about [`IDLE`] with this cause.
#[track_caller]
fn expect_cut(far: SocketAddr, args: &str, protocol: &str, cause: &str) {
    one_of_five(|| {
        let ended = run(client_to(far, args));
        assert_eq!((ended.code, ended.out.len()), (0, 1), "{:?} {:?}", ended.out, ended.err);
        let line = &ended.out[0];
        assert_eq!(shape(line), format!("{protocol} idle timeout between 0 and 0 s: {cause}"), "{line:?}");
        let (from, to) = (number(line, "between "), number(line, "and "));
        assert!(to >= 0.6 && from < to, "{line:?}");
        if (0.4..0.7).contains(&from) && to < 0.9 { Ok(()) } else { Err(line.clone()) }
    });
}

#[test]
fn our_server_announces_its_cut() {
    undisturbed(|| {
        let server = server("-t --idle-timeout 0.6");
        one_of_five(|| {
            let (ended, took) = timed(|| run(client_to(server.tcp(), "--find-idle 2")));
            assert_eq!((ended.code, ended.err.len()), (0, 0), "{:?}", ended.err);
            let line = &ended.out[0];
            assert_eq!(shape(line), "tcp idle timeout between 0 and 0 s: announced by the server");
            // The server is never early, and half a second late at most.
            let (from, to) = (number(line, "between "), number(line, "and "));
            assert!(to >= 0.6 && from < to, "{line:?}");
            // It need not wait for longer silences.
            let soon = from <= 1.1 && to <= 1.3 && took < Duration::from_secs(2);
            if soon { Ok(()) } else { Err(format!("{line} after {took:?}")) }
        });
    });
}

#[test]
fn over_udp_our_server_never_cuts() {
    undisturbed(|| {
        let server = server("-u --idle-timeout 0.2");
        let ended = run(client_to(server.udp(), "--find-idle 1 -u --lang zh"));
        assert_eq!((ended.code, ended.out.as_slice()), (0, &["no idle timeout up to 1 s".to_owned()][..]));
    });
}

#[test]
fn an_end_that_closes() {
    undisturbed(|| {
        let far = tcp_service(|mut stream| ack_until_idle(&mut stream));
        expect_cut(far, "--find-idle 1.5", "tcp", "closed");
    });
}

#[test]
fn an_end_that_resets() {
    undisturbed(|| {
        let far = tcp_service(|mut stream| {
            ack_until_idle(&mut stream);
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        });
        expect_cut(far, "--find-idle 1.5", "tcp", "reset");
    });
}

#[test]
fn a_path_that_forgets_a_connection_is_silent() {
    undisturbed(|| {
        let far = tcp_service(|mut stream| {
            ack_until_idle(&mut stream);
            stream.set_read_timeout(None).unwrap();
            while heard(&mut stream) {}
        });
        expect_cut(far, "--find-idle 1.5 -W 0.2", "tcp", "silent");
    });
}

#[test]
fn a_path_that_forgets_a_source_port_is_silent() {
    undisturbed(|| {
        let mut last: HashMap<SocketAddr, Instant> = HashMap::new();
        let far = udp_service(move |socket, _, from| {
            let now = Instant::now();
            if now - *last.entry(from).or_insert(now) < IDLE {
                last.insert(from, now);
                socket.send_to(b"check", from).unwrap();
            }
        });
        expect_cut(far, "--find-idle 1.5 -u -W 0.2", "udp", "silent");
    });
}

#[test]
fn one_lost_answer_is_no_idle_timeout() {
    undisturbed(|| {
        let mut words: Vec<(SocketAddr, u32)> = Vec::new();
        let far = udp_service(move |socket, _, from| {
            let flow = words.iter().position(|flow| flow.0 == from).unwrap_or(words.len());
            if flow == words.len() {
                words.push((from, 0));
            }
            words[flow].1 += 1;
            // Nothing is heard of the word behind the silence on a few flows: on some that others outlast, and on the longest.
            if words[flow].1 != 2 || ![0, 20, 21, 40].contains(&flow) {
                socket.send_to(b"check", from).unwrap();
            }
        });
        let ended = run(client_to(far, "--find-idle 1 -u -W 0.2"));
        assert_eq!((ended.code, ended.out.as_slice()), (0, &["no idle timeout up to 1 s".to_owned()][..]));
    });
}

#[test]
fn a_path_that_never_cuts() {
    let far = tcp_service(|mut stream| {
        while heard(&mut stream) {
            ack(&mut stream);
        }
    });
    for (longest, wanted) in [("0.5", "0.5"), ("1", "1")] {
        sooner_than(Duration::from_secs_f64(longest.parse::<f64>().unwrap() + 0.7), || {
            let (ended, took) = timed(|| run(client_to(far, &format!("--find-idle {longest}"))));
            assert_eq!((ended.code, ended.out.as_slice()), (0, &[format!("no idle timeout up to {wanted} s")][..]));
            took
        });
    }
}

#[test]
fn behind_a_proxy_it_is_the_proxys_timeout() {
    undisturbed(|| {
        if !have("socat") {
            return;
        }
        let server = server("-t");
        let here = closed_port(private_loopback());
        let listen = format!("TCP4-LISTEN:{},bind={},fork,backlog=128", here.port(), here.ip());
        let socat =
            Launch::program("socat", &["-d", "-d", "-T", "0.6", &listen, &format!("TCP4:{}", server.tcp())]).start();
        socat.stderr.find("its socket", |line| line.contains("listening"));
        one_of_five(|| {
            let ended = run(client_to(here, "--find-idle 2 "));
            assert_eq!((ended.code, ended.out.len()), (0, 1), "{:?} {:?}", ended.out, ended.err);
            let line = &ended.out[0];
            assert_eq!(shape(line), "tcp idle timeout between 0 and 0 s: closed");
            assert!(number(line, "and ") >= 0.6, "{line:?}");
            if number(line, "between ") < 0.9 { Ok(()) } else { Err(line.clone()) }
        });
    });
}

#[test]
fn in_json_the_causes_are_words() {
    undisturbed(|| {
        let announced = server("-t --idle-timeout 0.3");
        let closes = tcp_service(|mut stream| ack_until_idle(&mut stream));
        let never = server("-u");
        let scenes = [
            (announced.tcp(), "", "tcp", "announced"),
            (closes, "", "tcp", "closed"),
            (never.udp(), "-u", "udp", "none"),
        ];
        for (address, option, protocol, cause) in scenes {
            let ended = run(client_to(address, &format!("--find-idle 1 --format json {option}")));
            let event = last_object(&ended.out);
            assert_eq!((ended.code, &event["event"]), (0, &"idle".into()), "{event}");
            assert_eq!((&event["protocol"], &event["cause"]), (&protocol.into(), &cause.into()), "{event}");
            assert_eq!(event["address"], address.to_string());
            let survived = event["survived_s"].as_f64().unwrap();
            match cause {
                "none" => assert!(event["cut_s"].is_null() && survived == 1.0, "{event}"),
                _ => assert!(event["cut_s"].as_f64().unwrap() > survived, "{event}"),
            }
        }
    });
}

#[test]
fn a_wait_without_an_end_is_refused() {
    let server = server("");
    for options in ["-W 0", "-u -W 0"] {
        let ended = run(client_to(server.tcp(), &format!("--find-idle 0.1 {options}")));
        assert_eq!((ended.code, ended.out.len(), ended.err.len()), (2, 0, 1), "{:?}", ended.err);
        let said = &ended.err[0];
        assert!(said.contains("--find-idle needs a wait that comes to an end: give -W more than 0"), "{said:?}");
    }
}

/// Nothing was found out, and one sentence says why.
#[track_caller]
fn expect_not_open(ended: &Ended, address: SocketAddr, why: &str) {
    assert_eq!((ended.code, ended.out.len(), ended.err.len()), (1, 0, 1), "{:?} {:?}", ended.out, ended.err);
    let said = &ended.err[0];
    assert!(said.contains(&address.to_string()) && said.contains("not open") && said.contains(why), "{said:?}");
}

#[test]
fn a_path_that_is_not_open_to_begin_with_is_exit_1() {
    let closed = closed_port(private_loopback());
    expect_not_open(&run(client_to(closed, "--find-idle 5")), closed, "refused");
    expect_not_open(&run(client_to(closed, "--find-idle 5 -u")), closed, "refused");
    let silent = FarUdp::new();
    sooner_than(Duration::from_secs(1), || {
        let (ended, took) = timed(|| run(client_to(silent.address(), "--find-idle 5 -u -W 0.1")));
        expect_not_open(&ended, silent.address(), "silent");
        took
    });
    let wrong = tcp_service(|mut stream| {
        heard(&mut stream);
        let _ = std::io::Write::write_all(&mut stream, b"220 ready");
        while heard(&mut stream) {}
    });
    expect_not_open(&run(client_to(wrong, "--find-idle 5")), wrong, "wrong answer");
}

#[test]
fn the_address_that_is_open_is_the_one() {
    undisturbed(|| {
        let Some((names, addresses)) = several("idle", 2) else { return };
        let ip: IpAddr = addresses[1].ip();
        let server = server(&format!("--host {ip} -p {} --idle-timeout 0.3", addresses[1].port()));
        let ended = run(names.client(&format!("several {} --find-idle 1", server.tcp().port())));
        assert_eq!((ended.code, ended.out.len()), (0, 1), "{:?} {:?}", ended.out, ended.err);
        assert!(ended.out[0].ends_with("announced by the server"), "{:?}", ended.out);
        let passed = format!("reactor-client: cannot connect to tcp {}:", addresses[0].ip());
        assert!(ended.err[0].starts_with(&passed) && ended.err[0].ends_with("refused"), "{:?}", ended.err);
        let ended = run(names.client(&format!("several {} --find-idle 0.5 -u --format json", server.udp().port())));
        assert_eq!(last_object(&ended.out)["address"], server.udp().to_string());
    });
}

#[test]
fn where_there_is_room_for_few_their_silences_reach_as_far() {
    undisturbed(|| {
        for (options, found) in [
            ("--max-connections 1", "no idle timeout up to 2 s"),
            ("--max-connections 16", "no idle timeout up to 2 s"),
            ("--max-connections 16 --idle-timeout 1.2", "tcp idle timeout between 0 and 0 s: announced by the server"),
        ] {
            let server = server(&format!("-t {options}"));
            let ended = run(client_to(server.tcp(), "--find-idle 2"));
            assert_eq!((ended.code, ended.out.len()), (0, 1), "{:?} {:?}", ended.out, ended.err);
            let line = &ended.out[0];
            assert!(*line == found || shape(line) == found, "{options}: {line:?}");
            let failed = if options.ends_with(" 1") { 63 } else { 48 };
            assert_eq!(ended.complaint(), format!("reactor-client: {failed} of 64 flows never stood: server is full"));
        }
    });
}

#[test]
fn an_interrupt_tells_what_was_found_out() {
    undisturbed(|| {
        let far = tcp_service(|mut stream| {
            while heard(&mut stream) {
                ack(&mut stream);
            }
        });
        let mut client = client_to(far, "--find-idle 20").start();
        std::thread::sleep(Duration::from_millis(800));
        client.signal(SIGINT);
        let ended = end_of(&mut client);
        assert_eq!((ended.code, ended.out.len(), ended.err.len()), (1, 1, 1), "{:?}", ended.err);
        assert!(number(&ended.out[0], "no idle timeout up to ") >= 0.3, "{:?}", ended.out);
        assert!(ended.err[0].contains("interrupted"), "{:?}", ended.err);

        let mut client = client_to(far, "--find-idle 20000").start();
        wait_until("the handler", || client.proc().catches(SIGINT as i32).then_some(()));
        client.signal(SIGINT);
        let ended = end_of(&mut client);
        assert_eq!((ended.code, ended.out.len(), ended.err.len()), (1, 0, 1), "{:?}", ended.out);
    });
}

#[test]
fn progress_shows_on_a_terminal_and_one_thread_does_it() {
    undisturbed(|| {
        let far = tcp_service(|mut stream| {
            while heard(&mut stream) {
                ack(&mut stream);
            }
        });
        let mut client = client_to(far, "--find-idle 1.5").stdout(Output::Terminal).stderr(Output::Terminal).start();
        std::thread::sleep(Duration::from_millis(600));
        assert_eq!(client.proc().tasks(), 1);
        assert_eq!(client.wait_exit(), 0);
        let lines = client.terminal.to_end();
        assert!(lines[0].contains(" flows silent, "), "{lines:?}");
        assert_eq!(shown(&lines[0]), "no idle timeout up to 1.5 s");
    });
}

#[test]
fn a_silence_is_as_long_as_it_was_and_not_as_it_was_planned() {
    undisturbed(|| {
        // Suspended, we are silent for longer than we meant to be; the far end forgets after a second.
        let mut heard = HashMap::new();
        let far = udp_service(move |socket, _, from| {
            let now = Instant::now();
            let last = heard.entry(from).or_insert(now);
            if now - *last < Duration::from_secs(1) {
                *last = now;
                socket.send_to(b"check", from).unwrap();
            }
        });
        let mut client = client_to(far, "--find-idle 1.6 -u -W 0.2").start();
        wait_until("the handler", || client.proc().catches(SIGINT as i32).then_some(()));
        std::thread::sleep(Duration::from_millis(300));
        client.signal(SIGSTOP);
        std::thread::sleep(Duration::from_millis(1200));
        client.signal(SIGCONT);
        let ended = end_of(&mut client);
        assert_eq!(ended.code, 0, "{:?}", ended.err);
        let line = &ended.out[0];
        assert_eq!(shape(line), "udp idle timeout between 0 and 0 s: silent", "{line:?}");
        assert!(number(line, "and ") >= 1.0 && number(line, "between ") < 1.0, "{line:?}");
    });
}

#[test]
fn a_silence_short_of_a_tenth_is_told_as_it_is() {
    undisturbed(|| {
        let server = server("-u");
        for short in ["0.05", "0.000000001"] {
            let ended = run(client_to(server.udp(), &format!("--find-idle {short} -u")));
            assert_eq!((ended.code, ended.out), (0, vec![format!("no idle timeout up to {short} s")]));
        }
    });
}
