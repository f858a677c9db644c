//! The door: who is let in, who is turned away, and what a failing accept means.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::Registry;
use mio::net::{TcpListener, TcpStream};

use super::listen::{keep_alive, somebody_waits};
use super::{Server, Source};
use crate::escape::cause;
use crate::reactor::Slice;
use crate::trace::trace;
use crate::transcript::address::Address;
use crate::transcript::server::Refusal;
use crate::wire::{Framing, Notice};

/// A connection is as much work as so many messages: a slice accepts 64.
const ACCEPT_COSTS: usize = 4;
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
    spare: Option<File>,
}

impl Door {
    pub(super) fn new(listener: std::net::TcpListener) -> Door {
        Door { listener: TcpListener::from_std(listener), spare: spare() }
    }

    /// Leaves a listener that others have, too, to them: its events would go on when it is dropped.
    pub(super) fn leave(mut self, registry: &Registry) {
        // A failure leaves nothing to do.
        let _ = registry.deregister(&mut self.listener);
    }
}

/// Any descriptor will do; for a socket a sandbox may have no family left.
fn spare() -> Option<File> {
    File::open("/dev/null").ok()
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
                Some(code) if OF_THE_NETWORK.contains(&code) => Failure::ThatClient,
                _ => Failure::Pause,
            },
        }
    }
}

/// EMFILE and ENFILE, the same numbers on every Unix.
const NO_DESCRIPTOR: [i32; 2] = [24, 23];
/// What else Linux hands on of a client, as its accept(2) says, without a word for it in the standard library.
#[cfg(target_os = "linux")]
const OF_THE_NETWORK: [i32; 5] = {
    use nix::errno::Errno::{EHOSTDOWN, ENONET, ENOPROTOOPT, EOPNOTSUPP, EPROTO};
    [EPROTO as i32, ENOPROTOOPT as i32, EHOSTDOWN as i32, ENONET as i32, EOPNOTSUPP as i32]
};
#[cfg(not(target_os = "linux"))]
const OF_THE_NETWORK: [i32; 0] = [];
/// So many failures in a row are no matter of those clients: a filter that forbids the call, say.
const IN_VAIN: usize = 16;

impl Server {
    /// A slice of those who wait to be let in.
    pub(super) fn accept(&mut self, slice: &mut Slice<Source>) {
        let mut in_vain = 0;
        while slice.budget.may_tell() {
            let Some(door) = &mut self.door else {
                return;
            };
            if self.ending.as_mut().is_some_and(|ending| !ending.may_accept()) {
                self.door = None;
                return;
            }
            slice.budget.spend(ACCEPT_COSTS);
            match door.listener.accept() {
                Ok((stream, peer)) => {
                    in_vain = 0;
                    let is_last = !somebody_waits(&door.listener);
                    self.admit(stream, peer, slice.now());
                    if is_last {
                        return self.everyone_is_in();
                    }
                }
                Err(error) => match Failure::of(&error) {
                    Failure::Nobody => return self.everyone_is_in(),
                    Failure::ThatClient if in_vain < IN_VAIN => {
                        in_vain += 1;
                        log::debug!("a client was gone before it was accepted: {}", cause(&error));
                    }
                    // One that lingers gives its place up, at the end of this turn.
                    Failure::NoDescriptor if self.roster.has_doomed() || self.hurry_one() => {
                        return self.process.reactor.ask(Source::Listener);
                    }
                    Failure::NoDescriptor if self.turn_one_away() => {}
                    Failure::NoDescriptor | Failure::ThatClient | Failure::Pause => {
                        log::debug!("cannot accept for now: {}", cause(&error));
                        return self.process.reactor.pause(Source::Listener, slice.now() + FAMINE);
                    }
                },
            }
        }
    }

    /// At the end the door closes behind the last of the backlog.
    fn everyone_is_in(&mut self) {
        if self.is_closing() {
            self.door = None;
        }
    }

    /// Ends the one that has lingered for longest; whether there is one.
    fn hurry_one(&mut self) -> bool {
        let lingering = self.roster.longest_lingering();
        if let Some(key) = lingering {
            self.roster.doom(key);
        }
        lingering.is_some()
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr, now: Instant) {
        if !cfg!(target_os = "linux") {
            // There accepted connections do not inherit it. A failure means the client is gone, which a read will tell.
            let _ = stream.set_nodelay(true);
            if self.settings.idle_timeout.is_none() {
                keep_alive(&stream);
            }
        }
        let full = self.roster.clients() >= self.room;
        // Who comes by a proxy is known only later.
        let is_proxied = self.settings.proxies.contain(peer.ip());
        let refusal = match full {
            true => Some(Refusal::Full),
            false => (!is_proxied && self.is_crowded(peer)).then_some(Refusal::Address),
        };
        if let Some(refusal) = refusal
            && self.roster.refused() >= REFUSED_AT_ONCE
        {
            turn_away(stream, self.settings.framing);
            return self.tell_refused(peer, refusal);
        }
        if refusal.is_none() && self.roster.len() >= self.room {
            // Those who were told to go make room first.
            self.hurry_one();
        }
        let key = match self.roster.open(stream, peer, now, &self.process.reactor) {
            Ok(key) => key,
            Err(error) => return log::warn!("cannot take in {}: {}", Address::new(peer), cause(&error)),
        };
        trace!("    accepted {}: slot {}, generation {}", Address::new(peer), key.slot(), key.generation());
        if let Some(refusal) = refusal {
            return self.refuse(key, refusal, now);
        }
        match is_proxied {
            true => self.roster.expect_name(key),
            false => self.take_in(key),
        }
        if self.is_closing() {
            // It is read once, like everyone, and told.
            self.process.reactor.ask(Source::Peer(key));
        }
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
            self.tell_refused(peer, Refusal::Full);
        }
        refused.is_some()
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
