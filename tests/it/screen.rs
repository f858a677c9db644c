//! A stdout that stalls or breaks, and a stderr that does, delay no ACK; gaps are counted.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGINT, SIGTERM};

use crate::harness::{
    Client, Input, Launch, Output, Peer, Process, ServerBuilder, one_of_five, private_loopback, server, sooner_than,
    undisturbed, wait_until,
};

/// A server that prints to this, on an address of its own; waits until it serves.
#[track_caller]
fn printing_to(stdout: impl Into<std::process::Stdio>) -> (Process, Client, Peer) {
    let host = private_loopback();
    let address = (host, 7002).into();
    let process = ServerBuilder::new(&format!("--host {host} -p 7002")).start_unheard(stdout);
    wait_until("the server", || std::net::TcpStream::connect(address).ok());
    (process, Client::connect(address), Peer::connect(address))
}

#[track_caller]
fn serves_and_ends(mut process: Process, mut client: Client, peer: &Peer) {
    for _ in 0..100 {
        client.exchange("hello", "ACK");
        peer.check("hello");
    }
    let before = process.proc().cpu();
    thread::sleep(Duration::from_millis(300));
    let spent = process.proc().cpu().checked_sub(before).unwrap();
    assert!(spent <= Duration::from_millis(20), "{spent:?} spent on nothing");
    process.signal(SIGTERM);
    client.expect_last("server is shutting down");
    drop(client);
    assert_eq!(process.wait_exit(), 0);
    let said = process.stderr.to_end().join("\n");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_stdout_that_nobody_listens_to_any_more_harms_nothing() {
    undisturbed(|| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let (process, client, peer) = printing_to(writer);
        serves_and_ends(process, client, &peer);
    });
}

#[test]
fn a_full_disk_harms_nothing() {
    undisturbed(|| {
        let (process, client, peer) = printing_to(File::options().write(true).open("/dev/full").unwrap());
        serves_and_ends(process, client, &peer);
    });
}

#[test]
fn a_closed_stdout_harms_nothing() {
    undisturbed(|| {
        let host = private_loopback();
        let address = (host, 7002).into();
        let launch = crate::harness::Launch::server(&["--host", &host.to_string(), "-p", "7002"]);
        let process = launch.through_shell("exec \"$0\" \"$@\" >&-").start();
        wait_until("the server", || std::net::TcpStream::connect(address).ok());
        serves_and_ends(process, Client::connect(address), &Peer::connect(address));
    });
}

#[test]
fn a_regular_file_gets_every_line_at_its_end() {
    undisturbed(|| {
        let path = std::env::temp_dir().join(format!("ack-reactor-{}-transcript", std::process::id()));
        std::fs::write(&path, "what was there before\n").unwrap();
        let (process, client, peer) = printing_to(File::options().append(true).open(&path).unwrap());
        let (name, peer_name) = (client.name(), peer.name());
        serves_and_ends(process, client, &peer);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(text.starts_with("what was there before\nTCP server listening on "), "{text}");
        assert_eq!(text.matches(&format!("{name} sent: hello\n")).count(), 100);
        assert_eq!(text.matches(&format!("{peer_name} sent a datagram: hello\n")).count(), 100);
        assert!(text.ends_with(&format!("{name} disconnected (shutdown)\n")), "{text}");
    });
}

#[test]
fn an_unread_pipe_delays_no_ack_and_the_gap_is_counted() {
    undisturbed(|| {
        const MESSAGES: usize = 20_000;
        let mut server = ServerBuilder::new("-t --framing lines --idle-timeout 0").operated().start();
        let mut client = server.client();
        server.stdout.pause();
        let text = "x".repeat(200);
        for _ in 0..MESSAGES / 100 {
            client.exchange(format!("{text}\n").repeat(100), "ACK\n".repeat(100));
        }
        server.stdout.resume();
        let gap = server.stdout.find("the gap", |line| line.starts_with("… lines dropped: "));
        let mut dropped: usize = gap["… lines dropped: ".len()..].parse().unwrap();
        // Another gap can only stand before the next line that is printed.
        client.exchange("the last\n", "ACK\n");
        server.stdout.expect(&format!("{} sent: the last", client.name()));
        let lines = server.stdout.so_far();
        let gaps = lines.iter().filter_map(|line| line.strip_prefix("… lines dropped: "));
        dropped = gaps.map(|count| count.parse::<usize>().unwrap()).sum::<usize>().max(dropped);
        let whole = format!("{} sent: {text}", client.name());
        let printed = lines.iter().filter(|line| **line == whole).count();
        assert_eq!(printed + dropped, MESSAGES, "every message is printed or counted");
        let others = lines.iter().filter(|line| **line != whole && !line.starts_with("… ")).count();
        assert_eq!(others, 3, "listening, connected, the last: no line is torn");
        assert_eq!(server.stat("lines_dropped"), f64::from(u32::try_from(dropped).unwrap()));
    });
}

#[test]
fn an_event_of_two_lines_is_dropped_whole() {
    let server = server("-u --lang zh");
    let peer = server.peer();
    server.stdout.pause();
    let text = "x".repeat(900);
    for _ in 0..5000 {
        peer.check(&text);
    }
    server.stdout.resume();
    server.stdout.find("the gap", |line| line.starts_with("… lines dropped: "));
    peer.check("the last");
    server.stdout.expect("数据: the last");
    let lines = server.stdout.so_far();
    let dropped: usize =
        lines.iter().filter_map(|line| line.strip_prefix("… lines dropped: ")?.parse::<usize>().ok()).sum();
    let from = format!("-----来自IP: 127.0.0.1 Port: {}-----", peer.address().port());
    for (index, line) in lines.iter().enumerate().skip(1).filter(|(_, line)| !line.starts_with('…')) {
        let partner = if *line == from { lines[index + 1].starts_with("数据: ") } else { lines[index - 1] == from };
        assert!(partner, "half an event at {index}: {line:?}");
    }
    let printed = lines.iter().filter(|line| **line == from).count();
    assert_eq!(2 * printed + dropped, 2 * 5001, "each dropped event counts its two lines");
}

#[test]
fn a_stalled_stdout_gets_half_a_second_of_the_exit() {
    sooner_than(Duration::from_millis(1500), || {
        let mut server = server("-t --framing lines");
        let mut client = server.client();
        server.stdout.pause();
        client.exchange(format!("{}\n", "x".repeat(200)).repeat(20_000), "ACK\n".repeat(20_000));
        drop(client);
        let since = Instant::now();
        server.signal(SIGINT);
        assert_eq!(server.wait_exit(), 0);
        since.elapsed()
    });
}

#[test]
fn the_last_event_finds_room_where_stdout_is_read_again_at_the_exit() {
    undisturbed(|| {
        // What is read again too late is lost by right.
        one_of_five(|| {
            let mut server = server("-t --framing lines --format json");
            let mut client = server.quiet_client();
            server.stdout.pause();
            // More lines than the pipe and the queue hold.
            (0..20).for_each(|_| client.exchange("x\n".repeat(1000), "ACK\n".repeat(1000)));
            server.signal(SIGTERM);
            client.expect_last("server is shutting down\n");
            drop(client);
            thread::sleep(Duration::from_millis(100));
            server.stdout.resume();
            assert_eq!(server.wait_exit(), 0);
            let last = server.stdout.to_end().pop().unwrap();
            if last.ends_with(r#""event":"shutdown","cut":0}"#) { Ok(()) } else { Err(last) }
        });
    });
}

#[test]
fn the_transcript_is_complete_at_exit() {
    let mut server = server("-t --framing lines");
    let mut client = server.client();
    client.send((0..5000).map(|number| format!("{number}\n")).collect::<String>());
    server.signal(SIGTERM);
    let acks = String::from_utf8(client.read_to_end()).unwrap().matches("ACK\n").count();
    let name = client.name();
    drop(client);
    assert_eq!(server.wait_exit(), 0);
    let lines = server.stdout.to_end();
    let messages = lines.iter().filter(|line| line.starts_with(&format!("{name} sent: "))).count();
    assert_eq!(messages, acks, "a line an ACK");
    assert_eq!(lines.last().unwrap(), &format!("{name} disconnected (shutdown)"));
}

#[test]
fn lines_appear_without_being_asked_for() {
    // Within 0.1 s, and as much again as reading them may take.
    sooner_than(Duration::from_millis(200), || {
        let (reader, writer) = std::io::pipe().unwrap();
        let (_process, mut client, _) = printing_to(writer);
        let mut lines = BufReader::new(reader).lines();
        client.exchange("hello", "ACK");
        let seen = Instant::now();
        let wanted = format!("{} sent: hello", client.name());
        assert!(lines.any(|line| line.unwrap() == wanted));
        seen.elapsed()
    });
}

#[test]
fn quiet_prints_the_listening_lines_and_nothing_else() {
    let mut server = server("--quiet");
    let mut client = server.quiet_client();
    client.exchange("hello", "ACK");
    server.peer().check("hello");
    drop(client);
    server.signal(SIGTERM);
    assert_eq!(server.wait_exit(), 0);
    let lines = server.stdout.to_end();
    assert!(lines.len() == 2 && lines.iter().all(|line| line.contains("server listening on")), "{lines:?}");
}

#[test]
fn an_unread_stderr_delays_nothing() {
    let (reader, writer) = std::io::pipe().unwrap();
    let server = ServerBuilder::new("-t --framing lines -q")
        .with(|launch| launch.env("RUST_LOG", "trace").stderr(Output::Given(writer.into())))
        .start();
    let mut client = server.quiet_client();
    for _ in 0..2000 {
        client.exchange("hello\n", "ACK\n");
    }
    for _ in 0..200 {
        server.quiet_client().exchange("hello\n", "ACK\n");
    }
    drop(reader);
    client.exchange("hello\n", "ACK\n");
}

#[test]
fn a_terminal_shows_the_transcript() {
    let mut process = Launch::server(&["-p", "0"]).stdin(Input::Terminal).stdout(Output::Terminal).start();
    let line = process.terminal.find("the listening line", |line| line.starts_with("TCP server listening on "));
    let mut client = Client::connect(line["TCP server listening on ".len()..].parse().unwrap());
    client.exchange("hello", "ACK");
    process.terminal.expect(&format!("{} sent: hello", client.name()));
    drop(client);
    process.signal(SIGTERM);
    assert_eq!(process.wait_exit(), 0);
    process.terminal.expect("server is shutting down");
}

#[test]
fn a_log_at_trace_level_into_a_pipe_holds_nothing_up() {
    let mut server = ServerBuilder::new("-q").with(|launch| launch.env("RUST_LOG", "trace")).start();
    let mut client = server.quiet_client();
    client.exchange("hello", "ACK");
    server.signal(SIGTERM);
    client.expect_last("server is shutting down");
    drop(client);
    assert_eq!(server.wait_exit(), 0);
}

#[test]
fn a_filter_of_the_log_that_is_none_is_one_sentence_and_harms_nobody() {
    let wrong = |launch: Launch| launch.env("RUST_LOG", "reactor=debug=loud");
    let server = ServerBuilder::new("").with(wrong).start();
    server.client().exchange("hello", "ACK");
    let said = server.stderr.find("the sentence", |line| line.starts_with("reactor-server: RUST_LOG is "));
    assert!(said.contains("'reactor=debug=loud'"), "{said}");
    // Not even where nothing can be said.
    let full = File::options().write(true).open("/dev/full").unwrap();
    let server = ServerBuilder::new("").with(|launch| wrong(launch).stderr(Output::Given(full.into()))).start();
    server.client().exchange("hello", "ACK");
}
