//! The floor: the shortest way to acknowledge, blocking sockets of the standard library and no loop of events.
//!
//! Each connection has a thread of its own. What comes in is not looked at.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use crate::row::{Exchange, Row};

const ANY_PORT: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
/// More than any message.
const BUFFER: usize = 65_536;
/// Nobody is left to end this process: it does so by itself.
const ABANDONED: Duration = Duration::from_secs(20);

/// Acknowledges the messages of one row until nobody is there any more.
pub(crate) fn acknowledge(row: &Row) -> io::Result<()> {
    match row.exchange {
        Exchange::Tcp(_) => streams(row.connections, row.reply()),
        Exchange::Udp => datagrams(row.reply()),
    }
}

fn streams(connections: usize, reply: &'static [u8]) -> io::Result<()> {
    let listener = TcpListener::bind(ANY_PORT)?;
    writeln!(io::stdout(), "floor on {}", listener.local_addr()?)?;
    let mut threads = Vec::new();
    for _ in 0..connections {
        let (stream, _) = listener.accept()?;
        threads.push(thread::spawn(move || converse(stream, reply)));
    }
    for thread in threads {
        // However a conversation ended, the other side knows.
        let _ = thread.join();
    }
    Ok(())
}

fn converse(mut stream: TcpStream, reply: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER];
    while stream.read(&mut buffer)? > 0 {
        stream.write_all(reply)?;
    }
    Ok(())
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
