//! What the system keeps of datagrams that did not arrive: the socket's error queue (ip(7), `IP_RECVERR`).

use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;

use mio::net::UdpSocket;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};

use super::super::connected::{News, Refusal};
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
                    ControlMessageOwned::Ipv4RecvErr(told, _) | ControlMessageOwned::Ipv6RecvErr(told, _) => Some(told),
                    _ => None,
                });
                break told.map(|told| (told, message.bytes));
            }
        }
    };
    match told {
        Some((told, len)) if matches!(told.ee_origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6) => {
            let error = i32::try_from(told.ee_errno).map_or(io::ErrorKind::Other.into(), io::Error::from_raw_os_error);
            News::Refusal(Refusal { error, mark: Mark::quoted(quote.get(..len).unwrap_or(&quote)) })
        }
        _ => News::Own,
    }
}
