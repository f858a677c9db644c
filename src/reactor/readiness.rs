//! What an event says of its source, for the trace. The loop itself asks the source.

use std::fmt;

use mio::event::Event;

/// What one event says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    readable: bool,
    writable: bool,
    read_closed: bool,
    write_closed: bool,
    error: bool,
}

impl Readiness {
    pub(super) fn of(event: &Event) -> Readiness {
        Readiness {
            readable: event.is_readable(),
            writable: event.is_writable(),
            read_closed: event.is_read_closed(),
            write_closed: event.is_write_closed(),
            error: event.is_error(),
        }
    }
}

/// In words; whoever is served without an event has its turn again, or its time has come.
impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            (self.readable, "readable"),
            (self.writable, "writable"),
            (self.read_closed, "its end is there"),
            (self.write_closed, "takes nothing any more"),
            (self.error, "failed"),
        ];
        let mut said = words.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word);
        match said.next() {
            None => f.write_str("without an event"),
            Some(first) => {
                f.write_str(first)?;
                said.try_for_each(|word| write!(f, ", {word}"))
            }
        }
    }
}
