//! Bytes in, messages out, a slice at a time.

use std::io;
use std::ops::Range;

use super::{Connection, Fill};
use crate::reactor::Budget;
use crate::wire::{Count, Decode, Decoder, Framing, Message, READ_SIZE, Replies, Reply, TooLong};

/// The buffer that all connections of a program read into, one after the other: so an idle one needs none of its own.
pub fn buffer() -> Box<[u8]> {
    vec![0; READ_SIZE].into_boxed_slice()
}

/// What comes in on one connection: its decoder, and what was read but did not fit into the slice.
#[derive(Debug)]
pub struct Inbox<D> {
    /// Cuts messages out of it.
    pub decoder: D,
    /// One read at most, which is 4 KiB where messages are told one by one.
    rest: Rest,
}

/// What was read and not pulled. Most connections have none, so it is a pointer where it stands.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "a vector would take three words of every connection")]
struct Rest(Option<Box<Vec<u8>>>);

impl Rest {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    #[inline]
    fn keep(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.0 = None;
            return;
        }
        let kept = self.0.get_or_insert_default();
        kept.clear();
        kept.extend_from_slice(bytes);
    }
}

/// What came of a preface: what stands before the first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Prefaced<T> {
    /// It is whole.
    Whole(T),
    /// It is not whole yet, and nothing more is there for now, or the slice is over.
    Part,
    /// The peer has shut its writing side within it.
    Ended,
}

/// What a pull brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pulled<T> {
    /// A message.
    Item(T),
    /// Bytes that complete none: pull again.
    Part,
    /// Nothing more for now; an event will come when that changes.
    Drained,
    /// The slice is over, and there may be more.
    CutOff,
    /// The peer has shut its writing side and everything before it was pulled.
    Ended,
    /// A message longer than is accepted begins here: nothing behind it can be followed.
    TooLong,
}

impl<D: Decode> Inbox<D> {
    /// An empty one.
    pub fn new(decoder: D) -> Inbox<D> {
        Inbox { decoder, rest: Rest::default() }
    }

    /// Whether something was read that has not been pulled.
    pub fn has_rest(&self) -> bool {
        self.rest.0.is_some()
    }

    /// Gives up what was read and not pulled: nobody will.
    pub fn forget(&mut self) {
        self.rest = Rest::default();
    }

    /// Reads what stands before the first message. `parse` sees all that has come, and says what the preface is and how
    /// many bytes it has once it is whole; until then what has come of it is kept. What follows it is the first
    /// message's.
    ///
    /// # Errors
    /// The connection is broken, or what `parse` finds wrong.
    pub fn preface<T, E: From<io::Error>>(
        &mut self,
        connection: &mut Connection,
        buffer: &mut [u8],
        budget: &mut Budget,
        mut parse: impl FnMut(&[u8]) -> Result<Option<(T, usize)>, E>,
    ) -> Result<Prefaced<T>, E> {
        let room = self.decoder.piece().min(buffer.len());
        loop {
            let kept = self.rest.bytes().len();
            buffer[..kept].copy_from_slice(self.rest.bytes());
            let (len, more) = match connection.fill(&mut buffer[kept..room], budget)? {
                Fill::Data { len, more } => (len, more),
                Fill::Drained | Fill::CutOff => return Ok(Prefaced::Part),
                Fill::Ended => return Ok(Prefaced::Ended),
            };
            let come = &buffer[..kept + len];
            if let Some((preface, len)) = parse(come)? {
                self.rest.keep(&come[len..]);
                return Ok(Prefaced::Whole(preface));
            }
            self.rest.keep(come);
            if !more {
                return Ok(Prefaced::Part);
            }
        }
    }

    /// Begins to pull what was read earlier and what `connection` holds, through `buffer`, within `budget`.
    pub fn read<'r>(
        &'r mut self,
        connection: &'r mut Connection,
        buffer: &'r mut [u8],
        budget: &'r mut Budget,
    ) -> Reading<'r, D> {
        let unread = 0..self.rest.bytes().len();
        buffer[unread.clone()].copy_from_slice(self.rest.bytes());
        Reading { inbox: self, connection, buffer, budget, unread, drained: false, too_long: false }
    }
}

/// A slice's worth of pulling. What is not pulled when it is dropped waits for the next.
#[derive(Debug)]
pub struct Reading<'r, D: Decode> {
    inbox: &'r mut Inbox<D>,
    connection: &'r mut Connection,
    buffer: &'r mut [u8],
    budget: &'r mut Budget,
    /// What of the buffer was read and not pulled.
    unread: Range<usize>,
    /// Nothing more is in the connection for now.
    drained: bool,
    too_long: bool,
}

impl<D: Decode> Reading<'_, D> {
    /// Reads nothing more from the connection: only what was read already is pulled.
    pub fn without_reading(mut self) -> Self {
        self.drained = true;
        self
    }

    /// The next message.
    ///
    /// # Errors
    /// The connection is broken; what was pulled before is not lost.
    #[inline]
    pub fn pull(&mut self) -> io::Result<Pulled<D::Item<'_>>> {
        if self.unread.is_empty()
            && !self.inbox.decoder.holds()
            && let Some(stop) = self.fill(self.inbox.decoder.piece())?
        {
            return Ok(stop);
        }
        if !self.budget.may_tell() {
            return Ok(Pulled::CutOff);
        }
        let mut input = &self.buffer[self.unread.clone()];
        let item = self.inbox.decoder.next(&mut input);
        self.unread.start = self.unread.end - input.len();
        Ok(match item {
            Ok(Some(item)) => {
                self.budget.spend(1);
                Pulled::Item(item)
            }
            Ok(None) => Pulled::Part,
            Err(TooLong) => Pulled::TooLong,
        })
    }

    /// One read, where there is none to go on with. What it came to if it brought nothing.
    #[inline]
    fn fill<T>(&mut self, piece: usize) -> io::Result<Option<Pulled<T>>> {
        if self.drained {
            return Ok(Some(Pulled::Drained));
        }
        let room = piece.min(self.buffer.len());
        Ok(match self.connection.fill(&mut self.buffer[..room], self.budget)? {
            Fill::Data { len, more } => {
                self.unread = 0..len;
                self.drained = !more;
                None
            }
            Fill::Drained => Some(Pulled::Drained),
            Fill::CutOff => Some(Pulled::CutOff),
            Fill::Ended => Some(Pulled::Ended),
        })
    }
}

impl Reading<'_, Replies> {
    /// What stands at the end of the stream: a reply that lacks only its end, or the beginning of one.
    pub fn last(&self) -> Option<Reply<'_>> {
        self.inbox.decoder.end()
    }

    /// Behind [`Pulled::TooLong`]: what could not be followed.
    pub fn stuck_at(&self) -> Message<'_> {
        match &self.buffer[self.unread.clone()] {
            [] => self.inbox.decoder.unfinished().unwrap_or(Message { text: &[], len: 0 }),
            unread => unread.into(),
        }
    }
}

impl Reading<'_, Decoder> {
    /// The framing of the messages.
    pub fn framing(&self) -> Framing {
        self.inbox.decoder.framing()
    }

    /// How many messages came, where nobody reads of them: that is much less work, and is bounded by the bytes alone.
    ///
    /// # Errors
    /// The connection is broken; what was counted before is not lost.
    #[inline]
    pub fn count(&mut self) -> io::Result<Pulled<Count>> {
        if self.too_long {
            return Ok(Pulled::TooLong);
        }
        if self.unread.is_empty()
            && let Some(stop) = self.fill(READ_SIZE)?
        {
            return Ok(stop);
        }
        let (count, outcome) = self.inbox.decoder.count(&self.buffer[self.unread.clone()]);
        self.unread.start = self.unread.end;
        self.too_long = outcome.is_err();
        Ok(Pulled::Item(count))
    }
}

impl<D: Decode> Drop for Reading<'_, D> {
    fn drop(&mut self) {
        self.inbox.decoder.release();
        self.inbox.rest.keep(&self.buffer[self.unread.clone()]);
    }
}
