//! What this process may hold, and how it is named when that runs out.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io;

/// The most that macOS lets a process have, as its `setrlimit(2)` says.
#[cfg(unix)]
const OPEN_MAX: u64 = 10_240;

/// Raises the soft limit on descriptors to the hard one and returns what is
/// allowed then; `None` where the system sets no limit or does not tell.
#[cfg(unix)]
pub fn raise_descriptor_limit() -> Option<usize> {
    use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let raise_to = |limit| setrlimit(Resource::RLIMIT_NOFILE, limit, hard);
    let allowed = match raise_to(hard) {
        Ok(()) => hard,
        // macOS allows a process no more, though its hard limit is none.
        Err(_) if OPEN_MAX > soft && raise_to(OPEN_MAX).is_ok() => OPEN_MAX,
        Err(error) => {
            log::warn!("cannot raise the descriptor limit from {soft} to {hard}: {error}");
            soft
        }
    };
    (allowed != RLIM_INFINITY).then(|| usize::try_from(allowed).unwrap_or(usize::MAX))
}

/// There is no such limit here.
#[cfg(not(unix))]
pub fn raise_descriptor_limit() -> Option<usize> {
    None
}

/// Something that this machine lacks or forbids: it says nothing of any path.
#[derive(Clone, Debug)]
pub struct Shortage {
    what: Cow<'static, str>,
    passes: bool,
}

/// A resolver holds so many descriptors at a time.
const RESOLVING: usize = 3;

const NO_BUFFER: &str = "no buffer space is left";

impl Shortage {
    /// `error`, met while a client's socket was made, connected or sent by: a shortage of our own where it tells of
    /// one, otherwise as it is, news of the path.
    ///
    /// Only what these calls themselves say is ours. The same number may come later from a far router (`EACCES`: IPv6
    /// forbidden there), so it is named where it is met.
    pub fn name(error: io::Error) -> io::Error {
        use io::ErrorKind::{AddrInUse, AddrNotAvailable, OutOfMemory, PermissionDenied};
        let what = match error.kind() {
            AddrInUse | AddrNotAvailable => Some("no source port is left"),
            PermissionDenied => Some("not permitted here (a local firewall or route?)"),
            OutOfMemory => Some("out of memory"),
            _ => error.raw_os_error().and_then(by_number),
        };
        what.map_or(error, Shortage::of)
    }

    /// Why a resolver may have failed that says nothing of it: it needs descriptors, too. Where those lack, an unknown name
    /// cannot be told from one that was not asked for.
    pub fn of_descriptors() -> Option<io::Error> {
        let held: io::Result<Vec<File>> = (0..RESOLVING).map(|_| File::open("/dev/null")).collect();
        held.err()?.raw_os_error().and_then(by_number).map(Shortage::of)
    }

    /// What we lack by a rule of our own, or by one of the system's that was asked for in vain.
    pub fn of(what: impl Into<Cow<'static, str>>) -> io::Error {
        Shortage { what: what.into(), passes: false }.into()
    }

    /// The same, of what is over after a while by itself.
    pub fn for_a_while(what: impl Into<Cow<'static, str>>) -> io::Error {
        Shortage { what: what.into(), passes: true }.into()
    }

    /// The shortage that `error` was [named](Shortage::name), if it was.
    pub fn of_error(error: &io::Error) -> Option<Shortage> {
        error.get_ref()?.downcast_ref::<Shortage>().cloned()
    }

    /// Whether it is over after a while by itself.
    pub fn passes(error: &io::Error) -> bool {
        Shortage::of_error(error).is_some_and(|shortage| shortage.passes)
    }

    /// Whether the system had no room for what was to be sent.
    pub fn is_of_room(error: &io::Error) -> bool {
        Shortage::of_error(error).is_some_and(|shortage| shortage.what == NO_BUFFER)
    }

    /// Whether `error` was [named](Shortage::name) one.
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Shortage>)
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Shortage {}

impl From<Shortage> for io::Error {
    fn from(shortage: Shortage) -> io::Error {
        io::Error::other(shortage)
    }
}

/// Those for which the standard library has no word.
#[cfg(unix)]
fn by_number(number: i32) -> Option<&'static str> {
    use nix::errno::Errno;
    Some(match Errno::from_raw(number) {
        Errno::EMFILE => "too many open files",
        Errno::ENFILE => "too many open files on this machine",
        Errno::ENOBUFS => NO_BUFFER,
        // The poll's: there is no disk here.
        Errno::ENOSPC => "too many descriptors are polled",
        _ => return None,
    })
}

/// Those for which the standard library has no word.
#[cfg(not(unix))]
fn by_number(number: i32) -> Option<&'static str> {
    Some(match number {
        10024 => "too many open files", // WSAEMFILE
        10055 => NO_BUFFER,             // WSAENOBUFS
        _ => return None,
    })
}
