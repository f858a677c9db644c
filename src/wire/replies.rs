//! What comes back on a stream: acknowledgements, and at most one notice.

use super::{ACK, Framing, Notice};

/// What a client finds in the stream that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// The acknowledgement of one message.
    Ack,
    /// The server's last word.
    Notice(Notice),
    /// Anything else.
    Wrong(&'a [u8]),
}

impl<'a> Reply<'a> {
    /// The reply's bytes, as a person would be shown them.
    pub fn text(&self) -> &'a [u8] {
        match self {
            Reply::Ack => ACK,
            Reply::Notice(notice) => notice.text().as_bytes(),
            Reply::Wrong(bytes) => bytes,
        }
    }
}

/// Reads the acknowledgement stream: ACKs followed by at most one notice.
///
/// In `lines` and `length` every message is one reply. `bytes` keeps no
/// boundaries, so several may arrive in one piece and one in several pieces.
#[derive(Debug, Default)]
pub struct Replies {
    framing: Framing,
    partial: Vec<u8>,
    ended: bool,
}

impl Replies {
    /// A reader of replies in `framing`.
    pub fn new(framing: Framing) -> Replies {
        Replies { framing, ..Replies::default() }
    }

    /// Takes a message that the [`Decoder`](super::Decoder) returned and hands on each reply in it.
    pub fn read(&mut self, message: &[u8], mut each: impl FnMut(Reply<'_>)) {
        if self.ended {
            return each(Reply::Wrong(message));
        }
        if self.framing != Framing::Bytes {
            return each(match Notice::parse(message) {
                Some(notice) => {
                    self.ended = true;
                    Reply::Notice(notice)
                }
                None if message == ACK => Reply::Ack,
                None => Reply::Wrong(message),
            });
        }
        self.partial.extend_from_slice(message);
        let acks = self.partial.chunks(ACK.len()).take_while(|chunk| *chunk == ACK).count();
        let rest = &self.partial[acks * ACK.len()..];
        let notice = Notice::parse(rest);
        if notice.is_none() && !may_become_reply(rest) {
            each(Reply::Wrong(&self.partial));
            self.partial.clear();
            return;
        }
        (0..acks).for_each(|_| each(Reply::Ack));
        if let Some(notice) = notice {
            self.ended = true;
            each(Reply::Notice(notice));
            self.partial.clear();
        } else {
            self.partial.drain(..acks * ACK.len());
        }
    }

    /// The beginning of a reply that never became whole, if there is one.
    pub fn unfinished(&self) -> Option<&[u8]> {
        (!self.partial.is_empty()).then_some(&self.partial)
    }
}

fn may_become_reply(rest: &[u8]) -> bool {
    ACK.starts_with(rest) || Notice::ALL.iter().any(|notice| notice.text().as_bytes().starts_with(rest))
}
