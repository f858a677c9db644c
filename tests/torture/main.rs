//! Nothing knocks the server over: faults of the system, floods, famines and crowds, each with its figures.
//!
//! The figures are printed: `cargo test --test torture -- --nocapture`. What takes long has a shorter round that
//! always runs; the long one is `cargo test --release --test torture -- --ignored --nocapture`, within 40 minutes.
#![cfg(all(target_os = "linux", feature = "programs"))]
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

#[allow(dead_code, unused_imports, reason = "the other tests use the rest of it")]
#[path = "../it/harness/mod.rs"]
mod harness;

mod answers;
mod bystander;
mod calls;
mod churn;
mod crowd;
mod end;
mod famine;
mod fault;
mod flood;
mod memory;
mod resets;
mod stall;
mod system_calls;
mod talker;
mod turn;
mod volley;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Within this 99 of 100 answers come, whatever else goes on.
const PROMPT: Duration = if cfg!(debug_assertions) {
    // The programs of a debug build take many times as long over a flooder's turn.
    Duration::from_millis(500)
} else {
    Duration::from_millis(20)
};

/// How many clients make a crowd; `CROWD` says otherwise.
fn crowd() -> usize {
    // A debug build takes many times as long over each of their messages.
    let slow = cfg!(debug_assertions) && std::env::var("SERVER_UNDER_TEST").is_err();
    let usual = if slow { 200 } else { 500 };
    std::env::var("CROWD").map_or(usual, |count| count.parse().unwrap())
}

/// What is measured here would measure the other tests as well: one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A test that failed leaves nothing behind that harms the next.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints a figure, for whoever runs the tests with `--nocapture`.
#[allow(clippy::print_stdout)]
fn figure(text: &str) {
    println!("{text}");
}

/// What depends on who else uses the machine is tried up to three times.
#[track_caller]
fn best_of_three(mut round: impl FnMut() -> bool) {
    assert!((0..3).any(|_| round()), "three times over the bound");
}
