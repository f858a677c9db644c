//! The operator: commands from stdin, one a line.

use std::time::Instant;

use super::Server;
use crate::escape::cause;
use crate::reactor::{Key, Source};
use crate::stdio::console::{Fill, Line};
use crate::transcript::address::Address;
use crate::transcript::server::{ClientLine, Event};
use crate::wire::Reason;

/// The longest command line that is read; longer ones are no command.
pub(super) const LONGEST_COMMAND: usize = 1024;
/// Commands obeyed in one turn.
const COMMANDS_PER_TURN: usize = 64;

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
    /// Reads what the operator typed and obeys it, within the turn's budget.
    pub(super) fn heed_operator(&mut self, now: Instant) {
        for _ in 0..COMMANDS_PER_TURN {
            let line = self.console.next_line().map(|line| match line {
                Line::Whole { bytes, .. } => Ok(bytes.to_vec()),
                Line::TooLong { length, .. } => Err(length),
            });
            match line {
                Some(Ok(line)) => self.obey(&line, now),
                Some(Err(length)) => {
                    let what = format!("(a line of {length} bytes)");
                    self.desk.journal.answer(&Event::UnknownCommand(what.as_bytes()));
                }
                None if self.console.ended() => {
                    if let Some(error) = self.console.error() {
                        log::warn!("cannot read the standard input, there is no operator: {}", cause(error));
                    }
                    return;
                }
                None => match self.console.fill() {
                    // At the end an unterminated rest has just become a line.
                    Fill::Data | Fill::Ended => {}
                    Fill::Drained => return,
                },
            }
        }
        self.reactor.again(Source::Console);
    }

    fn obey(&mut self, line: &[u8], now: Instant) {
        log::debug!("operator: {}", crate::escape::shown(line));
        match Command::parse(line) {
            Command::Nothing => {}
            Command::Help => self.desk.journal.answer(&Event::Help),
            Command::Stats => {
                let stats = self.stats(now);
                self.desk.journal.answer(&Event::Stats(&stats));
            }
            Command::Clients => {
                let clients: Vec<_> = self.roster.iter().map(|(_, peer)| ClientLine::new(peer, now)).collect();
                self.desk.journal.answer(&Event::Clients(&clients));
            }
            Command::Close(peer) => match self.client_at(peer) {
                Some(key) => self.dismiss(key, None, Reason::Operator, now),
                None => self.desk.journal.answer(&Event::NoSuchClient(peer)),
            },
            Command::Shutdown => self.shut_down(now),
            Command::Unknown(line) => self.desk.journal.answer(&Event::UnknownCommand(line)),
        }
    }

    fn client_at(&self, peer: &[u8]) -> Option<Key> {
        let wanted = Address::new(std::str::from_utf8(peer).ok()?.parse().ok()?);
        self.roster.iter().find(|(_, peer)| Address::new(peer.address) == wanted).map(|(key, _)| key)
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
