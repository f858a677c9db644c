//! An acknowledgement server and client for TCP and UDP, each **one thread
//! around one [`mio`] poll loop**.
//!
//! The server answers every TCP message with `ACK` and every datagram with
//! `check`, tells who came, what they said and why they left, cuts the silent,
//! and on shutdown tells and closes everyone. The client holds stdin and its
//! socket in the same kind of loop.
//!
//! # The whole idea
//!
//! Listener, datagrams, connections, operator, deadlines: all of it is one
//! `poll`, and a slab that turns its tokens back into connections.
//!
//! ```no_run
//! # #[cfg(unix)] mod unix {
//! use std::io::{self, ErrorKind, Read, Write};
//! use std::time::{Duration, Instant};
//!
//! use mio::net::{TcpListener, TcpStream, UdpSocket};
//! use mio::{Events, Interest, Poll, Token, unix::SourceFd};
//! use slab::Slab;
//!
//! const TCP: Token = Token(usize::MAX);
//! const UDP: Token = Token(usize::MAX - 1);
//! const STDIN: Token = Token(usize::MAX - 2);
//! const IDLE: Duration = Duration::from_secs(30);
//!
//! pub fn main() -> io::Result<()> {
//!     let address = ([127, 0, 0, 1], 6666).into();
//!     let (mut listener, mut udp) = (TcpListener::bind(address)?, UdpSocket::bind(address)?);
//!     let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1024));
//!     poll.registry().register(&mut listener, TCP, Interest::READABLE)?;
//!     poll.registry().register(&mut udp, UDP, Interest::READABLE)?;
//!     poll.registry().register(&mut SourceFd(&0), STDIN, Interest::READABLE)?;
//!     let mut clients: Slab<(TcpStream, Instant)> = Slab::new();
//!     let mut buffer = [0; 65_536];
//!     loop {
//!         let next_cut = clients.iter().map(|(_, (_, heard))| *heard + IDLE).min();
//!         let timeout = next_cut.map(|cut| cut.saturating_duration_since(Instant::now()));
//!         poll.poll(&mut events, timeout)?;
//!         let now = Instant::now();
//!         let mut gone = Vec::new();
//!         for event in &events {
//!             match event.token() {
//!                 TCP => {
//!                     while let Ok((mut client, _)) = listener.accept() {
//!                         let place = clients.vacant_entry();
//!                         poll.registry().register(&mut client, Token(place.key()), Interest::READABLE)?;
//!                         place.insert((client, now));
//!                     }
//!                 }
//!                 UDP => {
//!                     while let Ok((_, peer)) = udp.recv_from(&mut buffer) {
//!                         udp.send_to(b"check", peer)?;
//!                     }
//!                 }
//!                 STDIN => {
//!                     for (_, (client, _)) in &mut clients {
//!                         client.write_all(b"server is shutting down")?;
//!                     }
//!                     return Ok(()); // and everyone is closed
//!                 }
//!                 Token(key) => {
//!                     let (client, heard) = &mut clients[key];
//!                     loop {
//!                         match client.read(&mut buffer) {
//!                             Ok(1..) => client.write_all(b"ACK")?,
//!                             Err(error) if error.kind() == ErrorKind::WouldBlock => break *heard = now,
//!                             _ => break gone.push(key),
//!                         }
//!                     }
//!                 }
//!             }
//!         }
//!         for (key, (client, heard)) in &mut clients {
//!             if *heard + IDLE <= now {
//!                 client.write_all(b"idle timeout")?;
//!                 gone.push(key);
//!             }
//!         }
//!         gone.sort_unstable();
//!         gone.dedup();
//!         gone.into_iter().for_each(|key| drop(clients.remove(key)));
//!     }
//! }
//! # }
//! ```
//!
//! It works, until somebody resets a connection, reads too slowly, floods,
//! forges a datagram, pipes a file into it, stops its terminal, or takes its
//! last descriptor. The rest of this crate is what it takes to make it hold.
//!
//! # The way of the data
//!
//! ```text
//! wait ─> event ─> Source ─> Connection::fill ─> Decoder::next ─> ACK ─> send
//!                                                     │
//!                                                     └─> Event ─> transcript ─> screen
//! ```
//!
//! # The turn
//!
//! `Server::run` is a short list of names: wait, serve what is ready (signals
//! first, each source within a budget), sweep the idle, reap the doomed, flush
//! the screens. Time is a value: read after the wait and handed down.
//!
//! # The rooms
//!
//! A file imports only from floors below its own. Read them upwards.
//!
//! | floor | room | what it is |
//! |---|---|---|
//! | 0 | [`wire`] | the words, and the framings: bytes in, messages out |
//! | | [`escape`] | outside bytes made safe to print, reversibly |
//! | | [`error`] | what failed, where, and its exit code |
//! | | `latency` | samples in, honest percentiles out |
//! | 1 | [`reactor`] | the one poll loop: sources, tokens, the ready queue, keys in order of their last touch, times finer than a millisecond |
//! | | [`connection`] | one TCP connection, the same type on both ends |
//! | | `datagrams` | one UDP socket: batches in, answers out |
//! | | `stdio` | stdin, stdout and stderr that never block and that nobody else notices |
//! | | `process` | its signals, its limits |
//! | 2 | [`roster`] | the slab of connections, their deadlines, the one door out |
//! | | `transcript` | every event, every sentence people read, and the journal of them on its screen |
//! | 3 | `server`, `client` | what each source means to them |
//! | 4 | `cli` | words on the command line |
//!
//! Those without a link need the feature `programs` (on by default); without
//! it the crate is the core alone and stands on mio, slab and log.

#[cfg(feature = "programs")]
pub mod cli;
#[cfg(feature = "programs")]
pub mod client;
pub mod connection;
#[cfg(feature = "programs")]
pub mod datagrams;
pub mod error;
pub mod escape;
#[cfg(feature = "programs")]
pub mod latency;
#[cfg(feature = "programs")]
pub mod process;
pub mod reactor;
pub mod roster;
#[cfg(feature = "programs")]
pub mod server;
#[cfg(feature = "programs")]
pub mod stdio;
#[cfg(feature = "programs")]
pub mod transcript;
pub mod wire;
