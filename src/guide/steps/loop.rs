//! Step 3: one thread that waits for everything at once.
#![allow(clippy::print_stdout)]

use std::io::{self, ErrorKind, Read, Write};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

const LISTENER: Token = Token(usize::MAX);
const STDIN: Token = Token(usize::MAX - 1);

#[rustfmt::skip] // to be seen at a glance
fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:6666".into());
    let mut listener = TcpListener::bind(address.parse().map_err(io::Error::other)?)?;
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1024));
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    #[cfg(unix)]
    poll.registry().register(&mut mio::unix::SourceFd(&0), STDIN, Interest::READABLE)?;
    let mut clients: Slab<TcpStream> = Slab::new();
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                LISTENER => while let Ok((mut stream, _)) = listener.accept() {
                    let place = clients.vacant_entry();
                    poll.registry().register(&mut stream, Token(place.key()), Interest::READABLE)?;
                    place.insert(stream);
                },
                STDIN => {
                    println!("server is shutting down");
                    for (_, client) in &mut clients {
                        let _ = client.write_all(b"server is shutting down\n");
                    }
                    return Ok(());
                }
                Token(key) => if let Err(error) = serve(&mut clients[key], key) {
                    println!("{key} left: {error}");
                    clients.remove(key);
                },
            }
        }
    }
}

/// Reads until there is no more: the event will not be repeated.
#[rustfmt::skip]
fn serve(client: &mut TcpStream, key: usize) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => for _ in buffer[..read].iter().filter(|byte| **byte == b'\n') {
                println!("{key} sent a line");
                client.write_all(b"ACK\n")?; // "not now" is an error, too
            },
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
