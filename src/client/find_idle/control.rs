//! The flow that keeps talking: while it is answered the path is alive, and what ends meanwhile ends for its silence.
//!
//! It is never silent for long: for an eighth of what the others have been at the most. An end of the others counts when
//! a word said later is answered. Where it ends itself, that is the path's end, unless it had been as silent as the
//! others: then we stood still, or the timeout is shorter than anything we can tell, and a new one is to show which.

use std::io;
use std::time::{Duration, Instant};

use super::FindIdle;
use super::flow::{End, Flow, News, Trial};
use crate::client::ledger::MOST_SURPLUS;
use crate::client::link::Answer;
use crate::error::exit;
use crate::process::limits::Shortage;
use crate::reactor::Key;
use crate::transcript::instrument::Cause;
use crate::wire::{Notice, Protocol};

/// From one word to the next: at the least, ...
const SHORTEST: Duration = Duration::from_millis(10);
/// ... at the most, ...
const LONGEST: Duration = Duration::from_secs(1);
/// ... and this part of the time for which it has talked.
const PART: u32 = 8;
/// No far end is exact: what differs by less tells nothing.
const SLACK: Duration = Duration::from_millis(250);

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Control {
    /// Where it is; nowhere before it is opened and after it ended.
    key: Option<Key>,
    /// Since when it talks.
    stood: Option<Instant>,
    /// A word was answered that was said then, or later.
    pub(super) alive: Option<Instant>,
    /// Since when only the answer of a new one shows that the path still stands.
    doubt: Option<Instant>,
    /// When the last one was opened.
    opened: Option<Instant>,
    /// Whether the far end cuts without being spoken to, so that what was not seen to end has not ended.
    pub(super) tells: bool,
    /// What kept us from opening one when it was needed.
    pub(super) shortage: Option<io::Error>,
    /// When the path broke, and how that showed.
    pub(super) broke: Option<(Instant, String)>,
}

impl Control {
    /// Whether it is the flow of this key.
    pub(super) fn is(&self, key: Key) -> bool {
        self.key == Some(key)
    }

    /// The path broke at `at`.
    pub(super) fn break_off(&mut self, at: Instant, why: &str) {
        self.broke.get_or_insert_with(|| (at, why.to_owned()));
    }

    /// How long it may be silent at `now`.
    fn interval(&self, now: Instant) -> Duration {
        let talked = self.stood.map_or(Duration::ZERO, |stood| now.saturating_duration_since(stood));
        (talked / PART).clamp(SHORTEST, LONGEST)
    }

    /// It ended after it was silent for `own` at the most, which others were for `quiet` without being cut.
    fn judge(&mut self, at: Instant, own: Duration, quiet: Duration, why: &str) {
        match self.doubt {
            Some(since) => self.break_off(since, why),
            // Without room for it there is none until it is needed.
            None if self.stood.is_none() => {}
            None if own * 2 + SLACK <= quiet => self.break_off(at, why),
            None => self.doubt = Some(at),
        }
    }
}

impl FindIdle {
    /// Opens it. It is the first to go without.
    pub(super) fn open_control(&mut self) {
        let now = Instant::now();
        let (route, reactor) = (&self.route, &self.stage.reactor);
        let opened = self.flows.insert_with(|key| Ok(Flow::new(Some(route.open(key, reactor)?), Duration::ZERO, now)));
        self.control.opened = Some(now);
        self.control.stood = None;
        let shortage = match opened {
            Ok(key) => {
                self.control.key = Some(key);
                self.begin(key)
            }
            Err(error) => Some(error),
        };
        if let Some(error) = shortage {
            self.lack_control(error, now);
        }
    }

    fn lack_control(&mut self, error: io::Error, now: Instant) {
        self.close_control();
        match Shortage::is(&error) {
            true => self.control.shortage = self.control.doubt.map(|_| error),
            false => self.control.judge(now, Duration::ZERO, Duration::ZERO, &End::of(&error).why),
        }
    }

    fn close_control(&mut self) -> Option<Flow> {
        self.flows.remove(self.control.key.take()?)
    }

    /// What it brought, which was seen at `now`.
    pub(super) fn heed_control(&mut self, key: Key, news: News, now: Instant) {
        if let Some(error) = news.shortage {
            return self.lack_control(error, now);
        }
        for answer in news.answers {
            let Some(flow) = self.flows.get_mut(key) else {
                return;
            };
            match (flow.state, answer) {
                (Trial::Opening | Trial::Asking, Answer::Ack) => {
                    let said = flow.signs.spoke;
                    flow.signs.said = said;
                    flow.fall_silent(now);
                    self.control.stood.get_or_insert(now);
                    self.come_alive(said, now);
                }
                (Trial::Silent, Answer::Ack | Answer::Wrong) => {
                    flow.surplus += 1;
                    if flow.surplus > MOST_SURPLUS {
                        return drop(self.close_control());
                    }
                }
                (_, Answer::Notice(Notice::ShuttingDown)) if !flow.is_opening() || self.control.doubt.is_some() => {
                    return self.control.break_off(now, Notice::ShuttingDown.text());
                }
                // Who has no room for it, or cuts it, is there.
                (_, Answer::Notice(notice)) => {
                    let opened = self.control.opened.filter(|_| flow.is_opening());
                    if let Some(opened) = opened.filter(|_| notice != Notice::ShuttingDown) {
                        self.come_alive(opened, now);
                    } else {
                        self.control.doubt = self.control.stood.map(|_| now);
                    }
                    return drop(self.close_control());
                }
                (_, Answer::Ack | Answer::Wrong) => {
                    let end = End { cause: Cause::Closed, why: "a wrong answer".to_owned() };
                    return self.end_control(&end, now);
                }
            }
        }
        if let Some(end) = news.end {
            self.end_control(&end, now);
        }
    }

    /// The path is alive: what was said at `said`, or later, was answered.
    fn come_alive(&mut self, said: Instant, now: Instant) {
        self.control.alive = self.control.alive.max(Some(said));
        self.control.doubt = None;
        let control = self.control.key;
        for (key, flow) in self.flows.iter_mut() {
            if Some(key) != control && flow.state == Trial::Asking {
                flow.signs.pass(said, now);
            }
        }
    }

    fn end_control(&mut self, end: &End, at: Instant) {
        let Some(flow) = self.close_control() else {
            return;
        };
        self.control.tells |= flow.state == Trial::Silent;
        if flow.state == Trial::Silent && flow.signs.heard == at {
            // Its answer came in the same look: the path was alive until then, and whoever ends each one so would never be
            // out of doubt.
            return;
        }
        let quiet = if self.control.tells { self.quiet } else { Duration::ZERO };
        self.control.judge(at, flow.signs.cut(at), quiet.max(self.bracket().survived), &end.why);
    }

    /// Whether something ended, or is not answered, and it must be shown that the path has not.
    pub(super) fn is_in_doubt(&self, now: Instant) -> bool {
        let (timeout, alive) = (self.settings.timeout, self.control.alive);
        self.control.doubt.is_some()
            || self.each_flow().any(|flow| match flow.state {
                Trial::Cut(cut) => alive < Some(cut.seen),
                Trial::Asking => flow.is_overdue(timeout, now) && alive < Some(flow.signs.spoke),
                _ => false,
            })
    }

    /// Says the next word where it is due, and opens it where it is needed.
    pub(super) fn keep_talking(&mut self) {
        let now = Instant::now();
        if self.control.broke.is_some() || self.next_word(now).is_none_or(|due| due > now) {
            return;
        }
        let Some(key) = self.control.key else {
            self.control.doubt.get_or_insert(now);
            return self.open_control();
        };
        if !self.look_at(key) || self.next_word(now).is_none_or(|due| due > now) {
            return;
        }
        let Some(flow) = self.flows.get_mut(key) else {
            return;
        };
        let failed = if flow.state == Trial::Silent {
            self.say(key, Trial::Asking)
        } else if flow.next_try() {
            self.say_again(key)
        } else {
            return self.fall_silent(key);
        };
        if let Some(error) = failed {
            self.lack_control(error, now);
        }
    }

    /// No word of it is answered any more.
    fn fall_silent(&mut self, key: Key) {
        let Some(flow) = self.flows.get(key) else {
            return;
        };
        let first = flow.signs.asked;
        if self.settings.protocol == Protocol::Udp && self.control.stood.is_some() {
            // Each try had a socket of its own.
            self.control.doubt.get_or_insert(first);
        }
        self.end_control(&End { cause: Cause::Silent, why: "silent".to_owned() }, first);
    }

    /// When that is.
    pub(super) fn next_word(&self, now: Instant) -> Option<Instant> {
        match self.control.key.and_then(|key| self.flows.get(key)) {
            Some(flow) if flow.state == Trial::Silent && self.is_in_doubt(now) => Some(now),
            Some(flow) if flow.state == Trial::Silent => Some(flow.signs.heard + self.control.interval(now)),
            Some(flow) => flow.due(self.settings.timeout),
            None if !self.is_in_doubt(now) || self.control.shortage.is_some() => None,
            None => Some(self.control.opened.map_or(now, |opened| opened + self.control.interval(now))),
        }
    }

    /// The exit code where the path could not be looked at any more.
    pub(super) fn cannot_look(&mut self) -> Option<u8> {
        let shortage = self.control.shortage.take()?;
        self.stage.cannot_try(self.settings.protocol, self.route.peer(), &shortage);
        Some(exit::UNTRIED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_is_never_silent_for_more_than_an_eighth_of_what_the_others_are() {
        let start = Instant::now();
        let mut control = Control::default();
        assert_eq!(control.interval(start), SHORTEST);
        control.stood = Some(start);
        for (talked, interval) in [(0, 10), (80, 10), (800, 100), (8000, 1000), (80_000, 1000)] {
            assert_eq!(control.interval(start + talked * MS), interval * MS, "{talked}");
        }
    }

    #[test]
    fn its_end_is_the_path_s_unless_it_was_as_silent_as_the_others() {
        let start = Instant::now();
        let judged = |stood: bool, doubt, own: u32, quiet: u32| {
            let mut control = Control { stood: stood.then_some(start), doubt, ..Control::default() };
            control.judge(start + 9 * MS, own * MS, quiet * MS, "closed");
            (control.broke.map(|broke| broke.0), control.doubt)
        };
        let (end, before) = (start + 9 * MS, start + 5 * MS);
        assert_eq!(judged(true, None, 100, 800), (Some(end), None));
        assert_eq!(judged(true, None, 275, 800), (Some(end), None));
        assert_eq!(judged(true, None, 276, 800), (None, Some(end)), "we stood still");
        assert_eq!(judged(true, None, 1, 200), (None, Some(end)), "no silence was survived yet");
        assert_eq!(judged(false, None, 0, 800), (None, None), "there was no room for it");
        assert_eq!(judged(false, Some(before), 0, 800), (Some(before), Some(before)), "it was the last hope");
    }
}
