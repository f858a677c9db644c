//! What differs between IPv4 and IPv6: the socket address, and the control message that carries our own address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, SockaddrIn, SockaddrIn6, SockaddrLike};

use super::super::Local;

/// What a message tells of its sender, and of the address that it was sent to.
pub(in crate::datagrams) trait Sender: SockaddrLike + Copy {
    /// Messages that are asked for while they come singly: each one asked for costs, come or not. Two at least, for one
    /// alone is then fewer than asked for.
    const FEW: usize;
    fn control_space() -> Vec<u8>;
    fn local(control: ControlMessageOwned) -> Option<Local>;
}

/// Nothing: there is but one sender, since the socket is connected.
impl Sender for () {
    /// There is one answer to a question.
    const FEW: usize = 2;

    fn control_space() -> Vec<u8> {
        Vec::new()
    }

    fn local(_: ControlMessageOwned) -> Option<Local> {
        None
    }
}

/// A socket address of one family.
pub(in crate::datagrams) trait Address: Sender + PartialEq + Into<SocketAddr> {
    /// The content of the control message.
    type PacketInfo;
    fn of(address: SocketAddr) -> Option<Self>;
    fn packet_info(local: Local) -> Self::PacketInfo;
    fn control(info: &Self::PacketInfo) -> ControlMessage<'_>;
}

impl Sender for SockaddrIn {
    const FEW: usize = 4;

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
}

impl Address for SockaddrIn {
    type PacketInfo = in_pktinfo;

    fn of(address: SocketAddr) -> Option<Self> {
        match address {
            SocketAddr::V4(address) => Some(address.into()),
            SocketAddr::V6(_) => None,
        }
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

impl Sender for SockaddrIn6 {
    const FEW: usize = 4;

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
}

impl Address for SockaddrIn6 {
    type PacketInfo = in6_pktinfo;

    fn of(address: SocketAddr) -> Option<Self> {
        Some(match address {
            SocketAddr::V4(v4) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into(),
            SocketAddr::V6(v6) => v6.into(),
        })
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

/// With the choice left to the system, where it is an IPv4 address in IPv6's clothes.
pub(super) fn anywhere(local: Local) -> Option<Local> {
    let anywhere = IpAddr::from(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped());
    let is_mapped = matches!(local.ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some());
    (is_mapped && local.ip != anywhere).then_some(Local { ip: anywhere, interface: 0 })
}
