//! Step 1: one client after the other.
#![allow(clippy::print_stdout)]

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:6666".into());
    let listener = TcpListener::bind(address)?;
    loop {
        let (client, peer) = listener.accept()?;
        println!("{peer} connected");
        match serve(&client) {
            Ok(()) => println!("{peer} disconnected"),
            Err(error) => println!("{peer} failed: {error}"),
        }
    }
}

fn serve(mut client: &TcpStream) -> io::Result<()> {
    for line in BufReader::new(client).lines() {
        println!("{} sent: {}", client.peer_addr()?, line?); // it sleeps here until a line has come
        client.write_all(b"ACK\n")?;
    }
    Ok(())
}
