//! A TCP client that keeps account, and may be lost.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How often a talker with doubts asks again.
const NUDGE: Duration = Duration::from_millis(50);

/// A client of a server with `--framing lines`: how many messages it sent, and what it got.
pub(crate) struct Talker {
    server: SocketAddr,
    stream: TcpStream,
    sent: usize,
    got: Vec<u8>,
}

/// Why a talker is lost.
#[derive(Debug)]
#[allow(dead_code, reason = "the texts are for whoever reads why a test failed")]
pub(crate) enum Lost {
    /// The connection has ended, or brought something else: this.
    Ended(String),
    /// Nobody answered: this is how far it came.
    Hung(String),
}

/// How long a talker waits for an answer.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    /// This long at most.
    pub(crate) limit: Duration,
    /// Whether it says something more meanwhile. The system may have been made to tell the server that there is
    /// nothing where there is something; with edges it learns better when more comes.
    pub(crate) nudging: bool,
}

impl Talker {
    /// Connects, to wait for nobody to take notice.
    pub(crate) fn connect(server: SocketAddr) -> Talker {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(NUDGE)).unwrap();
        Talker { server, stream, sent: 0, got: Vec::new() }
    }

    /// Sends a message; every message sent so far must then be acknowledged exactly once.
    pub(crate) fn exchange(&mut self, patience: Patience) -> Result<(), Lost> {
        self.say(b"hello\n")?;
        self.sent += 1;
        let began = Instant::now();
        while self.got.len() < 4 * self.sent {
            if self.read()? {
                continue;
            }
            if began.elapsed() > patience.limit {
                return Err(Lost::Hung(format!("{} of {} acknowledged", self.got.len() / 4, self.sent)));
            }
            if patience.nudging {
                self.say(b"hello\n")?;
                self.sent += 1;
                // Perhaps it was not even accepted.
                drop(TcpStream::connect(self.server));
            }
        }
        match self.got == b"ACK\n".repeat(self.sent) {
            true => Ok(()),
            false => Err(Lost::Ended(format!("after {} messages came {}", self.sent, self.got.escape_ascii()))),
        }
    }

    /// Sends this and reads to the end of the stream, which must bring exactly `wanted` beyond the ACKs so far.
    pub(crate) fn part(mut self, message: &[u8], wanted: &[u8], patience: Patience) -> Result<(), Lost> {
        self.say(message)?;
        let before = self.got.len();
        let began = Instant::now();
        while self.got.len() < before + wanted.len() {
            if !self.read()? && began.elapsed() > patience.limit {
                return Err(Lost::Hung("no end".to_owned()));
            }
            if patience.nudging && began.elapsed() > NUDGE {
                self.say(b"and more\n")?;
            }
        }
        match self.got[before..] == *wanted {
            true => Ok(()),
            false => Err(Lost::Ended(format!("at the end came {}", self.got[before..].escape_ascii()))),
        }
    }

    fn say(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        self.stream.write_all(bytes).map_err(|error| Lost::Ended(error.to_string()))
    }

    /// Whether something came within a nudge's time.
    fn read(&mut self) -> Result<bool, Lost> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(Lost::Ended(format!("the end after {}", self.got.escape_ascii()))),
            Ok(count) => {
                self.got.extend_from_slice(&buffer[..count]);
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
            Err(error) => Err(Lost::Ended(error.to_string())),
        }
    }
}
