//! Which probe was how long, and what its answer tells.

use std::hash::{BuildHasher, RandomState};

use crate::datagrams::Refusal;
use crate::wire::{Probe, STAMPED, Stamp};

/// Why a probe was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Does this size pass in one piece?
    Size,
    /// Does it pass in fragments?
    Fragments,
    /// Does the path still stand?
    Closing,
}

/// One probe.
#[derive(Clone, Copy, Debug)]
struct Sent {
    size: usize,
    purpose: Purpose,
    is_answered: bool,
}

/// All probes of one source port.
#[derive(Debug)]
pub(super) struct Session {
    session: u64,
    probes: Vec<Sent>,
    answered: u64,
    /// How many a router said were too long for it.
    refused: u64,
    /// The last answer.
    last: Option<Stamp>,
}

/// What the numbers of a session tell of the probes that got no answer, and of which no router told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Vanished {
    /// They did not arrive.
    pub(super) there: u64,
    /// They did, and were answered.
    pub(super) back: u64,
}

impl Session {
    /// One that nobody else has.
    pub(super) fn new() -> Session {
        let session = RandomState::new().hash_one(0);
        Session { session, probes: Vec::new(), answered: 0, refused: 0, last: None }
    }

    /// Writes the next probe over the beginning of `message`, if there is room for one.
    pub(super) fn stamp(&self, message: &mut [u8], purpose: Purpose) {
        let probe = Probe { session: self.session, seq: self.probes.len() as u64 + 1, clock: 0, flags: 0 };
        // In fragments it has the way there to itself: an answer as long would have to come in one piece.
        let probe = if purpose == Purpose::Fragments { probe } else { probe.as_long() };
        if let Some(header) = message.first_chunk_mut::<STAMPED>() {
            probe.encode(header);
        }
    }

    /// It has left.
    pub(super) fn sent(&mut self, size: usize, purpose: Purpose) {
        self.probes.push(Sent { size, purpose, is_answered: false });
    }

    /// The size and purpose of the probe that `stamp` answers; `None` where it answers none.
    pub(super) fn answer(&mut self, stamp: &Stamp) -> Option<(usize, Purpose)> {
        if stamp.session != self.session {
            return None;
        }
        let sent = self.probes.get_mut(place(stamp.seq)?)?;
        self.answered += u64::from(!std::mem::replace(&mut sent.is_answered, true));
        self.last = Some(*stamp);
        Some((sent.size, sent.purpose))
    }

    /// The size of the probe that a router says is too long for it, where it says which.
    pub(super) fn refused(&mut self, refusal: &Refusal) -> Option<usize> {
        self.refused += 1;
        let mark = refusal.mark.filter(|mark| mark.session == self.session)?;
        self.probes.get(place(mark.seq)?).map(|sent| sent.size)
    }

    /// Which way they vanished, as far as the last answer knows; `None` where the numbers do not fit one server.
    pub(super) fn vanished(&self) -> Option<Vanished> {
        let Stamp { count, highest, first, .. } = self.last?;
        if first != 1 || highest != self.probes.len() as u64 {
            return None;
        }
        let there = highest.checked_sub(count)?.saturating_sub(self.refused);
        Some(Vanished { there, back: count.checked_sub(self.answered)? })
    }
}

/// Where the probe of this number stands, if it has been sent.
fn place(seq: u64) -> Option<usize> {
    usize::try_from(seq.checked_sub(1)?).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::wire::Mark;

    /// A session of so many probes of 100 bytes, and its next stamp.
    fn session(sent: u64) -> (Session, impl Fn(u64, u64) -> Stamp) {
        let mut session = Session::new();
        (0..sent).for_each(|_| session.sent(100, Purpose::Size));
        let number = session.session;
        let stamp = move |seq, count| Stamp {
            session: number,
            seq,
            clock: 0,
            count,
            received: 0,
            left: 0,
            highest: sent,
            first: 1,
        };
        (session, stamp)
    }

    #[test]
    fn the_last_answer_tells_which_way_the_others_vanished() {
        let (mut session, stamp) = session(5);
        assert_eq!(session.vanished(), None);
        assert_eq!(session.answer(&stamp(1, 1)), Some((100, Purpose::Size)));
        // Once more the same is no second answer.
        assert_eq!(session.answer(&stamp(1, 1)), Some((100, Purpose::Size)));
        session.answer(&stamp(5, 4));
        assert_eq!(session.vanished(), Some(Vanished { there: 1, back: 2 }));
        // One of them a router told of.
        let mark = Some(Mark { session: session.session, seq: 3 });
        let refusal = Refusal { error: std::io::ErrorKind::Other.into(), mark, too_big: None };
        assert_eq!(session.refused(&refusal), Some(100));
        assert_eq!(session.vanished(), Some(Vanished { there: 0, back: 2 }));
    }

    #[test]
    fn what_answers_no_probe_of_ours_tells_nothing() {
        let (mut session, stamp) = session(2);
        let other = Stamp { session: session.session ^ 1, ..stamp(1, 1) };
        for stamp in [other, stamp(0, 1), stamp(3, 1), stamp(u64::MAX, 1)] {
            assert_eq!(session.answer(&stamp), None);
        }
        // Two servers that take turns.
        session.answer(&Stamp { first: 2, ..stamp(2, 1) });
        assert_eq!(session.vanished(), None);
    }

    #[test]
    fn the_flag_asks_for_an_answer_as_long_but_for_fragments() {
        let session = Session::new();
        let mut message = [0; 100];
        for (purpose, as_long) in [(Purpose::Size, true), (Purpose::Closing, true), (Purpose::Fragments, false)] {
            session.stamp(&mut message, purpose);
            assert_eq!(Probe::parse(&message).unwrap().asks_for_length(), as_long);
        }
        let mut short = [7; 71];
        session.stamp(&mut short, Purpose::Size);
        assert_eq!(short, [7; 71]);
    }
}
