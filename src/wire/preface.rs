//! The PROXY header with which a proxy begins a connection: who the client behind it is.
//!
//! Both versions of the [PROXY protocol](https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt), of which the
//! crate `proxy-header` reads the addresses. What it leaves open is decided here, so that a header means the same
//! however it was cut on its way: where it ends, how long it may be, and that nothing is decided before that is known.

use std::fmt;
use std::net::SocketAddr;

use proxy_header::{ParseConfig, Protocol, ProxiedAddress, ProxyHeader};

/// The longest header that is read, with all that it says beside the addresses.
pub const LONGEST_PREFACE: usize = 4096;
/// What the protocol allows a line of version 1, its end included.
const LONGEST_LINE: usize = 107;
const VERSION_1: &[u8] = b"PROXY ";
const VERSION_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2 up to where the length of the rest is known.
const FIXED: usize = 16;

/// A whole header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preface {
    /// The client; `None` where the proxy speaks for itself (LOCAL) or does not know (UNKNOWN).
    pub client: Option<SocketAddr>,
    /// How many bytes it has. What follows is the first message's.
    pub len: usize,
}

/// Why a connection does not begin with a header that can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It begins otherwise.
    Absent,
    /// It begins like one and goes on otherwise.
    Malformed,
    /// It is longer than is read.
    TooLong,
    /// It names a client that did not come by TCP over IP.
    OtherFamily,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::Absent => "there is no PROXY header",
            Flaw::Malformed => "the PROXY header is malformed",
            Flaw::TooLong => "the PROXY header is too long",
            Flaw::OtherFamily => "the PROXY header names no client by TCP over IP",
        })
    }
}

impl Preface {
    /// The header at the beginning of `bytes`, which are all that have come so far. `None` where more is needed to tell:
    /// never for [`LONGEST_PREFACE`] bytes.
    ///
    /// # Errors
    /// Whatever may follow, this is no header.
    pub fn parse(bytes: &[u8]) -> Result<Option<Preface>, Flaw> {
        if agrees(bytes, VERSION_1) {
            line(bytes)
        } else if agrees(bytes, VERSION_2) {
            binary(bytes)
        } else {
            Err(Flaw::Absent)
        }
    }
}

/// Whether what has come is the beginning of `magic`, or begins with it.
fn agrees(bytes: &[u8], magic: &[u8]) -> bool {
    bytes.iter().zip(magic).all(|(byte, wanted)| byte == wanted)
}

fn line(bytes: &[u8]) -> Result<Option<Preface>, Flaw> {
    let window = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
        return if window.len() < LONGEST_LINE { Ok(None) } else { Err(Flaw::TooLong) };
    };
    let line = &window[..=end];
    let client = decode(line)?.map(|addresses| addresses.source);
    // The standard library takes `+25` for a number.
    match client.is_some() && line.contains(&b'+') {
        true => Err(Flaw::Malformed),
        false => Ok(Some(Preface { client, len: line.len() })),
    }
}

fn binary(bytes: &[u8]) -> Result<Option<Preface>, Flaw> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(None);
    };
    let [.., command, family, high, low] = *fixed;
    let rest_len = usize::from(u16::from_be_bytes([high, low]));
    let len = FIXED + rest_len;
    // What it names, where it names somebody: a LOCAL one's family means nothing.
    let names = match (command, family) {
        (0x20, _) | (0x21, 0x00) => false,
        (0x21, 0x11 | 0x21) => true,
        (0x21, _) => return Err(Flaw::OtherFamily),
        _ => return Err(Flaw::Malformed),
    };
    if len > LONGEST_PREFACE {
        return Err(Flaw::TooLong);
    }
    if rest.len() < rest_len {
        return Ok(None);
    }
    let addresses = if names { decode(&bytes[..len])? } else { None };
    match addresses {
        Some(ProxiedAddress { protocol: Protocol::Datagram, .. }) => Err(Flaw::OtherFamily),
        addresses => Ok(Some(Preface { client: addresses.map(|addresses| addresses.source), len })),
    }
}

/// The addresses in a header that is exactly these bytes.
fn decode(whole: &[u8]) -> Result<Option<ProxiedAddress>, Flaw> {
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    match ProxyHeader::parse(whole, config) {
        Ok((header, len)) if len == whole.len() => Ok(header.proxied_address().cloned()),
        // A whole header that asks for more is none.
        _ => Err(Flaw::Malformed),
    }
}

#[cfg(test)]
mod tests;
