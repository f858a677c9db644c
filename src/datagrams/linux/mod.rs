//! Batches on Linux: one `recvmmsg` in, one `sendmmsg` for each address of ours out.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::{SockaddrIn, SockaddrIn6, setsockopt, sockopt};

use super::{Datagram, Local, Received, Sent};
use address::Address;
use inbox::BatchIn;
use outbox::BatchOut;

mod address;
mod drops;
mod group;
mod inbox;
mod outbox;

/// Messages a system call.
pub(super) const BATCH: usize = 32;

/// Raises the buffers over the system's limits where we are privileged to.
pub(super) fn force_buffers(socket: &UdpSocket, receive: Option<usize>, send: Option<usize>) {
    if let Some(bytes) = receive {
        let _ = setsockopt(socket, sockopt::RcvBufForce, &bytes);
    }
    if let Some(bytes) = send {
        let _ = setsockopt(socket, sockopt::SndBufForce, &bytes);
    }
}

/// The batches of one socket, in the form its address family has.
#[derive(Debug)]
pub(super) enum Batches {
    V4(Family<SockaddrIn>),
    V6(Family<SockaddrIn6>),
}

/// Both ways of one address family.
#[derive(Debug)]
pub(super) struct Family<S> {
    inbox: BatchIn<S>,
    outbox: BatchOut<S>,
}

impl<S: Address> Family<S> {
    fn new(socket: &UdpSocket, bound: SocketAddr, packet_info: bool) -> Self {
        Self { inbox: BatchIn::new(bound.ip(), packet_info), outbox: BatchOut::new(socket, packet_info) }
    }
}

impl Batches {
    pub(super) fn new(socket: &UdpSocket, bound: SocketAddr) -> io::Result<Self> {
        let wildcard = bound.ip().to_canonical().is_unspecified();
        Ok(if bound.is_ipv4() {
            setsockopt(socket, sockopt::Ipv4PacketInfo, &wildcard)?;
            Self::V4(Family::new(socket, bound, wildcard))
        } else {
            setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &wildcard)?;
            Self::V6(Family::new(socket, bound, wildcard))
        })
    }

    /// Has the kernel tell when each datagram came.
    pub(super) fn tell_times(&mut self, socket: &impl AsFd) -> io::Result<()> {
        setsockopt(socket, sockopt::ReceiveTimestampns, &true)?;
        match self {
            Self::V4(family) => family.inbox.make_room_for_times(),
            Self::V6(family) => family.inbox.make_room_for_times(),
        }
        Ok(())
    }

    /// How many datagrams the kernel has dropped.
    #[expect(clippy::unused_self, reason = "it is the socket's, whatever the family")]
    pub(super) fn dropped(&self, socket: &impl AsFd) -> Option<u64> {
        drops::of(socket)
    }

    pub(super) fn receive(&mut self, socket: &impl AsRawFd) -> io::Result<Received> {
        match self {
            Self::V4(family) => family.inbox.receive(socket.as_raw_fd()),
            Self::V6(family) => family.inbox.receive(socket.as_raw_fd()),
        }
    }

    pub(super) fn next(&mut self) -> Option<Datagram<'_>> {
        match self {
            Self::V4(family) => family.inbox.next(),
            Self::V6(family) => family.inbox.next(),
        }
    }

    pub(super) fn push(&mut self, peer: SocketAddr, local: Local, bytes: &'static [u8]) -> bool {
        match self {
            Self::V4(family) => family.outbox.push(peer, local, bytes),
            Self::V6(family) => family.outbox.push(peer, local, bytes),
        }
    }

    pub(super) fn push_copy(&mut self, peer: SocketAddr, local: Local, bytes: &[u8]) -> bool {
        match self {
            Self::V4(family) => family.outbox.push_copy(peer, local, bytes),
            Self::V6(family) => family.outbox.push_copy(peer, local, bytes),
        }
    }

    pub(super) fn flush(&mut self, socket: &impl AsRawFd, failed: impl FnMut(SocketAddr, io::Error)) -> Sent {
        match self {
            Self::V4(family) => family.outbox.flush(socket.as_raw_fd(), failed),
            Self::V6(family) => family.outbox.flush(socket.as_raw_fd(), failed),
        }
    }

    pub(super) fn queued(&self) -> usize {
        match self {
            Self::V4(family) => family.outbox.queued(),
            Self::V6(family) => family.outbox.queued(),
        }
    }
}
