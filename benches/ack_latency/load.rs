//! The load: one thread, one message in flight on each connection, for a fixed time.
//!
//! One connection is a blocking socket, as a plain client would have it; many are a poll loop.

mod many;
mod one;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use ack_reactor::latency::Latencies;

use crate::Plan;
use crate::far::Far;
use crate::row::{Exchange, Row};

/// Longer than any answer takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one measurement brought.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) round_trips: Latencies,
    pub(crate) acks_per_second: f64,
}

/// One measurement of `row` against `far`, with so many idle connections beside it.
pub(crate) fn measure(row: &Row, far: &Far, plan: Plan, idle: usize) -> io::Result<Sample> {
    // They come first: clients are accepted in turn, so whoever is answered behind them knows that all are in.
    let idle: Vec<_> = (0..idle).map(|_| TcpStream::connect(far.address)).collect::<io::Result<_>>()?;
    let sockets: Vec<_> =
        (0..row.connections).map(|_| Socket::connect(row.exchange, far.address)).collect::<io::Result<_>>()?;
    let recorder = Recorder::new(plan);
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
    fn connect(exchange: Exchange, address: SocketAddr) -> io::Result<Socket> {
        match exchange {
            Exchange::Tcp(_) => {
                let stream = TcpStream::connect(address)?;
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

/// Keeps the round trips that ended within the measured time.
struct Recorder {
    begin: Instant,
    end: Instant,
    round_trips: Latencies,
}

impl Recorder {
    fn new(plan: Plan) -> Recorder {
        let begin = Instant::now() + plan.warm_up;
        Recorder { begin, end: begin + plan.measured, round_trips: Latencies::new() }
    }

    /// A message sent at one time was acknowledged at the other. Whether to go on.
    fn record(&mut self, sent: Instant, acknowledged: Instant) -> bool {
        let goes_on = acknowledged < self.end;
        if goes_on && acknowledged >= self.begin {
            self.round_trips.record(acknowledged - sent);
        }
        goes_on
    }

    fn finish(self) -> Sample {
        let seconds = (self.end - self.begin).as_secs_f64();
        Sample { acks_per_second: self.round_trips.len() as f64 / seconds, round_trips: self.round_trips }
    }
}

/// The other process does not acknowledge.
fn wrong(got: &[u8]) -> io::Error {
    io::Error::other(format!("a wrong answer: {}", got.escape_ascii()))
}
