//! What the client tells as an instrument: verdicts, round trips, idle timeouts. English in every language.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::address::Address;
use super::json::Object;
use super::{Format, Render, Stamp, Style, push, push_line, visible};
use crate::escape::shown_of;
use crate::latency::{Millis, Summary as Percentiles};
use crate::wire::{ACK, CHECK, Protocol};

/// The one word that a path deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// A message was acknowledged. Nothing less earns it.
    Open,
    /// Somebody said that nobody listens there.
    Refused,
    /// Nothing came back, however often it was tried.
    Silent,
    /// There is no way to the host.
    Unreachable,
    /// The other end closed instead of acknowledging.
    Closed,
    /// The other end reset the connection.
    Reset,
    /// Something came back that is no acknowledgement.
    WrongAnswer,
    /// The name does not resolve.
    Dns,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Word::Open => "open",
            Word::Refused => "refused",
            Word::Silent => "silent",
            Word::Unreachable => "unreachable",
            Word::Closed => "closed",
            Word::Reset => "reset",
            Word::WrongAnswer => "wrong-answer",
            Word::Dns => "dns",
        })
    }
}

/// What ended a silent flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The server said so first.
    Announced,
    /// The connection was closed, the datagram refused.
    Closed,
    /// The connection was reset.
    Reset,
    /// Nothing came back any more.
    Silent,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Announced => "announced",
            Cause::Closed => "closed",
            Cause::Reset => "reset",
            Cause::Silent => "silent",
        })
    }
}

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

/// One thing that an instrument found.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Whether a path is open.
    Verdict {
        /// TCP or UDP.
        protocol: Protocol,
        /// `IP:PORT`, or the name that does not resolve.
        address: &'a str,
        /// The verdict.
        word: Word,
        /// How long the acknowledgement took.
        rtt: Option<Duration>,
        /// How long it took to connect (TCP).
        connect: Option<Duration>,
        /// What came instead of an acknowledgement.
        text: Option<&'a [u8]>,
    },
    /// A probe was acknowledged in time.
    Reply {
        /// TCP or UDP.
        protocol: Protocol,
        /// The server.
        peer: SocketAddr,
        /// The probe, from 1.
        seq: u64,
        /// The flow it went by, from 1.
        flow: u64,
        /// Since it was sent.
        rtt: Duration,
        /// Since it was due.
        response: Duration,
        /// The time of day goes before the line.
        dated: bool,
    },
    /// A probe was not.
    Lost {
        /// TCP or UDP.
        protocol: Protocol,
        /// The server.
        peer: SocketAddr,
        /// The probe.
        seq: u64,
        /// Why.
        reason: &'a str,
        /// The time of day goes before the line.
        dated: bool,
    },
    /// A lost probe was acknowledged after all.
    Late {
        /// TCP or UDP.
        protocol: Protocol,
        /// The server.
        peer: SocketAddr,
        /// The probe.
        seq: u64,
        /// Since it was sent.
        rtt: Duration,
        /// The time of day goes before the line.
        dated: bool,
    },
    /// The figures of the run.
    Summary(&'a Figures),
    /// When a silent path is cut.
    Idle {
        /// TCP or UDP.
        protocol: Protocol,
        /// The server.
        peer: SocketAddr,
        /// The longest silence that was survived.
        survived: Duration,
        /// The shortest that was not, and what ended it.
        cut: Option<(Duration, Cause)>,
    },
}

impl Render for Event<'_> {
    fn render(&self, style: Style, stamp: &Stamp, out: &mut String) {
        match style.format {
            Format::Text => self.text(out),
            Format::Json => self.json(stamp, out),
        }
    }
}

/// What an acknowledgement is called on either protocol.
fn acknowledgement(protocol: Protocol) -> &'static str {
    let word = match protocol {
        Protocol::Tcp => ACK,
        Protocol::Udp => CHECK,
    };
    std::str::from_utf8(word).unwrap_or_default()
}

/// The time of day as ping(8) gives it, where it is asked for.
fn push_date(out: &mut String, dated: bool) {
    if dated {
        let now = jiff::Timestamp::now();
        push!(out, "[{}.{:06}] ", now.as_second(), now.subsec_microsecond());
    }
}

impl Event<'_> {
    fn text(&self, out: &mut String) {
        match *self {
            Event::Verdict { protocol, address, word, rtt, text, .. } => {
                push!(out, "{protocol} {address} {word}");
                if let Some(rtt) = rtt {
                    push!(out, " {} ms", Millis(rtt));
                }
                if let Some(text) = text {
                    push!(out, " ({})", shown_of(visible(None, text), text.len()));
                }
                out.push('\n');
            }
            Event::Reply { protocol, peer, seq, rtt, dated, .. } => {
                push_date(out, dated);
                let (word, peer) = (acknowledgement(protocol), Address::new(peer));
                push_line!(out, "{word} from {peer}: seq={seq} time={} ms", Millis(rtt));
            }
            Event::Lost { protocol, peer, seq, reason, dated } => {
                push_date(out, dated);
                let (word, peer) = (acknowledgement(protocol), Address::new(peer));
                push_line!(out, "no {word} from {peer}: seq={seq} lost ({reason})");
            }
            Event::Late { protocol, peer, seq, rtt, dated } => {
                push_date(out, dated);
                let (word, peer) = (acknowledgement(protocol), Address::new(peer));
                push_line!(out, "late {word} from {peer}: seq={seq} time={} ms", Millis(rtt));
            }
            Event::Summary(figures) => figures.text(out),
            Event::Idle { protocol, survived, cut, .. } => match cut {
                None => {
                    let survived = tenths_below(survived);
                    push_line!(out, "no idle timeout up to {} s", survived.strip_suffix(".0").unwrap_or(&survived));
                }
                Some((cut, cause)) => {
                    let (from, to) = (tenths_below(survived), tenths_above(cut));
                    let cause = match cause {
                        Cause::Announced => "announced by the server",
                        Cause::Closed => "closed",
                        Cause::Reset => "reset",
                        Cause::Silent => "silent",
                    };
                    push_line!(out, "{protocol} idle timeout between {from} and {to} s: {cause}");
                }
            },
        }
    }

    fn json(&self, stamp: &Stamp, out: &mut String) {
        match *self {
            Event::Verdict { protocol, address, word, rtt, connect, text } => {
                let mut object = Object::event(out, stamp, "verdict").protocol(protocol);
                object = object.string("address", address).string("verdict", &word.to_string());
                object = nanos(nanos(object, "rtt_ns", rtt), "connect_ns", connect);
                match text {
                    Some(text) => object.outside("text", text).end_line(),
                    None => object.end_line(),
                }
            }
            Event::Reply { protocol, peer, seq, flow, rtt, response, .. } => {
                let object = Object::event(out, stamp, "reply").protocol(protocol).address("peer", peer);
                let object = object.value("seq", seq).value("flow", flow);
                object.value("rtt_ns", rtt.as_nanos()).value("response_ns", response.as_nanos()).end_line();
            }
            Event::Lost { protocol, peer, seq, reason, .. } => {
                let object = Object::event(out, stamp, "lost").protocol(protocol).address("peer", peer);
                object.value("seq", seq).string("reason", reason).end_line();
            }
            Event::Late { protocol, peer, seq, rtt, .. } => {
                let object = Object::event(out, stamp, "late").protocol(protocol).address("peer", peer);
                object.value("seq", seq).value("rtt_ns", rtt.as_nanos()).end_line();
            }
            Event::Summary(figures) => figures.json(stamp, out),
            Event::Idle { protocol, peer, survived, cut } => {
                let object = Object::event(out, stamp, "idle").protocol(protocol).address("address", peer);
                let object = object.seconds("survived_s", survived);
                match cut {
                    Some((cut, cause)) => object.seconds("cut_s", cut).string("cause", &cause.to_string()).end_line(),
                    None => object.value("cut_s", "null").string("cause", "none").end_line(),
                }
            }
        }
    }
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

    fn text(&self, out: &mut String) {
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

    fn json(&self, stamp: &Stamp, out: &mut String) {
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

/// A time in nanoseconds, or null.
fn nanos<'o>(object: Object<'o>, key: &'static str, time: Option<Duration>) -> Object<'o> {
    match time {
        Some(time) => object.value(key, time.as_nanos()),
        None => object.value(key, "null"),
    }
}

/// Up to two decimals, none where there is nothing behind the point.
fn percent(percent: f64) -> String {
    let text = format!("{percent:.2}");
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Seconds to a tenth that is not above.
fn tenths_below(time: Duration) -> String {
    let tenths = time.as_millis() / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Seconds to a tenth that is not below.
fn tenths_above(time: Duration) -> String {
    let tenths = time.as_nanos().div_ceil(100_000_000);
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::latency::Latencies;

    fn said(event: &Event<'_>, format: Format) -> String {
        let mut out = String::new();
        event.render(Style { format, ..Style::default() }, &Stamp::new(), &mut out);
        out
    }

    fn figures() -> Figures {
        let mut latencies = Latencies::new();
        (0..1999).for_each(|_| latencies.record(Duration::from_micros(52)));
        Figures {
            protocol: Protocol::Tcp,
            peer: ([127, 0, 0, 1], 6666).into(),
            sent: 2000,
            acknowledged: 1999,
            lost: 1,
            in_flight: 0,
            late: 0,
            unsent: 0,
            lasted: Duration::from_millis(19_991),
            connect: Some(Duration::from_micros(43)),
            rtt: latencies.summary(),
            response: latencies.summary(),
            worst_flow: None,
        }
    }

    #[test]
    fn the_summary_has_the_shape_of_ping() {
        let expected = "\n\
            --- 127.0.0.1:6666 tcp acknowledgement statistics ---\n\
            2000 sent, 1999 acknowledged, 1 lost (0.05%), 0 late, 19.991 s\n\
            connect  0.043 ms\n\
            rtt      min/p50/p90/p99/max = 0.052/0.052/0.052/0.052/0.052 ms\n\
            response min/p50/p90/p99/max = 0.052/0.052/0.052/0.052/0.052 ms\n";
        assert_eq!(said(&Event::Summary(&figures()), Format::Text), expected);
    }

    #[test]
    fn the_summary_says_what_never_came_to_be_and_who_fared_worst() {
        let worst_flow = Some(FlowFigures { source_port: 54321, sent: 63, lost: 4, p50: None });
        let text = said(&Event::Summary(&Figures { in_flight: 2, unsent: 37, worst_flow, ..figures() }), Format::Text);
        assert!(text.contains("1 lost (0.05%), 2 in flight, 0 late, 19.991 s\n37 due, not sent\n"), "{text}");
        assert!(text.ends_with("worst flow: source port 54321, 63 sent, 4 lost, p50 -\n"), "{text}");
    }

    #[test]
    fn the_figures_are_json_in_nanoseconds() {
        let line = said(&Event::Summary(&figures()), Format::Json);
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&json["event"], &json["sent"], &json["lost"]), (&"summary".into(), &2000.into(), &1.into()));
        assert_eq!((&json["connect_ns"], &json["rtt_ns"]["p50"]), (&43_000.into(), &52_000.into()));
        assert!(json["worst_flow"].is_null() && json["rtt_ns"]["p999"].is_null());
    }

    #[test]
    fn a_verdict_is_one_line_with_one_fixed_word() {
        let verdict = |word, rtt, text| Event::Verdict {
            protocol: Protocol::Udp,
            address: "10.0.0.5:6666",
            word,
            rtt,
            connect: None,
            text,
        };
        let open = verdict(Word::Open, Some(Duration::from_micros(214)), None);
        assert_eq!(said(&open, Format::Text), "udp 10.0.0.5:6666 open 0.214 ms\n");
        let closed = verdict(Word::Closed, None, Some(b"server is full".as_slice()));
        assert_eq!(said(&closed, Format::Text), "udp 10.0.0.5:6666 closed (server is full)\n");
        let wrong = said(&verdict(Word::WrongAnswer, None, Some(b"\x1b[2J")), Format::Text);
        assert_eq!(wrong, "udp 10.0.0.5:6666 wrong-answer (\\u{001b}[2J)\n");
    }

    #[test]
    fn an_idle_timeout_is_bracketed_outwards() {
        let peer = ([127, 0, 0, 1], 6666).into();
        let idle = |survived, cut: Option<u64>| {
            let cut = cut.map(|cut| (Duration::from_millis(cut), Cause::Announced));
            said(
                &Event::Idle { protocol: Protocol::Tcp, peer, survived: Duration::from_millis(survived), cut },
                Format::Text,
            )
        };
        assert_eq!(idle(29_880, Some(30_301)), "tcp idle timeout between 29.8 and 30.4 s: announced by the server\n");
        assert_eq!(idle(120_000, None), "no idle timeout up to 120 s\n");
    }

    #[test]
    fn a_percentage_has_no_idle_digits() {
        let said: Vec<String> = [0.0, 0.05, 50.0, 100.0 / 3.0].into_iter().map(percent).collect();
        assert_eq!(said, ["0%", "0.05%", "50%", "33.33%"]);
    }
}
