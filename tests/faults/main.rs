//! What event loops die of, done to the two programs on purpose: readers that are deaf, slots that are reused, terminals
//! that hang up, a clock that jumps, forged datagrams, hostile bytes, servers that vanish.
//!
//! Each test prints its figures (`--nocapture`). What takes long is ignored, its bound stated, beside a short round of the
//! same; `cargo test --release --test faults -- --ignored` runs the long ones.
#![cfg(all(target_os = "linux", feature = "programs"))]
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::print_stdout)]

#[allow(dead_code, unused_imports)] // other tests use the rest
#[path = "../it/harness/mod.rs"]
mod harness;

mod bytes;
mod client;
mod crowd;
mod datagrams;
mod last_word;
mod readers;
mod reuse;
mod terminals;
mod time;
mod tools;
