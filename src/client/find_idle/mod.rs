//! `--find-idle`: when is a silent path cut?
//!
//! Many flows side by side, each left silent for a different time: the answer
//! takes as long as the longest silence, not as long as all of them.

mod ending;
mod flow;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use self::flow::{Flow, Trial, cause_of};
use super::ledger::MOST_SURPLUS;
use super::link::{Answer, Heard};
use super::route::Route;
use super::stage::{Source, Stage};
use crate::connection::buffer;
use crate::error::Error;
use crate::escape::cause;
use crate::process::limits::{Shortage, raise_descriptor_limit};
use crate::reactor::{Key, Slice, Slots};
use crate::transcript::instrument::Cause;
use crate::wire::{Framing, Notice, Protocol};

/// Flows, and so silences that are tried.
const FLOWS: u32 = 64;
/// A word without an answer is said so often (UDP) or waited for so much longer (TCP, which says it again by itself).
const TRIES: u32 = 3;
/// The live line is written anew so often.
const LIVE: Duration = Duration::from_millis(500);

/// What the command line asks of the search.
#[derive(Clone, Debug)]
pub struct Settings {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// How TCP streams are cut into messages.
    pub framing: Framing,
    /// The longest silence that is tried.
    pub longest: Duration,
    /// How long to wait for one answer; `None`: for ever.
    pub timeout: Option<Duration>,
}

/// The search.
pub struct FindIdle {
    stage: Stage,
    settings: Settings,
    route: Route,
    flows: Slots<Flow>,
    /// Why the path was not open to begin with.
    trouble: Option<String>,
    /// What we lacked for flows that could not be tried, one for each.
    shortages: Vec<io::Error>,
    /// The server said that it is going: what ends now says nothing of silence.
    going: bool,
    began: Instant,
    next_live: Option<Instant>,
    buffer: Box<[u8]>,
}

impl FindIdle {
    /// A search on the path to the first of `addresses`.
    pub fn new(stage: Stage, settings: Settings, addresses: Vec<SocketAddr>) -> FindIdle {
        raise_descriptor_limit();
        let now = Instant::now();
        let next_live = stage.is_terminal_err().then_some(now + LIVE);
        FindIdle {
            stage,
            route: Route::new(settings.protocol, settings.framing, addresses),
            settings,
            flows: Slots::new(),
            trouble: None,
            shortages: Vec::new(),
            going: false,
            began: now,
            next_live,
            buffer: buffer(),
        }
    }

    /// Searches until the answer is known or a signal ends it. Returns the exit code.
    ///
    /// # Errors
    /// The poll keeps failing.
    pub fn run(mut self) -> Result<u8, Error> {
        self.open();
        self.go_on_elsewhere();
        while !self.is_over() {
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
            self.advance(now);
            self.go_on_elsewhere();
            self.show_progress(now);
        }
        Ok(self.conclude())
    }

    fn open(&mut self) {
        for number in 0..FLOWS {
            let now = Instant::now();
            let silence = self.settings.longest - self.settings.longest / FLOWS * shortened(number);
            let (route, reactor) = (&self.route, &self.stage.reactor);
            let (trouble, shortages) = (&mut self.trouble, &mut self.shortages);
            let opened = self.flows.insert_with(|key| {
                let link = route.open(key, reactor);
                let failed = |error| match Shortage::is(&error) {
                    true => shortages.push(error),
                    false => *trouble = Some(cause(&error)),
                };
                Ok(Flow::new(link.map_err(failed).ok(), silence, now))
            });
            if let Some(flow) = opened.ok().and_then(|key| self.flows.get_mut(key))
                && flow.link.is_some()
            {
                match self.settings.protocol {
                    Protocol::Tcp => flow.enter(Trial::Connecting, now),
                    Protocol::Udp => self.shortages.extend(flow.say(Trial::Opening, now)),
                }
            }
        }
    }

    /// Where no flow stood at all, tries the next address of the name.
    fn go_on_elsewhere(&mut self) {
        while self.flows.iter().all(|(_, flow)| flow.state == Trial::Failed) {
            let peer = self.route.peer();
            if !self.route.go_on() {
                return;
            }
            let next = self.route.peer();
            log::info!("{peer} is not open ({:?} {:?}), trying {next}", self.trouble, self.shortages.first());
            self.trouble = None;
            self.shortages.clear();
            let keys: Vec<Key> = self.flows.iter().map(|(key, _)| key).collect();
            for key in keys {
                self.flows.remove(key);
            }
            self.open();
        }
    }

    fn serve(&mut self, key: Key, slice: &mut Slice<Source>) {
        let now = slice.now();
        let protocol = self.settings.protocol;
        let FindIdle { flows, buffer, trouble, shortages, going, .. } = self;
        let Some(flow) = flows.get_mut(key) else {
            return;
        };
        let Some(link) = &mut flow.link else {
            return;
        };
        if flow.state == Trial::Connecting {
            match link.is_established() {
                Ok(true) => shortages.extend(flow.say(Trial::Opening, now)),
                Ok(false) => return,
                Err(error) => {
                    *trouble = Some(cause(&error));
                    return flow.end(cause_of(&error), now);
                }
            }
        }
        let Some(link) = &mut flow.link else {
            return;
        };
        let mut answers = Vec::new();
        let heard = link.hear(buffer, &mut slice.budget, &mut answers);
        for answer in answers {
            match (flow.state, answer) {
                (Trial::Opening, Answer::Ack) => {
                    flow.enter(Trial::Silent, now);
                    flow.silent_since = now;
                }
                (Trial::Asking(_), Answer::Ack) => flow.enter(Trial::Survived, now),
                (Trial::Survived | Trial::Cut(..) | Trial::Failed, _) => return,
                // Who goes on talking is not silent, whatever we do.
                (_, Answer::Ack) | (Trial::Silent, Answer::Wrong) => {
                    flow.surplus += 1;
                    if flow.surplus > MOST_SURPLUS {
                        trouble.get_or_insert("it says more than it was asked for".to_owned());
                        return flow.enter(Trial::Failed, now);
                    }
                }
                (_, Answer::Notice(Notice::ShuttingDown)) if !flow.is_opening() => {
                    *going = true;
                    return;
                }
                (_, Answer::Notice(notice)) => {
                    flow.blame(trouble, notice.text());
                    flow.end(Cause::Announced, now);
                }
                (_, Answer::Wrong) => {
                    flow.blame(trouble, "a wrong answer");
                    flow.end(Cause::Closed, now);
                }
            }
        }
        match heard {
            Ok(Heard::Drained | Heard::CutOff) => {}
            Ok(Heard::Ended) => {
                flow.blame(trouble, "closed");
                flow.end(Cause::Closed, now);
            }
            // Nothing of ours is out that could be lost.
            Err(_) if flow.state == Trial::Silent && protocol == Protocol::Udp => {}
            Err(error) => {
                flow.blame(trouble, &cause(&error));
                flow.end(cause_of(&error), now);
            }
        }
    }

    /// What is due without an event: the end of a silence, of a try.
    fn advance(&mut self, now: Instant) {
        let (protocol, timeout) = (self.settings.protocol, self.settings.timeout);
        for (_, flow) in self.flows.iter_mut() {
            let stood = now.saturating_duration_since(flow.since);
            let try_is_over = timeout.is_some_and(|timeout| stood >= timeout * flow.tries);
            match flow.state {
                Trial::Silent if stood >= flow.silence => {
                    self.shortages.extend(flow.say(Trial::Asking(stood), now));
                }
                Trial::Connecting | Trial::Opening | Trial::Asking(_) if try_is_over && flow.tries < TRIES => {
                    flow.tries += 1;
                    if protocol == Protocol::Udp {
                        self.shortages.extend(flow.say_again(now));
                    }
                }
                Trial::Asking(silence) if try_is_over => flow.enter(Trial::Cut(silence, Cause::Silent), now),
                Trial::Connecting | Trial::Opening if try_is_over => {
                    let unfinished = flow.link.as_ref().is_some_and(|link| link.unfinished().is_some());
                    let why = if unfinished { "a wrong answer" } else { "silent" };
                    self.trouble.get_or_insert(why.to_owned());
                    flow.enter(Trial::Failed, now);
                }
                _ => {}
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let due = |flow: &Flow| match flow.state {
            Trial::Silent => flow.since.checked_add(flow.silence),
            Trial::Connecting | Trial::Opening | Trial::Asking(_) => {
                flow.since.checked_add(self.settings.timeout?.checked_mul(flow.tries)?)
            }
            Trial::Survived | Trial::Cut(..) | Trial::Failed => None,
        };
        self.flows.iter().filter_map(|(_, flow)| due(flow)).chain(self.next_live).min()
    }
}

/// By how many of [`FLOWS`] parts the silence of the flow of this number is shorter than the longest: none, the half,
/// then the quarters between, so that however few flows find room, their silences are spread over the whole.
fn shortened(number: u32) -> u32 {
    number.reverse_bits() >> (u32::BITS - FLOWS.ilog2())
}
