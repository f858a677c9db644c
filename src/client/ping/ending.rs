//! What it all came to: the live line, the figures, the warnings, the exit code.

use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

use super::legs::Legs;
use super::outages::{Outage, Outages};
use super::{Ping, Settings, Stamps};
use crate::error::exit;
use crate::latency::Millis;
use crate::transcript::address::Address;
use crate::transcript::framing;
use crate::transcript::instrument::{Event, Figures, LostLegs, OutageFigures, hint};
use crate::wire::Framing;

impl Ping {
    pub(super) fn figures(&mut self) -> Figures {
        let now = Instant::now();
        self.judge(now);
        let outages = self.outages_until(now);
        let shown =
            |outage: &Outage| OutageFigures { began: outage.wall, lasted: outage.lasted(), probes: outage.probes };
        let knows_stamps = self.stamps_known;
        let account = &self.account;
        Figures {
            protocol: self.settings.protocol,
            peer: self.route.peer(),
            sent: account.sent,
            acknowledged: account.acknowledged,
            lost: account.lost,
            legs: self.legs().filter(|_| knows_stamps),
            in_flight: account.in_flight(),
            late: account.late,
            duplicated: knows_stamps.then_some(self.tally.duplicated),
            reordered: knows_stamps.then_some(self.tally.reordered),
            unsent: account.unsent,
            lasted: now.saturating_duration_since(self.began),
            connect: self.tally.connects.summary().p50,
            outages: outages.count(),
            longest_outage: outages.longest().as_ref().map(shown),
            each_outage: outages.each().iter().map(shown).collect(),
            rtt: self.tally.rtt.summary(),
            response: self.tally.response().summary(),
            server: Some(self.tally.server.summary()).filter(|_| knows_stamps),
            worst_flow: self.tally.worst_flow(),
            short_answered: self.short_answered(),
        }
    }

    /// The outages so far, the one that goes on among them.
    pub(super) fn outages_until(&mut self, now: Instant) -> Outages {
        let mut outages = self.outages.clone();
        let next = self.schedule.as_ref().map_or(now, |schedule| schedule.beyond(now));
        outages.end(self.account.first_open().unwrap_or(next));
        outages
    }

    /// Which way the lost ones were lost; `None` where the numbers cannot tell.
    fn legs(&self) -> Option<LostLegs> {
        if self.several {
            return None;
        }
        let mut sum = self.flows.past_legs();
        for port in self.flows.iter().filter(|socket| socket.is_settled).filter_map(|socket| socket.port.as_ref()) {
            if port.is_open(&self.account) {
                return None;
            }
            sum += port.legs.legs();
        }
        let Legs { there, back } = sum;
        let unknown = self.account.lost.checked_sub(there + back + self.account.late)?;
        Some(LostLegs { there, back, unknown })
    }

    /// Says once where several servers answer from one port.
    pub(super) fn look_for_several(&mut self) {
        if self.several && !std::mem::replace(&mut self.said_several, true) {
            self.stage.complain("several servers answer from one port: which way a probe was lost cannot be told");
        }
    }

    /// The live line, where a person watches a run that takes a while.
    pub(super) fn show_progress(&mut self, now: Instant) {
        if !self.live.is_due(now) {
            return;
        }
        let p50 = self.tally.rtt.latencies.summary().p50.map_or("-".to_owned(), |p50| Millis(p50).to_string());
        let (sent, acknowledged, lost) = (self.account.sent, self.account.acknowledged, self.account.lost);
        let mut line = format!("{sent} sent, {acknowledged} acknowledged, {lost} lost, p50 {p50} ms");
        let (count, time) = self.schedule.as_ref().map_or((None, None), |schedule| schedule.left(now));
        if let Some(count) = count {
            line += &format!(", {count} left");
        }
        if let Some(time) = time {
            line += &format!(", {:.0} s left", time.as_secs_f64());
        }
        self.stage.show_live(&line);
    }

    /// Makes room for a line on stdout, where that is the same terminal.
    pub(super) fn hide_progress(&mut self) {
        if self.live.is_watched() {
            self.stage.show_live("");
        }
    }

    /// The figures, the files and the exit code.
    pub(super) fn conclude(mut self) -> u8 {
        // One that comes from here on ends no run, only the wait for who reads.
        let interrupted = self.stage.is_interrupted();
        let figures = self.figures();
        self.hide_progress();
        if self.schedule.is_none() && !self.stage.is_unread() {
            let Settings { protocol, .. } = self.settings;
            self.stage.complain(format_args!("no way to {protocol} {} until the end", Address::new(self.route.peer())));
        }
        // What waits goes first; however many lines were dropped, the summary is not.
        self.stage.finish_patiently();
        self.stage.journal.answer(&Event::Summary(&figures));
        self.warn(&figures);
        // Not one has left this machine.
        let untried = self.was_short && figures.sent == 0;
        self.stage.flush();
        // With an exit code of 2 nothing that exists is touched.
        let saved = !untried && self.stage.judge_stdout() != Some(exit::UNTRIED) && self.save(figures.lasted);
        let lossless = figures.loss_percent() <= self.settings.max_loss;
        let complete = figures.unsent == 0 || interrupted;
        let verified = lossless && complete && figures.acknowledged > 0 && saved;
        self.stage.conclude(match verified {
            true => exit::DONE,
            false if untried => exit::UNTRIED,
            false => exit::FAILED,
        })
    }

    /// Says once that the server answers as one with another framing does.
    pub(super) fn tell_framing(&mut self, theirs: Framing) {
        if !std::mem::replace(&mut self.said_framing, true) {
            // The probe that shows it was told before.
            self.hide_progress();
            self.stage.journal.flush();
            self.stage.complain(framing::other(self.settings.framing, theirs));
        }
    }

    /// Says where the figures are not what they seem.
    fn warn(&mut self, figures: &Figures) {
        let heard = figures.acknowledged + figures.late + self.tally.strange > 0;
        if self.mute && !heard && !self.said_framing && figures.short_answered.is_none() {
            self.stage.complain(framing::question(self.settings.framing));
        }
        if self.tally.cuts > u64::from(super::NEWS) {
            self.stage.complain(format_args!("flows that were cut between probes, and replaced: {}", self.tally.cuts));
        }
        if self.tally.surplus > 0 {
            self.stage.complain(format_args!(
                "acknowledgements that no probe waited for: {}; each flow that brought one was replaced",
                self.tally.surplus
            ));
        }
        if self.tally.strange > 0 {
            self.stage.complain(format_args!(
                "what came while no probe waited for it, and is no acknowledgement: {}",
                self.tally.strange
            ));
        }
        let dropped: u64 = self.flows.iter().filter_map(|socket| socket.link.dropped()).sum();
        if dropped > 0 {
            self.stage.complain(format_args!(
                "datagrams that found no room in this client's receive buffer: {dropped}; the probes that they answered are \
                 lost by this machine, and stand as lost on the way back"
            ));
        }
        if let Some(bytes) = figures.short_answered.filter(|_| self.stage.journal.is_json()) {
            self.stage.complain(hint(bytes));
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
    }

    /// What an answer tells of the server, said where it is news.
    pub(super) fn learn(&mut self, stamps: Stamps) {
        if self.stamps == stamps || self.stamps == Stamps::Off {
            return;
        }
        let was = std::mem::replace(&mut self.stamps, stamps);
        self.stamps_known |= stamps == Stamps::Known;
        self.stamps_here |= stamps == Stamps::Known;
        let news = match (was, stamps) {
            (Stamps::Unknown, Stamps::Refuted) => "the server knows no stamps",
            (_, Stamps::Refuted) => "the server knows no stamps any more",
            (Stamps::Refuted, Stamps::Known) => "the server knows stamps now",
            _ => return,
        };
        // Two servers that take turns would say so for ever.
        self.news += 1;
        if self.news <= super::NEWS {
            self.stage.complain(news);
        }
    }

    /// The server's last word to a port; what is out there may yet be answered by another.
    pub(super) fn tell_last_word(&mut self, text: &str) {
        self.news += 1;
        if self.news <= super::NEWS {
            self.stage.complain(format_args!("the server says: {text}"));
        }
    }

    /// This client stood still for so long: nothing of that is the path's doing.
    pub(super) fn stand_still(&mut self, span: Duration, now: Instant) {
        let Some(schedule) = &mut self.schedule else {
            self.is_stale = true;
            return;
        };
        let unsent = schedule.skip(now);
        if unsent == 0 && self.account.in_flight() == 0 {
            return;
        }
        self.account.unsent += unsent;
        self.account.stand_still(span);
        self.is_stale = true;
        if let Some(timeline) = &mut self.timeline {
            let end = now.saturating_duration_since(self.began);
            timeline.stand_still(end.saturating_sub(span), end, unsent);
        }
        // What was typed meanwhile stands on the terminal, a `^C`, and the sentence belongs below it.
        self.heed_signals();
        let seconds = span.as_secs_f64();
        match unsent {
            0 => self.stage.complain(format_args!("this client stood still for {seconds:.1} s")),
            1 => self.stage.complain(format_args!("this client stood still for {seconds:.1} s: 1 probe was not sent")),
            _ => self
                .stage
                .complain(format_args!("this client stood still for {seconds:.1} s: {unsent} probes were not sent")),
        }
        self.tell(&Event::StoodStill { span, unsent });
    }
}

/// What the clock on the wall showed then.
pub(super) fn wall(at: Instant) -> Timestamp {
    Timestamp::try_from(SystemTime::now() - at.elapsed()).unwrap_or_default()
}
