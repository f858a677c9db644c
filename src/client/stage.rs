//! What every mode of the client stands on: the process, and what can wake it.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::escape::cause;
use crate::process::limits::Shortage;
use crate::process::signals::Signal;
use crate::process::{Ends, Process};
use crate::reactor::{self, Key, Reactor, Slice};
use crate::trace::{self, Counted, NextDeadline, trace};
use crate::transcript::address::Address;
use crate::wire::Protocol;

/// How long a system remembers a connection that is over, and something more.
const REMEMBERED: Duration = Duration::from_secs(70);
/// It is asked again so often.
const AGAIN: Duration = Duration::from_millis(100);

/// The loop, the signals, stdout and stderr.
pub type Stage = Process<Source>;

impl Stage {
    /// Begins something as soon as the system has forgotten what keeps it from beginning for a while; that it is waited for
    /// is said.
    ///
    /// # Errors
    /// It cannot begin; or something keeps it from that for longer than the system remembers, beyond `until`, or until a
    /// signal asks to end.
    pub fn as_soon_as_may_be<T>(
        &mut self,
        until: Option<Instant>,
        mut begin: impl FnMut(&Reactor<Source>) -> io::Result<T>,
    ) -> io::Result<T> {
        let remembered = Instant::now() + REMEMBERED;
        let until = until.map_or(remembered, |until| until.min(remembered));
        let mut is_asked = true;
        loop {
            let error = match begin(&self.reactor) {
                Err(error) if Shortage::passes(&error) && Instant::now() < until => error,
                outcome => return outcome,
            };
            if std::mem::take(&mut is_asked) {
                self.complain(format_args!("{}: waiting", cause(&error)));
                self.flush();
            }
            thread::sleep(AGAIN);
            is_asked = self.signals().contains(&Signal::Report);
            if self.is_interrupted() {
                return Err(error);
            }
        }
    }

    /// Waits for the next turn, as [`Process::wait_while_read`] does; the trace tells what the last one came to.
    ///
    /// # Errors
    /// The poll keeps failing.
    pub fn next_turn(&mut self, deadline: Option<Instant>) -> Result<Instant, Error> {
        self.end_turn(deadline);
        self.wait_while_read(deadline)
    }

    /// Tells the trace what a turn came to, before the next one, which is due at `deadline`.
    pub fn end_turn(&mut self, deadline: Option<Instant>) {
        if trace::is_on() && self.reactor.is_told() {
            let printed = Counted(self.journal.take_told(), "line");
            trace!("  printed {printed}; {}", NextDeadline(self.reactor.next_wake(deadline)));
        }
    }

    /// The next slice of this turn; the trace tells whose it is.
    pub fn next_slice(&mut self) -> Option<Slice<Source>> {
        let slice = self.reactor.next_slice()?;
        if trace::is_on() && !reactor::Source::is_of_trace(slice.source()) {
            self.reactor.tell_turn();
            let readiness = self.reactor.readiness(slice.source());
            match slice.source() {
                Source::Link(key) => {
                    trace!("  a socket (slot {}, generation {}) {readiness}", key.slot(), key.generation());
                }
                Source::Signals => trace!("  the signals {readiness}"),
                Source::Console => trace!("  stdin {readiness}"),
                Source::Screen | Source::Diagnostics => {}
                Source::Alarm => trace!("  the alarm rang"),
                Source::Lookup => trace!("  the resolver's pipe {readiness}"),
            }
        }
        Some(slice)
    }

    /// Says why an address of several is not the one.
    pub fn pass_over(&mut self, protocol: Protocol, address: SocketAddr, why: &str) {
        self.complain(format_args!("cannot connect to {protocol} {}: {why}", Address::new(address)));
    }

    /// Says that an address could not be tried for a [shortage](crate::process::limits::Shortage) of our own.
    pub fn cannot_try(&mut self, protocol: Protocol, address: SocketAddr, shortage: &io::Error) {
        self.fail(format_args!("cannot try {protocol} {}: {}", Address::new(address), cause(shortage)));
    }
}

/// What can wake the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A signal came.
    Signals,
    /// stdin has something to read.
    Console,
    /// stdout takes bytes again.
    Screen,
    /// stderr takes bytes again.
    Diagnostics,
    /// A time has come that is finer than the poll's milliseconds.
    Alarm,
    /// A child that asks for a name has something to say.
    Lookup,
    /// One socket towards the server.
    Link(Key),
}

impl reactor::Source for Source {
    const SINGLE: &'static [Source] =
        &[Source::Signals, Source::Console, Source::Screen, Source::Diagnostics, Source::Alarm, Source::Lookup];

    #[inline]
    fn of_key(key: Key) -> Source {
        Source::Link(key)
    }

    #[inline]
    fn key(self) -> Option<Key> {
        match self {
            Source::Link(key) => Some(key),
            Source::Signals
            | Source::Console
            | Source::Screen
            | Source::Diagnostics
            | Source::Alarm
            | Source::Lookup => None,
        }
    }

    /// stdout may be the same terminal, or the same journal.
    fn is_of_trace(self) -> bool {
        matches!(self, Source::Screen | Source::Diagnostics)
    }

    fn is_urgent(self) -> bool {
        self == Source::Signals
    }
}

impl Ends for Source {
    const SIGNALS: Source = Source::Signals;
    const SCREEN: Source = Source::Screen;
    const DIAGNOSTICS: Source = Source::Diagnostics;
    const ENDS_WHEN_FULL: bool = true;
}

#[cfg(test)]
mod tests {
    use crate::reactor::Source as _;

    use super::Source;

    #[test]
    fn every_source_comes_back_from_its_token() {
        use Source::{Alarm, Console, Diagnostics, Lookup, Screen, Signals};
        for source in [Signals, Console, Screen, Diagnostics, Alarm, Lookup] {
            assert_eq!(Source::of(source.token()), Some(source));
        }
    }
}
