//! How the server ends: everyone is told, everything owed is sent, and nothing outlasts the grace.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{self, SIGHUP, SIGINT, SIGTERM};

use crate::harness::{
    Client, Input, Launch, Output, Server, ServerBuilder, hang_ups_arrive, private_loopback, server, undisturbed,
    wait_until,
};

const NOTICE: &str = "server is shutting down";

#[test]
fn each_signal_tells_the_clients_and_exits_0() {
    let hang_up = hang_ups_arrive().then_some(SIGHUP);
    for signal in [SIGINT, SIGTERM].into_iter().chain(hang_up) {
        let mut server = on_a_terminal("");
        let mut client = server.client();
        client.exchange("hello", "ACK");
        server.signal(signal);
        client.expect_last(NOTICE);
        drop(client);
        assert_eq!(server.wait_exit(), 0, "after {signal}");
    }
}

/// A server whose terminal can hang up; what it prints is collected all the same.
fn on_a_terminal(args: &str) -> Server {
    ServerBuilder::new(args).stdin(Input::Terminal).start()
}

/// A server that no terminal controls, whoever runs the tests.
fn as_a_daemon(args: &str) -> Server {
    ServerBuilder::new(args).with(|launch| launch.through_shell("exec setsid \"$0\" \"$@\"")).start()
}

#[test]
fn a_hang_up_without_a_terminal_ends_nothing_and_is_logged() {
    if !hang_ups_arrive() {
        return;
    }
    let logs = |launch: Launch| launch.env("RUST_LOG", "info").through_shell("exec setsid \"$0\" \"$@\"");
    let mut server = ServerBuilder::new("-t").with(logs).start();
    let mut client = server.client();
    server.signal(SIGHUP);
    server.stderr.find("the note", |line| line.contains("hang-up"));
    client.exchange("hello", "ACK");
    server.client().exchange("a new one", "ACK");
    server.signal(SIGTERM);
    client.expect_last(NOTICE);
    drop(client);
    assert_eq!(server.wait_exit(), 0);
}

#[test]
fn a_hang_up_without_a_terminal_ends_nothing_at_a_shutdown_either() {
    undisturbed(|| {
        let mut server = as_a_daemon("-t --grace 0.3");
        let mut client = server.client();
        server.signal(SIGTERM);
        client.expect_last(NOTICE);
        server.signal(SIGHUP);
        drop(client);
        assert_eq!(server.wait_exit(), 0);
    });
}

#[test]
fn each_word_of_the_operator_does_the_same() {
    for word in ["shutdown", "quit", "exit"] {
        let mut server = ServerBuilder::new("").operated().start();
        let mut client = server.client();
        server.type_in(&format!("{word}\n"));
        client.expect_last(NOTICE);
        drop(client);
        assert_eq!(server.wait_exit(), 0, "after {word}");
    }
}

#[test]
fn a_server_without_clients_exits_at_once() {
    let mut server = server("--grace 60");
    server.signal(SIGTERM);
    assert_eq!(server.wait_exit(), 0);
}

#[test]
fn a_grace_that_nobody_needs_is_not_waited_for() {
    let mut server = server("--grace 60");
    let mut client = server.client();
    server.signal(SIGTERM);
    client.expect_last(NOTICE);
    drop(client);
    assert_eq!(server.wait_exit(), 0);
}

#[test]
fn the_notice_is_framed_like_a_message() {
    for (framing, notice) in [("lines", "server is shutting down\n"), ("length", "\0\0\0\x17server is shutting down")] {
        let mut server = server(&format!("-t --framing {framing}"));
        let mut client = server.client();
        server.signal(SIGTERM);
        client.expect_last(notice);
        drop(client);
        assert_eq!(server.wait_exit(), 0);
    }
}

#[test]
fn the_notice_comes_after_every_ack() {
    undisturbed(|| {
        let mut server = server("-t --framing lines");
        let mut client = server.client();
        server.stop();
        client.send("a\n".repeat(1000));
        server.signal(SIGTERM);
        server.resume();
        client.expect_last(["ACK\n".repeat(1000), format!("{NOTICE}\n")].concat());
        drop(client);
        assert_eq!(server.wait_exit(), 0);
    });
}

#[test]
fn connections_in_the_backlog_are_served() {
    undisturbed(|| {
        let mut server = server("-t");
        server.stop();
        let mut clients: Vec<_> = (0..20).map(|_| Client::connect(server.tcp())).collect();
        for client in &mut clients {
            client.send("hello");
        }
        server.signal(SIGTERM);
        server.resume();
        for client in &mut clients {
            client.expect_last(["ACK", NOTICE].concat());
        }
        drop(clients);
        assert_eq!(server.wait_exit(), 0);
    });
}

#[test]
fn who_comes_during_the_grace_is_refused() {
    let mut server = server("-t --grace 60");
    let mut lingering = server.client();
    server.signal(SIGTERM);
    lingering.expect_last(NOTICE);
    wait_until("the listener's end", || TcpStream::connect(server.tcp()).is_err().then_some(()));
    drop(lingering);
    assert_eq!(server.wait_exit(), 0);
}

#[test]
fn what_has_not_ended_after_the_grace_is_cut_and_counted() {
    undisturbed(|| {
        let mut server = server("-t --grace 0.3");
        let mut clients = [server.client(), server.client()];
        let leaves = server.client();
        let since = Instant::now();
        server.signal(SIGTERM);
        drop(leaves);
        for client in &mut clients {
            client.expect_last(NOTICE);
        }
        assert_eq!(server.wait_exit(), 0);
        assert!(since.elapsed() >= Duration::from_millis(300), "the grace was only {:?}", since.elapsed());
        assert!(server.stdout.to_end().contains(&"connections cut: 2".to_owned()));
    });
}

#[test]
fn nothing_is_said_of_cuts_where_there_were_none() {
    let mut server = server("");
    server.signal(SIGTERM);
    assert_eq!(server.wait_exit(), 0);
    assert!(!server.stdout.to_end().iter().any(|line| line.starts_with("connections cut")));
}

#[test]
fn a_client_that_keeps_sending_reads_the_notice_and_a_clean_end() {
    undisturbed(|| {
        let mut server = server("-t --grace 5");
        let mut client = server.client();
        let mut sender = client.clone_handle();
        server.stop();
        sender.send([b'x'; 1000]);
        server.signal(SIGTERM);
        server.resume();
        let all = client.read_to_end();
        assert!(all.ends_with(NOTICE.as_bytes()), "{}", all.escape_ascii());
        for _ in 0..20 {
            // Its input is drained, so that no reset destroys what it has not read yet.
            client.send([b'x'; 10_000]);
        }
        drop((client, sender));
        assert_eq!(server.wait_exit(), 0);
    });
}

#[test]
fn a_client_that_never_reads_does_not_keep_the_server() {
    undisturbed(|| {
        let mut server = server("-t -q --framing lines --grace 0.3");
        let mut client = Client::connect_narrow(server.tcp(), 4096);
        client.send_until_stuck(&[b'\n'; 65536]);
        server.signal(SIGTERM);
        assert_eq!(server.wait_exit(), 0);
    });
}

#[test]
fn a_second_signal_ends_it_at_once_with_128_and_its_number() {
    for (first, second, code) in
        [(SIGTERM, SIGTERM, 143), (SIGINT, SIGINT, 130), (SIGTERM, SIGINT, 130), (SIGINT, SIGTERM, 143)]
    {
        let mut server = server("-t --grace 60");
        let mut client = server.client();
        server.signal(first);
        client.expect_last(NOTICE);
        assert!(server.is_running(), "it did not wait for its client");
        server.signal(second);
        assert_eq!(server.wait_exit(), code, "after {first} and {second}");
    }
}

#[test]
fn a_repeated_sighup_changes_nothing() {
    undisturbed(|| {
        if !hang_ups_arrive() {
            return;
        }
        let mut server = on_a_terminal("-t --grace 0.5");
        let mut client = server.client();
        let since = Instant::now();
        server.signal(SIGHUP);
        client.expect_last(NOTICE);
        for _ in 0..3 {
            server.signal(SIGHUP);
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(server.wait_exit(), 0);
        assert!(since.elapsed() >= Duration::from_millis(500), "the grace was only {:?}", since.elapsed());
    });
}

#[test]
fn a_sighup_that_was_ignored_at_the_start_is_ignored_for_ever() {
    let mut server = ignoring("HUP");
    let mut client = server.client();
    assert!(!server.proc().catches(SIGHUP as i32));
    server.signal(SIGHUP);
    client.exchange("hello", "ACK");
    server.signal(SIGTERM);
    client.expect_last(NOTICE);
    drop(client);
    assert_eq!(server.wait_exit(), 0);
}

#[test]
fn sigint_and_sigterm_work_even_where_they_were_ignored_at_the_start() {
    for signal in [SIGINT, SIGTERM] {
        let mut server = ignoring("INT TERM");
        let mut client = server.client();
        server.signal(signal);
        client.expect_last(NOTICE);
        drop(client);
        assert_eq!(server.wait_exit(), 0, "after {signal}");
    }
}

/// A server started with these signals ignored, as `nohup` and background jobs of scripts are.
fn ignoring(signals: &str) -> Server {
    let script = format!("trap '' {signals}; exec \"$0\" \"$@\"");
    ServerBuilder::new("-t").with(|launch| launch.through_shell(&script)).start()
}

#[test]
fn a_signal_under_load_is_answered_at_once() {
    let mut server = server("-t -q --framing lines --grace 60");
    let mut flooder = server.quiet_client();
    let mut sender = flooder.clone_handle();
    let flood = thread::spawn(move || while sender.try_send(&b"x\n".repeat(8192)) {});
    flooder.expect("ACK\n".repeat(100_000));
    server.signal(Signal::SIGTERM);
    let all = flooder.read_to_end();
    assert!(all.ends_with(b"ACK\nserver is shutting down\n"), "{}", all[all.len().saturating_sub(40)..].escape_ascii());
    // The sender has a handle of its own.
    flooder.finish_writing();
    assert_eq!(server.wait_exit(), 0);
    flood.join().unwrap();
}

#[test]
fn commands_after_shutdown_do_no_harm() {
    undisturbed(|| {
        let mut server = ServerBuilder::new("-t --grace 0.3").operated().start();
        let mut client = server.client();
        server.type_in("shutdown\nclients\nshutdown\nstats\nnonsense\n");
        client.expect_last(NOTICE);
        assert_eq!(server.wait_exit(), 0);
    });
}

/// However short the grace: what waits at the signal is read once more, let in and answered.
#[test]
fn with_no_grace_at_all_everyone_is_read_once_more_the_backlog_is_served_and_datagrams_are_answered() {
    undisturbed(|| {
        for grace in ["0", "0.05"] {
            let mut server = server(&format!("--framing lines --grace {grace}"));
            let mut clients: Vec<_> = (0..20).map(|_| server.client()).collect();
            server.signal(Signal::SIGSTOP);
            clients.iter_mut().for_each(|client| client.send("one\ntwo\nthree\n"));
            let mut backlog: Vec<_> = (0..150).map(|_| server.quiet_client()).collect();
            backlog.iter_mut().for_each(|client| client.send("hello\n"));
            let peers: Vec<_> = (0..400).map(|_| server.peer()).collect();
            peers.iter().for_each(|peer| peer.send("hello"));
            server.signal(SIGTERM);
            server.signal(Signal::SIGCONT);
            for mut client in clients {
                client.expect_last(format!("ACK\nACK\nACK\n{NOTICE}\n"));
            }
            for mut client in backlog {
                client.expect_last(format!("ACK\n{NOTICE}\n"));
            }
            for peer in peers {
                peer.expect("check");
                peer.expect(NOTICE);
            }
            assert_eq!(server.wait_exit(), 0);
        }
    });
}

/// More than a slice tells, in one read.
#[test]
fn with_no_grace_at_all_all_that_was_read_of_a_single_client_is_acknowledged() {
    undisturbed(|| {
        for (framing, message, ack, notice) in [
            ("lines", "x\n", "ACK\n", format!("{NOTICE}\n")),
            ("length", "\0\0\0\x01x", "\0\0\0\x03ACK", format!("\0\0\0\x17{NOTICE}")),
        ] {
            for format in ["text", "json"] {
                let mut server = server(&format!("-t --framing {framing} --grace 0 --format {format}"));
                let mut client = server.quiet_client();
                let name = client.name();
                server.stdout.find("that it is let in", |line| line.contains(&name));
                server.signal(Signal::SIGSTOP);
                client.send(message.repeat(800));
                server.signal(SIGTERM);
                server.signal(Signal::SIGCONT);
                client.expect_last(ack.repeat(800) + &notice);
                assert_eq!(server.wait_exit(), 0);
                let told = server.stdout.to_end();
                let parted = |line: &&String| line.contains(&name) && line.contains("disconnected");
                assert!(told.iter().rfind(parted).is_some_and(|line| line.contains("shutdown")), "{told:?}");
            }
        }
    });
}

#[test]
fn a_stalled_stdout_and_a_stalled_stderr_have_one_half_second_between_them() {
    undisturbed(|| {
        let (unread_out, stdout) = std::io::pipe().unwrap();
        let (unread_err, stderr) = std::io::pipe().unwrap();
        let address = std::net::SocketAddr::new(private_loopback(), 7000);
        let words = format!("-t --framing length --grace 0 --host {} -p 7000", address.ip());
        let builder = ServerBuilder::new(&words).with(|launch| launch.stderr(Output::Given(stderr.into())));
        let mut server = builder.start_unheard(stdout);
        wait_until("the listener", || TcpStream::connect(address).ok());
        // Each is a warning and two lines of transcript.
        for _ in 0..1500 {
            let mut client = Client::connect(address);
            client.send(b"\0\0");
            client.finish_writing();
            client.expect_end();
        }
        let since = Instant::now();
        server.signal(SIGTERM);
        assert_eq!(server.wait_exit(), 0);
        let took = since.elapsed();
        assert!(took < Duration::from_millis(900), "{took:?}");
        drop((unread_out, unread_err));
    });
}

#[test]
fn who_was_told_to_go_before_the_end_is_not_counted_among_those_cut_at_it() {
    undisturbed(|| {
        let mut server = server("-t --idle-timeout 0.3 --grace 4");
        let mut client = server.client();
        client.expect("idle timeout");
        server.signal(SIGTERM);
        // It stays, and its own second is over before the grace is.
        assert_eq!(server.wait_exit(), 0);
        let lines = server.stdout.to_end();
        assert!(!lines.iter().any(|line| line.starts_with("connections cut")), "{lines:?}");
        drop(client);
    });
}
