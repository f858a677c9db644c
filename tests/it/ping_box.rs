//! The instrument through a path in a box: the fault that was injected moves its own figure, by as much, and no other.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal::SIGTERM;

use crate::harness::{
    Counts, Crossing, DEADLINE, Odds, Path, client_to, cross, end_of, last_object, one_of_five, private_loopback, seed,
    server, undisturbed,
};

const PROBES: usize = 160;
/// So long there is no server.
const OUTAGE: Duration = Duration::from_millis(300);
const NONE: Odds = Odds { drop: 0.0, duplicate: 0.0, reorder: 0.0 };

/// What a run came to: lost on the way there, on the way back and nobody knows where, duplicated, reordered.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    there: Option<u64>,
    back: Option<u64>,
    unknown: Option<u64>,
    duplicated: Option<u64>,
    reordered: Option<u64>,
}

impl Told {
    fn of(run: &Crossing) -> Told {
        let [there, back, unknown] = ["lost_there", "lost_back", "lost_unknown"].map(|name| run.figure(name));
        Told { there, back, unknown, duplicated: run.figure("duplicated"), reordered: run.figure("reordered") }
    }

    /// What the path says it did.
    fn wanted(run: &Crossing) -> Told {
        let [there, back] = run.counts;
        Told {
            there: Some(there.dropped as u64),
            back: Some(back.dropped as u64),
            unknown: Some(0),
            duplicated: Some((there.duplicated + back.duplicated) as u64),
            reordered: Some((there.reordered + back.reordered) as u64),
        }
    }
}

/// So many probes through a path with one fault, a row of the table. Where this machine was so busy that an answer took
/// 2 s, which the client counts as late, or that what was to be overtaken was not, it is done again.
#[track_caller]
fn expect_alone(probes: usize, options: &str, injected: fn(Counts) -> usize) {
    undisturbed(|| {
        let server = server("-u --quiet");
        one_of_five(|| {
            let ping = format!("-u -i 0.01 -c {probes} -W 2 -q");
            let Some(run) = cross(server.udp(), options, &ping, false, |_, _| {}) else { return Ok(()) };
            let sum = |of: fn(Counts) -> usize| run.counts.map(of).iter().sum::<usize>();
            if run.figure("late") != Some(0) || Told::of(&run) != Told::wanted(&run) || sum(injected) < 2 {
                return Err((run.summary, run.counts));
            }
            // The path did this, and nothing else.
            assert_eq!(sum(injected), sum(|leg| leg.dropped + leg.duplicated + leg.reordered), "{:?}", run.counts);
            let lost = sum(|leg| leg.dropped) as u64;
            assert_eq!((run.figure("sent"), run.figure("lost")), (Some(probes as u64), Some(lost)), "{}", run.summary);
            assert_eq!(run.ended.code, i32::from(lost > 0));
            run.tell(options);
            Ok(())
        });
    });
}

/// The same with datagrams that are dropped on the way there or back, with these odds.
#[track_caller]
fn expect_lost(probes: usize, there: f64, back: f64) {
    let ways = [(0, there), (1, back)].into_iter().filter(|&(_, drop)| drop > 0.0);
    let faults: Vec<_> = ways.map(|(line, drop)| (line, Odds { drop, ..NONE })).collect();
    let (there, back, seed) = (there * 100.0, back * 100.0, seed(probes, &faults));
    expect_alone(probes, &format!("--drop-there {there}% --drop-back {back}% --seed {seed}"), |leg| leg.dropped);
}

#[track_caller]
fn expect_duplicated(probes: usize, duplicate: f64) {
    let twice = Odds { duplicate, ..NONE };
    let seed = seed(probes, &[(0, twice), (1, twice)]);
    expect_alone(probes, &format!("--duplicate {}% --seed {seed}", duplicate * 100.0), |leg| leg.duplicated);
}

#[track_caller]
fn expect_reordered(probes: usize, reorder: f64) {
    let overtaken = Odds { reorder, ..NONE };
    let seed = seed(probes, &[(0, overtaken), (1, overtaken)]);
    expect_alone(probes, &format!("--reorder {}% --seed {seed}", reorder * 100.0), |leg| leg.reordered);
}

#[test]
fn what_is_dropped_on_the_way_there_is_lost_there_alone() {
    expect_lost(PROBES, 0.04, 0.0);
}

#[test]
fn what_is_dropped_on_the_way_back_is_lost_back_alone() {
    expect_lost(PROBES, 0.0, 0.04);
}

#[test]
fn what_is_dropped_on_both_ways_is_told_by_leg() {
    expect_lost(PROBES, 0.03, 0.03);
}

#[test]
fn what_comes_twice_is_duplicated_and_nothing_else() {
    expect_duplicated(PROBES, 0.03);
}

#[test]
fn what_was_overtaken_is_reordered_and_nothing_else() {
    expect_reordered(PROBES, 0.02);
}

/// 8 s at 100/s, half a percent (1 of 200) of each. It prints a table.
#[test]
#[ignore = "takes 50 s on a quiet machine"]
fn one_of_two_hundred_each() {
    expect_lost(800, 0.005, 0.0);
    expect_lost(800, 0.0, 0.005);
    expect_lost(800, 0.005, 0.005);
    expect_duplicated(800, 0.005);
    expect_reordered(800, 0.005);
}

#[test]
fn a_delay_is_the_round_trip_s_alone() {
    let server = server("--quiet");
    one_of_five(|| {
        let Some(run) = cross(server.udp(), "--delay 100ms", "-u -i 0.01 -c 160 -W 10 -q", false, |_, _| {}) else {
            return Ok(());
        };
        if Told::of(&run) != Told::wanted(&run) || run.figure("acknowledged") != Some(PROBES as u64) {
            return Err(run.summary);
        }
        assert!(run.ms("rtt_ns", "min") >= 200.0 && run.ms("response_ns", "min") >= 200.0, "{}", run.summary);
        assert!(run.ms("server_ns", "min") < 100.0, "{}", run.summary);
        run.tell("--delay 100ms");
        Ok(())
    });
    let Some(run) = cross(server.tcp(), "--delay 100ms", "-t -i 0.01 -c 50 -W 10 -q", false, |_, _| {}) else { return };
    assert!(run.ms("rtt_ns", "min") >= 200.0, "{}", run.summary);
    assert_eq!((run.figure("acknowledged"), run.ended.code), (Some(50), 0), "{}", run.summary);
}

/// Nothing that the numbers do not tell is blamed on one way: what went to the server's death is unknown.
#[test]
fn a_server_that_is_started_anew_behind_the_path_makes_no_false_leg() {
    undisturbed(|| {
        let ip = private_loopback();
        let first = server(&format!("-u --host {ip}"));
        let address = first.udp();
        let Some(path) = Path::to(address, "--drop-there 4%") else { return };
        let mut client = client_to(path.address(), "--ping --format json -u -i 0.02 -c 100 -W 0.5").start();
        client.stdout.find("a reply", |line| line.contains("\"seq\":30,"));
        first.signal(SIGTERM);
        drop(first);
        thread::sleep(OUTAGE);
        let _second = server(&format!("-u --host {ip} -p {}", address.port()));
        let ended = end_of(&mut client);
        let run = Crossing { summary: last_object(&ended.out), ended, counts: path.counts() };
        let Told { there, back, unknown, .. } = Told::of(&run);
        assert!(there.unwrap() <= run.counts[0].dropped as u64, "{} {:?}", run.summary, run.counts);
        assert_eq!(back, Some(0), "{}", run.summary);
        let decided = there.unwrap() + unknown.unwrap() + run.figure("late").unwrap();
        assert!(unknown.unwrap() > 0 && run.figure("lost") == Some(decided), "{}", run.summary);
        run.tell("--drop-there 4%, the server started anew");
    });
}

/// A port behind which two servers take turns.
fn turns(servers: [SocketAddr; 2]) -> SocketAddr {
    let front = UdpSocket::bind((private_loopback(), 0)).unwrap();
    let address = front.local_addr().unwrap();
    thread::spawn(move || {
        let behind = servers.map(|server| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket.connect(server).unwrap();
            socket.set_read_timeout(Some(DEADLINE)).unwrap();
            socket
        });
        let mut buffer = [0; 65536];
        for socket in behind.iter().cycle() {
            let Ok((len, client)) = front.recv_from(&mut buffer) else { return };
            socket.send(&buffer[..len]).unwrap();
            let len = socket.recv(&mut buffer).unwrap();
            let _ = front.send_to(&buffer[..len], client);
        }
    });
    address
}

#[test]
fn two_servers_behind_one_port_and_a_path_make_no_false_leg() {
    undisturbed(|| {
        let servers = [server("-u --quiet"), server("-u --quiet")];
        let turns = turns([servers[0].udp(), servers[1].udp()]);
        let Some(run) = cross(turns, "--drop-there 4%", "-u -i 0.01 -c 100 -W 0.5 -q", false, |_, _| {}) else {
            return;
        };
        assert_eq!(
            (Told::of(&run).there, Told::of(&run).back, Told::of(&run).unknown),
            (None, None, None),
            "{}",
            run.summary
        );
        let complaint = run.ended.complaint();
        assert!(complaint.contains("several servers answer from one port"), "{complaint}");
        let unknown = run.counts[0].dropped as u64 + run.figure("late").unwrap();
        assert_eq!(run.figure("lost"), Some(unknown), "{} {:?}", run.summary, run.counts);
        run.tell("--drop-there 4%, two servers behind one port");
    });
}
