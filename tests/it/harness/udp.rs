//! A UDP peer made of nothing but a socket.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::DEADLINE;

/// One source port that talks to one server, and hears nobody else. Receiving waits at most [`DEADLINE`].
pub(crate) struct Peer {
    socket: UdpSocket,
}

impl Peer {
    /// A peer that sends to, and hears only, this address.
    #[track_caller]
    pub(crate) fn connect(server: SocketAddr) -> Peer {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Peer::connect_from(any, server)
    }

    /// The same, from a source address of its own.
    #[track_caller]
    pub(crate) fn connect_from(source: IpAddr, server: SocketAddr) -> Peer {
        let socket = UdpSocket::bind((source, 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Peer { socket }
    }

    /// The address that the server sees.
    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// The same as `IP:PORT`.
    pub(crate) fn name(&self) -> String {
        self.address().to_string()
    }

    /// Sends one datagram.
    #[track_caller]
    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        assert_eq!(self.socket.send(bytes).unwrap(), bytes.len());
    }

    /// Sends one datagram, where anybody takes it.
    pub(crate) fn try_send(&self, bytes: &[u8]) -> bool {
        self.socket.send(bytes).is_ok()
    }

    /// The next datagram.
    #[track_caller]
    pub(crate) fn receive(&self) -> Vec<u8> {
        let mut buffer = vec![0; 65536];
        let count = self.socket.recv(&mut buffer).unwrap();
        buffer.truncate(count);
        buffer
    }

    /// The next datagram must be this one.
    #[track_caller]
    pub(crate) fn expect(&self, wanted: impl AsRef<[u8]>) {
        let got = self.receive();
        assert_eq!(got.escape_ascii().to_string(), wanted.as_ref().escape_ascii().to_string());
    }

    /// Sends one datagram and expects its answer, `check`.
    #[track_caller]
    pub(crate) fn check(&self, bytes: impl AsRef<[u8]>) {
        self.send(bytes);
        self.expect("check");
    }

    /// Whether a datagram is waiting now; it is taken.
    pub(crate) fn poll(&self) -> Option<Vec<u8>> {
        self.socket.set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 65536];
        let outcome = self.socket.recv(&mut buffer);
        self.socket.set_nonblocking(false).unwrap();
        match outcome {
            Ok(count) => Some(buffer[..count].to_vec()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Nothing may have come so far; that the server has closed its port is nothing.
    #[track_caller]
    pub(crate) fn expect_nothing_yet(&self) {
        // The note that something which was sent is refused comes once, before or after whatever else there is.
        let _ = self.socket.take_error();
        let datagram = self.poll();
        assert_eq!(datagram.map(|bytes| bytes.escape_ascii().to_string()), None);
    }

    /// The port must be closed: the kernel says so in answer to a datagram.
    #[track_caller]
    pub(crate) fn expect_refused(&self) {
        self.send("anybody there?");
        let error = self.socket.recv(&mut [0; 64]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}
