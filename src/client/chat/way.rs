//! The way to the server: address by address, and what is said when there is none, or no more.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Chat, Outgoing, State};
use crate::client::link::Link;
use crate::escape::cause;
use crate::reactor::Ready;
use crate::transcript::address::Address;
use crate::transcript::client::Event;
use crate::wire::Protocol;

/// Each address but the last gets so long to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

impl Chat {
    /// Goes to the next address; gives up where there is none.
    pub(super) fn next_address(&mut self, now: Instant) {
        self.link = None;
        while self.link.is_none() {
            let Some(address) = self.addresses.pop_front() else {
                self.state = State::Failed;
                return;
            };
            self.links += 1;
            let token = self.source().token();
            let opened = Link::open(self.settings.protocol, address, self.settings.framing).and_then(|mut link| {
                link.register(self.stage.reactor.registry(), token)?;
                Ok(link)
            });
            match opened {
                Ok(link) => self.link = Some(link),
                Err(error) => self.tell_no_way(address, &error),
            }
        }
        self.progress = now;
        match self.settings.protocol {
            Protocol::Tcp => {
                let patience = if self.addresses.is_empty() { self.settings.timeout } else { Some(CONNECT_TIMEOUT) };
                self.state = State::Connecting(patience.and_then(|patience| now.checked_add(patience)));
            }
            Protocol::Udp => match self.outgoing.take() {
                None => self.prompt(),
                Some(Outgoing::Unsent(message)) => self.outgoing = Some(Outgoing::Unsent(message)),
                Some(Outgoing::Sent(message)) => {
                    self.ledger.take_back();
                    self.outgoing = Some(Outgoing::Unsent(message));
                }
            },
        }
    }

    /// There is no way to `peer`: says so, and goes to the next address.
    pub(super) fn no_way(&mut self, peer: SocketAddr, error: &io::Error, now: Instant) {
        self.tell_no_way(peer, error);
        self.next_address(now);
    }

    pub(super) fn tell_no_way(&mut self, peer: SocketAddr, error: &io::Error) {
        let (address, why) = (Address::new(peer), cause(error));
        match self.settings.protocol {
            Protocol::Tcp => self.stage.complain(format_args!("cannot connect to tcp {address}: {why}")),
            Protocol::Udp if self.settings.quiet => {
                self.stage.complain(format_args!("could not send to {address}: {why}"));
            }
            Protocol::Udp => self.stage.journal.tell(&Event::SendFailed { peer, error }),
        }
    }

    pub(super) fn check_connection(&mut self, now: Instant) {
        let Some(link) = &self.link else {
            return;
        };
        let peer = link.peer();
        match link.is_established() {
            Ok(false) => {}
            Ok(true) => {
                self.state = State::Talking;
                self.addresses.clear();
                self.progress = now;
                self.stage.journal.tell(&Event::Connected { peer });
                self.prompt();
                self.receive(Ready::unasked(self.source()), now);
            }
            Err(error) => self.no_way(peer, &error, now),
        }
    }

    /// The server has closed without a last word.
    pub(super) fn closed(&mut self, peer: SocketAddr) {
        if self.state == State::Talking {
            let protocol = self.settings.protocol;
            self.stage.journal.tell(&Event::Closed { protocol, peer });
            if self.settings.quiet {
                self.stage.complain("connection has been closed by server");
            }
            self.fail();
        }
    }

    /// The way is broken: a connection cut, a datagram refused.
    pub(super) fn broken(&mut self, error: &io::Error, now: Instant) {
        let Some(peer) = self.link.as_ref().map(Link::peer) else {
            return;
        };
        match self.settings.protocol {
            Protocol::Udp if self.ledger.is_answered() => {
                self.addresses.clear();
                self.no_way(peer, error, now);
            }
            Protocol::Udp => self.no_way(peer, error, now),
            Protocol::Tcp => {
                // A reply that cannot be followed is our reason to go, not the server's.
                let gone = error.kind() != io::ErrorKind::InvalidData;
                if gone {
                    // What had arrived before is still to be read; behind such a reply nothing can be.
                    self.receive(Ready::unasked(self.source()), now);
                }
                if self.state == State::Talking {
                    if gone {
                        self.stage.journal.tell(&Event::Closed { protocol: Protocol::Tcp, peer });
                    }
                    let (address, why) = (Address::new(peer), cause(error));
                    self.stage.complain(format_args!("the connection to {address} broke: {why}"));
                    self.fail();
                }
            }
        }
    }
}
