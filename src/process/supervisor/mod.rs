//! Whoever started this process and looks after it: systemd, or another that speaks its protocols.
//!
//! Passed sockets come by LISTEN_FDS and LISTEN_PID, the state is told by NOTIFY_SOCKET, that the loop is alive at the
//! pace of WATCHDOG_USEC, and JOURNAL_STREAM says whether stderr is the journal. Where there is none of them, or the
//! system knows none, all of this is nothing. Nothing is passed on: no program is started here.

use std::net::{TcpListener, UdpSocket};
use std::sync::OnceLock;

use log::Level;

#[cfg(not(unix))]
use elsewhere as platform;
#[cfg(unix)]
use unix as platform;

pub use platform::{Notifier, passed_sockets};

/// The sockets that were passed, at least one.
#[derive(Debug)]
pub struct Passed {
    /// The one that listens for TCP.
    pub tcp: Option<TcpListener>,
    /// The one for UDP.
    pub udp: Option<UdpSocket>,
}

/// What a line on stderr begins with, so that the journal knows how much it matters: nothing where stderr is not the
/// journal.
pub fn priority(level: Level) -> &'static str {
    static IS_JOURNAL: OnceLock<bool> = OnceLock::new();
    if !IS_JOURNAL.get_or_init(platform::stderr_is_journal) {
        return "";
    }
    match level {
        Level::Error => "<3>",
        Level::Warn => "<4>",
        Level::Info => "<6>",
        Level::Debug | Level::Trace => "<7>",
    }
}

#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
mod elsewhere;
