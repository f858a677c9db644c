//! What the client tells as an instrument: verdicts, round trips, idle timeouts. English in every language.

mod figures;
mod idle;
mod size;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;

pub use self::figures::{Figures, FlowFigures, LostLegs, OutageFigures, hint};
pub use self::idle::{Cause, Idle};
pub use self::size::{Leg, Limit, Size};
use super::address::Address;
use super::json::Object;
use super::stamp::local;
use super::{Format, Render, Stamp, Style, cut_by, push, push_line, visible};
use crate::escape::{escape, shown_of};
use crate::latency::Millis;
use crate::wire::{ACK, CHECK, Framing, Message, Protocol};

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

/// One thing that an instrument found.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Whether a path is open.
    Verdict {
        /// TCP or UDP.
        protocol: Protocol,
        /// How TCP messages were told apart.
        framing: Framing,
        /// `IP:PORT`, or the name that does not resolve.
        address: &'a str,
        /// The verdict.
        word: Word,
        /// How long the acknowledgement took.
        rtt: Option<Duration>,
        /// How long it took to connect (TCP).
        connect: Option<Duration>,
        /// What came instead of an acknowledgement.
        said: Option<Message<'a>>,
    },
    /// What a run is about to do (text alone).
    Begin {
        /// TCP or UDP.
        protocol: Protocol,
        /// The server.
        peer: SocketAddr,
        /// The name behind its address.
        name: Option<&'a str>,
        /// The bytes of a probe.
        bytes: usize,
        /// From one probe to the next; zero: a closed loop.
        interval: Duration,
    },
    /// This client stood still (JSON alone: people are told on stderr).
    StoodStill {
        /// For so long.
        span: Duration,
        /// So many probes were due meanwhile, and not sent.
        unsent: u64,
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
        /// Since it was sent, where that is known.
        rtt: Option<Duration>,
        /// Since it was due.
        response: Option<Duration>,
        /// How long it was with the server, by the server's clock.
        server: Option<Duration>,
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
        /// What came of those that were longer.
        answer: Idle,
    },
    /// How big a message may be.
    Size {
        /// The server.
        peer: SocketAddr,
        /// The answer.
        size: &'a Size,
    },
    /// A name has another address than before, where the run goes on (JSON alone: people are told on stderr).
    Resolved {
        /// The name.
        name: &'a str,
        /// The address and port.
        address: SocketAddr,
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

/// The time of day, where it is asked for.
fn push_date(out: &mut String, dated: bool) {
    if dated {
        push!(out, "[{}] ", local(Timestamp::now()));
    }
}

impl Event<'_> {
    fn text(&self, out: &mut String) {
        match *self {
            Event::Verdict { protocol, framing, address, word, rtt, said, .. } => {
                push!(out, "{protocol} {address} {word}");
                if let Some(rtt) = rtt {
                    push!(out, " {} ms", Millis(rtt));
                }
                if let Some(said) = said {
                    push!(out, " ({})", shown_of(visible(cut_by(protocol, framing), said.text), said.len));
                }
                out.push('\n');
            }
            Event::Begin { protocol, peer, name, bytes, interval } => {
                push!(out, "ping {protocol} {}", Address::new(peer));
                if let Some(name) = name {
                    push!(out, " ({})", escape(name.as_bytes()));
                }
                let what = if bytes == 1 { "byte" } else { "bytes" };
                match interval.is_zero() {
                    true => push_line!(out, ", {bytes} {what}, each when the one before is answered"),
                    false => push_line!(out, ", {bytes} {what}, every {} s", interval.as_secs_f64()),
                }
            }
            Event::StoodStill { .. } | Event::Resolved { .. } => {}
            Event::Reply { protocol, peer, seq, rtt, dated, .. } => {
                push_date(out, dated);
                let (word, peer) = (acknowledgement(protocol), Address::new(peer));
                let time = rtt.map_or("-".to_owned(), |rtt| Millis(rtt).to_string());
                push_line!(out, "{word} from {peer}: seq={seq} time={time} ms");
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
            Event::Idle { protocol, survived, answer, .. } => answer.text(protocol, survived, out),
            Event::Size { peer, size } => size.text(peer, out),
        }
    }

    fn json(&self, stamp: &Stamp, out: &mut String) {
        match *self {
            Event::Verdict { protocol, framing, address, word, rtt, connect, said } => {
                let mut object = Object::event(out, stamp, "verdict").protocol(protocol);
                object = object.string("address", address).string("verdict", &word.to_string());
                object = nanos(nanos(object, "rtt_ns", rtt), "connect_ns", connect);
                match said {
                    Some(said) => object.outside("text", visible(cut_by(protocol, framing), said.text)).end_line(),
                    None => object.end_line(),
                }
            }
            Event::Begin { .. } => {}
            Event::StoodStill { span, unsent } => {
                let object = Object::event(out, stamp, "stood_still").seconds("seconds", span);
                object.value("unsent", unsent).end_line();
            }
            Event::Reply { protocol, peer, seq, flow, rtt, response, server, .. } => {
                let object = Object::event(out, stamp, "reply").protocol(protocol).address("peer", peer);
                let object = object.value("seq", seq).value("flow", flow);
                let object = nanos(nanos(object, "rtt_ns", rtt), "response_ns", response);
                nanos(object, "server_ns", server).end_line();
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
            Event::Idle { protocol, peer, survived, answer } => answer.json(protocol, peer, survived, stamp, out),
            Event::Size { peer, size } => size.json(peer, stamp, out),
            Event::Resolved { name, address } => {
                let object = Object::event(out, stamp, "resolved").outside("name", name.as_bytes());
                object.address("address", address).end_line();
            }
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

/// A count, or null.
fn count<'o>(object: Object<'o>, key: &'static str, count: Option<u64>) -> Object<'o> {
    match count {
        Some(count) => object.value(key, count),
        None => object.value(key, "null"),
    }
}

#[cfg(test)]
mod tests;
