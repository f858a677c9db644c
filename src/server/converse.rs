//! A client's messages: read, told, acknowledged.

use std::io;

use super::desk::Desk;
use super::{Server, Source};
use crate::connection::{Fill, Pulled, Reading, is_reset};
use crate::escape::cause;
use crate::reactor::{Budget, Key, Slice};
use crate::roster::{Peer, State};
use crate::trace::{self, Counted, trace};
use crate::transcript::address::Address;
use crate::transcript::journal::Journal;
use crate::transcript::server::Event;
use crate::wire::{Count, Decoder, End, Framing, Message, Notice, Output, Reason, TooLong};

/// What of a client's input is taken, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attention {
    /// What comes is read; otherwise only what was read already is taken.
    pub(super) reads: bool,
    /// Each message is told; otherwise there is no time for more than to count them.
    pub(super) tells: bool,
    /// Its next ACK is its last, with the notice behind it in the same write.
    pub(super) drains: bool,
}

/// What is to become of a connection after its slice.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its next event brings it back, or the end of its slice did not let it finish.
    Wait,
    /// It is asked again, without an event.
    Again,
    /// It has ended its side: once what it is owed is out, it is done.
    Finish,
    /// It is told why, and dismissed.
    Dismiss(Notice, Reason),
    /// It is gone.
    Lost(Reason),
}

/// How far a slice came.
enum Outcome {
    Drained,
    CutOff,
    Ended,
    TooLong,
    Broken(io::Error),
}

impl Server {
    /// A slice of one connection, whatever it is still here for.
    pub(super) fn serve_peer(&mut self, key: Key, slice: &mut Slice<Source>) {
        let (now, is_closing) = (slice.now(), self.is_closing());
        let Some(peer) = self.roster.get_mut(key) else {
            return;
        };
        match peer.state() {
            State::Unnamed => self.hear_proxy(key, slice),
            State::Open => {
                let attention =
                    self.ending.as_ref().map_or(Attention::FULL, |ending| ending.attention(peer.is_read_out, now));
                peer.is_read_out |= is_closing;
                let journal = &mut self.process.journal;
                let (progress, fate) = self.desk.converse(peer, journal, &mut slice.budget, attention);
                if progress {
                    self.roster.progress(key, now);
                }
                match fate {
                    Fate::Wait => self.see_off(key, now),
                    Fate::Again => self.process.reactor.ask(slice.source()),
                    Fate::Finish => self.finish(key, now),
                    Fate::Dismiss(notice, reason) => self.dismiss(key, Some(notice), reason, now),
                    Fate::Lost(reason) => self.lose(key, reason, now),
                }
            }
            State::Finishing => self.finish(key, now),
            State::Dismissed => self.linger(key, slice),
            State::Doomed => {}
        }
    }
}

impl Desk {
    /// One slice of one client: what waits for it goes out first, then its
    /// messages come in and their ACKs go out, in one write.
    /// Tells also whether it made progress.
    pub(super) fn converse(
        &mut self,
        peer: &mut Peer,
        journal: &mut Journal,
        budget: &mut Budget,
        attention: Attention,
    ) -> (bool, Fate) {
        let messages = peer.messages;
        let moved = self.flush_or_lose(peer) > 0;
        // Who does not take its ACKs is read no further; what was read before is owed all the same.
        let attention = Attention { reads: attention.reads && peer.owed.is_empty(), ..attention };
        let outcome = match attention.reads || peer.inbox.has_rest() {
            true => self.listen(peer, journal, budget, attention),
            false => Outcome::Drained,
        };
        let fate = match outcome {
            Outcome::Ended => self.end(peer, journal),
            Outcome::TooLong => Fate::Dismiss(Notice::TooLong, Reason::TooLong),
            Outcome::Broken(error) => Fate::Lost(reason_of(&error, peer)),
            Outcome::Drained | Outcome::CutOff => Fate::Wait,
        };
        let reached = peer.lost.is_none();
        if attention.drains {
            peer.is_read_out |= peer.messages > messages;
            if fate == Fate::Wait && reached && peer.is_read_out && !peer.inbox.has_rest() {
                return (true, Fate::Dismiss(Notice::ShuttingDown, Reason::Shutdown));
            }
        }
        self.flush_or_lose(peer);
        let progress = moved || peer.messages > messages;
        match peer.lost {
            None => (progress, fate),
            // A client that has reset may still have said something before.
            Some(_) if reached && fate == Fate::Wait => (progress, Fate::Again),
            Some(_) if fate == Fate::Wait && budget.is_cut_off() => (progress, Fate::Wait),
            Some(reason) => (progress, Fate::Lost(reason)),
        }
    }

    /// Pulls messages, tells them, and writes down what they are owed.
    fn listen(&mut self, peer: &mut Peer, journal: &mut Journal, budget: &mut Budget, attention: Attention) -> Outcome {
        let mut taken = Count::default();
        let is_told = self.tells_messages && !peer.is_quiet;
        let mut reading = peer.inbox.read(&mut peer.connection, &mut self.buffer, budget);
        if !attention.reads {
            reading = reading.without_reading();
        }
        let outcome = if !is_told || !attention.tells {
            count(&mut reading, &mut taken)
        } else {
            let framing = reading.framing();
            tell(&mut reading, &mut taken, |message| {
                journal.tell(&Event::Message { peer: peer.address, framing, message });
            })
        };
        drop(reading);
        if is_told && !attention.tells {
            journal.skip(taken.messages as u64);
        }
        self.owe(peer, taken);
        outcome.unwrap_or_else(Outcome::Broken)
    }

    /// The end of a client's stream: an unterminated rest is a message, too.
    fn end(&mut self, peer: &mut Peer, journal: &mut Journal) -> Fate {
        let mut taken = Count::default();
        match peer.inbox.decoder.end() {
            Ok(End::Clean) => {}
            Ok(End::CutShort(_)) if peer.is_quiet => {}
            Ok(End::CutShort(got)) => {
                log::warn!(
                    "{} ended its stream within a message, {got} bytes into the frame",
                    Address::new(peer.address)
                );
            }
            Ok(End::Message(message)) => {
                taken.add(message);
                if self.tells_messages && !peer.is_quiet {
                    journal.tell(&Event::Message { peer: peer.address, framing: Framing::Lines, message });
                }
            }
            Err(TooLong) => return Fate::Dismiss(Notice::TooLong, Reason::TooLong),
        }
        self.owe(peer, taken);
        Fate::Finish
    }

    fn owe(&mut self, peer: &mut Peer, taken: Count) {
        if trace::is_on() {
            trace_owed(taken.messages);
        }
        peer.owed.acknowledge(taken.messages);
        peer.messages += taken.messages as u64;
        self.stats.messages += taken.messages as u64;
        self.stats.bytes += taken.bytes as u64;
    }

    /// Sends what a client is owed, as far as it takes it. Returns how many bytes moved.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) fn flush(&mut self, peer: &mut Peer) -> io::Result<usize> {
        let acks = peer.owed.acks();
        let moved = peer.flush();
        self.stats.acks += (acks - peer.owed.acks()) as u64;
        moved
    }

    /// As [`flush`](Desk::flush); where nothing reaches the client any more, that is noted.
    #[inline]
    fn flush_or_lose(&mut self, peer: &mut Peer) -> usize {
        if peer.owed.is_empty() {
            return 0;
        }
        self.flush(peer).unwrap_or_else(|error| {
            peer.owed.abandon();
            let reason = reason_of(&error, peer);
            peer.lost.get_or_insert(reason);
            0
        })
    }

    /// Reads and forgets what a dismissed client still sends: closing over
    /// unread input would destroy what is on its way out.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) fn discard(&mut self, peer: &mut Peer, budget: &mut Budget) -> io::Result<Fill> {
        loop {
            match peer.connection.fill(&mut self.buffer, budget)? {
                Fill::Data { more: true, .. } => {}
                Fill::Data { more: false, .. } => return Ok(Fill::Drained),
                other => return Ok(other),
            }
        }
    }
}

impl Attention {
    /// What comes is read and told.
    pub(super) const FULL: Attention = Attention { reads: true, tells: true, drains: false };
}

fn tell(
    reading: &mut Reading<'_, Decoder>,
    taken: &mut Count,
    mut each: impl FnMut(Message<'_>),
) -> io::Result<Outcome> {
    loop {
        match reading.pull()? {
            Pulled::Item(message) => {
                taken.add(message);
                each(message);
            }
            Pulled::Part => {}
            Pulled::Drained => return Ok(Outcome::Drained),
            Pulled::CutOff => return Ok(Outcome::CutOff),
            Pulled::Ended => return Ok(Outcome::Ended),
            Pulled::TooLong => return Ok(Outcome::TooLong),
        }
    }
}

#[cold]
#[inline(never)]
fn trace_owed(messages: usize) {
    if messages > 0 {
        trace!("    {}; owed {}", Counted(messages, "message"), Counted(messages, "ACK"));
    }
}

/// Where nobody reads of them it is enough to count them.
fn count(reading: &mut Reading<'_, Decoder>, taken: &mut Count) -> io::Result<Outcome> {
    loop {
        match reading.count()? {
            Pulled::Item(count) => {
                taken.messages += count.messages;
                taken.bytes += count.bytes;
            }
            Pulled::Part => {}
            Pulled::Drained => return Ok(Outcome::Drained),
            Pulled::CutOff => return Ok(Outcome::CutOff),
            Pulled::Ended => return Ok(Outcome::Ended),
            Pulled::TooLong => return Ok(Outcome::TooLong),
        }
    }
}

/// The peer's failures are events of the transcript; only unknown ones are also worth a diagnostic.
pub(super) fn reason_of(error: &io::Error, peer: &Peer) -> Reason {
    if is_reset(error) {
        return Reason::Reset;
    }
    log::info!("the connection to {} failed: {}", Address::new(peer.address), cause(error));
    Reason::Error
}
