//! The process around the loop: its signals and its limits.

pub mod limits;
pub mod signals;
