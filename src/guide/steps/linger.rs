//! Step 6: who was told goodbye is read on, and forgotten, until it has ended, too.
#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read};
use std::time::{Duration, Instant};

use ack_reactor::connection::Connection;
use ack_reactor::wire::{Framing, Notice, Output, Owed};
use mio::{Events, Interest, Poll, Token, net::TcpListener};
use slab::Slab;

const LISTENER: Token = Token(usize::MAX);
const STDIN: Token = Token(usize::MAX - 1);
const GRACE: Duration = Duration::from_secs(1);

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
    let (mut clients, mut ready, mut end) = (Slab::<Client>::new(), BTreeSet::new(), None);
    let mut door = Some(listener);
    while end.is_none_or(|end| !clients.is_empty() && Instant::now() < end) {
        let rest = end.map(|end| end.saturating_duration_since(Instant::now()));
        poll.poll(&mut events, if ready.is_empty() { rest } else { Some(Duration::ZERO) })?;
        for event in &events {
            match event.token() {
                LISTENER => while let Some(Ok((stream, _))) = door.as_ref().map(TcpListener::accept) {
                    let (mut connection, owed) = (Connection::new(stream), Owed::new(Framing::Lines));
                    let place = clients.vacant_entry();
                    poll.registry().register(&mut connection, Token(place.key()), Interest::READABLE | Interest::WRITABLE)?;
                    place.insert(Client { connection, owed });
                },
                STDIN if end.is_none() => {
                    println!("server is shutting down");
                    end = Some(Instant::now() + GRACE);
                    door = None; // nobody else is let in
                    for (key, client) in &mut clients {
                        client.owed.say(Notice::ShuttingDown);
                        ready.insert(key);
                    }
                }
                STDIN => {} // once is enough
                Token(key) => drop(ready.insert(key)),
            }
        }
        for key in std::mem::take(&mut ready) {
            match clients[key].serve(key, end.is_some()) {
                Ok(false) => {} // the next event brings it back
                Ok(true) => drop(ready.insert(key)),
                Err(_) => drop(clients.remove(key)),
            }
        }
    }
    Ok(())
}

impl Client {
    /// One slice: what waits, and one read. Whether there may be more.
    #[rustfmt::skip]
    fn serve(&mut self, key: usize, told: bool) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        self.connection.flush(&mut self.owed)?;
        if !self.owed.is_empty() { return Ok(false); }
        if told { self.connection.half_close(); }
        match self.connection.stream().read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) if told => {} // forgotten, so that closing finds nothing unread
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
