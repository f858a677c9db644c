//! Every reply is shown; what is not the acknowledgement counts as unacknowledged.

use crate::harness::{FarTcp, FarUdp, client_to, end_of, piped_to, run, undisturbed};

#[test]
fn a_wrong_answer_is_shown_and_counted() {
    undisturbed(|| {
        for wrong in ["ACKNOWLEDGED", "hello", "ack", "NACK", "ACK\n", "server is fuller"] {
            let far = FarTcp::new();
            let mut client = client_to(far.address(), "-m hello -W 1").start();
            far.accept().answer("hello", wrong);
            let ended = end_of(&mut client);
            let shown = wrong.trim_end();
            assert_eq!(ended.out.get(1..), Some(&[format!("last message: {shown}")][..]), "{:?}", ended.err);
            assert_eq!(ended.code, 1, "{wrong:?}");
            assert!(ended.complaint().contains("1 of 1"), "{wrong:?}: {:?}", ended.err);
        }
    });
}

#[test]
fn a_wrong_answer_does_not_end_the_conversation() {
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "-m one -m two -m three").start();
    let mut caller = far.accept();
    caller.answer("one", "ACK");
    caller.answer("two", "NACK");
    caller.answer("three", "ACK");
    let ended = end_of(&mut client);
    assert_eq!(ended.out[1..], ["last message: ACK", "last message: NACK", "last message: ACK"]);
    assert_eq!(ended.code, 1);
    assert!(ended.complaint().contains("1 of 3"), "{:?}", ended.err);
}

#[test]
fn a_wrong_frame_is_shown_and_counted() {
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "--framing lines -m hello").start();
    far.accept().answer("hello\n", "ACKNOWLEDGED\n");
    let ended = end_of(&mut client);
    assert_eq!((ended.code, ended.out[1].as_str()), (1, "last message: ACKNOWLEDGED"));
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "--framing length -m hello").start();
    far.accept().answer(b"\0\0\0\x05hello", b"\0\0\0\x04ACK!");
    let ended = end_of(&mut client);
    assert_eq!((ended.code, ended.out[1].as_str()), (1, "last message: ACK!"));
}

#[test]
fn a_frame_of_senseless_length_is_no_acknowledgement() {
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "--framing length -m hello -W 2").start();
    let mut caller = far.accept();
    caller.answer(b"\0\0\0\x05hello", b"\xff\xff\xff\xff");
    assert_eq!(end_of(&mut client).code, 1);
}

#[test]
fn half_an_acknowledgement_is_none() {
    for framing in ["bytes", "lines", "length"] {
        let far = FarTcp::new();
        let mut client = client_to(far.address(), &format!("-m hello --framing {framing}")).start();
        let mut caller = far.accept();
        caller.expect(if framing == "length" { "\0\0\0\u{5}hello" } else { "hello" });
        caller.finish_with(if framing == "length" { "\0\0\0\u{3}AC" } else { "AC" });
        let ended = end_of(&mut client);
        assert_eq!(ended.code, 1);
        assert!(ended.complaint().contains("1 of 1"), "{framing}: {:?}", ended.err);
    }
}

#[test]
fn a_surplus_acknowledgement_is_warned_about() {
    for (framing, end) in [("bytes", ""), ("lines", "\n")] {
        let far = FarTcp::new();
        let mut client = client_to(far.address(), &format!("-m hello --framing {framing}")).start();
        far.accept().answer(format!("hello{end}"), format!("ACK{end}ACK{end}"));
        let ended = end_of(&mut client);
        assert_eq!(ended.code, 1, "{framing}");
        assert_eq!(ended.out[1..], ["last message: ACK"; 2]);
        assert_eq!(ended.err.len(), 1, "{:?}", ended.err);
    }
}

#[test]
fn an_acknowledgement_before_any_message_is_not_taken_for_the_next_ones() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut client = piped_to(far.address(), "-W 0.3");
        let mut caller = far.accept();
        caller.say("ACK");
        client.stdout.expect("last message: ACK");
        client.type_in("hello\n");
        caller.expect("hello");
        client.end_input();
        let ended = end_of(&mut client);
        assert_eq!(ended.code, 1);
        assert!(ended.complaint().contains("1 of 1"), "{:?}", ended.err);
    });
}

#[test]
fn a_wrong_datagram_is_shown_and_counted() {
    for wrong in ["ACK", "", "checked", "check\n", "hello"] {
        let far = FarUdp::new();
        let mut client = client_to(far.address(), "-u -m hello").start();
        far.answer("hello", wrong);
        let ended = end_of(&mut client);
        assert_eq!(ended.code, 1, "{wrong:?}");
        assert_eq!(ended.out, [format!("{} answered: {}", far.address(), wrong.trim_end())]);
        assert!(ended.complaint().contains("1 of 1"), "{wrong:?}: {:?}", ended.err);
    }
}

#[test]
fn a_hostile_reply_is_shown_escaped() {
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "-m hello").start();
    far.accept().answer("hello", b"\x1b[31m\\\xff\x07\n");
    let shown = end_of(&mut client).out[1].to_lowercase();
    let shown = shown.strip_prefix("last message: ").unwrap();
    assert!(shown.is_ascii() && !shown.bytes().any(|byte| byte.is_ascii_control()), "{shown:?}");
    assert!(shown.contains("[31m\\\\\\xff\\u{"), "{shown:?}");
}

#[test]
fn a_huge_reply_is_cut_to_1024_bytes() {
    let far = FarUdp::new();
    let mut client = client_to(far.address(), "-u -m hello").start();
    far.answer("hello", "y".repeat(5000));
    let shown = end_of(&mut client).out[0].clone();
    assert!(shown.ends_with(&format!(": {}… (5000 bytes)", "y".repeat(1024))), "{shown:?}");
}

#[test]
fn nobody_but_the_server_can_answer_a_datagram() {
    let far = FarUdp::new();
    let stranger = FarUdp::new();
    let mut client = client_to(far.address(), "-u -m hello").start();
    let source = far.expect("hello");
    stranger.say(source, "check");
    stranger.say(source, "server is shutting down");
    far.say(source, "check");
    let ended = end_of(&mut client);
    assert_eq!((ended.code, ended.out.len()), (0, 1), "{:?}", ended.out);
}

#[test]
fn a_datagram_that_looks_like_a_reply_is_sent_with_a_warning() {
    let notices = ["server is shutting down", "idle timeout", "message too long", "server is full"];
    for text in ["check", "ACK"].into_iter().chain(notices) {
        let far = FarUdp::new();
        let mut client = piped_to(far.address(), "-u");
        client.type_in(text);
        client.end_input();
        far.answer(text, "check");
        let ended = end_of(&mut client);
        assert_eq!((ended.code, ended.err.len()), (0, 1), "{text:?}: {:?}", ended.err);
    }
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "-m ACK").start();
    far.accept().answer("ACK", "ACK");
    let ended = end_of(&mut client);
    assert_eq!((ended.code, ended.err.len()), (0, 0), "no warning over TCP: {:?}", ended.err);
}

#[test]
fn a_server_with_another_framing_is_not_taken_for_a_good_one() {
    undisturbed(|| {
        let server = crate::harness::server("-t --framing length");
        let ended = run(client_to(server.tcp(), "-m hello -W 0.3"));
        assert_eq!(ended.code, 1);
        let server = crate::harness::server("-t --framing bytes");
        let ended = run(client_to(server.tcp(), "--framing length -m hello -W 0.3"));
        assert_eq!(ended.code, 1);
    });
}

#[test]
fn the_beginning_of_a_reply_is_shown_when_the_rest_does_not_come() {
    undisturbed(|| {
        for half in ["AC", "serv", "A"] {
            let far = FarTcp::new();
            let mut client = client_to(far.address(), "-m hello -W 0.3").start();
            let mut caller = far.accept();
            caller.answer("hello", half);
            let ended = end_of(&mut client);
            assert_eq!(ended.out[1], format!("last message: {half}"), "{:?}", ended.out);
            assert_eq!(ended.code, 1);
        }
    });
}
