//! Batches on Linux: one `recvmmsg` in, one `sendmmsg` for each local address out.

use std::array;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg,
    sendmmsg, setsockopt, sockopt,
};

use super::{Datagram, Local, Received};

/// Datagrams a system call.
pub(super) const BATCH: usize = 32;

/// Room for the longest datagram. Not a power of two: the first bytes of all buffers would share one set of the cache.
const BUFFER: usize = 65_536 + 64;

/// Raises the receive buffer over the system's limit where we are privileged to.
pub(super) fn force_receive_buffer(socket: &UdpSocket, bytes: usize) {
    let _ = setsockopt(socket, sockopt::RcvBufForce, &bytes);
}

/// The batches of one socket, in the form its address family has.
#[derive(Debug)]
pub(super) enum Batches {
    V4(Family<SockaddrIn>),
    V6(Family<SockaddrIn6>),
}

impl Batches {
    pub(super) fn new(socket: &UdpSocket, bound: SocketAddr) -> io::Result<Self> {
        let wildcard = bound.ip().to_canonical().is_unspecified();
        Ok(if bound.is_ipv4() {
            if wildcard {
                setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
            }
            Self::V4(Family::new(bound.ip(), wildcard))
        } else {
            if wildcard {
                setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            }
            Self::V6(Family::new(bound.ip(), wildcard))
        })
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

    pub(super) fn flush(&mut self, socket: &impl AsRawFd, failed: impl FnMut(SocketAddr, io::Error)) -> usize {
        match self {
            Self::V4(family) => family.outbox.flush(socket.as_raw_fd(), failed),
            Self::V6(family) => family.outbox.flush(socket.as_raw_fd(), failed),
        }
    }

    pub(super) fn queued(&self) -> usize {
        match self {
            Self::V4(family) => family.outbox.queued,
            Self::V6(family) => family.outbox.queued,
        }
    }
}

/// Both ways of one address family. Received headers hold what the kernel wrote: the two ways never share them.
#[derive(Debug)]
pub(super) struct Family<S> {
    inbox: Inbox<S>,
    outbox: Outbox<S>,
}

impl<S: Address> Family<S> {
    fn new(bound: IpAddr, wildcard: bool) -> Self {
        let control = || wildcard.then(S::control_space);
        Self {
            inbox: Inbox {
                bound: Local { ip: bound, interface: 0 },
                headers: MultiHeaders::preallocate(BATCH, control()),
                buffers: vec![0; BATCH * BUFFER],
                arrivals: Vec::with_capacity(BATCH),
                taken: 0,
            },
            outbox: Outbox {
                wildcard,
                headers: MultiHeaders::preallocate(BATCH, control()),
                groups: Vec::new(),
                queued: 0,
            },
        }
    }
}

/// The batch received last.
struct Inbox<S> {
    bound: Local,
    headers: MultiHeaders<S>,
    /// `BATCH` buffers of `BUFFER` bytes; fresh memory costs nothing until a datagram reaches it.
    buffers: Vec<u8>,
    arrivals: Vec<Arrival>,
    taken: usize,
}

struct Arrival {
    peer: SocketAddr,
    local: Local,
    length: usize,
}

impl<S: Address> Inbox<S> {
    fn receive(&mut self, socket: RawFd) -> io::Result<Received> {
        self.arrivals.clear();
        self.taken = 0;
        let mut buffers = self.buffers.chunks_exact_mut(BUFFER);
        let mut slices: [_; BATCH] = array::from_fn(|_| [IoSliceMut::new(buffers.next().unwrap_or_default())]);
        for message in recvmmsg(socket, &mut self.headers, &mut slices, MsgFlags::empty(), None)? {
            // Without its own address (it has always been there) the bound one lets the system choose.
            let local = message.cmsgs().ok().and_then(|mut controls| controls.find_map(S::local));
            if let Some(peer) = message.address {
                let (peer, length) = (peer.into(), message.bytes);
                self.arrivals.push(Arrival { peer, local: local.unwrap_or(self.bound), length });
            }
        }
        Ok(if self.arrivals.len() < BATCH { Received::Drained } else { Received::More })
    }

    fn next(&mut self) -> Option<Datagram<'_>> {
        let arrival = self.arrivals.get(self.taken)?;
        let start = self.taken * BUFFER;
        let bytes = self.buffers.get(start..start + arrival.length)?;
        self.taken += 1;
        Some(Datagram { peer: arrival.peer, local: arrival.local, bytes })
    }
}

/// The answers that were not sent yet.
struct Outbox<S> {
    wildcard: bool,
    headers: MultiHeaders<S>,
    groups: Vec<Group<S>>,
    queued: usize,
}

/// Answers that leave from one address: the control message that says so is shared by a system call.
struct Group<S> {
    local: Local,
    peers: Vec<Option<S>>,
    answers: Vec<[IoSlice<'static>; 1]>,
}

impl<S: Address> Outbox<S> {
    fn push(&mut self, peer: SocketAddr, local: Local, bytes: &'static [u8]) -> bool {
        let Some(peer) = S::of(peer) else {
            return false;
        };
        let group = self.group(local);
        group.peers.push(Some(peer));
        group.answers.push([IoSlice::new(bytes)]);
        self.queued += 1;
        true
    }

    /// The group of `local`: its own, an empty one to reuse, or a new one.
    fn group(&mut self, local: Local) -> &mut Group<S> {
        let groups = &self.groups;
        let own = groups.iter().position(|group| group.local == local);
        let index = own.or_else(|| groups.iter().position(|group| group.peers.is_empty())).unwrap_or_else(|| {
            self.groups.push(Group { local, peers: Vec::new(), answers: Vec::new() });
            self.groups.len() - 1
        });
        let group = &mut self.groups[index];
        group.local = local;
        group
    }

    fn flush(&mut self, socket: RawFd, mut failed: impl FnMut(SocketAddr, io::Error)) -> usize {
        let mut sent = 0;
        for group in &mut self.groups {
            let local = self.wildcard.then_some(group.local);
            let mut done = 0;
            while let Some(&peer) = group.peers.get(done) {
                match send(socket, &mut self.headers, &group.answers[done..], &group.peers[done..], local) {
                    // What waits is tried again when there is room, which after an interruption is at once.
                    Ok(0) | Err(Errno::EAGAIN | Errno::EINTR) => break,
                    Ok(count) => {
                        done += count;
                        sent += count;
                    }
                    // A batch that stops short gives no reason: the next one, which begins with the culprit, does.
                    Err(error) => {
                        done += 1;
                        if let Some(peer) = peer {
                            failed(peer.into(), error.into());
                        }
                    }
                }
            }
            group.peers.drain(..done);
            group.answers.drain(..done);
            self.queued -= done;
            if !group.peers.is_empty() {
                break;
            }
        }
        sent
    }
}

/// Sends a batch from the front of the two lists and returns how many left; an error is the first one's.
fn send<S: Address>(
    socket: RawFd,
    headers: &mut MultiHeaders<S>,
    answers: &[[IoSlice<'static>; 1]],
    peers: &[Option<S>],
    local: Option<Local>,
) -> nix::Result<usize> {
    let info = local.map(S::packet_info);
    let control = info.as_ref().map(S::control);
    sendmmsg(socket, headers, answers, peers, control.as_slice(), MsgFlags::empty()).map(Iterator::count)
}

/// What differs between the families: the address, and the control message that carries our own.
pub(super) trait Address: SockaddrLike + Copy + Into<SocketAddr> {
    type PacketInfo;
    fn of(address: SocketAddr) -> Option<Self>;
    fn control_space() -> Vec<u8>;
    fn local(control: ControlMessageOwned) -> Option<Local>;
    fn packet_info(local: Local) -> Self::PacketInfo;
    fn control(info: &Self::PacketInfo) -> ControlMessage<'_>;
}

impl Address for SockaddrIn {
    type PacketInfo = in_pktinfo;

    fn of(address: SocketAddr) -> Option<Self> {
        match address {
            SocketAddr::V4(address) => Some(address.into()),
            SocketAddr::V6(_) => None,
        }
    }

    fn control_space() -> Vec<u8> {
        nix::cmsg_space!(in_pktinfo)
    }

    fn local(control: ControlMessageOwned) -> Option<Local> {
        let ControlMessageOwned::Ipv4PacketInfo(info) = control else {
            return None;
        };
        // Not the header's destination: that may be a broadcast address.
        let ip = Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes());
        Some(Local { ip: ip.into(), interface: 0 })
    }

    fn packet_info(local: Local) -> in_pktinfo {
        let ip = match local.ip {
            IpAddr::V4(ip) => ip,
            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        };
        in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(ip.octets()) },
            ipi_addr: in_addr { s_addr: 0 },
        }
    }

    fn control(info: &in_pktinfo) -> ControlMessage<'_> {
        ControlMessage::Ipv4PacketInfo(info)
    }
}

impl Address for SockaddrIn6 {
    type PacketInfo = in6_pktinfo;

    fn of(address: SocketAddr) -> Option<Self> {
        Some(match address {
            SocketAddr::V4(v4) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into(),
            SocketAddr::V6(v6) => v6.into(),
        })
    }

    fn control_space() -> Vec<u8> {
        nix::cmsg_space!(in6_pktinfo)
    }

    fn local(control: ControlMessageOwned) -> Option<Local> {
        let ControlMessageOwned::Ipv6PacketInfo(info) = control else {
            return None;
        };
        let ip = Ipv6Addr::from(info.ipi6_addr.s6_addr);
        let interface = if ip.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
        Some(Local { ip: source(ip).into(), interface })
    }

    fn packet_info(local: Local) -> in6_pktinfo {
        let ip = match local.ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        in6_pktinfo { ipi6_addr: in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: local.interface }
    }

    fn control(info: &in6_pktinfo) -> ControlMessage<'_> {
        ControlMessage::Ipv6PacketInfo(info)
    }
}

/// The address an answer to a datagram for `destination` may leave from; of the same kind, or the kernel refuses it.
fn source(destination: Ipv6Addr) -> Ipv6Addr {
    match destination.to_ipv4_mapped() {
        Some(v4) if v4.is_multicast() || v4.is_broadcast() => Ipv4Addr::UNSPECIFIED.to_ipv6_mapped(),
        None if destination.is_multicast() => Ipv6Addr::UNSPECIFIED,
        _ => destination,
    }
}

// The headers of the kernel's calls are not worth reading.
impl<S> fmt::Debug for Inbox<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("arrivals", &self.arrivals.len())
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Outbox<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("queued", &self.queued).finish_non_exhaustive()
    }
}
