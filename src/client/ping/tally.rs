//! The figures of a run: every round trip kept, each flow with an account of its own.

use std::time::Duration;

use super::account::Times;
use crate::latency::{Jitter, Latencies, Summary};
use crate::transcript::instrument::FlowFigures;

/// Times of one kind, as they came.
#[derive(Debug)]
pub(super) struct Series {
    /// How they are distributed.
    pub(super) latencies: Latencies,
    jitter: Jitter,
}

impl Series {
    fn new() -> Series {
        Series { latencies: Latencies::new(), jitter: Jitter::default() }
    }

    fn record(&mut self, time: Duration) {
        self.latencies.record(time);
        self.jitter.record(time);
    }

    /// What they come to.
    pub(super) fn summary(&self) -> Summary {
        Summary { jitter: self.jitter.get(), ..self.latencies.summary() }
    }
}

/// The account of one flow.
#[derive(Debug, Default)]
struct FlowTally {
    /// The port that its last probe left from.
    source_port: u16,
    /// The port that its last lost probe left from: the one to look into, since another took over.
    lost_from: Option<u16>,
    sent: u64,
    lost: u64,
    /// Round trips; only where there are several flows to compare.
    rtt: Option<Latencies>,
}

/// The figures of the run.
#[derive(Debug)]
pub(super) struct Tally {
    /// From the sending to the acknowledgement.
    pub(super) rtt: Series,
    /// From the moment a probe was due; none where that is when it was sent.
    response: Option<Series>,
    /// How long it was with the server, by the server's own clock.
    pub(super) server: Series,
    /// From the moment a probe was due to its sending: our own doing.
    pub(super) own_lateness: Latencies,
    /// Times to connect (TCP).
    pub(super) connects: Latencies,
    /// Second answers to a probe.
    pub(super) duplicated: u64,
    /// Answers that came after one to a later probe.
    pub(super) reordered: u64,
    /// Connections that were cut between probes.
    pub(super) cuts: u64,
    /// Acknowledgements that no probe was waiting for.
    pub(super) surplus: u64,
    /// What came while no probe was waiting and is no acknowledgement.
    pub(super) strange: u64,
    flows: Vec<FlowTally>,
}

impl Tally {
    /// The figures of a run over so many flows; where it `is_closed` each probe is sent when it is due.
    pub(super) fn new(flows: usize, is_closed: bool) -> Tally {
        Tally {
            rtt: Series::new(),
            response: (!is_closed).then(Series::new),
            server: Series::new(),
            own_lateness: Latencies::new(),
            connects: Latencies::new(),
            duplicated: 0,
            reordered: 0,
            cuts: 0,
            surplus: 0,
            strange: 0,
            flows: (0..flows).map(|_| FlowTally::default()).collect(),
        }
    }

    /// From the moment a probe was due.
    pub(super) fn response(&self) -> &Series {
        self.response.as_ref().unwrap_or(&self.rtt)
    }

    /// A probe of `flow` went out from this port; without one it was refused before it had any.
    pub(super) fn send(&mut self, flow: usize, source_port: Option<u16>) {
        let flow = &mut self.flows[flow];
        flow.sent += 1;
        flow.source_port = source_port.unwrap_or(flow.source_port);
    }

    /// It was acknowledged in time, after so long; `None` where that cannot be known.
    pub(super) fn acknowledge(&mut self, flow: usize, times: Option<Times>, server: Option<Duration>) {
        if let Some(server) = server {
            self.server.record(server);
        }
        let Some(Times { rtt, response }) = times else {
            return;
        };
        self.rtt.record(rtt);
        if let Some(series) = &mut self.response {
            series.record(response);
        }
        if self.flows.len() > 1 {
            self.flows[flow].rtt.get_or_insert_with(Latencies::coarse).record(rtt);
        }
    }

    /// It was not; it had left from this port.
    pub(super) fn lose(&mut self, flow: usize, source_port: Option<u16>) {
        let flow = &mut self.flows[flow];
        flow.lost += 1;
        flow.lost_from = Some(source_port.unwrap_or(flow.source_port));
    }

    /// The flow that lost the largest share; among equals the slowest.
    pub(super) fn worst_flow(&self) -> Option<FlowFigures> {
        if self.flows.len() < 2 {
            return None;
        }
        let p50 = |flow: &FlowTally| flow.rtt.as_ref().map(Latencies::summary).and_then(|rtt: Summary| rtt.p50);
        let sent = self.flows.iter().filter(|flow| flow.sent > 0).map(|flow| (flow, p50(flow)));
        let worst = sent.max_by(|(a, a_p50), (b, b_p50)| {
            // lost/sent without rounding
            let (a_share, b_share) = (u128::from(a.lost) * u128::from(b.sent), u128::from(b.lost) * u128::from(a.sent));
            a_share.cmp(&b_share).then(a_p50.cmp(b_p50))
        });
        worst.map(|(flow, p50)| {
            let source_port = flow.lost_from.unwrap_or(flow.source_port);
            FlowFigures { source_port, sent: flow.sent, lost: flow.lost, p50 }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_worst_flow_is_the_one_that_loses_most_of_what_it_sends() {
        let mut tally = Tally::new(3, false);
        for (flow, sent, lost) in [(0, 4, 1), (1, 2, 1), (2, 100, 20)] {
            for number in 0..sent {
                tally.send(flow, Some(u16::try_from(flow).unwrap()));
                if number < lost {
                    tally.lose(flow, None);
                } else {
                    let rtt = Duration::from_millis(number);
                    tally.acknowledge(flow, Some(Times { rtt, response: rtt }), None);
                }
            }
        }
        let worst = tally.worst_flow().unwrap();
        assert_eq!((worst.source_port, worst.sent, worst.lost), (1, 2, 1));
    }

    #[test]
    fn a_probe_that_never_had_a_port_takes_that_of_nobody_away() {
        let mut tally = Tally::new(2, false);
        tally.send(0, Some(4711));
        for _ in 0..2 {
            tally.send(0, None);
            tally.lose(0, None);
        }
        assert_eq!(tally.worst_flow().map(|worst| (worst.source_port, worst.lost)), Some((4711, 2)));
    }

    #[test]
    fn what_cannot_be_known_is_left_out() {
        let mut tally = Tally::new(1, false);
        tally.acknowledge(0, None, Some(Duration::from_micros(3)));
        let of = |series: &Series| series.summary().n;
        assert_eq!((of(&tally.rtt), of(tally.response()), of(&tally.server)), (0, 0, 1));
    }
}
