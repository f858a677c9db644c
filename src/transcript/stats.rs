//! The counters that the server keeps of itself.

use std::time::Duration;

/// The server's counters, in the order in which they are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Time since the start.
    pub uptime: Duration,
    /// TCP connections open now.
    pub connections: u64,
    /// The most that were ever open at once.
    pub peak: u64,
    /// TCP connections since the start.
    pub total: u64,
    /// TCP clients refused because the server was full ...
    pub refused_full: u64,
    /// ... and because too many were there from their address.
    pub refused_address: u64,
    /// TCP messages.
    pub messages: u64,
    /// TCP messages acknowledged.
    pub acks: u64,
    /// Bytes of all TCP messages.
    pub bytes: u64,
    /// Clients cut for idleness.
    pub idle_cuts: u64,
    /// Connections that a client reset.
    pub resets: u64,
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// Datagrams left without an answer.
    pub unanswered: u64,
    /// Datagrams that the kernel dropped, for want of room in the receive buffer above all: as far as it tells.
    pub datagrams_dropped: u64,
    /// Transcript lines dropped.
    pub lines_dropped: u64,
    /// The longest turn of the loop.
    pub longest_turn: Duration,
}

impl Stats {
    /// The counters between the two times, named.
    pub(super) fn counters(&self) -> [(&'static str, u64); 14] {
        [
            ("connections", self.connections),
            ("peak", self.peak),
            ("total", self.total),
            ("refused", self.refused_full + self.refused_address),
            ("messages", self.messages),
            ("acks", self.acks),
            ("bytes", self.bytes),
            ("idle_cuts", self.idle_cuts),
            ("resets", self.resets),
            ("datagrams_in", self.datagrams_in),
            ("datagrams_out", self.datagrams_out),
            ("unanswered", self.unanswered),
            ("datagrams_dropped", self.datagrams_dropped),
            ("lines_dropped", self.lines_dropped),
        ]
    }

    pub(super) fn longest_turn_ms(&self) -> f64 {
        self.longest_turn.as_secs_f64() * 1e3
    }
}
