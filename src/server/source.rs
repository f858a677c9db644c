//! What can wake the server.

use crate::process::Ends;
use crate::reactor::{self, Key};

/// What can wake the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A signal came.
    Signals,
    /// The TCP listener has a connection to accept.
    Listener,
    /// The UDP socket has a datagram to read.
    Datagrams,
    /// stdin has something to read.
    Console,
    /// stdout takes bytes again.
    Screen,
    /// stderr takes bytes again.
    Diagnostics,
    /// The metrics' listener has a visitor to let in.
    Metrics,
    /// The visitor has something to read, or takes bytes again.
    Visitor,
    /// The alarm that covers the next deadline rang.
    Alarm,
    /// One connection out of many.
    Peer(Key),
}

impl reactor::Source for Source {
    const SINGLE: &'static [Source] = &[
        Source::Signals,
        Source::Listener,
        Source::Datagrams,
        Source::Console,
        Source::Screen,
        Source::Diagnostics,
        Source::Alarm,
        Source::Metrics,
        Source::Visitor,
    ];

    #[inline]
    fn of_key(key: Key) -> Source {
        Source::Peer(key)
    }

    #[inline]
    fn key(self) -> Option<Key> {
        match self {
            Source::Peer(key) => Some(key),
            Source::Signals
            | Source::Listener
            | Source::Datagrams
            | Source::Console
            | Source::Screen
            | Source::Diagnostics
            | Source::Alarm
            | Source::Metrics
            | Source::Visitor => None,
        }
    }

    /// stdout may be the same terminal, or the same journal.
    fn is_of_trace(self) -> bool {
        matches!(self, Source::Screen | Source::Diagnostics)
    }

    /// A signal may change what the rest of the turn should do.
    fn is_urgent(self) -> bool {
        self == Source::Signals
    }
}

impl Ends for Source {
    const SIGNALS: Source = Source::Signals;
    const SCREEN: Source = Source::Screen;
    const DIAGNOSTICS: Source = Source::Diagnostics;
    const ENDS_WHEN_FULL: bool = false;
}

#[cfg(test)]
mod tests {
    use crate::reactor::Source as _;

    use super::Source;

    #[test]
    fn every_source_comes_back_from_its_token() {
        use Source::{Alarm, Console, Datagrams, Diagnostics, Listener, Metrics, Screen, Signals, Visitor};
        for source in [Signals, Listener, Datagrams, Console, Screen, Diagnostics, Alarm, Metrics, Visitor] {
            assert_eq!(Source::of(source.token()), Some(source));
        }
    }
}
