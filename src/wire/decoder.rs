//! Cuts messages out of a stream that arrives in pieces.

#[cfg(feature = "programs")]
use memchr::{memchr, memchr_iter, memrchr};

#[cfg(not(feature = "programs"))]
use self::plain::{memchr, memchr_iter, memrchr};
use super::Framing;

/// The bytes of the count before a message in `length` framing.
const COUNT: usize = 4;

/// A message longer than the decoder accepts: the stream cannot be followed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

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
    pub fn add(&mut self, message: &[u8]) {
        self.messages += 1;
        self.bytes += message.len();
    }
}

/// What stood in a decoder when the stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End<'a> {
    /// Nothing: the stream ended between messages.
    Clean,
    /// The unterminated rest, which counts as a message (`lines`).
    Message(&'a [u8]),
    /// This many bytes of a frame that never became whole (`length`).
    CutShort(usize),
}

/// Cuts messages out of a stream that arrives in pieces of any size.
///
/// A message that lies within one piece is borrowed from it; only one that is
/// spread over several is copied, once, and its memory is given back with the
/// next call. So an idle connection holds no buffer.
///
/// ```
/// use ack_reactor::wire::{Decoder, Framing};
///
/// let mut decoder = Decoder::new(Framing::Lines, 65_536);
/// let mut messages = Vec::new();
/// for mut piece in [b"one\r\ntw".as_slice(), b"o\n", b"thr"] {
///     while let Some(message) = decoder.next(&mut piece).expect("short enough") {
///         messages.push(message.to_vec());
///     }
/// }
/// assert_eq!(messages, [b"one", b"two"]);
/// ```
#[derive(Debug)]
pub struct Decoder {
    /// What has come of a message that is not whole yet (`length`: with its count).
    pub(super) partial: Vec<u8>,
    longest: u32,
    framing: Framing,
    /// The partial message was handed out whole and is to be forgotten.
    spent: bool,
}

impl Decoder {
    /// A decoder that accepts messages of up to `longest` bytes (`lines` and
    /// `length`; at most `u32::MAX`).
    pub fn new(framing: Framing, longest: usize) -> Decoder {
        let longest = u32::try_from(longest).unwrap_or(u32::MAX);
        Decoder { partial: Vec::new(), longest, framing, spent: false }
    }

    /// The framing it was made for.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// The next whole message; `input` moves past it. `None` once `input` is
    /// used up: what is left of it was kept.
    ///
    /// # Errors
    /// [`TooLong`] as soon as it is certain, before the message is buffered.
    #[inline]
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<&'a [u8]>, TooLong> {
        if self.spent {
            self.partial = Vec::new();
            self.spent = false;
        }
        if input.is_empty() {
            return Ok(None);
        }
        match self.framing {
            Framing::Bytes => Ok(Some(std::mem::take(input))),
            Framing::Lines => self.next_line(input),
            Framing::Length => self.next_frame(input),
        }
    }

    /// What has come of a message that is not whole yet (`length`: with its count).
    pub fn unfinished(&self) -> &[u8] {
        if self.spent { &[] } else { &self.partial }
    }

    /// What is left when the stream ends. Call it once, after the last piece.
    ///
    /// # Errors
    /// [`TooLong`] where the unterminated rest is longer than a message may be.
    pub fn end(&mut self) -> Result<End<'_>, TooLong> {
        if self.unfinished().is_empty() {
            return Ok(End::Clean);
        }
        match self.framing {
            Framing::Bytes => Ok(End::Clean),
            Framing::Lines if self.partial.len() > self.longest as usize => Err(TooLong),
            Framing::Lines => Ok(End::Message(&self.partial)),
            Framing::Length => Ok(End::CutShort(self.partial.len())),
        }
    }

    /// Counts the messages in `input` without handing them out: that is much
    /// less work where `lines` come many at a time. What is left is kept.
    ///
    /// # Errors
    /// [`TooLong`] as [`next`](Decoder::next) would say it; those before it were counted.
    #[inline]
    pub fn count(&mut self, mut input: &[u8]) -> (Count, Result<(), TooLong>) {
        let mut total = Count::default();
        loop {
            match self.next(&mut input) {
                Ok(Some(message)) => total.add(message),
                Ok(None) => return (total, Ok(())),
                Err(TooLong) => return (total, Err(TooLong)),
            }
            // A whole message has just ended: the next one begins here, and is no longer than what is here.
            if self.framing == Framing::Lines && input.len() <= self.longest as usize {
                let lines = take_lines(&mut input);
                total.messages += lines.messages;
                total.bytes += lines.bytes;
            }
        }
    }

    #[inline]
    fn next_line<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<&'a [u8]>, TooLong> {
        let longest = self.longest as usize;
        let Some(at) = memchr(b'\n', input) else {
            // One byte more than a message may have can still be the carriage return.
            let len = self.partial.len() + input.len();
            if len > longest + 1 || (len == longest + 1 && !input.ends_with(b"\r")) {
                return Err(TooLong);
            }
            self.partial.extend_from_slice(std::mem::take(input));
            return Ok(None);
        };
        let (head, rest) = (&input[..at], &input[at + 1..]);
        *input = rest;
        let line = if self.partial.is_empty() {
            head
        } else if self.partial.len() + at > longest + 1 {
            return Err(TooLong);
        } else {
            self.partial.extend_from_slice(head);
            self.spent = true;
            &self.partial
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > longest { Err(TooLong) } else { Ok(Some(line)) }
    }

    fn next_frame<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<&'a [u8]>, TooLong> {
        if self.partial.is_empty() {
            if let Some(count) = self.announced(input)?
                && input.len() >= COUNT + count
            {
                let (frame, rest) = input.split_at(COUNT + count);
                *input = rest;
                return Ok(Some(&frame[COUNT..]));
            }
            // The count is checked before a byte of what it announces is kept.
            self.partial.extend_from_slice(std::mem::take(input));
            return Ok(None);
        }
        self.take_until(COUNT, input);
        let Some(count) = self.announced(&self.partial)? else {
            return Ok(None);
        };
        self.take_until(COUNT + count, input);
        if self.partial.len() < COUNT + count {
            return Ok(None);
        }
        self.spent = true;
        Ok(Some(&self.partial[COUNT..]))
    }

    /// The count at the head of `bytes`, once all of it is there.
    fn announced(&self, bytes: &[u8]) -> Result<Option<usize>, TooLong> {
        match bytes.first_chunk::<COUNT>().map(|count| u32::from_be_bytes(*count)) {
            Some(count) if count > self.longest => Err(TooLong),
            count => Ok(count.map(|count| count as usize)),
        }
    }

    /// Moves bytes from `input` until `partial` holds `len` of them.
    fn take_until(&mut self, len: usize, input: &mut &[u8]) {
        let (taken, rest) = input.split_at(len.saturating_sub(self.partial.len()).min(input.len()));
        self.partial.extend_from_slice(taken);
        *input = rest;
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
