//! The figures of a run of `--ping`, in ping's shape and as JSON.

use std::net::SocketAddr;
use std::time::Duration;

use super::nanos;
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
    /// Probes whose time was not up when the run ended.
    pub in_flight: u64,
    /// Lost probes that were acknowledged after all.
    pub late: u64,
    /// Probes that were due and never sent.
    pub unsent: u64,
    /// How long the run took.
    pub lasted: Duration,
    /// The median time to connect (TCP).
    pub connect: Option<Duration>,
    /// From the sending of a probe to its acknowledgement.
    pub rtt: Percentiles,
    /// From the moment a probe was due.
    pub response: Percentiles,
    /// The flow that fared worst, where there are several.
    pub worst_flow: Option<FlowFigures>,
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
        push_line!(out, ", {late} late, {:.3} s", self.lasted.as_secs_f64());
        if self.unsent > 0 {
            push_line!(out, "{} due, not sent", self.unsent);
        }
        if let Some(connect) = self.connect {
            push_line!(out, "connect  {} ms", Millis(connect));
        }
        push_line!(out, "rtt      {}", self.rtt);
        push_line!(out, "response {}", self.response);
        if let Some(FlowFigures { source_port, sent, lost, p50 }) = self.worst_flow {
            push!(out, "worst flow: source port {source_port}, {sent} sent, {lost} lost, p50 ");
            match p50 {
                Some(p50) => push_line!(out, "{} ms", Millis(p50)),
                None => out.push_str("-\n"),
            }
        }
    }

    pub(super) fn json(&self, stamp: &Stamp, out: &mut String) {
        let object = Object::event(out, stamp, "summary").protocol(self.protocol).address("peer", self.peer);
        let object = object.value("sent", self.sent).value("acknowledged", self.acknowledged).value("lost", self.lost);
        let object = object.value("late", self.late).value("in_flight", self.in_flight).value("unsent", self.unsent);
        let object = nanos(object.seconds("seconds", self.lasted), "connect_ns", self.connect);
        let object = object.value("rtt_ns", self.rtt.to_json()).value("response_ns", self.response.to_json());
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
