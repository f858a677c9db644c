//! The way to the server: address by address, and what is said when there is none, or no more.

use std::io;
use std::time::Instant;

use super::{Chat, Outgoing, Phase};
use crate::client::stage::Source;
use crate::escape::cause;
use crate::process::limits::Shortage;
use crate::reactor::Slice;
use crate::transcript::address::Address;
use crate::transcript::client::Event;
use crate::wire::Protocol;

impl Chat {
    /// Goes to the next address; gives up where there is none.
    pub(super) fn next_address(&mut self, now: Instant) {
        if self.route.go_on() {
            self.first_address(now);
        } else {
            self.state = Phase::Failed;
        }
    }

    /// Goes to the address at hand.
    pub(super) fn first_address(&mut self, now: Instant) {
        if let Some(key) = self.link.take() {
            self.links.remove(key);
        }
        match self.route.open_soon(&mut self.links, &mut self.stage) {
            Ok(key) => self.link = Some(key),
            Err(error) => return self.no_way(&error, now),
        }
        self.progress = now;
        match self.settings.protocol {
            Protocol::Tcp => {
                let patience = self.route.patience(self.settings.timeout);
                self.state = Phase::Connecting(patience.and_then(|patience| now.checked_add(patience)));
            }
            Protocol::Udp => {
                match self.outgoing.take() {
                    None => self.prompt(),
                    Some(Outgoing::Unsent(message)) => self.outgoing = Some(Outgoing::Unsent(message)),
                    Some(Outgoing::Sent(message)) => {
                        self.ledger.take_back();
                        self.outgoing = Some(Outgoing::Unsent(message));
                    }
                }
                // No event tells that it may be sent.
                self.ask_link();
            }
        }
    }

    /// There is no way to the address: says so, and goes to the next.
    pub(super) fn no_way(&mut self, error: &io::Error, now: Instant) {
        if Shortage::is(error) {
            self.route.lack(error, &mut self.stage);
        } else {
            self.tell_no_way(error);
        }
        self.next_address(now);
    }

    fn tell_no_way(&mut self, error: &io::Error) {
        let peer = self.route.peer();
        let (address, why) = (Address::new(peer), cause(error));
        let sentence = match self.settings.protocol {
            Protocol::Tcp => format!("cannot connect to tcp {address}: {why}"),
            Protocol::Udp => format!("could not send to {address}: {why}"),
        };
        let told = self.settings.protocol == Protocol::Udp && !self.settings.quiet;
        if told {
            self.stage.journal.tell(&Event::SendFailed { peer, error });
        }
        match (told, self.route.has_others()) {
            (true, true) => {}
            (true, false) => self.stage.tell_failure(&sentence),
            (false, true) => self.stage.complain(sentence),
            (false, false) => self.stage.fail(sentence),
        }
    }

    pub(super) fn check_connection(&mut self, slice: &mut Slice<Source>) {
        let Some(link) = self.link() else {
            return;
        };
        match link.is_established() {
            Ok(false) => {}
            Ok(true) => {
                self.state = Phase::Talking;
                self.route.settle();
                self.progress = slice.now();
                let peer = self.route.peer();
                self.stage.journal.tell(&Event::Connected { peer });
                self.prompt();
                // The event that told of the connection may have been the only one to tell of what came with it.
                self.receive(slice);
            }
            Err(error) => self.no_way(&error, slice.now()),
        }
    }

    /// The server has closed without a last word.
    pub(super) fn closed(&mut self) {
        let (protocol, peer) = (self.settings.protocol, self.route.peer());
        self.stage.journal.tell(&Event::Closed { protocol, peer });
        if self.settings.quiet {
            self.stage.fail("connection has been closed by server");
        }
        self.fail();
    }

    /// Nothing can be sent any more. What had arrived before over TCP is still to be read, in slices of its own.
    pub(super) fn cannot_send(&mut self, error: io::Error, now: Instant) {
        match self.settings.protocol {
            Protocol::Udp => self.broken(&error, now),
            Protocol::Tcp => {
                self.cannot_send.get_or_insert(error);
                self.ask_link();
            }
        }
    }

    /// The way is broken: a connection cut, a datagram refused.
    pub(super) fn broken(&mut self, error: &io::Error, now: Instant) {
        match self.settings.protocol {
            Protocol::Udp => {
                if self.ledger.is_answered() {
                    self.route.settle();
                }
                self.no_way(error, now);
            }
            Protocol::Tcp => {
                let peer = self.route.peer();
                // A reply that cannot be followed is our reason to go, not the server's.
                if error.kind() != io::ErrorKind::InvalidData {
                    self.stage.journal.tell(&Event::Closed { protocol: Protocol::Tcp, peer });
                }
                let (address, why) = (Address::new(peer), cause(error));
                self.stage.fail(format_args!("the connection to {address} broke: {why}"));
                self.fail();
            }
        }
    }
}
