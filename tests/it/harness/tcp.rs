//! A TCP client made of nothing but a socket.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::DEADLINE;

/// One connection to the server. Reading waits at most [`DEADLINE`].
pub(crate) struct Client {
    stream: TcpStream,
}

impl Client {
    /// Connects.
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::from(TcpStream::connect_timeout(&address, DEADLINE).unwrap())
    }

    /// Connects with a receive buffer of this size.
    #[track_caller]
    pub(crate) fn connect_narrow(address: SocketAddr, buffer: usize) -> Client {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(buffer).unwrap();
        socket.connect(&address.into()).unwrap();
        Client::from(TcpStream::from(socket))
    }

    /// Connects from this address.
    #[track_caller]
    #[allow(dead_code, reason = "not every tree of tests does")]
    pub(crate) fn connect_from(local: SocketAddr, address: SocketAddr) -> Client {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.bind(&local.into()).unwrap();
        socket.connect(&address.into()).unwrap();
        Client::from(TcpStream::from(socket))
    }

    fn from(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream }
    }

    /// The address that the server sees, as `IP:PORT`.
    pub(crate) fn name(&self) -> String {
        self.address().to_string()
    }

    /// The IP address that the server sees.
    pub(crate) fn ip(&self) -> IpAddr {
        self.address().ip()
    }

    /// The port that the server sees.
    pub(crate) fn port(&self) -> u16 {
        self.address().port()
    }

    fn address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Sends all of it.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends one urgent byte.
    #[track_caller]
    pub(crate) fn send_urgent(&mut self, byte: u8) {
        assert_eq!(SockRef::from(&self.stream).send_out_of_band(&[byte]).unwrap(), 1);
    }

    /// Sends this over and over until the server takes no more: nothing for a while, or it has ended the connection.
    pub(crate) fn send_until_stuck(&mut self, bytes: &[u8]) {
        self.stream.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
        while self.stream.write(bytes).is_ok() {}
    }

    /// Sends all of it, where the connection still takes it.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Takes some of what has come; false at the end.
    pub(crate) fn take_some(&mut self) -> bool {
        self.stream.read(&mut [0; 65536]).is_ok_and(|count| count > 0)
    }

    /// The next bytes must be exactly these.
    #[track_caller]
    pub(crate) fn expect(&mut self, wanted: impl AsRef<[u8]>) {
        let wanted = wanted.as_ref();
        let mut got = Vec::new();
        let outcome = (&self.stream).take(wanted.len() as u64).read_to_end(&mut got);
        let got = got.escape_ascii();
        assert_eq!(got.to_string(), wanted.escape_ascii().to_string(), "after which: {outcome:?}");
    }

    /// Sends one message and expects the answer.
    #[track_caller]
    pub(crate) fn exchange(&mut self, message: impl AsRef<[u8]>, answer: impl AsRef<[u8]>) {
        self.send(message);
        self.expect(answer);
    }

    /// The server must end the stream cleanly, with nothing before the end and no reset.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let rest = self.read_to_end();
        assert!(rest.is_empty(), "before the end came {}", rest.escape_ascii());
    }

    /// These bytes, then a clean end.
    #[track_caller]
    pub(crate) fn expect_last(&mut self, wanted: impl AsRef<[u8]>) {
        let rest = self.read_to_end();
        assert_eq!(rest.escape_ascii().to_string(), wanted.as_ref().escape_ascii().to_string());
    }

    /// Everything up to a clean end.
    #[track_caller]
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        self.try_read_to_end().unwrap_or_else(|error| panic!("no clean end but {error}"))
    }

    /// Everything up to the end, which may be a reset.
    pub(crate) fn try_read_to_end(&mut self) -> std::io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }

    /// Nothing may have come so far, and the connection must be open.
    #[track_caller]
    pub(crate) fn expect_nothing_yet(&self) {
        self.stream.set_nonblocking(true).unwrap();
        let outcome = self.stream.peek(&mut [0; 64]);
        self.stream.set_nonblocking(false).unwrap();
        assert_eq!(outcome.map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    }

    /// Shuts the writing side; reading goes on.
    #[track_caller]
    pub(crate) fn finish_writing(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Shuts both sides, so that nobody who uses this connection waits any longer.
    pub(crate) fn give_up(&self) {
        // Where the server has ended it already, there is nothing to shut.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Ends the connection with a reset.
    #[track_caller]
    pub(crate) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// A second handle to the same connection, to write from another thread.
    #[track_caller]
    pub(crate) fn clone_handle(&self) -> Client {
        Client { stream: self.stream.try_clone().unwrap() }
    }
}
