//! The ending: how long anything is awaited, and what it all came to.

use std::io;
use std::time::{Duration, Instant};

use super::{Chat, Outgoing, Phase};
use crate::client::input::Typed;
use crate::client::ledger::MOST_SURPLUS;
use crate::client::stage::Source;
use crate::error::exit;
use crate::transcript::client::Event;
use crate::wire::{Notice, Protocol};

impl Chat {
    /// When the next wait must end.
    pub(super) fn deadline(&mut self) -> Option<Instant> {
        match self.state {
            Phase::Connecting(until) => until,
            // While stdout is stalled nothing is read, and nobody is late.
            Phase::Talking if self.stage.has_room() => self.waiting_since().checked_add(self.patience()?),
            Phase::Talking | Phase::Over | Phase::Failed => None,
        }
    }

    /// Since when what is awaited has been awaited: an answer, or a word of the person.
    pub(super) fn waiting_since(&self) -> Instant {
        self.ledger.oldest().map_or(self.progress, |sent| sent.max(self.answered_at))
    }

    /// How long nothing may happen; `None`: as long as it likes.
    pub(super) fn patience(&self) -> Option<Duration> {
        let awaits_answer = self.ledger.outstanding() > 0;
        match self.settings.protocol {
            Protocol::Udp if awaits_answer => self.route.patience(self.settings.timeout),
            _ if awaits_answer || self.input.is_terminal() || self.outgoing.is_some() => self.settings.timeout,
            _ => None,
        }
    }

    pub(super) fn judge_deadline(&mut self, now: Instant) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        let peer = self.route.peer();
        let awaits_answer = self.ledger.outstanding() > 0 || self.outgoing.is_some();
        match self.state {
            Phase::Connecting(_) => self.no_way(&io::ErrorKind::TimedOut.into(), now),
            Phase::Talking if awaits_answer && self.route.has_others() => {
                self.no_way(&io::Error::other("no answer"), now);
            }
            _ => {
                self.show_unfinished(now);
                self.look_at_framing(awaits_answer);
                let reason = if awaits_answer { "no reply in time" } else { "no input" };
                let protocol = self.settings.protocol;
                self.stage.journal.tell(&Event::TimedOut { protocol, peer, reason });
                if self.settings.quiet {
                    self.stage.fail(format_args!("timed out: {reason}"));
                }
                self.state = Phase::Failed;
            }
        }
    }

    pub(super) fn end(&mut self) {
        self.state = Phase::Over;
    }

    /// A signal ends it; what was found out so far counts.
    pub(super) fn interrupt(&mut self, now: Instant) {
        self.show_unfinished(now);
        self.look_at_framing(false);
        self.state = match self.state {
            Phase::Connecting(_) | Phase::Failed => Phase::Failed,
            Phase::Talking | Phase::Over => Phase::Over,
        };
    }

    pub(super) fn fail(&mut self) {
        self.state = Phase::Failed;
    }

    /// What is left to say, and the exit code.
    pub(super) fn conclude(mut self) -> u8 {
        let (sent, acknowledged) = (self.ledger.sent(), self.ledger.acknowledged());
        let code = self.exit_code();
        self.stage.flush();
        let is_read = self.stage.judge_stdout().is_none();
        if sent == 0 && self.settings.protocol == Protocol::Udp && self.state == Phase::Over {
            self.stage.fail("nothing was sent, so nothing is known of the path");
        }
        if let Some(notice) = self.ledger.notice()
            && self.settings.quiet
            && code != exit::DONE
        {
            self.stage.fail(format_args!("the server said: {}", notice.text()));
        }
        let interrupted = self.stage.is_interrupted();
        let left = match self.unsent() {
            0 => (interrupted && self.input.has_line())
                .then(|| "not all that was read of the standard input was sent".to_owned()),
            unsent => Some(format!("{unsent} of the messages given were not sent")),
        };
        match left {
            // An interrupt is no error.
            Some(left) if interrupted => self.stage.complain(left),
            // What was sent was acknowledged, perhaps: nothing else on stdout tells it.
            Some(left) => self.stage.fail(left),
            None => {}
        }
        // Where stdout is to blame, the path is not.
        if acknowledged < sent && is_read {
            let lacking = sent - acknowledged;
            self.stage.complain(format_args!("{lacking} of {sent} messages were not acknowledged"));
        }
        match self.ledger.surplus() {
            ..=1 => {}
            most @ ..=MOST_SURPLUS => self.stage.complain(format_args!("{most} replies came that answer no message")),
            more => self.stage.fail(format_args!(
                "the server sent {more} replies more than were asked for: the connection is given up"
            )),
        }
        self.stage.journal.tell(&Event::Summary { sent, acknowledged });
        let code = self.stage.conclude(code);
        // Behind the end of the input it is typed for the shell, and so it is behind a signal: there only the prompt is to
        // begin on a line of its own.
        if self.input.is_terminal() && !self.input_ended {
            match self.stage.is_interrupted() {
                true => self.stage.leave_typing(),
                false => self.stage.discard_typing(),
            }
        }
        code
    }

    /// How many of the messages given, with the one that was taken last, were not sent.
    fn unsent(&self) -> usize {
        self.input.given() + usize::from(matches!(self.outgoing, Some(Outgoing::Unsent(_))))
    }

    /// Whether no input was left unsent; a person at a terminal has seen what was not taken.
    pub(super) fn nothing_is_left(&mut self) -> bool {
        // What was given is counted afterwards, so none is taken.
        if self.input.given() > 0 {
            return false;
        }
        self.input.wake();
        let mut slice = self.stage.reactor.last_slice(Source::Console);
        self.outgoing.is_none()
            && (self.input_ended
                || self.input.is_terminal()
                || self.input.next_message(&mut slice.budget) == Typed::Ended)
    }

    pub(super) fn exit_code(&mut self) -> u8 {
        let well = match (self.state, self.ledger.notice()) {
            (Phase::Over, Some(notice)) => notice == Notice::ShuttingDown && self.nothing_is_left(),
            // An interrupt may leave some; otherwise the input has ended.
            (Phase::Over, None) => self.unsent() == 0 && !self.input.has_line(),
            _ => false,
        };
        // Without a connection and without a message nothing is known.
        let known = self.settings.protocol == Protocol::Tcp || self.ledger.sent() > 0;
        match well && known && self.ledger.is_settled() {
            true => exit::DONE,
            // That says nothing of the path.
            false if self.route.was_short() => exit::UNTRIED,
            false => exit::FAILED,
        }
    }
}
