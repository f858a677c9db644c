//! `--format json`: what ends a run or keeps it from starting is an event, so that stdout alone tells it.

use serde_json::Value;

use crate::harness::{Ended, FarTcp, Launch, client_to, closed_port, end_of, private_loopback, run};

/// The sentences of the `error` events.
fn errors(ended: &Ended) -> Vec<String> {
    let objects = ended.out.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let errors = objects.filter(|object| object["event"] == "error" && object["time"].is_string());
    errors.map(|object| object["text"].as_str().unwrap().to_owned()).collect()
}

/// stderr says the same, as it does in text.
#[track_caller]
fn expect_error(ended: &Ended, code: i32, part: &str) {
    let errors = errors(ended);
    assert_eq!(ended.code, code, "{:?} {:?}", ended.out, ended.err);
    assert!(errors.iter().any(|error| error.contains(part)), "no {part:?} in {:?} {:?}", ended.out, ended.err);
    // What could not be sent over UDP is told on stdout in text, too.
    for error in errors.iter().filter(|_| !ended.out.iter().any(|line| line.contains("\"send-failed\""))) {
        assert!(ended.err.contains(&format!("reactor-client: {error}")), "{error:?} is not in {:?}", ended.err);
    }
}

#[test]
fn a_name_that_does_not_resolve() {
    for mode in ["-m x", "-u -m x", "-q -m x", "-z", "--ping", "--find-idle 1"] {
        let words = format!("no-such-host.invalid --format json {mode}");
        let ended = run(Launch::client(&words.split(' ').collect::<Vec<_>>()));
        expect_error(&ended, 2, "no-such-host.invalid");
    }
}

#[test]
fn a_command_line_that_makes_no_sense() {
    for words in [
        "--format json --framing words",
        "--format=json --framing words",
        "--framing words --format json",
        "--format json -c 3",
        "--format json 64",
        "--format json h:x",
        "--format json --ping --plot x.png",
        "--format json surplus 1 2",
    ] {
        let ended = run(Launch::client(&words.split(' ').collect::<Vec<_>>()));
        expect_error(&ended, 2, "");
        assert_eq!(ended.out.len(), 1, "{:?}", ended.out);
    }
    for words in ["--framing words", "--framing words -- --format json"] {
        let ended = run(Launch::client(&words.split(' ').collect::<Vec<_>>()));
        assert_eq!((ended.code, ended.out.len()), (2, 0), "{words}: {:?}", ended.out);
    }
}

#[test]
fn a_port_that_nobody_has() {
    let closed = closed_port(private_loopback());
    for mode in ["-m x", "-u -m x", "-q -m x", "-q -u -m x", "--find-idle 1", "--find-idle 1 -u"] {
        let ended = run(client_to(closed, &format!("--format json {mode}")));
        expect_error(&ended, 1, &closed.to_string());
        assert!(errors(&ended).iter().any(|error| error.contains("refused")), "{mode}: {:?}", ended.out);
    }
}

#[test]
fn a_connection_that_breaks() {
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "--format json -m hello").start();
    let mut caller = far.accept();
    caller.expect("hello");
    caller.reset();
    expect_error(&end_of(&mut client), 1, &format!("the connection to {} broke", far.address()));
}

#[test]
fn text_says_it_on_stderr_alone() {
    let closed = closed_port(private_loopback());
    for mode in ["-m x", "--find-idle 1"] {
        let ended = run(client_to(closed, mode));
        assert_eq!((ended.code, ended.out.len()), (1, 0), "{:?}", ended.out);
        assert!(ended.complaint().contains("refused"), "{:?}", ended.err);
    }
}
