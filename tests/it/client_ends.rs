//! `--format json`: whatever ends a run that was not interrupted, or keeps it from starting, stdout alone tells it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use nix::sys::signal::Signal::{SIGINT, SIGKILL};
use serde_json::Value;

use crate::harness::{
    Ended, FarTcp, FarUdp, Input, Launch, Namespace, Scratch, client_to, closed_port, end_of, piped_to,
    private_loopback, run, server, tcp_service, undisturbed, wait_until,
};

/// Each mode in a way that ends soon, quiet or not.
const MODES: [&str; 14] = [
    "-m hello",
    "-u -m hello",
    "-q -m hello",
    "-q -u -m hello",
    "-z",
    "-q -zu",
    "--ping -c 1",
    "--ping -c 1 -u",
    "-q --ping -c 1 -u",
    "--find-idle 0.1",
    "--find-idle 0.1 -u",
    "-q --find-idle 0.1",
    "--find-size 100 -u",
    "-q --find-size 100 -u",
];

/// The sentences of the `error` events. Each line is an object with a time, and stderr has the sentence as well.
#[track_caller]
fn errors(ended: &Ended) -> Vec<String> {
    let objects = ended.out.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let errors = objects.filter(|object| object["time"].is_string() && object["event"] == "error");
    let errors: Vec<String> = errors.map(|object| object["text"].as_str().unwrap().to_owned()).collect();
    // What could not be sent over UDP is told on stdout in text.
    let told_there = ended.out.iter().any(|line| line.contains("\"send-failed\""));
    for error in errors.iter().filter(|_| !told_there) {
        assert!(ended.complaint().contains(error.as_str()), "{error:?} is not in {:?}", ended.err);
    }
    errors
}

#[track_caller]
fn expect_error(what: &str, ended: &Ended, code: i32, part: &str) {
    assert_eq!(ended.code, code, "{what}: {:?} {:?}", ended.out, ended.err);
    let errors = errors(ended);
    assert!(errors.iter().any(|error| error.contains(part)), "{what}: no {part:?} in {:?} {:?}", ended.out, ended.err);
}

fn json(words: &[&str]) -> Launch {
    Launch::client(&[&["--format", "json"][..], words].concat())
}

fn json_to(address: SocketAddr, args: &str) -> Launch {
    client_to(address, &format!("--format json {args}"))
}

#[test]
fn what_the_command_line_lacks_or_has_too_much_of() {
    undisturbed(|| {
        let long = "x".repeat(1025);
        let table: [(&[&str], &str); 28] = [
            (&["--no-such"], "--no-such"),
            (&["-p"], "-p"),
            (&["--framing", "words"], "words"),
            (&["h", "1", "2"], "2"),
            (&["-W", "soon"], "soon"),
            (&["--window", "0"], "--window"),
            (&["--lang", "xx"], "xx"),
            (&["-z", "--ping"], "--ping"),
            (&["64"], "'64' is no host"),
            (&["h:x"], "'x' is no port"),
            (&["h", "0"], "'0' is no port"),
            (&["h:1", "2"], "two ports"),
            (&["[::1"], "is no address"),
            (&[""], "the host name is empty"),
            (&["-t", "-u"], "-t and -u together"),
            (&["-u", "--window", "2"], "--window takes more than 1"),
            (&["-m", &long], "1025 bytes"),
            (&["-m", ""], "empty message"),
            (&["--framing", "lines", "-m", "a\nb"], "newline"),
            (&["-c", "3"], "-c belongs to --ping"),
            (&["-z", "-m", "hi"], "-m belongs to"),
            (&["--ping", "--plain"], "--plain is for datagrams"),
            (&["--ping", "-s", "1025"], "too long"),
            (&["--ping", "--plot", "x.png"], "must end in .svg"),
            (&["--ping", "--hgrm", "-"], "'-' is none"),
            (&["--ping", "--hgrm", "both.svg", "--plot", "both.svg"], "a file of its own"),
            (&["--ping", "--plot", "/no/such/folder/x.svg"], "cannot write the file"),
            (&["--find-idle", "0"], "--find-idle needs a time"),
        ];
        for (words, part) in table {
            let ended = run(json(words));
            expect_error(&format!("{words:?}"), &ended, 2, part);
            assert_eq!((ended.out.len(), ended.err.len()), (1, 1), "{words:?}: {:?} {:?}", ended.out, ended.err);
        }
        let ended = run(json(&["--lang", "zh", "-m", "x"]).env("LC_ALL", "zh_CN.GBK"));
        expect_error("a character set", &ended, 2, "GBK");
    });
}

#[test]
fn json_is_told_wherever_it_is_asked_for_and_nowhere_else() {
    undisturbed(|| {
        for words in ["--format=json --framing words", "--framing words --format json"] {
            let ended = run(Launch::client(&words.split(' ').collect::<Vec<_>>()));
            expect_error(words, &ended, 2, "words");
        }
        for words in ["--framing words", "--framing words -- --format json"] {
            let ended = run(Launch::client(&words.split(' ').collect::<Vec<_>>()));
            assert_eq!((ended.code, ended.out.len()), (2, 0), "{words}: {:?}", ended.out);
        }
        let closed = closed_port(private_loopback());
        for mode in ["-m x", "--find-idle 1"] {
            let ended = run(client_to(closed, mode));
            assert_eq!((ended.code, ended.out.len()), (1, 0), "{:?}", ended.out);
            assert!(ended.complaint().contains("refused"), "{:?}", ended.err);
        }
    });
}

#[test]
fn a_name_that_leads_nowhere() {
    undisturbed(|| {
        for mode in MODES {
            let words: Vec<&str> = ["no-such-host.invalid"].into_iter().chain(mode.split(' ')).collect();
            expect_error(mode, &run(json(&words)), 2, "no-such-host.invalid");
            let words: Vec<&str> = ["127.0.0.1", "-6"].into_iter().chain(mode.split(' ')).collect();
            expect_error(mode, &run(json(&words)), 2, "has no IPv6 address");
        }
    });
}

#[test]
fn descriptors_that_are_lacking() {
    undisturbed(|| {
        let server = server("-q");
        for mode in MODES {
            for limit in 4..11 {
                let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
                let ended = run(json_to(server.tcp(), mode).through_shell(&script));
                if ended.code != 0 {
                    expect_error(&format!("{mode} with {limit}"), &ended, 2, "oo many open files");
                }
            }
        }
    });
}

#[test]
fn what_this_machine_forbids() {
    undisturbed(|| {
        let Some(namespace) = Namespace::new("ip route add prohibit 10.9.9.9/32") else { return };
        for mode in MODES {
            let ended = run(namespace.client(&format!("10.9.9.9 6666 --format json {mode}")));
            expect_error(mode, &ended, 2, "not permitted");
        }
    });
}

#[test]
fn a_chat_that_ends() {
    undisturbed(|| {
        let closed = closed_port(private_loopback());
        for mode in ["-m hello", "-u -m hello", "-q -m hello", "-q -u -m hello"] {
            expect_error(mode, &run(json_to(closed, mode)), 1, &closed.to_string());
        }
        let (tcp, udp) = (FarTcp::new(), FarUdp::new());
        for (address, option) in [(tcp.address(), "-q"), (udp.address(), "-q -u")] {
            expect_error(option, &run(json_to(address, &format!("-m hello -W 0.2 {option}"))), 1, "timed out");
        }
        expect_error("nothing", &run(json_to(udp.address(), "-u")), 1, "nothing was sent");

        for notice in ["", "server is full", "message too long", "idle timeout"] {
            let far = FarTcp::new();
            let mut client = piped_to(far.address(), "--format json -q");
            far.accept().close_with(notice);
            let part = if notice.is_empty() { "closed by server" } else { notice };
            expect_error(part, &end_of(&mut client), 1, part);
        }
        let far = FarTcp::new();
        let mut client = json_to(far.address(), "-m hello").start();
        let mut caller = far.accept();
        caller.expect("hello");
        caller.reset();
        expect_error("reset", &end_of(&mut client), 1, "broke");

        let far = FarTcp::new();
        let mut client = piped_to(far.address(), "--format json --framing lines");
        far.accept().say("ACK\n".repeat(100));
        expect_error("surplus", &end_of(&mut client), 1, "17 replies more than were asked for");

        let server = server("-q");
        let folder = fs::File::open("/").unwrap();
        let ended = run(json_to(server.tcp(), "").stdin(Input::Given(folder.into())));
        expect_error("stdin", &ended, 1, "cannot read the standard input");
    });
}

#[test]
fn a_result_file_that_is_gone() {
    undisturbed(|| {
        let server = server("-q");
        for option in ["--plot", "--hgrm"] {
            let folder = Scratch::folder("gone");
            let file = folder.0.join("x.svg");
            let words = format!("--ping -c 2 -i 0.5 {option} {}", file.display());
            let mut client = json_to(server.tcp(), &words).start();
            client.stdout.find("the first reply", |line| line.contains("\"reply\""));
            fs::remove_dir(&folder.0).unwrap();
            let ended = end_of(&mut client);
            assert!(!Path::new(&file).exists());
            expect_error(option, &ended, 1, "cannot write the file");
        }
    });
}

#[test]
fn a_search_for_the_idle_timeout_that_finds_none() {
    undisturbed(|| {
        let closed = closed_port(private_loopback());
        let silent = FarUdp::new();
        let wrong = tcp_service(|mut stream| {
            let _ = std::io::Write::write_all(&mut stream, b"220 ready");
            let _ = std::io::Read::read(&mut stream, &mut [0; 64]);
        });
        for quiet in ["", "-q"] {
            for (address, option, part) in [
                (closed, "", "refused"),
                (closed, "-u", "refused"),
                (silent.address(), "-u -W 0.1", "silent"),
                (wrong, "", "wrong answer"),
            ] {
                let ended = run(json_to(address, &format!("--find-idle 5 {option} {quiet}")));
                expect_error(option, &ended, 1, &format!("{address} is not open: "));
                expect_error(option, &ended, 1, part);
            }
            let server = server("-t");
            let mut client = json_to(server.tcp(), &format!("--find-idle 20 {quiet}")).start();
            server.stdout.find("a word", |line| line.ends_with(": hello"));
            wait_until("the words", || (server.stdout.count() > 140).then_some(()));
            server.signal(SIGKILL);
            expect_error("broken", &end_of(&mut client), 1, "broke after");
        }
    });
}

#[test]
fn an_interrupt_is_no_error() {
    undisturbed(|| {
        let (tcp, udp) = (FarTcp::new(), FarUdp::new());
        for (address, mode) in [
            (tcp.address(), "-m hello"),
            (udp.address(), "-u -m hello"),
            (tcp.address(), "-z -W 30"),
            (udp.address(), "-zu -w 30 -W 30"),
            (tcp.address(), "--ping -W 30"),
            (udp.address(), "--ping -u -W 30"),
            (tcp.address(), "--find-idle 60 -W 30"),
            (udp.address(), "--find-idle 60 -u -W 30"),
            (tcp.address(), "--find-size --framing lines -W 30"),
            (udp.address(), "--find-size -u -W 30"),
        ] {
            let mut client = json_to(address, mode).start();
            wait_until("the handler", || client.proc().catches(SIGINT as i32).then_some(()));
            client.signal(SIGINT);
            let ended = end_of(&mut client);
            assert_eq!((ended.code, errors(&ended)), (1, Vec::new()), "{mode}: {:?}", ended.err);
        }
    });
}
