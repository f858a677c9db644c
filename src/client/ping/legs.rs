//! The legs: which way a probe was lost, from what the stamps tell.
//!
//! A server counts the distinct probes of a session that arrived. Between the first and the highest of them those that
//! it did not count were lost on the way there; those that it counted and we have no answer to, on the way back.

use std::ops::AddAssign;

use crate::wire::Stamp;

/// Memories of one session that are kept apart; the oldest are added up beyond.
const MEMORIES: usize = 64;
/// So far behind the highest number a server recognizes a probe; it does not count an older one.
const WINDOW: u64 = 1024;

/// What was lost on either way, as far as it can be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Legs {
    /// On the way there.
    pub(super) there: u64,
    /// On the way back.
    pub(super) back: u64,
}

impl AddAssign for Legs {
    fn add_assign(&mut self, more: Legs) {
        self.there += more.there;
        self.back += more.back;
    }
}

/// One session: what left one port.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    /// The memories that servers had of it, by the number with which each began.
    memories: Vec<Memory>,
    /// What the forgotten ones came to.
    before: Legs,
    several: bool,
}

#[derive(Clone, Copy, Debug)]
struct Memory {
    first: u64,
    highest: u64,
    count: u64,
    answered: u64,
}

impl Memory {
    fn legs(&self) -> Legs {
        Legs {
            there: (self.highest - self.first + 1).saturating_sub(self.count),
            back: self.count.saturating_sub(self.answered),
        }
    }
}

/// Whether a server can have said this of a session of which `sent` probes were sent.
pub(super) fn is_possible(stamp: &Stamp, sent: u64) -> bool {
    let Stamp { seq, count, highest, first, .. } = *stamp;
    let in_order = 1 <= first && first <= highest && seq <= highest && highest <= sent;
    in_order && 1 <= seq && 1 <= count && count <= highest - first + 1
}

impl Session {
    /// An answer came, which must be [possible](is_possible); the first to its probe or one more.
    pub(super) fn hear(&mut self, stamp: &Stamp, is_first: bool) {
        let Stamp { seq, count, highest, first, .. } = *stamp;
        let place = self.memories.partition_point(|memory| memory.first < first);
        // A newer memory has begun, and yet the older one takes in what came after that: there are two at a time.
        self.several |= self.memories[place..].iter().any(|newer| newer.first > first && seq >= newer.first);
        if self.memories.get(place).is_none_or(|memory| memory.first != first) {
            self.memories.insert(place, Memory { first, highest, count, answered: 0 });
        }
        let memory = &mut self.memories[place];
        memory.highest = memory.highest.max(highest);
        memory.count = memory.count.max(count);
        if is_first && seq >= first && highest - seq < WINDOW {
            memory.answered += 1;
        }
        self.several |= memory.answered > memory.count;
        if self.memories.len() > MEMORIES {
            self.before += self.memories.remove(0).legs();
        }
    }

    /// Whether several servers answer, each with a memory of its own: then the numbers mean nothing.
    pub(super) fn is_of_several(&self) -> bool {
        self.several
    }

    /// The highest number that a server has told of.
    pub(super) fn highest(&self) -> u64 {
        self.memories.iter().map(|memory| memory.highest).max().unwrap_or(0)
    }

    /// What was lost on either way.
    pub(super) fn legs(&self) -> Legs {
        let mut sum = self.before;
        self.memories.iter().for_each(|memory| sum += memory.legs());
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `(seq, first, highest, count)` come to, each the first answer to its probe.
    fn heard(answers: &[(u64, u64, u64, u64)]) -> Session {
        let mut session = Session::default();
        for &(seq, first, highest, count) in answers {
            let stamp = Stamp { session: 1, seq, clock: 0, count, received: 0, left: 0, highest, first };
            assert!(is_possible(&stamp, 10_000));
            session.hear(&stamp, true);
        }
        session
    }

    #[test]
    fn each_leg_has_its_own_losses() {
        // 3 never arrived; the answers to 2 and 5 never came back.
        let session = heard(&[(1, 1, 1, 1), (4, 1, 4, 3), (6, 1, 6, 5)]);
        assert_eq!(session.legs(), Legs { there: 1, back: 2 });
        assert!(!session.is_of_several());
    }

    #[test]
    fn answers_in_any_order_come_to_the_same() {
        let session = heard(&[(6, 1, 6, 5), (1, 1, 1, 1), (4, 1, 4, 3)]);
        assert_eq!((session.legs(), session.is_of_several()), (Legs { there: 1, back: 2 }, false));
    }

    #[test]
    fn what_came_in_between_two_memories_is_of_neither() {
        // The server was started anew between 3 and 7.
        let session = heard(&[(1, 1, 1, 1), (3, 1, 3, 3), (7, 7, 7, 1), (8, 7, 8, 2), (2, 1, 2, 2)]);
        assert_eq!((session.legs(), session.is_of_several()), (Legs::default(), false));
        assert_eq!(session.highest(), 8);
    }

    #[test]
    fn servers_that_take_turns_are_known_for_several() {
        assert!(heard(&[(1, 1, 1, 1), (2, 2, 2, 1), (3, 1, 3, 2)]).is_of_several());
        assert!(heard(&[(1, 1, 1, 1), (2, 1, 2, 1)]).is_of_several(), "two were answered, one was counted");
    }

    #[test]
    fn what_a_server_does_not_count_is_not_held_against_it() {
        // 1 came after 2, with which the memory began: it is answered and not counted.
        let session = heard(&[(2, 2, 2, 1), (1, 2, 2, 1), (3, 2, 3, 2)]);
        assert_eq!((session.legs(), session.is_of_several()), (Legs::default(), false));
    }

    #[test]
    fn what_cannot_be_is_no_answer() {
        let stamp = |seq, first, highest, count| Stamp {
            session: 1,
            seq,
            clock: 0,
            count,
            received: 0,
            left: 0,
            highest,
            first,
        };
        for (wrong, sent) in [
            (stamp(5, 1, 4, 4), 9),
            (stamp(5, 1, 5, 6), 9),
            (stamp(5, 0, 5, 1), 9),
            (stamp(5, 6, 5, 1), 9),
            (stamp(5, 1, 5, 0), 9),
            (stamp(0, 1, 5, 3), 9),
            (stamp(5, 1, 10, 5), 9),
        ] {
            assert!(!is_possible(&wrong, sent), "{wrong:?}");
        }
    }
}
