//! The talking: messages out, replies in, each entered into the ledger.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Chat, Outgoing, Settings, State, longest_message};
use crate::client::input::Next;
use crate::client::ledger::{Ledger, Meaning};
use crate::client::link::Received;
use crate::client::stage::Stage;
use crate::escape::cause;
use crate::reactor::{Ready, Source};
use crate::transcript::client::Event;
use crate::wire::{CHECK, Framing, Protocol, Reply, is_reply};

/// Messages sent or lines skipped in one turn.
const MESSAGES_PER_TURN: usize = 1024;
/// Reads in one turn.
const READS_PER_TURN: usize = 16;

impl Chat {
    /// Where a person types and reads, says that a message can be typed.
    pub(super) fn prompt(&mut self) {
        if self.prompts {
            let first = std::mem::replace(&mut self.first_prompt, false);
            self.stage.journal.tell(&Event::Prompt { protocol: self.settings.protocol, first });
        }
    }

    /// Sends what may be sent: one message at a time, or as many as the window allows.
    pub(super) fn talk(&mut self, now: Instant) {
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

    pub(super) fn take(&mut self, message: Vec<u8>, now: Instant) {
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

    pub(super) fn sent(&mut self, now: Instant) {
        self.ledger.send(now);
        self.progress = now;
        self.outgoing = match self.outgoing.take() {
            Some(Outgoing::Unsent(message)) if self.settings.protocol == Protocol::Udp => Some(Outgoing::Sent(message)),
            _ => None,
        };
    }

    pub(super) fn refuse_line(&mut self, number: u64, length: u64) {
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

    pub(super) fn end_input(&mut self) {
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
    pub(super) fn receive(&mut self, ready: Ready, now: Instant) {
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

    pub(super) fn answered(&mut self, now: Instant) {
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

    /// Shows the beginning of a reply that never became whole.
    pub(super) fn show_unfinished(&mut self, now: Instant) {
        let Chat { link: Some(link), settings, ledger, stage, .. } = self else {
            return;
        };
        if let Some(rest) = link.unfinished() {
            show(Reply::Wrong(rest), link.peer(), settings, ledger, stage, now);
        }
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
