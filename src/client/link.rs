//! The way to one server address: a TCP connection or a connected UDP socket, behind the same few verbs.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::{TcpStream, UdpSocket};
use mio::{Interest, Registry, Token};

use crate::connection::{Connection, Fill};
use crate::reactor::{Ready, stream_interest};
use crate::wire::{CHECK, Decoder, End, Framing, LONGEST_MESSAGE, Notice, Protocol, Replies, Reply, TooLong};

/// A buffer that holds whatever one read brings, TCP or UDP.
pub const BUFFER: usize = 65_536;
/// A stream is read in pieces of this size: a reply may be one byte, its line two hundred, and all the lines of a piece
/// must fit into what may wait for a stdout that is stalled.
const PIECE: usize = 4096;

/// What a read from the server came to, apart from the replies in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// There may be more: read again.
    More,
    /// There is no more for now.
    Drained,
    /// The server has ended the stream.
    Ended,
}

/// A reply, once the buffer it stood in is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The acknowledgement of one message.
    Ack,
    /// The server's last word.
    Notice(Notice),
    /// Anything else.
    Wrong,
}

impl From<Reply<'_>> for Answer {
    fn from(reply: Reply<'_>) -> Answer {
        match reply {
            Reply::Ack => Answer::Ack,
            Reply::Notice(notice) => Answer::Notice(notice),
            Reply::Wrong(_) => Answer::Wrong,
        }
    }
}

/// A socket towards one address.
#[derive(Debug)]
pub struct Link {
    peer: SocketAddr,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Tcp { connection: Connection, replies: Replies },
    Udp(UdpSocket),
}

impl Link {
    /// Begins to connect to `peer`. UDP is there at once; TCP is when
    /// [`is_established`](Link::is_established) says so.
    ///
    /// # Errors
    /// The system has no socket, or knows at once that there is no way.
    pub fn open(protocol: Protocol, peer: SocketAddr, framing: Framing) -> io::Result<Link> {
        let way = match protocol {
            Protocol::Tcp => {
                let decoder = Decoder::new(framing, LONGEST_MESSAGE);
                let connection = Connection::new(TcpStream::connect(peer)?, decoder);
                Way::Tcp { connection, replies: Replies::new(framing) }
            }
            Protocol::Udp => {
                let any: SocketAddr = match peer {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(peer)?;
                Way::Udp(socket)
            }
        };
        Ok(Link { peer, way })
    }

    /// Registers the socket, for good.
    ///
    /// # Errors
    /// The poll does not take it.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.way {
            Way::Tcp { connection, .. } => registry.register(connection, token, stream_interest()),
            Way::Udp(socket) => registry.register(socket, token, Interest::READABLE | Interest::WRITABLE),
        }
    }

    /// Where it leads.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// TCP or UDP.
    pub fn protocol(&self) -> Protocol {
        match self.way {
            Way::Tcp { .. } => Protocol::Tcp,
            Way::Udp(_) => Protocol::Udp,
        }
    }

    /// The port of our end.
    pub fn local_port(&self) -> Option<u16> {
        let address = match &self.way {
            Way::Tcp { connection, .. } => connection.stream().local_addr(),
            Way::Udp(socket) => socket.local_addr(),
        };
        address.ok().map(|address| address.port())
    }

    /// Whether the connection stands.
    ///
    /// # Errors
    /// It never will: refused, unreachable, or connected to itself (the system
    /// may choose the very port that nobody listens on as our own).
    pub fn is_established(&self) -> io::Result<bool> {
        let Way::Tcp { connection, .. } = &self.way else {
            return Ok(true);
        };
        let stream = connection.stream();
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(peer) if stream.local_addr().is_ok_and(|local| local == peer) => {
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            Ok(_) => {
                stream.set_nodelay(true)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends one message. False where a datagram finds no room: try again after
    /// the next event. TCP keeps what the socket does not take.
    ///
    /// # Errors
    /// The connection is broken, or an earlier datagram was refused at the far end.
    pub fn send(&mut self, message: &[u8]) -> io::Result<bool> {
        match &mut self.way {
            Way::Tcp { connection, .. } => {
                let mut framed = Vec::with_capacity(message.len() + 4);
                connection.decoder.framing().encode(message, &mut framed);
                connection.send(&framed)?;
                Ok(true)
            }
            Way::Udp(socket) => loop {
                match socket.send(message) {
                    Ok(_) => return Ok(true),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            },
        }
    }

    /// Sends what waits. Whether nothing waits any more.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn flush(&mut self) -> io::Result<bool> {
        match &mut self.way {
            Way::Tcp { connection, .. } => {
                connection.flush()?;
                Ok(!connection.output_waits())
            }
            Way::Udp(_) => Ok(true),
        }
    }

    /// Tells the server that no message will follow (TCP).
    pub fn half_close(&mut self) {
        if let Way::Tcp { connection, .. } = &mut self.way {
            connection.half_close();
        }
    }

    /// The beginning of a reply that has not become whole (TCP).
    pub fn unfinished(&self) -> Option<&[u8]> {
        match &self.way {
            Way::Tcp { connection, replies } => {
                let undecoded = connection.decoder.unfinished();
                replies.unfinished().or((!undecoded.is_empty()).then_some(undecoded))
            }
            Way::Udp(_) => None,
        }
    }

    /// One read; each reply in it is handed to `each`.
    ///
    /// # Errors
    /// The connection is broken, a datagram was refused at the far end, or
    /// (`InvalidData`) a reply is too long to be followed.
    pub fn receive(
        &mut self,
        buffer: &mut [u8],
        ready: Ready,
        mut each: impl FnMut(Reply<'_>),
    ) -> io::Result<Received> {
        match &mut self.way {
            Way::Udp(socket) => loop {
                match socket.recv(buffer) {
                    Ok(len) => {
                        each(datagram_reply(&buffer[..len]));
                        return Ok(Received::More);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Received::Drained),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            },
            Way::Tcp { connection, replies } => match connection.fill(&mut buffer[..PIECE], ready)? {
                Fill::Data { len, more } => {
                    let mut input = &buffer[..len];
                    loop {
                        match connection.decoder.next(&mut input) {
                            Ok(Some(message)) => replies.read(message, &mut each),
                            Ok(None) => break,
                            Err(TooLong) => {
                                each(Reply::Wrong(input));
                                let what = format!("a reply is longer than {LONGEST_MESSAGE} bytes");
                                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                            }
                        }
                    }
                    Ok(if more { Received::More } else { Received::Drained })
                }
                Fill::Drained => Ok(Received::Drained),
                Fill::Ended => {
                    match connection.decoder.end() {
                        Ok(End::Message(rest)) => replies.read(rest, &mut each),
                        Ok(End::CutShort(_)) => each(Reply::Wrong(connection.decoder.unfinished())),
                        Ok(End::Clean) | Err(TooLong) => {}
                    }
                    if let Some(rest) = replies.unfinished() {
                        each(Reply::Wrong(rest));
                    }
                    Ok(Received::Ended)
                }
            },
        }
    }
}

fn datagram_reply(bytes: &[u8]) -> Reply<'_> {
    match Notice::parse(bytes) {
        Some(notice) => Reply::Notice(notice),
        None if bytes == CHECK => Reply::Ack,
        None => Reply::Wrong(bytes),
    }
}
