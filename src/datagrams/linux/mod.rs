//! Batches on Linux: one `recvmmsg` in, one `sendmmsg` for each address of ours out.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::{SockaddrIn, SockaddrIn6, setsockopt, sockopt};

use super::{Datagram, Local, Received, Sent};
use address::Address;
use inbox::{Arrival, BatchIn};
use outbox::BatchOut;

mod address;
mod drops;
mod group;
mod inbox;
mod news;
mod outbox;

pub(super) use news::{keep_news, next_news};

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

/// Has the kernel tell when each datagram came.
pub(super) fn tell_times(socket: &impl AsFd) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::ReceiveTimestampns, &true)?)
}

/// What the system says of a connected socket stands as it is.
pub(super) fn named(error: io::Error) -> io::Error {
    error
}

/// How many datagrams the kernel has dropped at a socket, where it tells.
pub(super) fn dropped(socket: &impl AsFd) -> Option<u64> {
    drops::of(socket)
}

/// What came by a connected socket, with its times.
#[derive(Debug)]
pub(super) struct Answers(BatchIn<()>);

impl Answers {
    pub(super) fn new() -> Self {
        let mut inbox = BatchIn::new(Ipv4Addr::UNSPECIFIED.into(), false);
        inbox.make_room_for_times();
        Self(inbox)
    }

    pub(super) fn receive(&mut self, socket: &impl AsRawFd) -> io::Result<Received> {
        self.0.receive(socket.as_raw_fd())
    }

    pub(super) fn receive_one(&mut self, socket: &impl AsRawFd) -> io::Result<Received> {
        self.0.receive_one(socket.as_raw_fd()).map(|()| Received::More)
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<(&[u8], Option<u64>)> {
        self.0.next().map(|(arrival, bytes)| (bytes, arrival.received))
    }

    pub(super) fn left(&self) -> usize {
        self.0.left()
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

    fn next(&mut self) -> Option<Datagram<'_>> {
        let (&Arrival { peer, local, received, .. }, bytes) = self.inbox.next()?;
        Some(Datagram { peer: peer.into(), local, bytes, received })
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
        tell_times(socket)?;
        match self {
            Self::V4(family) => family.inbox.make_room_for_times(),
            Self::V6(family) => family.inbox.make_room_for_times(),
        }
        Ok(())
    }

    pub(super) fn receive(&mut self, socket: &impl AsRawFd) -> io::Result<Received> {
        match self {
            Self::V4(family) => family.inbox.receive(socket.as_raw_fd()),
            Self::V6(family) => family.inbox.receive(socket.as_raw_fd()),
        }
    }

    pub(super) fn next(&mut self) -> Option<Datagram<'_>> {
        match self {
            Self::V4(family) => family.next(),
            Self::V6(family) => family.next(),
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

    pub(super) fn push_whole(&mut self, peer: SocketAddr, local: Local, bytes: &[u8], length: usize) -> bool {
        match self {
            Self::V4(family) => family.outbox.push_whole(peer, local, bytes, length),
            Self::V6(family) => family.outbox.push_whole(peer, local, bytes, length),
        }
    }

    pub(super) fn flush(&mut self, socket: &impl AsFd, failed: impl FnMut(SocketAddr, io::Error)) -> Sent {
        match self {
            Self::V4(family) => family.outbox.flush(socket.as_fd(), failed),
            Self::V6(family) => family.outbox.flush(socket.as_fd(), failed),
        }
    }

    pub(super) fn queued(&self) -> usize {
        match self {
            Self::V4(family) => family.outbox.queued(),
            Self::V6(family) => family.outbox.queued(),
        }
    }
}
