//! Answers out: one `sendmmsg` for each address of ours.
//!
//! Several answers in a row to one peer travel as one message that the kernel cuts into datagrams at the last moment
//! (`UDP_SEGMENT`): the way down the network stack, which is most of what a datagram costs, is then paid once.

use std::array;
use std::fmt;
use std::io::{self, IoSlice};
use std::iter;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, getsockopt, sendmmsg, sendto, sockopt};

use super::super::{Local, PATIENCE, Sent};
use super::BATCH;
use super::address::Address;

/// The most answers in one message; kernels allow 64.
const MERGED: usize = BATCH;

/// The longest answer that is merged: it needs no fragments on any path, and `MERGED` of it fit one message.
const MERGEABLE: usize = 1200;

/// The answers to one batch.
pub(super) struct Outbox<S> {
    groups: Vec<Group<S>>,
    sender: Sender<S>,
    merges: bool,
    queued: usize,
}

/// Messages of one content from one address: what a system call's messages share.
struct Group<S> {
    local: Local,
    bytes: &'static [u8],
    peers: Vec<Option<S>>,
    /// How many answers the message to each peer holds, at least one.
    counts: Vec<usize>,
}

impl<S: Address> Outbox<S> {
    pub(super) fn new(socket: &UdpSocket, packet_info: bool) -> Self {
        Self {
            groups: Vec::new(),
            sender: Sender::new(packet_info),
            // A kernel that does not know the option would send one long datagram.
            merges: getsockopt(socket, sockopt::UdpGsoSegment).is_ok(),
            queued: 0,
        }
    }

    /// The answers that wait.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    pub(super) fn push(&mut self, peer: SocketAddr, local: Local, bytes: &'static [u8]) -> bool {
        let Some(peer) = S::of(peer) else {
            return false;
        };
        let mergeable = self.merges && (1..=MERGEABLE).contains(&bytes.len());
        self.group(local, bytes).push(peer, mergeable);
        self.queued += 1;
        true
    }

    /// The group that fits: its own, an empty one to use again, or a new one.
    fn group(&mut self, local: Local, bytes: &'static [u8]) -> &mut Group<S> {
        let groups = &self.groups;
        let own = groups.iter().position(|group| group.local == local && group.bytes == bytes);
        let free = || groups.iter().position(|group| group.peers.is_empty());
        let index = own.or_else(free).unwrap_or_else(|| {
            self.groups.push(Group { local, bytes, peers: Vec::new(), counts: Vec::new() });
            self.groups.len() - 1
        });
        let group = &mut self.groups[index];
        (group.local, group.bytes) = (local, bytes);
        group
    }

    /// Sends what the system takes and drops the rest.
    pub(super) fn flush(&mut self, socket: RawFd, mut failed: impl FnMut(SocketAddr, io::Error)) -> Sent {
        let mut sent = 0;
        let mut patience = PATIENCE;
        let mut is_full = false;
        for group in &mut self.groups {
            let mut done = 0;
            while let Some(&peer) = group.peers.get(done)
                && !is_full
            {
                match self.sender.send(socket, group, done) {
                    Ok(0) | Err(Errno::EAGAIN) => is_full = true,
                    Ok(messages) => {
                        let answers = group.counts[done..done + messages].iter().sum::<usize>();
                        self.queued -= answers;
                        sent += answers;
                        done += messages;
                    }
                    Err(Errno::EINTR) if patience > 0 => patience -= 1,
                    // The way out may not know how to cut: that is no failure of the peer's.
                    Err(error) if group.split(done) => self.merges &= error != Errno::EIO,
                    // A batch that stops short gives no reason: the next one, which begins with the culprit, does.
                    Err(error) => {
                        self.queued -= 1;
                        done += 1;
                        if let Some(peer) = peer {
                            failed(peer.into(), error.into());
                        }
                    }
                }
            }
            group.peers.clear();
            group.counts.clear();
        }
        Sent { sent, dropped: std::mem::take(&mut self.queued) }
    }
}

impl<S: Address> Group<S> {
    fn push(&mut self, peer: S, mergeable: bool) {
        match self.counts.last_mut() {
            Some(count) if mergeable && *count < MERGED && self.peers.last() == Some(&Some(peer)) => {
                *count += 1;
            }
            _ => {
                self.peers.push(Some(peer));
                self.counts.push(1);
            }
        }
    }

    /// Makes the messages of the batch at `start` one answer each; false where they were.
    fn split(&mut self, start: usize) -> bool {
        let end = self.counts.len().min(start + BATCH);
        if self.counts[start..end].iter().all(|&count| count == 1) {
            return false;
        }
        let peers: Vec<_> = iter::zip(&self.peers[start..end], &self.counts[start..end])
            .flat_map(|(&peer, &count)| iter::repeat_n(peer, count))
            .collect();
        self.counts.splice(start..end, iter::repeat_n(1, peers.len()));
        self.peers.splice(start..end, peers);
        true
    }
}

/// The headers of the system call, one set for each set of control messages: nix sends all the room there is for them.
struct Sender<S> {
    packet_info: bool,
    plain: MultiHeaders<S>,
    merged: MultiHeaders<S>,
}

impl<S: Address> Sender<S> {
    fn new(packet_info: bool) -> Self {
        let address = || {
            if packet_info { S::control_space() } else { Vec::new() }
        };
        let merged = [address(), nix::cmsg_space!(u16)].concat();
        Self {
            packet_info,
            plain: MultiHeaders::preallocate(BATCH, packet_info.then(address)),
            merged: MultiHeaders::preallocate(BATCH, Some(merged)),
        }
    }

    /// Sends the batch of `group` at `start` and returns how many messages left; an error is the first one's.
    fn send(&mut self, socket: RawFd, group: &Group<S>, start: usize) -> nix::Result<usize> {
        let (peers, counts) = (&group.peers[start..], &group.counts[start..]);
        // One answer alone is the common case of a quiet server, and cheaper this way.
        if let ([Some(peer)], [1], false) = (peers, counts, self.packet_info) {
            return sendto(socket, group.bytes, peer, MsgFlags::empty()).map(|_| 1);
        }
        let copies = [IoSlice::new(group.bytes); MERGED];
        let mut counted = counts.iter();
        let messages: [_; BATCH] = array::from_fn(|_| &copies[..counted.next().map_or(1, |&count| count)]);
        let merges = counts.iter().take(BATCH).any(|&count| count > 1);

        let info = S::packet_info(group.local);
        let length = u16::try_from(group.bytes.len()).unwrap_or(u16::MAX);
        let controls = [ControlMessage::UdpGsoSegments(&length), S::control(&info)];
        let controls = &controls[usize::from(!merges)..1 + usize::from(self.packet_info)];
        let headers = if merges { &mut self.merged } else { &mut self.plain };
        sendmmsg(socket, headers, &messages, peers, controls, MsgFlags::empty()).map(Iterator::count)
    }
}

impl<S> fmt::Debug for Outbox<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("queued", &self.queued).finish_non_exhaustive()
    }
}
