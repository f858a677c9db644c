//! What the system keeps of datagrams that did not arrive: the socket's error queue (ip(7), `IP_RECVERR`).

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

use mio::net::UdpSocket;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};

use super::super::connected::{News, Refusal, TooBig};
use crate::wire::Mark;

/// As much of a refused datagram as is of use.
const QUOTE: usize = 64;

/// Has the system keep news, and tell of what it would otherwise keep silent about: that a router has no way. Whether it
/// does; one that does not tells of refusals all the same.
pub(in super::super) fn keep_news(socket: &UdpSocket) -> bool {
    // A socket of IPv6 may be connected to an address of IPv4, and one of IPv4 knows that option alone.
    let of_v6 = setsockopt(socket, sockopt::Ipv6RecvErr, &true).is_ok();
    setsockopt(socket, sockopt::Ipv4RecvErr, &true).is_ok() || of_v6
}

/// The next of it, if there is any.
pub(in super::super) fn next_news(socket: &UdpSocket) -> News {
    let mut quote = [0; QUOTE];
    let mut space = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
    let told = loop {
        let mut slices = [IoSliceMut::new(&mut quote)];
        match recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::MSG_ERRQUEUE) {
            Err(Errno::EINTR) => {}
            // It is empty, or there is none.
            Err(_) => return News::Nothing,
            Ok(message) => {
                let told = message.cmsgs().ok().into_iter().flatten().find_map(|control| match control {
                    ControlMessageOwned::Ipv4RecvErr(told, by) => Some((told, by.and_then(|by| address_v4(&by)))),
                    ControlMessageOwned::Ipv6RecvErr(told, by) => Some((told, by.and_then(|by| address_v6(&by)))),
                    _ => None,
                });
                break told.map(|told| (told, message.bytes));
            }
        }
    };
    match told {
        Some(((told, by), len)) if matches!(told.ee_origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6) => {
            let error = i32::try_from(told.ee_errno).map_or(io::ErrorKind::Other.into(), io::Error::from_raw_os_error);
            let is_too_big = told.ee_errno == Errno::EMSGSIZE as u32;
            News::Refusal(Refusal {
                error,
                mark: Mark::quoted(quote.get(..len).unwrap_or(&quote)),
                too_big: is_too_big.then_some(TooBig { by, mtu: told.ee_info }),
            })
        }
        _ => News::Own,
    }
}

/// Who sent the word, where the family says that this is an address.
fn address_v4(by: &libc::sockaddr_in) -> Option<IpAddr> {
    let is_one = i32::from(by.sin_family) == libc::AF_INET;
    is_one.then(|| Ipv4Addr::from(by.sin_addr.s_addr.to_ne_bytes()).into())
}

/// The same of the other family.
fn address_v6(by: &libc::sockaddr_in6) -> Option<IpAddr> {
    let is_one = i32::from(by.sin6_family) == libc::AF_INET6;
    is_one.then(|| IpAddr::from(Ipv6Addr::from(by.sin6_addr.s6_addr)).to_canonical())
}
