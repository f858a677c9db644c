//! How the cost of an acknowledgement grows: with connections, with the size of messages, with their number in flight.
//!
//! Every row stands beside the **lone floor**: one blocking pair of sockets doing the same exchange on one connection.
//! Load and server share a core in every row, and so do load and floor.

mod core;
mod table;

use std::error::Error;
use std::time::Instant;

use self::core::on_one_core;
pub(crate) use self::table::Table;
use crate::far::Far;
use crate::load::{self, PORTS, Sample};
use crate::row::{Exchange, Row, lone_rows};
use crate::{Plan, show_progress};
use ack_reactor::latency::Latencies;
use ack_reactor::wire::Framing;

/// Active connections, as far as there may be as many, and then as many as there may be.
const CONNECTIONS: [usize; 4] = [1, 64, 1024, 8000];
/// More are not held, whatever the descriptor limit: some gigabyte of a kernel's memory is enough.
const MOST: usize = if cfg!(target_os = "linux") { 100_000 } else { PORTS };
/// Connections with several messages in flight on each.
const PIPELINES: usize = 8;

/// The whole table, where there may be `most` connections.
pub(crate) fn rows(most: usize) -> Vec<Row> {
    let most = most.clamp(1, MOST);
    let on = |connections| move |row: Row| Row { connections, ..row };
    let lone = lone_rows();
    let of = |exchange| lone.iter().copied().filter(move |row| row.exchange == exchange);
    let (short, bytes): (Vec<_>, Vec<_>) = of(Exchange::Tcp(Framing::Bytes)).partition(|row| row.short);
    let counts: Vec<_> = CONNECTIONS.into_iter().filter(|&count| count < most).chain([most]).collect();
    let grown = bytes.into_iter().flat_map(|row| counts.iter().map(move |&count| on(count)(row)));
    let datagrams = of(Exchange::Udp).flat_map(|row| [row, on(64)(row)]);
    let lines = || of(Exchange::Tcp(Framing::Lines));
    let sizes = lines().filter(|row| row.depth == 1);
    let depths = lines().filter(|row| row.size == 5).map(on(PIPELINES));
    grown.chain(short).chain(datagrams).chain(sizes).chain(depths).collect()
}

/// What the rounds of one row brought.
pub(crate) struct Figures {
    row: Row,
    /// The round trips of all rounds.
    round_trips: Latencies,
    /// A figure for each round.
    acks_per_second: Vec<f64>,
    cpu_per_ack: Vec<f64>,
    user: Vec<f64>,
    kernel: Vec<f64>,
}

impl Figures {
    fn new(row: Row) -> Figures {
        Figures {
            row,
            round_trips: Latencies::new(),
            acks_per_second: Vec::new(),
            cpu_per_ack: Vec::new(),
            user: Vec::new(),
            kernel: Vec::new(),
        }
    }

    fn add(&mut self, sample: &Sample) {
        self.round_trips.merge(&sample.round_trips);
        self.acks_per_second.push(sample.acks_per_second);
        self.cpu_per_ack.extend(sample.cpu_per_ack);
        self.user.extend(sample.memory.user);
        self.kernel.extend(sample.memory.kernel);
    }
}

/// Rows of the server, beside the floor that all of them share.
pub(crate) struct Group {
    floor: Figures,
    rows: Vec<Figures>,
}

/// Measures every row in every round; tells also how many rounds there was time for.
pub(crate) fn measure(rows: &[Row], plan: Plan) -> Result<(Vec<Group>, u32), Box<dyn Error>> {
    let began = Instant::now();
    let mut groups: Vec<_> = lone_rows()
        .into_iter()
        .map(|floor| {
            let rows = rows.iter().filter(|row| row.number == floor.number).map(|row| Figures::new(*row)).collect();
            Group { floor: Figures::new(floor), rows }
        })
        .filter(|group| !group.rows.is_empty())
        .collect();
    let mut rounds = 0;
    while rounds < plan.rounds && began.elapsed() / rounds.max(1) * (rounds + 1) <= plan.limit {
        rounds += 1;
        for group in &mut groups {
            // The floor is not always the one that comes first.
            let mut all: Vec<_> =
                [(&mut group.floor, true)].into_iter().chain(group.rows.iter_mut().map(|row| (row, false))).collect();
            if rounds % 2 == 0 {
                all.reverse();
            }
            for (figures, is_floor) in all {
                let (row, name) = (figures.row, figures.row.name());
                show_progress(&format!("round {rounds} of {}: {name}", plan.rounds));
                let sample = on_one_core(|| {
                    let far = if is_floor { Far::floor(&row) } else { Far::server(&row) };
                    load::measure(&row, &far?, plan, 0)
                });
                figures.add(&sample.map_err(|error| format!("{name}: {error}"))?);
            }
        }
    }
    show_progress("");
    Ok((groups, rounds))
}
