//! Asks over TCP: a message of one byte, and a long one on the same connection.
//!
//! The system cuts a stream into segments by itself. Where a link on the way takes less than both ends believe and nobody
//! says so, short messages are acknowledged and long ones stall.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Settings, TRIES};
use crate::client::link::{Answer, Heard, Link, why};
use crate::client::live::{self, Live};
use crate::client::route::Route;
use crate::client::stage::{Source, Stage};
use crate::connection::buffer;
use crate::error::{Error, exit};
use crate::process::limits::Shortage;
use crate::process::signals::Signal;
use crate::reactor::{Key, Slice, Slots};
use crate::transcript::address::Address;
use crate::transcript::framing;
use crate::transcript::instrument::{Event, Size};
use crate::wire::{Framing, Notice, Protocol};

/// So often within a `--timeout` it is looked whether the long message moves.
const LOOKS_PER_TIMEOUT: u32 = 4;

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The connection is being made.
    Connecting,
    /// The short message is out.
    Short,
    /// The long one is.
    Long,
    /// It was acknowledged, or never will be.
    Over { stalls: bool },
    /// There is no answer.
    Failed,
}

/// One connection, two messages.
pub(super) struct Stream {
    stage: Stage,
    settings: Settings,
    most: usize,
    route: Route,
    links: Slots<Link>,
    key: Option<Key>,
    step: Step,
    /// Since when it stands there, or nothing has moved.
    since: Instant,
    /// How far the long message had come when it was looked at last, and when that was.
    progress: (usize, Option<u64>),
    looked_at: Instant,
    /// What went wrong.
    trouble: Option<String>,
    other_framing: Option<Framing>,
    is_mute: bool,
    /// Whether the short message was acknowledged.
    is_open: bool,
    /// What we lack for the last address.
    shortage: Option<io::Error>,
    live: Live,
    buffer: Box<[u8]>,
}

impl Stream {
    /// Two messages, the long one of `most` bytes, to the first of `addresses` that accepts.
    pub(super) fn new(stage: Stage, settings: Settings, most: usize, addresses: Vec<SocketAddr>) -> Stream {
        let now = Instant::now();
        Stream {
            route: Route::new(settings.protocol, settings.framing, settings.origin.clone(), addresses),
            live: Live::new(&stage, live::EVERY),
            stage,
            settings,
            most,
            links: Slots::new(),
            key: None,
            step: Step::Connecting,
            since: now,
            progress: (0, None),
            looked_at: now,
            trouble: None,
            other_framing: None,
            is_mute: false,
            is_open: false,
            shortage: None,
            buffer: buffer(),
        }
    }

    /// Asks until both are acknowledged, one stalls, or a signal ends it. Returns the exit code.
    ///
    /// # Errors
    /// The poll keeps failing.
    pub(super) fn run(mut self) -> Result<u8, Error> {
        self.begin();
        while !self.is_over() {
            let now = self.stage.next_turn(self.deadline())?;
            while let Some(mut slice) = self.stage.next_slice() {
                match slice.source() {
                    Source::Signals => self.heed_signals(),
                    Source::Link(key) => self.serve(key, &mut slice),
                    own @ (Source::Screen | Source::Diagnostics) => self.stage.heed(own),
                    Source::Console | Source::Alarm | Source::Lookup => {}
                }
                self.stage.reactor.put_back(slice);
            }
            self.look_for_progress(now);
            if !self.stage.reactor.has_ready() && self.step_ends().is_some_and(|end| end <= now) {
                self.meet_silence();
            }
            if self.live.is_due(Instant::now()) {
                let state = self.state();
                self.stage.show_live(&state);
            }
        }
        Ok(self.conclude())
    }

    fn is_over(&mut self) -> bool {
        let ended = matches!(self.step, Step::Over { .. } | Step::Failed);
        ended || self.stage.is_interrupted() || self.stage.is_unread()
    }

    /// When what is awaited is given up.
    fn step_ends(&self) -> Option<Instant> {
        // As long as three tries of a datagram: TCP sends what is lost again by itself.
        let all = self.settings.timeout.checked_mul(TRIES);
        let most: Option<Duration> = match self.step {
            Step::Connecting => self.route.patience(all),
            _ => all,
        };
        self.since.checked_add(most?)
    }

    fn deadline(&self) -> Option<Instant> {
        let is_long = self.step == Step::Long;
        let look = is_long.then(|| self.looked_at.checked_add(self.settings.timeout / LOOKS_PER_TIMEOUT)).flatten();
        self.step_ends().into_iter().chain(self.live.due()).chain(look).min()
    }

    /// A message that still moves does not stall, however long the path takes for it. No event tells of that once all of it
    /// is the system's.
    fn look_for_progress(&mut self, now: Instant) {
        self.looked_at = now;
        if let (Step::Long, Some(link)) = (self.step, self.key.and_then(|key| self.links.get(key))) {
            let progress = link.progress();
            if std::mem::replace(&mut self.progress, progress) != progress {
                self.since = now;
            }
        }
    }

    fn heed_signals(&mut self) {
        if self.stage.signals().contains(&Signal::Report) {
            let state = self.state();
            self.stage.complain(state);
        }
    }

    fn state(&self) -> String {
        match self.step {
            Step::Connecting => "connecting".to_owned(),
            Step::Short => "a message of 1 byte is out".to_owned(),
            _ => format!("1 byte is acknowledged; {} bytes are out", self.most),
        }
    }

    fn enter(&mut self, step: Step) {
        self.step = step;
        self.since = Instant::now();
    }

    /// Begins to connect to an address of the route, or to the next one.
    fn begin(&mut self) {
        loop {
            if let Some(key) = self.key.take() {
                self.links.remove(key);
            }
            let opened = self.route.open_soon(&mut self.links, &mut self.stage);
            // Behind the wait, which was for no answer.
            self.enter(Step::Connecting);
            match opened {
                Ok(key) => return self.key = Some(key),
                Err(error) if Shortage::is(&error) && self.route.has_others() => {
                    self.route.lack(&error, &mut self.stage);
                }
                Err(error) if Shortage::is(&error) => self.shortage = Some(error),
                Err(error) => self.trouble = Some(why(&error)),
            }
            if !self.route.pass_over(&mut self.trouble, &mut self.stage) {
                return self.enter(Step::Failed);
            }
        }
    }

    /// This address is not the one, or the only one was not.
    fn give_up(&mut self, why: &str) {
        self.trouble = Some(why.to_owned());
        let is_begun = matches!(self.step, Step::Connecting | Step::Short);
        match is_begun && self.route.pass_over(&mut self.trouble, &mut self.stage) {
            true => self.begin(),
            false => self.enter(Step::Failed),
        }
    }

    fn serve(&mut self, key: Key, slice: &mut Slice<Source>) {
        if self.key != Some(key) {
            return;
        }
        let Some(link) = self.links.get_mut(key) else {
            return;
        };
        if self.step == Step::Connecting {
            match link.is_established() {
                Ok(true) => {
                    self.enter(Step::Short);
                    self.say(1);
                }
                Ok(false) => return,
                Err(error) => return self.give_up(&why(&error)),
            }
        }
        let Some(link) = self.links.get_mut(key) else {
            return;
        };
        let mut answers = Vec::new();
        let flushed = link.flush();
        let is_unsent = matches!(flushed, Ok(false));
        let heard = flushed.and_then(|_| link.hear(&mut self.buffer, &mut slice.budget, &mut answers));
        self.other_framing = link.other_framing();
        self.is_mute = link.is_mute();
        let mut answers = answers.into_iter().peekable();
        while let Some(answer) = answers.next() {
            // One ACK each, and none before all of it has left.
            let is_early = answer == Answer::Ack && (is_unsent || answers.peek() == Some(&Answer::Ack));
            self.take(if is_early { Answer::Wrong } else { answer });
            // What else came here is of no address that is tried now.
            if self.key != Some(key) || matches!(self.step, Step::Over { .. } | Step::Failed) {
                return;
            }
        }
        match heard {
            Ok(Heard::Drained | Heard::CutOff) => {}
            Ok(Heard::Ended) => self.give_up("closed"),
            Err(error) => self.give_up(&why(&error)),
        }
    }

    fn say(&mut self, size: usize) {
        let sent = self.key.and_then(|key| self.links.get_mut(key)).map(|link| link.send(&vec![b'x'; size]));
        if let Some(Err(error)) = sent {
            self.give_up(&why(&error));
        }
    }

    fn take(&mut self, answer: Answer) {
        match (answer, self.step) {
            (Answer::Ack, Step::Short) if self.most > 1 => {
                self.is_open = true;
                self.enter(Step::Long);
                self.say(self.most);
            }
            (Answer::Ack, _) => self.enter(Step::Over { stalls: false }),
            (Answer::Notice(Notice::TooLong), Step::Long) => {
                self.give_up("the server takes none of that length (--max-message)");
            }
            (Answer::Notice(notice), _) => self.give_up(notice.text()),
            (Answer::Wrong, _) => self.give_up("a wrong answer"),
        }
    }

    /// What was awaited did not come in time.
    fn meet_silence(&mut self) {
        match self.step {
            Step::Long => self.enter(Step::Over { stalls: true }),
            Step::Connecting => self.give_up("silent"),
            _ => self.give_up("the connection stands, and nothing came"),
        }
    }

    fn conclude(mut self) -> u8 {
        self.stage.show_live("");
        let code = self.tell();
        self.stage.conclude(code)
    }

    fn tell(&mut self) -> u8 {
        let peer = self.route.peer();
        let shown = Address::new(peer);
        let link = self.key.and_then(|key| self.links.get(key));
        let (segment, path_mtu) = link.map_or((None, None), |link| (link.segment(), link.path_mtu()));
        match self.step {
            Step::Over { stalls } => {
                let size = Size::Stream { most: self.most, stalls, segment, path_mtu };
                self.stage.journal.tell(&Event::Size { peer, size: &size });
                return exit::DONE;
            }
            Step::Failed => {}
            _ if self.stage.is_interrupted() => {
                let state = self.state();
                self.stage.complain(format_args!("interrupted: {state}"));
                return exit::FAILED;
            }
            _ => return exit::FAILED,
        }
        if let Some(shortage) = &self.shortage {
            self.stage.cannot_try(Protocol::Tcp, peer, shortage);
            return exit::UNTRIED;
        }
        let why = self.trouble.take().unwrap_or_default();
        if self.is_open {
            let most = self.most;
            self.stage.fail(format_args!("tcp {shown} acknowledged a message of 1 byte, and none of {most}: {why}"));
            return exit::FAILED;
        }
        self.stage.fail(format_args!("the path to tcp {shown} is not open: {why}"));
        if let Some(theirs) = self.other_framing {
            self.stage.complain(framing::other(self.settings.framing, theirs));
        } else if self.is_mute {
            self.stage.complain(framing::question(self.settings.framing));
        }
        if self.route.was_short() { exit::UNTRIED } else { exit::FAILED }
    }
}
