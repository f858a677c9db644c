//! The whole idea in seventy lines. Where a number stands, a line holds by luck alone.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

const TCP: Token = Token(usize::MAX);
const UDP: Token = Token(usize::MAX - 1);
const STDIN: Token = Token(usize::MAX - 2);
const IDLE: Duration = Duration::from_secs(30);

#[rustfmt::skip] // each number stays on its line
fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:6666".into());
    let address = address.parse().map_err(io::Error::other)?;
    let (mut listener, mut udp) = (TcpListener::bind(address)?, UdpSocket::bind(address)?);
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1024));
    poll.registry().register(&mut listener, TCP, Interest::READABLE)?;
    poll.registry().register(&mut udp, UDP, Interest::READABLE)?;
    #[cfg(unix)]
    poll.registry().register(&mut mio::unix::SourceFd(&0), STDIN, Interest::READABLE)?; // (1)
    let mut clients: Slab<(TcpStream, Instant)> = Slab::new();
    let mut buffer = [0; 65_536];
    loop {
        let next_cut = clients.iter().map(|(_, (_, heard))| *heard + IDLE).min(); // (2)
        let timeout = next_cut.map(|cut| cut.saturating_duration_since(Instant::now()));
        poll.poll(&mut events, timeout)?; // (3) (4)
        let now = Instant::now();
        let mut gone = Vec::new();
        for event in &events {
            match event.token() {
                TCP => {
                    while let Ok((mut client, _)) = listener.accept() { // (5) (6)
                        let place = clients.vacant_entry();
                        poll.registry().register(&mut client, Token(place.key()), Interest::READABLE)?; // (10)
                        place.insert((client, now)); // (7)
                    }
                }
                UDP => {
                    while let Ok((_, peer)) = udp.recv_from(&mut buffer) { // (5)
                        udp.send_to(b"check", peer)?; // (8)
                    }
                }
                STDIN => { // (9)
                    for (_, (client, _)) in &mut clients {
                        client.write_all(b"server is shutting down")?; // (10)
                    }
                    return Ok(()); // (11)
                }
                Token(key) => {
                    let (client, heard) = &mut clients[key];
                    loop { // (5)
                        match client.read(&mut buffer) {
                            Ok(1..) => client.write_all(b"ACK")?, // (10) (12)
                            Err(error) if error.kind() == ErrorKind::WouldBlock => break *heard = now, // (13)
                            _ => break gone.push(key), // (7)
                        }
                    }
                }
            }
        }
        for (key, (client, heard)) in &mut clients { // (2)
            if *heard + IDLE <= now {
                client.write_all(b"idle timeout")?; // (10)
                gone.push(key);
            }
        }
        gone.sort_unstable();
        gone.dedup();
        gone.into_iter().for_each(|key| drop(clients.remove(key))); // (11)
    }
}
