//! `--find-idle` on a path with a fault of its own: the bracket holds the true timeout, and a path that breaks has none.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGCONT, SIGINT, SIGKILL, SIGSTOP, SIGTERM};
use serde_json::Value;
use socket2::SockRef;

use crate::harness::{
    Ended, Namespace, Path, Process, Server, client_to, client_under_test, end_of, last_object, one_of_five, run,
    server, server_under_test, tcp_service, udp_service, undisturbed, wait_until,
};

/// When the far ends of these tests have had enough, by their own clock.
const IDLE: Duration = Duration::from_millis(600);

/// Acknowledges in this framing until the client was silent for [`IDLE`], to the nanosecond: what comes later is too late.
fn cut_at_idle(stream: &mut TcpStream, answer: &[u8]) {
    let mut began = Instant::now();
    let mut first = true;
    loop {
        let left = IDLE.saturating_sub(began.elapsed());
        stream.set_read_timeout(if first { None } else { Some(left.max(Duration::from_micros(1))) }).unwrap();
        match stream.read(&mut [0; 64]) {
            Ok(0) => return,
            Ok(_) if first || began.elapsed() < IDLE => {
                began = Instant::now();
                first = false;
                let _ = stream.write_all(answer);
            }
            Ok(_) => return,
            Err(_) if began.elapsed() >= IDLE => return,
            Err(_) => {}
        }
    }
}

/// A far end that forgets a source port that was silent for [`IDLE`], to the nanosecond.
fn forget_at_idle() -> SocketAddr {
    let mut last: std::collections::HashMap<SocketAddr, Instant> = std::collections::HashMap::new();
    udp_service(move |socket, _, from| {
        let now = Instant::now();
        if now - *last.entry(from).or_insert(now) < IDLE {
            last.insert(from, now);
            socket.send_to(b"check", from).unwrap();
        }
    })
}

/// What it found, as JSON tells it.
#[track_caller]
fn idle(ended: &Ended) -> Value {
    let objects = ended.out.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found = objects.into_iter().find(|object| object["event"] == "idle");
    found.unwrap_or_else(|| panic!("{:?} {:?}", ended.out, ended.err))
}

#[test]
fn the_bracket_holds_the_true_timeout_whatever_is_late() {
    undisturbed(|| {
        let closes = |answer: &'static [u8]| tcp_service(move |mut stream| cut_at_idle(&mut stream, answer));
        for (far, options, cause) in [
            (closes(b"ACK"), "", "closed"),
            (closes(b"ACK\n"), "--framing lines", "closed"),
            (closes(b"\0\0\0\x03ACK"), "--framing length", "closed"),
            (forget_at_idle(), "-u -W 0.2", "silent"),
        ] {
            one_of_five(|| {
                let ended = run(client_to(far, &format!("--find-idle 1 --format json {options}")));
                let found = idle(&ended);
                if found["cause"] != cause {
                    // A far end that is held up for so long that it cuts who talked.
                    return Err(found);
                }
                let (survived, cut) = (found["survived_s"].as_f64().unwrap(), found["cut_s"].as_f64().unwrap());
                assert!(survived <= 0.6 && 0.6 <= cut, "{options}: {found}");
                assert_eq!(ended.code, 0, "{:?}", ended.err);
                if survived > 0.4 && cut < 0.8 { Ok(()) } else { Err(found) }
            });
        }
    });
}

#[test]
fn our_server_is_never_seen_to_cut_early() {
    undisturbed(|| {
        for framing in ["bytes", "lines", "length"] {
            let server = server(&format!("-q -t --idle-timeout 0.5 --framing {framing}"));
            one_of_five(|| {
                let ended = run(client_to(server.tcp(), &format!("--find-idle 0.8 --format json --framing {framing}")));
                let found = idle(&ended);
                if found["cause"] != "announced" {
                    // A server that is held up finds what came meanwhile, and cuts nobody.
                    return Err(found);
                }
                assert_eq!(ended.code, 0, "{found} {:?}", ended.err);
                assert!(found["cut_s"].as_f64().unwrap() >= 0.5, "{framing}: {found}");
                Ok(())
            });
        }
    });
}

/// A server that acknowledges all flows of a search by now: 64 that are silent, and one that has talked for a while.
#[track_caller]
fn searched(options: &str, client: &str) -> (Server, Process) {
    let server = server(options);
    let address = if options.contains("-u") { server.udp() } else { server.tcp() };
    let client = client_to(address, client).start();
    wait_until("the flows", || {
        let lines = server.stdout.so_far();
        (lines.iter().filter(|line| line.ends_with(": hello")).count() >= 64 + 12).then_some(())
    });
    (server, client)
}

/// The path broke, and no timeout is named.
#[track_caller]
fn expect_broken(ended: &Ended, why: &str) {
    assert_eq!(ended.code, 1, "{:?} {:?}", ended.out, ended.err);
    let complaint = ended.complaint();
    assert!(complaint.contains(" broke after ") && complaint.contains(why), "{complaint:?}");
    if ended.out[0].starts_with('{') {
        let found = idle(ended);
        assert_eq!((&found["cause"], &found["cut_s"]), (&"broken".into(), &Value::Null), "{found}");
        let error = last_object(&ended.out);
        let text = error["text"].as_str().unwrap();
        assert!(error["event"] == "error" && text.contains(why) && text.contains("broke after"), "{error}");
    } else {
        assert_eq!(ended.out.len(), 1, "{:?}", ended.out);
        let seconds = ended.out[0].strip_prefix("the path broke after ").and_then(|rest| rest.strip_suffix(" s"));
        let seconds: f64 = seconds.unwrap_or_else(|| panic!("{:?}", ended.out)).parse().unwrap();
        assert!((0.0..20.0).contains(&seconds), "{:?}", ended.out);
    }
}

#[test]
fn a_server_that_dies_has_no_idle_timeout() {
    undisturbed(|| {
        for options in ["-t", "-t --framing lines", "-t --framing length", "-u"] {
            for format in ["text", "json"] {
                let framing = options.trim_start_matches("-t").trim_start_matches("-u");
                let u = if options == "-u" { "-u -W 0.3" } else { "" };
                let (server, mut client) =
                    searched(options, &format!("--find-idle 20 --format {format} {u} {framing}"));
                server.signal(SIGKILL);
                expect_broken(&end_of(&mut client), "");
            }
        }
    });
}

#[test]
fn a_server_that_shuts_down_has_no_idle_timeout() {
    undisturbed(|| {
        for option in ["-t", "-u"] {
            for format in ["text", "json"] {
                let (server, mut client) = searched(option, &format!("--find-idle 20 --format {format} {option}"));
                server.signal(SIGTERM);
                expect_broken(&end_of(&mut client), "server is shutting down");
            }
        }
    });
}

#[test]
fn a_far_end_that_drops_all_and_goes_on_has_none_either() {
    undisturbed(|| {
        one_of_five(|| {
            let streams: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
            let ours = Arc::clone(&streams);
            let far = tcp_service(move |mut stream| {
                ours.lock().unwrap().push(stream.try_clone().unwrap());
                while stream.read(&mut [0; 64]).is_ok_and(|len| len > 0) {
                    let _ = stream.write_all(b"ACK");
                }
            });
            let mut client = client_to(far, "--find-idle 20 --format json").start();
            wait_until("the flows", || (streams.lock().unwrap().len() == 65).then_some(()));
            thread::sleep(Duration::from_millis(1200));
            // Who comes anew is served.
            streams.lock().unwrap().drain(..).for_each(|stream| _ = stream.shutdown(Shutdown::Both));
            let ended = end_of(&mut client);
            // A client that was held up for as long cannot tell.
            if idle(&ended)["cause"] != "broken" {
                return Err(ended.out);
            }
            expect_broken(&ended, "closed");
            Ok(())
        });
    });
}

#[test]
fn a_full_server_that_dies_has_none_either() {
    undisturbed(|| {
        let server = server("-t --max-connections 5");
        let mut client = client_to(server.tcp(), "--find-idle 20").start();
        server.stdout.find("the refusals", |line| line.contains("refused (server is full)"));
        wait_until("the words", || {
            let lines = server.stdout.so_far();
            (lines.iter().filter(|line| line.ends_with(": hello")).count() >= 5).then_some(())
        });
        server.signal(SIGKILL);
        let ended = end_of(&mut client);
        assert_eq!((ended.code, ended.out.len()), (1, 1), "{:?} {:?}", ended.out, ended.err);
        assert!(ended.out[0].starts_with("the path broke after "), "{:?}", ended.out);
    });
}

#[test]
fn a_path_that_dies_in_silence_has_none_either() {
    undisturbed(|| {
        let server = server("-q");
        for option in ["-t", "-u"] {
            for format in ["text", "json"] {
                let Some(path) = Path::to(server.tcp(), "--outage 600s@0.5s") else { return };
                let ended =
                    run(client_to(path.address(), &format!("--find-idle 20 -W 0.2 --format {format} {option}")));
                expect_broken(&ended, "silent");
            }
        }
    });
}

/// The server is frozen, and when a word waits for its answer the way to it goes, too.
#[test]
fn a_way_that_goes_while_an_answer_is_awaited_is_where_the_path_broke() {
    undisturbed(|| {
        let Some(namespace) = Namespace::new("") else { return };
        let server = server_under_test();
        let script = format!(
            "{server} -u -q -p 6666 < /dev/null > /dev/null & server=$!
             rests() {{ grep -q ':1A0A 00000000:0000 07 00000000:00000000 ' /proc/net/udp; }}
             until rests; do sleep 0.02; done
             timeout 20 \"$0\" \"$@\" & client=$!
             sleep 1
             kill -STOP $server
             while rests; do sleep 0.02; done
             ip route flush table local
             wait $client"
        );
        for format in ["text", "json"] {
            let words = format!("127.0.0.1 6666 --find-idle 19 -u -W 1 --format {format}");
            let ended = run(namespace.run(&client_under_test(), &words, &script));
            expect_broken(&ended, "Network is unreachable");
        }
    });
}

/// Frozen while it waits, for longer than the far end bears with.
#[track_caller]
fn frozen(mut client: Process) -> Ended {
    wait_until("the handler", || client.proc().catches(SIGINT as i32).then_some(()));
    thread::sleep(Duration::from_millis(300));
    client.signal(SIGSTOP);
    client.proc().wait_state('T');
    thread::sleep(Duration::from_millis(1200));
    client.signal(SIGCONT);
    end_of(&mut client)
}

#[test]
fn a_client_that_stood_still_has_a_wider_bracket_and_no_false_one() {
    undisturbed(|| {
        let closes = tcp_service(|mut stream| cut_at_idle(&mut stream, b"ACK"));
        let announces = server("-q -t --idle-timeout 0.6");
        for (far, options) in [(closes, ""), (announces.tcp(), ""), (forget_at_idle(), "-u -W 0.2")] {
            let ended = frozen(client_to(far, &format!("--find-idle 1.6 --format json {options}")).start());
            let found = idle(&ended);
            assert_eq!(ended.code, 0, "{found} {:?}", ended.err);
            let (survived, cut) = (found["survived_s"].as_f64().unwrap(), found["cut_s"].as_f64().unwrap());
            assert!(survived <= 0.6 && 0.6 <= cut, "{found}");
        }
    });
}

#[test]
fn a_timeout_shorter_than_anything_that_is_tried_is_no_broken_path() {
    undisturbed(|| {
        let closes = tcp_service(|mut stream| {
            let _ = stream.read(&mut [0; 64]);
            let _ = stream.write_all(b"ACK");
        });
        let announces = server("-q -t --idle-timeout 0.05");
        for (far, end) in [(closes, "closed"), (announces.tcp(), "announced by the server")] {
            let ended = run(client_to(far, "--find-idle 60"));
            assert_eq!((ended.code, ended.out.len()), (0, 1), "{:?} {:?}", ended.out, ended.err);
            assert!(ended.out[0].starts_with("tcp idle timeout between 0.0 and ") && ended.out[0].ends_with(end));
        }
    });
}

#[test]
fn one_flow_keeps_talking_and_no_other_does() {
    undisturbed(|| {
        let words: Arc<Mutex<std::collections::HashMap<SocketAddr, u32>>> = Arc::default();
        let ours = Arc::clone(&words);
        let far = udp_service(move |socket, _, from| {
            *ours.lock().unwrap().entry(from).or_default() += 1;
            socket.send_to(b"check", from).unwrap();
        });
        one_of_five(|| {
            words.lock().unwrap().clear();
            let ended = run(client_to(far, "--find-idle 1 -u -W 10"));
            assert_eq!((ended.code, ended.out.as_slice()), (0, &["no idle timeout up to 1 s".to_owned()][..]));
            let mut counts: Vec<u32> = words.lock().unwrap().values().copied().collect();
            counts.sort_unstable();
            // Eight words, then one whenever it has talked for an eighth longer.
            let expected = counts.len() == 65 && counts[63] == 2 && (12..60).contains(&counts[64]);
            if expected { Ok(()) } else { Err(counts) }
        });
    });
}

/// Whoever acknowledged in its last breath was alive, and that is no doubt: else there would be no end of asking anew.
#[test]
fn a_far_end_that_ends_each_connection_with_its_answer_holds_nothing_up() {
    undisturbed(|| {
        for (answer, options, code) in [("ACK", "", 0), ("ACK\n", "--framing lines", 0), ("ACK", "--framing lines", 1)]
        {
            let far = tcp_service(move |mut stream| {
                let _ = stream.read(&mut [0; 64]);
                // Both leave in one segment.
                SockRef::from(&stream).set_tcp_cork(true).unwrap();
                let _ = stream.write_all(answer.as_bytes());
            });
            let ended = run(client_to(far, &format!("--find-idle 0.3 --format json {options}")));
            assert_eq!(ended.code, code, "{answer:?} {options}: {:?} {:?}", ended.out, ended.err);
            if code == 0 {
                assert_eq!(
                    (idle(&ended)["cause"].as_str(), idle(&ended)["survived_s"].as_f64()),
                    (Some("closed"), Some(0.0))
                );
            }
        }
    });
}
