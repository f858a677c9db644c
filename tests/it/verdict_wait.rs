//! `-z -w SECONDS`: the path is asked again, once a second, until it is open or the time is over.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal::{SIGINT, SIGQUIT};

use crate::client_names::several;
use crate::harness::{
    FarTcp, FarUdp, Launch, Namespace, Output, Scratch, client_to, client_under_test, closed_port, end_of, have,
    private_loopback, run, server, server_under_test, sooner_than, timed, undisturbed, wait_until,
};
use crate::ping_moves::with_a_silent_resolver;
use crate::shortage::behind_a_firewall;

#[test]
fn a_port_that_opens_later_is_waited_for() {
    let address = closed_port(private_loopback());
    for option in ["-z", "-zu"] {
        sooner_than(Duration::from_secs(4), || {
            let mut client = client_to(address, &format!("{option} -w 30")).start();
            let (ended, took) = timed(|| {
                thread::sleep(Duration::from_millis(1200));
                if option == "-z" {
                    let far = FarTcp::on(address);
                    far.accept().answer("hello", "ACK");
                } else {
                    let far = FarUdp::on(address);
                    far.answer("hello", "check");
                }
                end_of(&mut client)
            });
            assert_eq!((ended.code, ended.out.len(), ended.err.len()), (0, 1, 0), "{:?} {:?}", ended.out, ended.err);
            assert!(ended.out[0].contains(&format!("{address} open ")), "{:?}", ended.out);
            took
        });
    }
}

#[test]
fn what_is_open_is_not_waited_for() {
    let server = server("");
    sooner_than(Duration::from_millis(900), || {
        let (ended, took) = timed(|| run(client_to(server.tcp(), "-ztu -w 10")));
        assert_eq!((ended.code, ended.out.len()), (0, 2), "{:?}", ended.out);
        took
    });
}

#[test]
fn when_the_time_is_over_the_last_verdict_is_told_once() {
    let closed = closed_port(private_loopback());
    for (option, protocol) in [("-z", "tcp"), ("-zu", "udp")] {
        sooner_than(Duration::from_secs(3), || {
            let (ended, took) = timed(|| run(client_to(closed, &format!("{option} -w 1.3"))));
            assert_eq!((ended.code, ended.out.as_slice()), (1, &[format!("{protocol} {closed} refused")][..]));
            assert!(ended.err.is_empty(), "{:?}", ended.err);
            assert!(took >= Duration::from_millis(1250), "{took:?}");
            took
        });
    }
}

#[test]
fn silence_is_cut_by_the_end_of_the_time() {
    let far = FarUdp::new();
    sooner_than(Duration::from_secs(2), || {
        let (ended, took) = timed(|| run(client_to(far.address(), "-zu -w 0.4")));
        assert_eq!((ended.code, ended.out.as_slice()), (1, &[format!("udp {} silent", far.address())][..]));
        took
    });
}

#[test]
fn a_round_that_is_not_over_tells_what_the_one_before_found() {
    undisturbed(|| {
        let address = closed_port(private_loopback());
        let mut client = client_to(address, "-zu -w 1.6").start();
        wait_until("the handler", || client.proc().catches(SIGQUIT as i32).then_some(()));
        thread::sleep(Duration::from_millis(500));
        // From the second round on nothing comes back.
        let _silent = FarUdp::on(address);
        let ended = end_of(&mut client);
        assert_eq!((ended.code, ended.out.as_slice()), (1, &[format!("udp {address} refused")][..]));
    });
}

#[test]
fn it_asks_once_a_second() {
    undisturbed(|| {
        let far = FarTcp::new();
        let (_client, took) = timed(|| {
            let client = client_to(far.address(), "-z -w 30").start();
            (0..3).for_each(|_| far.accept().close_with(""));
            client
        });
        assert!(took >= Duration::from_millis(1950), "{took:?}");

        let far = FarTcp::new();
        let mut client = client_to(far.address(), "-z -w 0.5").start();
        far.accept().close_with("");
        assert_eq!((client.wait_exit(), client.stdout.to_end()), (1, vec![format!("tcp {} closed", far.address())]));
        far.expect_nobody();
    });
}

#[test]
fn every_protocol_must_be_open() {
    undisturbed(|| {
        let server = server("-t");
        let ended = run(client_to(server.tcp(), "-ztu -w 1.2"));
        assert_eq!((ended.code, ended.out.len()), (1, 2), "{:?}", ended.out);
        assert!(ended.out[0].contains(" open ") && ended.out[1].ends_with(" refused"), "{:?}", ended.out);
    });
}

#[test]
fn a_name_is_waited_for() {
    undisturbed(|| {
        let Some((names, addresses)) = several("later", 1) else { return };
        let far = FarTcp::on(addresses[0]);
        let mut client = names.client(&format!("not-yet {} -z -w 30", addresses[0].port())).start();
        thread::sleep(Duration::from_millis(500));
        assert!(client.is_running(), "{:?}", end_of(&mut client).out);
        names.add("not-yet", addresses[0].ip());
        far.accept().answer("hello", "ACK");
        let ended = end_of(&mut client);
        assert_eq!((ended.code, ended.out.len()), (0, 1), "{:?} {:?}", ended.out, ended.err);
        assert!(ended.out[0].starts_with(&format!("tcp {} open ", addresses[0])), "{:?}", ended.out);
    });
}

#[test]
fn a_name_that_never_resolves_is_dns_in_the_end() {
    undisturbed(|| {
        let (ended, took) = timed(|| run(Launch::client(&["no-such-host.invalid", "7", "-ztu", "-w", "1.2"])));
        assert!(took >= Duration::from_millis(1150), "{took:?}");
        assert_eq!((ended.code, ended.err.len()), (2, 1), "{:?}", ended.err);
        assert_eq!(ended.out, ["tcp no-such-host.invalid:7 dns", "udp no-such-host.invalid:7 dns"]);
    });
}

#[test]
fn an_interrupt_ends_it_with_the_last_verdict() {
    undisturbed(|| {
        let closed = closed_port(private_loopback());
        for (host, verdict, code) in [
            (closed.ip().to_string(), format!("tcp {closed} refused"), 1),
            // A label of 64 letters: no resolver is asked about it, and waited for.
            ("x".repeat(64), format!("tcp {}:{} dns", "x".repeat(64), closed.port()), 2),
        ] {
            let mut client = Launch::client(&[&host, &closed.port().to_string(), "-z", "-w", "0"]).start();
            wait_until("the handler", || client.proc().catches(SIGINT as i32).then_some(()));
            thread::sleep(Duration::from_millis(1500));
            sooner_than_once(Duration::from_secs(2), || {
                client.signal(SIGINT);
                let ended = end_of(&mut client);
                assert_eq!(
                    (ended.code, ended.out.as_slice()),
                    (code, std::slice::from_ref(&verdict)),
                    "{:?}",
                    ended.err
                );
            });
        }
    });
}

/// The same program cannot be interrupted twice: one round, with room for a busy machine.
#[track_caller]
fn sooner_than_once(bound: Duration, work: impl FnOnce()) {
    let ((), took) = timed(work);
    assert!(took < bound * 2, "{took:?}");
}

#[test]
fn a_person_sees_what_is_waited_for() {
    undisturbed(|| {
        let closed: SocketAddr = closed_port(private_loopback());
        let mut client = client_to(closed, "-z -w 3").stderr(Output::Terminal).start();
        assert_eq!(client.wait_exit(), 1);
        let live = client.terminal.to_end().concat();
        assert!(live.contains(&format!("tcp {closed} refused")), "{live:?}");
        let client = client_to(closed, "-z -w 30").start();
        wait_until("the handler", || client.proc().catches(SIGQUIT as i32).then_some(()));
        thread::sleep(Duration::from_millis(300));
        client.signal(SIGQUIT);
        client.stderr.find("the verdict so far", |line| line == format!("tcp {closed} refused"));
    });
}

/// From one port nothing tells to which question an answer is.
#[test]
fn an_answer_to_a_given_port_that_was_asked_before_has_no_time() {
    undisturbed(|| {
        for rounds in ["", "-w 30"] {
            let far = FarUdp::new();
            let own = closed_port(private_loopback());
            let mut client = client_to(far.address(), &format!("-zu -W 0.2 -I :{} {rounds}", own.port())).start();
            // With `-w` three are a round.
            for _ in 0..if rounds.is_empty() { 1 } else { 3 } {
                far.expect("hello");
            }
            far.answer("hello", "check");
            let ended = end_of(&mut client);
            let line = format!("udp {} open", far.address());
            assert_eq!((ended.code, ended.out), (0, vec![line]), "{rounds:?} {:?}", ended.err);
        }
        // From a port of its own each answer is to the question that left there.
        let far = FarUdp::new();
        let mut client = client_to(far.address(), "-zu -W 0.2").start();
        far.expect("hello");
        far.answer("hello", "check");
        let ended = end_of(&mut client);
        assert!(ended.out[0].ends_with(" ms"), "{:?}", ended.out);
    });
}

#[test]
fn who_waited_for_the_port_until_the_end_was_not_asked_and_has_no_verdict() {
    undisturbed(|| {
        let Some((names, addresses)) = several("not-asked", 2) else { return };
        let [first, second] = [FarUdp::on(addresses[0]), FarUdp::on(addresses[1])];
        let own = closed_port(private_loopback()).port();
        let ended = run(names.client(&format!("several {} -zu -I :{own} -w 0.5 -W 60", addresses[0].port())));
        assert_eq!((ended.code, ended.out), (1, vec![format!("udp {} silent", first.address())]), "{:?}", ended.err);
        assert_eq!(ended.err, [format!("reactor-client: no verdict on udp {} yet", second.address())]);
        second.expect_nothing();
    });
}

/// What a firewall of our own keeps back has no answer that could be taken for another's.
#[test]
fn a_question_that_could_not_leave_is_not_out() {
    undisturbed(|| {
        if !have("nft") {
            return;
        }
        let server = server_under_test();
        let rule = format!(
            "nft 'table inet t {{ chain c {{ type filter hook output priority 0; udp dport 6666 drop; }}; }}'
             {server} -q < /dev/null > /dev/null &
             until grep -q :1A0A /proc/net/udp; do sleep 0.02; done"
        );
        let Some(namespace) = Namespace::new(&rule) else { return };
        let script = "(sleep 1.3; nft flush ruleset) & exec \"$0\" \"$@\"";
        let ended = run(namespace.run(&client_under_test(), "127.0.0.1 6666 -zu -w 30 -I :40000", script));
        assert_eq!((ended.code, ended.out.len()), (0, 1), "{:?} {:?}", ended.out, ended.err);
        assert!(
            ended.out[0].starts_with("udp 127.0.0.1:6666 open ") && ended.out[0].ends_with(" ms"),
            "{:?}",
            ended.out
        );
    });
}

/// The system asks its second resolver when the first has been silent for some seconds: one child waits for that.
#[test]
fn a_slow_resolver_has_all_the_time_there_is() {
    undisturbed(|| {
        let Some((_hosts, _resolver, namespace)) = with_a_silent_resolver("slow", "127.0.0.1 localhost\n") else {
            return;
        };
        let (ended, took) = timed(|| run(namespace.client("nobody.example 7 -z -w 7.5")));
        assert!(took >= Duration::from_secs(7), "{took:?}");
        assert_eq!((ended.code, &ended.out[..]), (2, &["tcp nobody.example:7 dns".to_owned()][..]));
        // Neither given up before nor ended by its own alarm.
        assert!(ended.complaint().contains("no resolver has answered in time"), "{:?}", ended.err);
    });
}

#[test]
fn a_short_time_does_not_end_before_a_child_could_ask() {
    undisturbed(|| {
        let Some((names, addresses)) = several("short", 1) else { return };
        let ended = run(names.client(&format!("several {} -z -w 0.001", addresses[0].port())));
        assert!(ended.out.concat().starts_with(&format!("tcp {} ", addresses[0])), "{:?} {:?}", ended.out, ended.err);
    });
}

/// Ctrl-\\ at a terminal reaches all of its group: the figures so far are asked for, and the child's work is no figure.
#[test]
fn the_figures_so_far_cost_no_look_up() {
    undisturbed(|| {
        let Some((_hosts, _resolver, namespace)) = with_a_silent_resolver("quit", "127.0.0.1 localhost\n") else {
            return;
        };
        let script = "setsid \"$0\" \"$@\" & client=$!
            until grep -q . /proc/$client/task/$client/children; do sleep 0.02; done
            read child _ < /proc/$client/task/$client/children || true
            until grep -q -e --resolve /proc/$child/cmdline; do sleep 0.02; done
            kill -QUIT -$client
            sleep 0.3
            grep ^State: /proc/$child/status
            kill -INT $client
            wait $client";
        let ended = run(namespace.run(&client_under_test(), "nobody.example 7 -z -w 30", script));
        assert_eq!((ended.code, &ended.out[..]), (1, &["State:\tS (sleeping)".to_owned()][..]), "{:?}", ended.err);
    });
}

/// What is waited for here is our own want, which no verdict names.
#[test]
fn what_cannot_be_tried_so_far_is_named_among_the_figures() {
    undisturbed(|| {
        let Some(namespace) = behind_a_firewall() else { return };
        let said = Scratch::path("want");
        let script = format!(
            "\"$0\" \"$@\" 2> {0} & client=$!
             until grep -q '^SigCgt:.*[4-7c-f]$' /proc/$client/status; do sleep 0.02; done
             until grep -q 'cannot try' {0}; do kill -QUIT $client; sleep 0.1; done
             cat {0}
             kill -INT $client
             wait $client",
            said.0.display()
        );
        let ended = run(namespace.run(&client_under_test(), "127.0.0.1 6666 -zu -w 30", &script));
        let named = "reactor-client: cannot try udp 127.0.0.1:6666: not permitted here (a local firewall or route?)";
        assert!(ended.code == 2 && ended.out.iter().all(|line| line == named), "{:?} {:?}", ended.out, ended.err);
    });
}

/// A resolver has 30 s in which to say nothing.
#[test]
fn no_resolver_holds_up_the_end_of_the_time_nor_an_interrupt() {
    undisturbed(|| {
        let Some((_hosts, _resolver, namespace)) = with_a_silent_resolver("wait", "127.0.0.1 localhost\n") else {
            return;
        };
        sooner_than(Duration::from_secs(10), || {
            let (ended, took) = timed(|| run(namespace.client("nobody.example 7 -z -w 0.5")));
            let dns = ["tcp nobody.example:7 dns".to_owned()];
            assert_eq!((ended.code, &ended.out[..]), (2, &dns[..]), "{:?}", ended.err);
            assert!(ended.complaint().contains("no resolver has answered in time"), "{:?}", ended.err);
            took
        });
        sooner_than(Duration::from_secs(10), || {
            // As soon as its child asks.
            let script = "\"$0\" \"$@\" & client=$!
                until grep -q . /proc/$client/task/$client/children; do sleep 0.02; done
                kill -INT $client
                wait $client";
            let (ended, took) = timed(|| run(namespace.run(&client_under_test(), "nobody.example 7 -z -w 30", script)));
            assert_eq!((ended.code, ended.out.len()), (1, 0), "{:?}", ended.out);
            assert_eq!(ended.complaint(), "reactor-client: interrupted: nobody.example is not resolved yet");
            took
        });
    });
}
