//! A path in a box: what comes to LISTEN goes on to TARGET, and back, with the faults that were asked for.
//!
//! One thread, one loop: what comes in is put on the `Line` of its direction, what is due there goes out. The system
//! accepts TCP connections, so those stand at once: the faults befall their bytes.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ack_reactor::cli;
use ack_reactor::connection::{Connection, Fill};
use ack_reactor::error::{Error, exit};
use ack_reactor::process::limits::raise_descriptor_limit;
use ack_reactor::process::signals::{OnQuit, Signal, Signals};
use ack_reactor::reactor::{Budget, Key, Reactor, Slice, Slots, Source, stream_interest, timer::Alarm};
use ack_reactor::server::listen::Sockets;
use ack_reactor::wire::{Framing, Outbox};
use clap::Parser;
use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Interest, Registry};
use socket2::SockRef;

/// UDP clients at once: the newest.
const FLOWS: usize = 1024;
/// So many datagrams are under way at most, of so many bytes; what does not fit is lost.
const DATAGRAMS: usize = 16_384;
const DATAGRAM_BYTES: usize = 16 << 20;
/// What is to be overtaken waits so much longer at most.
const HOLD: Duration = Duration::from_millis(50);
/// So much of one direction of a stream is in the box at most, in so many reads; what does not fit is not read.
const STREAM_BYTES: usize = 256 << 10;
const STREAM_READS: usize = 1024;
/// What waits for the loop must find room: what the system drops is not among the counts.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Passes TCP and UDP on to TARGET, and what comes from there back, with the faults of a path
#[derive(Clone, Copy, Parser)]
#[command(name = "path")]
struct Args {
    #[arg(value_parser = address, help = "HOST:PORT, for TCP and UDP alike; port 0 is any that is free")]
    listen: SocketAddr,
    #[arg(value_parser = address, help = "HOST:PORT")]
    target: SocketAddr,
    #[arg(long, value_parser = time, default_value = "0ms", help = "How long each direction takes")]
    delay: Duration,
    #[arg(long, value_parser = time, default_value = "0ms", help = "Up to so much longer; nothing overtakes")]
    jitter: Duration,
    #[arg(long, value_parser = percent, default_value = "0%", help = "Datagrams lost on the way to TARGET")]
    drop_there: f64,
    #[arg(long, value_parser = percent, default_value = "0%", help = "Datagrams lost on the way back")]
    drop_back: f64,
    #[arg(long, value_parser = percent, default_value = "0%", help = "Datagrams that arrive twice")]
    duplicate: f64,
    #[arg(long, value_parser = percent, default_value = "0%", help = "Datagrams that the next one overtakes")]
    reorder: f64,
    #[arg(long, value_parser = outage, help = "3s@10s: dead for 3 s, from 10 s after the first arrival")]
    outage: Option<(Duration, Duration)>,
    #[arg(long, default_value_t = 1, help = "The same seed gives the same datagrams the same fate")]
    seed: u64,
}

fn address(word: &str) -> Result<SocketAddr, &'static str> {
    let found = word.to_socket_addrs().ok().and_then(|mut found| found.next());
    found.ok_or("give HOST:PORT, such as 127.0.0.1:6666, of a host that has an address")
}

fn time(word: &str) -> Result<Duration, &'static str> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0)];
    let seconds = units.iter().find_map(|(unit, seconds)| Some(number(word, unit)? * seconds));
    let seconds = seconds.filter(|&seconds| seconds <= 3600.0);
    seconds.map(Duration::from_secs_f64).ok_or("give a time with its unit, such as 30ms, 0.5s or 2m, up to an hour")
}

fn percent(word: &str) -> Result<f64, &'static str> {
    number(word, "%").map(|share| share / 100.0).filter(|&share| share <= 1.0).ok_or("give 0% to 100%, such as 0.5%")
}

fn outage(word: &str) -> Result<(Duration, Duration), &'static str> {
    let (length, start) = word.split_once('@').ok_or("give how long and from when on, such as 3s@10s")?;
    Ok((time(length)?, time(start)?))
}

/// Digits and a point before the unit: no sign, no infinity.
fn number(word: &str, unit: &str) -> Option<f64> {
    let digits = word.strip_suffix(unit)?;
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Signals,
    Alarm,
    Listener,
    Clients,
    Peer(Key),
}

impl Source for Who {
    const SINGLE: &'static [Who] = &[Who::Signals, Who::Alarm, Who::Listener, Who::Clients];

    fn of_key(key: Key) -> Who {
        Who::Peer(key)
    }

    fn key(self) -> Option<Key> {
        if let Who::Peer(key) = self { Some(key) } else { None }
    }
}

/// For whom, what, and how many of it.
type Parcel = (Who, Box<[u8]>, usize);

/// One direction of one protocol: the dice, what is under way, and what became of it.
struct Line {
    args: Args,
    odds: [f64; 3],
    dice: u64,
    under_way: VecDeque<(Instant, Parcel)>,
    bytes: usize,
    /// Whether the last that is under way is to be overtaken.
    holds: bool,
    passed: usize,
    dropped: usize,
    duplicated: usize,
    reordered: usize,
}

impl Line {
    fn new(args: Args, number: u64, drop: f64) -> Line {
        let (odds, dice) = ([drop, args.duplicate, args.reorder], args.seed.wrapping_mul(4).wrapping_add(number));
        let (under_way, [bytes, passed, dropped, duplicated, reordered]) = (VecDeque::new(), [0; 5]);
        Line { args, odds, dice, under_way, bytes, holds: false, passed, dropped, duplicated, reordered }
    }

    /// A datagram; for nobody it is lost. All dice are thrown in any case: no fault changes whom another one hits.
    fn send(&mut self, who: Option<Who>, bytes: &[u8]) {
        // Behind the reading: what came while a slice went on is not to leave early.
        let now = Instant::now();
        let [drop, duplicate, reorder] = self.odds.map(|odds| self.throw() < odds);
        let due = self.due_from(now);
        let fits = self.under_way.len() < DATAGRAMS && self.bytes + bytes.len() <= DATAGRAM_BYTES;
        let Some(who) = who.filter(|_| fits && !drop) else { return self.dropped += 1 };
        let held = if self.holds { self.under_way.pop_back() } else { None };
        self.holds = reorder && held.is_none();
        let hold = if self.holds { HOLD } else { Duration::ZERO };
        self.push(due + hold, (who, bytes.into(), 1 + usize::from(duplicate)));
        self.reordered += usize::from(held.is_some());
        // It was counted before, and comes right behind the one that was to overtake it.
        self.under_way.extend(held.map(|(_, parcel)| (now, parcel)));
    }

    /// Behind all others, whatever is due: jitter lets nobody overtake.
    fn push(&mut self, due: Instant, parcel: Parcel) {
        self.bytes += parcel.1.len();
        self.under_way.push_back((due, parcel));
    }

    /// The next that has arrived.
    fn pop(&mut self, now: Instant) -> Option<Parcel> {
        self.under_way.front().filter(|first| first.0 <= now)?;
        let (_, parcel) = self.under_way.pop_front()?;
        self.bytes -= parcel.1.len();
        Some(parcel)
    }

    /// When what leaves now arrives.
    fn due_from(&mut self, now: Instant) -> Instant {
        now + self.args.delay + self.args.jitter.mul_f64(self.throw())
    }

    /// From 0 up to 1 (splitmix64).
    fn throw(&mut self) -> f64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.dice ^ self.dice >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn summary(&self) -> String {
        let Line { passed, duplicated, reordered, .. } = self;
        // What is still under way does not arrive.
        let dropped = self.dropped + self.under_way.len();
        format!("{passed} passed, {dropped} dropped, {duplicated} duplicated, {reordered} reordered")
    }
}

enum Peer {
    /// A UDP client, and the socket that TARGET knows it by: so answers find their way back.
    Flow(SocketAddr, UdpSocket),
    Pair(Pair),
}

/// A TCP connection: `ways[n]` leads from `ends[n]` to the other.
struct Pair {
    ends: [Connection; 2],
    ways: [Way; 2],
    broken: bool,
}

/// What is in the box: bytes, reads of them that are on the line, and what has arrived.
#[derive(Default)]
struct Way {
    bytes: usize,
    reads: usize,
    out: Outbox,
    ended: bool,
}

impl Pair {
    /// Moves what can be moved, the directions in turns; whether all is over.
    fn pump(&mut self, slice: &mut Slice<Who>, buffer: &mut [u8], lines: &mut [Line]) -> bool {
        while !self.broken && self.step(0, slice, buffer, lines) | self.step(1, slice, buffer, lines) {}
        for (way, far) in self.ways.iter_mut().zip(self.ends.iter_mut().rev()) {
            if self.broken {
                let _ = far.flush(&mut way.out);
            } else if way.ended && way.bytes + way.reads == 0 && far.stream().peer_addr().is_ok() {
                // Not one that is still being made: that would end it.
                far.half_close();
            }
        }
        let over = self.ways.iter().all(|way| way.reads == 0 && (self.broken || way.ended && way.bytes == 0));
        for end in self.ends.iter().filter(|_| over && self.broken) {
            // Closed like this, it is reset.
            let _ = SockRef::from(end.stream()).set_linger(Some(Duration::ZERO));
        }
        over
    }

    /// Writes and reads once; whether anything moved. An end and a reset travel as reads of nothing, behind all others.
    fn step(&mut self, from: usize, slice: &mut Slice<Who>, buffer: &mut [u8], lines: &mut [Line]) -> bool {
        let (to, way) = (1 - from, &mut self.ways[from]);
        let written = self.ends[to].flush(&mut way.out);
        way.bytes -= written.as_ref().unwrap_or(&0);
        let room = buffer.len().min(STREAM_BYTES - way.bytes);
        let (side, read) = match written {
            Err(_) => (to, None),
            Ok(moved) if way.ended || way.reads == STREAM_READS || room == 0 => return moved > 0,
            Ok(moved) => match self.ends[from].fill(&mut buffer[..room], &mut slice.budget) {
                Ok(Fill::Data { len, .. }) => (from, Some(len)),
                Ok(Fill::Ended) => (from, Some(0)),
                Ok(_) => return moved > 0,
                Err(_) => (from, None),
            },
        };
        let (line, way, len) = (&mut lines[side], &mut self.ways[side], read.unwrap_or(0));
        (way.bytes, way.reads, way.ended) = (way.bytes + len, way.reads + 1, len == 0);
        self.broken |= read.is_none();
        let due = line.due_from(Instant::now());
        line.push(due, (slice.source(), buffer[..len].into(), 1));
        true
    }
}

fn main() -> ExitCode {
    cli::run(|args: Args, _| run(args).map_err(|error| Error::Setup("the path", error)), Error::exit_code, |_| {})
}

fn run(args: Args) -> io::Result<u8> {
    let (mut reactor, mut alarm, mut signals) = (Reactor::new()?, Alarm::new()?, Signals::install(OnQuit::Die)?);
    let sockets = Sockets::bind(args.listen, true, true, false).map_err(io::Error::other)?;
    let (Some(listener), Some(clients)) = (sockets.tcp, sockets.udp) else { unreachable!("both were asked for") };
    let (mut listener, mut clients) = (TcpListener::from_std(listener), UdpSocket::from_std(clients));
    alarm.register(reactor.registry(), Who::Alarm.token())?;
    reactor.registry().register(&mut signals, Who::Signals.token(), Interest::READABLE)?;
    reactor.registry().register(&mut listener, Who::Listener.token(), Interest::READABLE)?;
    reactor.registry().register(&mut clients, Who::Clients.token(), Interest::READABLE)?;
    SockRef::from(&clients).set_recv_buffer_size(RECEIVE_BUFFER)?;
    raise_descriptor_limit();
    writeln!(io::stdout(), "path on {} to {}", listener.local_addr()?, args.target)?;

    // Datagrams there and back, streams there and back.
    let drops = [(0, args.drop_there), (1, args.drop_back), (2, 0.0), (3, 0.0)];
    let mut lines = drops.map(|(number, drop)| Line::new(args, number, drop));
    let (mut peers, mut flows, mut buffer) = (Slots::new(), VecDeque::new(), vec![0; 65_536]);
    let mut began = None;
    let mut dead_until = |now: Instant| {
        let (length, start) = args.outage?;
        let start = *began.get_or_insert(now) + start;
        (start..start + length).contains(&now).then_some(start + length)
    };
    let mut over = false;
    while !over {
        let due = lines.iter().filter_map(|line| Some(line.under_way.front()?.0)).min();
        reactor.wait(alarm.set(due))?;
        while let Some(mut slice) = reactor.next_slice() {
            let (source, now) = (slice.source(), slice.now());
            match source {
                Who::Alarm => {} // What is due is looked at in any case.
                Who::Signals => over |= signals.pending().any(|it| !matches!(it, Signal::Continue | Signal::Report)),
                Who::Listener => match dead_until(now) {
                    Some(until) => reactor.pause(source, until),
                    None => {
                        while let Some((client, _)) = ask(&mut slice.budget, || listener.accept()) {
                            // Where the system has no socket left, the client is sent away.
                            let _ = peers.insert_with(|key| pair(key, reactor.registry(), client, args.target));
                        }
                    }
                },
                Who::Clients => {
                    while let Some((len, client)) = ask(&mut slice.budget, || clients.recv_from(&mut buffer)) {
                        let known = flows.iter().find(|(known, _)| *known == client).map(|(_, key)| *key);
                        let mut open = || peers.insert_with(|key| flow(key, reactor.registry(), client, args.target));
                        let key = known.or_else(|| open().inspect(|&key| flows.push_back((client, key))).ok());
                        lines[0].send(key.map(Who::Peer).filter(|_| dead_until(now).is_none()), &buffer[..len]);
                        if flows.len() > FLOWS {
                            flows.pop_front().and_then(|(_, oldest)| peers.remove(oldest));
                        }
                    }
                }
                Who::Peer(key) => match peers.get_mut(key) {
                    Some(Peer::Flow(_, socket)) => {
                        while let Some((len, from)) = ask(&mut slice.budget, || socket.recv_from(&mut buffer)) {
                            // A stranger's may come here, to who had this port before.
                            if from == args.target {
                                lines[1].send(Some(source).filter(|_| dead_until(now).is_none()), &buffer[..len]);
                            }
                        }
                    }
                    Some(Peer::Pair(pair)) => {
                        if let Some(until) = dead_until(now) {
                            reactor.pause(source, until);
                        } else if pair.pump(&mut slice, &mut buffer, &mut lines[2..]) {
                            peers.remove(key);
                        }
                    }
                    None => {}
                },
            }
            reactor.put_back(slice);
        }
        let now = Instant::now();
        for (number, line) in lines.iter_mut().enumerate() {
            while let Some((who, bytes, copies)) = line.pop(now) {
                let sent = match who.key().and_then(|key| peers.get_mut(key)) {
                    Some(Peer::Flow(client, socket)) => {
                        let (socket, to) = if number == 0 { (&*socket, args.target) } else { (&clients, *client) };
                        (0..copies).filter(|_| socket.send_to(&bytes, to).is_ok()).count()
                    }
                    Some(Peer::Pair(pair)) => {
                        pair.ways[number - 2].reads -= 1;
                        pair.ways[number - 2].out.push(Framing::Bytes, &bytes);
                        reactor.ask(who);
                        1
                    }
                    None => 0,
                };
                line.passed += sent.min(1);
                line.dropped += 1 - sent.min(1);
                line.duplicated += sent.saturating_sub(1);
            }
        }
    }
    let [there, back, ..] = lines.map(|line| line.summary());
    writeln!(io::stdout(), "there: {there}\nback: {back}").map(|()| exit::DONE)
}

/// A UDP client. Its socket is not connected: so a TARGET that refuses a datagram is no failure of the next.
fn flow(key: Key, registry: &Registry, client: SocketAddr, target: SocketAddr) -> io::Result<Peer> {
    let any = if target.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let mut socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER)?;
    registry.register(&mut socket, Who::Peer(key).token(), Interest::READABLE)?;
    Ok(Peer::Flow(client, socket))
}

/// A TCP client. Both sockets have one token: what one brings the other takes.
fn pair(key: Key, registry: &Registry, client: TcpStream, target: SocketAddr) -> io::Result<Peer> {
    let mut ends = [client, TcpStream::connect(target)?].map(Connection::new);
    for end in &mut ends {
        end.stream().set_nodelay(true)?;
        registry.register(end, Who::Peer(key).token(), stream_interest())?;
    }
    Ok(Peer::Pair(Pair { ends, ways: Default::default(), broken: false }))
}

/// The next that a socket has, as far as the budget reaches.
fn ask<T>(budget: &mut Budget, next: impl FnOnce() -> io::Result<T>) -> Option<T> {
    budget.spend(1);
    budget.may_read().then(next)?.ok()
}
