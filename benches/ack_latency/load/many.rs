//! Many connections: a poll loop.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Instant;

use mio::event::Source;
use mio::{Events, Interest, Poll, Token, net};

use super::{PATIENCE, Recorder, Sample, Socket, uninterrupted, wrong};
use crate::row::Row;

pub(super) fn exchange(row: &Row, sockets: Vec<Socket>, mut recorder: Recorder<'_>) -> io::Result<Sample> {
    let (message, reply) = (row.message(), row.reply());
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(sockets.len());
    let mut flows: Vec<_> = sockets.into_iter().map(Flow::new).collect::<io::Result<_>>()?;
    for (index, flow) in flows.iter_mut().enumerate() {
        poll.registry().register(flow.source(), Token(index), Interest::READABLE)?;
        flow.send(&message, Instant::now())?;
    }
    // Everybody's last message is acknowledged, too.
    let mut waiting = flows.len();
    let mut buffer = vec![0; reply.len()];
    while waiting > 0 {
        uninterrupted(|| poll.poll(&mut events, Some(PATIENCE)))?;
        if events.is_empty() {
            return Err(ErrorKind::TimedOut.into());
        }
        for event in &events {
            let flow = &mut flows[event.token().0];
            if !flow.receive(&reply, &mut buffer)? {
                continue;
            }
            let acknowledged = Instant::now();
            if recorder.record(flow.sent, acknowledged) {
                flow.send(&message, acknowledged)?;
            } else {
                waiting -= 1;
            }
        }
    }
    Ok(recorder.finish())
}

/// One connection and what it has in flight.
struct Flow {
    socket: Nonblocking,
    sent: Instant,
    /// How much of the reply has come.
    received: usize,
}

enum Nonblocking {
    Tcp(net::TcpStream),
    Udp(net::UdpSocket),
}

impl Flow {
    fn new(socket: Socket) -> io::Result<Flow> {
        let socket = match socket {
            Socket::Tcp(stream) => {
                TcpStream::set_nonblocking(&stream, true)?;
                Nonblocking::Tcp(net::TcpStream::from_std(stream))
            }
            Socket::Udp(socket) => {
                UdpSocket::set_nonblocking(&socket, true)?;
                Nonblocking::Udp(net::UdpSocket::from_std(socket))
            }
        };
        Ok(Flow { socket, sent: Instant::now(), received: 0 })
    }

    fn source(&mut self) -> &mut dyn Source {
        match &mut self.socket {
            Nonblocking::Tcp(stream) => stream,
            Nonblocking::Udp(socket) => socket,
        }
    }

    /// Sends what is in flight at a time: so little that there is always room.
    fn send(&mut self, message: &[u8], now: Instant) -> io::Result<()> {
        (self.sent, self.received) = (now, 0);
        match &mut self.socket {
            Nonblocking::Tcp(stream) => stream.write_all(message),
            Nonblocking::Udp(socket) => socket.send(message).map(|_| ()),
        }
    }

    /// Takes what has come. Whether that made the reply whole; nothing can follow it before the next message.
    fn receive(&mut self, reply: &[u8], buffer: &mut [u8]) -> io::Result<bool> {
        while self.received < reply.len() {
            let outcome = match &mut self.socket {
                Nonblocking::Tcp(stream) => stream.read(buffer),
                Nonblocking::Udp(socket) => socket.recv(buffer),
            };
            let got = match outcome {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => &buffer[..len],
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            if !reply[self.received..].starts_with(got) {
                return Err(wrong(got));
            }
            self.received += got.len();
        }
        Ok(true)
    }
}
