//! Short lives: a connection comes, says one message, is acknowledged, and goes.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::{PATIENCE, Recorder, Sample, wrong};
use crate::far::Far;
use crate::row::Row;

/// Source addresses in turn: a port that was used is not free again for a minute.
const SOURCES: u32 = 200;

/// Every other connection ends by a reset, the rest by a close.
pub(super) fn exchange(row: &Row, far: &Far, mut recorder: Recorder<'_>) -> io::Result<Sample> {
    let (message, wanted) = (row.message(), row.reply());
    let mut reply = vec![0; wanted.len()];
    for number in 0_u32.. {
        let began = Instant::now();
        let mut stream = connect(number, far.address)?;
        stream.write_all(&message)?;
        stream.read_exact(&mut reply)?;
        if reply != wanted {
            return Err(wrong(&reply));
        }
        if !recorder.record(began, Instant::now()) {
            break;
        }
    }
    Ok(recorder.finish())
}

fn connect(number: u32, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // Elsewhere loopback has one address only, and the ports of one will do for the time.
    if cfg!(target_os = "linux") {
        let source = Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + 1 + number % SOURCES);
        socket.bind(&SocketAddr::from((source, 0)).into())?;
    }
    socket.connect(&address.into())?;
    if number % 2 == 1 {
        socket.set_linger(Some(Duration::ZERO))?;
    }
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}
