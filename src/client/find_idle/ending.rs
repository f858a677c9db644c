//! What all flows together tell: the bracket, and when it is known.

use std::time::{Duration, Instant};

use super::flow::{Flow, Trial};
use super::{FLOWS, FindIdle, LIVE};
use crate::error::exit;
use crate::escape::cause;
use crate::transcript::address::Address;
use crate::transcript::instrument::{Cause, Event};
use crate::wire::Notice;

/// So many neighbours that stay silent leave no doubt: the longer silences need not be waited for.
const NO_DOUBT: usize = 3;

impl FindIdle {
    fn each_flow(&self) -> impl Iterator<Item = &Flow> {
        self.flows.iter().map(|(_, flow)| flow)
    }

    /// The longest silence that was survived.
    fn survived(&self) -> Duration {
        let survivors = self.each_flow().filter(|flow| flow.state == Trial::Survived);
        survivors.map(|flow| flow.silence).max().unwrap_or_default()
    }

    /// The shortest silence that was not survived, and is longer than any that
    /// was: one lost datagram is no idle timeout.
    fn first_cut(&self) -> Option<(Duration, Cause)> {
        let survived = self.survived();
        let cuts = self.each_flow().filter_map(|flow| match flow.state {
            Trial::Cut(silence, cause) if silence > survived => Some((silence, cause)),
            _ => None,
        });
        cuts.min_by_key(|cut| cut.0)
    }

    pub(super) fn is_over(&mut self) -> bool {
        let first_cut = self.first_cut();
        let silent = |flow: &&Flow| matches!(flow.state, Trial::Cut(_, Cause::Silent));
        // All that were silent for less must be decided.
        let known_below = |cut: Duration| self.each_flow().all(|flow| flow.silence > cut || flow.is_decided());
        let no_doubt =
            self.each_flow().filter(silent).count() >= NO_DOUBT && first_cut.is_some_and(|(cut, _)| known_below(cut));
        let known = no_doubt || self.going || self.each_flow().all(Flow::is_decided);
        known || self.stage.is_interrupted() || self.stage.is_unread()
    }

    pub(super) fn show_progress(&mut self, now: Instant) {
        if self.next_live.is_none_or(|due| due > now) {
            return;
        }
        self.next_live = Some(now + LIVE);
        let count = |wanted: fn(&Trial) -> bool| self.each_flow().filter(|flow| wanted(&flow.state)).count();
        let silent = count(|state| matches!(state, Trial::Silent | Trial::Asking(_)));
        let survived = count(|state| *state == Trial::Survived);
        let cut = count(|state| matches!(state, Trial::Cut(..)));
        let (passed, longest) = (now.saturating_duration_since(self.began).as_secs(), self.settings.longest.as_secs());
        self.stage
            .show_live(&format!("{passed} of {longest} s: {silent} flows silent, {survived} survived, {cut} cut"));
    }

    pub(super) fn conclude(mut self) -> u8 {
        self.stage.show_live("");
        let (protocol, peer) = (self.settings.protocol, self.route.peer());
        let (survived, cut) = (self.survived(), self.first_cut());
        let failed = self.each_flow().filter(|flow| flow.state == Trial::Failed).count();
        let untried = self.shortages.len();
        match self.shortages.first() {
            Some(shortage) if untried == self.flows.len() => self.stage.cannot_try(protocol, peer, shortage),
            Some(shortage) => {
                let why = cause(shortage);
                self.stage.complain(format_args!("{untried} of {FLOWS} flows could not be tried: {why}"));
            }
            None => {}
        }
        let why = self.trouble.take().unwrap_or_default();
        if failed > untried && failed == self.flows.len() {
            self.stage.fail(format_args!("the path to {protocol} {} is not open: {why}", Address::new(peer)));
        } else if failed > untried {
            self.stage.complain(format_args!("{} of {FLOWS} flows never stood: {why}", failed - untried));
        }
        let has_answer = cut.is_some() || !survived.is_zero();
        if has_answer {
            self.stage.journal.tell(&Event::Idle { protocol, peer, survived, cut });
        }
        let early = if self.stage.is_interrupted() {
            Some("interrupted")
        } else {
            self.going.then_some(Notice::ShuttingDown.text())
        };
        if let (Some(early), None) = (early, cut) {
            let longest = self.settings.longest.as_secs_f64();
            self.stage.fail(format_args!("{early}: silences up to {longest} s were not tried to their end"));
        }
        let known = has_answer && (early.is_none() || cut.is_some());
        self.stage.conclude(match known {
            true => exit::DONE,
            false if failed == untried && failed > 0 => exit::UNTRIED,
            false => exit::FAILED,
        })
    }
}
