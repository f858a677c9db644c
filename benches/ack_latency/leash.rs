//! What this process starts ends with it, however it ends: killed halfway, it leaves no server behind.
//!
//! Only Linux can promise that. Elsewhere a terminal's Ctrl-C reaches both, and a floor ends by itself.

use std::ffi::OsString;
use std::io;
use std::process::Command;

/// What follows this argument is the process that holds the leash, and the program to become.
const LEASHED: &str = "--leashed";

/// The same program, on a leash.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn leashed(command: &Command) -> io::Result<Command> {
    let mut leashed = Command::new(std::env::current_exe()?);
    leashed.arg(LEASHED).arg(std::process::id().to_string()).arg(command.get_program()).args(command.get_args());
    Ok(leashed)
}

/// In the new process, with its arguments: becomes the program, where there is one to become. Returns only if it cannot.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn become_leashed(mut words: impl Iterator<Item = OsString>) -> io::Result<()> {
    use nix::sys::prctl::set_pdeathsig;
    use nix::sys::signal::Signal;
    use std::os::unix::process::{CommandExt, parent_id};

    if words.next().is_none_or(|word| word != LEASHED) {
        return Ok(());
    }
    let (Some(holder), Some(program)) = (words.next(), words.next()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    set_pdeathsig(Signal::SIGKILL)?;
    if holder != *parent_id().to_string() {
        return Err(io::Error::other("whoever started this has ended"));
    }
    Err(Command::new(program).args(words).exec())
}

/// Not here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn leashed(command: &Command) -> io::Result<Command> {
    let mut same = Command::new(command.get_program());
    same.args(command.get_args());
    Ok(same)
}

/// Not here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn become_leashed(_words: impl Iterator<Item = OsString>) -> io::Result<()> {
    Ok(())
}
