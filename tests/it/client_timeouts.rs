//! When nothing comes: what is waited for, how long, and what it is called.

use std::time::Duration;

use crate::harness::{
    FarTcp, FarUdp, Mute, client_to, closed_port, end_of, piped_to, private_loopback, run, server, sooner_than, timed,
    typed_to, undisturbed,
};

const PATIENCE: Duration = Duration::from_millis(300);

/// It takes the 0.3 s that were asked for, and not much more.
#[track_caller]
fn in_time(mut round: impl FnMut() -> Duration) {
    sooner_than(PATIENCE + Duration::from_millis(700), || {
        let took = round();
        assert!(took >= PATIENCE, "{took:?}");
        took
    });
}

#[test]
fn no_reply_in_time_over_tcp() {
    for (lang, line) in [("en", "timed out: "), ("zh", "oops! something goes wrong!!(probably timeout)")] {
        sooner_than(Duration::from_secs(1), || {
            let far = FarTcp::new();
            let mut client = client_to(far.address(), &format!("-m hello -W 0.3 --lang {lang}")).start();
            let mut caller = far.accept();
            caller.expect("hello");
            let (ended, took) = timed(|| end_of(&mut client));
            assert_eq!(ended.code, 1);
            assert_eq!(ended.out.len(), 2, "{:?}", ended.out);
            assert!(ended.out[1].starts_with(line), "{:?}", ended.out);
            assert!(ended.complaint().contains("1 of 1"), "{:?}", ended.err);
            took
        });
    }
}

#[test]
fn no_reply_in_time_over_udp() {
    undisturbed(|| {
        for (lang, line) in [("en", "timed out: "), ("zh", "client time out !")] {
            in_time(|| {
                let far = FarUdp::new();
                let launch = client_to(far.address(), &format!("-u -m hello -W 0.3 --lang {lang}"));
                let (ended, took) = timed(|| run(launch));
                assert_eq!((ended.code, ended.out.len()), (1, 1), "{:?}", ended.out);
                assert!(ended.out[0].starts_with(line), "{:?}", ended.out);
                assert!(ended.complaint().contains("1 of 1"), "{:?}", ended.err);
                took
            });
        }
    });
}

#[test]
fn the_patience_is_for_each_reply_and_not_for_all() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut client = client_to(far.address(), "-m 1 -m 2 -m 3 -m 4 -m 5 -W 0.9").start();
        let mut caller = far.accept();
        for message in ["1", "2", "3", "4", "5"] {
            caller.expect(message);
            std::thread::sleep(Duration::from_millis(200));
            caller.say("ACK");
        }
        assert_eq!(client.wait_exit(), 0);
    });
}

#[test]
fn a_reply_that_never_comes_is_missed_while_others_come() {
    undisturbed(|| {
        // Three outstanding; the last one's acknowledgement stays away.
        let far = FarTcp::new();
        let mut client = piped_to(far.address(), "--framing lines --window 3 -W 1");
        client.type_in("1\n2\n3\n");
        let mut caller = far.accept();
        caller.expect("1\n2\n3\n");
        caller.say("ACK\nACK\n");
        let ended = end_of(&mut client);
        assert_eq!(ended.code, 1);
        assert!(ended.complaint().contains("1 of 3"), "{:?}", ended.err);
    });
}

#[test]
fn typing_does_not_prolong_the_wait_for_a_reply() {
    sooner_than(Duration::from_millis(1500), || {
        let far = FarTcp::new();
        let mut client = typed_to(far.address(), "-W 0.4");
        let mut caller = far.accept();
        client.type_in("hello\n");
        caller.expect("hello");
        let (_, took) = timed(|| {
            // A wait that typing prolongs is one without end.
            for _ in 0..100 {
                if client.is_running() {
                    client.type_in("more\n");
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        });
        assert_eq!(client.wait_exit(), 1);
        took
    });
}

#[test]
fn nothing_typed_at_a_terminal() {
    undisturbed(|| {
        let (tcp, udp) = (FarTcp::new(), FarUdp::new());
        let scenes = [
            (tcp.address(), "", "timed out: "),
            (tcp.address(), "--lang zh", "oops! something goes wrong!!(probably timeout)"),
            (udp.address(), "-u", "timed out: "),
            (udp.address(), "-u --lang zh", "client time out !"),
        ];
        for (address, options, line) in scenes {
            in_time(|| {
                let ((code, shown), took) = timed(|| {
                    let mut client = typed_to(address, &format!("-W 0.3 {options}"));
                    let shown = client.terminal.find(line, |shown| shown.starts_with(line));
                    (client.wait_exit(), shown)
                });
                assert_eq!(code, 1, "{options}: {shown:?}");
                took
            });
        }
    });
}

#[test]
fn nothing_more_typed_at_a_terminal_after_an_answer() {
    sooner_than(Duration::from_secs(1), || {
        let far = FarTcp::new();
        let mut client = typed_to(far.address(), "-W 0.3");
        client.type_in("hello\n");
        far.accept().answer("hello", "ACK");
        client.terminal.expect("last message: ACK");
        let (code, took) = timed(|| client.wait_exit());
        assert_eq!(code, 1);
        took
    });
}

#[test]
fn a_pipe_may_be_silent_as_long_as_it_likes() {
    undisturbed(|| {
        let (tcp, udp) = (FarTcp::new(), FarUdp::new());
        let mut one = piped_to(tcp.address(), "-W 0.6");
        let mut two = piped_to(udp.address(), "-u -W 0.6");
        let mut caller = tcp.accept();
        std::thread::sleep(Duration::from_millis(1200));
        for client in [&mut one, &mut two] {
            assert!(client.is_running());
            client.type_in("hello\n");
            client.end_input();
        }
        caller.answer("hello", "ACK");
        udp.answer("hello", "check");
        assert_eq!([one.wait_exit(), two.wait_exit()], [0, 0]);
    });
}

#[test]
fn silence_before_a_message_is_no_part_of_the_wait_for_its_reply() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut client = piped_to(far.address(), "-W 0.8");
        let mut caller = far.accept();
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(600));
            client.type_in("hello\n");
            caller.expect("hello");
            std::thread::sleep(Duration::from_millis(300));
            caller.say("ACK");
        }
        client.end_input();
        assert_eq!(client.wait_exit(), 0);
    });
}

#[test]
fn a_connection_that_never_stands_ends_after_the_timeout() {
    undisturbed(|| {
        in_time(|| {
            let mute = Mute::on((private_loopback(), 0).into());
            let (ended, took) = timed(|| run(client_to(mute.address(), "-m hello -W 0.3")));
            assert_eq!((ended.code, ended.out.len()), (1, 0), "{:?}", ended.out);
            assert!(ended.complaint().contains(&mute.address().to_string()), "{:?}", ended.err);
            took
        });
    });
}

#[test]
fn a_closed_udp_port_is_refused_within_a_second() {
    let closed = closed_port(private_loopback());
    let lines = [
        ("en", format!("could not send to {closed}: ")),
        ("zh", "oops! something goes wrong when sending message: ".to_owned()),
    ];
    for (lang, line) in lines {
        sooner_than(Duration::from_secs(1), || {
            let (ended, took) = timed(|| run(client_to(closed, &format!("-u -m hello --lang {lang}"))));
            assert_eq!((ended.code, ended.out.len()), (1, 1), "{:?}", ended.out);
            assert!(ended.out[0].starts_with(&line) && ended.out[0].contains("refused"), "{:?}", ended.out);
            took
        });
    }
}

#[test]
fn a_udp_server_that_dies_between_messages_is_refused() {
    let far = FarUdp::new();
    let mut client = piped_to(far.address(), "-u");
    client.type_in("hello\n");
    far.answer("hello", "check");
    client.stdout.expect(&format!("{} answered: check", far.address()));
    let address = far.address();
    drop(far);
    client.type_in("again\n");
    let ended = end_of(&mut client);
    assert_eq!(ended.code, 1);
    assert!(ended.out[1].starts_with(&format!("could not send to {address}: ")), "{:?}", ended.out);
    assert!(ended.complaint().contains("1 of 2"), "{:?}", ended.err);
}

#[test]
fn a_late_reply_is_never_credited() {
    undisturbed(|| {
        // The second message must not be sent while the first one's reply may still come.
        let far = FarUdp::new();
        let mut client = client_to(far.address(), "-u -m one -m two -W 0.3").start();
        let source = far.expect("one");
        let ended = end_of(&mut client);
        far.say(source, "check");
        far.expect_nothing();
        assert_eq!(ended.code, 1);
        assert_eq!(ended.out.len(), 1, "{:?}", ended.out);
        assert!(ended.complaint().contains("1 of 1"), "{:?}", ended.err);
    });
}

#[test]
fn a_zero_timeout_waits_and_a_server_decides() {
    undisturbed(|| {
        let server = server("-t --idle-timeout 0.5");
        let mut client = typed_to(server.tcp(), "-W 0");
        assert_eq!(client.wait_exit(), 1);
        client.terminal.expect("timed out: idle timeout");
    });
}
