//! Who a client is: known when it comes, or said by the proxy before it, in a PROXY header. Then it is told, and taken
//! in or turned away.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use super::converse::reason_of;
use super::desk::Desk;
use super::{Server, Source};
use crate::connection::Prefaced;
use crate::reactor::{Budget, Key, Slice};
use crate::roster::Peer;
use crate::transcript::address::Address;
use crate::transcript::server::{Event, Refusal};
use crate::wire::preface::{Flaw, Preface};
use crate::wire::{Notice, Reason};

/// Why it cannot be known who a client is.
enum NoName {
    Flaw(Flaw),
    Broken(io::Error),
}

impl From<io::Error> for NoName {
    fn from(error: io::Error) -> NoName {
        NoName::Broken(error)
    }
}

impl Server {
    /// A slice of one whose proxy has not said yet for whom it speaks.
    pub(super) fn hear_proxy(&mut self, key: Key, slice: &mut Slice<Source>) {
        let (now, is_closing) = (slice.now(), self.is_closing());
        let Some(peer) = self.roster.get_mut(key) else {
            return;
        };
        match self.desk.hear_name(peer, &mut slice.budget) {
            Ok(Prefaced::Whole(client)) => {
                // HAProxy's checks with version 1 name the proxy itself.
                let own = Address::new(peer.address);
                self.roster.name(key, client.filter(|&client| Address::new(client) != own));
                if self.welcome(key, now) {
                    // What has come with the header is read in this slice, too.
                    self.serve_peer(key, slice);
                }
            }
            // At the end of the server it is told so; of it there is nothing to tell.
            Ok(Prefaced::Part) if is_closing && !slice.budget.is_cut_off() => {
                self.roster.see_off(key, None);
                self.say_last(key, Some(Notice::ShuttingDown));
            }
            Ok(Prefaced::Part) => {}
            Ok(Prefaced::Ended) => self.give_up(key, "it ended before its PROXY header did", Reason::Error, now),
            Err(NoName::Flaw(flaw)) => self.give_up(key, &flaw.to_string(), Reason::Error, now),
            Err(NoName::Broken(error)) => {
                let reason = reason_of(&error, peer);
                self.give_up(key, "it failed before its PROXY header was whole", reason, now);
            }
        }
    }

    /// Nobody has said in time who it is.
    pub(super) fn give_up_late(&mut self, key: Key, now: Instant) {
        self.give_up(key, "its PROXY header did not come in time", Reason::Error, now);
    }

    /// It will never be known who it is: it is cut, and told as the proxy's own.
    fn give_up(&mut self, key: Key, why: &str, reason: Reason, now: Instant) {
        self.roster.name(key, None);
        if let Some(peer) = self.roster.get_mut(key) {
            log::info!("the connection from {} is cut: {why}", Address::new(peer.address));
            self.take_in(key);
            self.lose(key, reason, now);
        }
    }

    /// Takes in a client that is known now, unless too many of its kind are here. Whether it stays.
    fn welcome(&mut self, key: Key, now: Instant) -> bool {
        let Some(peer) = self.roster.get_mut(key) else {
            return false;
        };
        let address = peer.address;
        if self.is_crowded(address) {
            self.refuse(key, Refusal::Address, now);
            return false;
        }
        self.take_in(key);
        true
    }

    /// Whether as many as may be are here from there.
    pub(super) fn is_crowded(&self, client: SocketAddr) -> bool {
        self.crowd.as_ref().is_some_and(|crowd| crowd.is_full(client.ip()))
    }

    /// Tells that a client came, and counts it.
    pub(super) fn take_in(&mut self, key: Key) {
        let Some(peer) = self.roster.get_mut(key) else {
            return;
        };
        if let Some(crowd) = &mut self.crowd {
            crowd.enter(peer.address.ip());
        }
        peer.is_quiet = self.desk.is_quiet(peer.address.ip());
        if !peer.is_quiet {
            self.process.journal.tell(&Event::Connected { peer: peer.address, via: peer.via.as_deref().copied() });
        }
        self.desk.stats.total += 1;
        let here = self.roster.clients() - self.roster.unnamed();
        self.desk.stats.peak = self.desk.stats.peak.max(here as u64);
    }

    /// Turns away one that was taken into the roster already.
    pub(super) fn refuse(&mut self, key: Key, why: Refusal, now: Instant) {
        let Some(peer) = self.roster.get_mut(key) else {
            return;
        };
        let address = peer.address;
        self.tell_refused(address, why);
        self.roster.refuse(key, now);
        self.say_last(key, Some(Notice::Full));
    }

    /// Tells that somebody was turned away, and counts it.
    pub(super) fn tell_refused(&mut self, peer: SocketAddr, reason: Refusal) {
        match reason {
            Refusal::Full => self.desk.stats.refused_full += 1,
            Refusal::Address => self.desk.stats.refused_address += 1,
        }
        if !self.desk.is_quiet(peer.ip()) {
            self.process.journal.tell(&Event::Refused { peer, reason });
        }
    }
}

impl Desk {
    /// Reads on in the header of a proxy: for whom it speaks.
    fn hear_name(&mut self, peer: &mut Peer, budget: &mut Budget) -> Result<Prefaced<Option<SocketAddr>>, NoName> {
        peer.inbox.preface(&mut peer.connection, &mut self.buffer, budget, |bytes| {
            let preface = Preface::parse(bytes).map_err(NoName::Flaw)?;
            Ok(preface.map(|Preface { client, len }| (client, len)))
        })
    }
}
