//! `--find-size`: how big may a message be?
//!
//! Small messages pass nearly everywhere, and that is what most instruments send. Where a link on the way takes less
//! than the others and nobody says so, larger ones vanish: connections stand and then stall.
//!
//! | room | what it does |
//! |---|---|
//! | `search` | what passed and what failed in, the next size to ask for out |
//! | `sent` | which probe was how long, and what its answer tells |
//! | `datagrams` | asks over UDP, with the don't-fragment bit |
//! | `hearing` | what comes back: answers, and the network's words |
//! | `finding` | what the answers, the network and the silence come to |
//! | `stream` | asks over TCP: a message of one byte, and a long one |

mod datagrams;
mod finding;
mod hearing;
mod search;
mod sent;
mod stream;

use std::net::SocketAddr;
use std::time::Duration;

use self::datagrams::Datagrams;
use self::stream::Stream;
use super::origin::Origin;
use super::stage::Stage;
use crate::error::Error;
use crate::wire::{Framing, LONGEST_MESSAGE, Protocol};

/// Messages longer than that are not asked for over TCP.
pub const LONGEST: usize = 16 << 20;
/// No datagram is longer: IPv6 does not count its own header.
pub const LONGEST_OF_V6: usize = 65_527;
/// What a size is asked for before it counts as failed.
const TRIES: u32 = 3;

/// What the command line asks of the search.
#[derive(Clone, Debug)]
pub struct Settings {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// How TCP streams are cut into messages.
    pub framing: Framing,
    /// Where the sockets leave from, and how they are marked.
    pub origin: Origin,
    /// The largest size that is tried, if not the largest there is.
    pub most: Option<usize>,
    /// How long to wait for one answer.
    pub timeout: Duration,
}

/// Searches on the path to the first of `addresses` that answers. Returns the exit code.
///
/// # Errors
/// The poll keeps failing.
pub fn run(stage: Stage, settings: Settings, addresses: Vec<SocketAddr>) -> Result<u8, Error> {
    match settings.protocol {
        Protocol::Udp => Datagrams::new(stage, settings, addresses).run(),
        Protocol::Tcp => {
            let most = settings.most.unwrap_or(LONGEST_MESSAGE);
            Stream::new(stage, settings, most, addresses).run()
        }
    }
}
