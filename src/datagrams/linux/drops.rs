//! What the kernel dropped at a socket.
//!
//! The socket itself tells (`SO_MEMINFO`): to the datagram, without a look at other sockets as `/proc/net/udp` takes, also
//! where the socket was made in another network namespace, and without a word beside each datagram as `SO_RXQ_OVFL` sends,
//! which says nothing of what was dropped behind the last that was received.

use std::os::fd::AsFd;

use nix::getsockopt_impl;
use nix::libc;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::GetStruct;

/// So many numbers the kernel gives of a socket's memory, since it gives any (4.12).
const NUMBERS: usize = 9;
/// Which of them counts what was dropped.
const DROPS: usize = 8;

/// `SO_MEMINFO`, which nix does not know.
#[derive(Clone, Copy, Debug)]
struct MemoryInfo;

getsockopt_impl!(MemoryInfo, libc::SOL_SOCKET, libc::SO_MEMINFO, [u32; NUMBERS], GetStruct<[u32; NUMBERS]>);

/// How many datagrams the kernel has dropped at `socket` since it was made, where it tells.
pub(super) fn of(socket: &impl AsFd) -> Option<u64> {
    let numbers = getsockopt(socket, MemoryInfo).ok()?;
    Some(u64::from(numbers[DROPS]))
}
