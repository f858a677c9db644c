//! `-w`: asks again, once a second, until all is open or the time is over; and names that do not resolve.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::case::{Case, Finding};
use super::{Asking, Settings, Verdict, cases};
use crate::client::lookup::{Lookup, Progress};
use crate::client::stage::{Source, Stage};
use crate::client::target::{Family, Target};
use crate::error::{Error, exit};
use crate::escape::{cause, escape};
use crate::process::limits::Shortage;
use crate::process::signals::Signal;
use crate::reactor::Source as _;
use crate::transcript::address::Address;
use crate::transcript::instrument::Word;

/// From the beginning of one round to that of the next, unless it takes longer.
const ROUND: Duration = Duration::from_secs(1);

/// So long the first look-up has, however short the time is: a child takes some of it before it asks, which is no fault of the
/// name's.
const FIRST: Duration = Duration::from_secs(1);

/// The verdict on a name that does not resolve, or that could not be asked for. Returns the exit code.
pub fn tell_unresolved(mut stage: Stage, settings: &Settings, target: &Target, error: &Error) -> u8 {
    stage.fail(error);
    if matches!(error, Error::Resolve(_, why) if Shortage::is(why)) {
        return stage.conclude(exit::UNTRIED);
    }
    let host = escape(target.host.as_bytes());
    let address =
        if target.host.contains(':') { format!("[{host}]:{}", target.port) } else { format!("{host}:{}", target.port) };
    for &protocol in &settings.protocols {
        stage.journal.tell(&Finding::of(Word::Dns).event(protocol, settings.framing, &address));
    }
    stage.conclude(exit::UNTRIED)
}

/// Waits until the paths to `target` are open. Each round asks for its name anew. Returns the exit code.
///
/// # Errors
/// The poll keeps failing.
pub fn wait(stage: Stage, settings: Settings, target: &Target, family: Option<Family>) -> Result<u8, Error> {
    let began = Instant::now();
    let until = settings.asking.until(began);
    let mut verdict = Verdict::new(stage, settings, &[]);
    verdict.until = until;
    let unresolved = verdict.rounds(target, family)?;
    verdict.stage.show_live("");
    match unresolved {
        Some(error) => Ok(tell_unresolved(verdict.stage, &verdict.settings, target, &error)),
        None => Ok(verdict.conclude_wait()),
    }
}

impl Asking {
    /// When the time is over that begins at `now`.
    fn until(self, now: Instant) -> Option<Instant> {
        match self {
            Asking::Once => Some(now),
            Asking::For(span) => now.checked_add(span),
            Asking::ForEver => None,
        }
    }
}

impl Verdict {
    /// Round after round. Returns why the name did not resolve in the last of them, if it did not.
    fn rounds(&mut self, target: &Target, family: Option<Family>) -> Result<Option<Error>, Error> {
        let mut last = None;
        let first = Instant::now() + FIRST;
        loop {
            let next = Instant::now() + ROUND;
            let patience = self.until.map(|until| until.max(first));
            let Some(resolved) = self.look_up(target, family, patience)? else {
                return Ok(last.unwrap_or_else(|| self.unresolved(target)));
            };
            if last.is_none() && patience > self.until {
                self.until = self.settings.asking.until(Instant::now());
            }
            let until = self.until;
            let addresses = resolved.as_deref().unwrap_or_default();
            let earlier = std::mem::replace(&mut self.cases, cases(&self.settings.protocols, addresses));
            for case in &mut self.cases {
                let mut same =
                    earlier.iter().filter(|old| (old.protocol, old.address) == (case.protocol, case.address));
                if let Some(old) = same.next() {
                    case.earlier = old.finding.clone().or(old.earlier.clone());
                    case.out = old.out;
                }
            }
            for key in earlier.into_iter().filter_map(|case| case.link) {
                self.links.remove(key);
            }
            self.ask_all();
            while !self.is_decided() && !self.is_left() && !is_over(until) {
                self.turn(self.deadline().into_iter().chain(until).min())?;
            }
            let is_open = resolved.is_ok() && self.is_decided() && self.exit_code() == exit::DONE;
            self.show_progress(resolved.as_ref().err(), until);
            while !is_open && !self.is_left() && !is_over(until) && Instant::now() < next {
                self.turn(until.into_iter().chain([next]).min())?;
            }
            if is_open || self.is_left() || is_over(until) {
                return Ok(resolved.err());
            }
            last = Some(resolved.err());
        }
    }

    /// Asks for the name, by a child where there can be one: neither a signal nor the end of the time waits for a resolver.
    /// `None` where that came first. A resolver may take its time until then: it asks one server after the other.
    fn look_up(
        &mut self,
        target: &Target,
        family: Option<Family>,
        until: Option<Instant>,
    ) -> Result<Option<Result<Vec<SocketAddr>, Error>>, Error> {
        if target.literal().is_some() {
            return Ok(Some(target.resolve(family)));
        }
        let (registry, token) = (self.stage.reactor.registry(), Source::Lookup.token());
        let Ok(mut lookup) = Lookup::start(target, family, registry, token, until) else {
            return Ok(Some(self.stage.block_on(|| target.resolve(family))));
        };
        let unresolved = |why: String| {
            let why = Shortage::of_descriptors().unwrap_or_else(|| io::Error::other(why));
            Ok(Some(Err(Error::Resolve(target.host.clone(), why))))
        };
        loop {
            self.turn(until)?;
            match (lookup.read(), lookup.why()) {
                (Progress::Told(addresses), _) if !addresses.is_empty() => return Ok(Some(Ok(addresses))),
                (Progress::Told(_), Some(why)) => return unresolved(why),
                // Ctrl-C ends the child, too.
                _ if self.is_left() || is_over(until) => return Ok(None),
                (Progress::Told(_), None) => return unresolved("the resolver ended without a word".to_owned()),
                (Progress::Asking, _) => {}
            }
        }
    }

    /// The name has not resolved when nothing more is asked: a verdict where the time is over, none where a signal ended it.
    fn unresolved(&mut self, target: &Target) -> Option<Error> {
        if self.is_left() {
            if self.stage.is_interrupted() {
                let host = escape(target.host.as_bytes());
                self.stage.complain(format_args!("interrupted: {host} is not resolved yet"));
            }
            return None;
        }
        Some(Error::Resolve(target.host.clone(), io::Error::other("no resolver has answered in time")))
    }

    /// What a round did not decide is as it was in the one before; in the first one nothing has come of what was asked, where
    /// its time is over.
    fn conclude_wait(mut self) -> u8 {
        let interrupted = self.stage.is_interrupted();
        for index in 0..self.cases.len() {
            let case = &mut self.cases[index];
            if case.is_decided() {
                continue;
            }
            match case.earlier.take() {
                Some(earlier) => case.finding = Some(earlier),
                None if interrupted || case.tries == 0 => {}
                None => self.call_silent(index),
            }
        }
        self.conclude()
    }

    /// The live line, where a person watches.
    fn show_progress(&mut self, unresolved: Option<&Error>, until: Option<Instant>) {
        if !self.stage.is_terminal_err() {
            return;
        }
        let words = self.cases.iter().filter_map(|case| {
            let word = match (&case.shortage, case.last()) {
                (Some(shortage), _) => cause(shortage),
                (None, last) => last?.word.to_string(),
            };
            Some(format!("{} {} {word}", case.protocol, Address::new(case.address)))
        });
        let found = unresolved.map_or_else(|| words.collect::<Vec<_>>().join(", "), ToString::to_string);
        let left = until.map(|until| until.saturating_duration_since(Instant::now()).as_secs_f64().round());
        let left = left.map_or(String::new(), |left| format!(", {left} s left"));
        self.stage.show_live(&format!("waiting: {found}{left}"));
    }

    /// The verdicts so far, where they are asked for.
    pub(super) fn heed_signals(&mut self) {
        if !self.stage.signals().contains(&Signal::Report) {
            return;
        }
        for case in &self.cases {
            let address = Address::new(case.address);
            match (&case.shortage, case.last()) {
                (Some(why), _) => {
                    self.stage.complain(format_args!("cannot try {} {address}: {}", case.protocol, cause(why)));
                }
                (None, Some(finding)) => {
                    self.stage.report(&finding.event(case.protocol, self.settings.framing, &address.to_string()));
                }
                (None, None) => self.stage.complain(format_args!("no verdict on {} {address} yet", case.protocol)),
            }
        }
    }
}

impl Case {
    /// What is known of it.
    fn last(&self) -> Option<&Finding> {
        self.finding.as_ref().or(self.earlier.as_ref())
    }
}

fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() >= until)
}
