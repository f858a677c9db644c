//! Stamped datagrams: a probe that carries numbers, and an answer that tells what became of it.
//!
//! A plain `check` says that both ways work; a stamped one says which of them lost the others, and how much of the time
//! was the server's own. Both begin with a word of eight bytes and eight numbers (big-endian, times in ns):
//!
//! | bytes | in a probe | in a stamp |
//! |---|---|---|
//! | 0–7 | `ACKSTAMP` | `check`, NUL, NUL, 1 |
//! | 8–15 | session | the same |
//! | 16–23 | sequence number | the same |
//! | 24–31 | the client's clock | the same |
//! | 32–39 | flags: 1 asks for an answer as long as the probe | how many distinct probes of the session have arrived |
//! | 40–47 | 0 | the server's clock when the probe arrived |
//! | 48–55 | 0 | the server's clock when the answer left |
//! | 56–63 | 0 | the highest sequence number seen |
//! | 64–71 | 0 | the sequence number with which the memory of the session began |

use std::time::Duration;

/// What a probe has at the least, and a stamp always: an answer is never longer than what it answers.
pub const STAMPED: usize = 72;

const PROBE: &[u8; 8] = b"ACKSTAMP";
const STAMP: &[u8; 8] = b"check\0\0\x01";

/// The flag that asks for an answer as long as the probe.
const AS_LONG: u64 = 1;

/// What stands behind the first eight bytes.
type Numbers = [u64; 8];

/// A datagram that asks for a [`Stamp`]. It may be longer than [`STAMPED`]; what follows says nothing.
///
/// ```
/// use ack_reactor::wire::{Probe, STAMPED};
///
/// let probe = Probe { session: 7, seq: 1, clock: 0, flags: 0 };
/// let mut datagram = vec![0; 100];
/// probe.encode(datagram.first_chunk_mut::<STAMPED>().unwrap());
/// assert_eq!(Probe::parse(&datagram), Some(probe));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// A random number, one for each source port of a run.
    pub session: u64,
    /// Counts what that port has sent, from 1, without gaps.
    pub seq: u64,
    /// The client's clock, which means nothing to a server.
    pub clock: u64,
    /// What else is asked for: 1 is an answer as long as the probe, that nobody cuts into fragments.
    pub flags: u64,
}

impl Probe {
    /// The same, asking for an answer as long as itself.
    pub fn as_long(self) -> Probe {
        Probe { flags: self.flags | AS_LONG, ..self }
    }

    /// Whether it asks for an answer as long as itself.
    #[inline]
    pub fn asks_for_length(&self) -> bool {
        self.flags & AS_LONG != 0
    }

    /// Writes the probe; where the datagram is to be longer, over its beginning.
    pub fn encode(&self, datagram: &mut [u8; STAMPED]) {
        write(datagram, PROBE, [self.session, self.seq, self.clock, self.flags, 0, 0, 0, 0]);
    }

    /// The probe that `datagram` is, whatever follows its flags.
    #[inline]
    pub fn parse(datagram: &[u8]) -> Option<Probe> {
        let [session, seq, clock, flags, ..] = read(datagram.first_chunk()?, PROBE)?;
        Some(Probe { session, seq, clock, flags })
    }
}

/// What tells a probe from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The probe's.
    pub session: u64,
    /// The probe's.
    pub seq: u64,
}

impl Mark {
    /// The mark of the probe of which `quoted` is the beginning, perhaps cut short.
    pub fn quoted(quoted: &[u8]) -> Option<Mark> {
        let (places, _) = quoted.as_chunks::<8>();
        let &[word, session, seq, ..] = places else {
            return None;
        };
        (word == *PROBE).then(|| Mark { session: u64::from_be_bytes(session), seq: u64::from_be_bytes(seq) })
    }
}

/// The answer to a [`Probe`] by a server that knows it; others say `check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The probe's.
    pub session: u64,
    /// The probe's.
    pub seq: u64,
    /// The probe's.
    pub clock: u64,
    /// How many distinct probes of the session have arrived, this one included.
    pub count: u64,
    /// The server's clock when the probe arrived, in ns. With [`left`](Stamp::left) 0 where it cannot be told.
    pub received: u64,
    /// The same clock when the answer left.
    pub left: u64,
    /// The highest sequence number seen in the session.
    pub highest: u64,
    /// The sequence number with which the server's memory of the session began.
    pub first: u64,
}

impl Stamp {
    /// Writes the answer.
    pub fn encode(&self, datagram: &mut [u8; STAMPED]) {
        let Stamp { session, seq, clock, count, received, left, highest, first } = *self;
        write(datagram, STAMP, [session, seq, clock, count, received, left, highest, first]);
    }

    /// The stamp that `datagram` is, to the byte.
    pub fn parse(datagram: &[u8]) -> Option<Stamp> {
        Stamp::parse_beginning(datagram).filter(|_| datagram.len() == STAMPED)
    }

    /// The stamp with which `datagram` begins: an answer that is [as long](Probe::as_long) as its probe.
    pub fn parse_beginning(datagram: &[u8]) -> Option<Stamp> {
        let [session, seq, clock, count, received, left, highest, first] = read(datagram.first_chunk()?, STAMP)?;
        Some(Stamp { session, seq, clock, count, received, left, highest, first })
    }

    /// How long the probe was with the server; `None` where that cannot be known.
    pub fn server_time(&self) -> Option<Duration> {
        let known = self.received != 0 && self.left != 0;
        known.then(|| self.left.checked_sub(self.received)).flatten().map(Duration::from_nanos)
    }
}

/// Whether `datagram` looks like a stamp, of whatever length: a server that answers at a probe's length sends longer ones.
#[inline]
pub(super) fn is_stamp(datagram: &[u8]) -> bool {
    datagram.len() >= STAMPED && datagram.starts_with(STAMP)
}

fn write(datagram: &mut [u8; STAMPED], word: &[u8; 8], numbers: Numbers) {
    let (places, _) = datagram.as_chunks_mut();
    for (place, bytes) in places.iter_mut().zip([*word].into_iter().chain(numbers.map(u64::to_be_bytes))) {
        *place = bytes;
    }
}

fn read(datagram: &[u8; STAMPED], word: &[u8; 8]) -> Option<Numbers> {
    let (places, _) = datagram.as_chunks();
    let (first, places) = places.split_first()?;
    let places: [[u8; 8]; 8] = places.try_into().ok()?;
    (first == word).then(|| places.map(u64::from_be_bytes))
}

#[cfg(test)]
mod tests;
