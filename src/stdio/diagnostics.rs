//! stderr, shared by the logger and the loop.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use mio::{Registry, Token};

use crate::stdio::screen::Screen;

/// A [`Screen`] that the logger and the loop both hold; each write to it is one
/// event. All clones are the same screen.
///
/// One thread uses it, so the lock is never waited for.
#[derive(Clone)]
pub struct Diagnostics(Arc<Mutex<Screen>>, Option<Spelling>);

/// Rewrites text for the terminal that it goes to.
pub type Spelling = fn(String) -> String;

impl Diagnostics {
    /// Shares `screen`.
    #[must_use]
    pub fn new(screen: Screen) -> Self {
        Self(Arc::new(Mutex::new(screen)), None)
    }

    /// Has `spelling` rewrite what is written.
    #[must_use]
    pub fn spelled_by(self, spelling: Option<Spelling>) -> Self {
        Self(self.0, spelling)
    }

    /// Uses the screen. What `work` logs is lost.
    pub fn with<T>(&self, work: impl FnOnce(&mut Screen) -> T) -> T {
        work(&mut self.screen())
    }

    /// As [`Screen::register`].
    ///
    /// # Errors
    ///
    /// The selector's.
    pub fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        self.screen().register(registry, token)
    }

    /// As [`Screen::flush`]; whether it then [rests](Screen::is_resting).
    pub fn flush(&self) -> bool {
        let mut screen = self.screen();
        screen.flush();
        screen.is_resting()
    }

    /// Whether nobody will ever read it.
    pub fn is_broken(&self) -> bool {
        self.screen().failure().is_some()
    }

    /// As [`Screen::finish`].
    pub fn finish(&self, limit: Duration) {
        self.screen().finish(limit);
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The screen, unless it is at work: what is logged meanwhile (the poll
    /// tells at trace level that it takes the screen's own descriptor) comes
    /// from within and must not wait for itself.
    fn idle_screen(&self) -> Option<MutexGuard<'_, Screen>> {
        match self.0.try_lock() {
            Ok(screen) => Some(screen),
            Err(TryLockError::Poisoned(screen)) => Some(screen.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl io::Write for Diagnostics {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(mut screen) = self.idle_screen() {
            let text = String::from_utf8_lossy(bytes).into_owned();
            screen.print(&match self.1 {
                Some(spelling) => spelling(text),
                None => text,
            });
        }
        Ok(bytes.len())
    }

    /// Writes at once: what was logged should not be lost with a crash. While
    /// the reader is stalled it waits for the loop's own flush instead.
    fn flush(&mut self) -> io::Result<()> {
        if let Some(mut screen) = self.idle_screen().filter(|screen| !screen.is_stalled()) {
            screen.flush();
        }
        Ok(())
    }
}
