//! The floor: the shortest way to acknowledge, blocking sockets of the standard library and no loop of events.
//!
//! Each connection has a thread of its own. What comes in is not looked at, unless a read may bring more or less than a
//! message: then its newlines are counted, and as many acknowledgements leave in one write.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use memchr::memchr_iter;

use crate::row::{Exchange, Row};

const ANY_PORT: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
/// More than any message; what the server reads at once, too.
const BUFFER: usize = 65_536;
/// Messages up to here come in one read each, if there is one at a time.
const WHOLE: usize = 1024;
/// Nobody is left to end this process: it does so by itself.
const ABANDONED: Duration = Duration::from_secs(20);

/// Acknowledges the messages of one row until nobody is there any more.
pub(crate) fn acknowledge(row: &Row) -> io::Result<()> {
    match row.exchange {
        Exchange::Tcp(_) if row.short => short_streams(row.acknowledgement()),
        Exchange::Tcp(_) => streams(row),
        Exchange::Udp => datagrams(row.acknowledgement()),
    }
}

fn streams(row: &Row) -> io::Result<()> {
    let (reply, counted) = (row.acknowledgement(), row.depth > 1 || row.size > WHOLE);
    let listener = TcpListener::bind(ANY_PORT)?;
    writeln!(io::stdout(), "floor on {}", listener.local_addr()?)?;
    let mut threads = Vec::new();
    for _ in 0..row.connections {
        let (stream, _) = listener.accept()?;
        threads.push(thread::spawn(move || if counted { count(stream, reply) } else { converse(stream, reply) }));
    }
    for thread in threads {
        // However a conversation ended, the other side knows.
        let _ = thread.join();
    }
    Ok(())
}

/// One after the other; whoever started this process ends it.
fn short_streams(reply: &[u8]) -> io::Result<()> {
    let listener = TcpListener::bind(ANY_PORT)?;
    writeln!(io::stdout(), "floor on {}", listener.local_addr()?)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        // However it ends, the other side knows.
        let _ = converse_through(&mut stream, reply, &mut buffer);
    }
}

fn converse(mut stream: TcpStream, reply: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    converse_through(&mut stream, reply, &mut vec![0; BUFFER])
}

fn converse_through(stream: &mut TcpStream, reply: &[u8], buffer: &mut [u8]) -> io::Result<()> {
    while stream.read(buffer)? > 0 {
        stream.write_all(reply)?;
    }
    Ok(())
}

fn count(mut stream: TcpStream, reply: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut buffer, replies) = (vec![0; BUFFER], reply.repeat(BUFFER));
    loop {
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        let messages = memchr_iter(b'\n', &buffer[..len]).count();
        if messages > 0 {
            stream.write_all(&replies[..messages * reply.len()])?;
        }
    }
}

fn datagrams(reply: &[u8]) -> io::Result<()> {
    let socket = UdpSocket::bind(ANY_PORT)?;
    socket.set_read_timeout(Some(ABANDONED))?;
    writeln!(io::stdout(), "floor on {}", socket.local_addr()?)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let (_, peer) = socket.recv_from(&mut buffer)?;
        socket.send_to(reply, peer)?;
    }
}
