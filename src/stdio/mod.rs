//! stdin, stdout and stderr: they never block the loop, and whoever shares
//! them never notices.
//!
//! | room | what it is |
//! |---|---|
//! | [`Descriptor`] | one of the three, opened for the loop |
//! | [`console`] | lines in |
//! | [`screen`] | lines out, through a bounded queue |
//! | [`diagnostics`] | stderr, shared by the logger and the loop |
//! | [`typing`] | what a person types on the same terminal |
//!
//! # A descriptor
//!
//! `O_NONBLOCK` lives in the open file description, which the shell and other
//! programs hold too; set there, it breaks them long after this process ended.
//! So flags and terminal settings stay as they are, and each kind has its way:
//!
//! | kind | how |
//! |---|---|
//! | terminal, pipe | opened again, which gives a private description |
//! | socket | `MSG_DONTWAIT` on each call |
//! | regular file, directory | used directly, always ready; opened again, a private offset would overwrite |
//! | `/dev/null` and its like | used directly once the selector has refused them |
//! | anything else | `poll` with no wait, then one read, or one small write |

pub mod console;
pub mod diagnostics;
pub mod screen;
pub mod typing;

use std::io;

#[cfg(not(unix))]
pub use elsewhere::{Descriptor, stderr, stdin, stdout};
#[cfg(unix)]
pub use unix::{Descriptor, stderr, stdin, stdout};

/// A terminal that puts lines together keeps so many bytes of each, at most, and drops the rest (Linux).
pub const TERMINAL_LINE: usize = 4095;

/// What stands behind a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A terminal.
    Terminal,
    /// A pipe or a named pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A regular file.
    File,
    /// A directory: every read fails.
    Directory,
    /// Any other device: `/dev/null`, `/dev/full`, a disk.
    Device,
}

/// Makes of the signals that a read or a write here can cause what the call says.
/// A background job outlives the terminal's stop signals: its read fails with
/// `EIO`, its write goes through. A file that may not grow (SIGXFSZ) is `EFBIG`.
/// Blocked, not handled: a handler would be called again by the same read, for ever.
///
/// Holds for the calling thread and the threads it starts later.
///
/// # Errors
///
/// The system's, which has none to give for a valid set.
pub fn block_signals() -> io::Result<()> {
    #[cfg(unix)]
    {
        use nix::sys::signal::{SigSet, Signal};
        let ours: SigSet = [Signal::SIGTTIN, Signal::SIGTTOU, Signal::SIGXFSZ].into_iter().collect();
        ours.thread_block()?;
    }
    Ok(())
}

/// Whether `error` is `EIO`: a terminal read from the background, a terminal
/// that went away, or a failing disk.
pub(crate) fn is_io_failure(error: &io::Error) -> bool {
    #[cfg(unix)]
    return error.raw_os_error() == Some(nix::errno::Errno::EIO as i32);
    #[cfg(not(unix))]
    return error.raw_os_error() == Some(1117); // ERROR_IO_DEVICE
}

#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
mod elsewhere;
