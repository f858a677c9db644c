//! The answer of a search for the largest message.

use std::net::{IpAddr, SocketAddr};

use super::count;
use crate::transcript::address::Address;
use crate::transcript::json::Object;
use crate::transcript::{Stamp, push, push_line};

/// How big a message may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    /// Over UDP.
    Datagrams {
        /// The largest that is answered.
        answered: usize,
        /// What the path takes in one piece, headers included, where that is the limit.
        path_mtu: Option<usize>,
        /// What keeps larger ones from it.
        limit: Limit,
        /// Whether one of this size passes in fragments, where that was tried.
        fragments: Option<(usize, bool)>,
    },
    /// Over TCP: one byte is acknowledged.
    Stream {
        /// The long message, ...
        most: usize,
        /// ... and whether that one never was.
        stalls: bool,
        /// The bytes in a segment, as the system sees them.
        segment: Option<u32>,
        /// What the path takes in one piece, as the system sees it.
        path_mtu: Option<u32>,
    },
}

/// What keeps larger datagrams from being answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// There are none.
    Longest,
    /// No larger ones were asked for.
    Asked,
    /// They are too long for the interface that they would leave by.
    Interface,
    /// Routers say that they are too long: who, as far as that is told, and what they take.
    Told(Vec<(Option<IpAddr>, u32)>),
    /// Nobody says. They vanish on this way, where that is known.
    Vanish(Option<Leg>),
}

/// A way between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// To the server.
    There,
    /// To the client.
    Back,
}

impl Size {
    pub(super) fn text(&self, peer: SocketAddr, out: &mut String) {
        let peer = Address::new(peer);
        match self {
            Size::Datagrams { answered, path_mtu, limit, fragments } => {
                push!(out, "udp {peer} answers up to {}", bytes(*answered));
                if let Some(mtu) = path_mtu {
                    push!(out, " (path MTU {mtu})");
                }
                out.push_str(": ");
                limit.text(out);
                if let Some((size, pass)) = fragments {
                    let pass = if *pass { "pass" } else { "do not" };
                    push!(out, "; fragmented ones up to {} {pass}", bytes(*size));
                }
                out.push('\n');
            }
            Size::Stream { most, stalls, segment, path_mtu } => {
                push!(out, "tcp {peer}: 1 byte acknowledged");
                if *most > 1 {
                    push!(out, ", {} {}", bytes(*most), if *stalls { "stalls" } else { "acknowledged" });
                }
                match (segment, path_mtu) {
                    (Some(segment), Some(mtu)) => push_line!(out, " (segments of {segment} bytes, path MTU {mtu})"),
                    (Some(segment), None) => push_line!(out, " (segments of {segment} bytes)"),
                    (None, _) => out.push('\n'),
                }
            }
        }
    }

    pub(super) fn json(&self, peer: SocketAddr, stamp: &Stamp, out: &mut String) {
        let object = Object::event(out, stamp, "size");
        match self {
            Size::Datagrams { answered, path_mtu, limit, fragments } => {
                let object = object.string("protocol", "udp").address("address", peer).value("answered", answered);
                let object = count(object, "path_mtu", path_mtu.map(|mtu| mtu as u64));
                let told_by = match limit {
                    Limit::Told(told) => told.iter().find_map(|(by, _)| *by),
                    _ => None,
                };
                let object = match told_by {
                    Some(router) => object.string("told_by", &router.to_string()),
                    None => object.value("told_by", "null"),
                };
                match fragments {
                    Some((_, pass)) => object.value("fragments_pass", pass).end_line(),
                    None => object.value("fragments_pass", "null").end_line(),
                }
            }
            Size::Stream { most, stalls, segment, path_mtu } => {
                let answered = if *stalls { 1 } else { *most };
                let object = object.string("protocol", "tcp").address("address", peer).value("answered", answered);
                let object = count(object, "path_mtu", path_mtu.map(u64::from));
                let object = object.value("told_by", "null").value("fragments_pass", "null");
                count(object, "segment_bytes", segment.map(u64::from)).end_line();
            }
        }
    }
}

impl Limit {
    fn text(&self, out: &mut String) {
        match self {
            Limit::Longest => out.push_str("no datagram is longer"),
            Limit::Asked => out.push_str("larger ones were not asked for"),
            Limit::Interface => out.push_str("the interface here takes no larger ones"),
            Limit::Told(told) => {
                out.push_str("told by ");
                for (index, (router, mtu)) in told.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    match router {
                        Some(router) => push!(out, "{router} (MTU {mtu})"),
                        None => push!(out, "a router (MTU {mtu})"),
                    }
                }
            }
            Limit::Vanish(None) => out.push_str("larger ones vanish"),
            Limit::Vanish(Some(Leg::There)) => out.push_str("larger ones vanish on the way there"),
            Limit::Vanish(Some(Leg::Back)) => out.push_str("larger ones vanish on the way back"),
        }
    }
}

fn bytes(count: usize) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") }
}
