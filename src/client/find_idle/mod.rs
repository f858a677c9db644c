//! `--find-idle`: when is a silent path cut?
//!
//! Many flows side by side, each left silent for a different time: the answer
//! takes as long as the longest silence, not as long as all of them.

mod ending;
mod flow;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use self::flow::{Flow, State, WORD, cause_of};
use super::link::{Answer, BUFFER, Link, Received};
use super::stage::Stage;
use crate::error::Error;
use crate::escape::cause;
use crate::process::limits::raise_descriptor_limit;
use crate::reactor::{Key, Ready, Source};
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
    /// Addresses not tried yet.
    addresses: VecDeque<SocketAddr>,
    peer: SocketAddr,
    flows: Vec<Flow>,
    /// Why the path was not open to begin with.
    trouble: Option<String>,
    /// The server said that it is going: what ends now says nothing of silence.
    going: bool,
    began: Instant,
    next_live: Option<Instant>,
    buffer: Box<[u8]>,
    /// How many addresses were given up.
    generation: u32,
}

impl FindIdle {
    /// A search on the path to the first of `addresses`.
    pub fn new(stage: Stage, settings: Settings, addresses: Vec<SocketAddr>) -> FindIdle {
        raise_descriptor_limit();
        let mut addresses = VecDeque::from(addresses);
        let peer = addresses.pop_front().unwrap_or(([0, 0, 0, 0], 0).into());
        let now = Instant::now();
        let next_live = stage.is_terminal_err().then_some(now + LIVE);
        let buffer = vec![0; BUFFER].into_boxed_slice();
        FindIdle {
            stage,
            settings,
            addresses,
            peer,
            flows: Vec::new(),
            trouble: None,
            going: false,
            began: now,
            next_live,
            buffer,
            generation: 0,
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
            let now = self.stage.wait(self.deadline())?;
            while let Some(ready) = self.stage.reactor.next_ready() {
                match ready.source {
                    Source::Signals => drop(self.stage.signals()),
                    Source::Peer(key) => self.serve(key, ready, now),
                    _ => {}
                }
            }
            self.advance(now);
            self.go_on_elsewhere();
            self.show_progress(now);
        }
        Ok(self.conclude())
    }

    fn open(&mut self) {
        for number in 0..FLOWS {
            let token = Source::Peer(Key::new(number, self.generation)).token();
            let opened = Link::open(self.settings.protocol, self.peer, self.settings.framing).and_then(|mut link| {
                link.register(self.stage.reactor.registry(), token)?;
                Ok(link)
            });
            let now = Instant::now();
            let silence = self.settings.longest - self.settings.longest / FLOWS * shortened(number);
            let mut flow = Flow { link: None, silence, state: State::Failed, since: now, silent_since: now, tries: 1 };
            match opened {
                Ok(link) => {
                    flow.link = Some(link);
                    match self.settings.protocol {
                        Protocol::Tcp => flow.enter(State::Connecting, now),
                        Protocol::Udp => flow.say(State::Opening, now),
                    }
                }
                Err(error) => self.trouble = Some(cause(&error)),
            }
            self.flows.push(flow);
        }
    }

    /// Where no flow stood at all, tries the next address of the name.
    fn go_on_elsewhere(&mut self) {
        while self.flows.iter().all(|flow| flow.state == State::Failed) {
            let Some(address) = self.addresses.pop_front() else {
                return;
            };
            log::info!("{} is not open ({:?}), trying {}", self.peer, self.trouble, address);
            self.peer = address;
            self.trouble = None;
            self.flows.clear();
            self.generation += 1;
            self.open();
        }
    }

    fn serve(&mut self, key: Key, ready: Ready, now: Instant) {
        let FindIdle { flows, buffer, trouble, going, generation, .. } = self;
        if key != Key::new(key.slot(), *generation) {
            return;
        }
        let Some(flow) = flows.get_mut(key.slot() as usize) else {
            return;
        };
        let Some(link) = &mut flow.link else {
            return;
        };
        if flow.state == State::Connecting {
            match link.is_established() {
                Ok(true) => flow.say(State::Opening, now),
                Ok(false) => return,
                Err(error) => {
                    *trouble = Some(cause(&error));
                    return flow.end(cause_of(&error), now);
                }
            }
        }
        while let Some(link) = &mut flow.link {
            let mut answers = Vec::new();
            let received = link.receive(buffer, ready, |reply| answers.push(Answer::from(reply)));
            for answer in answers {
                match (flow.state, answer) {
                    (State::Opening, Answer::Ack) => {
                        flow.enter(State::Silent, now);
                        flow.silent_since = now;
                    }
                    (State::Asking(_), Answer::Ack) => flow.enter(State::Survived, now),
                    (_, Answer::Ack) => log::debug!("flow {}: an answer too many", key.slot()),
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
            match received {
                Ok(Received::More) => {}
                Ok(Received::Drained) => return,
                Ok(Received::Ended) => {
                    flow.blame(trouble, "closed");
                    flow.end(Cause::Closed, now);
                }
                Err(error) => {
                    flow.blame(trouble, &cause(&error));
                    flow.end(cause_of(&error), now);
                }
            }
        }
    }

    /// What is due without an event: the end of a silence, of a try.
    fn advance(&mut self, now: Instant) {
        let (protocol, timeout) = (self.settings.protocol, self.settings.timeout);
        for flow in &mut self.flows {
            let stood = now.saturating_duration_since(flow.since);
            let try_is_over = timeout.is_some_and(|timeout| stood >= timeout * flow.tries);
            match flow.state {
                State::Silent if stood >= flow.silence => flow.say(State::Asking(stood), now),
                State::Connecting | State::Opening | State::Asking(_) if try_is_over && flow.tries < TRIES => {
                    flow.tries += 1;
                    if protocol == Protocol::Udp
                        && let Some(Err(error)) = flow.link.as_mut().map(|link| link.send(WORD))
                    {
                        flow.end(cause_of(&error), now);
                    }
                }
                State::Asking(silence) if try_is_over => flow.enter(State::Cut(silence, Cause::Silent), now),
                State::Connecting | State::Opening if try_is_over => {
                    let unfinished = flow.link.as_ref().is_some_and(|link| link.unfinished().is_some());
                    let why = if unfinished { "a wrong answer" } else { "silent" };
                    self.trouble.get_or_insert(why.to_owned());
                    flow.enter(State::Failed, now);
                }
                _ => {}
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let due = |flow: &Flow| match flow.state {
            State::Silent => flow.since.checked_add(flow.silence),
            State::Connecting | State::Opening | State::Asking(_) => {
                flow.since.checked_add(self.settings.timeout?.checked_mul(flow.tries)?)
            }
            State::Survived | State::Cut(..) | State::Failed => None,
        };
        self.flows.iter().filter_map(due).chain(self.next_live).min()
    }
}

/// By how many of [`FLOWS`] parts the silence of the flow of this number is shorter than the longest: none, the half,
/// then the quarters between, so that however few flows find room, their silences are spread over the whole.
fn shortened(number: u32) -> u32 {
    number.reverse_bits() >> (u32::BITS - FLOWS.ilog2())
}
