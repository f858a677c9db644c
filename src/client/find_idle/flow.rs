//! One flow: a word, a silence, a word.

use std::io;
use std::time::{Duration, Instant};

use crate::client::link::Link;
use crate::connection::is_reset;
use crate::process::limits::Shortage;
use crate::transcript::instrument::Cause;

/// What is said before the silence and after it.
const WORD: &[u8] = b"hello";

/// Where a flow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    /// It is being connected.
    Connecting,
    /// The first word was said; its answer shows that the path is open.
    Opening,
    /// It is silent, since its first word was answered.
    Silent,
    /// The last word was said after so much silence, which may be more than was planned: we may have been suspended.
    Asking(Duration),
    /// Its silence was survived.
    Survived,
    /// It was cut after so much silence.
    Cut(Duration, Cause),
    /// It never stood.
    Failed,
}

#[derive(Debug)]
pub(super) struct Flow {
    pub(super) link: Option<Link>,
    pub(super) silence: Duration,
    pub(super) state: Trial,
    /// Since when it stands there.
    pub(super) since: Instant,
    /// When its silence began.
    pub(super) silent_since: Instant,
    pub(super) tries: u32,
    /// Replies that answered nothing.
    pub(super) surplus: u64,
}

impl Flow {
    /// A flow that is to be silent for so long; without a link it has failed.
    pub(super) fn new(link: Option<Link>, silence: Duration, now: Instant) -> Flow {
        Flow { link, silence, state: Trial::Failed, since: now, silent_since: now, tries: 1, surplus: 0 }
    }

    pub(super) fn enter(&mut self, state: Trial, now: Instant) {
        self.state = state;
        self.since = now;
        self.tries = 1;
        if matches!(state, Trial::Survived | Trial::Cut(..) | Trial::Failed) {
            self.link = None;
        }
    }

    /// Whether it is still to show that the path is open.
    pub(super) fn is_opening(&self) -> bool {
        matches!(self.state, Trial::Connecting | Trial::Opening)
    }

    /// Notes the first reason for which a flow did not stand.
    pub(super) fn blame(&self, trouble: &mut Option<String>, why: &str) {
        if self.is_opening() {
            trouble.get_or_insert_with(|| why.to_owned());
        }
    }

    pub(super) fn is_decided(&self) -> bool {
        self.link.is_none()
    }

    /// It ended, visibly: the cut is timed when it is seen.
    pub(super) fn end(&mut self, cause: Cause, now: Instant) {
        match self.state {
            Trial::Silent | Trial::Asking(_) => {
                self.enter(Trial::Cut(now.saturating_duration_since(self.silent_since), cause), now);
            }
            Trial::Connecting | Trial::Opening => self.enter(Trial::Failed, now),
            Trial::Survived | Trial::Cut(..) | Trial::Failed => {}
        }
    }

    /// Says a word, the first or the last. Returns the shortage of our own that kept it from being said: the silence
    /// then tells nothing.
    #[must_use]
    pub(super) fn say(&mut self, state: Trial, now: Instant) -> Option<io::Error> {
        self.enter(state, now);
        self.say_again(now)
    }

    /// The same word once more.
    #[must_use]
    pub(super) fn say_again(&mut self, now: Instant) -> Option<io::Error> {
        let error = self.link.as_mut()?.send(WORD).err()?;
        if Shortage::is(&error) {
            self.enter(Trial::Failed, now);
            return Some(error);
        }
        self.end(cause_of(&error), now);
        None
    }
}

/// What an error says of the end of a silence.
pub(super) fn cause_of(error: &io::Error) -> Cause {
    if is_reset(error) { Cause::Reset } else { Cause::Closed }
}
