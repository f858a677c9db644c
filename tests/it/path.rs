//! The path in a box: it does what it is told, and nothing else.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{
    Client, Counts, DEADLINE, FarTcp, FarUdp, Launch, Odds, Path, Peer, Server, closed_port, end_of, fates,
    one_of_five, private_loopback, server, sooner_than, tcp_service, throw, timed, udp_service, undisturbed,
    wait_until,
};

const LISTING: &str = include_str!("../path/path.rs");

/// What a stopped path finds all at once: it fits into every buffer on the way.
const BATCH: usize = 100;

/// Sends both directions through a path with these options; what arrives, and its counts, must be what the seed says.
#[track_caller]
fn holds(options: &str, seed: u64, there: Odds, back: Odds) {
    let far = FarUdp::new();
    let Some(path) = Path::to(far.address(), &format!("{options} --seed {seed}")) else { return };
    let peer = Peer::connect(path.address());
    let mut wanted = [Counts::default(); 2];
    for batch in 0..5 {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        path.stop();
        numbers.clone().for_each(|number| peer.send(number.to_string()));
        path.resume();
        let (arrives, counts) = fates(seed, 0, there, numbers.clone());
        wanted[0] += counts;
        let name = arrives.iter().fold(None, |_, number| Some(far.expect(number.to_string())));
        // Once it is known what the far end calls the client, it answers.
        path.stop();
        numbers.clone().for_each(|number| far.say(name.unwrap(), number.to_string()));
        path.resume();
        let (arrives, counts) = fates(seed, 1, back, numbers);
        wanted[1] += counts;
        arrives.iter().for_each(|number| peer.expect(number.to_string()));
    }
    assert_eq!(path.counts(), wanted, "{options}");
}

/// A path to a server of ours.
#[track_caller]
fn path_to_server(options: &str) -> Option<(Server, Path)> {
    let server = server("--framing lines");
    let path = Path::to(server.tcp(), options)?;
    Some((server, path))
}

/// A TCP port that says everything back.
fn tcp_echo() -> SocketAddr {
    tcp_service(|mut stream| {
        let mut reader = stream.try_clone().unwrap();
        let _ = std::io::copy(&mut reader, &mut stream);
    })
}

#[test]
fn both_protocols_pass_through_one_port_and_one_thread() {
    let Some((_server, path)) = path_to_server("") else { return };
    let (mut client, peer) = (Client::connect(path.address()), Peer::connect(path.address()));
    for _ in 0..20 {
        client.exchange("hello\n", "ACK\n");
        peer.check("hello");
    }
    assert_eq!(path.proc().tasks(), 1);
    assert_eq!(path.counts(), [Counts { passed: 20, ..Counts::default() }; 2]);
}

#[test]
fn datagrams_of_all_sizes_pass_unchanged_and_answers_find_their_way_back() {
    let far = FarUdp::new();
    let Some(path) = Path::to(far.address(), "") else { return };
    let peers: Vec<Peer> = (0..3).map(|_| Peer::connect(path.address())).collect();
    for size in [0, 1, 1472, 9000, 65_507] {
        let mut names = Vec::new();
        for (peer, filling) in peers.iter().zip(*b"abc") {
            let content = vec![filling; size];
            peer.send(&content);
            names.push((far.expect(&content), content));
        }
        for (name, content) in names.iter().rev() {
            far.say(*name, content);
        }
        for (peer, (_, content)) in peers.iter().zip(&names) {
            peer.expect(content);
        }
    }
}

/// On a busy machine ports find new owners all the time, and what was meant for the old ones comes to the new.
#[test]
fn what_comes_from_strangers_is_nobody_s_answer() {
    undisturbed(|| {
        let (far, stranger) = (FarUdp::new(), FarUdp::new());
        let Some(path) = Path::to(far.address(), "") else { return };
        let peer = Peer::connect(path.address());
        peer.send("hello");
        let name = far.expect("hello");
        let name = SocketAddr::new([127, 0, 0, 1].into(), name.port());
        stranger.say(name, "server is shutting down");
        far.say(name, "check");
        peer.expect("check");
        peer.expect_nothing_yet();
        let [_, back] = path.counts();
        assert_eq!(back, Counts { passed: 1, ..Counts::default() });
    });
}

#[test]
fn a_stream_passes_unchanged_and_ends_as_its_ends_do() {
    for options in ["", "--delay 5ms --jitter 5ms"] {
        let Some(path) = Path::to(tcp_echo(), options) else { return };
        let mut client = Client::connect(path.address());
        let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_be_bytes).collect();
        let (mut writer, sent) = (client.clone_handle(), content.clone());
        let writing = thread::spawn(move || {
            writer.send(sent);
            writer.finish_writing();
        });
        assert!(client.read_to_end() == content, "{options:?}");
        writing.join().unwrap();
    }
}

#[test]
fn half_closes_and_resets_are_passed_on() {
    let far = FarTcp::new();
    let Some(path) = Path::to(far.address(), "") else { return };
    let idle = path.proc().descriptors();
    let mut client = Client::connect(path.address());
    client.send("last words");
    client.finish_writing();
    let mut caller = far.accept();
    caller.expect("last words");
    caller.expect_end();
    caller.finish_with("so long");
    client.expect_last("so long");

    let client = Client::connect(path.address());
    let mut stream = far.accept().into_stream();
    client.reset();
    assert_eq!(stream.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);

    let mut client = Client::connect(path.address());
    far.accept().reset();
    assert_eq!(client.try_read_to_end().unwrap_err().kind(), ErrorKind::ConnectionReset);
    wait_until("an end of all of them", || (path.proc().descriptors() == idle).then_some(()));
}

#[test]
fn where_nobody_listens_the_connection_is_reset_and_later_datagrams_pass() {
    undisturbed(|| {
        let target = closed_port(private_loopback());
        let Some(path) = Path::to(target, "") else { return };
        // It may be reset before it knows that it stands.
        let outcome = TcpStream::connect(path.address()).and_then(|mut client| client.read(&mut [0; 8]));
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let peer = Peer::connect(path.address());
        (0..3).for_each(|_| peer.send("anybody there?"));
        peer.expect_nothing_yet();
        let far = UdpSocket::bind(target).unwrap();
        peer.send("now?");
        // Some of those before may not have been refused.
        let mut buffer = [0; 64];
        let name = loop {
            let (len, name) = far.recv_from(&mut buffer).unwrap();
            if buffer[..len] == *b"now?" {
                break name;
            }
        };
        far.send_to(b"yes", name).unwrap();
        peer.expect("yes");
    });
}

#[test]
fn each_fault_hits_whom_the_seed_says_and_no_other() {
    let none = Odds::default();
    let drop = Odds { drop: 0.05, ..none };
    holds("--drop-there 5%", 7, drop, none);
    holds("--drop-back 5%", 7, none, drop);
    let duplicate = Odds { duplicate: 0.05, ..none };
    holds("--duplicate 5%", 8, duplicate, duplicate);
    let reorder = Odds { reorder: 0.05, ..none };
    holds("--reorder 5%", 9, reorder, reorder);
    let all = Odds { drop: 0.1, duplicate: 0.1, reorder: 0.1 };
    holds("--drop-there 10% --duplicate 10% --reorder 10% --jitter 1ms", 10, all, Odds { drop: 0.0, ..all });
}

#[test]
fn a_percent_is_one_in_a_hundred_and_everything_is_everything() {
    let drops = |seed| fates(seed, 0, Odds { drop: 0.01, ..Odds::default() }, 0..10_000).1.dropped;
    for seed in 0..20 {
        assert!((60..=140).contains(&drops(seed)), "{}", drops(seed));
    }
    assert_ne!(drops(1), drops(2), "another seed, other fates");
    holds("--drop-there 0% --drop-back 0% --delay 1ms", 1, Odds::default(), Odds::default());
    holds(
        "--duplicate 100%",
        1,
        Odds { duplicate: 1.0, ..Odds::default() },
        Odds { duplicate: 1.0, ..Odds::default() },
    );
}

#[test]
fn who_has_nobody_to_be_overtaken_by_goes_on_after_50_ms() {
    let far = FarUdp::new();
    let Some(path) = Path::to(far.address(), "--reorder 100%") else { return };
    let peer = Peer::connect(path.address());
    sooner_than(Duration::from_millis(200), || {
        let took = timed(|| {
            peer.send("alone");
            far.expect("alone");
        });
        assert!(took.1 >= Duration::from_millis(50), "{took:?}");
        took.1
    });
    assert_eq!(path.counts()[0].reordered, 0);
}

#[test]
fn delay_and_jitter_take_as_long_as_they_say() {
    const DELAY: Duration = Duration::from_millis(200);
    const JITTER: Duration = Duration::from_millis(300);
    let Some((_server, path)) = path_to_server("--delay 200ms --jitter 300ms --seed 3") else { return };
    let peer = Peer::connect(path.address());
    let mut client = Client::connect(path.address());
    for protocol in 0..2 {
        let mut number = 0;
        sooner_than(Duration::from_millis(150), || {
            let late = [0, 1].map(|direction| match protocol {
                0 => throw(3, direction, number * 4 + 3),
                _ => throw(3, 2 + direction, number),
            });
            let least = DELAY * 2 + JITTER.mul_f64(late[0] + late[1]);
            let ((), took) = timed(|| match protocol {
                0 => peer.check("hello"),
                _ => client.exchange("hello\n", "ACK\n"),
            });
            number += 1;
            assert!(took >= least, "{took:?} is less than {least:?}");
            took.checked_sub(least).unwrap()
        });
    }
}

#[test]
fn jitter_reorders_nothing() {
    undisturbed(|| {
        let (far, none) = (FarUdp::new(), Odds::default());
        let Some(path) = Path::to(far.address(), "--jitter 50ms") else { return };
        let peer = Peer::connect(path.address());
        path.stop();
        (0..BATCH).for_each(|number| peer.send(number.to_string()));
        path.resume();
        for number in 0..BATCH {
            far.expect(number.to_string());
        }
        holds("--jitter 3ms", 2, none, none);
    });
}

#[test]
fn in_an_outage_datagrams_are_lost_both_ways() {
    undisturbed(|| {
        let far = FarUdp::new();
        let Some(path) = Path::to(far.address(), "--outage 60m@0s") else { return };
        let peer = Peer::connect(path.address());
        (0..3).for_each(|_| peer.send("anybody there?"));
        far.expect_nothing();
        assert_eq!(path.counts(), [Counts { dropped: 3, ..Counts::default() }, Counts::default()]);

        // Its clock starts with the first that comes.
        one_of_five(|| {
            let sink = UdpSocket::bind((private_loopback(), 0)).unwrap();
            sink.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            let Some(path) = Path::to(sink.local_addr().unwrap(), "--outage 400ms@200ms") else { return Ok(()) };
            thread::sleep(Duration::from_millis(300));
            let (peer, start) = (Peer::connect(path.address()), Instant::now());
            let mut arrivals = Vec::new();
            while start.elapsed() < Duration::from_millis(800) {
                peer.send("are you there?");
                arrivals.extend(sink.recv(&mut [0; 64]).map(|_| start.elapsed()));
            }
            let mut gaps = arrivals.windows(2).map(|pair| (pair[1] - pair[0], pair[0]));
            let gap = gaps.by_ref().max().unwrap();
            let fits = |time: Duration, wanted: u64| time.abs_diff(Duration::from_millis(wanted)).as_millis() < 150;
            if fits(gap.0, 400) && fits(gap.1, 200) { Ok(()) } else { Err(gap) }
        });
    });
}

#[test]
fn in_an_outage_streams_stand_still_and_lose_nothing() {
    undisturbed(|| {
        const OUTAGE: Duration = Duration::from_millis(400);
        let Some((server, path)) = path_to_server("--outage 400ms@0s") else { return };
        let ((), took) = timed(|| Client::connect(path.address()).exchange("hello\n", "ACK\n"));
        assert!(took >= OUTAGE, "{took:?}");

        one_of_five(|| {
            let Some(path) = Path::to(server.tcp(), "--outage 400ms@100ms") else { return Ok(()) };
            let mut client = Client::connect(path.address());
            let mut longest = Duration::ZERO;
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(600) {
                longest = longest.max(timed(|| client.exchange("hello\n", "ACK\n")).1);
            }
            let fits = longest.abs_diff(OUTAGE).as_millis() < 150;
            if fits { Ok(()) } else { Err(longest) }
        });
    });
}

#[test]
fn its_clients_are_the_newest_thousand() {
    let echo = udp_service(|socket, _, from| drop(socket.send_to(b"here", from)));
    let Some(path) = Path::to(echo, "") else { return };
    let exchange = |peer: &Peer| {
        peer.send("where?");
        peer.expect("here");
    };
    let first = Peer::connect(path.address());
    exchange(&first);
    (0..1100).for_each(|_| exchange(&Peer::connect(path.address())));
    let descriptors = path.proc().descriptors();
    assert!((1024..1050).contains(&descriptors), "{descriptors}");
    exchange(&first);
    assert_eq!(path.proc().descriptors(), descriptors);
}

/// Sends until it is not taken; the connection, and how much was.
#[track_caller]
fn fill(address: SocketAddr) -> (TcpStream, u64) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut sent = 0;
    while let Ok(count) = stream.write(&[b'x'; 65_536]) {
        sent += count as u64;
        assert!(sent < 64 << 20, "there is no end to what it takes");
    }
    (stream, sent)
}

#[test]
fn a_flood_finds_bounded_queues() {
    undisturbed(|| {
        const MEBIBYTE: u64 = 1 << 20;
        const DATAGRAMS: usize = 1000;
        let far = FarTcp::new();
        let Some(path) = Path::to(far.address(), "--delay 10m") else { return };
        let before = path.proc().peak();
        let peer = Peer::connect(path.address());
        for _ in 0..DATAGRAMS / 5 {
            (0..5).for_each(|_| peer.send([b'x'; 60_000]));
            // Asleep it has taken them all: the system must not drop any.
            path.proc().wait_state('S');
        }
        fill(path.address());
        let grew = path.proc().peak() - before;
        assert!(grew < 32 * MEBIBYTE, "{grew}");
        let [there, back] = path.counts();
        assert_eq!(there, Counts { dropped: DATAGRAMS, ..Counts::default() }, "what is under way at the end is lost");
        assert_eq!(back, Counts::default());
    });
}

#[test]
fn who_does_not_read_holds_up_the_sender() {
    undisturbed(|| {
        let far = FarTcp::new();
        let Some(path) = Path::to(far.address(), "") else { return };
        let before = path.proc().peak();
        let (mut client, sent) = fill(path.address());
        let grew = path.proc().peak() - before;
        assert!(grew < 4 << 20, "{grew}");
        // The other direction moves all the same, and nothing is lost.
        let mut far = far.accept().into_stream();
        far.write_all(b"not so fast").unwrap();
        let mut heard = [0; 11];
        client.read_exact(&mut heard).unwrap();
        assert_eq!(heard, *b"not so fast");
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(std::io::copy(&mut far, &mut std::io::sink()).unwrap(), sent);
    });
}

#[test]
fn what_it_cannot_do_it_refuses_in_one_sentence() {
    let wrong = [
        "--delay 5",
        "--delay 5h",
        "--delay ms",
        "--delay 1e3s",
        "--delay 61m",
        "--jitter inf",
        "--drop-there 1",
        "--drop-back 101%",
        "--duplicate x%",
        "--reorder +1%",
        "--outage 3s",
        "--outage 3s@10",
        "--seed -1",
        "--loss 1%",
        "more",
    ];
    let lines = ["127.0.0.1:0", "127.0.0.1:0 127.0.0.1", ":: 127.0.0.1:7", "127.0.0.1:0 127.0.0.1:65536"];
    let wrong = wrong.map(|options| format!("127.0.0.1:0 127.0.0.1:7 {options}"));
    for line in wrong.iter().map(String::as_str).chain(lines) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(launch) = Launch::example("path", &words) else { return };
        let ended = end_of(&mut launch.start());
        assert_eq!((ended.code, ended.out.len(), ended.err.len()), (2, 0, 1), "{line}: {:?}", ended.err);
    }
}

#[test]
fn a_port_in_use_is_one_sentence() {
    let far = FarTcp::new();
    let address = far.address().to_string();
    let Some(launch) = Launch::example("path", &[&address, &address]) else { return };
    let ended = end_of(&mut launch.start());
    assert_eq!((ended.code, ended.err.len()), (1, 1), "{:?}", ended.err);
    assert!(ended.complaint().contains(&address), "{:?}", ended.err);
}

#[test]
fn each_signal_ends_it_and_it_tells_what_it_did() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let far = FarUdp::new();
        let Some(path) = Path::to(far.address(), "") else { return };
        Peer::connect(path.address()).send("hello");
        far.expect("hello");
        assert_eq!(path.counts_after(signal)[0].passed, 1, "{signal}");
    }
}

#[test]
fn it_is_three_hundred_lines() {
    let lines = LISTING.lines().filter(|line| !line.is_empty() && !line.trim_start().starts_with(['/', '#'])).count();
    assert!(lines <= 300, "{lines}");
}
