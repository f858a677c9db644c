//! What every conversation shares.

use crate::connection::buffer;
use crate::transcript::server::Stats;

/// The read buffer and the counters. So an idle connection needs none of its own.
pub(super) struct Desk {
    pub(super) buffer: Box<[u8]>,
    pub(super) stats: Stats,
}

impl Desk {
    pub(super) fn new() -> Desk {
        Desk { buffer: buffer(), stats: Stats::default() }
    }
}
