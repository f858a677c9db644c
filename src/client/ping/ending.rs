//! What it all came to: the live line, the figures, the warnings, the exit code.

use std::time::Instant;

use super::tally::Tally;
use super::{LIVE, Ping, Settings};
use crate::error::exit;
use crate::latency::Millis;
use crate::transcript::address::Address;
use crate::transcript::instrument::{Event, Figures};

/// Beyond the most flows that there can be, none are recommended.
const MOST_FLOWS: u128 = super::MOST_FLOWS as u128;

impl Ping {
    pub(super) fn figures(&self) -> Figures {
        let now = Instant::now();
        let unsent = self.schedule.as_ref().map_or(0, |schedule| schedule.overdue(now));
        self.tally.figures(self.settings.protocol, self.route.peer(), unsent, now.saturating_duration_since(self.began))
    }

    /// The live line, where a person watches a run that takes a while.
    pub(super) fn show_progress(&mut self, now: Instant) {
        if self.next_live.is_none_or(|due| due > now) {
            return;
        }
        self.next_live = Some(now + LIVE);
        let Tally { sent, acknowledged, lost, rtt, .. } = &self.tally;
        let p50 = rtt.summary().p50.map_or("-".to_owned(), |p50| Millis(p50).to_string());
        self.stage.show_live(&format!("{sent} sent, {acknowledged} acknowledged, {lost} lost, p50 {p50} ms"));
    }

    /// Makes room for a line on stdout, where that is the same terminal.
    pub(super) fn hide_progress(&mut self) {
        if self.next_live.is_some() {
            self.stage.show_live("");
        }
    }

    /// The figures, the files and the exit code.
    pub(super) fn conclude(mut self) -> u8 {
        let figures = self.figures();
        self.hide_progress();
        if self.schedule.is_none() && !self.failed {
            let Settings { protocol, .. } = self.settings;
            self.stage.complain(format_args!("no way to {protocol} {} until the end", Address::new(self.route.peer())));
        }
        // What waits goes first; however many lines were dropped, the summary is not.
        self.stage.finish_patiently();
        self.stage.journal.answer(&Event::Summary(&figures));
        self.warn(&figures);
        let saved = self.save();
        let interrupted = self.stage.is_interrupted();
        let lossless = figures.loss_percent() <= self.settings.max_loss;
        let complete = figures.unsent == 0 || interrupted;
        let verified = lossless && complete && figures.acknowledged > 0 && saved;
        self.stage.conclude(match verified {
            true => exit::DONE,
            // Not one has left this machine.
            false if self.untried > 0 && self.untried >= figures.sent => exit::UNTRIED,
            false => exit::FAILED,
        })
    }

    /// Says where the figures are not what they seem.
    fn warn(&mut self, figures: &Figures) {
        if self.tally.surplus > 0 {
            self.stage.complain(format_args!(
                "acknowledgements that no probe waited for: {}; each flow that brought one was replaced",
                self.tally.surplus
            ));
        }
        if self.tally.strange > 0 {
            self.stage.complain(format_args!(
                "what came while no probe waited, and is no acknowledgement: {}",
                self.tally.strange
            ));
        }
        let Some(rtt) = figures.rtt.p50 else {
            return;
        };
        if let Some(own) = self.tally.own_lateness.summary().p50
            && own >= rtt
        {
            self.stage.complain(format_args!(
                "our own sending was late by {} ms (p50), as long as the round trip: response shows this machine as much as the path",
                Millis(own)
            ));
        }
        let interval = self.settings.interval.as_nanos();
        if interval > 0 && rtt.as_nanos() > interval * self.settings.flows as u128 {
            let flows = rtt.as_nanos().div_ceil(interval) + 1;
            let remedy = match flows {
                ..=MOST_FLOWS => format!("--flows {flows} keeps up"),
                _ => "a longer interval (-i) is the only remedy".to_owned(),
            };
            self.stage.complain(format_args!(
                "the round trip exceeds the interval, so probes waited for a free flow: {remedy}"
            ));
        }
    }
}
