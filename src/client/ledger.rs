//! Who owes what: messages sent, messages acknowledged, and which reply is for which.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::wire::{Notice, Reply};

/// So many replies more than were asked for are borne with; a server that goes on is given up.
pub const MOST_SURPLUS: u64 = 16;

/// The account of one conversation.
#[derive(Debug, Default)]
pub struct Ledger {
    /// When each message was sent that is not answered yet, oldest first.
    outstanding: VecDeque<Instant>,
    sent: u64,
    acknowledged: u64,
    /// Something besides missing acknowledgements went wrong.
    flawed: bool,
    /// Replies that answered nothing.
    surplus: u64,
    answered: bool,
    notice: Option<Notice>,
}

/// What a reply meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It answers a message that was sent so long ago.
    Answer(Duration),
    /// It answers nothing; how many have come by now that do not.
    Surplus(u64),
    /// It is the server's last word.
    LastWord,
}

impl Ledger {
    /// A message goes out.
    pub fn send(&mut self, now: Instant) {
        self.sent += 1;
        self.outstanding.push_back(now);
    }

    /// The message outstanding goes out again, another way.
    pub fn take_back(&mut self) {
        self.sent -= u64::from(self.outstanding.pop_back().is_some());
    }

    /// A reply came in.
    pub fn receive(&mut self, reply: Reply<'_>, now: Instant) -> Meaning {
        if let Reply::Notice(notice) = reply {
            self.notice = Some(notice);
            return Meaning::LastWord;
        }
        self.answered = true;
        let Some(sent) = self.outstanding.pop_front() else {
            self.flawed = true;
            self.surplus += 1;
            return Meaning::Surplus(self.surplus);
        };
        self.acknowledged += u64::from(reply == Reply::Ack);
        Meaning::Answer(now.saturating_duration_since(sent))
    }

    /// Something went wrong that the exit code must tell.
    pub fn mark(&mut self) {
        self.flawed = true;
    }

    /// Replies that answered nothing.
    pub fn surplus(&self) -> u64 {
        self.surplus
    }

    /// Messages sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Messages acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Messages that are not answered yet.
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// When the oldest message was sent that is not answered yet.
    pub fn oldest(&self) -> Option<Instant> {
        self.outstanding.front().copied()
    }

    /// Whether anything was ever answered.
    pub fn is_answered(&self) -> bool {
        self.answered
    }

    /// The server's last word, if it has said it.
    pub fn notice(&self) -> Option<Notice> {
        self.notice
    }

    /// Whether every message was sent and acknowledged, and nothing else went wrong.
    pub fn is_settled(&self) -> bool {
        self.acknowledged == self.sent && !self.flawed
    }
}
