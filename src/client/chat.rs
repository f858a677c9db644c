//! The chat: stdin and the socket in one loop, each message acknowledged before the next.
//!
//! It ends exactly when it should: when stdin has ended and every message is
//! acknowledged, at once when the server closes, or when what is awaited does
//! not come in time.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::input::{Input, Next};
use super::ledger::{Ledger, Meaning};
use super::link::{BUFFER, Link, Received};
use super::stage::Stage;
use crate::error::{Error, exit};
use crate::escape::cause;
use crate::reactor::{Key, Ready, Source};
use crate::signals::Signal;
use crate::transcript::address::Address;
use crate::transcript::client::Event;
use crate::wire::{CHECK, Framing, LONGEST_DATAGRAM, LONGEST_MESSAGE, Notice, Protocol, Reply, is_reply};

/// The longest message in `bytes` framing: what one read of the other side is sure to take.
pub const LONGEST_BYTES: usize = 1024;
/// Each address but the last gets so long to accept a connection ...
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// ... and so long to answer a datagram.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Messages sent or lines skipped in one turn.
const MESSAGES_PER_TURN: usize = 1024;
/// Reads in one turn.
const READS_PER_TURN: usize = 16;

/// What the command line asks of a chat.
#[derive(Clone, Debug)]
pub struct Settings {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// How TCP streams are cut into messages.
    pub framing: Framing,
    /// Messages to send instead of reading stdin.
    pub messages: Vec<Vec<u8>>,
    /// Messages that may be outstanding.
    pub window: usize,
    /// How long to wait for a reply, or for a person; `None`: for ever.
    pub timeout: Option<Duration>,
    /// Print errors only.
    pub quiet: bool,
}

/// The longest message that a chat of this kind sends.
pub fn longest_message(protocol: Protocol, framing: Framing) -> usize {
    match (protocol, framing) {
        (Protocol::Udp, _) => LONGEST_DATAGRAM,
        (Protocol::Tcp, Framing::Bytes) => LONGEST_BYTES,
        (Protocol::Tcp, Framing::Lines | Framing::Length) => LONGEST_MESSAGE,
    }
}

/// How the chat is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The connection is on its way, until the given time.
    Connecting(Option<Instant>),
    /// Messages go out, replies come in.
    Talking,
    /// It is over, and the ledger tells how it went.
    Over,
    /// It is over, and did not go well.
    Failed,
}

/// A message on its way.
#[derive(Debug)]
enum Outgoing {
    /// To be sent as soon as there is room.
    Unsent(Vec<u8>),
    /// Sent, and kept in case it must go to the next address (UDP).
    Sent(Vec<u8>),
}

/// One conversation with a server.
pub struct Chat {
    stage: Stage,
    settings: Settings,
    input: Input,
    /// Addresses not tried yet.
    addresses: VecDeque<SocketAddr>,
    link: Option<Link>,
    /// How many links there have been: each has a token of its own.
    links: u32,
    state: State,
    buffer: Box<[u8]>,
    ledger: Ledger,
    outgoing: Option<Outgoing>,
    input_ended: bool,
    /// When last something was typed, sent or answered.
    progress: Instant,
    /// When last something was answered.
    answered_at: Instant,
    prompts: bool,
    first_prompt: bool,
}

impl Chat {
    /// A chat with the first of `addresses` that answers.
    ///
    /// # Errors
    /// stdin cannot be registered.
    pub fn new(mut stage: Stage, mut settings: Settings, addresses: Vec<SocketAddr>) -> Result<Chat, Error> {
        let longest = longest_message(settings.protocol, settings.framing);
        let mut input = Input::new(std::mem::take(&mut settings.messages), longest);
        input.register(stage.reactor.registry()).map_err(|error| Error::Setup("stdin", error))?;
        Ok(Chat {
            prompts: input.is_terminal() && stage.journal.screen().is_terminal(),
            stage,
            settings,
            input,
            addresses: addresses.into(),
            link: None,
            links: 0,
            state: State::Talking,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            ledger: Ledger::default(),
            outgoing: None,
            input_ended: false,
            progress: Instant::now(),
            answered_at: Instant::now(),
            first_prompt: true,
        })
    }

    /// Talks until it is over. Returns the exit code.
    ///
    /// # Errors
    /// The poll keeps failing.
    pub fn run(mut self) -> Result<u8, Error> {
        let now = Instant::now();
        self.next_address(now);
        self.talk(now);
        while matches!(self.state, State::Connecting(_) | State::Talking) {
            let deadline = self.deadline();
            let now = self.stage.wait(deadline)?;
            while let Some(ready) = self.stage.reactor.next_ready() {
                self.serve(ready, now);
            }
            self.talk(now);
            self.judge_deadline(now);
            if self.stage.is_unread() {
                self.fail();
            }
        }
        Ok(self.conclude())
    }

    fn serve(&mut self, ready: Ready, now: Instant) {
        match ready.source {
            Source::Signals => {
                if self.stage.signals().contains(&Signal::Continue) {
                    // The terminal may be ours to read now.
                    self.input.wake();
                }
                if self.stage.is_interrupted() {
                    self.interrupt(now);
                }
            }
            Source::Console => self.input.wake(),
            // stdout takes lines again: what was left unread for that reason is read now.
            Source::Screen => {
                self.stage.journal.flush();
                self.stage.journal.screen().heed_event();
                self.receive(Ready::unasked(self.source()), now);
            }
            Source::Peer(_) if ready.source == self.source() => match self.state {
                State::Connecting(_) => self.check_connection(now),
                State::Talking => self.receive(ready, now),
                State::Over | State::Failed => {}
            },
            Source::Peer(_) | Source::Listener | Source::Datagrams | Source::Diagnostics | Source::Alarm => {}
        }
    }

    fn source(&self) -> Source {
        Source::Peer(Key::new(0, self.links))
    }

    /// Goes to the next address; gives up where there is none.
    fn next_address(&mut self, now: Instant) {
        self.link = None;
        while self.link.is_none() {
            let Some(address) = self.addresses.pop_front() else {
                self.state = State::Failed;
                return;
            };
            self.links += 1;
            let token = self.source().token();
            let opened = Link::open(self.settings.protocol, address, self.settings.framing).and_then(|mut link| {
                link.register(self.stage.reactor.registry(), token)?;
                Ok(link)
            });
            match opened {
                Ok(link) => self.link = Some(link),
                Err(error) => self.tell_no_way(address, &error),
            }
        }
        self.progress = now;
        match self.settings.protocol {
            Protocol::Tcp => {
                let patience = if self.addresses.is_empty() { self.settings.timeout } else { Some(CONNECT_TIMEOUT) };
                self.state = State::Connecting(patience.and_then(|patience| now.checked_add(patience)));
            }
            Protocol::Udp => match self.outgoing.take() {
                None => self.prompt(),
                Some(Outgoing::Unsent(message)) => self.outgoing = Some(Outgoing::Unsent(message)),
                Some(Outgoing::Sent(message)) => {
                    self.ledger.take_back();
                    self.outgoing = Some(Outgoing::Unsent(message));
                }
            },
        }
    }

    /// There is no way to `peer`: says so, and goes to the next address.
    fn no_way(&mut self, peer: SocketAddr, error: &io::Error, now: Instant) {
        self.tell_no_way(peer, error);
        self.next_address(now);
    }

    fn tell_no_way(&mut self, peer: SocketAddr, error: &io::Error) {
        let (address, why) = (Address::new(peer), cause(error));
        match self.settings.protocol {
            Protocol::Tcp => self.stage.complain(format_args!("cannot connect to tcp {address}: {why}")),
            Protocol::Udp if self.settings.quiet => {
                self.stage.complain(format_args!("could not send to {address}: {why}"));
            }
            Protocol::Udp => self.stage.journal.tell(&Event::SendFailed { peer, error }),
        }
    }

    fn check_connection(&mut self, now: Instant) {
        let Some(link) = &self.link else {
            return;
        };
        let peer = link.peer();
        match link.is_established() {
            Ok(false) => {}
            Ok(true) => {
                self.state = State::Talking;
                self.addresses.clear();
                self.progress = now;
                self.stage.journal.tell(&Event::Connected { peer });
                self.prompt();
                self.receive(Ready::unasked(self.source()), now);
            }
            Err(error) => self.no_way(peer, &error, now),
        }
    }

    /// Where a person types and reads, says that a message can be typed.
    fn prompt(&mut self) {
        if self.prompts {
            let first = std::mem::replace(&mut self.first_prompt, false);
            self.stage.journal.tell(&Event::Prompt { protocol: self.settings.protocol, first });
        }
    }

    /// Sends what may be sent: one message at a time, or as many as the window allows.
    fn talk(&mut self, now: Instant) {
        for _ in 0..MESSAGES_PER_TURN {
            if self.state != State::Talking || !self.stage.has_room() {
                return;
            }
            let Some(link) = &mut self.link else {
                return;
            };
            match link.flush() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return self.broken(&error, now),
            }
            if let Some(Outgoing::Unsent(message)) = &self.outgoing {
                match link.send(message) {
                    Ok(true) => self.sent(now),
                    Ok(false) => return,
                    Err(error) => return self.broken(&error, now),
                }
                continue;
            }
            if self.input_ended || self.ledger.outstanding() >= self.settings.window {
                return;
            }
            match self.input.next_message() {
                Next::Message(message) => self.take(message, now),
                Next::TooLong(number, length) => self.refuse_line(number, length),
                Next::NotYet => return,
                Next::Later => break,
                Next::Ended => return self.end_input(),
            }
        }
        // There is more to send or to skip; others come first.
        self.stage.reactor.again(Source::Console);
    }

    fn take(&mut self, message: Vec<u8>, now: Instant) {
        self.progress = now;
        let Settings { protocol, framing, .. } = self.settings;
        if message.is_empty() && protocol == Protocol::Tcp && framing == Framing::Bytes {
            self.stage
                .complain("an empty line is skipped: bytes framing has nothing to send for it, --framing lines has");
            return;
        }
        if protocol == Protocol::Udp && is_reply(&message) {
            let text = String::from_utf8_lossy(&message);
            self.stage.complain(format_args!(
                "the message '{text}' looks like a reply: a server answers such datagrams once a second at most"
            ));
        }
        self.outgoing = Some(Outgoing::Unsent(message));
    }

    fn sent(&mut self, now: Instant) {
        self.ledger.send(now);
        self.progress = now;
        self.outgoing = match self.outgoing.take() {
            Some(Outgoing::Unsent(message)) if self.settings.protocol == Protocol::Udp => Some(Outgoing::Sent(message)),
            _ => None,
        };
    }

    fn refuse_line(&mut self, number: u64, length: u64) {
        let Settings { protocol, framing, .. } = self.settings;
        let longest = longest_message(protocol, framing);
        let remedy = match (protocol, framing) {
            (Protocol::Tcp, Framing::Bytes) => "--framing lines on both sides takes 65536",
            _ => "split it",
        };
        self.stage.complain(format_args!(
            "line {number} is not sent: it has {length} bytes, a message at most {longest}; {remedy}"
        ));
        self.ledger.mark();
    }

    fn end_input(&mut self) {
        self.input_ended = true;
        if let Some(error) = self.input.error() {
            self.stage.complain(format_args!("cannot read the standard input: {}", cause(error)));
            self.ledger.mark();
        }
        if self.ledger.outstanding() == 0 {
            self.end();
        } else if let Some(link) = &mut self.link {
            link.half_close();
        }
    }

    /// Reads the replies that have come, as long as stdout takes them.
    fn receive(&mut self, ready: Ready, now: Instant) {
        for _ in 0..READS_PER_TURN {
            if self.state != State::Talking || !self.stage.has_room() {
                return;
            }
            let Chat { link: Some(link), buffer, ledger, stage, settings, .. } = self else {
                return;
            };
            let (peer, answered) = (link.peer(), ledger.outstanding());
            let received = link.receive(buffer, ready, |reply| show(reply, peer, settings, ledger, stage, now));
            if ledger.outstanding() < answered {
                self.answered(now);
            }
            if self.ledger.notice().is_some() {
                return self.end();
            }
            match received {
                Ok(Received::More) => {}
                Ok(Received::Drained) => return,
                Ok(Received::Ended) => return self.closed(peer),
                Err(error) => return self.broken(&error, now),
            }
        }
        self.stage.reactor.again(self.source());
    }

    fn answered(&mut self, now: Instant) {
        self.progress = now;
        self.answered_at = now;
        // This address is the one.
        self.addresses.clear();
        if matches!(self.outgoing, Some(Outgoing::Sent(_))) {
            self.outgoing = None;
        }
        if self.input_ended && self.ledger.outstanding() == 0 {
            self.end();
        } else if self.settings.protocol == Protocol::Udp {
            self.prompt();
        }
    }

    /// The server has closed without a last word.
    fn closed(&mut self, peer: SocketAddr) {
        if self.state == State::Talking {
            let protocol = self.settings.protocol;
            self.stage.journal.tell(&Event::Closed { protocol, peer });
            if self.settings.quiet {
                self.stage.complain("connection has been closed by server");
            }
            self.fail();
        }
    }

    /// The way is broken: a connection cut, a datagram refused.
    fn broken(&mut self, error: &io::Error, now: Instant) {
        let Some(peer) = self.link.as_ref().map(Link::peer) else {
            return;
        };
        match self.settings.protocol {
            Protocol::Udp if self.ledger.is_answered() => {
                self.addresses.clear();
                self.no_way(peer, error, now);
            }
            Protocol::Udp => self.no_way(peer, error, now),
            Protocol::Tcp => {
                // What had arrived before is still to be read.
                self.receive(Ready::unasked(self.source()), now);
                if self.state == State::Talking {
                    // A reply that cannot be followed is our reason to go, not the server's.
                    if error.kind() != io::ErrorKind::InvalidData {
                        self.stage.journal.tell(&Event::Closed { protocol: Protocol::Tcp, peer });
                    }
                    let (address, why) = (Address::new(peer), cause(error));
                    self.stage.complain(format_args!("the connection to {address} broke: {why}"));
                    self.fail();
                }
            }
        }
    }

    /// When the next wait must end.
    fn deadline(&mut self) -> Option<Instant> {
        match self.state {
            State::Connecting(until) => until,
            // While stdout is stalled we do not read, so nobody else is late.
            State::Talking if self.stage.has_room() => self.waiting_since().checked_add(self.patience()?),
            State::Talking | State::Over | State::Failed => None,
        }
    }

    /// Since when what is awaited has been awaited: an answer, or a word of the person.
    fn waiting_since(&self) -> Instant {
        self.ledger.oldest().map_or(self.progress, |sent| sent.max(self.answered_at))
    }

    /// How long nothing may happen; `None`: as long as it likes.
    fn patience(&self) -> Option<Duration> {
        let awaits_answer = self.ledger.outstanding() > 0;
        match self.settings.protocol {
            Protocol::Udp if awaits_answer && !self.addresses.is_empty() => Some(ANSWER_TIMEOUT),
            _ if awaits_answer || self.input.is_terminal() || self.outgoing.is_some() => self.settings.timeout,
            _ => None,
        }
    }

    fn judge_deadline(&mut self, now: Instant) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        let Some(peer) = self.link.as_ref().map(Link::peer) else {
            return;
        };
        let awaits_answer = self.ledger.outstanding() > 0 || self.outgoing.is_some();
        match self.state {
            State::Connecting(_) => self.no_way(peer, &io::ErrorKind::TimedOut.into(), now),
            State::Talking if awaits_answer && !self.addresses.is_empty() => {
                self.no_way(peer, &io::Error::other("no answer"), now);
            }
            _ => {
                self.show_unfinished(now);
                let reason = if awaits_answer { "no reply in time" } else { "no input" };
                let protocol = self.settings.protocol;
                self.stage.journal.tell(&Event::TimedOut { protocol, peer, reason });
                if self.settings.quiet {
                    self.stage.complain(format_args!("timed out: {reason}"));
                }
                self.state = State::Failed;
            }
        }
    }

    fn end(&mut self) {
        self.state = State::Over;
    }

    /// Shows the beginning of a reply that never became whole.
    fn show_unfinished(&mut self, now: Instant) {
        let Chat { link: Some(link), settings, ledger, stage, .. } = self else {
            return;
        };
        if let Some(rest) = link.unfinished() {
            show(Reply::Wrong(rest), link.peer(), settings, ledger, stage, now);
        }
    }

    /// A signal ends it; what was found out so far counts.
    fn interrupt(&mut self, now: Instant) {
        self.show_unfinished(now);
        self.state = match self.state {
            State::Connecting(_) | State::Failed => State::Failed,
            State::Talking | State::Over => State::Over,
        };
    }

    fn fail(&mut self) {
        self.state = State::Failed;
    }

    /// What is left to say, and the exit code.
    fn conclude(mut self) -> u8 {
        let (sent, acknowledged) = (self.ledger.sent(), self.ledger.acknowledged());
        let code = self.exit_code();
        if sent == 0 && self.settings.protocol == Protocol::Udp && self.state == State::Over {
            self.stage.complain("nothing was sent, so nothing is known of the path");
        }
        if let Some(notice) = self.ledger.notice()
            && self.settings.quiet
            && code != exit::DONE
        {
            self.stage.complain(format_args!("the server said: {}", notice.text()));
        }
        let unsent = self.input.given() + usize::from(matches!(self.outgoing, Some(Outgoing::Unsent(_))));
        if unsent > 0 {
            self.stage.complain(format_args!("{unsent} of the messages given were not sent"));
        }
        if acknowledged < sent {
            let lacking = sent - acknowledged;
            self.stage.complain(format_args!("{lacking} of {sent} messages were not acknowledged"));
        }
        self.stage.journal.tell(&Event::Summary { sent, acknowledged });
        self.stage.finish();
        if self.stage.is_unread() || self.stage.is_lossy() { exit::FAILED } else { code }
    }

    /// Whether no input was left unsent; a person at a terminal has seen what was not taken.
    fn nothing_is_left(&mut self) -> bool {
        self.input.wake();
        self.outgoing.is_none()
            && (self.input_ended || self.input.is_terminal() || self.input.next_message() == Next::Ended)
    }

    fn exit_code(&mut self) -> u8 {
        let well = match (self.state, self.ledger.notice()) {
            (State::Over, Some(notice)) => notice == Notice::ShuttingDown && self.nothing_is_left(),
            (State::Over, None) => true,
            _ => false,
        };
        // Without a connection and without a message nothing is known.
        let known = self.settings.protocol == Protocol::Tcp || self.ledger.sent() > 0;
        if well && known && self.ledger.is_settled() { exit::DONE } else { exit::FAILED }
    }
}

/// Shows a reply and enters it into the ledger.
fn show(reply: Reply<'_>, peer: SocketAddr, settings: &Settings, ledger: &mut Ledger, stage: &mut Stage, now: Instant) {
    let Settings { protocol, framing, .. } = *settings;
    let bytes = match (reply, protocol) {
        (Reply::Ack, Protocol::Udp) => CHECK,
        _ => reply.text(),
    };
    let rtt = match ledger.receive(reply, now) {
        Meaning::LastWord => return stage.journal.tell(&Event::Notice { protocol, peer, text: bytes }),
        Meaning::Answer(rtt) => Some(rtt),
        Meaning::Surplus => {
            stage.complain("a reply came that answers no message");
            None
        }
    };
    stage.journal.tell(&Event::Reply { protocol, peer, framing, bytes, rtt });
}
