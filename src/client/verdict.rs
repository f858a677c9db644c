//! `-z`: is the path open? Only an acknowledgement says so.

mod case;
mod wait;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use self::case::{Case, Finding, Suspicion};
pub use self::wait::{tell_unresolved, wait};
use super::link::Link;
use super::origin::Origin;
use super::stage::{Source, Stage};
use crate::connection::{Pulled, buffer};
use crate::error::{Error, exit};
use crate::escape::cause;
use crate::reactor::{Key, Slice, Slots};
use crate::transcript::address::Address;
use crate::transcript::instrument::Word;
use crate::wire::{Framing, Protocol};

/// What is asked for an acknowledgement.
const QUESTION: &[u8] = b"hello";
/// A path is called silent after so many tries.
const TRIES: u32 = 3;

/// How long to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// Every path once.
    Once,
    /// Again and again, until all is open or so long is over.
    For(Duration),
    /// Until all is open.
    ForEver,
}

/// What the command line asks of a verdict.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The protocols asked for, in the order of their lines.
    pub protocols: Vec<Protocol>,
    /// How TCP streams are cut into messages.
    pub framing: Framing,
    /// Where the sockets leave from, and how they are marked.
    pub origin: Origin,
    /// How long one try may take; `None`: for ever.
    pub timeout: Option<Duration>,
    /// Once or until it is open.
    pub asking: Asking,
}

/// All addresses and protocols side by side.
pub struct Verdict {
    stage: Stage,
    settings: Settings,
    cases: Vec<Case>,
    /// The sockets, each with the place of its case.
    links: Slots<(usize, Link)>,
    /// That the framing may be another one there was said.
    said_framing: bool,
    /// When nothing more is asked.
    until: Option<Instant>,
    buffer: Box<[u8]>,
}

impl Verdict {
    /// A verdict on every address over every protocol.
    pub fn new(stage: Stage, settings: Settings, addresses: &[SocketAddr]) -> Verdict {
        let cases = cases(&settings.protocols, addresses);
        Verdict { stage, settings, cases, links: Slots::new(), said_framing: false, until: None, buffer: buffer() }
    }

    /// Asks until every case is decided, or a signal ends it. Returns the exit code.
    ///
    /// # Errors
    /// The poll keeps failing.
    pub fn run(mut self) -> Result<u8, Error> {
        self.ask_all();
        self.tell();
        while !self.is_decided() && !self.is_left() {
            self.turn(self.deadline())?;
            self.tell();
        }
        self.stage.show_live("");
        Ok(self.conclude())
    }

    fn ask_all(&mut self) {
        for index in 0..self.cases.len() {
            if !self.must_wait(index) {
                self.try_again(index);
            }
        }
    }

    /// Whether the only port that datagrams leave from is another case's yet.
    fn must_wait(&self, index: usize) -> bool {
        let is_one_port = self.settings.origin.port().is_some() && self.cases[index].protocol == Protocol::Udp;
        let uses = |case: &Case| case.protocol == Protocol::Udp && case.tries > 0 && !case.is_decided();
        is_one_port && self.cases.iter().any(uses)
    }

    /// Begins with those that had to wait.
    fn ask_waiting(&mut self) {
        for index in 0..self.cases.len() {
            let case = &mut self.cases[index];
            if case.is_decided() {
                if let Some(key) = case.link.take() {
                    self.links.remove(key);
                }
            } else if case.tries == 0 && !self.must_wait(index) {
                self.try_again(index);
            }
        }
    }

    fn is_decided(&self) -> bool {
        self.cases.iter().all(Case::is_decided)
    }

    /// Whether nobody waits for a verdict any more.
    fn is_left(&mut self) -> bool {
        self.stage.is_interrupted() || self.stage.is_unread()
    }

    /// A turn of the loop, which ends at `deadline` at the latest.
    fn turn(&mut self, deadline: Option<Instant>) -> Result<(), Error> {
        let now = self.stage.next_turn(deadline)?;
        while let Some(mut slice) = self.stage.next_slice() {
            match slice.source() {
                Source::Signals => self.heed_signals(),
                Source::Link(key) => self.serve(key, &mut slice),
                own @ (Source::Screen | Source::Diagnostics) => self.stage.heed(own),
                Source::Console | Source::Alarm | Source::Lookup => {}
            }
            self.stage.reactor.put_back(slice);
        }
        self.expire(now);
        if self.settings.origin.port().is_some() {
            self.ask_waiting();
        }
        Ok(())
    }

    /// What is left to say, and the exit code.
    fn conclude(mut self) -> u8 {
        // An interrupt loses nothing that was found out behind a case still open.
        let (found, open): (Vec<Case>, Vec<Case>) = self.cases.drain(..).partition(Case::is_decided);
        self.cases = found;
        self.tell();
        let why = if self.stage.is_interrupted() { "interrupted: " } else { "" };
        let unread = self.stage.is_unread();
        for Case { protocol, address, .. } in open.into_iter().filter(|_| !unread) {
            self.stage.complain(format_args!("{why}no verdict on {protocol} {} yet", Address::new(address)));
        }
        let code = self.exit_code();
        self.stage.conclude(code)
    }

    fn exit_code(&self) -> u8 {
        self.settings.protocols.iter().map(|&protocol| self.exit_code_of(protocol)).max().unwrap_or(exit::DONE)
    }

    /// What a protocol alone would end with.
    fn exit_code_of(&self, protocol: Protocol) -> u8 {
        let cases = || self.cases.iter().filter(|case| case.protocol == protocol);
        if cases().any(|case| case.is(Word::Open)) {
            exit::DONE
        } else if cases().any(|case| case.shortage.is_some()) {
            exit::UNTRIED
        } else {
            exit::FAILED
        }
    }

    /// Begins a try with a socket of its own, so that an answer to an earlier one is not taken for its, unless it leaves from
    /// the same port.
    fn try_again(&mut self, index: usize) {
        let case = &mut self.cases[index];
        case.asked = None;
        if let Some(earlier) = case.link.take() {
            self.links.remove(earlier);
        }
        let (protocol, address) = (case.protocol, case.address);
        let Settings { framing, ref origin, .. } = self.settings;
        let links = &mut self.links;
        let mut began = Instant::now();
        let opened = self.stage.as_soon_as_may_be(self.until, |reactor| {
            // A wait for the port is none for an answer; the connecting is.
            began = Instant::now();
            links.insert_with(|key| Ok((index, Link::open(protocol, address, framing, origin, key, reactor)?)))
        });
        case.tries += 1;
        case.began = began;
        match opened {
            Ok(key) => case.link = Some(key),
            Err(error) => {
                log::info!("{protocol} {}: {}", Address::new(address), cause(&error));
                return case.fail(error);
            }
        }
        if protocol == Protocol::Udp {
            self.ask(index);
        }
    }

    fn serve(&mut self, key: Key, slice: &mut Slice<Source>) {
        // The socket of an earlier try is gone.
        let Some((index, link)) = self.links.get(key) else {
            return;
        };
        let index = *index;
        let case = &mut self.cases[index];
        if case.is_decided() {
            return;
        }
        if case.asked.is_none() {
            match link.is_established() {
                Ok(true) => {
                    case.connect = Some(case.began.elapsed());
                    self.ask(index);
                }
                Ok(false) => {}
                Err(error) => case.decide(Finding::of_error(&error)),
            }
        }
        // The event that told of the connection may have been the only one to tell of what the server said at once.
        self.listen(index, slice);
    }

    fn ask(&mut self, index: usize) {
        let case = &mut self.cases[index];
        let Some((_, link)) = case.link.and_then(|key| self.links.get_mut(key)) else {
            return;
        };
        case.asked = Some(Instant::now());
        match link.send(QUESTION) {
            Ok(has_left) => case.out += u32::from(has_left),
            Err(error) => case.fail(error),
        }
    }

    /// A slice of what comes back; the first reply decides.
    fn listen(&mut self, index: usize, slice: &mut Slice<Source>) {
        let case = &mut self.cases[index];
        let (Some(key), Some(asked), None) = (case.link, case.asked, &case.finding) else {
            return;
        };
        let Some((_, link)) = self.links.get_mut(key) else {
            return;
        };
        // An answer to the one port that datagrams leave from may be to any question that is out.
        let is_known = case.protocol == Protocol::Tcp || self.settings.origin.port().is_none() || case.out == 1;
        let mut listening = link.listen(&mut self.buffer, &mut slice.budget);
        let mut finding = None;
        while finding.is_none() {
            finding = Some(match listening.pull() {
                Ok(Pulled::Item(reply)) => Finding::of_reply(reply, is_known.then(|| asked.elapsed())),
                Ok(Pulled::Part | Pulled::TooLong) => continue,
                Ok(Pulled::Drained | Pulled::CutOff) => break,
                Ok(Pulled::Ended) => Finding::of(Word::Closed),
                Err(error) => Finding::of_error(&error),
            });
        }
        drop(listening);
        if let Some(finding) = finding {
            case.out = case.out.saturating_sub(1);
            case.decide(Finding { suspicion: Suspicion::of_link(link), ..finding });
        }
    }

    /// When the next try is over.
    fn deadline(&self) -> Option<Instant> {
        let open = self.cases.iter().filter(|case| !case.is_decided() && case.tries > 0);
        open.filter_map(|case| case.began.checked_add(self.settings.timeout?)).min()
    }

    fn expire(&mut self, now: Instant) {
        for index in 0..self.cases.len() {
            let case = &self.cases[index];
            let due = self.settings.timeout.and_then(|timeout| case.began.checked_add(timeout));
            if case.is_decided() || case.tries == 0 || due.is_none_or(|due| due > now) {
                continue;
            }
            match case.tries >= TRIES {
                true => self.call_silent(index),
                false => {
                    self.try_again(index);
                    self.show_tries();
                }
            }
        }
    }

    fn call_silent(&mut self, index: usize) {
        let case = &mut self.cases[index];
        let link = case.link.and_then(|key| self.links.get(key));
        let stands = case.asked.is_some();
        case.decide(link.map_or(Finding::of(Word::Silent), |(_, link)| Finding::of_silence(link, stands)));
    }

    /// The live line of one round, where a person watches and another try begins.
    fn show_tries(&mut self) {
        if self.settings.asking != Asking::Once || !self.stage.is_terminal_err() {
            return;
        }
        let open = self.cases.iter().filter(|case| !case.is_decided() && case.tries > 1);
        let asked = open.map(|case| {
            let address = Address::new(case.address);
            format!("{} {address} (try {} of {TRIES})", case.protocol, case.tries)
        });
        let asked = asked.collect::<Vec<_>>().join(", ");
        if !asked.is_empty() {
            self.stage.show_live(&format!("asking {asked}"));
        }
    }

    /// Tells the cases in their order, as far as they are decided.
    fn tell(&mut self) {
        for case in self.cases.iter_mut().filter(|case| !case.told) {
            if !case.is_decided() {
                return;
            }
            if let Some(key) = case.link.take() {
                self.links.remove(key);
            }
            case.told = true;
            // stdout may be the same terminal.
            self.stage.show_live("");
            if let Some(shortage) = &case.shortage {
                self.stage.cannot_try(case.protocol, case.address, shortage);
            }
            if let Some(finding) = &case.finding {
                let address = Address::new(case.address).to_string();
                self.stage.journal.tell(&finding.event(case.protocol, self.settings.framing, &address));
            }
            let suspicion = case.finding.as_ref().and_then(|finding| finding.suspicion);
            // Who is not told the verdict need not be told why.
            if let Some(suspicion) = suspicion.filter(|_| !self.said_framing && !self.stage.journal.is_quiet()) {
                self.said_framing = true;
                self.stage.journal.flush();
                self.stage.complain(suspicion.sentence(self.settings.framing));
            }
        }
    }
}

/// Every address over every protocol.
fn cases(protocols: &[Protocol], addresses: &[SocketAddr]) -> Vec<Case> {
    let of = |&protocol| addresses.iter().map(move |&address| Case::new(protocol, address));
    protocols.iter().flat_map(of).collect()
}
