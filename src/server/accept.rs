//! The door: who is let in, who is turned away, and what a failing accept means.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Socket, Type};

use super::Server;
use crate::escape::cause;
use crate::reactor::{Key, Source};
use crate::transcript::server::Event;
use crate::wire::{Decoder, Framing, Notice};

/// Connections accepted in one turn.
const ACCEPTS_PER_TURN: usize = 64;
/// Descriptors kept in reserve below the limit: the process's own, and those
/// of clients that are being turned away.
pub(super) const RESERVE: usize = 32;
/// How many that were turned away may linger at once, to take the notice in peace.
const REFUSED_AT_ONCE: usize = 16;
/// After a famine of descriptors or memory the listener is tried again so late,
/// or as soon as a connection is freed.
const FAMINE: Duration = Duration::from_millis(100);

/// The listener, with one descriptor in hand to turn a client away when there is no other.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) listener: TcpListener,
    spare: Option<Socket>,
}

impl Door {
    pub(super) fn new(listener: std::net::TcpListener) -> Door {
        Door { listener: TcpListener::from_std(listener), spare: spare() }
    }
}

/// Any descriptor will do.
fn spare() -> Option<Socket> {
    Socket::new(Domain::IPV4, Type::DGRAM, None).ok()
}

/// What an accept came to, apart from a connection.
enum Failure {
    /// Nobody is waiting.
    Nobody,
    /// That client is gone or barred; the next may be fine.
    ThatClient,
    /// There is no descriptor left.
    NoDescriptor,
    /// Something else is short, or something unknown is wrong: pause.
    Pause,
}

impl Failure {
    fn of(error: &io::Error) -> Failure {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::WouldBlock => Failure::Nobody,
            // Linux hands on what happened to the connection before it was accepted.
            Kind::Interrupted
            | Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::ConnectionRefused
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::HostUnreachable
            | Kind::TimedOut
            | Kind::PermissionDenied => Failure::ThatClient,
            _ => match error.raw_os_error() {
                Some(code) if NO_DESCRIPTOR.contains(&code) => Failure::NoDescriptor,
                _ => Failure::Pause,
            },
        }
    }
}

/// EMFILE and ENFILE, the same numbers on every Unix.
const NO_DESCRIPTOR: [i32; 2] = [24, 23];

impl Server {
    /// Lets in whoever waits, within the turn's budget.
    pub(super) fn accept(&mut self, now: Instant) {
        if self.accept_up_to(ACCEPTS_PER_TURN, now, |_, _| {}) {
            self.reactor.again(Source::Listener);
        }
    }

    /// Accepts at most `budget` clients, and hands each that was let in to `each`.
    /// Whether more may be waiting.
    pub(super) fn accept_up_to(&mut self, budget: usize, now: Instant, mut each: impl FnMut(&mut Self, Key)) -> bool {
        for _ in 0..budget {
            let Some(door) = &mut self.door else {
                return false;
            };
            match door.listener.accept() {
                Ok((stream, peer)) => {
                    if let Some(key) = self.admit(stream, peer, now) {
                        each(self, key);
                    }
                }
                Err(error) => match Failure::of(&error) {
                    Failure::Nobody => return false,
                    Failure::ThatClient => log::debug!("a client was gone before it was accepted: {}", cause(&error)),
                    Failure::NoDescriptor if self.turn_one_away() => {}
                    Failure::NoDescriptor | Failure::Pause => {
                        log::debug!("cannot accept for now: {}", cause(&error));
                        self.reactor.again_at(Source::Listener, now + FAMINE);
                        return false;
                    }
                },
            }
        }
        true
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr, now: Instant) -> Option<Key> {
        if !cfg!(target_os = "linux") {
            // There accepted connections do not inherit it. A failure means the client is gone, which a read will tell.
            let _ = stream.set_nodelay(true);
        }
        let full = self.roster.len() - self.roster.refused() >= self.room;
        if full && self.roster.refused() >= REFUSED_AT_ONCE {
            turn_away(stream, self.settings.framing);
            self.tell_refused(peer);
            return None;
        }
        let decoder = Decoder::new(self.settings.framing, self.settings.longest_message);
        let key = match self.roster.open(stream, peer, decoder, now, self.reactor.registry()) {
            Ok(key) => key,
            Err(error) => {
                log::warn!("cannot take in {peer}: {}", cause(&error));
                return None;
            }
        };
        if full {
            self.tell_refused(peer);
            self.say_last(key, Some(Notice::Full));
            self.roster.refuse(key, now);
            self.linger(key);
            return None;
        }
        self.desk.stats.total += 1;
        self.desk.stats.peak = self.desk.stats.peak.max(self.roster.clients() as u64);
        self.desk.journal.tell(&Event::Connected { peer });
        Some(key)
    }

    /// With no descriptor left, gives up the spare one to accept a client and tell it so.
    fn turn_one_away(&mut self) -> bool {
        let Some(door) = &mut self.door else {
            return false;
        };
        if door.spare.take().is_none() {
            door.spare = spare();
            return false;
        }
        let accepted = door.listener.accept();
        let refused = accepted.ok().map(|(stream, peer)| {
            turn_away(stream, self.settings.framing);
            peer
        });
        door.spare = spare();
        if let Some(peer) = refused {
            self.tell_refused(peer);
        }
        refused.is_some()
    }

    fn tell_refused(&mut self, peer: SocketAddr) {
        self.desk.stats.refused += 1;
        self.desk.journal.tell(&Event::Refused { peer });
    }
}

/// The notice and a close on the spot. What the client has sent already is
/// read first: closing over unread input would destroy the notice.
fn turn_away(mut stream: TcpStream, framing: Framing) {
    let mut notice = Vec::new();
    framing.encode(Notice::Full.text().as_bytes(), &mut notice);
    let _ = stream.write(&notice);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read(&mut [0; 4096]);
}
