//! A standard descriptor opened for the loop: it never blocks, and whoever
//! shares it never notices.
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

use std::io;

#[cfg(not(unix))]
pub use elsewhere::{Descriptor, stderr, stdin, stdout};
#[cfg(unix)]
pub use unix::{Descriptor, stderr, stdin, stdout};

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

/// Lets a background job outlive the terminal's stop signals: a background
/// read then fails with `EIO` and a background write goes through. Blocked,
/// not handled: a handler would be called again by the same read, for ever.
///
/// Holds for the calling thread and the threads it starts later.
///
/// # Errors
///
/// The system's, which has none to give for a valid set.
pub fn block_terminal_stops() -> io::Result<()> {
    #[cfg(unix)]
    {
        use nix::sys::signal::{SigSet, Signal};
        let stops: SigSet = [Signal::SIGTTIN, Signal::SIGTTOU].into_iter().collect();
        stops.thread_block()?;
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
mod unix {
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
    mod tests {
        #![allow(clippy::unwrap_used)]

        use std::fs::{File, OpenOptions};
        use std::io::{Read, Write, pipe};
        use std::os::unix::net::UnixStream;

        use mio::Poll;
        use nix::pty::openpty;
        use nix::sys::termios::tcgetattr;

        use super::*;

        fn flags(fd: impl AsFd) -> i32 {
            fcntl(fd, FcntlArg::F_GETFL).unwrap()
        }

        fn would_block(result: io::Result<usize>) -> bool {
            result.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        }

        /// Writes until it would block. One call that blocked would hang the test.
        fn fill(descriptor: &mut Descriptor) -> usize {
            let mut written = 0;
            loop {
                match descriptor.write(&[b'x'; 10_000]) {
                    Ok(count) => written += count,
                    Err(error) => {
                        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                        return written;
                    }
                }
            }
        }

        fn polled(fd: impl Into<OwnedFd>, kind: Kind) -> Descriptor {
            Descriptor {
                fd: fd.into(),
                kind,
                access: Access::Polled,
                always_ready: false,
                shared: true,
                registry: None,
            }
        }

        #[test]
        fn a_pipe_never_blocks_and_its_shared_flags_stay() {
            let (reader, writer) = pipe().unwrap();
            let before = (flags(&reader), flags(&writer));
            let mut input = Descriptor::reader(reader.try_clone().unwrap()).unwrap();
            let mut output = Descriptor::writer(writer.try_clone().unwrap()).unwrap();
            assert_eq!((input.kind(), input.access), (Kind::Pipe, Access::Direct));
            let mut buffer = [0; 10];
            assert!(would_block(input.read(&mut buffer)));
            assert!(fill(&mut output) > 0);
            assert_eq!(input.read(&mut buffer).unwrap(), 10);
            assert_eq!((flags(&reader), flags(&writer)), before);
        }

        #[test]
        fn a_terminal_never_blocks_and_its_shared_flags_and_settings_stay() {
            let pty = openpty(None, None).unwrap();
            let before = (flags(&pty.slave), tcgetattr(&pty.slave).unwrap());
            let mut input = Descriptor::reader(pty.slave.try_clone().unwrap()).unwrap();
            let mut output = Descriptor::writer(pty.slave.try_clone().unwrap()).unwrap();
            assert_eq!((input.kind(), input.access), (Kind::Terminal, Access::Direct));
            let mut buffer = [0; 10];
            assert!(would_block(input.read(&mut buffer)));
            assert!(fill(&mut output) > 0);
            let mut master = File::from(pty.master);
            master.write_all(b"hi\n").unwrap();
            input.poll(PollFlags::POLLIN, PollTimeout::MAX).unwrap();
            assert_eq!(input.read(&mut buffer).unwrap(), 3);
            assert_eq!((flags(&pty.slave), tcgetattr(&pty.slave).unwrap()), before);
        }

        #[test]
        fn a_terminal_that_hung_up_neither_blocks_nor_gives_data() {
            let pty = openpty(None, None).unwrap();
            let mut input = Descriptor::reader(pty.slave.try_clone().unwrap()).unwrap();
            drop(pty.master);
            assert!(input.read(&mut [0; 10]).map_or(true, |count| count == 0));
            let mut late = Descriptor::reader(pty.slave).unwrap();
            assert!(late.read(&mut [0; 10]).map_or(true, |count| count == 0));
        }

        #[test]
        fn the_master_side_of_a_terminal_is_not_opened_again() {
            let pty = openpty(None, None).unwrap();
            let mut input = Descriptor::reader(pty.master).unwrap();
            assert_eq!(input.access, Access::Polled);
            assert!(would_block(input.read(&mut [0; 10])));
            File::from(pty.slave).write_all(b"hi").unwrap();
            input.poll(PollFlags::POLLIN, PollTimeout::MAX).unwrap();
            assert_eq!(input.read(&mut [0; 10]).unwrap(), 2);
        }

        #[test]
        fn a_socket_never_blocks_and_its_shared_flags_stay() {
            let (mut peer, shared) = UnixStream::pair().unwrap();
            let before = flags(&shared);
            let mut descriptor = Descriptor::reader(shared.try_clone().unwrap()).unwrap();
            assert_eq!(descriptor.kind(), Kind::Socket);
            assert!(would_block(descriptor.read(&mut [0; 10])));
            assert!(fill(&mut descriptor) > 0);
            peer.write_all(b"hi").unwrap();
            assert_eq!(descriptor.read(&mut [0; 10]).unwrap(), 2);
            assert_eq!(flags(&shared), before);
        }

        #[test]
        fn what_cannot_be_opened_again_is_polled_and_never_blocks() {
            let (mut reader, writer) = pipe().unwrap();
            let before = flags(&writer);
            let mut output = polled(writer.try_clone().unwrap(), Kind::Pipe);
            let full = fill(&mut output);
            assert!(output.wait_writable(Duration::from_millis(1)).is_err());
            let mut buffer = vec![0; full];
            reader.read_exact(&mut buffer).unwrap();
            output.wait_writable(Duration::ZERO).unwrap();
            assert_eq!(output.write(&buffer).unwrap(), PIPE_ROOM);
            assert_eq!(flags(&writer), before);

            let mut input = polled(reader, Kind::Pipe);
            assert_eq!(input.read(&mut buffer).unwrap(), PIPE_ROOM);
            assert!(would_block(input.read(&mut buffer)));
            drop((writer, output));
            assert_eq!(input.read(&mut buffer).unwrap(), 0);
        }

        #[test]
        fn only_what_the_selector_refuses_is_always_ready() {
            let poll = Poll::new().unwrap();
            let register = |mut descriptor: Descriptor, interest| {
                descriptor.register(poll.registry(), Token(0), interest).unwrap();
                descriptor.always_ready()
            };
            let device = |path| OpenOptions::new().read(true).write(true).open(path).unwrap();
            for path in ["/dev/null", "/dev/zero", "/dev/full"] {
                assert!(register(Descriptor::reader(device(path)).unwrap(), Interest::READABLE), "{path}");
                assert!(register(Descriptor::writer(device(path)).unwrap(), Interest::WRITABLE), "{path}");
            }
            let file = File::open(std::env::current_exe().unwrap()).unwrap();
            assert!(register(Descriptor::reader(file).unwrap(), Interest::READABLE));
            assert!(register(Descriptor::reader(File::open("/").unwrap()).unwrap(), Interest::READABLE));

            let (reader, writer) = pipe().unwrap();
            assert!(!register(Descriptor::reader(reader.try_clone().unwrap()).unwrap(), Interest::READABLE));
            assert!(!register(Descriptor::writer(writer).unwrap(), Interest::WRITABLE));
            let (peer, socket) = UnixStream::pair().unwrap();
            assert!(!register(Descriptor::reader(socket).unwrap(), Interest::READABLE));
            let pty = openpty(None, None).unwrap();
            assert!(!register(Descriptor::reader(pty.slave).unwrap(), Interest::READABLE));
            drop((peer, reader, pty.master));
        }

        #[test]
        fn the_wrong_direction_and_a_named_pipe_without_reader_are_refused() {
            let errno = |result: io::Result<Descriptor>| result.unwrap_err().raw_os_error();
            let (bad, broken) = (Some(Errno::EBADF as i32), Some(Errno::EPIPE as i32));
            let (reader, writer) = pipe().unwrap();
            assert_eq!(errno(Descriptor::writer(reader)), bad);
            assert_eq!(errno(Descriptor::reader(writer)), bad);

            let name = format!("ack-reactor-stdio-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
            let reader = private(&path, OFlag::O_RDONLY).unwrap();
            let writer = OpenOptions::new().write(true).open(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            drop(reader);
            assert_eq!(errno(Descriptor::writer(writer)), broken);
        }

        #[test]
        fn stops_from_the_terminal_are_blocked() {
            use nix::sys::signal::{SigSet, Signal};
            super::super::block_terminal_stops().unwrap();
            let blocked = SigSet::thread_get_mask().unwrap();
            assert!(blocked.contains(Signal::SIGTTIN) && blocked.contains(Signal::SIGTTOU));
            assert!(!blocked.contains(Signal::SIGTSTP));
        }
    }
}

/// Where there is no way to read without blocking there is no input at all,
/// and output may block.
#[cfg(not(unix))]
mod elsewhere {
    use std::io::{self, IsTerminal, Write};
    use std::time::Duration;

    use mio::{Interest, Registry, Token};

    use super::Kind;

    /// One standard descriptor, for reading or for writing.
    pub struct Descriptor {
        output: Option<Box<dyn Write + Send>>,
        kind: Kind,
    }

    /// The standard input: at its end at once.
    ///
    /// # Errors
    ///
    /// None.
    pub fn stdin() -> io::Result<Descriptor> {
        Ok(Descriptor { output: None, kind: kind(&io::stdin()) })
    }

    /// The standard output.
    ///
    /// # Errors
    ///
    /// None.
    pub fn stdout() -> io::Result<Descriptor> {
        Ok(Descriptor { output: Some(Box::new(io::stdout())), kind: kind(&io::stdout()) })
    }

    /// The standard error output.
    ///
    /// # Errors
    ///
    /// None.
    pub fn stderr() -> io::Result<Descriptor> {
        Ok(Descriptor { output: Some(Box::new(io::stderr())), kind: kind(&io::stderr()) })
    }

    fn kind(stream: &impl IsTerminal) -> Kind {
        if stream.is_terminal() { Kind::Terminal } else { Kind::Device }
    }

    impl Descriptor {
        /// What it is, as far as can be told.
        #[must_use]
        pub fn kind(&self) -> Kind {
            self.kind
        }

        /// Whether it is a terminal.
        #[must_use]
        pub fn is_terminal(&self) -> bool {
            self.kind == Kind::Terminal
        }

        /// Always: nothing is registered here.
        #[must_use]
        pub fn always_ready(&self) -> bool {
            true
        }

        /// Does nothing.
        ///
        /// # Errors
        ///
        /// None.
        pub fn register(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
            Ok(())
        }

        /// The end, at once.
        ///
        /// # Errors
        ///
        /// None.
        pub fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }

        /// Writes all of `bytes`, however long that takes.
        ///
        /// # Errors
        ///
        /// The system's.
        pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let Some(output) = &mut self.output else {
                return Err(io::ErrorKind::BrokenPipe.into());
            };
            output.write_all(bytes)?;
            output.flush()?;
            Ok(bytes.len())
        }

        /// Does nothing: it is always writable.
        ///
        /// # Errors
        ///
        /// None.
        pub fn wait_writable(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }

        /// Never known here.
        #[must_use]
        pub fn is_abandoned(&self) -> bool {
            false
        }
    }
}
