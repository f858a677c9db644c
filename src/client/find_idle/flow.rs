//! One flow: a word, a silence, a word.

use std::io;
use std::time::{Duration, Instant};

use super::bracket::{Cut, Signs};
use crate::client::link::{Answer, Heard, Link};
use crate::connection::is_reset;
use crate::escape::cause;
use crate::process::limits::Shortage;
use crate::reactor::Budget;
use crate::transcript::instrument::Cause;

/// What is said before the silence and after it.
const WORD: &[u8] = b"hello";
/// A word without an answer is said so often (UDP) or waited for so much longer (TCP, which says it again by itself).
const TRIES: u32 = 3;

/// Where a flow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    /// It is being connected.
    Connecting,
    /// The first word was said; its answer shows that the path is open.
    Opening,
    /// It is silent, since its last answer was seen.
    Silent,
    /// The word behind the silence was said.
    Asking,
    /// That was answered: so much silence was survived, which may be more than was planned: we may have been suspended.
    Survived(Duration),
    /// It was cut.
    Cut(Cut),
    /// It never stood.
    Failed,
}

#[derive(Debug)]
pub(super) struct Flow {
    pub(super) link: Option<Link>,
    /// How long it is to be silent.
    pub(super) silence: Duration,
    pub(super) state: Trial,
    pub(super) signs: Signs,
    /// Since when it stands there ...
    since: Instant,
    /// ... and which try it is.
    tries: u32,
    /// Replies that answered nothing.
    pub(super) surplus: u64,
    /// Why nothing more can be said, while what had come before is still to be read.
    cannot_send: Option<io::Error>,
}

/// How a flow ended, and why, in a few words.
#[derive(Debug)]
pub(super) struct End {
    pub(super) cause: Cause,
    pub(super) why: String,
}

impl End {
    pub(super) fn of(error: &io::Error) -> End {
        let kind = if is_reset(error) { Cause::Reset } else { Cause::Closed };
        End { cause: kind, why: cause(error) }
    }
}

/// What one slice brought.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) answers: Vec<Answer>,
    pub(super) end: Option<End>,
    /// What we lack ourselves: the flow cannot be tried.
    pub(super) shortage: Option<io::Error>,
}

impl Flow {
    /// A flow that is to be silent for so long; without a link it has failed.
    pub(super) fn new(link: Option<Link>, silence: Duration, now: Instant) -> Flow {
        Flow {
            link,
            silence,
            state: Trial::Failed,
            signs: Signs::new(now),
            since: now,
            tries: 1,
            surplus: 0,
            cannot_send: None,
        }
    }

    pub(super) fn enter(&mut self, state: Trial, now: Instant) {
        self.state = state;
        self.since = now;
        self.tries = 1;
        if matches!(state, Trial::Survived(_) | Trial::Cut(_) | Trial::Failed) {
            self.link = None;
        }
    }

    /// Whether it is still to show that the path is open.
    pub(super) fn is_opening(&self) -> bool {
        matches!(self.state, Trial::Connecting | Trial::Opening)
    }

    /// Whether it awaits an answer.
    pub(super) fn is_waiting(&self) -> bool {
        self.is_opening() || self.state == Trial::Asking
    }

    pub(super) fn is_decided(&self) -> bool {
        self.link.is_none()
    }

    /// Notes the first reason for which a flow did not stand.
    pub(super) fn blame(&self, trouble: &mut Option<String>, why: &str) {
        if self.is_opening() {
            trouble.get_or_insert_with(|| why.to_owned());
        }
    }

    /// Its answer was seen: the silence begins.
    pub(super) fn fall_silent(&mut self, now: Instant) {
        self.signs.heard = now;
        self.enter(Trial::Silent, now);
    }

    /// It ended, visibly: the cut is timed when it is seen.
    pub(super) fn end(&mut self, cause: Cause, now: Instant) {
        match self.state {
            Trial::Silent | Trial::Asking => {
                self.enter(Trial::Cut(Cut { silence: self.signs.cut(now), cause, seen: now }), now);
            }
            Trial::Connecting | Trial::Opening => self.enter(Trial::Failed, now),
            Trial::Survived(_) | Trial::Cut(_) | Trial::Failed => {}
        }
    }

    /// Its word was not answered: it was cut, if it is known that the path was alive later than its last try.
    pub(super) fn give_up(&mut self, alive: Option<Instant>, now: Instant) {
        let seen = self.signs.spoke;
        if let Some(silence) = self.signs.forgotten().filter(|_| alive >= Some(seen)) {
            self.enter(Trial::Cut(Cut { silence, cause: Cause::Silent, seen }), now);
        }
    }

    /// Says a word, the first or the one behind the silence.
    ///
    /// # Errors
    /// A shortage of our own keeps it from being said: the silence then tells nothing.
    pub(super) fn say(&mut self, state: Trial) -> io::Result<()> {
        // The clock is read before the writing, so that no far end has the word sooner.
        let now = Instant::now();
        self.enter(state, now);
        match state {
            Trial::Opening => self.signs.said = now,
            _ => self.signs.asked = now,
        }
        self.write(now)
    }

    /// The same word once more, by a socket of its own where there is a new one, so that what answers it answers no
    /// earlier one.
    ///
    /// # Errors
    /// As [`Flow::say`].
    pub(super) fn say_again(&mut self, fresh: Option<Link>) -> io::Result<()> {
        let now = Instant::now();
        if self.state == Trial::Opening && fresh.is_some() {
            self.signs.said = now;
        }
        self.link = fresh.or(self.link.take());
        self.write(now)
    }

    fn write(&mut self, now: Instant) -> io::Result<()> {
        self.signs.spoke = now;
        match self.link.as_mut().map(|link| link.send(WORD)) {
            Some(Err(error)) if Shortage::is(&error) => {
                self.enter(Trial::Failed, now);
                Err(error)
            }
            Some(Err(error)) => {
                self.cannot_send = Some(error);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether it must be listened to though no event says so: it cannot be written to any more.
    pub(super) fn is_broken(&self) -> bool {
        self.cannot_send.is_some()
    }

    /// What it has to say, in one slice. The clock is to be read behind it.
    pub(super) fn listen(&mut self, buffer: &mut [u8], budget: &mut Budget) -> News {
        let mut news = News::default();
        if self.state == Trial::Connecting {
            match self.link.as_ref().map(Link::is_established) {
                Some(Ok(true)) => news.shortage = self.say(Trial::Opening).err(),
                Some(Ok(false)) => return news,
                Some(Err(error)) => news.end = Some(End::of(&error)),
                None => {}
            }
        }
        let is_waiting = self.is_waiting();
        let Some(link) = self.link.as_mut().filter(|_| news.end.is_none()) else {
            return news;
        };
        let heard = loop {
            let heard = link.hear(buffer, budget, &mut news.answers);
            // Over UDP it is news of a word; where none is out, it is of none of ours.
            if heard.is_ok() || link.is_stream() || (is_waiting && !news.answers.contains(&Answer::Ack)) {
                break heard;
            }
        };
        news.end = match (heard, self.cannot_send.take()) {
            (Ok(Heard::CutOff), earlier) => {
                self.cannot_send = earlier;
                None
            }
            (Ok(_), Some(earlier)) => Some(End::of(&earlier)),
            (Ok(Heard::Drained), None) => None,
            (Ok(Heard::Ended), None) => Some(End { cause: Cause::Closed, why: "closed".to_owned() }),
            (Err(error), _) => Some(End::of(&error)),
        };
        news
    }

    /// When its silence or its try is over; `None` where it has none, or waits for no more than the path's sign of life.
    pub(super) fn due(&self, timeout: Duration) -> Option<Instant> {
        match self.state {
            Trial::Silent => self.signs.heard.checked_add(self.silence),
            _ if self.is_waiting() => self.since.checked_add(timeout.checked_mul(self.tries)?),
            _ => None,
        }
    }

    /// Its try is over; whether there is another.
    pub(super) fn next_try(&mut self) -> bool {
        let may = self.tries < TRIES;
        self.tries += u32::from(may);
        may
    }

    /// Whether the last try is over at `now`.
    pub(super) fn is_overdue(&self, timeout: Duration, now: Instant) -> bool {
        self.is_waiting() && self.tries >= TRIES && self.due(timeout).is_some_and(|due| due <= now)
    }
}
