//! The talking: messages out, replies in, each entered into the ledger.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use super::{Chat, Outgoing, Phase, Settings, longest_message};
use crate::client::input::Typed;
use crate::client::ledger::{MOST_SURPLUS, Meaning};
use crate::client::stage::{Source, Stage};
use crate::connection::Pulled;
use crate::escape::{cause, shown};
use crate::reactor::Slice;
use crate::stdio::TERMINAL_LINE;
use crate::trace::{Counted, trace};
use crate::transcript::client::Event;
use crate::transcript::framing;
use crate::wire::{CHECK, Framing, Protocol, Reply, is_reply};

/// How far a slice of replies came.
enum Reach {
    Drained,
    CutOff,
    Ended,
    /// The last word has come, or more than anybody asked for.
    Enough,
    Broken(io::Error),
}

impl Chat {
    /// Where a person types and reads, says that a message can be typed.
    pub(super) fn prompt(&mut self) {
        if self.prompts {
            let first = std::mem::replace(&mut self.first_prompt, false);
            self.stage.journal.tell(&Event::Prompt { protocol: self.settings.protocol, first });
        }
    }

    /// Sends what may be sent: one message at a time, or as many as the window allows.
    pub(super) fn talk(&mut self, slice: &mut Slice<Source>) {
        let now = slice.now();
        while self.state == Phase::Talking && self.cannot_send.is_none() && self.stage.has_room() {
            let Some(link) = self.link.and_then(|key| self.links.get_mut(key)) else {
                return;
            };
            match link.flush() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return self.cannot_send(error, now),
            }
            if let Some(Outgoing::Unsent(message)) = &self.outgoing {
                match link.send(message) {
                    Ok(true) => self.sent(now),
                    Ok(false) => match link.await_room(&self.stage.reactor) {
                        Ok(()) => return,
                        Err(error) => return self.cannot_send(error, now),
                    },
                    Err(error) => return self.cannot_send(error, now),
                }
                continue;
            }
            if self.input_ended || self.ledger.outstanding() >= self.settings.window || !slice.budget.may_tell() {
                return;
            }
            slice.budget.spend(1);
            match self.input.next_message(&mut slice.budget) {
                Typed::Message(message) => self.take(message, now),
                Typed::TooLong(number, length) => self.refuse_line(number, length, now),
                Typed::Cut(number) => self.refuse_cut_line(number, now),
                Typed::NotYet => return,
                // There is more to read; others come first.
                Typed::Later => return self.stage.reactor.ask(Source::Console),
                Typed::Ended => return self.end_input(),
            }
        }
    }

    pub(super) fn take(&mut self, message: Vec<u8>, now: Instant) {
        trace!("  to be sent: a message of {}", Counted(message.len(), "byte"));
        self.progress = now;
        let Settings { protocol, framing, .. } = self.settings;
        if message.is_empty() && protocol == Protocol::Tcp && framing == Framing::Bytes {
            self.stage
                .complain("an empty line is skipped: bytes framing has nothing to send for it, --framing lines has");
            return;
        }
        if protocol == Protocol::Udp && is_reply(&message) {
            self.stage.complain(format_args!(
                "the message '{}' looks like a reply: a server answers such datagrams once a second at most",
                shown(&message)
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

    pub(super) fn refuse_line(&mut self, number: u64, length: u64, now: Instant) {
        self.progress = now;
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

    /// Half of what somebody pasted is no message.
    pub(super) fn refuse_cut_line(&mut self, number: u64, now: Instant) {
        self.progress = now;
        let Settings { protocol, framing, .. } = self.settings;
        let sides = match longest_message(protocol, framing) <= TERMINAL_LINE {
            true => ", with --framing lines on both sides",
            false => "",
        };
        self.stage.complain(format_args!(
            "line {number} is not sent: the terminal cuts a line at {TERMINAL_LINE} bytes, so its end may be missing; \
             a pipe or a file brings it whole{sides}"
        ));
        self.ledger.mark();
    }

    pub(super) fn end_input(&mut self) {
        self.input_ended = true;
        if let Some(error) = self.input.error() {
            self.stage.fail(format_args!("cannot read the standard input: {}", cause(error)));
            self.ledger.mark();
        }
        if self.ledger.outstanding() == 0 {
            self.end();
        } else if let Some(link) = self.link() {
            link.half_close();
        }
    }

    /// A slice of the replies that have come, as long as stdout takes them.
    pub(super) fn receive(&mut self, slice: &mut Slice<Source>) {
        // The exercise, 2: the server has ended, and the one who types does not know. Here it is read while nothing is typed.
        let now = slice.now();
        if !self.stage.has_room() {
            return;
        }
        let Some(link) = self.link.and_then(|key| self.links.get_mut(key)) else {
            return;
        };
        let outstanding = self.ledger.outstanding();
        let mut listening = link.listen(&mut self.buffer, &mut slice.budget);
        let mut is_wrong = false;
        let outcome = loop {
            match listening.pull() {
                Ok(Pulled::Item(reply)) => {
                    is_wrong |= matches!(reply, Reply::Wrong(_));
                    let meaning = self.ledger.receive(reply, now);
                    show(&mut self.stage, &self.settings, self.route.peer(), reply, meaning);
                    if self.ledger.notice().is_some() || self.ledger.surplus() > MOST_SURPLUS {
                        break Reach::Enough;
                    }
                }
                Ok(Pulled::Part | Pulled::TooLong) => {}
                Ok(Pulled::Drained) => break Reach::Drained,
                Ok(Pulled::CutOff) => break Reach::CutOff,
                Ok(Pulled::Ended) => break Reach::Ended,
                // What has its answer is not lost any more.
                Err(_) if self.settings.protocol == Protocol::Udp && self.ledger.outstanding() == 0 => {}
                Err(error) => break Reach::Broken(error),
            }
        };
        drop(listening);
        if is_wrong {
            self.look_at_framing(false);
        }
        if self.ledger.outstanding() < outstanding {
            self.answered(now);
        }
        match outcome {
            Reach::Enough if self.ledger.notice().is_some() => self.end(),
            Reach::Enough => self.fail(),
            _ if self.state != Phase::Talking => {}
            Reach::CutOff => {}
            Reach::Drained => {
                if let Some(error) = self.cannot_send.take() {
                    self.broken(&error, now);
                }
            }
            Reach::Ended => self.closed(),
            Reach::Broken(error) => self.broken(&error, now),
        }
    }

    pub(super) fn answered(&mut self, now: Instant) {
        self.progress = now;
        self.answered_at = now;
        self.route.settle();
        if matches!(self.outgoing, Some(Outgoing::Sent(_))) {
            self.outgoing = None;
        }
        if self.input_ended && self.ledger.outstanding() == 0 {
            self.end();
        } else if self.settings.protocol == Protocol::Udp {
            self.prompt();
        }
    }

    /// Says once that the framing may be another one there: what came back shows it, or it was awaited `in_vain`.
    pub(super) fn look_at_framing(&mut self, in_vain: bool) {
        let own = self.settings.framing;
        let Some(link) = self.link().filter(|link| link.is_stream()) else {
            return;
        };
        let sentence = match link.other_framing() {
            Some(theirs) => framing::other(own, theirs),
            None if in_vain && link.is_mute() => framing::question(own),
            None => return,
        };
        if !std::mem::replace(&mut self.said_framing, true) {
            // What it is about was told before.
            self.stage.journal.flush();
            self.stage.fail(sentence);
        }
    }

    /// Shows the beginning of a reply that never became whole.
    pub(super) fn show_unfinished(&mut self, now: Instant) {
        let Some(link) = self.link.and_then(|key| self.links.get_mut(key)) else {
            return;
        };
        if let Some(rest) = link.unfinished() {
            let reply = Reply::Wrong(rest);
            let meaning = self.ledger.receive(reply, now);
            show(&mut self.stage, &self.settings, self.route.peer(), reply, meaning);
        }
    }
}

/// Shows a reply, unless it is one too many.
fn show(stage: &mut Stage, settings: &Settings, peer: SocketAddr, reply: Reply<'_>, meaning: Meaning) {
    let Settings { protocol, framing, .. } = *settings;
    let message = match (reply, protocol) {
        (Reply::Ack, Protocol::Udp) => CHECK.into(),
        _ => reply.message(),
    };
    let rtt = match meaning {
        Meaning::LastWord => return stage.journal.tell(&Event::Notice { protocol, peer, text: message.text }),
        Meaning::Answer(rtt) => Some(rtt),
        Meaning::Surplus(count) if count > MOST_SURPLUS => return,
        Meaning::Surplus(count) => {
            if count == 1 {
                stage.complain("a reply came that answers no message");
            }
            None
        }
    };
    stage.journal.tell(&Event::Reply { protocol, peer, framing, message, rtt });
}
