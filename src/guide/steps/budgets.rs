//! Step 5: a slice for each that is ready, and then the next one's.
#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read};
use std::time::Duration;

use ack_reactor::connection::Connection;
use ack_reactor::wire::{Framing, Notice, Output, Owed};
use mio::{Events, Interest, Poll, Token, net::TcpListener};
use slab::Slab;

const LISTENER: Token = Token(usize::MAX);
const STDIN: Token = Token(usize::MAX - 1);

struct Client {
    connection: Connection,
    owed: Owed,
}

#[rustfmt::skip] // to be seen at a glance
fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:6666".into());
    let mut listener = TcpListener::bind(address.parse().map_err(io::Error::other)?)?;
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1024));
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    #[cfg(unix)]
    poll.registry().register(&mut mio::unix::SourceFd(&0), STDIN, Interest::READABLE)?;
    let (mut clients, mut ready) = (Slab::<Client>::new(), BTreeSet::new());
    loop {
        poll.poll(&mut events, (!ready.is_empty()).then_some(Duration::ZERO))?;
        for event in &events {
            match event.token() {
                LISTENER => while let Ok((stream, _)) = listener.accept() {
                    let (mut connection, owed) = (Connection::new(stream), Owed::new(Framing::Lines));
                    let place = clients.vacant_entry();
                    poll.registry().register(&mut connection, Token(place.key()), Interest::READABLE | Interest::WRITABLE)?;
                    place.insert(Client { connection, owed });
                },
                STDIN => {
                    println!("server is shutting down");
                    for (_, client) in &mut clients {
                        client.owed.say(Notice::ShuttingDown);
                        let _ = client.connection.flush(&mut client.owed);
                    }
                    return Ok(());
                }
                Token(key) => drop(ready.insert(key)),
            }
        }
        for key in std::mem::take(&mut ready) {
            match clients[key].serve(key) {
                Ok(false) => {} // the next event brings it back
                Ok(true) => drop(ready.insert(key)),
                Err(_) => drop(clients.remove(key)),
            }
        }
    }
}

impl Client {
    /// One slice: what waits, and one read. Whether there may be more.
    #[rustfmt::skip]
    fn serve(&mut self, key: usize) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        self.connection.flush(&mut self.owed)?;
        if !self.owed.is_empty() { return Ok(false); }
        match self.connection.stream().read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => for _ in buffer[..read].iter().filter(|byte| **byte == b'\n') {
                println!("{key} sent a line");
                self.owed.acknowledge(1);
            },
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(true)
    }
}
