//! `--find-idle`: when is a silent path cut?
//!
//! Many flows side by side, each left silent for a different time: the answer
//! takes as long as the longest silence, not as long as all of them.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::link::{BUFFER, Link, Received};
use super::stage::Stage;
use crate::connection::is_reset;
use crate::error::{Error, exit};
use crate::escape::cause;
use crate::limits::raise_descriptor_limit;
use crate::reactor::{Key, Ready, Source};
use crate::transcript::address::Address;
use crate::transcript::instrument::{Cause, Event};
use crate::wire::{Framing, Notice, Protocol, Reply};

/// Flows, and so silences that are tried.
const FLOWS: u32 = 64;
/// What is said before the silence and after it.
const WORD: &[u8] = b"hello";
/// A word without an answer is said so often (UDP) or waited for so much longer (TCP, which says it again by itself).
const TRIES: u32 = 3;
/// So many neighbours that stay silent leave no doubt: the longer silences need not be waited for.
const NO_DOUBT: usize = 3;
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

/// Where a flow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is being connected.
    Connecting,
    /// The first word was said; its answer shows that the path is open.
    Opening,
    /// It is silent, since its first word was answered.
    Silent,
    /// The last word was said.
    Asking,
    /// Its silence was survived.
    Survived,
    /// It was cut after so much silence.
    Cut(Duration, Cause),
    /// It never stood.
    Failed,
}

#[derive(Debug)]
struct Flow {
    link: Option<Link>,
    silence: Duration,
    state: State,
    /// Since when it stands there.
    since: Instant,
    /// When its silence began.
    silent_since: Instant,
    tries: u32,
}

impl Flow {
    fn enter(&mut self, state: State, now: Instant) {
        self.state = state;
        self.since = now;
        self.tries = 1;
        if matches!(state, State::Survived | State::Cut(..) | State::Failed) {
            self.link = None;
        }
    }

    /// Whether it is still to show that the path is open.
    fn is_opening(&self) -> bool {
        matches!(self.state, State::Connecting | State::Opening)
    }

    /// Notes the first reason for which a flow did not stand.
    fn blame(&self, trouble: &mut Option<String>, why: &str) {
        if self.is_opening() {
            trouble.get_or_insert_with(|| why.to_owned());
        }
    }

    fn is_decided(&self) -> bool {
        self.link.is_none()
    }

    /// It ended, visibly: the cut is timed when it is seen.
    fn end(&mut self, cause: Cause, now: Instant) {
        match self.state {
            State::Silent | State::Asking => {
                self.enter(State::Cut(now.saturating_duration_since(self.silent_since), cause), now);
            }
            State::Connecting | State::Opening => self.enter(State::Failed, now),
            State::Survived | State::Cut(..) | State::Failed => {}
        }
    }

    fn say(&mut self, state: State, now: Instant) {
        self.enter(state, now);
        if let Some(Err(error)) = self.link.as_mut().map(|link| link.send(WORD)) {
            self.end(cause_of(&error), now);
        }
    }
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
            let silence = self.settings.longest / FLOWS * (number + 1);
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
            let received = link.receive(buffer, ready, |reply| answers.push(Answer::of(reply)));
            for answer in answers {
                match (flow.state, answer) {
                    (State::Opening, Answer::Ack) => {
                        flow.enter(State::Silent, now);
                        flow.silent_since = now;
                    }
                    (State::Asking, Answer::Ack) => flow.enter(State::Survived, now),
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
                State::Silent if stood >= flow.silence => flow.say(State::Asking, now),
                State::Connecting | State::Opening | State::Asking if try_is_over && flow.tries < TRIES => {
                    flow.tries += 1;
                    if protocol == Protocol::Udp
                        && let Some(Err(error)) = flow.link.as_mut().map(|link| link.send(WORD))
                    {
                        flow.end(cause_of(&error), now);
                    }
                }
                State::Asking if try_is_over => flow.enter(State::Cut(flow.silence, Cause::Silent), now),
                State::Connecting | State::Opening if try_is_over => {
                    self.trouble.get_or_insert("silent".to_owned());
                    flow.enter(State::Failed, now);
                }
                _ => {}
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let due = |flow: &Flow| match flow.state {
            State::Silent => flow.since.checked_add(flow.silence),
            State::Connecting | State::Opening | State::Asking => {
                flow.since.checked_add(self.settings.timeout?.checked_mul(flow.tries)?)
            }
            State::Survived | State::Cut(..) | State::Failed => None,
        };
        self.flows.iter().filter_map(due).chain(self.next_live).min()
    }

    fn is_over(&self) -> bool {
        let first_cut = self.first_cut();
        let silent = |flow: &&Flow| matches!(flow.state, State::Cut(_, Cause::Silent));
        // All that were silent for less must be decided.
        let known_below = |cut: Duration| self.flows.iter().all(|flow| flow.silence > cut || flow.is_decided());
        let no_doubt =
            self.flows.iter().filter(silent).count() >= NO_DOUBT && first_cut.is_some_and(|(cut, _)| known_below(cut));
        no_doubt || self.stage.is_interrupted() || self.going || self.flows.iter().all(Flow::is_decided)
    }

    /// The longest silence that was survived.
    fn survived(&self) -> Duration {
        let survivors = self.flows.iter().filter(|flow| flow.state == State::Survived);
        survivors.map(|flow| flow.silence).max().unwrap_or_default()
    }

    /// The shortest silence that was not survived, and is longer than any that
    /// was: one lost datagram is no idle timeout.
    fn first_cut(&self) -> Option<(Duration, Cause)> {
        let survived = self.survived();
        let cuts = self.flows.iter().filter_map(|flow| match flow.state {
            State::Cut(silence, cause) if silence > survived => Some((silence, cause)),
            _ => None,
        });
        cuts.min_by_key(|cut| cut.0)
    }

    fn show_progress(&mut self, now: Instant) {
        if self.next_live.is_none_or(|due| due > now) {
            return;
        }
        self.next_live = Some(now + LIVE);
        let count = |wanted: fn(&State) -> bool| self.flows.iter().filter(|flow| wanted(&flow.state)).count();
        let silent = count(|state| matches!(state, State::Silent | State::Asking));
        let survived = count(|state| *state == State::Survived);
        let cut = count(|state| matches!(state, State::Cut(..)));
        let (passed, longest) = (now.saturating_duration_since(self.began).as_secs(), self.settings.longest.as_secs());
        self.stage
            .show_live(&format!("{passed} of {longest} s: {silent} flows silent, {survived} survived, {cut} cut"));
    }

    fn conclude(mut self) -> u8 {
        self.stage.show_live("");
        let (protocol, peer) = (self.settings.protocol, self.peer);
        let (survived, cut) = (self.survived(), self.first_cut());
        let failed = self.flows.iter().filter(|flow| flow.state == State::Failed).count();
        let why = self.trouble.take().unwrap_or_default();
        if failed == self.flows.len() {
            self.stage.complain(format_args!("the path to {protocol} {} is not open: {why}", Address::new(peer)));
        } else if failed > 0 {
            self.stage.complain(format_args!("{failed} of {FLOWS} flows never stood: {why}"));
        }
        let has_answer = cut.is_some() || !survived.is_zero();
        if has_answer {
            self.stage.journal.tell(&Event::Idle { protocol, peer, survived, cut });
        }
        let early = if self.stage.is_interrupted() {
            Some("interrupted")
        } else {
            self.going.then_some(Notice::ShuttingDown.text())
        };
        if let (Some(early), None) = (early, cut) {
            let longest = self.settings.longest.as_secs_f64();
            self.stage.complain(format_args!("{early}: silences up to {longest} s were not tried to their end"));
        }
        self.stage.finish();
        let told = has_answer && !self.stage.is_unread() && !self.stage.is_lossy();
        if told && (early.is_none() || cut.is_some()) { exit::DONE } else { exit::FAILED }
    }
}

fn cause_of(error: &io::Error) -> Cause {
    if is_reset(error) { Cause::Reset } else { Cause::Closed }
}

/// A reply, once the buffer it stood in is gone.
#[derive(Debug)]
enum Answer {
    Ack,
    Notice(Notice),
    Wrong,
}

impl Answer {
    fn of(reply: Reply<'_>) -> Answer {
        match reply {
            Reply::Ack => Answer::Ack,
            Reply::Notice(notice) => Answer::Notice(notice),
            Reply::Wrong(_) => Answer::Wrong,
        }
    }
}
