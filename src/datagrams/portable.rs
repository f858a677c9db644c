//! Batches where the system has none: one datagram at a time.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};

use super::connected::News;
use super::{Datagram, Local, PATIENCE, Received, Sent};

/// Datagrams a system call.
pub(super) const BATCH: usize = 1;

/// Room for the longest datagram.
const BUFFER: usize = 65_536;

#[derive(Debug)]
pub(super) struct Batches {
    bound: Local,
    buffer: Vec<u8>,
    arrived: Option<(usize, SocketAddr)>,
    outbox: VecDeque<(SocketAddr, Cow<'static, [u8]>)>,
}

impl Batches {
    #[expect(clippy::unnecessary_wraps, reason = "Linux has options to set here")]
    pub(super) fn new(_: &UdpSocket, bound: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            bound: Local { ip: bound.ip(), interface: 0 },
            buffer: vec![0; BUFFER],
            arrived: None,
            outbox: VecDeque::new(),
        })
    }

    /// Nothing that the three systems have in common tells when a datagram came.
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "Linux has an option to set here")]
    pub(super) fn tell_times(&mut self, _: &mio::net::UdpSocket) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn receive(&mut self, socket: &mio::net::UdpSocket) -> io::Result<Received> {
        self.arrived = None;
        self.arrived = Some(socket.recv_from(&mut self.buffer)?);
        Ok(Received::More)
    }

    pub(super) fn next(&mut self) -> Option<Datagram<'_>> {
        let (length, peer) = self.arrived.take()?;
        Some(Datagram { peer, local: self.bound, bytes: self.buffer.get(..length)?, received: None })
    }

    pub(super) fn push(&mut self, peer: SocketAddr, _: Local, bytes: &'static [u8]) -> bool {
        self.outbox.push_back((peer, Cow::Borrowed(bytes)));
        true
    }

    pub(super) fn push_copy(&mut self, peer: SocketAddr, _: Local, bytes: &[u8]) -> bool {
        self.outbox.push_back((peer, Cow::Owned(bytes.to_vec())));
        true
    }

    /// Nothing that the three systems have in common keeps it whole.
    pub(super) fn push_whole(&mut self, peer: SocketAddr, local: Local, bytes: &[u8], _: usize) -> bool {
        self.push_copy(peer, local, bytes)
    }

    pub(super) fn flush(
        &mut self,
        socket: &mio::net::UdpSocket,
        mut failed: impl FnMut(SocketAddr, io::Error),
    ) -> Sent {
        let mut sent = 0;
        let mut patience = PATIENCE;
        while let Some((peer, bytes)) = self.outbox.front() {
            match socket.send_to(bytes, *peer) {
                Ok(_) => sent += 1,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted && patience > 0 => {
                    patience -= 1;
                    continue;
                }
                Err(error) => failed(*peer, error),
            }
            self.outbox.pop_front();
        }
        let dropped = self.outbox.len();
        self.outbox.clear();
        Sent { sent, dropped }
    }

    pub(super) fn queued(&self) -> usize {
        self.outbox.len()
    }
}

/// Nothing tells when a datagram came.
#[expect(clippy::unnecessary_wraps, reason = "Linux has an option to set here")]
pub(super) fn tell_times(_: &mio::net::UdpSocket) -> io::Result<()> {
    Ok(())
}

/// What the system says of a connected socket, in one word on all systems: Windows calls a port that nobody listens on
/// reset.
pub(super) fn named(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::ConnectionReset => io::ErrorKind::ConnectionRefused.into(),
        _ => error,
    }
}

/// Nothing that the three systems have in common tells what they dropped.
pub(super) fn dropped(_: &mio::net::UdpSocket) -> Option<u64> {
    None
}

/// What came by a connected socket.
#[derive(Debug)]
pub(super) struct Answers {
    buffer: Vec<u8>,
    arrived: Option<usize>,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; BUFFER], arrived: None }
    }

    pub(super) fn receive(&mut self, socket: &mio::net::UdpSocket) -> io::Result<Received> {
        self.arrived = None;
        self.arrived = Some(socket.recv(&mut self.buffer)?);
        Ok(Received::More)
    }

    pub(super) fn receive_one(&mut self, socket: &mio::net::UdpSocket) -> io::Result<Received> {
        self.receive(socket)
    }

    pub(super) fn next(&mut self) -> Option<(&[u8], Option<u64>)> {
        Some((self.buffer.get(..self.arrived.take()?)?, None))
    }

    pub(super) fn left(&self) -> usize {
        usize::from(self.arrived.is_some())
    }
}

/// There is nothing to keep it in: a call's own error is all there is.
pub(super) fn keep_news(_: &mio::net::UdpSocket) -> bool {
    false
}

/// There never is any.
pub(super) fn next_news(_: &mio::net::UdpSocket) -> News {
    News::Nothing
}
