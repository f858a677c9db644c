//! UDP sockets: the server's here, the client's as [`Connected`].
//!
//! The server's takes batches of datagrams in, and its answers leave from the address that was asked. A batch is a [`receive`](Datagrams::receive), then [`next`](Datagrams::next) and [`reply`](Datagrams::reply) for each
//! datagram, and a [`flush`](Datagrams::flush). Nothing ever waits to be sent: what the system has no room for is
//! dropped, since a socket that waited for one peer would be deaf to all. On Linux a batch is one `recvmmsg` and its answers one
//! `sendmmsg` (one more where some are copies, or must stay whole); elsewhere both are plain `recv_from` and `send_to`, behind the same calls.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use mio::{Interest, Registry, Token};
use socket2::SockRef;

use crate::reactor::Budget;

pub mod clock;
mod connected;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as system;

#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(not(target_os = "linux"))]
use portable as system;

use system::{BATCH, Batches};

pub use self::connected::{Batch, Came, Connected, Refusal, TooBig};

#[cfg(test)]
mod tests;

/// What the kernel should at least hold for us while we are busy: some 2,500 small datagrams on Linux.
const RECEIVE_BUFFER: usize = 1 << 20;

/// The least that a datagram takes of the receive buffer, however short it is: on Linux 768 bytes or more.
const FOOTPRINT: usize = 512;

/// What the kernel should at least hold for peers whose link does not take it: it keeps hundreds of answers to one that
/// does not say where it is (ARP) for seconds.
const SEND_BUFFER: usize = 4 << 20;

/// How often a flush starts an interrupted call again before it counts as failed.
const PATIENCE: usize = 16;

/// What a [`receive`](Datagrams::receive) says about the socket, whatever it returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// There may be more: ask again without waiting for an event.
    More,
    /// There was no more: an event will tell.
    Drained,
    /// Nothing was received: the budget is spent.
    CutOff,
}

/// One datagram of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Who sent it, as received: an IPv4 peer of an IPv6 socket is `::ffff:a.b.c.d`.
    pub peer: SocketAddr,
    /// The address it was sent to.
    pub local: Local,
    /// The payload, possibly empty.
    pub bytes: &'a [u8],
    /// When the kernel received it, by the clock on the wall in ns since 1970: where it tells, and was
    /// [asked to](Datagrams::tell_times).
    pub received: Option<u64>,
}

/// The address of ours that a datagram was sent to, and that its answer leaves from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Local {
    /// Unspecified where the system has to choose: outside Linux on a wildcard bind, and for a multicast datagram.
    ip: IpAddr,
    /// The interface's index where the address is not unique without it (link-local), else 0.
    interface: u32,
}

/// One UDP socket that answers.
#[derive(Debug)]
pub struct Datagrams {
    socket: mio::net::UdpSocket,
    address: SocketAddr,
    batches: Batches,
}

/// What became of the answers that were queued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// They left.
    pub sent: usize,
    /// The system had no room for them.
    pub dropped: usize,
}

impl Datagrams {
    /// Takes a bound socket over: makes it non-blocking, gives it buffers of 1 MiB to receive and 4 MiB to send, or what
    /// the system allows, and on a wildcard bind has the system tell each datagram's own address.
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        widen(&socket)?;
        let address = socket.local_addr()?;
        Ok(Self { batches: Batches::new(&socket, address)?, socket: mio::net::UdpSocket::from_std(socket), address })
    }

    /// The same with a socket that other processes have, too, or had: any of them may ask the system to tell times at any
    /// moment, so they are told from the beginning. Room for them alone would not last: a datagram without one gives it up.
    pub fn shared(socket: UdpSocket) -> io::Result<Self> {
        let mut datagrams = Self::new(socket)?;
        // Where they cannot be told, none are.
        let _ = datagrams.tell_times();
        Ok(datagrams)
    }

    /// Gives up its events: those of a socket that others have, too, would go on when it is dropped.
    pub fn leave(&mut self, registry: &Registry) {
        // A failure leaves nothing to do.
        let _ = registry.deregister(&mut self.socket);
    }

    /// The address the socket is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Has `registry` report datagrams under `token`.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        // Not writable as well: every datagram that leaves would come back as an event.
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    /// Has the kernel tell when each datagram came, from the next [`receive`](Self::receive) on, where it can. Until then
    /// that costs nothing.
    pub fn tell_times(&mut self) -> io::Result<()> {
        self.batches.tell_times(&self.socket)
    }

    /// Receives one batch, which replaces the one before, and says whether there may be more.
    ///
    /// An error is the system's note on one datagram, perhaps on one sent earlier; it does not drain the socket.
    pub fn receive(&mut self, budget: &mut Budget) -> io::Result<Received> {
        if !budget.may_read() {
            return Ok(Received::CutOff);
        }
        match self.batches.receive(&self.socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Received::Drained),
            // Tried again within the budget: nobody else should wait however long that goes on.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                budget.spend(BATCH);
                Ok(Received::More)
            }
            result => result,
        }
    }

    /// The next datagram of the batch.
    #[expect(clippy::should_implement_trait, reason = "a datagram borrows from the batch, an iterator's item cannot")]
    pub fn next(&mut self) -> Option<Datagram<'_>> {
        self.batches.next()
    }

    /// Whether `peer` is this very socket, so that an answer would come back as the next datagram. One that is bound to all
    /// addresses has those of loopback, whichever of them the datagram was sent to.
    pub fn is_own_address(&self, peer: SocketAddr, local: Local) -> bool {
        let anywhere = self.address.ip().to_canonical().is_unspecified() || local.ip.to_canonical().is_unspecified();
        let same_host = peer.ip() == local.ip || (anywhere && peer.ip().to_canonical().is_loopback());
        same_host && peer.port() == self.address.port()
    }

    /// How many datagrams the kernel has dropped at this socket since it was made, for want of room above all: where it
    /// tells. To ask is one system call, whatever else the machine has open; whoever does not ask pays nothing.
    pub fn dropped(&self) -> Option<u64> {
        system::dropped(&self.socket)
    }

    /// How many [`receive`](Self::receive)s take in whatever has arrived so far: the most that the receive buffer holds.
    pub fn backlog(&self) -> usize {
        let buffer = SockRef::from(&self.socket).recv_buffer_size().unwrap_or(RECEIVE_BUFFER);
        buffer / FOOTPRINT / BATCH + 2
    }

    /// Queues an answer to `peer` that leaves from `local`; [`flush`](Self::flush) sends it. False where `peer` is of a
    /// family the socket cannot reach: then it is dropped.
    pub fn reply(&mut self, peer: SocketAddr, local: Local, bytes: &'static [u8]) -> bool {
        self.batches.push(peer, local, bytes)
    }

    /// As [`reply`](Self::reply), with bytes that are this answer's alone.
    pub fn reply_copy(&mut self, peer: SocketAddr, local: Local, bytes: &[u8]) -> bool {
        self.batches.push_copy(peer, local, bytes)
    }

    /// As [`reply_copy`](Self::reply_copy), with zeros behind the bytes up to `length`, and as a whole: nobody on the way may
    /// cut it into fragments. Where the system has no such promise it is not made longer, and goes as any other.
    pub fn reply_whole(&mut self, peer: SocketAddr, local: Local, bytes: &[u8], length: usize) -> bool {
        self.batches.push_whole(peer, local, bytes, length)
    }

    /// Sends what is queued. One that cannot be sent is told to `failed` and dropped, the others go on; what the system
    /// has no room for is dropped, too.
    #[inline]
    pub fn flush(&mut self, failed: impl FnMut(SocketAddr, io::Error)) -> Sent {
        match self.batches.queued() {
            0 => Sent::default(),
            _ => self.batches.flush(&self.socket, failed),
        }
    }
}

/// Raises both buffers; smaller ones than wished for are no error.
fn widen(socket: &UdpSocket) -> io::Result<()> {
    let options = SockRef::from(socket);
    if options.recv_buffer_size()? < RECEIVE_BUFFER {
        let _ = options.set_recv_buffer_size(RECEIVE_BUFFER);
    }
    if options.send_buffer_size()? < SEND_BUFFER {
        let _ = options.set_send_buffer_size(SEND_BUFFER);
    }
    #[cfg(target_os = "linux")]
    system::force_buffers(
        socket,
        (options.recv_buffer_size()? < RECEIVE_BUFFER).then_some(RECEIVE_BUFFER),
        (options.send_buffer_size()? < SEND_BUFFER).then_some(SEND_BUFFER),
    );
    Ok(())
}
