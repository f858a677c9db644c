//! What a peer is owed: acknowledgements as a number, and the last word.

use super::{Framing, Notice, Output};

/// Acknowledgements written down one behind the other, once for all connections.
const RUN: usize = 8192;
static BYTES: [u8; RUN * 3] = repeated(Framing::Bytes.ack());
static LINES: [u8; RUN * 4] = repeated(Framing::Lines.ack());
static LENGTH: [u8; RUN * 7] = repeated(Framing::Length.ack());

const fn repeated<const N: usize>(ack: &[u8]) -> [u8; N] {
    let mut run = [0; N];
    let mut at = 0;
    while at < N {
        run[at] = ack[at % ack.len()];
        at += 1;
    }
    run
}

/// What one peer is owed. However much that is, it takes two words.
///
/// ```
/// use ack_reactor::wire::{Framing, Notice, Output, Owed};
///
/// let mut owed = Owed::new(Framing::Lines);
/// owed.acknowledge(2);
/// owed.say(Notice::IdleTimeout);
/// assert_eq!(owed.head(&mut Vec::new()), b"ACK\nACK\nidle timeout\n");
/// owed.advance(5);
/// assert_eq!(owed.acks(), 1);
/// assert_eq!(owed.head(&mut Vec::new()), b"CK\nidle timeout\n");
/// ```
#[derive(Debug)]
pub struct Owed {
    framing: Framing,
    /// How many bytes of the first acknowledgement have left.
    begun: u8,
    acks: usize,
    /// The notice behind them, and how many of its bytes, framed, have left.
    notice: Option<Notice>,
    said: u8,
}

impl Owed {
    /// Nothing is owed yet.
    pub fn new(framing: Framing) -> Owed {
        Owed { framing, begun: 0, acks: 0, notice: None, said: 0 }
    }

    /// So many acknowledgements more. Not behind the last word.
    #[inline]
    pub fn acknowledge(&mut self, messages: usize) {
        debug_assert!(self.notice.is_none());
        self.acks += messages;
    }

    /// The last word, behind all that is owed already.
    pub fn say(&mut self, notice: Notice) {
        self.notice = Some(notice);
    }

    /// Acknowledgements that have not left whole.
    pub fn acks(&self) -> usize {
        self.acks
    }

    /// Nobody is there to take it.
    pub fn abandon(&mut self) {
        *self = Owed::new(self.framing);
    }

    fn run(&self) -> &'static [u8] {
        match self.framing {
            Framing::Bytes => &BYTES,
            Framing::Lines => &LINES,
            Framing::Length => &LENGTH,
        }
    }
}

impl Output for Owed {
    #[inline]
    fn is_empty(&self) -> bool {
        self.acks == 0 && self.notice.is_none()
    }

    #[inline]
    fn head<'a>(&'a self, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        let end = self.acks.min(RUN) * self.framing.ack().len();
        let acks = &self.run()[usize::from(self.begun)..end.max(usize::from(self.begun))];
        let Some(notice) = self.notice.filter(|_| self.acks <= RUN) else {
            return acks;
        };
        scratch.clear();
        scratch.extend_from_slice(acks);
        self.framing.encode(notice.text().as_bytes(), scratch);
        scratch.drain(acks.len()..acks.len() + usize::from(self.said));
        scratch
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // an acknowledgement has seven bytes at most, a notice some thirty
    fn advance(&mut self, bytes: usize) {
        let ack = self.framing.ack().len();
        let begun = usize::from(self.begun);
        let of_acks = bytes.min(self.acks * ack - begun);
        let left = begun + of_acks;
        self.acks -= left / ack;
        self.begun = (left % ack) as u8;
        if let Some(notice) = self.notice.filter(|_| bytes > of_acks) {
            self.said += (bytes - of_acks) as u8;
            if usize::from(self.said) >= self.framing.around() + notice.text().len() {
                (self.notice, self.said) = (None, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_is_taken_at_a_time_the_bytes_are_those_of_every_ack_and_then_the_notice(
            framing in prop::sample::select(vec![Framing::Bytes, Framing::Lines, Framing::Length]),
            bursts in prop::collection::vec(0_usize..RUN * 2, 0..6),
            notice in prop::option::of(prop::sample::select(Notice::ALL.to_vec())),
            takes in prop::collection::vec(1_usize..40_000, 1..10),
        ) {
            let (mut owed, mut expected, mut seen) = (Owed::new(framing), Vec::new(), Vec::new());
            let mut takes = takes.into_iter().cycle();
            let mut take = |owed: &mut Owed, seen: &mut Vec<u8>| {
                let mut scratch = Vec::new();
                let head = owed.head(&mut scratch);
                let taken = takes.next().unwrap_or(1).min(head.len());
                seen.extend_from_slice(&head[..taken]);
                owed.advance(taken);
            };
            for burst in bursts {
                owed.acknowledge(burst);
                expected.extend(framing.ack().repeat(burst));
                take(&mut owed, &mut seen);
            }
            if let Some(notice) = notice {
                owed.say(notice);
                framing.encode(notice.text().as_bytes(), &mut expected);
            }
            while !owed.is_empty() {
                take(&mut owed, &mut seen);
            }
            prop_assert_eq!(owed.acks(), 0);
            prop_assert_eq!(seen, expected);
        }
    }
}
