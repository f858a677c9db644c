//! The two programs, tested through their front doors: sockets, pipes, terminals and signals.
//!
//! One crate, so that it links once; one behaviour a module; names are sentences.
#![cfg(all(unix, feature = "programs"))]
#![allow(clippy::unwrap_used)]

mod harness;

mod fairness;
mod idle;
mod interop;
mod json;
mod limits;
mod listening;
mod operator;
mod screen;
mod shutdown;
mod single_thread;
mod stdin;
mod transcript_en;
mod transcript_text;
mod transcript_zh;
mod usage;
mod wire_bytes;
mod wire_frames;
mod wire_udp;
