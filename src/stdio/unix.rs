//! The standard descriptors on unix: each kind in its own way.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd;

use super::Kind;

/// A pipe that polls writable takes this much without blocking (`PIPE_BUF`).
const PIPE_ROOM: usize = 4096;
/// A terminal promises less: its drivers wake writers at about this mark.
const TERMINAL_ROOM: usize = 256;
/// A call that was interrupted so often in a row is left for another turn.
const INTERRUPTIONS: usize = 16;

/// How a call is kept from blocking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Nothing to do: the description is private and non-blocking, or its kind never blocks.
    Direct,
    /// A flag on each call.
    DontWait,
    /// `poll` first, then little at a time.
    Polled,
}

/// One standard descriptor, for reading or for writing.
#[derive(Debug)]
pub struct Descriptor {
    fd: OwnedFd,
    kind: Kind,
    access: Access,
    always_ready: bool,
    /// A private description leaves the selector when it is closed; a
    /// shared one lives on elsewhere and has to be taken out.
    shared: bool,
    registry: Option<Registry>,
}

/// The standard input.
///
/// # Errors
///
/// As [`Descriptor::reader`]; `EBADF` also where it is closed.
pub fn stdin() -> io::Result<Descriptor> {
    Descriptor::reader(io::stdin().as_fd().try_clone_to_owned()?)
}

/// The standard output.
///
/// # Errors
///
/// As [`Descriptor::writer`]; `EBADF` also where it is closed.
pub fn stdout() -> io::Result<Descriptor> {
    Descriptor::writer(io::stdout().as_fd().try_clone_to_owned()?)
}

/// The standard error output.
///
/// # Errors
///
/// As [`Descriptor::writer`]; `EBADF` also where it is closed.
pub fn stderr() -> io::Result<Descriptor> {
    Descriptor::writer(io::stderr().as_fd().try_clone_to_owned()?)
}

impl Descriptor {
    /// Opens `fd` for reading.
    ///
    /// # Errors
    ///
    /// `EBADF` where `fd` was opened for writing only.
    pub fn reader(fd: impl Into<OwnedFd>) -> io::Result<Self> {
        Self::open(fd.into(), OFlag::O_RDONLY)
    }

    /// Opens `fd` for writing.
    ///
    /// # Errors
    ///
    /// `EBADF` where `fd` was opened for reading only, `EPIPE` where it is a
    /// named pipe that nobody reads any more; one without a name says so at
    /// the first write.
    pub fn writer(fd: impl Into<OwnedFd>) -> io::Result<Self> {
        Self::open(fd.into(), OFlag::O_WRONLY)
    }

    fn open(fd: OwnedFd, direction: OFlag) -> io::Result<Self> {
        let opened = OFlag::from_bits_truncate(fcntl(&fd, FcntlArg::F_GETFL)?) & OFlag::O_ACCMODE;
        if opened != direction && opened != OFlag::O_RDWR {
            return Err(Errno::EBADF.into());
        }
        let kind = classify(&fd)?;
        let (fd, access, shared) = match kind {
            Kind::Terminal | Kind::Pipe => match reopen(&fd, kind, direction) {
                Ok(private) => (private, Access::Direct, false),
                Err(Errno::ENXIO) if kind == Kind::Pipe => return Err(Errno::EPIPE.into()),
                Err(_) => (fd, Access::Polled, true),
            },
            Kind::Socket => (fd, Access::DontWait, true),
            Kind::File | Kind::Directory => (fd, Access::Direct, true),
            Kind::Device => (fd, Access::Polled, true),
        };
        Ok(Self {
            fd,
            kind,
            access,
            always_ready: matches!(kind, Kind::File | Kind::Directory),
            shared,
            registry: None,
        })
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it is a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.kind == Kind::Terminal
    }

    /// Whether a line read from it that is as long as [`TERMINAL_LINE`](super::TERMINAL_LINE) may have been longer: it
    /// is a terminal that puts lines together, and not one that hands out every key.
    #[must_use]
    pub fn cuts_lines(&self) -> bool {
        cfg!(any(target_os = "linux", target_os = "android"))
            && self.is_terminal()
            && tcgetattr(&self.fd).is_ok_and(|settings| settings.local_flags.contains(LocalFlags::ICANON))
    }

    /// Whether no event will ever tell that it is ready, because it always
    /// is. Certain once it has been registered.
    #[must_use]
    pub fn always_ready(&self) -> bool {
        self.always_ready
    }

    /// Asks `registry` for events, unless it is always ready.
    ///
    /// # Errors
    ///
    /// The selector's, except the refusal of a device that is always ready.
    pub fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        if self.always_ready {
            return Ok(());
        }
        match registry.register(&mut SourceFd(&self.fd.as_raw_fd()), token, interest) {
            Ok(()) if self.shared => self.registry = Some(registry.try_clone()?),
            Ok(()) => {}
            Err(error) if self.kind == Kind::Device && refused(&error) => {
                self.always_ready = true;
                self.access = Access::Direct;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Reads once, at most `buffer.len()` bytes; 0 at the end.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] while there is nothing to read; the system's.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        retry(|| match self.access {
            Access::Direct => unistd::read(&self.fd, buffer),
            Access::DontWait => recv(self.fd.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT),
            Access::Polled => {
                self.poll(PollFlags::POLLIN, PollTimeout::ZERO)?;
                unistd::read(&self.fd, buffer)
            }
        })
    }

    /// Writes once, at most `bytes`; the caller comes again with the rest.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] while there is no room; the system's.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        retry(|| match self.access {
            Access::Direct => unistd::write(&self.fd, bytes),
            Access::DontWait => send(self.fd.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT),
            Access::Polled => {
                self.poll(PollFlags::POLLOUT, PollTimeout::ZERO)?;
                let room = if self.is_terminal() { TERMINAL_ROOM } else { PIPE_ROOM };
                unistd::write(&self.fd, &bytes[..bytes.len().min(room)])
            }
        })
    }

    /// Waits until it can be written, or has broken, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when the time is over, and
    /// [`io::ErrorKind::Interrupted`] when a signal came.
    pub fn wait_writable(&self, limit: Duration) -> io::Result<()> {
        // Rounded up, lest the last fraction of a millisecond be spun away.
        let rounded = limit.saturating_add(Duration::from_nanos(999_999));
        let limit = PollTimeout::try_from(rounded).unwrap_or(PollTimeout::MAX);
        Ok(self.poll(PollFlags::POLLOUT, limit)?)
    }

    /// Whether nobody is at the other end any more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        let mut asked = [PollFd::new(self.fd.as_fd(), PollFlags::empty())];
        let told = poll(&mut asked, PollTimeout::ZERO).is_ok_and(|count| count > 0);
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
        told && asked[0].revents().is_some_and(|revents| revents.intersects(gone))
    }

    fn poll(&self, readiness: PollFlags, limit: PollTimeout) -> nix::Result<()> {
        match poll(&mut [PollFd::new(self.fd.as_fd(), readiness)], limit)? {
            0 => Err(Errno::EAGAIN),
            _ => Ok(()),
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if let Some(registry) = &self.registry {
            // Nothing is lost if it fails: no event of it is waited for any more.
            let _ = registry.deregister(&mut SourceFd(&self.fd.as_raw_fd()));
        }
    }
}

fn classify(fd: &OwnedFd) -> nix::Result<Kind> {
    let mode = SFlag::from_bits_truncate(fstat(fd)?.st_mode) & SFlag::S_IFMT;
    Ok(match mode {
        SFlag::S_IFIFO => Kind::Pipe,
        SFlag::S_IFSOCK => Kind::Socket,
        SFlag::S_IFREG => Kind::File,
        SFlag::S_IFDIR => Kind::Directory,
        SFlag::S_IFCHR if fd.is_terminal() => Kind::Terminal,
        _ => Kind::Device,
    })
}

#[cfg(target_os = "linux")]
fn reopen(fd: &OwnedFd, kind: Kind, direction: OFlag) -> nix::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    match kind {
        // Opening the master side again would make a new terminal.
        Kind::Terminal if is_master(fd)? => Err(Errno::EINVAL),
        // After `su` the terminal still belongs to the first user, but the
        // one that controls this session is open to all in it.
        Kind::Terminal => private(path.as_ref(), direction).or_else(|error| {
            nix::sys::termios::tcgetsid(fd).map_err(|_| error)?;
            private("/dev/tty".as_ref(), direction)
        }),
        _ => private(path.as_ref(), direction),
    }
}

#[cfg(target_os = "linux")]
fn is_master(fd: &OwnedFd) -> nix::Result<bool> {
    use nix::sys::stat::{major, minor};
    let device = fstat(fd)?.st_rdev;
    Ok((major(device), minor(device)) == (5, 2))
}

/// Elsewhere opening `/dev/fd/N` only duplicates: pipes cannot be had privately.
#[cfg(not(target_os = "linux"))]
fn reopen(fd: &OwnedFd, kind: Kind, direction: OFlag) -> nix::Result<OwnedFd> {
    match kind {
        Kind::Terminal => private(&unistd::ttyname(fd)?, direction),
        _ => Err(Errno::EINVAL),
    }
}

fn private(path: &Path, direction: OFlag) -> nix::Result<OwnedFd> {
    let flags = direction | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty())
}

/// epoll refuses what is always ready with `EPERM`, kqueue with `EINVAL`.
fn refused(error: &io::Error) -> bool {
    [Errno::EPERM, Errno::EINVAL].iter().any(|&errno| error.raw_os_error() == Some(errno as i32))
}

/// Repeats what was interrupted, though not for ever: nobody else should wait for it.
fn retry(mut call: impl FnMut() -> nix::Result<usize>) -> io::Result<usize> {
    for _ in 0..INTERRUPTIONS {
        match call() {
            Err(Errno::EINTR) => {}
            result => return Ok(result?),
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
