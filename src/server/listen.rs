//! The server's sockets: all of them are bound, or none.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol as Transport, SockRef, Socket, TcpKeepalive, Type};

use super::Settings;
use crate::error::Error;
use crate::escape::cause;
use crate::process::supervisor::Passed;
use crate::wire::Protocol;

/// Clients that may wait to be accepted: with mio's own 128 a burst of a
/// thousand connects loses most of them to a stall of ours.
const BACKLOG: i32 = 4096;
/// Without an idle timeout a client that vanished is asked for after so long ...
const KEEPALIVE: Duration = Duration::from_secs(60);
/// ... so often ...
const KEEPALIVE_PROBES: u32 = 6;
/// ... and so far apart, before it is given up.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How many port numbers are tried until one is free for TCP and UDP alike.
const PORT_TRIES: usize = 100;

/// The first address of `host`, a name or a literal (`::1`, `[::1]`, `fe80::1%eth0`).
///
/// # Errors
/// It does not resolve.
pub fn resolve(host: &str, port: u16) -> Result<SocketAddr, Error> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let failed = |error| Error::Resolve(host.to_owned(), error);
    let mut addresses = (bare, port).to_socket_addrs().map_err(failed)?;
    addresses.next().ok_or_else(|| Error::NoAddress(host.to_owned(), "usable"))
}

/// The sockets that were asked for, bound to one address and one port; or those that were passed.
#[derive(Debug)]
pub struct Sockets {
    /// The TCP listener.
    pub tcp: Option<TcpListener>,
    /// The UDP socket.
    pub udp: Option<UdpSocket>,
    /// Others have them, too, and go on with them.
    pub passed: bool,
}

impl Sockets {
    /// Binds what the settings ask for.
    ///
    /// # Errors
    /// The host does not resolve, a socket cannot be bound, or the system cannot share a port.
    pub fn of(settings: &Settings) -> Result<Sockets, Error> {
        if settings.reuse_port && !CAN_SHARE {
            return Err(Error::Usage("--reuse-port is not possible here: this system shares no ports".to_owned()));
        }
        let address = resolve(&settings.host, settings.port)?;
        Sockets::bind(address, settings.tcp, settings.udp, settings.reuse_port)
    }

    /// Binds `address` for TCP, UDP or both. With port 0 the system chooses a
    /// number for TCP and UDP takes the same; where it is in use, both are
    /// given up and tried again. Where the port is `shared`, other processes may bind it, too.
    ///
    /// # Errors
    /// The first that cannot be bound, with its address and the cause.
    pub fn bind(address: SocketAddr, tcp: bool, udp: bool, shared: bool) -> Result<Sockets, Error> {
        let mut tries = if address.port() == 0 && tcp && udp { PORT_TRIES } else { 1 };
        loop {
            tries -= 1;
            match Sockets::try_bind(address, tcp, udp, shared) {
                Err(Error::Bind(Protocol::Udp, _, error)) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
                done => return done,
            }
        }
    }

    fn try_bind(mut address: SocketAddr, tcp: bool, udp: bool, shared: bool) -> Result<Sockets, Error> {
        let tcp = tcp.then(|| listener(address, shared)).transpose()?;
        if let Some(tcp) = &tcp {
            address = tcp.local_addr().map_err(|error| Error::Listen(address, error))?;
        }
        let bound = |address| {
            let socket = open(address, Type::DGRAM, Transport::UDP, shared)?;
            socket.bind(&address.into())?;
            Ok(UdpSocket::from(socket))
        };
        let udp =
            udp.then(|| bound(address).map_err(|error| Error::Bind(Protocol::Udp, address, error))).transpose()?;
        Ok(Sockets { tcp, udp, passed: false })
    }

    /// Takes passed sockets, which listen already, and makes of them what our own are.
    ///
    /// # Errors
    /// The system refuses an option.
    pub fn adopt(passed: Passed) -> Result<Sockets, Error> {
        if let Some(tcp) = &passed.tcp {
            let nodelay = SockRef::from(tcp).set_tcp_nodelay(true);
            nodelay.map_err(|error| Error::Setup("the passed stream socket", error))?;
        }
        Ok(Sockets { tcp: passed.tcp, udp: passed.udp, passed: true })
    }
}

/// Whether several processes can share a port here.
pub(super) const CAN_SHARE: bool = cfg!(all(unix, not(any(target_os = "solaris", target_os = "illumos"))));

#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
fn share_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos")))))]
fn share_port(_: &Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Has the system find out whether the other end of `socket` is still there: of a listener, of all that it accepts (on
/// Linux).
pub(super) fn keep_alive<'s>(socket: impl Into<SockRef<'s>>) {
    let often = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_INTERVAL);
    #[cfg(any(unix, windows))]
    let often = often.with_retries(KEEPALIVE_PROBES);
    if let Err(error) = socket.into().set_tcp_keepalive(&often) {
        log::warn!("clients that vanish will not be found out: {}", cause(&error));
    }
}

/// Sees to it that monitors and clients have different doors: with `--reuse-port` the system would let them share one.
pub(super) fn keep_apart(metrics: SocketAddr, tcp: &TcpListener) -> Result<(), Error> {
    let served = tcp.local_addr().map_err(|error| Error::Listen(metrics, error))?;
    let overlap = |one: IpAddr, other: IpAddr| one == other || one.is_unspecified() || other.is_unspecified();
    match served.port() == metrics.port() && overlap(served.ip(), metrics.ip()) {
        true => {
            Err(Error::Usage(format!("--metrics {metrics} is where clients are served: give it a port of its own")))
        }
        false => Ok(()),
    }
}

/// Whether another client may be waiting to be accepted. An accept in vain makes a descriptor and throws it away: to ask
/// first costs a tenth of that, and who comes later raises an event. Elsewhere only `WouldBlock` makes mio look again.
#[cfg(target_os = "linux")]
pub(super) fn somebody_waits(listener: &mio::net::TcpListener) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    let mut asked = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    !poll(&mut asked, PollTimeout::ZERO).is_ok_and(|waiting| waiting == 0)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn somebody_waits(_: &mio::net::TcpListener) -> bool {
    true
}

pub(super) fn listener(address: SocketAddr, shared: bool) -> Result<TcpListener, Error> {
    let bind = || -> io::Result<Socket> {
        let socket = open(address, Type::STREAM, Transport::TCP, shared)?;
        // On Unix this lets a restart bind while old connections are in TIME_WAIT; on Windows it would share the port.
        if cfg!(unix) {
            socket.set_reuse_address(true)?;
        }
        socket.bind(&address.into())?;
        Ok(socket)
    };
    let socket = bind().map_err(|error| Error::Bind(Protocol::Tcp, address, error))?;
    // Accepted connections inherit it on Linux; elsewhere each is told by itself.
    let listen = socket.set_tcp_nodelay(true).and_then(|()| socket.listen(BACKLOG));
    listen.map_err(|error| Error::Listen(address, error))?;
    Ok(socket.into())
}

fn open(address: SocketAddr, kind: Type, protocol: Transport, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        socket.set_only_v6(false)?;
    }
    if shared {
        share_port(&socket)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn port_zero_gives_tcp_and_udp_one_number() {
        let sockets = Sockets::bind(resolve("127.0.0.1", 0).unwrap(), true, true, false).unwrap();
        let (tcp, udp) = (sockets.tcp.unwrap().local_addr().unwrap(), sockets.udp.unwrap().local_addr().unwrap());
        assert_eq!(tcp, udp);
        assert_ne!(tcp.port(), 0);
    }

    #[test]
    fn an_address_in_use_is_named_with_its_protocol_and_nothing_stays_bound() {
        let taken = UdpSocket::bind("127.66.6.1:0").unwrap(); // where nobody else chooses a port
        let address = taken.local_addr().unwrap();
        let error = Sockets::bind(address, true, true, false).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot bind udp {address}: Address already in use"));
        drop(taken);
        Sockets::bind(address, true, true, false).unwrap();
    }

    #[test]
    fn literals_resolve_to_themselves_with_and_without_brackets() {
        for host in ["::1", "[::1]"] {
            assert_eq!(resolve(host, 7).unwrap().to_string(), "[::1]:7");
        }
    }
}
