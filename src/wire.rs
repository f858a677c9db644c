//! The wire: the words both ends speak, and the framings that cut messages out
//! of a byte stream. Pure: bytes in, messages out.
//!
//! | framing | one message is | acknowledged with | a notice is |
//! |---|---|---|---|
//! | `bytes` | whatever one read returned | `ACK` | its text |
//! | `lines` | the bytes up to `\n`, one `\r` before it dropped | `ACK\n` | text and `\n` |
//! | `length` | a 4-byte big-endian count, then that many bytes | the same frame holding `ACK` | the same frame |
//!
//! A datagram is one message and is answered with `check`.

use std::fmt;

/// The acknowledgement of a TCP message.
pub const ACK: &[u8] = b"ACK";
/// The acknowledgement of a datagram.
pub const CHECK: &[u8] = b"check";
/// The port of both programs where none is given.
pub const DEFAULT_PORT: u16 = 6666;
/// The most bytes that one read takes, and so the longest message of `bytes` framing.
pub const READ_SIZE: usize = 64 * 1024;
/// The longest message that `lines` and `length` accept unless told otherwise.
pub const LONGEST_MESSAGE: usize = 65_536;
/// The most payload that one UDP datagram carries over IPv4.
pub const LONGEST_DATAGRAM: usize = 65_507;
/// The bytes of the count before a message in `length` framing.
const COUNT: usize = 4;

/// The transport a message travelled by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// A stream: messages are cut out of it by a [`Framing`].
    Tcp,
    /// Datagrams: each is one message.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// Why a connection ended, as the transcript tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The peer shut its writing side, and everything owed was sent.
    Closed,
    /// The peer completed no message for the idle timeout.
    Idle,
    /// The peer reset the connection.
    Reset,
    /// The server is shutting down.
    Shutdown,
    /// The peer sent a message longer than is accepted.
    TooLong,
    /// The operator closed it.
    Operator,
    /// Reading or writing failed in another way.
    Error,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Closed => "closed",
            Reason::Idle => "idle",
            Reason::Reset => "reset",
            Reason::Shutdown => "shutdown",
            Reason::TooLong => "too long",
            Reason::Operator => "operator",
            Reason::Error => "error",
        })
    }
}

/// What the server says last on a connection that it ends itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// It is shutting down.
    ShuttingDown,
    /// The client completed no message for the idle timeout.
    IdleTimeout,
    /// The client sent a message longer than is accepted.
    TooLong,
    /// It has as many clients as it takes.
    Full,
}

impl Notice {
    /// Every notice there is.
    pub const ALL: [Notice; 4] = [Notice::ShuttingDown, Notice::IdleTimeout, Notice::TooLong, Notice::Full];

    /// The notice's words on the wire.
    pub const fn text(self) -> &'static str {
        match self {
            Notice::ShuttingDown => "server is shutting down",
            Notice::IdleTimeout => "idle timeout",
            Notice::TooLong => "message too long",
            Notice::Full => "server is full",
        }
    }

    /// The notice that `message` is, to the byte.
    pub fn parse(message: &[u8]) -> Option<Notice> {
        Notice::ALL.into_iter().find(|notice| notice.text().as_bytes() == message)
    }
}

/// Whether a datagram is itself a reply. Answering those without limit would let
/// two servers and one forged datagram keep each other busy for ever.
pub fn is_reply(datagram: &[u8]) -> bool {
    datagram == CHECK || datagram == ACK || Notice::parse(datagram).is_some()
}

/// How a TCP stream is cut into messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Whatever one read returned is one message.
    #[default]
    Bytes,
    /// A message ends with a newline; one carriage return before it is dropped.
    Lines,
    /// A message follows its length as a 4-byte big-endian count.
    Length,
}

impl Framing {
    /// The acknowledgement of one message, as it stands on the wire.
    pub const fn ack(self) -> &'static [u8] {
        match self {
            Framing::Bytes => ACK,
            Framing::Lines => b"ACK\n",
            Framing::Length => b"\0\0\0\x03ACK",
        }
    }

    /// Appends `message` as it stands on the wire.
    ///
    /// A message that `length` framing cannot count (4 GiB and more) is cut to
    /// what it can; the programs refuse such messages long before.
    pub fn encode(self, message: &[u8], out: &mut Vec<u8>) {
        match self {
            Framing::Bytes => out.extend_from_slice(message),
            Framing::Lines => {
                out.extend_from_slice(message);
                out.push(b'\n');
            }
            Framing::Length => {
                let count = u32::try_from(message.len()).unwrap_or(u32::MAX);
                out.extend_from_slice(&count.to_be_bytes());
                out.extend_from_slice(&message[..count as usize]);
            }
        }
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Framing::Bytes => "bytes",
            Framing::Lines => "lines",
            Framing::Length => "length",
        })
    }
}

/// A message longer than the decoder accepts: the stream cannot be followed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

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
    partial: Vec<u8>,
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
        if self.spent || self.partial.is_empty() {
            return Ok(End::Clean);
        }
        match self.framing {
            Framing::Bytes => Ok(End::Clean),
            Framing::Lines if self.partial.len() > self.longest as usize => Err(TooLong),
            Framing::Lines => Ok(End::Message(&self.partial)),
            Framing::Length => Ok(End::CutShort(self.partial.len())),
        }
    }

    #[inline]
    fn next_line<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<&'a [u8]>, TooLong> {
        let longest = self.longest as usize;
        let Some(at) = find_newline(input) else {
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
            if let Some(count) = self.count(input)?
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
        let Some(count) = self.count(&self.partial)? else {
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
    fn count(&self, bytes: &[u8]) -> Result<Option<usize>, TooLong> {
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

#[cfg(feature = "programs")]
#[inline]
fn find_newline(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', bytes)
}

#[cfg(not(feature = "programs"))]
fn find_newline(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n')
}

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

    /// Takes a message that the [`Decoder`] returned and hands on each reply in it.
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

#[cfg(test)]
mod tests;
