//! A system on which nobody passes sockets or asks how it goes.

use std::time::Instant;

use super::Passed;
use crate::error::Error;

/// None ever.
///
/// # Errors
/// None.
pub fn passed_sockets() -> Result<Option<Passed>, Error> {
    Ok(None)
}

pub(super) fn stderr_is_journal() -> bool {
    false
}

/// Nobody is told.
#[derive(Debug)]
pub struct Notifier;

impl Notifier {
    /// Nobody asks.
    #[must_use]
    pub fn from_env() -> Notifier {
        Notifier
    }

    /// Nobody is told.
    pub fn ready(&mut self, _: Instant) {}

    /// Nobody is told.
    pub fn stopping(&self) {}

    /// No sign of life is asked for.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        None
    }

    /// None is given.
    pub fn show_life(&mut self, _: Instant) {}
}
