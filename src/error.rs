//! What went wrong on our side: which step failed, where, and the exit code it deserves.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::escape::{cause, escape};
use crate::wire::Protocol;

/// The exit codes of both programs.
pub mod exit {
    /// All went well: the path verified, the server was asked to end.
    pub const DONE: u8 = 0;
    /// The path did not verify; the server could not start or go on.
    pub const FAILED: u8 = 1;
    /// It could not be tried: usage, a name that does not resolve, something that this machine lacks.
    pub const UNTRIED: u8 = 2;
}

/// A failure that ends a program, in one sentence.
#[derive(Debug)]
pub enum Error {
    /// A name does not resolve.
    Resolve(String, io::Error),
    /// A name has no address of the family that was asked for.
    NoAddress(String, &'static str),
    /// A socket could not be bound.
    Bind(Protocol, SocketAddr, io::Error),
    /// A bound TCP socket could not be made to listen.
    Listen(SocketAddr, io::Error),
    /// A socket to this address could not be made.
    Socket(Protocol, SocketAddr, io::Error),
    /// The loop could not be set up: which part, and why.
    Setup(&'static str, io::Error),
    /// The poll kept failing.
    Poll(io::Error),
    /// What was asked for makes no sense.
    Usage(String),
}

impl Error {
    /// The exit code this failure of the server deserves.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Resolve(..) | Error::NoAddress(..) | Error::Usage(..) => exit::UNTRIED,
            Error::Bind(..) | Error::Listen(..) | Error::Socket(..) | Error::Setup(..) | Error::Poll(..) => {
                exit::FAILED
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Resolve(host, error) => {
                write!(f, "cannot resolve the host name '{}': {}", escape(host.as_bytes()), cause(error))
            }
            Error::NoAddress(host, family) => {
                write!(f, "the host name '{}' has no {family} address", escape(host.as_bytes()))
            }
            Error::Bind(protocol, address, error) => write!(f, "cannot bind {protocol} {address}: {}", cause(error)),
            Error::Listen(address, error) => write!(f, "cannot listen on tcp {address}: {}", cause(error)),
            Error::Socket(protocol, address, error) => {
                write!(f, "cannot make a socket for {protocol} {address}: {}", cause(error))
            }
            Error::Setup(part, error) => write!(f, "cannot set up {part}: {}", cause(error)),
            Error::Poll(error) => write!(f, "the poll keeps failing: {}", cause(error)),
            Error::Usage(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Resolve(_, cause)
            | Error::Bind(_, _, cause)
            | Error::Listen(_, cause)
            | Error::Socket(_, _, cause)
            | Error::Setup(_, cause)
            | Error::Poll(cause) => Some(cause),
            Error::NoAddress(..) | Error::Usage(..) => None,
        }
    }
}
