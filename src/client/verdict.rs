//! `-z`: is the path open? Only an acknowledgement says so.

mod case;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use self::case::{Case, Finding};
use super::link::Link;
use super::stage::{Source, Stage};
use super::target::Target;
use crate::connection::{Pulled, buffer};
use crate::error::{Error, exit};
use crate::escape::{cause, escape};
use crate::reactor::{Key, Slice, Slots};
use crate::transcript::address::Address;
use crate::transcript::instrument::{Event, Word};
use crate::wire::{Framing, Protocol};

/// What is asked for an acknowledgement.
const QUESTION: &[u8] = b"hello";
/// A path is called silent after so many tries.
const TRIES: u32 = 3;

/// What the command line asks of a verdict.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The protocols asked for, in the order of their lines.
    pub protocols: Vec<Protocol>,
    /// How TCP streams are cut into messages.
    pub framing: Framing,
    /// How long one try may take; `None`: for ever.
    pub timeout: Option<Duration>,
}

/// The verdict on a name that does not resolve. Returns the exit code.
pub fn tell_unresolved(mut stage: Stage, settings: &Settings, target: &Target) -> u8 {
    let host = escape(target.host.as_bytes());
    let address =
        if target.host.contains(':') { format!("[{host}]:{}", target.port) } else { format!("{host}:{}", target.port) };
    for &protocol in &settings.protocols {
        let (rtt, connect, text) = (None, None, None);
        stage.journal.tell(&Event::Verdict { protocol, address: &address, word: Word::Dns, rtt, connect, text });
    }
    stage.conclude(exit::UNTRIED)
}

/// All addresses and protocols side by side.
pub struct Verdict {
    stage: Stage,
    settings: Settings,
    cases: Vec<Case>,
    /// The sockets, each with the place of its case.
    links: Slots<(usize, Link)>,
    buffer: Box<[u8]>,
}

impl Verdict {
    /// A verdict on every address over every protocol.
    pub fn new(stage: Stage, settings: Settings, addresses: &[SocketAddr]) -> Verdict {
        let began = Instant::now();
        let case = |protocol, address| Case {
            protocol,
            address,
            link: None,
            tries: 0,
            began,
            connect: None,
            asked: None,
            finding: None,
            shortage: None,
            told: false,
        };
        let protocols = settings.protocols.iter();
        let cases = protocols.flat_map(|&protocol| addresses.iter().map(move |&address| case(protocol, address)));
        let cases = cases.collect();
        Verdict { stage, settings, cases, links: Slots::new(), buffer: buffer() }
    }

    /// Asks until every case is decided, or a signal ends it. Returns the exit code.
    ///
    /// # Errors
    /// The poll keeps failing.
    pub fn run(mut self) -> Result<u8, Error> {
        for index in 0..self.cases.len() {
            self.try_again(index);
        }
        self.tell();
        while self.cases.iter().any(|case| !case.told) && !self.stage.is_interrupted() && !self.stage.is_unread() {
            let now = self.stage.wait_while_read(self.deadline())?;
            while let Some(mut slice) = self.stage.reactor.next_slice() {
                match slice.source() {
                    Source::Signals => drop(self.stage.signals()),
                    Source::Link(key) => self.serve(key, &mut slice),
                    own @ (Source::Screen | Source::Diagnostics) => self.stage.heed(own),
                    Source::Console | Source::Alarm => {}
                }
                self.stage.reactor.put_back(slice);
            }
            self.expire(now);
            self.tell();
        }
        // An interrupt loses nothing that was found out behind a case still open.
        let (found, open): (Vec<Case>, Vec<Case>) = self.cases.drain(..).partition(Case::is_decided);
        self.cases = found;
        self.tell();
        let interrupted = self.stage.is_interrupted();
        for Case { protocol, address, .. } in open.into_iter().filter(|_| interrupted) {
            self.stage.complain(format_args!("interrupted: no verdict on {protocol} {} yet", Address::new(address)));
        }
        let code = self.settings.protocols.iter().map(|&protocol| self.exit_code(protocol)).max();
        Ok(self.stage.conclude(code.unwrap_or(exit::DONE)))
    }

    /// What a protocol alone would end with.
    fn exit_code(&self, protocol: Protocol) -> u8 {
        let cases = || self.cases.iter().filter(|case| case.protocol == protocol);
        if cases().any(|case| case.is(Word::Open)) {
            exit::DONE
        } else if cases().any(|case| case.shortage.is_some()) {
            exit::UNTRIED
        } else {
            exit::FAILED
        }
    }

    /// Begins a try with a socket of its own, so that an answer to an earlier one is not taken for its.
    fn try_again(&mut self, index: usize) {
        let case = &mut self.cases[index];
        case.tries += 1;
        case.began = Instant::now();
        case.asked = None;
        if let Some(earlier) = case.link.take() {
            self.links.remove(earlier);
        }
        let (protocol, address, framing) = (case.protocol, case.address, self.settings.framing);
        let opened = self
            .links
            .insert_with(|key| Ok((index, Link::open(protocol, address, framing, key, &self.stage.reactor)?)));
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
                Err(error) => case.finding = Some(Finding::of_error(&error)),
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
        if let Err(error) = link.send(QUESTION) {
            case.fail(error);
        }
    }

    /// A slice of what comes back; the first reply decides.
    fn listen(&mut self, index: usize, slice: &mut Slice<Source>) {
        let Case { link: Some(key), finding, asked: Some(asked), .. } = &mut self.cases[index] else {
            return;
        };
        let Some((_, link)) = self.links.get_mut(*key) else {
            return;
        };
        let mut listening = link.listen(&mut self.buffer, &mut slice.budget);
        while finding.is_none() {
            match listening.pull() {
                Ok(Pulled::Item(reply)) => *finding = Some(Finding::of_reply(reply, asked.elapsed())),
                Ok(Pulled::Part | Pulled::TooLong) => {}
                Ok(Pulled::Drained | Pulled::CutOff) => break,
                Ok(Pulled::Ended) => *finding = Some(Finding::of(Word::Closed)),
                Err(error) => *finding = Some(Finding::of_error(&error)),
            }
        }
    }

    /// When the next try is over.
    fn deadline(&self) -> Option<Instant> {
        let open = self.cases.iter().filter(|case| !case.is_decided());
        open.filter_map(|case| case.began.checked_add(self.settings.timeout?)).min()
    }

    fn expire(&mut self, now: Instant) {
        for index in 0..self.cases.len() {
            let case = &mut self.cases[index];
            let due = self.settings.timeout.and_then(|timeout| case.began.checked_add(timeout));
            if case.is_decided() || due.is_none_or(|due| due > now) {
                continue;
            }
            match case.tries >= TRIES {
                true => {
                    let link = case.link.and_then(|key| self.links.get(key));
                    let silence = link.map_or(Finding::of(Word::Silent), |(_, link)| Finding::of_silence(link));
                    case.finding = Some(silence);
                }
                false => self.try_again(index),
            }
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
            if let Some(shortage) = &case.shortage {
                self.stage.cannot_try(case.protocol, case.address, shortage);
            }
            let Some(finding) = &case.finding else {
                continue;
            };
            self.stage.journal.tell(&Event::Verdict {
                protocol: case.protocol,
                address: &Address::new(case.address).to_string(),
                word: finding.word,
                rtt: finding.rtt,
                connect: case.connect,
                text: finding.text.as_deref(),
            });
        }
    }
}
