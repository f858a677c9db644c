//! SIGINT ends it with the code its result deserves.

use std::time::Duration;

use nix::sys::signal::Signal::{SIGINT, SIGTERM};

use crate::harness::{
    FarTcp, FarUdp, Input, Mute, client_to, end_of, have, piped_to, private_loopback, sooner_than, timed, typed_to,
    undisturbed, wait_until,
};

#[test]
fn with_everything_acknowledged_it_is_0() {
    for signal in [SIGINT, SIGTERM] {
        sooner_than(Duration::from_secs(1), || {
            let far = FarTcp::new();
            let mut client = piped_to(far.address(), "");
            let mut caller = far.accept();
            client.type_in("hello\n");
            caller.answer("hello", "ACK");
            client.stdout.expect("last message: ACK");
            client.signal(signal);
            let (code, took) = timed(|| client.wait_exit());
            assert_eq!(code, 0, "{signal}");
            took
        });
    }
}

#[test]
fn with_nothing_sent_it_is_0_over_tcp_and_1_over_udp() {
    let (tcp, udp) = (FarTcp::new(), FarUdp::new());
    let mut client = piped_to(tcp.address(), "");
    client.stdout.find("the connection", |line| line.starts_with("connected to "));
    client.signal(SIGINT);
    assert_eq!(client.wait_exit(), 0);
    let mut client = typed_to(udp.address(), "-u");
    client.terminal.expect("type a message, Enter sends it");
    client.signal(SIGINT);
    assert_eq!(client.wait_exit(), 1);
}

#[test]
fn with_a_message_outstanding_it_is_1() {
    let far = FarTcp::new();
    let mut client = piped_to(far.address(), "");
    let mut caller = far.accept();
    client.type_in("hello\n");
    caller.expect("hello");
    client.signal(SIGINT);
    let ended = end_of(&mut client);
    assert_eq!(ended.code, 1);
    assert!(ended.complaint().contains("1 of 1"), "{:?}", ended.err);

    let far = FarUdp::new();
    let mut client = piped_to(far.address(), "-u");
    client.type_in("hello\n");
    far.expect("hello");
    client.signal(SIGINT);
    assert_eq!(client.wait_exit(), 1);
}

#[test]
fn with_a_wrong_answer_before_it_is_1() {
    let far = FarTcp::new();
    let mut client = piped_to(far.address(), "");
    let mut caller = far.accept();
    client.type_in("hello\n");
    caller.answer("hello", "NACK");
    client.stdout.expect("last message: NACK");
    client.signal(SIGINT);
    assert_eq!(client.wait_exit(), 1);
}

#[test]
fn before_the_connection_stands_it_is_1() {
    let mute = Mute::on((private_loopback(), 0).into());
    let mut client = piped_to(mute.address(), "");
    wait_until("the handler", || client.proc().catches(SIGINT as i32).then_some(()));
    client.signal(SIGINT);
    let ended = end_of(&mut client);
    assert_eq!(ended.code, 1, "nothing was verified: {:?} {:?}", ended.out, ended.err);
}

#[test]
fn the_key_at_a_terminal_does_the_same() {
    let far = FarTcp::new();
    let mut client = typed_to(far.address(), "");
    let mut caller = far.accept();
    client.type_in("hello\n");
    caller.answer("hello", "ACK");
    client.terminal.expect("last message: ACK");
    client.type_in("\x03");
    assert_eq!(client.wait_exit(), 0);
}

#[test]
fn it_works_even_where_it_was_ignored_at_the_start() {
    let far = FarTcp::new();
    let launch = client_to(far.address(), "").stdin(Input::Pipe);
    let mut client = launch.through_shell("trap '' INT TERM; exec \"$0\" \"$@\"").start();
    client.stdout.find("the connection", |line| line.starts_with("connected to "));
    client.signal(SIGINT);
    assert_eq!(client.wait_exit(), 0);
}

#[test]
fn one_that_comes_while_the_handlers_are_set_up_is_not_lost() {
    if !have("strace") {
        return;
    }
    let far = FarTcp::new();
    let launch = client_to(far.address(), "").stdin(Input::Pipe);
    // Behind each handler comes a pause, so that the signal falls between two.
    let slowly = "exec strace -D -o /dev/null -e trace=rt_sigaction -e inject=rt_sigaction:delay_exit=50000";
    let mut client = launch.through_shell(&format!("{slowly} \"$0\" \"$@\"")).start();
    // The shell's and strace's own handlers come before.
    wait_until("the client", || client.proc().runs("reactor-client").then_some(()));
    wait_until("the first handler", || client.proc().catches(SIGINT as i32).then_some(()));
    client.signal(SIGINT);
    assert!([0, 1].contains(&client.wait_exit()));
}

#[test]
fn stopped_and_continued_it_goes_on() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut client = piped_to(far.address(), "");
        let mut caller = far.accept();
        client.stop();
        client.type_in("hello\n");
        client.resume();
        caller.answer("hello", "ACK");
        client.end_input();
        assert_eq!(client.wait_exit(), 0);
    });
}
