//! Who can wake a program, and the token that stands for each in the poll.

use std::fmt::Debug;

use mio::Token;

/// Half of a token is the slot, the other half tells whose it is.
const HALF: u32 = usize::BITS / 2;
const LOWER_HALF: usize = (1 << HALF) - 1;

/// Whatever can wake a program: its own closed enum, so that no program has arms for what it has not.
///
/// Some sources there is one of (a listener, a signal); one kind there may be many of (connections), each named by
/// the [`Key`] of its slot. A token of generation 0 names one of the former by its place in
/// [`SINGLE`](Source::SINGLE), any other one of the latter.
///
/// ```
/// use ack_reactor::reactor::{Key, Source};
///
/// #[derive(Clone, Copy, Debug, PartialEq, Eq)]
/// enum Who {
///     Listener,
///     Peer(Key),
/// }
///
/// impl Source for Who {
///     const SINGLE: &'static [Who] = &[Who::Listener];
///
///     fn of_key(key: Key) -> Who {
///         Who::Peer(key)
///     }
///
///     fn key(self) -> Option<Key> {
///         match self {
///             Who::Listener => None,
///             Who::Peer(key) => Some(key),
///         }
///     }
/// }
///
/// assert_eq!(Who::of(Who::Listener.token()), Some(Who::Listener));
/// ```
pub trait Source: Copy + Eq + Debug + 'static {
    /// All sources that there is one of.
    const SINGLE: &'static [Self];

    /// The source that a slot's tenant is.
    fn of_key(key: Key) -> Self;

    /// The key of a source that there may be many of.
    fn key(self) -> Option<Key>;

    /// Whether it may change what the rest of a turn should do, and so comes first: a signal.
    fn is_urgent(self) -> bool {
        false
    }

    /// Whether the trace goes out by it: a turn for its sake alone is not told, or it would never rest.
    fn is_of_trace(self) -> bool {
        false
    }

    /// The token to register it with.
    fn token(self) -> Token {
        match self.key() {
            Some(key) => Token((key.generation as usize) << HALF | key.slot as usize),
            None => Token(place_of(self)),
        }
    }

    /// The source that `token` stands for.
    #[allow(clippy::cast_possible_truncation)] // both halves fit, by construction
    fn of(token: Token) -> Option<Self> {
        let (generation, slot) = (token.0 >> HALF, token.0 & LOWER_HALF);
        match generation {
            0 => Self::SINGLE.get(slot).copied(),
            _ => Some(Self::of_key(Key { slot: slot as u32, generation: generation as u32 })),
        }
    }
}

/// A small number for a source; the tenants of one slot share it.
pub(super) fn place_of<S: Source>(source: S) -> usize {
    match source.key() {
        Some(key) => S::SINGLE.len() + key.slot as usize,
        None => S::SINGLE.iter().position(|&single| single == source).unwrap_or(S::SINGLE.len()),
    }
}

/// A slot and the generation of its tenant, so that an event, a deadline or a
/// queue entry of an earlier tenant never reaches a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    slot: u32,
    generation: u32,
}

impl Key {
    /// How many slots a token can name.
    pub const SLOTS: usize = LOWER_HALF;

    /// The key of the tenant that moves into `slot` after `tenants` others.
    ///
    /// Generations start at 1 and wrap (after 4,294,967,295 tenants of one slot
    /// where tokens have 64 bits, after 65,535 where they have 32).
    pub(super) fn new(slot: u32, tenants: u32) -> Key {
        let generations = u32::try_from(LOWER_HALF).unwrap_or(u32::MAX);
        Key { slot, generation: tenants % generations + 1 }
    }

    /// The slot.
    pub fn slot(self) -> u32 {
        self.slot
    }

    /// Which of its tenants, from 1.
    pub fn generation(self) -> u32 {
        self.generation
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A program with four sources of one and many peers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in crate::reactor) enum Who {
        Signals,
        Listener,
        Datagrams,
        /// The trace's way out.
        Outlet,
        Peer(Key),
    }

    impl Source for Who {
        const SINGLE: &'static [Who] = &[Who::Signals, Who::Listener, Who::Datagrams, Who::Outlet];

        fn of_key(key: Key) -> Who {
            Who::Peer(key)
        }

        fn key(self) -> Option<Key> {
            match self {
                Who::Peer(key) => Some(key),
                Who::Signals | Who::Listener | Who::Datagrams | Who::Outlet => None,
            }
        }

        fn is_urgent(self) -> bool {
            self == Who::Signals
        }

        fn is_of_trace(self) -> bool {
            self == Who::Outlet
        }
    }

    pub(in crate::reactor) fn peer(slot: u32, tenants: u32) -> Who {
        Who::Peer(Key::new(slot, tenants))
    }

    #[test]
    fn every_source_comes_back_from_its_token() {
        let peers = [peer(0, 0), peer(7, 3), peer(u32::from(u16::MAX) - 1, u32::MAX)];
        for source in Who::SINGLE.iter().copied().chain(peers) {
            assert_eq!(Who::of(source.token()), Some(source));
        }
        assert_eq!(Who::of(Token(Who::SINGLE.len())), None);
    }

    #[test]
    fn tokens_of_all_sources_differ_and_so_do_their_places() {
        for (place, &source) in Who::SINGLE.iter().enumerate() {
            assert_eq!(place_of(source), place);
        }
        assert_ne!(peer(1, 0).token(), peer(1, 1).token());
        assert_ne!(peer(0, 0).token(), Who::Signals.token());
        assert_eq!(place_of(peer(1, 0)), place_of(peer(1, 1)));
    }
}
