//! Asks over UDP: a datagram of each size with the don't-fragment bit, answered by one as long.
//!
//! The bit makes the path say what it takes: fragments would travel where the whole does not. A stamped answer as long as
//! its probe has the way back to show for it, too; a plain `check` has not.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::search::Search;
use super::sent::{Purpose, Session};
use super::{LONGEST_OF_V6, Settings, TRIES};
use crate::client::link::Link;
use crate::client::live::{self, Live};
use crate::client::route::Route;
use crate::client::stage::{Source, Stage};
use crate::datagrams::{Batch, TooBig};
use crate::error::Error;
use crate::escape::cause;
use crate::mtu::{Fragments, is_too_big};
use crate::process::limits::Shortage;
use crate::process::signals::Signal;
use crate::reactor::{Key, Slots};
use crate::wire::{LONGEST_DATAGRAM, STAMPED};

/// What is tried in fragments, where nothing else was asked for.
const IN_FRAGMENTS: usize = 4000;
/// Where the system has no room to send, it is asked again so late.
const NO_ROOM: Duration = Duration::from_millis(10);

/// What is known of the server's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// They are as long as the probe, or nothing is known yet.
    AsLong,
    /// They are stamped, and as short as ever.
    Stamped,
    /// They are plain: one socket for each question tells which it is for.
    Plain,
}

/// One size, asked for up to three times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub(super) size: usize,
    pub(super) purpose: Purpose,
    began: Instant,
    tries: u32,
    /// When it is tried again, or has failed.
    next: Instant,
}

/// The search.
pub(super) struct Datagrams {
    pub(super) stage: Stage,
    pub(super) settings: Settings,
    pub(super) route: Route,
    pub(super) links: Slots<Link>,
    pub(super) key: Option<Key>,
    message: Vec<u8>,
    pub(super) session: Session,
    pub(super) search: Search,
    pub(super) answers: Answers,
    pub(super) question: Option<Question>,
    /// The routers that said that something is too long for them, in the order in which they first did.
    pub(super) told: Vec<TooBig>,
    /// The smallest size that did not even leave.
    pub(super) refused_here: Option<usize>,
    /// Whether any size was met with silence.
    pub(super) vanished: bool,
    /// Whether one of this size passes in fragments.
    pub(super) fragments: Option<(usize, bool)>,
    /// Whether the path was seen to stand in the end.
    pub(super) stood: bool,
    /// Why the path was not open to begin with.
    pub(super) trouble: Option<String>,
    /// Why it is open no longer.
    pub(super) broke: Option<String>,
    pub(super) shortage: Option<io::Error>,
    over: bool,
    live: Live,
    pub(super) batch: Batch,
}

impl Datagrams {
    /// A search on the path to the first of `addresses` that answers.
    pub(super) fn new(stage: Stage, settings: Settings, addresses: Vec<SocketAddr>) -> Datagrams {
        let live = Live::new(&stage, live::EVERY);
        let route = Route::new(settings.protocol, settings.framing, settings.origin.clone(), addresses);
        Datagrams {
            search: sizes(&route, settings.most),
            route,
            stage,
            settings,
            links: Slots::new(),
            key: None,
            message: Vec::new(),
            session: Session::new(),
            answers: Answers::AsLong,
            question: None,
            told: Vec::new(),
            refused_here: None,
            vanished: false,
            fragments: None,
            stood: false,
            trouble: None,
            broke: None,
            shortage: None,
            over: false,
            live,
            batch: Batch::new(),
        }
    }

    /// Searches until the answer is known or a signal ends it. Returns the exit code.
    ///
    /// # Errors
    /// The poll keeps failing.
    pub(super) fn run(mut self) -> Result<u8, Error> {
        self.begin();
        self.advance();
        while !self.is_over() {
            self.stage.next_turn(self.deadline())?;
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
            if self.live.is_due(Instant::now()) {
                let progress = self.progress();
                self.stage.show_live(&progress);
            }
        }
        Ok(self.conclude())
    }

    fn is_over(&mut self) -> bool {
        let ended = self.over || self.broke.is_some() || self.shortage.is_some();
        ended || self.stage.is_interrupted() || self.stage.is_unread()
    }

    fn deadline(&self) -> Option<Instant> {
        self.question.map(|question| question.next).into_iter().chain(self.live.due()).min()
    }

    fn heed_signals(&mut self) {
        if self.stage.signals().contains(&Signal::Report) {
            let progress = self.progress();
            self.stage.complain(progress);
        }
    }

    pub(super) fn progress(&self) -> String {
        let mut known = match self.search.passed() {
            Some(passed) => format!("{passed} bytes are answered"),
            None => "nothing is answered yet".to_owned(),
        };
        if let Some(failed) = self.search.failed() {
            known += &format!(", {failed} are not");
        }
        match self.question {
            Some(Question { size, purpose: Purpose::Size, tries, .. }) => {
                format!("{known}; asking {size} (try {tries} of {TRIES})")
            }
            Some(Question { size, purpose: Purpose::Fragments, .. }) => format!("{known}; asking {size} in fragments"),
            Some(_) | None => known,
        }
    }

    /// Begins with an address of the route, or with the next one that can be.
    fn begin(&mut self) {
        self.search = sizes(&self.route, self.settings.most);
        self.answers = Answers::AsLong;
        (self.told, self.refused_here) = (Vec::new(), None);
        match self.open() {
            Ok(()) => {}
            Err(error) if Shortage::is(&error) => self.lack(error),
            Err(error) => {
                self.trouble = Some(cause(&error));
                self.search.fail(self.search.least());
            }
        }
    }

    /// Our own want ends the search, unless this address is not yet the one and another is left.
    fn lack(&mut self, shortage: io::Error) {
        if self.search.passed().is_some() || !self.route.has_others() {
            return self.shortage = Some(shortage);
        }
        self.route.lack(&shortage, &mut self.stage);
        self.trouble = None;
        self.search.fail(self.search.least());
    }

    /// Opens a socket in place of the one before, whose late answers are nobody's then.
    fn open(&mut self) -> io::Result<()> {
        if let Some(key) = self.key.take() {
            self.links.remove(key);
        }
        let key = self.route.open_soon(&mut self.links, &mut self.stage)?;
        self.key = Some(key);
        self.session = Session::new();
        if let Some(link) = self.links.get(key) {
            link.make_room();
            link.hold_to(Fragments::Never)?;
            // A guess: the system may know too little of the path, or what is no longer true.
            if let Some(mtu) = link.path_mtu() {
                self.search.hint(payload(mtu, self.route.peer()));
            }
        }
        Ok(())
    }

    /// Does what is due: another try, the next size, the end.
    fn advance(&mut self) {
        while self.broke.is_none() && self.shortage.is_none() {
            let now = Instant::now();
            let Some(question) = self.question else {
                match self.choose() {
                    Some((size, purpose)) => self.ask(size, purpose, now),
                    None if self.search.passed().is_none()
                        && self.route.pass_over(&mut self.trouble, &mut self.stage) =>
                    {
                        self.begin();
                    }
                    None => return self.over = true,
                }
                continue;
            };
            if question.next > now {
                return;
            }
            if question.tries < TRIES {
                self.try_once(question, now);
            } else if self.stage.reactor.has_ready() && now - question.next < self.settings.timeout {
                // What waits is heard before anything counts as silence, unless there is no end to it.
                return;
            } else {
                self.meet_silence(question);
            }
        }
    }

    /// The next question; `None` where there is none.
    fn choose(&self) -> Option<(usize, Purpose)> {
        if let Some(size) = self.search.next() {
            return Some((size, Purpose::Size));
        }
        let passed = self.search.passed()?;
        if let Some(size) = self.in_fragments(passed).filter(|_| self.fragments.is_none()) {
            return Some((size, Purpose::Fragments));
        }
        (self.vanished && !self.stood).then_some((self.search.least(), Purpose::Closing))
    }

    /// The size that is tried in fragments, beyond what passes in one piece.
    fn in_fragments(&self, passed: usize) -> Option<usize> {
        let most = most_of(self.route.peer());
        let size = self.settings.most.unwrap_or(IN_FRAGMENTS.max(passed * 2));
        Some(size.min(most)).filter(|&size| size > passed)
    }

    fn ask(&mut self, size: usize, purpose: Purpose, now: Instant) {
        self.question = Some(Question { size, purpose, began: now, tries: 0, next: now });
        // A plain answer does not say what it is for: the socket that it comes to does.
        if self.answers == Answers::Plain
            && let Err(error) = self.open()
        {
            self.fail_to_send(error, purpose);
        }
        let fragments = if purpose == Purpose::Fragments { Fragments::Wherever } else { Fragments::Never };
        if let Some(Err(error)) = self.key.and_then(|key| self.links.get(key)).map(|link| link.hold_to(fragments)) {
            self.fail_to_send(error, purpose);
        }
    }

    fn try_once(&mut self, question: Question, now: Instant) {
        let Question { size, purpose, began, tries, .. } = question;
        self.message.resize(size, b'x');
        self.session.stamp(&mut self.message, purpose);
        let Some(link) = self.key.and_then(|key| self.links.get_mut(key)) else {
            return self.fail_to_send(io::ErrorKind::NotConnected.into(), purpose);
        };
        match link.send(&self.message) {
            Ok(true) => {
                self.session.sent(size, purpose);
                // Tries side by side: a whole wait for each would take as long again.
                let wait = if tries + 1 < TRIES { self.settings.timeout / TRIES } else { self.settings.timeout };
                self.question = Some(Question { tries: tries + 1, next: now + wait, ..question });
            }
            Ok(false) if now < began + self.settings.timeout => {
                self.question = Some(Question { next: now + NO_ROOM, ..question });
            }
            Ok(false) => self.fail_to_send(Shortage::of("no room to send"), purpose),
            // Some interfaces say so of what their other end does not take.
            Err(error) if Shortage::is_of_room(&error) && self.search.passed().is_some() => {
                match now < began + self.settings.timeout {
                    true => self.question = Some(Question { next: now + NO_ROOM, ..question }),
                    false => self.refuse_here(question),
                }
            }
            Err(error) if is_too_big(&error) => self.refuse_here(question),
            Err(error) => self.fail_to_send(error, purpose),
        }
    }

    /// It is too long for the interface that it would leave by.
    fn refuse_here(&mut self, question: Question) {
        let size = question.size;
        self.refused_here = Some(self.refused_here.map_or(size, |least| least.min(size)));
        self.trouble = Some(format!("the interface here takes no datagram of {size} bytes"));
        self.decide(question, false);
    }

    /// The system does not take it: our own want, or there is no way.
    fn fail_to_send(&mut self, error: io::Error, purpose: Purpose) {
        self.question = None;
        match self.search.passed() {
            _ if Shortage::is(&error) => self.lack(error),
            None if purpose == Purpose::Size => {
                self.trouble = Some(cause(&error));
                self.search.fail(self.search.least());
            }
            _ => self.broke = Some(cause(&error)),
        }
    }

    /// No try was answered.
    fn meet_silence(&mut self, question: Question) {
        self.vanished |= self.search.passed().is_some();
        if question.purpose == Purpose::Size {
            let told = self.told.first().map(|told| {
                let size = question.size;
                let by = told.by.map_or_else(|| "a router".to_owned(), |by| by.to_string());
                format!("silent; {by} says that {size} bytes are too long (MTU {})", told.mtu)
            });
            self.trouble.get_or_insert_with(|| told.unwrap_or_else(|| "silent".to_owned()));
        }
        self.decide(question, false);
    }

    /// A question has its answer.
    pub(super) fn decide(&mut self, question: Question, passes: bool) {
        self.question = None;
        let Question { size, purpose, .. } = question;
        match (purpose, passes) {
            (Purpose::Size, true) => self.search.pass(size),
            (Purpose::Size, false) => self.search.fail(size),
            (Purpose::Fragments, _) => self.fragments = Some((size, passes)),
            (Purpose::Closing, true) => self.stood = true,
            (Purpose::Closing, false) => self.broke = Some("small ones are not answered any more".to_owned()),
        }
    }
}

/// The sizes that are asked for on this route.
fn sizes(route: &Route, most: Option<usize>) -> Search {
    let most = most.map_or(most_of(route.peer()), |most| most.min(most_of(route.peer())));
    Search::new(if most < STAMPED { 1 } else { STAMPED }, most)
}

/// The longest datagram to this address.
pub(super) fn most_of(peer: SocketAddr) -> usize {
    // A length field of 16 bits, that counts the headers: all of them, or (IPv6) that of UDP alone.
    if is_v4(peer) { LONGEST_DATAGRAM } else { LONGEST_OF_V6 }
}

/// What headers take of a packet.
pub(super) fn headers(peer: SocketAddr) -> usize {
    if is_v4(peer) { 28 } else { 48 }
}

/// What a datagram may hold where a packet may have so many bytes.
pub(super) fn payload(mtu: u32, peer: SocketAddr) -> usize {
    usize::try_from(mtu).unwrap_or(usize::MAX).saturating_sub(headers(peer))
}

fn is_v4(peer: SocketAddr) -> bool {
    matches!(peer.ip().to_canonical(), IpAddr::V4(_))
}
