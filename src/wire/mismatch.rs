//! Whether what comes back is what a server with another framing would send.

use super::{ACK, Framing, Notice};

/// So many first bytes of a stream tell how it is framed: every reply is shorter.
const TELLING: usize = 32;

/// The first bytes of what came back.
#[derive(Clone, Debug, Default)]
pub(super) struct Beginning {
    bytes: [u8; TELLING],
    len: usize,
}

impl Beginning {
    /// More has come.
    #[inline]
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        if self.len < TELLING {
            let taken = bytes.len().min(TELLING - self.len);
            self.bytes[self.len..self.len + taken].copy_from_slice(&bytes[..taken]);
            self.len += taken;
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// How far a framing explains the beginning of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// Not at all.
    Not,
    /// The last reply is not whole.
    Begun,
    /// Nothing but whole replies.
    Whole,
}

impl Framing {
    /// Every framing there is.
    pub const ALL: [Framing; 3] = [Framing::Bytes, Framing::Lines, Framing::Length];

    /// The framing of a server whose replies begin with `stream`, where that is not this one: acknowledgements, and at
    /// most one notice. `stream` may be cut anywhere.
    ///
    /// ```
    /// use ack_reactor::wire::Framing;
    ///
    /// assert_eq!(Framing::Bytes.mistaken_for(b"ACK\nACK\n"), Some(Framing::Lines));
    /// assert_eq!(Framing::Lines.mistaken_for(b"ACK\nACK\n"), None);
    /// assert_eq!(Framing::Bytes.mistaken_for(b"HTTP/1.1 400 Bad Request"), None);
    /// ```
    pub fn mistaken_for(self, stream: &[u8]) -> Option<Framing> {
        let others = || Framing::ALL.into_iter().filter(|&other| other != self);
        let whole = || others().find(|other| other.fit(stream) == Fit::Whole);
        match self.fit(stream) {
            _ if stream.is_empty() => None,
            Fit::Whole => None,
            // The end that it lacks here would be all that is missing; there, nothing is.
            Fit::Begun => whole(),
            Fit::Not => whole().or_else(|| others().find(|other| other.fit(stream) == Fit::Begun)),
        }
    }

    fn fit(self, stream: &[u8]) -> Fit {
        let mut rest = stream;
        loop {
            match self.fit_reply(ACK, rest) {
                Some([]) => return Fit::Whole,
                Some(more) => rest = more,
                None => break,
            }
        }
        let notices = Notice::ALL.map(|notice| notice.text().as_bytes());
        if notices.iter().any(|notice| self.fit_reply(notice, rest).is_some_and(<[u8]>::is_empty)) {
            return Fit::Whole;
        }
        let begins = |word: &&[u8]| self.spellings(word).iter().any(|spelling| spelling.starts_with(rest));
        if [ACK].iter().chain(&notices).any(begins) { Fit::Begun } else { Fit::Not }
    }

    /// What stands in `stream` behind this word, if it begins with it.
    fn fit_reply<'s>(self, word: &[u8], stream: &'s [u8]) -> Option<&'s [u8]> {
        self.spellings(word).iter().find_map(|spelling| stream.strip_prefix(spelling.as_slice()))
    }

    /// A word as it may stand on the wire.
    fn spellings(self, word: &[u8]) -> Vec<Vec<u8>> {
        let mut spelling = Vec::new();
        self.encode(word, &mut spelling);
        let with_return = (self == Framing::Lines).then(|| [word, b"\r\n"].concat());
        [spelling].into_iter().chain(with_return).collect()
    }
}

#[cfg(test)]
mod tests;
