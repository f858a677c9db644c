//! Step 4: what does not go out waits, and who takes nothing is not read.
#![allow(clippy::print_stdout)]

use std::io::{self, ErrorKind, Read, Write};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

const LISTENER: Token = Token(usize::MAX);
const STDIN: Token = Token(usize::MAX - 1);

struct Client {
    stream: TcpStream,
    owed: Vec<u8>,
}

#[rustfmt::skip] // to be seen at a glance
fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:6666".into());
    let mut listener = TcpListener::bind(address.parse().map_err(io::Error::other)?)?;
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1024));
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    #[cfg(unix)]
    poll.registry().register(&mut mio::unix::SourceFd(&0), STDIN, Interest::READABLE)?;
    let mut clients: Slab<Client> = Slab::new();
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                LISTENER => while let Ok((mut stream, _)) = listener.accept() {
                    let place = clients.vacant_entry();
                    poll.registry().register(&mut stream, Token(place.key()), Interest::READABLE | Interest::WRITABLE)?;
                    place.insert(Client { stream, owed: Vec::new() });
                },
                STDIN => {
                    println!("server is shutting down");
                    for (_, client) in &mut clients {
                        client.owed.extend(b"server is shutting down\n");
                        let _ = client.flush();
                    }
                    return Ok(());
                }
                Token(key) => if clients[key].serve(key).is_err() { drop(clients.remove(key)); },
            }
        }
    }
}

impl Client {
    #[rustfmt::skip]
    fn serve(&mut self, key: usize) -> io::Result<()> {
        let mut buffer = [0; 4096];
        while self.flush()? { // where it stops, it goes on with the event that says "writable"
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => for _ in buffer[..read].iter().filter(|byte| **byte == b'\n') {
                    println!("{key} sent a line");
                    self.owed.extend(b"ACK\n");
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether all that is owed has gone out.
    fn flush(&mut self) -> io::Result<bool> {
        while !self.owed.is_empty() {
            match self.stream.write(&self.owed) {
                Ok(written) => drop(self.owed.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
