//! The words of `--find-size`.

use std::time::Duration;

use super::ending_wait;
use crate::client::find_size;
use crate::client::origin::Origin;
use crate::error::Error;
use crate::wire::{Framing, Protocol};

/// Whether it is a number of bytes, and no host.
pub(super) fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// What they ask for.
///
/// # Errors
/// It cannot be asked so; what can.
pub(super) fn settings(
    most: Option<&str>,
    protocol: Protocol,
    framing: Framing,
    origin: Origin,
    timeout: Option<Duration>,
) -> Result<find_size::Settings, Error> {
    let longest = match (protocol, framing) {
        (Protocol::Tcp, Framing::Bytes) => {
            let what =
                "--find-size over TCP needs messages that have an end: give --framing lines on both sides, or -u";
            return Err(Error::Usage(what.to_owned()));
        }
        (Protocol::Tcp, _) => find_size::LONGEST,
        (Protocol::Udp, _) if cfg!(target_os = "linux") => find_size::LONGEST_OF_V6,
        (Protocol::Udp, _) => {
            let what = "--find-size over UDP needs Linux, which sets the don't-fragment bit: elsewhere it asks over \
                        TCP, with --framing lines on both sides";
            return Err(Error::Usage(what.to_owned()));
        }
    };
    let refused = |what: String| Err(Error::Usage(what));
    let most = match most.map(|most| (most, most.parse())) {
        None => None,
        Some((_, Ok(most))) if (1..=longest).contains(&most) => Some(most),
        Some((most, _)) => {
            return refused(format!("--find-size {most}: give a number of bytes from 1 to {longest}"));
        }
    };
    let timeout = ending_wait("--find-size", timeout)?;
    Ok(find_size::Settings { protocol, framing, origin, most, timeout })
}
