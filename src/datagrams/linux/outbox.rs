//! Answers out: one `sendmmsg` for each address of ours.
//!
//! Several answers in a row to one peer travel as one message that the kernel cuts into datagrams at the last moment
//! (`UDP_SEGMENT`): the way down the network stack, which is most of what a datagram costs, is then paid once.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, getsockopt, sendmmsg, sendto, sockopt};

use super::super::{Local, PATIENCE, Sent};
use super::BATCH;
use super::address::{Address, anywhere};
use super::group::{Content, Copied, Group, MERGED, Shared};
use crate::mtu::Whole;

/// The longest answer that is merged: it needs no fragments on any path, and `MERGED` of it fit one message.
const MERGEABLE: usize = 1200;

/// The answers to one batch.
pub(super) struct BatchOut<S> {
    shared: Vec<Group<S, Shared>>,
    copied: Vec<Group<S, Copied>>,
    /// Those that nobody on the way may cut into fragments.
    whole: Vec<Group<S, Copied>>,
    sender: Sender<S>,
    merges: bool,
    queued: usize,
}

impl<S: Address> BatchOut<S> {
    pub(super) fn new(socket: &UdpSocket, packet_info: bool) -> Self {
        Self {
            shared: Vec::new(),
            copied: Vec::new(),
            whole: Vec::new(),
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
        let group = Group::find(&mut self.shared, local, |content| content.0 == bytes);
        group.content = Shared(bytes);
        group.push(peer, mergeable);
        self.queued += 1;
        true
    }

    pub(super) fn push_copy(&mut self, peer: SocketAddr, local: Local, bytes: &[u8]) -> bool {
        let Some(peer) = S::of(peer) else {
            return false;
        };
        let group = Group::find(&mut self.copied, local, |_| true);
        group.content.push(bytes);
        group.push(peer, false);
        self.queued += 1;
        true
    }

    pub(super) fn push_whole(&mut self, peer: SocketAddr, local: Local, bytes: &[u8], length: usize) -> bool {
        let Some(peer) = S::of(peer) else {
            return false;
        };
        let group = Group::find(&mut self.whole, local, |_| true);
        group.content.push_long(bytes, length);
        group.push(peer, false);
        self.queued += 1;
        true
    }

    /// Sends what the system takes and drops the rest.
    pub(super) fn flush(&mut self, fd: BorrowedFd<'_>, mut failed: impl FnMut(SocketAddr, io::Error)) -> Sent {
        let socket = fd.as_raw_fd();
        let mut flush = Flush { socket, queued: self.queued, sent: 0, patience: PATIENCE, is_full: false };
        // First those that may say when they left.
        for group in &mut self.copied {
            flush.send(&mut self.sender, group, &mut failed);
        }
        if self.whole.iter().any(|group| !group.peers.is_empty()) {
            // In pieces it would say that a path takes what it does not: then it had better not leave.
            match Whole::only(fd) {
                Ok(_until_then) => {
                    for group in &mut self.whole {
                        flush.send(&mut self.sender, group, &mut failed);
                    }
                }
                Err(_) => self.whole.iter_mut().for_each(Group::clear),
            }
        }
        for group in &mut self.shared {
            self.merges &= flush.send(&mut self.sender, group, &mut failed);
        }
        self.queued = 0;
        Sent { sent: flush.sent, dropped: flush.queued }
    }
}

/// How far a flush has come.
struct Flush {
    socket: RawFd,
    queued: usize,
    sent: usize,
    patience: usize,
    is_full: bool,
}

impl Flush {
    /// Sends and clears a group; false where it turned out that the way out cannot cut messages into answers.
    fn send<S: Address, C: Content>(
        &mut self,
        sender: &mut Sender<S>,
        group: &mut Group<S, C>,
        failed: &mut impl FnMut(SocketAddr, io::Error),
    ) -> bool {
        let mut done = 0;
        let mut merges = true;
        while let Some(&peer) = group.peers.get(done)
            && !self.is_full
        {
            let mut outcome = sender.send(self.socket, group, done, group.local, BATCH);
            // A mapped broadcast address is none to leave from, and known for one by that alone. The others keep theirs.
            if let (Err(Errno::ENETUNREACH | Errno::EINVAL), Some(local)) = (outcome, anywhere(group.local)) {
                outcome = sender.send(self.socket, group, done, local, 1);
            }
            match outcome {
                Ok(0) | Err(Errno::EAGAIN) => self.is_full = true,
                Ok(messages) => {
                    let answers = group.counts[done..done + messages].iter().sum::<usize>();
                    self.queued -= answers;
                    self.sent += answers;
                    done += messages;
                }
                Err(Errno::EINTR) if self.patience > 0 => self.patience -= 1,
                // The way out may not know how to cut: that is no failure of the peer's.
                Err(error) if group.split(done) => merges &= error != Errno::EIO,
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
        group.clear();
        merges
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

    /// Sends the batch of `group` at `start`, at `most` so many messages, from `local` and returns how many left; an error is
    /// the first one's.
    fn send<C: Content>(
        &mut self,
        socket: RawFd,
        group: &Group<S, C>,
        start: usize,
        local: Local,
        most: usize,
    ) -> nix::Result<usize> {
        let end = group.peers.len().min(start + most);
        let (peers, counts) = (&group.peers[start..end], &group.counts[start..end]);
        // One answer alone is the common case of a quiet server, and cheaper this way.
        if let ([Some(peer)], [1], false) = (peers, counts, self.packet_info) {
            return sendto(socket, group.content.answer(start), peer, MsgFlags::empty()).map(|_| 1);
        }
        let mut slices = [IoSlice::new(&[]); MERGED];
        let messages = group.content.messages(start, counts, &mut slices);
        let merges = counts.iter().take(BATCH).any(|&count| count > 1);

        let info = S::packet_info(local);
        let length = u16::try_from(group.content.answer(start).len()).unwrap_or(u16::MAX);
        let controls = [ControlMessage::UdpGsoSegments(&length), S::control(&info)];
        let controls = &controls[usize::from(!merges)..1 + usize::from(self.packet_info)];
        let headers = if merges { &mut self.merged } else { &mut self.plain };
        sendmmsg(socket, headers, &messages, peers, controls, MsgFlags::empty()).map(Iterator::count)
    }
}

impl<S> fmt::Debug for BatchOut<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchOut").field("queued", &self.queued).finish_non_exhaustive()
    }
}
