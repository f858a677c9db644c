//! What every conversation shares.

use crate::connection::buffer;
use crate::transcript::server::Stats;
use crate::wire::Reason;

/// The read buffer and the counters. So an idle connection needs none of its own.
pub(super) struct Desk {
    pub(super) buffer: Box<[u8]>,
    pub(super) stats: Stats,
    pub(super) tally: Tally,
}

/// What is counted for the metrics alone.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Connections that were closed, by [reason](Reason::ALL).
    pub(super) closed: [u64; Reason::ALL.len()],
    /// Those of the refused whose address had enough connections.
    pub(super) refused_for_address: u64,
    /// Bytes of all datagrams.
    pub(super) datagram_bytes: u64,
}

impl Desk {
    pub(super) fn new() -> Desk {
        Desk { buffer: buffer(), stats: Stats::default(), tally: Tally::default() }
    }
}
