//! `-q` prints errors only.

use crate::harness::{
    FarTcp, FarUdp, client_to, closed_port, end_of, piped_to, private_loopback, run, server, typed_to, undisturbed,
};

#[test]
fn success_prints_nothing() {
    let server = server("");
    for options in ["-q -m hello", "--quiet -m hello", "-q -u -m hello", "-q --lang zh -m hello"] {
        let ended = run(client_to(server.tcp(), options));
        assert_eq!(ended.code, 0);
        assert_eq!(ended.out.iter().chain(&ended.err).count(), 0, "{options}: {:?} {:?}", ended.out, ended.err);
    }
}

#[test]
fn at_a_terminal_there_is_no_prompt() {
    let far = FarTcp::new();
    let mut client = typed_to(far.address(), "-q");
    client.type_in("hello\n");
    far.accept().answer("hello", "ACK");
    client.type_in("\x04");
    assert_eq!(client.wait_exit(), 0);
    // The echo of what was typed is all that is seen.
    assert_eq!(client.terminal.to_end(), ["hello"]);
}

#[test]
fn a_refused_port_is_an_error() {
    let closed = closed_port(private_loopback());
    for options in ["-q -m hello", "-q -u -m hello"] {
        let ended = run(client_to(closed, options));
        assert_eq!((ended.code, ended.out.len()), (1, 0));
        assert!(ended.complaint().contains(&closed.to_string()), "{options}: {:?}", ended.err);
    }
}

#[test]
fn a_missing_reply_is_an_error() {
    undisturbed(|| {
        let (tcp, udp) = (FarTcp::new(), FarUdp::new());
        for (address, options) in [(tcp.address(), "-q -m hello -W 0.3"), (udp.address(), "-q -u -m hello -W 0.3")] {
            let ended = run(client_to(address, options));
            assert_eq!((ended.code, ended.out.len()), (1, 0));
            assert!(ended.complaint().contains("timed out"), "{options}: {:?}", ended.err);
            assert!(ended.complaint().contains("1 of 1"), "{options}: {:?}", ended.err);
        }
    });
}

#[test]
fn a_wrong_answer_is_an_error() {
    let far = FarTcp::new();
    let mut client = client_to(far.address(), "-q -m hello").start();
    far.accept().answer("hello", "NACK");
    let ended = end_of(&mut client);
    assert_eq!((ended.code, ended.out.len()), (1, 0));
    assert!(ended.complaint().contains("1 of 1"), "{:?}", ended.err);
}

#[test]
fn a_failure_is_never_without_a_word() {
    for last in ["", "idle timeout", "server is full", "message too long", "server is shutting down"] {
        let far = FarTcp::new();
        let mut client = piped_to(far.address(), "-q");
        far.accept().close_with(last);
        let ended = end_of(&mut client);
        assert_eq!((ended.code, ended.out.len()), (1, 0), "{last:?}");
        assert!(!ended.err.is_empty(), "exit 1 without a word after {last:?}");
    }
}
