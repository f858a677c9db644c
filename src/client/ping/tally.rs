//! The figures of a run: every probe counted once, every round trip kept.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::latency::{Latencies, Summary};
use crate::transcript::instrument::{Figures, FlowFigures};
use crate::wire::Protocol;

/// One probe on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    /// Its number, from 1.
    pub(super) seq: u64,
    /// When it was due.
    pub(super) due: Instant,
    /// When it was sent.
    pub(super) sent: Instant,
}

/// The account of one flow.
#[derive(Debug, Default)]
pub(super) struct FlowTally {
    /// The port that its last probe left from.
    pub(super) source_port: u16,
    /// The port that its last lost probe left from: the one to look into, since another took over.
    lost_from: Option<u16>,
    /// Probes sent.
    pub(super) sent: u64,
    /// Probes lost.
    pub(super) lost: u64,
    /// Round trips; only where there are several flows to compare.
    rtt: Option<Latencies>,
}

/// The account of the run.
#[derive(Debug)]
pub(super) struct Tally {
    /// Probes sent.
    pub(super) sent: u64,
    /// Probes acknowledged in time.
    pub(super) acknowledged: u64,
    /// Probes that were not.
    pub(super) lost: u64,
    /// Lost probes acknowledged after all.
    pub(super) late: u64,
    /// Acknowledgements that no probe was waiting for.
    pub(super) surplus: u64,
    /// What came while no probe was waiting and is no acknowledgement.
    pub(super) strange: u64,
    /// From the sending to the acknowledgement.
    pub(super) rtt: Latencies,
    /// From the moment a probe was due.
    pub(super) response: Latencies,
    /// From the moment a probe was due, and a flow free to carry it, to its sending: our own doing.
    pub(super) own_lateness: Latencies,
    /// Times to connect (TCP).
    pub(super) connects: Latencies,
    /// One for each flow.
    pub(super) flows: Vec<FlowTally>,
}

impl Tally {
    /// The account of a run over so many flows.
    pub(super) fn new(flows: usize) -> Tally {
        Tally {
            sent: 0,
            acknowledged: 0,
            lost: 0,
            late: 0,
            surplus: 0,
            strange: 0,
            rtt: Latencies::new(),
            response: Latencies::new(),
            own_lateness: Latencies::new(),
            connects: Latencies::new(),
            flows: (0..flows).map(|_| FlowTally::default()).collect(),
        }
    }

    /// A probe went out by `flow`, which was free since the given time.
    pub(super) fn send(&mut self, probe: Probe, flow: usize, free_since: Instant) {
        self.sent += 1;
        self.flows[flow].sent += 1;
        self.own_lateness.record(probe.sent.saturating_duration_since(probe.due.max(free_since)));
    }

    /// It was acknowledged in time. Returns its round trip and its response time.
    pub(super) fn acknowledge(&mut self, probe: Probe, flow: usize, now: Instant) -> (Duration, Duration) {
        let rtt = now.saturating_duration_since(probe.sent);
        let response = now.saturating_duration_since(probe.due);
        self.acknowledged += 1;
        self.rtt.record(rtt);
        self.response.record(response);
        if self.flows.len() > 1 {
            self.flows[flow].rtt.get_or_insert_with(Latencies::coarse).record(rtt);
        }
        (rtt, response)
    }

    /// It was not.
    pub(super) fn lose(&mut self, flow: usize) {
        self.lost += 1;
        let flow = &mut self.flows[flow];
        flow.lost += 1;
        flow.lost_from = Some(flow.source_port);
    }

    /// The figures so far.
    pub(super) fn figures(&self, protocol: Protocol, peer: SocketAddr, unsent: u64, lasted: Duration) -> Figures {
        Figures {
            protocol,
            peer,
            sent: self.sent,
            acknowledged: self.acknowledged,
            lost: self.lost,
            in_flight: self.sent - self.acknowledged - self.lost,
            late: self.late,
            unsent,
            lasted,
            connect: self.connects.summary().p50,
            rtt: self.rtt.summary(),
            response: self.response.summary(),
            worst_flow: self.worst_flow(),
        }
    }

    /// The one that lost the largest share; among equals the slowest.
    fn worst_flow(&self) -> Option<FlowFigures> {
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
        let now = Instant::now();
        let mut tally = Tally::new(3);
        for (flow, sent, lost) in [(0, 4, 1), (1, 2, 1), (2, 100, 20)] {
            tally.flows[flow].source_port = u16::try_from(flow).unwrap();
            for seq in 0..sent {
                let probe = Probe { seq, due: now, sent: now };
                tally.send(probe, flow, now);
                if seq < lost {
                    tally.lose(flow);
                } else {
                    tally.acknowledge(probe, flow, now + Duration::from_millis(seq));
                }
            }
        }
        let figures = tally.figures(Protocol::Udp, ([127, 0, 0, 1], 1).into(), 0, Duration::ZERO);
        let worst = figures.worst_flow.unwrap();
        assert_eq!((worst.source_port, worst.sent, worst.lost), (1, 2, 1));
        assert_eq!((figures.sent, figures.acknowledged, figures.lost, figures.in_flight), (106, 84, 22, 0));
    }

    #[test]
    fn response_counts_from_the_moment_a_probe_was_due() {
        let due = Instant::now();
        let sent = due + Duration::from_millis(30);
        let mut tally = Tally::new(1);
        let times = tally.acknowledge(Probe { seq: 1, due, sent }, 0, sent + Duration::from_millis(2));
        assert_eq!(times, (Duration::from_millis(2), Duration::from_millis(32)));
    }
}
