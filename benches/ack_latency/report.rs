//! The table, for people and for programs.

use std::fmt::{self, Display};
use std::time::Duration;

use ack_reactor::latency::{Latencies, Summary};
use serde_json::{Value, json};

use crate::Plan;
use crate::load::Sample;
use crate::row::{Exchange, Row};

/// What the rounds of one row brought.
pub(crate) struct Figures {
    pub(crate) row: Row,
    /// The round trips of all rounds.
    pub(crate) ours: Latencies,
    floor: Latencies,
    /// A figure for each round.
    acks_per_second: Vec<f64>,
    floor_acks_per_second: Vec<f64>,
    /// The server's p50 divided by the floor's.
    ratios: Vec<f64>,
}

impl Figures {
    /// Nothing yet.
    pub(crate) fn new(row: Row) -> Figures {
        Figures {
            row,
            ours: Latencies::new(),
            floor: Latencies::new(),
            acks_per_second: Vec::new(),
            floor_acks_per_second: Vec::new(),
            ratios: Vec::new(),
        }
    }

    /// Adds one round.
    pub(crate) fn add(&mut self, ours: &Sample, floor: &Sample) {
        self.ours.merge(&ours.round_trips);
        self.floor.merge(&floor.round_trips);
        self.acks_per_second.push(ours.acks_per_second);
        self.floor_acks_per_second.push(floor.acks_per_second);
        if let (Some(ours), Some(floor)) = (ours.round_trips.summary().p50, floor.round_trips.summary().p50) {
            self.ratios.push(ours.as_secs_f64() / floor.as_secs_f64());
        }
    }

    fn to_json(&self, idle: usize) -> Value {
        let (protocol, framing) = match self.row.exchange {
            Exchange::Tcp(framing) => ("tcp", Some(framing.to_string())),
            Exchange::Udp => ("udp", None),
        };
        json!({
            "name": self.row.name(),
            "protocol": protocol,
            "framing": framing,
            "bytes": self.row.size,
            "connections": self.row.connections,
            "idle": if self.row.idle { idle } else { 0 },
            "busy_poll": self.row.busy_poll,
            "samples": self.ours.len(),
            "rtt_ns": as_value(&self.ours.summary()),
            "acks_per_second": median(&self.acks_per_second),
            "ratio": median(&self.ratios),
            "floor": {
                "samples": self.floor.len(),
                "rtt_ns": as_value(&self.floor.summary()),
                "acks_per_second": median(&self.floor_acks_per_second),
            },
        })
    }
}

/// All that is told about a run.
pub(crate) struct Report<'a> {
    pub(crate) rows: &'a [Figures],
    pub(crate) plan: Plan,
    pub(crate) rounds: u32,
    /// Idle connections where a row has some, and the descriptor limit that may have kept them fewer.
    pub(crate) idle: usize,
    pub(crate) limit: Option<usize>,
}

impl Report<'_> {
    /// The same figures for programs.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "rounds": self.rounds,
            "warm_up_ms": ms(self.plan.warm_up),
            "measured_ms": ms(self.plan.measured),
            "rows": self.rows.iter().map(|figures| figures.to_json(self.idle)).collect::<Vec<_>>(),
        })
    }
}

impl Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "acknowledgement round trip over loopback, in µs")?;
        if cfg!(debug_assertions) {
            writeln!(f, "(not optimised: the times mean nothing)")?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "{:<10}{:>6}  {:<18}{:>8}{:>8}{:>8}{:>8}{:>9}{:>9}{:>8}",
            "", "bytes", "connections", "p50", "p90", "p99", "p99.9", "max", "ACK/s", "×floor"
        )?;
        for Figures { row, ours, acks_per_second, ratios, .. } in self.rows {
            let summary = ours.summary();
            write!(f, "{:<10}{:>6}  {:<18}", row.exchange_name(), row.size, self.connections(row))?;
            for figure in [summary.p50, summary.p90, summary.p99, summary.p999] {
                write!(f, "{:>8}", micros(figure))?;
            }
            let (acks, ratio) = (median(acks_per_second), median(ratios));
            let acks = acks.map_or("-".to_owned(), |acks| format!("{acks:.0}"));
            let ratio = ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
            writeln!(f, "{:>9}{acks:>9}{ratio:>8}", micros(summary.max))?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "{} × {} ms, each after {} ms of warm-up, server and floor in turn. Percentiles are of all rounds together",
            self.rounds,
            ms(self.plan.measured),
            ms(self.plan.warm_up)
        )?;
        writeln!(f, "(- where fewer than ten samples lie beyond), ACK/s and ×floor medians of the rounds.")?;
        writeln!(
            f,
            "×floor: p50 divided by that of blocking std::net sockets in another process, which never spin and have"
        )?;
        writeln!(
            f,
            "nobody idle beside them (TCP: a thread for each connection). The next message waits for the answer to"
        )?;
        writeln!(
            f,
            "the last, so a stall counts once a connection, however long (coordinated omission). The server is --quiet."
        )?;
        if let Some(limit) = self.limit.filter(|_| self.rows.iter().any(|figures| figures.row.idle)) {
            writeln!(f, "{} idle connections, the descriptor limit being {limit}.", self.idle)?;
        }
        Ok(())
    }
}

impl Report<'_> {
    fn connections(&self, row: &Row) -> String {
        let idle = if row.idle { format!(" + {} idle", self.idle) } else { String::new() };
        let spins = if row.busy_poll { ", busy-poll" } else { "" };
        format!("{}{idle}{spins}", row.connections)
    }
}

pub(crate) fn micros(figure: Option<Duration>) -> String {
    figure.map_or("-".to_owned(), |figure| format!("{:.1}", figure.as_secs_f64() * 1e6))
}

pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The middle one; of two in the middle their mean.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { upper } else { f64::midpoint(sorted[middle - 1], upper) })
}

/// The figures of a sample, as they stand in the file for programs.
pub(crate) fn as_value(summary: &Summary) -> Value {
    serde_json::from_str(&summary.to_json()).unwrap_or_default()
}
