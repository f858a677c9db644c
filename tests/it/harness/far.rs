//! Far ends that do exactly what a test tells them: plain sockets in the place of the server.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::{Closing, DEADLINE, close, private_loopback, wait_until};

/// How long a test watches before it believes that nothing comes.
const QUIET: Duration = Duration::from_millis(150);

/// A TCP port on which the test answers.
pub(crate) struct FarTcp {
    listener: Closing<TcpListener>,
    kept: Kept,
}

/// Connections that stay open as long as their port.
type Kept = Rc<RefCell<Vec<TcpStream>>>;

impl FarTcp {
    /// At an address of its own: the same port of the other protocol is nobody's.
    #[track_caller]
    pub(crate) fn new() -> FarTcp {
        FarTcp::on(closed_port(private_loopback()))
    }

    /// On this address.
    #[track_caller]
    pub(crate) fn on(address: SocketAddr) -> FarTcp {
        // Whoever was there before may still be about to leave.
        let listener = wait_until("the port", || TcpListener::bind(address).ok());
        listener.set_nonblocking(true).unwrap();
        FarTcp { listener: listener.into(), kept: Kept::default() }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The next connection. It stays open when the test lets go of it, as long as this port.
    #[track_caller]
    pub(crate) fn accept(&self) -> Caller {
        let stream = wait_until("a connection", || self.try_accept());
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Caller { stream: Some(stream), kept: Rc::clone(&self.kept) }
    }

    /// Nobody may have connected so far.
    #[track_caller]
    pub(crate) fn expect_nobody(&self) {
        assert!(self.try_accept().is_none(), "somebody has connected");
    }

    fn try_accept(&self) -> Option<TcpStream> {
        match self.listener.accept() {
            Ok((stream, _)) => Some(stream),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The far end's side of one connection.
pub(crate) struct Caller {
    stream: Option<TcpStream>,
    kept: Kept,
}

impl Caller {
    /// The next bytes must be exactly these.
    #[track_caller]
    pub(crate) fn expect(&mut self, wanted: impl AsRef<[u8]>) {
        let wanted = wanted.as_ref();
        let mut got = Vec::new();
        let outcome = self.stream().take(wanted.len() as u64).read_to_end(&mut got);
        assert_eq!(got.escape_ascii().to_string(), wanted.escape_ascii().to_string(), "after which: {outcome:?}");
    }

    /// Nothing more comes, and the connection is open.
    #[track_caller]
    pub(crate) fn expect_nothing(&mut self) {
        self.stream().set_read_timeout(Some(QUIET)).unwrap();
        let outcome = self.stream().peek(&mut [0; 64]).map_err(|error| error.kind());
        self.stream().set_read_timeout(Some(DEADLINE)).unwrap();
        assert_eq!(outcome, Err(ErrorKind::WouldBlock));
    }

    /// The client says nothing more: the stream ends, cleanly.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.stream().read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty(), "before the end came {}", rest.escape_ascii());
    }

    /// Sends these bytes in one write.
    #[track_caller]
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream().write_all(bytes.as_ref()).unwrap();
    }

    /// Expects these bytes and says those.
    #[track_caller]
    pub(crate) fn answer(&mut self, wanted: impl AsRef<[u8]>, answer: impl AsRef<[u8]>) {
        self.expect(wanted);
        self.say(answer);
    }

    /// Says these last bytes and closes: the end of the stream, not a reset.
    #[track_caller]
    pub(crate) fn close_with(mut self, last: impl AsRef<[u8]>) {
        self.finish_with(last);
        // What the client has still to say is taken, so that nothing of ours is lost to a reset.
        let _ = self.into_stream().read_to_end(&mut Vec::new());
    }

    /// Says these last bytes and ends only its own side of the stream.
    #[track_caller]
    pub(crate) fn finish_with(&mut self, last: impl AsRef<[u8]>) {
        self.say(last);
        self.stream().shutdown(Shutdown::Write).unwrap();
    }

    /// Ends the connection with a reset.
    #[track_caller]
    pub(crate) fn reset(self) {
        SockRef::from(&self.into_stream()).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// The socket itself, for a thread of the test.
    pub(crate) fn into_stream(mut self) -> TcpStream {
        self.stream.take().unwrap()
    }

    fn stream(&self) -> &TcpStream {
        self.stream.as_ref().unwrap()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.kept.borrow_mut().extend(self.stream.take());
    }
}

/// A TCP address that answers no attempt to connect: its backlog is full.
pub(crate) struct Mute {
    listener: Socket,
    backlog: Vec<Socket>,
}

impl Mute {
    /// On this address; port 0 is a free one.
    #[track_caller]
    pub(crate) fn on(address: SocketAddr) -> Mute {
        let listener = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        listener.set_reuse_address(true).unwrap();
        wait_until("the port", || listener.bind(&address.into()).ok());
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let fill = |_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            // Those that find no place wait, as the client under test will.
            let _ = socket.connect(&address);
            socket
        };
        let backlog = (0..4).map(fill).collect();
        thread::sleep(Duration::from_millis(20));
        Mute { listener, backlog }
    }

    /// Where nobody answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap().as_socket().unwrap()
    }

    /// Empties its backlog and takes in the one who has been waiting: the system tries again after a second.
    #[track_caller]
    pub(crate) fn admit(mut self) -> TcpStream {
        let port = |address: SockAddr| address.as_socket().unwrap().port();
        let ours: Vec<u16> = self.backlog.drain(..).map(|socket| port(socket.local_addr().unwrap())).collect();
        self.listener.set_nonblocking(true).unwrap();
        let admitted = wait_until("the one who waits", || {
            self.listener.accept().ok().filter(|(_, from)| !ours.contains(&port(from.clone())))
        });
        admitted.0.into()
    }
}

/// A UDP port on which the test answers.
pub(crate) struct FarUdp {
    socket: Closing<UdpSocket>,
}

impl FarUdp {
    /// On a free port of an address to which nobody else sends: what is late for another test's port does not come here.
    #[track_caller]
    pub(crate) fn new() -> FarUdp {
        FarUdp::on(closed_port(private_loopback()))
    }

    /// On this address.
    #[track_caller]
    pub(crate) fn on(address: SocketAddr) -> FarUdp {
        let socket = bound_udp(address);
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        FarUdp { socket: socket.into() }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// The next datagram must be this one; gives its source.
    #[track_caller]
    pub(crate) fn expect(&self, wanted: impl AsRef<[u8]>) -> SocketAddr {
        let mut buffer = vec![0; 65536];
        let (count, from) = self.socket.recv_from(&mut buffer).unwrap();
        assert_eq!(buffer[..count].escape_ascii().to_string(), wanted.as_ref().escape_ascii().to_string());
        from
    }

    /// The next datagram and its source.
    #[allow(dead_code, reason = "not every tree of tests pings")]
    #[track_caller]
    pub(crate) fn receive(&self) -> (SocketAddr, Vec<u8>) {
        let mut buffer = vec![0; 65536];
        let (count, from) = self.socket.recv_from(&mut buffer).unwrap();
        (from, buffer[..count].to_vec())
    }

    /// Nothing more comes.
    #[track_caller]
    pub(crate) fn expect_nothing(&self) {
        self.socket.set_read_timeout(Some(QUIET)).unwrap();
        let outcome = self.socket.recv(&mut [0; 64]).map_err(|error| error.kind());
        self.socket.set_read_timeout(Some(DEADLINE)).unwrap();
        assert_eq!(outcome, Err(ErrorKind::WouldBlock));
    }

    /// Sends a datagram.
    #[track_caller]
    pub(crate) fn say(&self, to: SocketAddr, bytes: impl AsRef<[u8]>) {
        // Nobody there any more is no concern of the one who answers.
        let _ = self.socket.send_to(bytes.as_ref(), to);
    }

    /// Expects one datagram and answers it; gives its source.
    #[track_caller]
    pub(crate) fn answer(&self, wanted: impl AsRef<[u8]>, answer: impl AsRef<[u8]>) -> SocketAddr {
        let from = self.expect(wanted);
        self.say(from, answer);
        from
    }
}

/// A port of this address on which nobody listens, TCP or UDP. It is none of those that systems give away: whoever asks
/// for any port of every address does not get it.
#[track_caller]
pub(crate) fn closed_port(ip: IpAddr) -> SocketAddr {
    const PORTS: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let addresses = (0..PORTS).map(|_| {
        let number = std::process::id().wrapping_mul(101).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        SocketAddr::new(ip, 10_000 + (number % PORTS) as u16)
    });
    let is_free = |address: &SocketAddr| {
        let bound = (TcpListener::bind(address), UdpSocket::bind(address));
        let free = bound.0.is_ok() && bound.1.is_ok();
        close(bound);
        free
    };
    addresses.into_iter().find(is_free).expect("no port is free")
}

/// A UDP socket at an address that was closed a moment ago: a program that is being started holds a copy until it runs.
#[track_caller]
pub(crate) fn bound_udp(address: SocketAddr) -> UdpSocket {
    wait_until("the port", || UdpSocket::bind(address).ok())
}

/// How long this takes.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = work();
    (value, start.elapsed())
}
