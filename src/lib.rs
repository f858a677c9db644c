//! An acknowledgement server and client for TCP and UDP, each one thread around one mio poll loop.

pub mod connection;
#[cfg(feature = "programs")]
pub mod console;
#[cfg(feature = "programs")]
pub mod datagrams;
pub mod error;
pub mod escape;
#[cfg(feature = "programs")]
pub mod latency;
pub mod queue;
pub mod reactor;
pub mod roster;
#[cfg(feature = "programs")]
pub mod screen;
#[cfg(feature = "programs")]
pub mod signals;
#[cfg(feature = "programs")]
pub mod stdio;
#[cfg(feature = "programs")]
pub mod transcript;
pub mod wire;
