//! The load: one thread, as many messages in flight on each connection as the row says, for a fixed time.
//!
//! The loop is closed: what is sent next waits for what was sent last. So a stall is one slow round trip of each connection,
//! where messages that were due meanwhile would have made it many (coordinated omission). `reactor-client --ping` counts
//! those; here it is how long an acknowledgement takes that is asked for, and both ends of a ratio are asked alike.
//!
//! One connection is a blocking socket, as a plain client would have it; many are a poll loop; short ones come one after
//! the other.

mod many;
mod one;
mod short;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use ack_reactor::latency::Latencies;
use socket2::{Domain, Socket as AnySocket, Type};

use crate::Plan;
use crate::far::Far;
use crate::meter::{Growth, Memory};
use crate::row::{Exchange, Row};

/// Longer than any answer takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(10);
/// With fewer connections than these, what else goes on in the kernel, and what earlier ones left there, would tell more.
const MANY: usize = 5000;
/// After this the kernel has let go of what has just ended, and of data whose receipt it acknowledges with a delay.
const SETTLED: Duration = Duration::from_millis(100);
/// A warm-up is that much longer for each connection, so that each has been served before the measurement begins.
const FIRST_SERVICE: Duration = Duration::from_micros(20);
/// Ports for connections to one address from another, fewer than any system has.
pub(crate) const PORTS: usize = 16_000;

/// What one measurement brought.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) round_trips: Latencies,
    pub(crate) acks_per_second: f64,
    /// Processor time of the far process for each acknowledgement, in seconds.
    pub(crate) cpu_per_ack: Option<f64>,
    /// Memory for each connection, where there are many.
    pub(crate) memory: Growth,
}

/// One measurement of `row` against `far`, with so many idle connections beside it.
pub(crate) fn measure(row: &Row, far: &Far, plan: Plan, idle: usize) -> io::Result<Sample> {
    if row.short {
        return short::exchange(row, far, Recorder::new(row, far, plan, None));
    }
    // They come first: clients are accepted in turn, so whoever is answered behind them knows that all are in.
    let idle: Vec<_> =
        (0..idle).map(|number| Socket::connect(row.exchange, far.address, number)).collect::<io::Result<_>>()?;
    let before = (row.connections >= MANY).then(|| settled_memory(far));
    let sockets: Vec<_> = (0..row.connections)
        .map(|number| Socket::connect(row.exchange, far.address, number))
        .collect::<io::Result<_>>()?;
    let recorder = Recorder::new(row, far, plan, before);
    let sample = match <[Socket; 1]>::try_from(sockets) {
        Ok([socket]) => one::exchange(row, socket, recorder),
        Err(sockets) => many::exchange(row, sockets, recorder),
    };
    drop(idle);
    sample
}

/// A connected socket, still blocking.
enum Socket {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Socket {
    fn connect(exchange: Exchange, address: SocketAddr, number: usize) -> io::Result<Socket> {
        match exchange {
            Exchange::Tcp(_) => {
                let stream = AnySocket::new(Domain::IPV4, Type::STREAM, None)?;
                if number >= PORTS {
                    let source =
                        Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + u32::try_from(number / PORTS).unwrap_or(0));
                    stream.bind(&SocketAddr::from((source, 0)).into())?;
                }
                stream.connect(&address.into())?;
                // It ends with a reset: nothing of it stays behind, beside the next measurement.
                stream.set_linger(Some(Duration::ZERO))?;
                let stream = TcpStream::from(stream);
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(Socket::Tcp(stream))
            }
            Exchange::Udp => {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
                socket.connect(address)?;
                socket.set_read_timeout(Some(PATIENCE))?;
                Ok(Socket::Udp(socket))
            }
        }
    }
}

fn settled_memory(far: &Far) -> Memory {
    thread::sleep(SETTLED);
    far.memory()
}

/// Keeps the round trips that ended within the measured time, and what they cost.
struct Recorder<'a> {
    row: &'a Row,
    far: &'a Far,
    begin: Instant,
    end: Instant,
    round_trips: Latencies,
    /// The processor time at the first that is kept, and at the first too late.
    cpu: [Option<Duration>; 2],
    /// The memory before the connections came.
    before: Option<Memory>,
}

impl<'a> Recorder<'a> {
    fn new(row: &'a Row, far: &'a Far, plan: Plan, before: Option<Memory>) -> Recorder<'a> {
        let first_service = FIRST_SERVICE * u32::try_from(row.connections).unwrap_or(u32::MAX);
        let begin = Instant::now() + plan.warm_up + first_service;
        let end = begin + plan.measured;
        Recorder { row, far, begin, end, round_trips: Latencies::new(), cpu: [None; 2], before }
    }

    /// What was sent at one time was acknowledged at the other. Whether to go on.
    fn record(&mut self, sent: Instant, acknowledged: Instant) -> bool {
        let goes_on = acknowledged < self.end;
        if goes_on && acknowledged >= self.begin {
            self.cpu[0] = self.cpu[0].or_else(|| self.far.cpu());
            self.round_trips.record(acknowledged - sent);
        } else if !goes_on {
            self.cpu[1] = self.cpu[1].or_else(|| self.far.cpu());
        }
        goes_on
    }

    /// To be called while the connections are held.
    fn finish(self) -> Sample {
        let acks = self.round_trips.len() as f64 * self.row.depth as f64;
        let [begin, end] = self.cpu;
        let memory = self.before.map(|before| before.growth(settled_memory(self.far), self.row.connections));
        Sample {
            acks_per_second: acks / (self.end - self.begin).as_secs_f64(),
            cpu_per_ack: begin.zip(end).map(|(begin, end)| end.saturating_sub(begin).as_secs_f64() / acks),
            memory: memory.unwrap_or_default(),
            round_trips: self.round_trips,
        }
    }
}

/// Calls again what a pause of this process (Ctrl-Z) has interrupted.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// The other process does not acknowledge.
fn wrong(got: &[u8]) -> io::Error {
    io::Error::other(format!("a wrong answer: {}", got.escape_ascii()))
}
