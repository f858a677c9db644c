//! A name that moves: where losses begin it is asked for again, and the run goes on where it is now.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Ping, Stamps};
use crate::client::lookup::{Lookup, PATIENCE, Progress};
use crate::client::stage::Source;
use crate::client::target::{Family, Target};
use crate::escape::cause;
use crate::reactor::Source as _;
use crate::transcript::address::Address;
use crate::transcript::instrument::Event;

/// So many losses in a row raise the question.
const SUSPICIOUS: u32 = 2;
/// It is asked so often at most.
const APART: Duration = Duration::from_secs(5);
const _: () = assert!(PATIENCE.as_secs() <= APART.as_secs());

/// What is known of the name.
#[derive(Debug, Default)]
pub(super) struct Name {
    family: Option<Family>,
    losses: u32,
    lookup: Option<Lookup>,
    /// When it was asked for last.
    asked: Option<Instant>,
    /// That nobody answers was said.
    said_silent: bool,
    /// Whether the address in use has answered.
    is_good: bool,
}

impl Name {
    /// A name of whose addresses those of `family` count.
    pub(super) fn new(family: Option<Family>) -> Name {
        Name { family, ..Name::default() }
    }

    /// A probe was acknowledged, by the address in use or by one that was left.
    pub(super) fn is_answered(&mut self, by_this: bool) {
        self.losses = 0;
        self.is_good |= by_this;
    }

    /// When the resolver is given up.
    pub(super) fn gives_up(&self) -> Option<Instant> {
        self.lookup.as_ref().and_then(Lookup::ends)
    }
}

impl Ping {
    /// A probe was lost: perhaps the name is elsewhere by now.
    pub(super) fn ask_again(&mut self, now: Instant) {
        self.name.losses = self.name.losses.saturating_add(1);
        let Some(host) = &self.settings.name else {
            return;
        };
        let is_due = self.name.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= APART);
        if self.name.losses < SUSPICIOUS || self.name.lookup.is_some() || !is_due {
            return;
        }
        self.name.asked = Some(now);
        let target = Target { host: host.clone(), port: self.route.peer().port() };
        let (registry, token) = (self.stage.reactor.registry(), Source::Lookup.token());
        match Lookup::start(&target, self.name.family, registry, token, Some(now + PATIENCE)) {
            Ok(lookup) => self.name.lookup = Some(lookup),
            Err(error) => log::info!("the name cannot be asked for again: {}", cause(&error)),
        }
    }

    /// The resolver has something to say.
    pub(super) fn hear_lookup(&mut self) {
        let Some(Progress::Told(addresses)) = self.name.lookup.as_mut().map(Lookup::read) else {
            return;
        };
        self.name.lookup = None;
        let old = self.route.peer();
        let next = match addresses.iter().position(|&address| address == old) {
            None => addresses.first(),
            Some(_) if self.name.is_good => None,
            // It has never answered: one of the others may.
            Some(place) => addresses.iter().cycle().nth(place + 1).filter(|&&next| next != old),
        };
        // Among the addresses of one answer each is said once, however often its turn comes.
        let is_gone = !addresses.contains(&old);
        let is_news = is_gone || next.is_some_and(|&next| !self.route.has_been_at(next));
        if let Some(&address) = next {
            self.move_to(address, is_gone, is_news);
        }
    }

    /// Gives up a resolver that does not answer.
    pub(super) fn judge_lookup(&mut self, now: Instant) {
        if self.name.gives_up().is_some_and(|ends| ends <= now) {
            // It may have answered while we stood still.
            self.hear_lookup();
            if self.name.lookup.take().is_some() && !std::mem::replace(&mut self.name.said_silent, true) {
                let why = format!("no resolver answers within {} s", PATIENCE.as_secs());
                self.stage.complain(format_args!("the name cannot be asked for again: {why}"));
            }
        }
    }

    /// The run goes on at another address, since the name has left the old one or nobody answers there; what is out may still
    /// be answered by it.
    fn move_to(&mut self, address: SocketAddr, is_gone: bool, is_news: bool) {
        let now = Instant::now();
        let (old, new) = (Address::new(self.route.peer()), Address::new(address));
        if is_news {
            self.hide_progress();
            self.stage.journal.flush();
            let (old, new) = (old.parts().0, new.parts().0);
            match is_gone {
                true => self.stage.complain(format_args!("{old} is now {new}")),
                false => self.stage.complain(format_args!("{old} has not answered: trying {new} instead")),
            }
            if let Some(name) = self.settings.name.take() {
                self.tell(&Event::Resolved { name: &name, address });
                self.settings.name = Some(name);
            }
        }
        self.route.move_to(address);
        self.name.is_good = false;
        self.stamps_here = false;
        self.leave_sockets(now);
        if self.stamps != Stamps::Off {
            // Another server, of which nothing is known.
            self.stamps = Stamps::Unknown;
        }
        self.name.losses = 0;
    }

    /// Nothing more leaves by the sockets to the old address.
    fn leave_sockets(&mut self, now: Instant) {
        let until = now + self.kept();
        // A port that is given is needed for the new ones.
        let is_needed = self.settings.origin.port().is_some();
        for key in self.flows.keys() {
            let Some((is_retired, is_open)) = self.flows.get(key).map(|socket| (socket.is_retired(), socket.is_open()))
            else {
                continue;
            };
            match (is_retired, is_open) {
                (true, _) if !is_needed => {}
                (false, true) if !is_needed && self.flows.carries_any(key, &self.account) => {
                    self.flows.retire(key, until);
                }
                _ => self.end_moved(key, now),
            }
        }
    }
}
