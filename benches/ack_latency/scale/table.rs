//! The table of costs, for people and for programs.

use std::fmt::{self, Display};

use serde_json::{Value, json};

use super::{Figures, Group};
use crate::Plan;
use crate::report::{as_value, median, micros, ms};
use crate::row::Row;

/// All that is told about a run.
pub(crate) struct Table<'a> {
    /// In the order of the table.
    pub(crate) rows: &'a [Row],
    pub(crate) groups: &'a [Group],
    pub(crate) plan: Plan,
    pub(crate) rounds: u32,
    pub(crate) limit: Option<usize>,
}

impl Table<'_> {
    /// Each row's figures and its floor's.
    fn figures(&self) -> impl Iterator<Item = (&Figures, &Figures)> {
        self.rows.iter().filter_map(|row| {
            let group = self.groups.iter().find(|group| group.floor.row.number == row.number)?;
            let figures = group.rows.iter().find(|figures| figures.row.connections == row.connections)?;
            Some((figures, &group.floor))
        })
    }

    /// The same figures for programs.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "rounds": self.rounds,
            "warm_up_ms": ms(self.plan.warm_up),
            "measured_ms": ms(self.plan.measured),
            "descriptor_limit": self.limit,
            "rows": self.figures().map(|(ours, floor)| {
                let mut row = of(ours);
                row["user_bytes"] = json!(median(&ours.user));
                row["kernel_bytes"] = json!(median(&ours.kernel));
                row["ratio"] = json!(ratio(ours, floor));
                row["floor"] = of(floor);
                row
            }).collect::<Vec<_>>(),
        })
    }
}

fn of(figures: &Figures) -> Value {
    json!({
        "name": figures.row.name(),
        "bytes": figures.row.size,
        "connections": figures.row.connections,
        "depth": figures.row.depth,
        "rtt_ns": as_value(&figures.round_trips.summary()),
        "acks_per_second": median(&figures.acks_per_second),
        "cpu_ns_per_ack": median(&figures.cpu_per_ack).map(|seconds| seconds * 1e9),
    })
}

/// How many times the floor's processor time: the median of the rounds.
fn ratio(ours: &Figures, floor: &Figures) -> Option<f64> {
    let ratios: Vec<_> = ours.cpu_per_ack.iter().zip(&floor.cpu_per_ack).map(|(ours, floor)| ours / floor).collect();
    median(&ratios)
}

impl Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "what an acknowledgement costs over loopback: round trips in µs, processor in ns, memory in bytes"
        )?;
        if cfg!(debug_assertions) {
            writeln!(f, "(not optimised: the times mean nothing)")?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "{:<10}{:>6}{:>12}{:>10}{:>10}{:>10}{:>11}{:>8}{:>7}{:>8}{:>6}{:>8}",
            "",
            "bytes",
            "connections",
            "in flight",
            "p50",
            "p99",
            "ACK/s",
            "CPU/ACK",
            "floor",
            "×floor",
            "user",
            "kernel"
        )?;
        for (ours, floor) in self.figures() {
            let (row, summary) = (&ours.row, ours.round_trips.summary());
            let connections = row.connections_name();
            write!(f, "{:<10}{:>6}{connections:>12}{:>10}", row.exchange_name(), row.size, row.depth)?;
            write!(f, "{:>10}{:>10}{:>11}", micros(summary.p50), micros(summary.p99), whole(&ours.acks_per_second))?;
            write!(f, "{:>8}{:>7}", nanos(&ours.cpu_per_ack), nanos(&floor.cpu_per_ack))?;
            let ratio = ratio(ours, floor).map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
            writeln!(f, "{ratio:>8}{:>6}{:>8}", whole(&ours.user), whole(&ours.kernel))?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "{} × {} ms, each after {} ms of warm-up and more for many connections, server and floor in turn.",
            self.rounds,
            ms(self.plan.measured),
            ms(self.plan.warm_up)
        )?;
        writeln!(f, "Percentiles are of all rounds together, the rest their medians.")?;
        f.write_str(LEGEND)?;
        if let Some(limit) = self.limit {
            writeln!(f, "All connections are held at once and each is acknowledged; the descriptor limit is {limit}.")?;
        }
        Ok(())
    }
}

const LEGEND: &str = "\
in flight: on each connection, sent in one write; the next ones when all of them are acknowledged.
CPU/ACK: processor time of the server; floor: that of blocking std::net sockets in another process, doing the
same exchange on one connection; ×floor: the one divided by the other. Both ends share one core throughout.
short: each message on a connection of its own, which then ends, every other one by a reset; all of that is in
its round trip and its CPU/ACK. The floor takes one such connection after the other.
The server is --quiet: it counts messages and prints none.
user: memory of the server for each connection; kernel: slab memory for one end of it (half of what both take).
- where there are too few to tell, or the system does not.
";

fn whole(rounds: &[f64]) -> String {
    median(rounds).map_or("-".to_owned(), |figure| format!("{figure:.0}"))
}

fn nanos(rounds: &[f64]) -> String {
    median(rounds).map_or("-".to_owned(), |seconds| {
        let nanos = seconds * 1e9;
        if nanos < 100.0 { format!("{nanos:.1}") } else { format!("{nanos:.0}") }
    })
}
