//! Cuts messages out of a stream that arrives in pieces.

#[cfg(feature = "programs")]
use memchr::{memchr, memchr_iter, memrchr};

#[cfg(not(feature = "programs"))]
use self::plain::{memchr, memchr_iter, memrchr};
use super::{Decode, Framing, READ_SIZE, TooLong};
use crate::escape::SHOWN;

/// The bytes of the count before a message in `length` framing.
const COUNT: usize = 4;
/// What is kept of a message that is not whole yet: what can be shown of it, and what tells whether the last character
/// of that is whole.
const KEPT: usize = SHOWN + 3;
/// `lines` and `length` are read in pieces of this size where messages are told one by one: what one slice cannot tell
/// should wait in the kernel, not here.
const PIECE: usize = 4096;

/// A message as it is told: what can be shown of it, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// All of it, or its first 1,027 bytes where it came in several pieces and is longer.
    pub text: &'a [u8],
    /// How many bytes it has.
    pub len: usize,
}

impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(text: &'a [u8]) -> Message<'a> {
        Message { text, len: text.len() }
    }
}

/// So many whole messages, and what they hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Messages.
    pub messages: usize,
    /// Their bytes, without what frames them.
    pub bytes: usize,
}

impl Count {
    /// One message more.
    pub fn add(&mut self, message: Message<'_>) {
        self.messages += 1;
        self.bytes += message.len;
    }
}

/// What stood in a decoder when the stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End<'a> {
    /// Nothing: the stream ended between messages.
    Clean,
    /// The unterminated rest, which counts as a message (`lines`).
    Message(Message<'a>),
    /// This many bytes of a frame that never became whole (`length`).
    CutShort(u64),
}

/// Cuts messages out of a stream that arrives in pieces of any size.
///
/// A message that lies within one piece is borrowed from it; of one that is
/// spread over several only the beginning and the length are kept, and given
/// back with the next call. So an idle connection holds no buffer, and none
/// holds more than can be shown.
///
/// ```
/// use ack_reactor::wire::{Decode, Decoder, Framing};
///
/// let mut decoder = Decoder::new(Framing::Lines, 65_536);
/// let mut messages = Vec::new();
/// for mut piece in [b"one\r\ntw".as_slice(), b"o\n", b"thr"] {
///     while !piece.is_empty() {
///         if let Some(message) = decoder.next(&mut piece).expect("short enough") {
///             messages.push(message.text.to_vec());
///         }
///     }
/// }
/// assert_eq!(messages, [b"one", b"two"]);
/// ```
#[derive(Debug)]
pub struct Decoder {
    /// The beginning of a message that is not whole yet.
    pub(super) head: Vec<u8>,
    /// How many bytes of it have come, with the carriage return that may end a line.
    come: u64,
    longest: u32,
    /// `length`: the count before it, and how many bytes of that have come.
    count: [u8; COUNT],
    counted: u8,
    framing: Framing,
    /// The last byte that has come of it is a carriage return.
    returns: bool,
    /// It was handed out whole and is to be forgotten.
    spent: bool,
}

impl Decode for Decoder {
    type Item<'a> = Message<'a>;

    #[inline]
    fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<Message<'a>>, TooLong> {
        if self.spent {
            self.forget();
        }
        if input.is_empty() {
            return Ok(None);
        }
        match self.framing {
            Framing::Bytes => Ok(Some(std::mem::take(input).into())),
            Framing::Lines => self.next_line(input),
            Framing::Length => self.next_frame(input),
        }
    }

    fn release(&mut self) {
        if self.spent {
            self.forget();
        }
    }

    fn piece(&self) -> usize {
        let lacking = match self.framing {
            Framing::Bytes => return READ_SIZE,
            Framing::Lines => 0,
            Framing::Length if usize::from(self.counted) == COUNT && !self.spent => {
                u64::from(u32::from_be_bytes(self.count)) - self.come
            }
            Framing::Length => 0,
        };
        usize::try_from(lacking).unwrap_or(READ_SIZE).clamp(PIECE, READ_SIZE)
    }
}

impl Decoder {
    /// A decoder that accepts messages of up to `longest` bytes (`lines` and
    /// `length`; at most `u32::MAX`).
    pub fn new(framing: Framing, longest: usize) -> Decoder {
        Decoder {
            head: Vec::new(),
            come: 0,
            longest: u32::try_from(longest).unwrap_or(u32::MAX),
            count: [0; COUNT],
            counted: 0,
            framing,
            returns: false,
            spent: false,
        }
    }

    /// The framing it was made for.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// What has come of a message that is not whole yet, as far as it is kept.
    pub fn unfinished(&self) -> Option<Message<'_>> {
        let counted = usize::from(self.counted);
        match self.come {
            _ if self.spent => None,
            0 if counted == 0 => None,
            0 => Some(self.count[..counted].into()),
            come => Some(Message { text: &self.head, len: usize::try_from(come).unwrap_or(usize::MAX) }),
        }
    }

    /// What is left when the stream ends. Call it once, after the last piece.
    ///
    /// # Errors
    /// [`TooLong`] where the unterminated rest is longer than a message may be.
    pub fn end(&self) -> Result<End<'_>, TooLong> {
        let Some(rest) = self.unfinished() else {
            return Ok(End::Clean);
        };
        match self.framing {
            Framing::Bytes => Ok(End::Clean),
            Framing::Lines if self.come > u64::from(self.longest) => Err(TooLong),
            Framing::Lines => Ok(End::Message(rest)),
            Framing::Length => Ok(End::CutShort(u64::from(self.counted) + self.come)),
        }
    }

    /// Counts the messages in `input` without handing them out: that is much
    /// less work where `lines` come many at a time. What is left is kept.
    ///
    /// # Errors
    /// [`TooLong`] as [`next`](Decode::next) would say it; those before it were counted.
    #[inline]
    pub fn count(&mut self, mut input: &[u8]) -> (Count, Result<(), TooLong>) {
        if self.framing == Framing::Bytes {
            return (Count { messages: usize::from(!input.is_empty()), bytes: input.len() }, Ok(()));
        }
        let mut total = Count::default();
        loop {
            match self.next(&mut input) {
                Ok(Some(message)) => total.add(message),
                Ok(None) => return (total, Ok(())),
                Err(TooLong) => return (total, Err(TooLong)),
            }
            // A whole message has just ended: the next one begins here, and is no longer than what is here.
            if self.framing == Framing::Lines && input.len() as u64 <= u64::from(self.longest) {
                let lines = take_lines(&mut input);
                total.messages += lines.messages;
                total.bytes += lines.bytes;
            }
        }
    }

    #[inline]
    fn next_line<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<Message<'a>>, TooLong> {
        let longest = u64::from(self.longest);
        let Some(at) = memchr(b'\n', input) else {
            let piece = std::mem::take(input);
            self.returns = piece.ends_with(b"\r");
            self.keep(piece);
            // One byte more than a message may have can still be the carriage return.
            let too_long = self.come > longest + u64::from(self.returns);
            return if too_long { Err(TooLong) } else { Ok(None) };
        };
        let (head, rest) = (&input[..at], &input[at + 1..]);
        *input = rest;
        if self.come == 0 {
            let line = head.strip_suffix(b"\r").unwrap_or(head);
            return if line.len() as u64 > longest { Err(TooLong) } else { Ok(Some(line.into())) };
        }
        if !head.is_empty() {
            self.returns = head.ends_with(b"\r");
        }
        self.keep(head);
        self.spent = true;
        let len = self.come - u64::from(self.returns);
        if len > longest {
            return Err(TooLong);
        }
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        Ok(Some(Message { text: &self.head[..self.head.len().min(len)], len }))
    }

    fn next_frame<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<Message<'a>>, TooLong> {
        // The whole frame is here: it is borrowed.
        if self.counted == 0
            && let Some((count, rest)) = input.split_first_chunk::<COUNT>()
            && let Some((message, rest)) = rest.split_at_checked(self.announced(*count)?)
        {
            *input = rest;
            return Ok(Some(message.into()));
        }
        while usize::from(self.counted) < COUNT {
            let Some((&byte, rest)) = input.split_first() else {
                return Ok(None);
            };
            *input = rest;
            self.count[usize::from(self.counted)] = byte;
            self.counted += 1;
        }
        // It is checked before a byte of what it announces is kept.
        let count = self.announced(self.count)?;
        let lacking = count - usize::try_from(self.come).unwrap_or(count);
        let (piece, rest) = input.split_at(lacking.min(input.len()));
        *input = rest;
        self.keep(piece);
        if piece.len() < lacking {
            return Ok(None);
        }
        self.spent = true;
        Ok(Some(Message { text: &self.head, len: count }))
    }

    /// The length that a count announces.
    fn announced(&self, count: [u8; COUNT]) -> Result<usize, TooLong> {
        let count = u32::from_be_bytes(count);
        if count > self.longest { Err(TooLong) } else { usize::try_from(count).map_err(|_| TooLong) }
    }

    /// More has come of a message that is not whole yet.
    fn keep(&mut self, piece: &[u8]) {
        let room = KEPT.saturating_sub(self.head.len());
        self.head.extend_from_slice(&piece[..piece.len().min(room)]);
        self.come += piece.len() as u64;
    }

    fn forget(&mut self) {
        self.head = Vec::new();
        (self.come, self.counted, self.returns, self.spent) = (0, 0, false, false);
    }
}

/// Counts the whole lines at the head of `input`, which moves past them.
fn take_lines(input: &mut &[u8]) -> Count {
    let Some(last) = memrchr(b'\n', input) else {
        return Count::default();
    };
    let (lines, rest) = input.split_at(last + 1);
    *input = rest;
    let messages = memchr_iter(b'\n', lines).count();
    let dropped = memchr_iter(b'\r', lines).filter(|&at| lines.get(at + 1) == Some(&b'\n')).count();
    Count { messages, bytes: lines.len() - messages - dropped }
}

/// What the core does without the memchr crate.
#[cfg(not(feature = "programs"))]
mod plain {
    pub(super) fn memchr(wanted: u8, bytes: &[u8]) -> Option<usize> {
        bytes.iter().position(|&byte| byte == wanted)
    }

    pub(super) fn memrchr(wanted: u8, bytes: &[u8]) -> Option<usize> {
        bytes.iter().rposition(|&byte| byte == wanted)
    }

    pub(super) fn memchr_iter(wanted: u8, bytes: &[u8]) -> impl Iterator<Item = usize> {
        bytes.iter().enumerate().filter(move |&(_, &byte)| byte == wanted).map(|(at, _)| at)
    }
}
