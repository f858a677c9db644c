//! Where the client's sockets leave from, and how their packets are marked: `-I`, `-Q` and `--ttl`.
//!
//! Every socket of the client is made here. What the system refuses of it says nothing of the path, so it is a
//! [`Shortage`]; what cannot come right by itself is found out [before](Origin::rehearse) anything is sent.

mod words;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::{TcpStream, UdpSocket};
use socket2::{Domain, Socket, Type};

pub use self::words::parse_tos;
use super::target::Family;
use crate::error::Error;
use crate::escape::{cause, escape, sentence};
use crate::process::limits::Shortage;
use crate::transcript::address::Address;
use crate::wire::Protocol;

/// Where to leave from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// This address of ours, by this port; by any, where it is 0.
    Address(SocketAddr),
    /// This port of whichever address.
    Port(u16),
    /// This interface, by whichever of its addresses.
    Interface(String),
}

/// Where sockets leave from, and what their packets carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Where, if not wherever the system finds best.
    pub place: Option<Place>,
    /// The TOS or traffic class byte.
    pub tos: Option<u8>,
    /// After how many routers they are thrown away.
    pub ttl: Option<u8>,
}

impl Origin {
    /// The family of the addresses that can be reached from here.
    ///
    /// # Errors
    /// It is not the one that is `wanted`.
    pub fn family(&self, wanted: Option<Family>) -> Result<Option<Family>, Error> {
        let Some(Place::Address(address)) = &self.place else {
            return Ok(wanted);
        };
        let (own, name) = if address.is_ipv4() { (Family::V4, "IPv4") } else { (Family::V6, "IPv6") };
        match wanted {
            Some(other) if other != own => {
                let option = if other == Family::V4 { "-4" } else { "-6" };
                Err(Error::Usage(format!(
                    "-I {} is an {name} address, and {option} allows none of those",
                    bare(*address)
                )))
            }
            _ => Ok(Some(own)),
        }
    }

    /// The one port that they leave from, where it is not the system's to choose.
    pub fn port(&self) -> Option<u16> {
        match self.place {
            Some(Place::Address(own)) => Some(own.port()).filter(|&port| port > 0),
            Some(Place::Port(port)) => Some(port),
            Some(Place::Interface(_)) | None => None,
        }
    }

    /// The same without a port that was given.
    pub fn from_any_port(&self) -> Origin {
        let place = match &self.place {
            Some(Place::Address(own)) => {
                let mut own = *own;
                own.set_port(0);
                Some(Place::Address(own))
            }
            Some(Place::Port(_)) | None => None,
            Some(Place::Interface(name)) => Some(Place::Interface(name.clone())),
        };
        Origin { place, ..*self }
    }

    /// Whether sockets leave from one address.
    pub fn has_address(&self) -> bool {
        matches!(self.place, Some(Place::Address(_)))
    }

    /// The sentence for a host without an address of the `family` of ours.
    pub fn is_of_another(&self, host: &str, family: &str) -> Error {
        let own = match &self.place {
            Some(Place::Address(own)) => bare(*own).to_string(),
            _ => String::new(),
        };
        Error::Usage(format!("-I {own} is an {family} address, and '{}' has none of those", escape(host.as_bytes())))
    }

    /// Makes a socket as those to this family, or to one of both, will be, and gives it up: what the system refuses is known before anything
    /// was tried.
    ///
    /// # Errors
    /// What it refuses, and the remedy.
    pub fn rehearse(&self, protocols: &[Protocol], family: Option<Family>) -> Result<(), Error> {
        if *self == Origin::default() {
            return Ok(());
        }
        let [four, six] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        match family {
            Some(Family::V4) => self.rehearse_to(protocols, four),
            Some(Family::V6) => self.rehearse_to(protocols, six),
            // A name may have addresses of either.
            None => self.rehearse_to(protocols, six).or_else(|_| self.rehearse_to(protocols, four)),
        }
    }

    fn rehearse_to(&self, protocols: &[Protocol], peer: IpAddr) -> Result<(), Error> {
        for protocol in protocols {
            let kind = if *protocol == Protocol::Udp { Type::DGRAM } else { Type::STREAM };
            // A want that may pass, of descriptors, is named where it is met.
            match self.socket(kind, (peer, 0).into()) {
                Err(Refused::Forbidden(what)) => return Err(Error::Usage(sentence(&what))),
                Err(Refused::Taken(port)) => {
                    let what = format!("the {protocol} port {port} is in use here: give another with -I");
                    return Err(Error::Usage(what));
                }
                Err(Refused::Other(_)) | Ok(_) => {}
            }
        }
        Ok(())
    }

    /// Sees to it that it is known which link a link-local address is on: every link has its own.
    ///
    /// # Errors
    /// The link is not known; this is a [`Shortage`].
    pub fn expect_zone(&self, peer: SocketAddr) -> io::Result<()> {
        let is_known = match &self.place {
            Some(Place::Interface(_)) => true,
            Some(Place::Address(SocketAddr::V6(own))) => own.scope_id() != 0,
            Some(Place::Address(_) | Place::Port(_)) | None => false,
        };
        match peer {
            // Elsewhere the system takes the link that it finds best.
            SocketAddr::V6(v6) if cfg!(unix) && v6.ip().is_unicast_link_local() && v6.scope_id() == 0 && !is_known => {
                Err(Shortage::of(format!("{0} needs its zone, such as {0}%eth0", v6.ip())))
            }
            _ => Ok(()),
        }
    }

    /// As [`expect_zone`](Origin::expect_zone), of all the addresses of a name: it is enough if one is known.
    ///
    /// # Errors
    /// The link is known of none of them.
    pub fn expect_zones(&self, addresses: &[SocketAddr]) -> Result<(), Error> {
        let lacking: Option<Vec<io::Error>> = addresses.iter().map(|&peer| self.expect_zone(peer).err()).collect();
        match lacking.as_deref() {
            Some([first, ..]) => Err(Error::Usage(cause(first))),
            _ => Ok(()),
        }
    }

    /// Begins a connection to `peer`.
    ///
    /// # Errors
    /// The system knows at once that there is no way; or, as a [`Shortage`], it has no socket for us.
    pub fn stream(&self, peer: SocketAddr) -> io::Result<TcpStream> {
        let socket = self.socket(Type::STREAM, peer)?;
        match (socket.connect(&peer.into()), self.port()) {
            (Err(error), Some(port)) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                let what =
                    format!("the port {port} has a connection to there, or the system remembers one for a minute");
                Err(Shortage::for_a_while(what))
            }
            (Err(error), _) if error.kind() == io::ErrorKind::InvalidInput && self.has_address() => {
                Err(self.leads_elsewhere())
            }
            (Err(error), _) if !is_begun(&error) => Err(error),
            _ => Ok(TcpStream::from_std(socket.into())),
        }
    }

    /// There is no way from our address to that one: from loopback to another machine, say.
    pub fn leads_elsewhere(&self) -> io::Error {
        let own = match &self.place {
            Some(Place::Address(own)) => bare(*own).to_string(),
            _ => String::new(),
        };
        Shortage::of(format!("from -I {own} no way leads there: give an address that the way there leaves from"))
    }

    /// A socket for datagrams, bound to a port and to nobody yet.
    ///
    /// # Errors
    /// As a [`Shortage`], the system has none for us.
    pub fn datagrams(&self, peer: SocketAddr) -> io::Result<UdpSocket> {
        let socket = self.socket(Type::DGRAM, peer)?;
        if matches!(self.place, None | Some(Place::Interface(_))) {
            socket.bind(&any(peer, 0).into()).map_err(Shortage::name)?;
        }
        Ok(UdpSocket::from_std(socket.into()))
    }

    fn socket(&self, kind: Type, peer: SocketAddr) -> Result<Socket, Refused> {
        let socket = Socket::new(Domain::for_address(peer), kind, None)?;
        socket.set_nonblocking(true)?;
        if let Some(tos) = self.tos {
            match peer {
                SocketAddr::V4(_) => socket.set_tos_v4(u32::from(tos)),
                SocketAddr::V6(_) => set_class(&socket, tos),
            }
            .map_err(|error| Refused::Forbidden(format!("the system does not take -Q {tos}: {}", cause(&error))))?;
        }
        if let Some(ttl) = self.ttl {
            match peer {
                SocketAddr::V4(_) => socket.set_ttl_v4(u32::from(ttl)),
                SocketAddr::V6(_) => socket.set_unicast_hops_v6(u32::from(ttl)),
            }
            .map_err(|error| Refused::Forbidden(format!("the system does not take --ttl {ttl}: {}", cause(&error))))?;
        }
        match &self.place {
            None => {}
            Some(Place::Address(own)) => bind(&socket, *own)?,
            Some(Place::Port(port)) => bind(&socket, any(peer, *port))?,
            Some(Place::Interface(name)) => bind_to(&socket, name)?,
        }
        Ok(socket)
    }
}

/// Why there is no such socket.
enum Refused {
    /// What the system does not let us do, with the remedy where there is one.
    Forbidden(String),
    /// This port is in use.
    Taken(u16),
    /// Anything else.
    Other(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        Refused::Other(error)
    }
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> io::Error {
        match refused {
            Refused::Forbidden(what) => Shortage::of(what),
            Refused::Taken(port) => Shortage::of(format!("what left from the port {port} before is still out")),
            Refused::Other(error) => Shortage::name(error),
        }
    }
}

#[cfg(unix)]
fn set_class(socket: &Socket, tos: u8) -> io::Result<()> {
    socket.set_tclass_v6(u32::from(tos))
}

/// There is no such option here.
#[cfg(not(unix))]
fn set_class(_: &Socket, _: u8) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whichever address of ours, of the family of `peer`.
fn any(peer: SocketAddr, port: u16) -> SocketAddr {
    match peer {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, port).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, port).into(),
    }
}

/// Has a socket leave from this address of ours.
fn bind(socket: &Socket, own: SocketAddr) -> Result<(), Refused> {
    // The other family may have the same port; and so may a connection that is over.
    if own.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if own.port() > 0 && socket.r#type()? == Type::STREAM && cfg!(unix) {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&own.into()).map_err(|error| not_from(own, error))
}

/// Why a socket cannot leave from this address.
fn not_from(own: SocketAddr, error: io::Error) -> Refused {
    match error.kind() {
        io::ErrorKind::AddrInUse if own.port() > 0 => Refused::Taken(own.port()),
        io::ErrorKind::PermissionDenied if own.port() > 0 => Refused::Forbidden(format!(
            "the port {} is not permitted here: choose one from 1024 on, or run with CAP_NET_BIND_SERVICE",
            own.port()
        )),
        io::ErrorKind::AddrNotAvailable => {
            Refused::Forbidden(format!("-I {} is no address of this machine", bare(own)))
        }
        // A link-local address without its zone.
        io::ErrorKind::InvalidInput => {
            Refused::Forbidden(format!("-I {} needs its zone, such as {}%eth0", bare(own), bare(own)))
        }
        _ => Refused::Other(error),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn bind_to(socket: &Socket, name: &str) -> Result<(), Refused> {
    socket.bind_device(Some(name.as_bytes())).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => Refused::Forbidden(format!(
            "-I {name} is not permitted here: give an address of that interface, or run with CAP_NET_RAW"
        )),
        _ => Refused::Forbidden(format!("cannot leave by the interface {name}: {}", cause(&error))),
    })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bind_to(_: &Socket, name: &str) -> Result<(), Refused> {
    Err(Refused::Forbidden(format!("-I {name}: interfaces are for Linux, give an address of it")))
}

/// An address without its port.
fn bare(address: SocketAddr) -> impl std::fmt::Display {
    Address::new(address).parts().0
}

/// Whether a connection is being made.
fn is_begun(error: &io::Error) -> bool {
    #[cfg(unix)]
    let begun = error.raw_os_error() == Some(nix::errno::Errno::EINPROGRESS as i32);
    #[cfg(not(unix))]
    let begun = error.kind() == io::ErrorKind::WouldBlock;
    begun
}
