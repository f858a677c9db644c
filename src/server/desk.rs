//! What every conversation shares.

use std::net::IpAddr;

use super::networks::Networks;
use super::{Extent, Settings};
use crate::connection::buffer;
use crate::transcript::server::Stats;
use crate::wire::Reason;

/// The read buffer and the counters. So an idle connection needs none of its own.
pub(super) struct Desk {
    pub(super) buffer: Box<[u8]>,
    pub(super) stats: Stats,
    pub(super) tally: Tally,
    /// Whether messages are told at all.
    pub(super) tells_messages: bool,
    quiet_from: Networks,
}

/// What is counted for the metrics alone.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Connections that were closed, by [reason](Reason::ALL).
    pub(super) closed: [u64; Reason::ALL.len()],
    /// Bytes of all datagrams.
    pub(super) datagram_bytes: u64,
}

impl Desk {
    pub(super) fn new(settings: &Settings) -> Desk {
        Desk {
            buffer: buffer(),
            stats: Stats::default(),
            tally: Tally::default(),
            tells_messages: settings.transcript == Extent::All,
            quiet_from: settings.quiet_from.clone(),
        }
    }

    /// Whether who comes from there is served and not told.
    #[inline]
    pub(super) fn is_quiet(&self, address: IpAddr) -> bool {
        self.quiet_from.contain(address)
    }
}
