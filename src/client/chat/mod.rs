//! The chat: stdin and the socket in one loop, each message acknowledged before the next.
//!
//! It ends exactly when it should: when stdin has ended and every message is
//! acknowledged, at once when the server closes, or when what is awaited does
//! not come in time.

mod ending;
mod talk;
mod way;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::client::input::Input;
use crate::client::ledger::Ledger;
use crate::client::link::Link;
use crate::client::origin::Origin;
use crate::client::route::Route;
use crate::client::stage::{Source, Stage};
use crate::connection::buffer;
use crate::error::Error;
use crate::process::signals::Signal;
use crate::reactor::{Key, Slice, Slots};
use crate::wire::{Framing, LONGEST_DATAGRAM, LONGEST_MESSAGE, Protocol};

/// The longest message in `bytes` framing: what one read of the other side is sure to take.
pub const LONGEST_BYTES: usize = 1024;

/// What the command line asks of a chat.
#[derive(Clone, Debug)]
pub struct Settings {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// How TCP streams are cut into messages.
    pub framing: Framing,
    /// Where the sockets leave from, and how they are marked.
    pub origin: Origin,
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
enum Phase {
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
    route: Route,
    /// One at most: an event of the one before is no news of this one.
    links: Slots<Link>,
    link: Option<Key>,
    /// Why nothing can be sent any more, while what had arrived is still being read.
    cannot_send: Option<io::Error>,
    state: Phase,
    buffer: Box<[u8]>,
    ledger: Ledger,
    outgoing: Option<Outgoing>,
    input_ended: bool,
    /// That the framing may be another one there was said.
    said_framing: bool,
    /// When last something was typed, sent or answered.
    progress: Instant,
    /// When last something was answered.
    answered_at: Instant,
    prompts: bool,
    first_prompt: bool,
    /// stdout takes nothing, so nothing is read.
    is_stalled: bool,
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
            input,
            route: Route::new(settings.protocol, settings.framing, settings.origin.clone(), addresses),
            links: Slots::new(),
            link: None,
            cannot_send: None,
            state: Phase::Talking,
            buffer: buffer(),
            ledger: Ledger::default(),
            outgoing: None,
            input_ended: false,
            said_framing: false,
            progress: Instant::now(),
            answered_at: Instant::now(),
            first_prompt: true,
            is_stalled: false,
            settings,
        })
    }

    /// Talks until it is over. Returns the exit code.
    ///
    /// # Errors
    /// The poll keeps failing.
    pub fn run(mut self) -> Result<u8, Error> {
        self.first_address(Instant::now());
        self.talk_on();
        while matches!(self.state, Phase::Connecting(_) | Phase::Talking) {
            self.is_stalled = !self.stage.has_room();
            let deadline = self.deadline();
            let now = self.stage.next_turn(deadline)?;
            if self.is_stalled {
                // Nothing was read meanwhile, so nobody is late.
                (self.progress, self.answered_at) = (now, now);
            }
            while let Some(mut slice) = self.stage.next_slice() {
                self.serve(&mut slice);
                self.stage.reactor.put_back(slice);
            }
            self.talk_on();
            self.judge_deadline(now);
            if self.stage.is_unread() {
                self.fail();
            }
        }
        Ok(self.conclude())
    }

    fn serve(&mut self, slice: &mut Slice<Source>) {
        match slice.source() {
            Source::Signals => {
                if self.stage.signals().contains(&Signal::Continue) {
                    // The terminal may be ours to read now.
                    self.input.wake();
                }
                if self.stage.is_interrupted() {
                    self.interrupt(slice.now());
                }
            }
            Source::Console => self.input.wake(),
            // stdout takes lines again: what was left unread for that reason is read now.
            Source::Screen => {
                self.stage.heed(Source::Screen);
                if self.is_stalled {
                    self.ask_link();
                }
            }
            Source::Link(key) if Some(key) == self.link => match self.state {
                Phase::Connecting(_) => self.check_connection(slice),
                Phase::Talking => self.receive(slice),
                Phase::Over | Phase::Failed => {}
            },
            Source::Diagnostics => self.stage.heed(Source::Diagnostics),
            Source::Link(_) | Source::Alarm | Source::Lookup => {}
        }
    }

    /// Sends what may be sent: an answer, a connection, a line may have made way for it.
    fn talk_on(&mut self) {
        if let Some(mut slice) = self.stage.reactor.due_slice(Source::Console) {
            self.talk(&mut slice);
            self.stage.reactor.put_back(slice);
        }
    }

    /// Reads from the server again, without an event.
    fn ask_link(&mut self) {
        if let Some(key) = self.link {
            self.stage.reactor.ask(Source::Link(key));
        }
    }

    fn link(&mut self) -> Option<&mut Link> {
        self.links.get_mut(self.link?)
    }
}
