//! The trace of a turn: who is served, and what it came to in the end.

use std::fmt::Display;
use std::time::Instant;

use super::{Server, Source};
use crate::reactor::{self, Key};
use crate::trace::{Counted, NextDeadline, trace};
use crate::transcript::address::Address;

/// What the end of a turn did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TurnEnd {
    /// Whose time was over, and who was told or cut.
    pub(super) swept: usize,
    /// Slots that are free again.
    pub(super) reaped: usize,
}

impl Server {
    /// Who has a slice now, and why.
    #[cold]
    #[inline(never)]
    pub(super) fn trace_source(&mut self, source: Source) {
        if reactor::Source::is_of_trace(source) {
            return;
        }
        self.process.reactor.tell_turn();
        let readiness = self.process.reactor.readiness(source);
        match source {
            Source::Peer(key) => self.trace_peer(key, readiness),
            Source::Signals => trace!("  the signals {readiness}"),
            Source::Listener => trace!("  the listener {readiness}"),
            Source::Datagrams => trace!("  the UDP socket {readiness}"),
            Source::Console => trace!("  stdin {readiness}"),
            Source::Screen | Source::Diagnostics => {}
            Source::Metrics => trace!("  the metrics' listener {readiness}"),
            Source::Visitor => trace!("  the metrics' visitor {readiness}"),
            Source::Alarm => trace!("  the alarm rang"),
        }
    }

    /// Whose deadline is over.
    #[cold]
    #[inline(never)]
    pub(super) fn trace_due(&mut self, key: Key) {
        self.process.reactor.tell_turn();
        self.trace_peer(key, "is due");
    }

    fn trace_peer(&mut self, key: Key, why: impl Display) {
        let (slot, generation) = (key.slot(), key.generation());
        let address = self.roster.get_mut(key).map(|peer| Address::new(peer.address).to_string());
        let who = address.unwrap_or_else(|| "somebody who is gone".to_owned());
        trace!("  {who} (slot {slot}, generation {generation}) {why}");
    }

    /// What the turn came to, before the next one sleeps until `deadline`.
    #[cold]
    #[inline(never)]
    pub(super) fn trace_end(&mut self, TurnEnd { swept, reaped }: TurnEnd, deadline: Option<Instant>) {
        // What is swept is no event.
        if swept + reaped > 0 {
            self.process.reactor.tell_turn();
        }
        if !self.process.reactor.is_told() {
            return;
        }
        let deadline = NextDeadline(self.process.reactor.next_wake(deadline));
        self.trace_sum(TurnEnd { swept, reaped }, deadline);
    }

    /// What the last turn came to.
    #[cold]
    #[inline(never)]
    pub(super) fn trace_last(&mut self, turn: TurnEnd) {
        self.trace_sum(turn, "the end");
    }

    fn trace_sum(&mut self, TurnEnd { swept, reaped }: TurnEnd, next: impl Display) {
        let printed = Counted(self.process.journal.take_told(), "line");
        trace!("  swept {swept}, reaped {reaped}, printed {printed}; {next}");
    }
}
