//! What comes back on a stream: acknowledgements, and at most one notice.

use super::mismatch::Beginning;
use super::{ACK, Decode, Decoder, End, Framing, LONGEST_MESSAGE, Message, Notice, TooLong};

/// What a client finds in the stream that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply<'a> {
    /// The acknowledgement of one message.
    Ack,
    /// The server's last word.
    Notice(Notice),
    /// Anything else.
    Wrong(Message<'a>),
}

impl<'a> Reply<'a> {
    /// The reply's bytes, as a person would be shown them.
    pub fn message(&self) -> Message<'a> {
        match self {
            Reply::Ack => ACK.into(),
            Reply::Notice(notice) => notice.text().as_bytes().into(),
            Reply::Wrong(message) => *message,
        }
    }
}

/// Reads the acknowledgement stream: ACKs followed by at most one notice.
///
/// In `lines` and `length` every message is one reply. `bytes` keeps no
/// boundaries, so several may arrive in one piece and one in several pieces.
#[derive(Debug)]
pub struct Replies {
    decoder: Decoder,
    framing: Framing,
    beginning: Beginning,
    /// The notice has come: nothing may follow.
    ended: bool,
    /// `bytes`: the beginning of a reply that is not whole yet.
    partial: Vec<u8>,
    /// `bytes`: what was found whole and is still to be handed out.
    acks: usize,
    notice: Option<Notice>,
    /// `bytes`: what is in `partial` was handed out and is to be forgotten.
    spent: bool,
}

impl Replies {
    /// A reader of replies in `framing`.
    pub fn new(framing: Framing) -> Replies {
        Replies {
            decoder: Decoder::new(framing, LONGEST_MESSAGE),
            framing,
            beginning: Beginning::default(),
            ended: false,
            partial: Vec::new(),
            acks: 0,
            notice: None,
            spent: false,
        }
    }

    /// The framing that is read.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether anything has come at all.
    pub fn is_silent(&self) -> bool {
        self.beginning.bytes().is_empty()
    }

    /// The framing of the server, where what has come is what one with [another](Framing::mistaken_for) would send.
    pub fn other_framing(&self) -> Option<Framing> {
        self.framing.mistaken_for(self.beginning.bytes())
    }

    /// The beginning of a reply that has not become whole.
    pub fn unfinished(&self) -> Option<Message<'_>> {
        match self.framing {
            Framing::Bytes => (!self.spent && !self.partial.is_empty()).then_some(self.partial.as_slice().into()),
            Framing::Lines | Framing::Length => self.decoder.unfinished(),
        }
    }

    /// What is left when the stream ends: a notice that lacks only its end (`lines`), or the beginning of a reply. An
    /// acknowledgement that does is none: it may be of the other framing's.
    pub fn end(&self) -> Option<Reply<'_>> {
        if self.framing == Framing::Bytes {
            return self.unfinished().map(Reply::Wrong);
        }
        match self.decoder.end() {
            Ok(End::Message(rest)) => Some(match whole(rest) {
                notice @ Reply::Notice(_) if !self.ended => notice,
                _ => Reply::Wrong(rest),
            }),
            Ok(End::Clean) => None,
            Ok(End::CutShort(_)) | Err(TooLong) => self.decoder.unfinished().map(Reply::Wrong),
        }
    }

    fn next_of_bytes<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Option<Reply<'a>> {
        if std::mem::take(&mut self.spent) {
            self.partial.clear();
        }
        if self.acks == 0 && self.notice.is_none() && !input.is_empty() {
            let piece = std::mem::take(input);
            self.beginning.hear(piece);
            if self.ended {
                return Some(Reply::Wrong(piece.into()));
            }
            self.partial.extend_from_slice(piece);
            let acks = self.partial.chunks(ACK.len()).take_while(|chunk| *chunk == ACK).count();
            let rest = &self.partial[acks * ACK.len()..];
            self.notice = Notice::parse(rest);
            if self.notice.is_none() && !may_become_reply(rest) {
                self.spent = true;
                return Some(Reply::Wrong(self.partial.as_slice().into()));
            }
            self.acks = acks;
            match self.notice {
                Some(_) => self.partial.clear(),
                None => drop(self.partial.drain(..acks * ACK.len())),
            }
        }
        if self.acks > 0 {
            self.acks -= 1;
            return Some(Reply::Ack);
        }
        let notice = self.notice.take()?;
        self.ended = true;
        Some(Reply::Notice(notice))
    }
}

impl Decode for Replies {
    type Item<'a> = Reply<'a>;

    fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<Reply<'a>>, TooLong> {
        if self.framing == Framing::Bytes {
            return Ok(self.next_of_bytes(input));
        }
        let Replies { decoder, beginning, ended, .. } = self;
        let piece = *input;
        let message = decoder.next(input);
        // What cannot be followed is not used up.
        let unused = if message.is_ok() { input.len() } else { 0 };
        beginning.hear(&piece[..piece.len() - unused]);
        let Some(message) = message? else {
            return Ok(None);
        };
        if *ended {
            return Ok(Some(Reply::Wrong(message)));
        }
        let reply = whole(message);
        *ended = matches!(reply, Reply::Notice(_));
        Ok(Some(reply))
    }

    /// A reply may be one byte, its line two hundred, and all the lines of a piece must fit into what may wait for a
    /// stdout that is stalled.
    fn piece(&self) -> usize {
        4096
    }

    fn holds(&self) -> bool {
        self.acks > 0 || self.notice.is_some()
    }
}

/// The reply that a whole message is.
fn whole(message: Message<'_>) -> Reply<'_> {
    match Notice::parse(message.text) {
        Some(notice) => Reply::Notice(notice),
        None if message.text == ACK => Reply::Ack,
        None => Reply::Wrong(message),
    }
}

fn may_become_reply(rest: &[u8]) -> bool {
    ACK.starts_with(rest) || Notice::ALL.iter().any(|notice| notice.text().as_bytes().starts_with(rest))
}
