//! The figures of a run of `--ping`, in ping's shape and as JSON.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{count, nanos};
use crate::latency::{Millis, Summary as Percentiles};
use crate::transcript::address::Address;
use crate::transcript::json::Object;
use crate::transcript::{Stamp, push, push_line};
use crate::wire::Protocol;

/// The figures of a whole run of `--ping`.
#[derive(Clone, Debug)]
pub struct Figures {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The server.
    pub peer: SocketAddr,
    /// Probes sent.
    pub sent: u64,
    /// Probes acknowledged in time.
    pub acknowledged: u64,
    /// Probes that were not.
    pub lost: u64,
    /// Which way they were lost, where the stamps tell.
    pub legs: Option<LostLegs>,
    /// Probes whose time was not up when the run ended.
    pub in_flight: u64,
    /// Lost probes that were acknowledged after all.
    pub late: u64,
    /// Second answers to a probe, where the stamps tell.
    pub duplicated: Option<u64>,
    /// Answers that came after one to a later probe, where the stamps tell.
    pub reordered: Option<u64>,
    /// Probes that were due and never sent.
    pub unsent: u64,
    /// How long the run took.
    pub lasted: Duration,
    /// The median time to connect (TCP).
    pub connect: Option<Duration>,
    /// How often two or more probes were lost in a row.
    pub outages: u64,
    /// The longest of those.
    pub longest_outage: Option<OutageFigures>,
    /// Each of them, the first thousand of many.
    pub each_outage: Vec<OutageFigures>,
    /// From the sending of a probe to its acknowledgement.
    pub rtt: Percentiles,
    /// From the moment a probe was due.
    pub response: Percentiles,
    /// How long probes were with the server, where the stamps tell.
    pub server: Option<Percentiles>,
    /// The flow that fared worst, where there are several.
    pub worst_flow: Option<FlowFigures>,
    /// The bytes of a message that is answered, where probes are lost for nothing but their size.
    pub short_answered: Option<usize>,
}

/// What is said where a message of so many bytes is answered, and longer ones are lost for nothing but their size.
pub fn hint(bytes: usize) -> String {
    format!("a message of {bytes} bytes is answered: try --find-size")
}

/// Which way probes were lost. Late ones are in none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostLegs {
    /// On the way there.
    pub there: u64,
    /// On the way back.
    pub back: u64,
    /// Nobody knows where.
    pub unknown: u64,
}

/// Probes that were lost in a row.
#[derive(Clone, Copy, Debug)]
pub struct OutageFigures {
    /// When the first of them was due.
    pub began: Timestamp,
    /// Until the next acknowledged one was due.
    pub lasted: Duration,
    /// How many there were.
    pub probes: u64,
}

/// The figures of one flow.
#[derive(Clone, Copy, Debug)]
pub struct FlowFigures {
    /// The port that its last lost probe left from, or else its last one.
    pub source_port: u16,
    /// Probes sent.
    pub sent: u64,
    /// Probes lost.
    pub lost: u64,
    /// The median round trip.
    pub p50: Option<Duration>,
}

impl Figures {
    /// Lost probes per hundred that were sent and whose fate is known.
    pub fn loss_percent(&self) -> f64 {
        #[allow(clippy::cast_precision_loss)] // a percentage
        match self.acknowledged + self.lost {
            0 => 0.0,
            known => self.lost as f64 * 100.0 / known as f64,
        }
    }

    pub(super) fn text(&self, out: &mut String) {
        let Figures { protocol, sent, acknowledged, lost, late, .. } = self;
        push_line!(out, "\n--- {} {protocol} acknowledgement statistics ---", Address::new(self.peer));
        push!(out, "{sent} sent, {acknowledged} acknowledged, {lost} lost ({})", percent(self.loss_percent()));
        if self.in_flight > 0 {
            push!(out, ", {} in flight", self.in_flight);
        }
        push!(out, ", {late} late");
        for (count, what) in [(self.duplicated, "duplicated"), (self.reordered, "reordered")] {
            if let Some(count) = count {
                push!(out, ", {count} {what}");
            }
        }
        push_line!(out, ", {:.3} s", self.lasted.as_secs_f64());
        if self.unsent > 0 {
            push_line!(out, "{} due, not sent", self.unsent);
        }
        if let Some(connect) = self.connect {
            push_line!(out, "connect  {} ms", Millis(connect));
        }
        if let Some(LostLegs { there, back, unknown }) = self.legs {
            push_line!(out, "lost     {there} on the way there, {back} on the way back, {unknown} unknown");
        }
        if let Some(OutageFigures { began, lasted, probes }) = self.longest_outage {
            let local = began.to_zoned(TimeZone::system()).strftime("%H:%M:%S%.3f");
            let lasted = lasted.as_secs_f64();
            push_line!(out, "outages  {}: {local} for {lasted:.3} s ({probes} probes)", self.outages);
        }
        let figure = |time: Option<Duration>| time.map_or("-".to_owned(), |time| Millis(time).to_string());
        let (mean, jitter) = (figure(self.rtt.mean), figure(self.rtt.jitter));
        push_line!(out, "rtt      {}, mean {mean}, jitter {jitter}", self.rtt);
        push_line!(out, "response {}", self.response);
        if let Some(server) = self.server {
            push_line!(out, "server   {server}");
        }
        if let Some(FlowFigures { source_port, sent, lost, p50 }) = self.worst_flow {
            push!(out, "worst flow: source port {source_port}, {sent} sent, {lost} lost, p50 ");
            match p50 {
                Some(p50) => push_line!(out, "{} ms", Millis(p50)),
                None => out.push_str("-\n"),
            }
        }
        if let Some(bytes) = self.short_answered {
            push_line!(out, "{}", hint(bytes));
        }
    }

    pub(super) fn json(&self, stamp: &Stamp, out: &mut String) {
        let object = Object::event(out, stamp, "summary").protocol(self.protocol).address("peer", self.peer);
        let object = object.value("sent", self.sent).value("acknowledged", self.acknowledged).value("lost", self.lost);
        let legs = self.legs;
        let object = count(object, "lost_there", legs.map(|legs| legs.there));
        let object = count(object, "lost_back", legs.map(|legs| legs.back));
        let object = count(object, "lost_unknown", legs.map(|legs| legs.unknown));
        let object = object.value("in_flight", self.in_flight).value("late", self.late);
        let object = count(count(object, "duplicated", self.duplicated), "reordered", self.reordered);
        let object = object.value("unsent", self.unsent);
        let object = nanos(object.seconds("seconds", self.lasted), "connect_ns", self.connect);
        let object = object.value("rtt_ns", self.rtt.to_json()).value("response_ns", self.response.to_json());
        let object = match self.server {
            Some(server) => object.value("server_ns", server.to_json()),
            None => object.value("server_ns", "null"),
        };
        let object = object.list("outages", &self.each_outage, |object, outage| {
            let object = object.string("begin", Stamp::at(outage.began).as_str());
            object.seconds("seconds", outage.lasted).value("probes", outage.probes)
        });
        match self.worst_flow {
            None => object.value("worst_flow", "null").end_line(),
            Some(FlowFigures { source_port, sent, lost, p50 }) => object
                .object("worst_flow", |flow| {
                    let flow = flow.value("source_port", source_port).value("sent", sent).value("lost", lost);
                    nanos(flow, "p50_ns", p50)
                })
                .end_line(),
        }
    }
}

/// Two decimals, or as many as it takes not to round to none or to all what is neither; none where there is nothing
/// behind the point.
pub(super) fn percent(percent: f64) -> String {
    let whole = |text: &String| matches!(text.parse(), Ok(0.0 | 100.0));
    let exact = percent <= 0.0 || percent >= 100.0;
    let texts = (2..=20).map(|decimals| format!("{percent:.decimals$}"));
    let text = texts.into_iter().find(|text| exact || !whole(text)).unwrap_or_default();
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}
