//! An acknowledgement server and client for TCP and UDP, each **one thread
//! around one [`mio`] poll loop**.
//!
//! The server answers every TCP message with `ACK` and every datagram with
//! `check`, tells who came, what they said and why they left, cuts the silent,
//! and on shutdown tells and closes everyone. The client holds stdin and its
//! socket in the same kind of loop. The [`guide`] is the book about both.
//!
//! # The whole idea
//!
//! Listener, datagrams, connections, operator, deadlines: all of it is one
//! `poll`, and a slab that turns its tokens back into connections.
//!
//! ```no_run
#![doc = include_str!("guide/seventy_lines.rs")]
//! ```
//!
#![doc = include_str!("guide/seventy_lines.md")]
//!
//! # The same on the reactor
//!
//! What the crate has for other programs is its core: [`reactor`], [`wire`],
//! [`connection`] and [`roster`]. A server in a page acknowledges every line
//! and starves nobody (what becomes of a failing accept, of those who owe or are
//! owed something at the end, and of the end itself is what the programs add):
//!
//! ```no_run
//! use std::io;
//!
//! use ack_reactor::connection::{Connection, Inbox, Pulled, buffer};
//! use ack_reactor::reactor::{Key, Reactor, Slots, Source, stream_interest};
//! use ack_reactor::wire::{Decoder, Framing, Owed};
//! use mio::{Interest, net::TcpListener};
//!
//! #[derive(Clone, Copy, Debug, PartialEq, Eq)]
//! enum Who {
//!     Listener,
//!     Peer(Key),
//! }
//!
//! impl Source for Who {
//!     const SINGLE: &'static [Who] = &[Who::Listener];
//!
//!     fn of_key(key: Key) -> Who {
//!         Who::Peer(key)
//!     }
//!
//!     fn key(self) -> Option<Key> {
//!         if let Who::Peer(key) = self { Some(key) } else { None }
//!     }
//! }
//!
//! fn main() -> io::Result<()> {
//!     let (mut reactor, mut peers, mut buffer) = (Reactor::new()?, Slots::new(), buffer());
//!     let mut listener = TcpListener::bind(([127, 0, 0, 1], 6666).into())?;
//!     reactor.registry().register(&mut listener, Who::Listener.token(), Interest::READABLE)?;
//!     loop {
//!         reactor.wait(None)?;
//!         while let Some(mut slice) = reactor.next_slice() {
//!             match slice.source() {
//!                 Who::Listener => while slice.budget.may_tell() && let Ok((stream, _)) = listener.accept() {
//!                     slice.budget.spend(1);
//!                     peers.insert_with(|key| {
//!                         let mut connection = Connection::new(stream);
//!                         reactor.registry().register(&mut connection, Who::Peer(key).token(), stream_interest())?;
//!                         Ok((connection, Inbox::new(Decoder::new(Framing::Lines, 65_536)), Owed::new(Framing::Lines)))
//!                     })?;
//!                 },
//!                 Who::Peer(key) => if let Some((connection, inbox, owed)) = peers.get_mut(key) {
//!                     let mut reading = inbox.read(connection, &mut buffer, &mut slice.budget);
//!                     let stays = loop {
//!                         match reading.pull() {
//!                             Ok(Pulled::Item(_)) => owed.acknowledge(1),
//!                             Ok(Pulled::Part) => {}
//!                             Ok(Pulled::Drained | Pulled::CutOff) => break true,
//!                             _ => break false,
//!                         }
//!                     };
//!                     drop(reading);
//!                     if connection.flush(owed).is_err() || !stays {
//!                         peers.remove(key);
//!                     }
//!                 },
//!             }
//!             reactor.put_back(slice);
//!         }
//!     }
//! }
//! ```
//!
//! # The way of the data
//!
//! ```text
//! wait ─> event ─> slice ─> Connection::fill ─> Decoder::next ─> Owed ─> Connection::flush
//!                                                    │
//!                                                    └─> Event ─> journal ─> screen
//! ```
//!
//! # The turn
//!
//! `Server::run` is a short list of names: wait, serve slices (signals first,
//! the new before the old, each bounded in work, all of them in time), sweep
//! who is due, reap the doomed. A shutdown is the same turn in another state.
//! Time is a value: read before each slice and handed down.
//!
//! # The rooms
//!
//! A file imports from its own floor or from those below. Read them upwards.
//! Those without a link are no part of what is promised to other crates, and
//! all of them but `escape` and `trace` are the programs' (feature `programs`,
//! on by default): without it the crate is the core alone and stands on mio,
//! slab and log.
//!
//! | floor | room | what it is |
//! |---|---|---|
//! | 0 | [`wire`] | the words, the framings (bytes in, messages out), and what a peer is owed |
//! | | `escape` | outside bytes made safe to print, reversibly |
//! | | `error` | what failed, where, and its exit code |
//! | | `trace` | a turn, told while it happens |
//! | | `latency` | samples in, honest percentiles out |
//! | | `mtu` | how much a path takes in one piece: the don't-fragment bit, and what the system knows |
//! | 1 | [`reactor`] | the one poll loop: sources and tokens, slices and the ready queue, slots with generations, keys in order of their last touch, times finer than a millisecond |
//! | | [`connection`] | one TCP connection, the same type on both ends, and its inbox |
//! | | `datagrams` | one UDP socket: batches in, answers out |
//! | | `stdio` | stdin, stdout and stderr that never block and that nobody else notices |
//! | 2 | [`roster`] | the server's connections, their deadlines, the one door out |
//! | | `transcript` | every event, every sentence people read, and the journal of them on its screen |
//! | | `process` | signals, limits, and the set-up that both programs and every mode share |
//! | 3 | `server`, `client` | what each source means to them |
//! | 4 | `cli` | words on the command line |

#[cfg(feature = "programs")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "programs")]
#[doc(hidden)]
pub mod client;
pub mod connection;
#[cfg(feature = "programs")]
#[doc(hidden)]
pub mod datagrams;
#[cfg(feature = "programs")]
#[doc(hidden)]
pub mod error;
#[doc(hidden)]
pub mod escape;
#[cfg(doc)]
pub mod guide;
#[cfg(feature = "programs")]
#[doc(hidden)]
pub mod latency;
#[cfg(feature = "programs")]
#[doc(hidden)]
pub mod mtu;
#[cfg(feature = "programs")]
#[doc(hidden)]
pub mod process;
pub mod reactor;
pub mod roster;
#[cfg(feature = "programs")]
#[doc(hidden)]
pub mod server;
#[cfg(feature = "programs")]
#[doc(hidden)]
pub mod stdio;
#[doc(hidden)]
pub mod trace;
#[cfg(feature = "programs")]
#[doc(hidden)]
pub mod transcript;
pub mod wire;
