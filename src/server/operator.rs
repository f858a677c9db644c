//! The operator: commands from stdin, one a line.

use super::{Server, Source};
use crate::escape::cause;
use crate::reactor::{Key, Slice};
use crate::roster::{Peer, State};
use crate::stdio::console::{Filled, Line};
use crate::transcript::address::Address;
use crate::transcript::server::{ClientLine, Event};
use crate::wire::Reason;

/// The longest command line that is read; longer ones are no command.
pub(super) const LONGEST_COMMAND: usize = 1024;
/// A command is as much work as so many messages: a slice obeys 64.
const COMMAND_COSTS: usize = 4;

/// What an operator can ask for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// `help`
    Help,
    /// `clients`
    Clients,
    /// `stats`
    Stats,
    /// `close IP:PORT`
    Close(&'a [u8]),
    /// `shutdown`, `quit` or `exit`
    Shutdown,
    /// An empty line.
    Nothing,
    /// Anything else.
    Unknown(&'a [u8]),
}

impl Command<'_> {
    /// The command that a line is; space around its words means nothing.
    pub fn parse(line: &[u8]) -> Command<'_> {
        let line = line.trim_ascii();
        let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        let (word, rest) = (&line[..end], line[end..].trim_ascii_start());
        match (word, rest.is_empty()) {
            (b"", _) => Command::Nothing,
            (b"help", true) => Command::Help,
            (b"clients", true) => Command::Clients,
            (b"stats", true) => Command::Stats,
            (b"shutdown" | b"quit" | b"exit", true) => Command::Shutdown,
            (b"close", false) => Command::Close(rest),
            _ => Command::Unknown(line),
        }
    }
}

impl Server {
    /// A slice of what the operator typed. Answers are never dropped: while many of them wait, nothing is read.
    pub(super) fn heed_operator(&mut self, slice: &mut Slice<Source>) {
        self.operator_waits = self.process.journal.is_over_asked();
        while !self.operator_waits && slice.budget.may_tell() {
            let line = self.console.next_line().map(|line| match line {
                Line::Whole { bytes, .. } => Ok(bytes.to_vec()),
                Line::TooLong { length, .. } | Line::Cut { length, .. } => Err(length),
            });
            slice.budget.spend(COMMAND_COSTS);
            match line {
                Some(Ok(line)) => self.obey(&line, slice),
                Some(Err(length)) => {
                    let what = format!("(a line of {length} bytes)");
                    self.process.journal.answer(&Event::UnknownCommand(what.as_bytes()));
                }
                None if self.console.ended() => {
                    // It is asked again with each SIGCONT.
                    if let Some(error) = self.console.take_error() {
                        log::warn!("cannot read the standard input, there is no operator: {}", cause(&error));
                    }
                    return;
                }
                None => match self.console.fill(&mut slice.budget) {
                    // At the end an unterminated rest has just become a line.
                    Filled::Data | Filled::Ended => {}
                    Filled::Drained | Filled::CutOff => return,
                },
            }
            self.operator_waits = self.process.journal.is_over_asked();
        }
    }

    /// What was not read because of the answers that wait is read when stdout has taken them. A file takes them at once,
    /// and raises no event.
    pub(super) fn recall_operator(&mut self) {
        if self.operator_waits {
            self.process.journal.flush();
            if !self.process.journal.is_over_asked() {
                self.process.reactor.ask(Source::Console);
            }
        }
    }

    fn obey(&mut self, line: &[u8], slice: &mut Slice<Source>) {
        let now = slice.now();
        log::debug!("operator: {}", crate::escape::shown(line));
        match Command::parse(line) {
            Command::Nothing => {}
            Command::Help => self.process.journal.answer(&Event::Help),
            Command::Stats => {
                let stats = self.stats(now);
                self.process.journal.answer(&Event::Stats(&stats));
            }
            Command::Clients => {
                let named = self.roster.iter().filter(|(_, peer)| peer.state() != State::Unnamed);
                let clients: Vec<_> = named.map(|(_, peer)| ClientLine::new(peer, now)).collect();
                // Each is a line.
                slice.budget.spend(clients.len());
                self.process.journal.answer(&Event::Clients(&clients));
            }
            Command::Close(peer) => match self.client_at(peer) {
                Some(key) => self.dismiss(key, None, Reason::Operator, now),
                None => self.process.journal.answer(&Event::NoSuchClient(peer)),
            },
            Command::Shutdown => self.shut_down(now),
            Command::Unknown(line) => self.process.journal.answer(&Event::UnknownCommand(line)),
        }
    }

    fn client_at(&self, peer: &[u8]) -> Option<Key> {
        let wanted = Address::new(std::str::from_utf8(peer).ok()?.parse().ok()?);
        let is_wanted = |peer: &Peer| peer.state() != State::Unnamed && Address::new(peer.address) == wanted;
        self.roster.iter().find(|(_, peer)| is_wanted(peer)).map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::Command;

    #[test]
    fn commands_are_known_with_space_around_them_and_nothing_else_is() {
        assert_eq!(Command::parse(b"  stats \r"), Command::Stats);
        assert_eq!(Command::parse(b"close  1.2.3.4:5 "), Command::Close(b"1.2.3.4:5"));
        assert_eq!(Command::parse(b" \t"), Command::Nothing);
        for shutdown in [b"shutdown".as_slice(), b"quit", b"exit"] {
            assert_eq!(Command::parse(shutdown), Command::Shutdown);
        }
        for unknown in [b"close".as_slice(), b"stats now", b"STATS", b"\xff"] {
            assert_eq!(Command::parse(unknown), Command::Unknown(unknown));
        }
    }
}
