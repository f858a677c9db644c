//! Step 2: a thread for each client, and one for the keyboard.
#![allow(clippy::print_stdout)]

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:6666".into());
    let listener = TcpListener::bind(address)?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || serve(&client));
        }
    });
    io::stdin().read_line(&mut String::new())?; // Enter, or the end of input
    println!("server is shutting down");
    Ok(()) // and every thread ends where it sleeps
}

fn serve(mut client: &TcpStream) -> io::Result<()> {
    let peer = client.peer_addr()?;
    println!("{peer} connected");
    for line in BufReader::new(client).lines() {
        println!("{peer} sent: {}", line?);
        client.write_all(b"ACK\n")?;
    }
    println!("{peer} disconnected");
    Ok(())
}
