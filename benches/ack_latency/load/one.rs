//! One connection: a blocking socket, as a plain client would have it.

use std::io::{self, Read, Write};
use std::time::Instant;

use super::{Recorder, Sample, Socket, uninterrupted, wrong};
use crate::row::Row;

pub(super) fn exchange(row: &Row, socket: Socket, recorder: Recorder<'_>) -> io::Result<Sample> {
    match socket {
        Socket::Tcp(mut stream) => again_and_again(row, recorder, |message, reply| {
            stream.write_all(message)?;
            stream.read_exact(reply)
        }),
        Socket::Udp(socket) => again_and_again(row, recorder, |message, reply| {
            socket.send(message)?;
            let len = uninterrupted(|| socket.recv(reply))?;
            // What it did not overwrite is still the reply before.
            if len == reply.len() { Ok(()) } else { Err(wrong(&reply[..len])) }
        }),
    }
}

fn again_and_again(
    row: &Row,
    mut recorder: Recorder<'_>,
    mut exchange: impl FnMut(&[u8], &mut [u8]) -> io::Result<()>,
) -> io::Result<Sample> {
    let (message, wanted) = (row.message(), row.reply());
    let mut reply = vec![0; wanted.len()];
    let mut sent = Instant::now();
    loop {
        exchange(&message, &mut reply)?;
        let acknowledged = Instant::now();
        if reply != wanted {
            return Err(wrong(&reply));
        }
        if !recorder.record(sent, acknowledged) {
            return Ok(recorder.finish());
        }
        sent = acknowledged;
    }
}
