//! The way to one server address: a TCP connection or a connected UDP socket, behind the same few verbs.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::Interest;
use mio::net::{TcpStream, UdpSocket};

use super::stage::Source;
use crate::connection::{Connection, Inbox, Pulled, Reading};
use crate::reactor::{Budget, Key, Reactor, Source as _, stream_interest};
use crate::wire::{CHECK, Framing, LONGEST_MESSAGE, Message, Notice, Outbox, Output, Protocol, Replies, Reply, Stamp};

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

/// What a datagram says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datagram {
    /// A message was acknowledged.
    Check,
    /// A stamped probe was.
    Stamp(Stamp),
    /// The server's last word.
    Notice(Notice),
    /// Anything else.
    Wrong,
}

/// A socket towards one address.
#[derive(Debug)]
pub struct Link {
    peer: SocketAddr,
    key: Key,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Tcp { connection: Connection, inbox: Inbox<Replies>, outbox: Outbox },
    Udp(UdpSocket),
}

impl Link {
    /// Begins to connect to `peer`, and registers the socket under `key`. UDP is there at once; TCP is when
    /// [`is_established`](Link::is_established) says so.
    ///
    /// # Errors
    /// The system has no socket, or knows at once that there is no way; or the poll does not take it.
    pub fn open(
        protocol: Protocol,
        peer: SocketAddr,
        framing: Framing,
        key: Key,
        reactor: &Reactor<Source>,
    ) -> io::Result<Link> {
        let (registry, token) = (reactor.registry(), Source::Link(key).token());
        let way = match protocol {
            Protocol::Tcp => {
                let mut connection = Connection::new(TcpStream::connect(peer)?);
                registry.register(&mut connection, token, stream_interest())?;
                Way::Tcp { connection, inbox: Inbox::new(Replies::new(framing)), outbox: Outbox::default() }
            }
            Protocol::Udp => {
                let any: SocketAddr = match peer {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let mut socket = UdpSocket::bind(any)?;
                socket.connect(peer)?;
                registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
                Way::Udp(socket)
            }
        };
        Ok(Link { peer, key, way })
    }

    /// Where it leads.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The source that its events are.
    pub fn source(&self) -> Source {
        Source::Link(self.key)
    }

    /// Whether it is a connection.
    pub fn is_stream(&self) -> bool {
        matches!(self.way, Way::Tcp { .. })
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
            Way::Tcp { connection, inbox, outbox } => {
                outbox.push(inbox.decoder.framing(), message);
                connection.flush(outbox)?;
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
            Way::Tcp { connection, outbox, .. } => {
                connection.flush(outbox)?;
                Ok(outbox.is_empty())
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
    pub fn unfinished(&self) -> Option<Message<'_>> {
        match &self.way {
            Way::Tcp { inbox, .. } => inbox.decoder.unfinished(),
            Way::Udp(_) => None,
        }
    }

    /// The next datagram (UDP); `None` where there is none for now, or the slice is over.
    ///
    /// # Errors
    /// One of ours was refused at the far end. There may be more to receive.
    pub fn receive(&mut self, buffer: &mut [u8], budget: &mut Budget) -> io::Result<Option<Datagram>> {
        let Way::Udp(socket) = &mut self.way else {
            return Ok(None);
        };
        while budget.may_read() {
            budget.spend(1);
            match socket.recv(buffer) {
                Ok(len) => {
                    budget.spend_bytes(len);
                    let bytes = &buffer[..len];
                    return Ok(Some(match Stamp::parse(bytes) {
                        Some(stamp) => Datagram::Stamp(stamp),
                        None => match datagram_reply(bytes) {
                            Reply::Ack => Datagram::Check,
                            Reply::Notice(notice) => Datagram::Notice(notice),
                            Reply::Wrong(_) => Datagram::Wrong,
                        },
                    }));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Begins to pull replies through `buffer`, within `budget`.
    pub fn listen<'r>(&'r mut self, buffer: &'r mut [u8], budget: &'r mut Budget) -> Listening<'r> {
        match &mut self.way {
            Way::Tcp { connection, inbox, .. } => {
                Listening::Tcp { reading: inbox.read(connection, buffer, budget), last: Last::Ahead }
            }
            Way::Udp(socket) => Listening::Udp { socket, buffer, budget },
        }
    }

    /// All replies of a slice, appended to `answers` without their texts.
    ///
    /// # Errors
    /// As [`Listening::pull`]; what came before is in `answers`.
    pub fn hear(&mut self, buffer: &mut [u8], budget: &mut Budget, answers: &mut Vec<Answer>) -> io::Result<Heard> {
        let mut listening = self.listen(buffer, budget);
        loop {
            match listening.pull()? {
                Pulled::Item(reply) => answers.push(reply.into()),
                Pulled::Part | Pulled::TooLong => {}
                Pulled::Drained => return Ok(Heard::Drained),
                Pulled::CutOff => return Ok(Heard::CutOff),
                Pulled::Ended => return Ok(Heard::Ended),
            }
        }
    }
}

/// How far a slice of replies came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// There is no more for now.
    Drained,
    /// The slice is over, and there may be more.
    CutOff,
    /// The server has ended the stream.
    Ended,
}

/// A slice's worth of replies.
#[derive(Debug)]
pub enum Listening<'r> {
    /// Out of a stream.
    Tcp {
        /// What cuts them out.
        reading: Reading<'r, Replies>,
        /// How the stream ends.
        last: Last,
    },
    /// Each a datagram.
    Udp {
        /// The socket.
        socket: &'r mut UdpSocket,
        /// What a datagram is received into.
        buffer: &'r mut [u8],
        /// How many may be.
        budget: &'r mut Budget,
    },
}

/// How the end of a stream is told, one pull after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// It was not seen yet.
    Ahead,
    /// It was seen: the beginning of a reply may stand there.
    Rest,
    /// A reply that is too long begins here.
    Stuck,
    /// That was told, and nothing behind it can be followed.
    Broken,
    /// All was told.
    Over,
}

impl Listening<'_> {
    /// The next reply. The beginning of one that the stream's end cuts short is a wrong one.
    ///
    /// # Errors
    /// The connection is broken, a datagram was refused at the far end, or
    /// (`InvalidData`) a reply is too long to be followed.
    pub fn pull(&mut self) -> io::Result<Pulled<Reply<'_>>> {
        match self {
            Listening::Udp { socket, buffer, budget } => {
                while budget.may_read() {
                    match socket.recv(buffer) {
                        Ok(len) => {
                            budget.spend(1);
                            budget.spend_bytes(len);
                            return Ok(Pulled::Item(datagram_reply(&buffer[..len])));
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Pulled::Drained),
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => budget.spend(1),
                        Err(error) => return Err(error),
                    }
                }
                Ok(Pulled::CutOff)
            }
            Listening::Tcp { reading, last } => match *last {
                Last::Ahead => match reading.pull()? {
                    Pulled::TooLong => {
                        *last = Last::Stuck;
                        Ok(Pulled::Part)
                    }
                    Pulled::Ended => {
                        *last = Last::Rest;
                        Ok(Pulled::Part)
                    }
                    other => Ok(other),
                },
                Last::Rest => {
                    *last = Last::Over;
                    Ok(reading.last().map_or(Pulled::Ended, Pulled::Item))
                }
                Last::Stuck => {
                    *last = Last::Broken;
                    Ok(Pulled::Item(Reply::Wrong(reading.stuck_at())))
                }
                Last::Broken => {
                    let what = format!("a reply is longer than {LONGEST_MESSAGE} bytes");
                    Err(io::Error::new(io::ErrorKind::InvalidData, what))
                }
                Last::Over => Ok(Pulled::Ended),
            },
        }
    }
}

fn datagram_reply(bytes: &[u8]) -> Reply<'_> {
    match Notice::parse(bytes) {
        Some(notice) => Reply::Notice(notice),
        None if bytes == CHECK => Reply::Ack,
        None => Reply::Wrong(bytes.into()),
    }
}
