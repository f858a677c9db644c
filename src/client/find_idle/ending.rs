//! What all flows together tell: when the answer is known, and what it is.

use std::time::Instant;

use super::bracket::{Bracket, Outcome};
use super::flow::{Flow, Trial};
use super::{FLOWS, FindIdle};
use crate::error::exit;
use crate::escape::cause;
use crate::transcript::address::Address;
use crate::transcript::instrument::{Cause, Event, Idle};

/// So many neighbours that stay silent leave no doubt: the longer silences need not be waited for.
const NO_DOUBT: usize = 3;

impl FindIdle {
    /// What is known so far.
    pub(super) fn bracket(&self) -> Bracket {
        let outcome = |flow: &Flow| match flow.state {
            Trial::Survived(silence) => Some(Outcome::Survived(silence)),
            Trial::Cut(cut) => Some(Outcome::Cut(cut)),
            _ => None,
        };
        Bracket::of(&self.each_flow().filter_map(outcome).collect::<Vec<_>>(), self.control.alive)
    }

    pub(super) fn is_over(&mut self) -> bool {
        let ended = self.control.broke.is_some() || self.control.shortage.is_some();
        ended || self.is_known() || self.stage.is_interrupted() || self.stage.is_unread()
    }

    fn is_known(&self) -> bool {
        let silent = |flow: &&Flow| matches!(flow.state, Trial::Cut(cut) if cut.cause == Cause::Silent);
        // All that were silent for less must be decided.
        let no_doubt = || {
            let cut = self.bracket().cut;
            let is_known_below = |flow: &Flow| cut.is_some_and(|(cut, _)| flow.silence > cut) || flow.is_decided();
            cut.is_some() && self.each_flow().all(is_known_below)
        };
        let known = self.each_flow().all(Flow::is_decided)
            || (self.each_flow().filter(silent).count() >= NO_DOUBT && no_doubt());
        known && !self.is_in_doubt(Instant::now())
    }

    fn progress(&self) -> String {
        let count = |wanted: fn(&Trial) -> bool| self.each_flow().filter(|flow| wanted(&flow.state)).count();
        let silent = count(|state| matches!(state, Trial::Silent | Trial::Asking));
        let survived = count(|state| matches!(state, Trial::Survived(_)));
        let cut = count(|state| matches!(state, Trial::Cut(_)));
        let (passed, longest) = (self.began.elapsed().as_secs(), self.settings.longest.as_secs_f64());
        format!("{passed} of {longest} s: {silent} flows silent, {survived} survived, {cut} cut")
    }

    pub(super) fn show_progress(&mut self) {
        if self.live.is_due(Instant::now()) {
            let progress = self.progress();
            self.stage.show_live(&progress);
        }
    }

    /// The figures so far, where they are asked for.
    pub(super) fn report(&mut self) {
        let progress = self.progress();
        self.stage.complain(progress);
        if let Some(found) = self.found() {
            self.stage.report(&found);
        }
    }

    /// The answer, as far as there is one.
    fn found(&self) -> Option<Event<'static>> {
        let (protocol, peer) = (self.settings.protocol, self.route.peer());
        let Bracket { survived, cut } = self.bracket();
        let answer = match (&self.control.broke, cut) {
            (Some((at, _)), _) => Idle::Broken(at.saturating_duration_since(self.began)),
            (None, Some((cut, cause))) => Idle::Cut(cut, cause),
            (None, None) if survived.is_zero() => return None,
            (None, None) => Idle::None,
        };
        // Who was suspended has survived more than was asked for.
        let survived = if answer == Idle::None { survived.min(self.settings.longest) } else { survived };
        Some(Event::Idle { protocol, peer, survived, answer })
    }

    pub(super) fn conclude(mut self) -> u8 {
        self.stage.show_live("");
        let (protocol, peer) = (self.settings.protocol, self.route.peer());
        let flows = self.each_flow().count();
        let failed = self.each_flow().filter(|flow| flow.state == Trial::Failed).count();
        let untried = self.shortages.len();
        match self.shortages.first() {
            Some(shortage) if untried == flows => self.stage.cannot_try(protocol, peer, shortage),
            Some(shortage) => {
                let why = cause(shortage);
                self.stage.complain(format_args!("{untried} of {FLOWS} flows could not be tried: {why}"));
            }
            None => {}
        }
        let why = self.trouble.take().unwrap_or_default();
        if failed > untried && failed == flows {
            self.stage.fail(format_args!("the path to {protocol} {} is not open: {why}", Address::new(peer)));
        } else if failed > untried {
            self.stage.complain(format_args!("{} of {FLOWS} flows never stood: {why}", failed - untried));
        }
        let found = self.found();
        if let Some(found) = &found {
            self.stage.journal.tell(found);
        }
        let is_untried = failed > 0 && (failed == untried || failed == flows && self.route.was_short());
        let code = self.exit_code(found, is_untried);
        self.stage.conclude(code)
    }

    fn exit_code(&mut self, found: Option<Event<'_>>, is_untried: bool) -> u8 {
        let answer = match found {
            Some(Event::Idle { answer, .. }) => Some(answer),
            _ => None,
        };
        if let Some((at, why)) = self.control.broke.take() {
            let (protocol, peer) = (self.settings.protocol, Address::new(self.route.peer()));
            let after = at.saturating_duration_since(self.began).as_secs_f64();
            self.stage.fail(format_args!("the path to {protocol} {peer} broke after {after:.1} s: {why}"));
            return exit::FAILED;
        }
        if let Some(code) = self.cannot_look() {
            return code;
        }
        if self.stage.is_interrupted() && !matches!(answer, Some(Idle::Cut(..))) {
            let longest = self.settings.longest.as_secs_f64();
            self.stage.complain(format_args!("interrupted: silences up to {longest} s were not tried to their end"));
            return exit::FAILED;
        }
        match answer {
            Some(_) => exit::DONE,
            None if is_untried => exit::UNTRIED,
            None => exit::FAILED,
        }
    }
}
