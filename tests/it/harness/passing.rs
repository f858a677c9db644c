//! A supervisor that keeps the listening sockets and passes them to one server after the other.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use super::{Client, Input, Launch, Output, Peer, ServerBuilder, private_loopback};

/// Starts the server with what its stdin was as the first passed descriptor; LISTEN_PID must be its own.
const PASS_STDIN: &str = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\"";
/// The same with what its stderr was as the second; what it says there goes to stdout.
const PASS_TWO: &str = "exec 3<&0 4<&2 </dev/null 2>&1; export LISTEN_FDS=2 LISTEN_PID=$$; exec";

/// The server with one passed descriptor.
pub(crate) fn pass(args: &str, descriptor: impl Into<OwnedFd>) -> Launch {
    let words: Vec<&str> = args.split_whitespace().collect();
    Launch::server(&words).through_shell(PASS_STDIN).stdin(Input::Given(descriptor.into().into()))
}

/// The server with two; its stderr is mixed into its stdout.
pub(crate) fn pass_two(args: &str, first: impl Into<OwnedFd>, second: impl Into<OwnedFd>) -> Launch {
    pass_two_by("", args, first, second)
}

/// The same with a program before it that becomes the server.
fn pass_two_by(tool: &str, args: &str, first: impl Into<OwnedFd>, second: impl Into<OwnedFd>) -> Launch {
    let words: Vec<&str> = args.split_whitespace().collect();
    let script = format!("{PASS_TWO} {tool} \"$0\" \"$@\"");
    let launch = Launch::server(&words).through_shell(&script).stdin(Input::Given(first.into().into()));
    launch.stderr(Output::Given(second.into().into()))
}

/// Both sockets, at one address.
pub(crate) struct Held {
    tcp: TcpListener,
    udp: UdpSocket,
}

impl Held {
    /// At an address that nobody else uses.
    #[track_caller]
    pub(crate) fn new() -> Held {
        Held::at(&format!("{}:0", private_loopback()))
    }

    /// At an address of this form, `[::1]:0`.
    #[track_caller]
    pub(crate) fn at(address: &str) -> Held {
        loop {
            let tcp = TcpListener::bind(address).unwrap();
            // Its number may be in use over UDP.
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
                return Held { tcp, udp };
            }
        }
    }

    /// Where they are.
    pub(crate) fn address(&self) -> SocketAddr {
        self.tcp.local_addr().unwrap()
    }

    /// The TCP one, whose options the server's connections have.
    pub(crate) fn listener(&self) -> &TcpListener {
        &self.tcp
    }

    /// A server that is passed both.
    pub(crate) fn server(&self, args: &str) -> ServerBuilder {
        self.server_by("", args)
    }

    /// The same through a program that becomes the server, `strace -D`.
    pub(crate) fn server_by(&self, tool: &str, args: &str) -> ServerBuilder {
        ServerBuilder::of(pass_two_by(tool, args, self.tcp.try_clone().unwrap(), self.udp.try_clone().unwrap()), 2)
    }

    /// A TCP client, whether there is a server or not.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// A UDP peer, whether there is a server or not.
    #[track_caller]
    pub(crate) fn peer(&self) -> Peer {
        Peer::connect(self.address())
    }
}
