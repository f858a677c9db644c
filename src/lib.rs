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
#[cfg(doc)]
pub mod guide;
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
