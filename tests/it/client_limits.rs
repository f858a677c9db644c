//! Lines that cannot be messages: named, not sent, and the others still are.

use std::fs::File;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::harness::{
    Ended, FarTcp, FarUdp, Input, Launch, Process, Scratch, client_to, end_of, piped_to, run, server,
};

/// The second line is too long, and not sent; the first and the third are.
#[track_caller]
fn second_line_is_named(ended: &Ended, length: usize, remedy: &str) {
    assert_eq!(ended.code, 1);
    let [complaint] = ended.err.as_slice() else { panic!("{:?}", ended.err) };
    assert!(complaint.contains("line 2") && !complaint.contains("line 1 "), "{complaint:?}");
    assert!(complaint.contains(&length.to_string()) && complaint.contains(remedy), "{complaint:?}");
}

/// A client whose stdin is a file with this content.
#[track_caller]
fn reading(options: &str, content: String, server: SocketAddr) -> Process {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let file = Scratch::file(&format!("limits-{}", NEXT.fetch_add(1, Ordering::Relaxed)), content);
    client_to(server, options).stdin(Input::Given(File::open(&file.0).unwrap().into())).start()
}

#[test]
fn in_bytes_a_line_of_1024_is_sent_and_one_more_is_not() {
    let far = FarTcp::new();
    let mut client = piped_to(far.address(), "");
    let longest = "a".repeat(1024);
    client.type_in(&format!("{longest}\n{longest}b\nlast"));
    client.end_input();
    let mut caller = far.accept();
    caller.answer(&longest, "ACK");
    caller.answer("last", "ACK");
    caller.expect_end();
    second_line_is_named(&end_of(&mut client), 1025, "--framing lines");
}

#[test]
fn in_frames_a_line_of_65536_is_sent_and_one_more_is_not() {
    for framing in ["lines", "length"] {
        let server = server(&format!("-t -q --framing {framing}"));
        let longest = "a".repeat(65536);
        let lines = format!("{longest}\n{longest}b\nlast\n");
        let mut client = reading(&format!("--framing {framing}"), lines, server.tcp());
        let ended = end_of(&mut client);
        second_line_is_named(&ended, 65537, "split");
        assert_eq!(ended.out.len(), 3);
    }
}

#[test]
fn over_udp_a_line_of_65507_is_sent_and_one_more_is_not() {
    let far = FarUdp::new();
    let longest = "a".repeat(65507);
    let mut client = reading("-u", format!("{longest}\n{longest}b\nlast\n"), far.address());
    far.answer(&longest, "check");
    far.answer("last", "check");
    second_line_is_named(&end_of(&mut client), 65508, "split");
}

#[test]
fn the_framing_does_not_shorten_a_datagram() {
    let far = FarUdp::new();
    let mut client = piped_to(far.address(), "-u --framing bytes");
    let text = "a".repeat(5000);
    client.type_in(&text);
    client.end_input();
    far.answer(&text, "check");
    assert_eq!(client.wait_exit(), 0);
}

#[test]
fn a_line_without_end_is_too_long_by_its_whole_length() {
    let far = FarTcp::new();
    let mut client = reading("", "first\n".to_owned() + &"x".repeat(3_000_000), far.address());
    let mut caller = far.accept();
    caller.answer("first", "ACK");
    caller.expect_end();
    second_line_is_named(&end_of(&mut client), 3_000_000, "--framing lines");
}

#[test]
fn every_too_long_line_is_named_by_its_own_number() {
    let far = FarTcp::new();
    let mut client = piped_to(far.address(), "");
    let long = "x".repeat(2000);
    client.type_in(&format!("1\n{long}\n\n{long}\n5\n{long}"));
    client.end_input();
    let mut caller = far.accept();
    caller.answer("1", "ACK");
    caller.answer("5", "ACK");
    let ended = end_of(&mut client);
    assert_eq!(ended.code, 1);
    for number in [2, 4, 6] {
        let named = ended.err.iter().filter(|line| line.contains(&format!("line {number} "))).count();
        assert_eq!(named, 1, "line {number} in {:?}", ended.err);
    }
}

#[test]
fn an_empty_line_in_bytes_is_skipped_and_said() {
    let far = FarTcp::new();
    let mut client = piped_to(far.address(), "");
    client.type_in("one\n\ntwo\n");
    client.end_input();
    let mut caller = far.accept();
    caller.answer("one", "ACK");
    caller.answer("two", "ACK");
    caller.expect_end();
    let ended = end_of(&mut client);
    assert_eq!((ended.code, ended.out.len()), (0, 3), "nothing was left unacknowledged");
    assert!(matches!(ended.err.as_slice(), [complaint] if complaint.contains("empty")), "{:?}", ended.err);
}

#[test]
fn a_last_line_without_newline_is_a_message() {
    let far = FarTcp::new();
    let mut client = piped_to(far.address(), "");
    client.type_in("unfinished");
    client.end_input();
    far.accept().answer("unfinished", "ACK");
    assert_eq!(client.wait_exit(), 0);
}

#[test]
fn a_given_message_that_is_too_long_is_refused_with_exit_2() {
    for (options, longest) in
        [(&[][..], 1024), (&["--framing", "lines"], 65536), (&["--framing", "length"], 65536), (&["-u"], 65507)]
    {
        let message = "x".repeat(longest + 1);
        let ended = run(Launch::client(&[options, &["-m", "fine", "-m", &message]].concat()));
        assert_eq!((ended.code, ended.out.len(), ended.err.len()), (2, 0, 1), "{options:?}: {:?}", ended.err);
        assert!(ended.err[0].contains(&longest.to_string()), "{:?}", ended.err);
    }
}

#[test]
fn a_given_message_of_the_greatest_length_is_sent() {
    for (framing, longest) in [("bytes", 1024), ("lines", 65536), ("length", 65536)] {
        let server = server(&format!("-t -q --framing {framing}"));
        let words = [&server.tcp().to_string(), "--framing", framing, "-m", &"x".repeat(longest)];
        assert_eq!(run(Launch::client(&words)).code, 0, "{framing}");
    }
    let server = server("-u -q");
    assert_eq!(run(Launch::client(&[&server.udp().to_string(), "-u", "-m", &"x".repeat(65507)])).code, 0);
}

#[test]
fn an_empty_given_message_in_bytes_is_refused_with_exit_2() {
    let ended = run(Launch::client(&["-m", ""]));
    assert_eq!((ended.code, ended.out.len(), ended.err.len()), (2, 0, 1), "{:?}", ended.err);
    assert!(ended.err[0].contains("empty"), "{:?}", ended.err);
}
