//! A client's messages: read, told, acknowledged.

use std::io;

use crate::connection::{Fill, is_reset};
use crate::escape::cause;
use crate::reactor::{Ready, Source};
use crate::roster::Peer;
use crate::transcript::journal::Journal;
use crate::transcript::server::{Event, Stats};
use crate::wire::{Count, End, Framing, Notice, READ_SIZE, Reason, TooLong};

/// Reads per connection and turn: 128 KiB at the most, which may be tens of thousands of messages.
const READS_PER_TURN: usize = 2;

/// What every conversation shares: the read buffer, a run of ACKs, the
/// counters and the journal. So an idle connection needs none of its own.
pub(super) struct Desk {
    buffer: Box<[u8]>,
    acks: Acks,
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
        Desk { buffer: vec![0; READ_SIZE].into_boxed_slice(), acks: Acks::default(), stats: Stats::default(), journal }
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
                    let (taken, outcome) = self.take_messages(peer, len);
                    let acks = self.acks.run(peer.connection.decoder.framing(), taken.messages);
                    match peer.connection.send(acks) {
                        Ok(()) => self.stats.acks += taken.messages as u64,
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

    /// Tells the messages in the first `len` bytes of the buffer. Where nobody reads of them it is enough to count them.
    fn take_messages(&mut self, peer: &mut Peer, len: usize) -> (Count, Result<(), TooLong>) {
        let input = &self.buffer[..len];
        let (taken, outcome) = if self.journal.is_quiet() {
            peer.connection.decoder.count(input)
        } else {
            tell_messages(&mut self.journal, peer, input)
        };
        self.count(peer, taken);
        (taken, outcome)
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
                let mut taken = Count::default();
                taken.add(message);
                self.journal.tell(&Event::Message { peer: peer.address, framing, bytes: message });
                self.count(peer, taken);
                if let Err(error) = peer.connection.send(framing.ack()) {
                    return Verdict::Lost(reason_of(&error, peer));
                }
                self.stats.acks += 1;
            }
            Err(TooLong) => return Verdict::Dismiss(Notice::TooLong, Reason::TooLong),
        }
        Verdict::Finish
    }

    fn count(&mut self, peer: &mut Peer, taken: Count) {
        peer.messages += taken.messages as u64;
        self.stats.messages += taken.messages as u64;
        self.stats.bytes += taken.bytes as u64;
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

/// Tells every message that `input` completes, and counts them.
fn tell_messages(journal: &mut Journal, peer: &mut Peer, mut input: &[u8]) -> (Count, Result<(), TooLong>) {
    let decoder = &mut peer.connection.decoder;
    let framing = decoder.framing();
    let mut taken = Count::default();
    loop {
        match decoder.next(&mut input) {
            Ok(Some(message)) => {
                taken.add(message);
                journal.tell(&Event::Message { peer: peer.address, framing, bytes: message });
            }
            Ok(None) => return (taken, Ok(())),
            Err(TooLong) => return (taken, Err(TooLong)),
        }
    }
}

/// ACKs one behind the other. They are all alike, so they are written down once.
#[derive(Default)]
struct Acks {
    run: Vec<u8>,
}

impl Acks {
    /// This many acknowledgements; `framing` is the same every time.
    #[inline]
    fn run(&mut self, framing: Framing, count: usize) -> &[u8] {
        let ack = framing.ack();
        let len = count * ack.len();
        while self.run.len() < len {
            self.run.extend_from_slice(ack);
        }
        &self.run[..len]
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
