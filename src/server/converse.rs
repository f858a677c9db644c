//! A client's messages: read, told, acknowledged.

use std::io;

use crate::connection::{Fill, is_reset};
use crate::escape::cause;
use crate::journal::Journal;
use crate::reactor::{Ready, Source};
use crate::roster::Peer;
use crate::transcript::server::{Event, Stats};
use crate::wire::{End, Notice, READ_SIZE, Reason, TooLong};

/// Reads per connection and turn: 128 KiB at the most, which may be tens of thousands of messages.
const READS_PER_TURN: usize = 2;

/// What every conversation shares: the read buffer, the ACKs of one read, the
/// counters and the journal. So an idle connection needs none of its own.
pub(super) struct Desk {
    buffer: Box<[u8]>,
    acks: Vec<u8>,
    pub(super) stats: Stats,
    pub(super) journal: Journal,
}

/// What is to become of a connection after its turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its next event brings it back.
    Wait,
    /// Its budget is spent, it may have more to say.
    Again,
    /// It has ended its side: once what it is owed is out, it is done.
    Finish,
    /// It is told why, and dismissed.
    Dismiss(Notice, Reason),
    /// It is gone.
    Lost(Reason),
}

impl Desk {
    pub(super) fn new(journal: Journal) -> Desk {
        Desk { buffer: vec![0; READ_SIZE].into_boxed_slice(), acks: Vec::new(), stats: Stats::default(), journal }
    }

    /// One turn of one client: what waits for it goes out first, then its
    /// messages come in and their ACKs go out, one write for each read.
    /// Tells also whether it made progress.
    pub(super) fn converse(&mut self, peer: &mut Peer, ready: Ready) -> (bool, Verdict) {
        let (messages, taken) = (peer.messages, peer.connection.flush());
        let moved = matches!(taken, Ok(1..));
        let verdict = match taken {
            Ok(_) => self.exchange(peer, ready),
            Err(error) => Verdict::Lost(reason_of(&error, peer)),
        };
        (moved || peer.messages > messages, verdict)
    }

    fn exchange(&mut self, peer: &mut Peer, ready: Ready) -> Verdict {
        // A client that has reset may still have said something before.
        let mut lost = None;
        for _ in 0..READS_PER_TURN {
            if peer.connection.output_waits() {
                return Verdict::Wait;
            }
            let more = match peer.connection.fill(&mut self.buffer, ready) {
                Ok(Fill::Data { len, more }) => {
                    let outcome = self.take_messages(peer, len);
                    let acks = (self.acks.len() / peer.connection.decoder.framing().ack().len()) as u64;
                    match peer.connection.send(&self.acks) {
                        Ok(()) => self.stats.acks += acks,
                        Err(error) => _ = lost.get_or_insert(reason_of(&error, peer)),
                    }
                    if outcome.is_err() {
                        return Verdict::Dismiss(Notice::TooLong, Reason::TooLong);
                    }
                    more || lost.is_some()
                }
                Ok(Fill::Ended) => return lost.map_or_else(|| self.end(peer), Verdict::Lost),
                Ok(Fill::Drained) => false,
                Err(error) => return Verdict::Lost(lost.unwrap_or_else(|| reason_of(&error, peer))),
            };
            if !more {
                return lost.map_or(Verdict::Wait, Verdict::Lost);
            }
        }
        lost.map_or(Verdict::Again, Verdict::Lost)
    }

    /// Tells the messages in the first `len` bytes of the buffer and gathers their ACKs.
    fn take_messages(&mut self, peer: &mut Peer, len: usize) -> Result<(), TooLong> {
        let decoder = &mut peer.connection.decoder;
        let framing = decoder.framing();
        self.acks.clear();
        let mut input = &self.buffer[..len];
        let (mut messages, mut bytes) = (0, 0);
        let outcome = loop {
            match decoder.next(&mut input) {
                Ok(Some(message)) => {
                    messages += 1;
                    bytes += message.len() as u64;
                    self.acks.extend_from_slice(framing.ack());
                    self.journal.tell(&Event::Message { peer: peer.address, framing, bytes: message });
                }
                Ok(None) => break Ok(()),
                Err(TooLong) => break Err(TooLong),
            }
        };
        self.count(peer, messages, bytes);
        outcome
    }

    /// The end of a client's stream: an unterminated rest is a message, too.
    fn end(&mut self, peer: &mut Peer) -> Verdict {
        let framing = peer.connection.decoder.framing();
        match peer.connection.decoder.end() {
            Ok(End::Clean) => {}
            Ok(End::CutShort(got)) => {
                log::warn!("{} ended its stream within a message, {got} bytes into the frame", peer.address);
            }
            Ok(End::Message(message)) => {
                let bytes = message.len() as u64;
                self.journal.tell(&Event::Message { peer: peer.address, framing, bytes: message });
                self.count(peer, 1, bytes);
                if let Err(error) = peer.connection.send(framing.ack()) {
                    return Verdict::Lost(reason_of(&error, peer));
                }
                self.stats.acks += 1;
            }
            Err(TooLong) => return Verdict::Dismiss(Notice::TooLong, Reason::TooLong),
        }
        Verdict::Finish
    }

    fn count(&mut self, peer: &mut Peer, messages: u64, bytes: u64) {
        peer.messages += messages;
        self.stats.messages += messages;
        self.stats.bytes += bytes;
    }

    /// Reads and forgets what a dismissed client still sends: closing over
    /// unread input would destroy what is on its way out.
    pub(super) fn discard(&mut self, peer: &mut Peer) -> io::Result<Fill> {
        let mut fill = Fill::Drained;
        for _ in 0..READS_PER_TURN {
            fill = peer.connection.fill(&mut self.buffer, Ready::unasked(Source::Peer(peer.key())))?;
            if !matches!(fill, Fill::Data { .. }) {
                break;
            }
        }
        Ok(fill)
    }
}

/// The peer's failures are events of the transcript; only unknown ones are also worth a diagnostic.
pub(super) fn reason_of(error: &io::Error, peer: &Peer) -> Reason {
    if is_reset(error) {
        return Reason::Reset;
    }
    log::info!("the connection to {} failed: {}", peer.address, cause(error));
    Reason::Error
}
