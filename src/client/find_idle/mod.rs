//! `--find-idle`: when is a silent path cut?
//!
//! Many flows side by side, each left silent for a different time: the answer takes as long as the longest silence,
//! not as long as all of them. One more keeps talking: where it ends, too, it is the path that broke.
//!
//! | room | what it does |
//! |---|---|
//! | `bracket` | instants in, the two sides of the timeout out |
//! | `flow` | a word, a silence, a word |
//! | `words` | who speaks when |
//! | `control` | the flow that keeps talking |
//! | `ending` | when the answer is known, and what it is |

mod bracket;
mod control;
mod ending;
mod flow;
mod words;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use self::control::Control;
use self::flow::{Flow, News, Trial};
use super::ledger::MOST_SURPLUS;
use super::link::Answer;
use super::live::{self, Live};
use super::origin::Origin;
use super::route::Route;
use super::stage::{Source, Stage};
use crate::connection::buffer;
use crate::error::Error;
use crate::escape::cause;
use crate::process::limits::{Shortage, raise_descriptor_limit};
use crate::process::signals::Signal;
use crate::reactor::{Key, Slice, Slots};
use crate::transcript::instrument::Cause;
use crate::wire::{Framing, Notice, Protocol};

/// Flows, and so silences that are tried.
const FLOWS: u32 = 64;
/// With so many at once a flow is decided: the one that is awaited, and one more than may be in surplus.
const MOST_ANSWERS: usize = 18;
const _: () = assert!(MOST_ANSWERS as u64 == MOST_SURPLUS + 2);

/// What the command line asks of the search.
#[derive(Clone, Debug)]
pub struct Settings {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// How TCP streams are cut into messages.
    pub framing: Framing,
    /// Where the sockets leave from, and how they are marked.
    pub origin: Origin,
    /// The longest silence that is tried.
    pub longest: Duration,
    /// How long to wait for one answer.
    pub timeout: Duration,
}

/// The search.
pub struct FindIdle {
    stage: Stage,
    settings: Settings,
    route: Route,
    /// Those that are silent, and the one that keeps talking.
    flows: Slots<Flow>,
    control: Control,
    /// The longest silence that was not cut yet when it was looked at.
    quiet: Duration,
    /// Why the path was not open to begin with.
    trouble: Option<String>,
    /// What we lacked for flows that could not be tried, one for each.
    shortages: Vec<io::Error>,
    began: Instant,
    live: Live,
    buffer: Box<[u8]>,
}

impl FindIdle {
    /// A search on the path to the first of `addresses`.
    pub fn new(stage: Stage, settings: Settings, addresses: Vec<SocketAddr>) -> FindIdle {
        raise_descriptor_limit();
        let now = Instant::now();
        let live = Live::new(&stage, live::EVERY);
        FindIdle {
            stage,
            route: Route::new(settings.protocol, settings.framing, settings.origin.clone(), addresses),
            settings,
            flows: Slots::new(),
            control: Control::default(),
            quiet: Duration::ZERO,
            trouble: None,
            shortages: Vec::new(),
            began: now,
            live,
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
            let looked = self.stage.next_turn(self.deadline())?;
            while let Some(mut slice) = self.stage.next_slice() {
                match slice.source() {
                    Source::Signals => self.heed_signals(),
                    Source::Link(key) => self.serve(key, &mut slice),
                    own @ (Source::Screen | Source::Diagnostics) => self.stage.heed(own),
                    Source::Console | Source::Alarm | Source::Lookup => {}
                }
                self.stage.reactor.put_back(slice);
            }
            self.advance();
            self.keep_talking();
            self.go_on_elsewhere();
            self.note_quiet(looked);
            self.show_progress();
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
            if let Ok(key) = opened {
                let shortage = self.begin(key);
                self.shortages.extend(shortage);
            }
        }
        self.open_control();
    }

    /// Begins with a flow that has a link: TCP by connecting, UDP by its first word. Returns the shortage of our own that
    /// keeps it from that.
    fn begin(&mut self, key: Key) -> Option<io::Error> {
        let flow = self.flows.get_mut(key).filter(|flow| flow.link.is_some())?;
        match self.settings.protocol {
            Protocol::Tcp => {
                flow.enter(Trial::Connecting, Instant::now());
                None
            }
            Protocol::Udp => self.say(key, Trial::Opening),
        }
    }

    /// Where no flow stood at all, tries the next address of the name.
    fn go_on_elsewhere(&mut self) {
        while self.route.has_others() && self.each_flow().all(|flow| flow.state == Trial::Failed) {
            let untried = self.shortages.len() == self.each_flow().count();
            if let Some(shortage) = self.shortages.first().filter(|_| untried) {
                self.route.lack(shortage, &mut self.stage);
            }
            self.route.pass_over(&mut self.trouble, &mut self.stage);
            self.shortages.clear();
            self.control = Control::default();
            let keys: Vec<Key> = self.flows.iter().map(|(key, _)| key).collect();
            for key in keys {
                self.flows.remove(key);
            }
            self.open();
        }
    }

    fn heed_signals(&mut self) {
        if self.stage.signals().contains(&Signal::Report) {
            self.report();
        }
    }

    fn serve(&mut self, key: Key, slice: &mut Slice<Source>) {
        let Some(flow) = self.flows.get_mut(key) else {
            return;
        };
        slice.budget.narrow(MOST_ANSWERS);
        let news = flow.listen(&mut self.buffer, &mut slice.budget);
        // Behind the reading: what was seen happened before.
        let now = Instant::now();
        match self.control.is(key) {
            true => self.heed_control(key, news, now),
            false => self.heed(key, news, now),
        }
    }

    fn heed(&mut self, key: Key, news: News, now: Instant) {
        let FindIdle { flows, trouble, shortages, control, .. } = self;
        let Some(flow) = flows.get_mut(key) else {
            return;
        };
        shortages.extend(news.shortage);
        for answer in news.answers {
            match (flow.state, answer) {
                (Trial::Opening, Answer::Ack) => flow.fall_silent(now),
                (Trial::Asking, Answer::Ack) => flow.enter(Trial::Survived(flow.signs.survived()), now),
                (Trial::Survived(_) | Trial::Cut(_) | Trial::Failed, _) => return,
                // Who goes on talking is not silent, whatever we do.
                (_, Answer::Ack) | (Trial::Silent, Answer::Wrong) => {
                    flow.signs.heard = now;
                    flow.surplus += 1;
                    if flow.surplus > MOST_SURPLUS {
                        trouble.get_or_insert("it says more than it was asked for".to_owned());
                        return flow.enter(Trial::Failed, now);
                    }
                }
                (_, Answer::Notice(Notice::ShuttingDown)) if !flow.is_opening() => {
                    return control.break_off(now, Notice::ShuttingDown.text());
                }
                (_, Answer::Notice(notice)) => {
                    control.tells |= flow.state == Trial::Silent;
                    flow.blame(trouble, notice.text());
                    flow.end(Cause::Announced, now);
                }
                (_, Answer::Wrong) => {
                    flow.blame(trouble, "a wrong answer");
                    flow.end(Cause::Closed, now);
                }
            }
        }
        if let Some(end) = news.end {
            control.tells |= flow.state == Trial::Silent;
            flow.blame(trouble, &end.why);
            flow.end(end.cause, now);
        }
    }

    fn each_flow(&self) -> impl Iterator<Item = &Flow> {
        self.flows.iter().filter(|(key, _)| !self.control.is(*key)).map(|(_, flow)| flow)
    }
}

/// By how many of [`FLOWS`] parts the silence of the flow of this number is shorter than the longest: none, the half,
/// then the quarters between, so that however few flows find room, their silences are spread over the whole.
fn shortened(number: u32) -> u32 {
    number.reverse_bits() >> (u32::BITS - FLOWS.ilog2())
}
