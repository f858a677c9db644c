//! How much a path takes in one piece: the don't-fragment bit, and what the system knows.
//!
//! A packet that is longer than a link takes is cut into fragments, by who sends it or by a router on the way, unless it
//! forbids that. Then it is thrown away, and the router should say so (ICMP, with what its link takes: the MTU). Who asks
//! how much a path takes has to forbid it, or is told how well fragments travel instead.

use std::io;

/// Whether a send failed since the message is longer than what may leave in one piece.
pub fn is_too_big(error: &io::Error) -> bool {
    #[cfg(unix)]
    let number = nix::errno::Errno::EMSGSIZE as i32;
    #[cfg(not(unix))]
    let number = 10040; // WSAEMSGSIZE
    error.raw_os_error() == Some(number)
}

/// What a socket holds to, of the packets that it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragments {
    /// None, whatever the system has learnt of the path: what is longer than our own link takes is refused.
    Never,
    /// Wherever they are needed, here or on the way.
    Wherever,
}

#[cfg(not(target_os = "linux"))]
pub use self::elsewhere::{path_mtu, segment, set, taken};
#[cfg(target_os = "linux")]
pub use self::linux::{Whole, path_mtu, segment, set, taken};

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::OsString;
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd};

    use nix::sys::socket::getsockopt;
    use nix::sys::socket::sockopt::{self, GetOsString, GetStruct};
    use nix::{getsockopt_impl, libc};
    use rustix::net::sockopt::{
        Ipv4PathMtuDiscovery as V4, Ipv6PathMtuDiscovery as V6, ip_mtu, ip_mtu_discover, ipv6_mtu, ipv6_mtu_discover,
        set_ip_mtu_discover, set_ipv6_mtu_discover,
    };

    use super::Fragments;

    /// Has `socket` hold to it from now on.
    ///
    /// # Errors
    /// The system has no such option.
    pub fn set(socket: impl AsFd, fragments: Fragments) -> io::Result<()> {
        match fragments {
            Fragments::Never => set_both(socket.as_fd(), V4::PROBE, V6::PROBE),
            Fragments::Wherever => set_both(socket.as_fd(), V4::DONT, V6::DONT),
        }
    }

    /// A socket of IPv6 speaks to addresses of IPv4, too; one of IPv4 does not know the other option.
    fn set_both(socket: BorrowedFd<'_>, v4: V4, v6: V6) -> io::Result<()> {
        let of_v6 = set_ipv6_mtu_discover(socket, v6).is_ok();
        match set_ip_mtu_discover(socket, v4) {
            Err(error) if !of_v6 => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// While it lives, a socket sends no fragments.
    #[derive(Debug)]
    pub struct Whole<'s> {
        socket: BorrowedFd<'s>,
        usual: (V4, V6),
    }

    impl<'s> Whole<'s> {
        /// From now on `socket` sends none.
        ///
        /// # Errors
        /// The system has no such option.
        pub fn only(socket: BorrowedFd<'s>) -> io::Result<Whole<'s>> {
            let usual = (ip_mtu_discover(socket).unwrap_or(V4::WANT), ipv6_mtu_discover(socket).unwrap_or(V6::WANT));
            set(socket, Fragments::Never)?;
            Ok(Whole { socket, usual })
        }
    }

    impl Drop for Whole<'_> {
        fn drop(&mut self) {
            // What could be set a moment ago can be set again.
            let _ = set_both(self.socket, self.usual.0, self.usual.1);
        }
    }

    /// What the path of a connected socket takes in one piece, its headers included, as far as the system has learnt.
    pub fn path_mtu(socket: impl AsFd) -> Option<u32> {
        let socket = socket.as_fd();
        ip_mtu(socket).or_else(|_| ipv6_mtu(socket)).ok()
    }

    /// How many bytes a segment of a connection carries.
    pub fn segment(socket: impl AsFd) -> Option<u32> {
        getsockopt(&socket, sockopt::TcpMaxSeg).ok()
    }

    /// What the kernel tells of a connection, in 64 bits each, up to `tcpi_bytes_acked`, which is the last of these: the
    /// `tcp_info` of libc ends before.
    type Numbers = [u64; 16];

    #[derive(Clone, Copy, Debug)]
    struct ConnectionInfo;

    getsockopt_impl!(ConnectionInfo, libc::IPPROTO_TCP, libc::TCP_INFO, Numbers, GetStruct<Numbers>);

    /// Room for as much. Whatever comes there is marks, so that their number is all that is told.
    #[derive(Clone, Copy, Debug)]
    struct Marks([u8; size_of::<Numbers>()]);

    impl AsMut<[u8]> for Marks {
        fn as_mut(&mut self) -> &mut [u8] {
            self.0.fill(b'x');
            &mut self.0
        }
    }

    /// How much of it this kernel has.
    #[derive(Clone, Copy, Debug)]
    struct ConnectionInfoLength;

    getsockopt_impl!(ConnectionInfoLength, libc::IPPROTO_TCP, libc::TCP_INFO, OsString, GetOsString<Marks>);

    /// Whether an option of that length has all the numbers.
    fn is_whole(length: nix::Result<OsString>) -> bool {
        length.is_ok_and(|marks| marks.len() == size_of::<Numbers>())
    }

    /// How many bytes of a connection the other end's system has taken: Linux counts them since 4.1.
    pub fn taken(socket: impl AsFd) -> Option<u64> {
        // nix panics where an option is shorter than what is asked for.
        if !is_whole(getsockopt(&socket, ConnectionInfoLength)) {
            return None;
        }
        getsockopt(&socket, ConnectionInfo).ok()?.last().copied()
    }

    #[cfg(test)]
    mod tests {
        #![allow(clippy::unwrap_used)]

        use std::io::{Read, Write};
        use std::net::{TcpListener, TcpStream};

        use super::*;

        /// An option that is shorter than the numbers everywhere.
        #[derive(Clone, Copy, Debug)]
        struct SegmentLength;

        getsockopt_impl!(SegmentLength, libc::IPPROTO_TCP, libc::TCP_MAXSEG, OsString, GetOsString<Marks>);

        #[test]
        fn an_option_that_is_shorter_than_what_is_asked_for_is_found_out_before() {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut own = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let mut other = listener.accept().unwrap().0;
            assert!(!is_whole(getsockopt(&own, SegmentLength)));
            assert_eq!(taken(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()), None);
            own.write_all(b"hello").unwrap();
            other.read_exact(&mut [0; 5]).unwrap();
            other.write_all(b"ACK").unwrap();
            own.read_exact(&mut [0; 3]).unwrap();
            assert!(taken(&own).is_some_and(|bytes| bytes >= 5));
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::io;

    use super::Fragments;

    /// Nothing that the other systems have in common sets the bit.
    ///
    /// # Errors
    /// Always.
    pub fn set<S>(_: S, _: Fragments) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Nothing that the other systems have in common tells.
    pub fn path_mtu<S>(_: S) -> Option<u32> {
        None
    }

    /// Nothing that the other systems have in common tells.
    pub fn segment<S>(_: S) -> Option<u32> {
        None
    }

    /// Nothing that the other systems have in common tells.
    pub fn taken<S>(_: S) -> Option<u64> {
        None
    }
}
