//! The way to one server address: a TCP connection or a connected UDP socket, behind the same few verbs.

mod listening;

use std::io;
use std::net::SocketAddr;

use mio::Interest;
use mio::net::UdpSocket;
use socket2::SockRef;

pub use self::listening::{Last, Listening};
use super::origin::Origin;
use super::stage::Source;
use crate::connection::{Connection, Inbox, Pulled, is_reset};
use crate::datagrams::{Batch, Connected, Received, Refusal};
use crate::escape::cause;
use crate::mtu::{self, Fragments};
use crate::process::limits::Shortage;
use crate::reactor::{Budget, Key, Reactor, Source as _, stream_interest};
use crate::wire::{Framing, Message, Notice, Outbox, Output, Protocol, Replies, Reply, Stamp};

/// What may wait to be received at a port of stamped probes.
const RECEIVE_BUFFER: usize = 4 << 20;

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

impl Datagram {
    /// What these bytes say.
    pub fn parse(bytes: &[u8]) -> Datagram {
        match Stamp::parse(bytes) {
            Some(stamp) => Datagram::Stamp(stamp),
            None => match listening::datagram_reply(bytes) {
                Reply::Ack => Datagram::Check,
                Reply::Notice(notice) => Datagram::Notice(notice),
                Reply::Wrong(_) => Datagram::Wrong,
            },
        }
    }
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
    Udp(Connected),
}

impl Link {
    /// Begins to connect to `peer`, and registers the socket under `key`. UDP is there at once; TCP is when
    /// [`is_established`](Link::is_established) says so.
    ///
    /// # Errors
    /// The system knows at once that there is no way; or, as a [`Shortage`], it has no socket, no port, no room in the
    /// poll for us.
    pub fn open(
        protocol: Protocol,
        peer: SocketAddr,
        framing: Framing,
        origin: &Origin,
        key: Key,
        reactor: &Reactor<Source>,
    ) -> io::Result<Link> {
        origin.expect_zone(peer)?;
        let (registry, token) = (reactor.registry(), Source::Link(key).token());
        let way = match protocol {
            Protocol::Tcp => {
                let stream = origin.stream(peer).map_err(|error| match error.kind() {
                    // The ports may be gone, or there is no address that could have one: a datagram socket tells.
                    io::ErrorKind::AddrNotAvailable => udp(origin, peer).err().unwrap_or_else(|| Shortage::name(error)),
                    _ => Shortage::name(error),
                });
                let mut connection = Connection::new(stream?);
                registry.register(&mut connection, token, stream_interest()).map_err(Shortage::name)?;
                Way::Tcp { connection, inbox: Inbox::new(Replies::new(framing)), outbox: Outbox::default() }
            }
            Protocol::Udp => {
                let mut socket = udp(origin, peer)?;
                // Not writable as well: every datagram that leaves would come back as an event.
                registry.register(&mut socket, token, Interest::READABLE).map_err(Shortage::name)?;
                Way::Udp(Connected::new(socket))
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

    /// Lets as many datagrams wait to be received as the system grants: a far end that was frozen answers all at once.
    pub fn make_room(&self) {
        if let Way::Udp(connected) = &self.way {
            let socket = SockRef::from(connected.socket());
            if socket.recv_buffer_size().is_ok_and(|size| size < RECEIVE_BUFFER) {
                // Whoever may not has what there is.
                let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
            }
        }
    }

    /// How many datagrams found no room to be received: where the system tells.
    pub fn dropped(&self) -> Option<u64> {
        match &self.way {
            Way::Tcp { .. } => None,
            Way::Udp(connected) => connected.dropped(),
        }
    }

    /// How far what was sent has come (TCP): how much of it waits here for the system to take it, and how much the far end's
    /// system has taken, where ours tells.
    pub fn progress(&self) -> (usize, Option<u64>) {
        match &self.way {
            Way::Tcp { connection, outbox, .. } => (outbox.waiting(), mtu::taken(connection.stream())),
            Way::Udp(_) => (0, None),
        }
    }

    /// The port of our end.
    pub fn local_port(&self) -> Option<u16> {
        let address = match &self.way {
            Way::Tcp { connection, .. } => connection.stream().local_addr(),
            Way::Udp(connected) => connected.socket().local_addr(),
        };
        address.ok().map(|address| address.port())
    }

    /// Whether the connection stands.
    ///
    /// # Errors
    /// It never will: refused, unreachable, or connected to itself.
    pub fn is_established(&self) -> io::Result<bool> {
        let Way::Tcp { connection, .. } = &self.way else {
            return Ok(true);
        };
        let stream = connection.stream();
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(peer) if is_itself(stream.local_addr(), peer) => Err(io::ErrorKind::ConnectionRefused.into()),
            Ok(_) => {
                stream.set_nodelay(true)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Has what it sends be cut into fragments, or not (UDP).
    ///
    /// # Errors
    /// The system has no such option.
    pub fn hold_to(&self, fragments: Fragments) -> io::Result<()> {
        match &self.way {
            Way::Tcp { .. } => Ok(()),
            Way::Udp(connected) => mtu::set(connected.socket(), fragments),
        }
    }

    /// What its path takes in one piece, headers included, as far as the system has learnt.
    pub fn path_mtu(&self) -> Option<u32> {
        match &self.way {
            Way::Tcp { connection, .. } => mtu::path_mtu(connection.stream()),
            Way::Udp(connected) => mtu::path_mtu(connected.socket()),
        }
    }

    /// How many bytes a segment of it carries (TCP).
    pub fn segment(&self) -> Option<u32> {
        match &self.way {
            Way::Tcp { connection, .. } => mtu::segment(connection.stream()),
            Way::Udp(_) => None,
        }
    }

    /// Has an event tell when there is room for datagrams.
    ///
    /// # Errors
    /// The poll does not take it.
    pub fn await_room(&mut self, reactor: &Reactor<Source>) -> io::Result<()> {
        let token = self.source().token();
        match &mut self.way {
            Way::Tcp { .. } => Ok(()),
            Way::Udp(connected) => connected.await_room(reactor.registry(), token),
        }
    }

    /// Sends one message. False where a datagram finds no room, which can be [awaited](Link::await_room). TCP keeps what
    /// the socket does not take.
    ///
    /// # Errors
    /// The connection is broken, or the datagram has no way; or, as a [`Shortage`], nothing may leave from here.
    pub fn send(&mut self, message: &[u8]) -> io::Result<bool> {
        match &mut self.way {
            Way::Tcp { connection, inbox, outbox } => {
                outbox.push(inbox.decoder.framing(), message);
                connection.flush(outbox)?;
                Ok(true)
            }
            Way::Udp(connected) => connected.send(message).map_err(Shortage::name),
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

    /// Keeps nothing that the socket has not taken (TCP). Nothing whole can be sent by it any more.
    pub fn forget_unsent(&mut self) {
        if let Way::Tcp { outbox, .. } = &mut self.way {
            *outbox = Outbox::default();
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

    /// Whether nothing has come by it at all (TCP).
    pub fn is_mute(&self) -> bool {
        matches!(&self.way, Way::Tcp { inbox, .. } if inbox.decoder.is_silent())
    }

    /// The framing of the server, where what has come is what one with [another](Framing::mistaken_for) would send (TCP).
    pub fn other_framing(&self) -> Option<Framing> {
        match &self.way {
            Way::Tcp { inbox, .. } => inbox.decoder.other_framing(),
            Way::Udp(_) => None,
        }
    }

    /// Has the kernel tell when each datagram came, where it can.
    pub fn tell_times(&self) {
        if let Way::Udp(connected) = &self.way
            && let Err(error) = connected.tell_times()
        {
            log::debug!("the system does not tell when datagrams come: {}", cause(&error));
        }
    }

    /// Receives what waits, up to a batch of it, or one datagram `alone` (UDP).
    ///
    /// # Errors
    /// A datagram of ours did not arrive. There may be more to receive.
    pub fn receive(&mut self, alone: bool, batch: &mut Batch, budget: &mut Budget) -> Result<Received, Refusal> {
        match &mut self.way {
            Way::Tcp { .. } => Ok(Received::Drained),
            Way::Udp(connected) => connected.receive_batch(alone, batch, budget),
        }
    }

    /// Whether it is known that there is news of what did not arrive (UDP).
    pub fn has_news(&self) -> bool {
        matches!(&self.way, Way::Udp(connected) if connected.has_news())
    }

    /// Begins to pull replies through `buffer`, within `budget`.
    pub fn listen<'r>(&'r mut self, buffer: &'r mut [u8], budget: &'r mut Budget) -> Listening<'r> {
        match &mut self.way {
            Way::Tcp { connection, inbox, .. } => {
                Listening::Tcp { reading: inbox.read(connection, buffer, budget), last: Last::Ahead }
            }
            Way::Udp(connected) => Listening::Udp { connected, buffer, budget },
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

/// Why something did not arrive, or a connection ended, in a few words.
pub fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "closed".to_owned(),
        io::ErrorKind::ConnectionRefused => "refused".to_owned(),
        _ if is_reset(error) => "reset".to_owned(),
        _ => cause(error),
    }
}

/// A socket of its own for datagrams to `peer`.
fn udp(origin: &Origin, peer: SocketAddr) -> io::Result<UdpSocket> {
    let socket = origin.datagrams(peer)?;
    let no_way = |why| io::Error::new(io::ErrorKind::NetworkUnreachable, why);
    let may_broadcast = || socket.set_broadcast(true).and_then(|()| socket.connect(peer)).is_ok();
    socket.connect(peer).map_err(|error| match error.kind() {
        // It has a port already.
        io::ErrorKind::AddrNotAvailable => no_way("no address of this machine leads there"),
        io::ErrorKind::InvalidInput if origin.has_address() => origin.leads_elsewhere(),
        // Who asks everybody asks nobody; anything else that is forbidden stays so.
        io::ErrorKind::PermissionDenied if may_broadcast() => no_way("a broadcast address is no server's"),
        _ => Shortage::name(error),
    })?;
    match is_itself(socket.local_addr(), socket.peer_addr()?) {
        true => Err(io::ErrorKind::ConnectionRefused.into()),
        false => Ok(socket),
    }
}

/// Whether a socket is connected to itself: the system may choose the very port that nobody listens on as our own.
fn is_itself(local: io::Result<SocketAddr>, peer: SocketAddr) -> bool {
    local.is_ok_and(|local| local.port() == peer.port() && local.ip() == peer.ip())
}
