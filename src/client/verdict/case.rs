//! One address over one protocol, and what is found out about it.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::client::link::Link;
use crate::process::limits::Shortage;
use crate::reactor::Key;
use crate::transcript::framing;
use crate::transcript::instrument::{Event, Word};
use crate::wire::{Framing, Message, Protocol, Reply};

/// What was found out about one address.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) word: Word,
    pub(super) rtt: Option<Duration>,
    pub(super) connect: Option<Duration>,
    pub(super) said: Option<Said>,
    pub(super) suspicion: Option<Suspicion>,
}

/// What was said instead of an acknowledgement.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// As much of it as was kept.
    text: Vec<u8>,
    len: usize,
}

impl From<Message<'_>> for Said {
    fn from(message: Message<'_>) -> Said {
        Said { text: message.text.to_vec(), len: message.len }
    }
}

/// What speaks for another framing at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// It answers as one with this framing does.
    Other(Framing),
    /// The connection stands, and nothing came at all.
    Mute,
}

impl Suspicion {
    pub(super) fn of_link(link: &Link) -> Option<Suspicion> {
        link.other_framing().map(Suspicion::Other)
    }

    /// The sentence, where this is our framing.
    pub(super) fn sentence(self, own: Framing) -> String {
        match self {
            Suspicion::Other(theirs) => framing::other(own, theirs),
            Suspicion::Mute => framing::question(own),
        }
    }
}

impl Finding {
    pub(super) fn of(word: Word) -> Finding {
        Finding { word, rtt: None, connect: None, said: None, suspicion: None }
    }

    pub(super) fn of_error(error: &io::Error) -> Finding {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidData, TimedOut};
        Finding::of(match error.kind() {
            ConnectionRefused => Word::Refused,
            ConnectionReset | ConnectionAborted | BrokenPipe => Word::Reset,
            TimedOut => Word::Silent,
            InvalidData => Word::WrongAnswer,
            _ => Word::Unreachable,
        })
    }

    /// Nothing more comes by `link`, which `stands` or does not: the beginning of a reply is a wrong answer, but no silence.
    pub(super) fn of_silence(link: &Link, stands: bool) -> Finding {
        match link.unfinished() {
            Some(rest) => Finding {
                said: Some(rest.into()),
                suspicion: Suspicion::of_link(link),
                ..Finding::of(Word::WrongAnswer)
            },
            None => Finding {
                suspicion: (stands && link.is_mute()).then_some(Suspicion::Mute),
                ..Finding::of(Word::Silent)
            },
        }
    }

    pub(super) fn event<'e>(&'e self, protocol: Protocol, framing: Framing, address: &'e str) -> Event<'e> {
        let Finding { word, rtt, connect, ref said, .. } = *self;
        let said = said.as_ref().map(|said| Message { text: &said.text, len: said.len });
        Event::Verdict { protocol, framing, address, word, rtt, connect, said }
    }

    pub(super) fn of_reply(reply: Reply<'_>, rtt: Option<Duration>) -> Finding {
        match reply {
            Reply::Ack => Finding { rtt, ..Finding::of(Word::Open) },
            Reply::Notice(notice) => {
                Finding { said: Some(Message::from(notice.text().as_bytes()).into()), ..Finding::of(Word::Closed) }
            }
            Reply::Wrong(wrong) => Finding { said: Some(wrong.into()), ..Finding::of(Word::WrongAnswer) },
        }
    }
}

/// One address, asked over one protocol.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) protocol: Protocol,
    pub(super) address: SocketAddr,
    /// The socket of the present try.
    pub(super) link: Option<Key>,
    pub(super) tries: u32,
    pub(super) began: Instant,
    pub(super) connect: Option<Duration>,
    pub(super) asked: Option<Instant>,
    /// Questions that nothing has come of yet, those of earlier tries and rounds among them.
    pub(super) out: u32,
    pub(super) finding: Option<Finding>,
    /// What was found in an earlier round.
    pub(super) earlier: Option<Finding>,
    /// Why it could not be asked: a shortage of our own, which is no finding.
    pub(super) shortage: Option<io::Error>,
    pub(super) told: bool,
}

impl Case {
    pub(super) fn new(protocol: Protocol, address: SocketAddr) -> Case {
        Case {
            protocol,
            address,
            link: None,
            tries: 0,
            began: Instant::now(),
            connect: None,
            asked: None,
            out: 0,
            finding: None,
            earlier: None,
            shortage: None,
            told: false,
        }
    }

    pub(super) fn decide(&mut self, finding: Finding) {
        self.finding = Some(Finding { connect: self.connect, ..finding });
    }

    pub(super) fn is_decided(&self) -> bool {
        self.finding.is_some() || self.shortage.is_some()
    }

    pub(super) fn is(&self, word: Word) -> bool {
        self.finding.as_ref().is_some_and(|finding| finding.word == word)
    }

    pub(super) fn fail(&mut self, error: io::Error) {
        match Shortage::is(&error) {
            true => self.shortage = Some(error),
            false => self.decide(Finding::of_error(&error)),
        }
    }
}
