//! What a person types where we print: the terminal shows it without asking us, and what we print must not be glued to it.
//! Keys that mean a signal are typed there whatever the standard input is.
//!
//! The key of a signal is echoed (`^C`), and the signal tells of it. Half a typed line is known to the terminal alone, which
//! keeps it until Enter. So the terminal is left to decide: as many spaces as it has columns end on the next line
//! unless they began at the start of one. (zsh puts its prompt on a line of its own in the same way.)

use std::ffi::OsStr;
use std::io::{self, Stdin};
use std::sync::atomic::{AtomicBool, Ordering};

/// The typing at our terminal, shared by the screens on it.
#[derive(Debug)]
pub struct Typing {
    /// The echo of a key stands there, and nothing behind it.
    echoed: AtomicBool,
    /// The terminal wraps lines and erases what it is told to.
    wraps: bool,
}

impl Typing {
    /// The typing at a terminal of this kind (`TERM`).
    #[must_use]
    pub fn new(kind: Option<&OsStr>) -> Typing {
        let wraps = kind.is_some_and(|kind| !kind.is_empty() && kind != "dumb");
        Typing { echoed: AtomicBool::new(false), wraps }
    }

    /// Whether what stands at the start of a line can be overwritten there. A console of Windows has no `TERM`.
    #[must_use]
    pub fn can_overwrite(&self) -> bool {
        self.wraps || cfg!(windows)
    }

    /// A signal came for which there is a key: the terminal may have shown it.
    pub fn note_signal(&self) {
        if platform::Terminal::ours().is_some_and(|terminal| platform::echoes(&terminal)) {
            self.echoed.store(true, Ordering::Relaxed);
        }
    }

    /// What stood there is overwritten.
    pub(crate) fn forget(&self) {
        self.echoed.store(false, Ordering::Relaxed);
    }

    /// Appends to `queue` what lets `lines` begin at the start of a line.
    pub(crate) fn begin_line(&self, queue: &mut Vec<u8>, is_first: bool, lines: &str) {
        let echoed = self.echoed.swap(false, Ordering::Relaxed);
        if let Some(columns) = self.columns().filter(|_| is_first) {
            queue.resize(queue.len() + columns, b' ');
            queue.extend_from_slice(b"\r\x1b[K");
        } else if echoed && !lines.starts_with('\n') {
            queue.push(b'\n');
        }
    }

    /// Appends to `queue` what lets the shell's prompt begin at the start of a line, where an echo stands before it, or
    /// perhaps (`may_be_half`) half a line. Whether anything was to be appended.
    pub(crate) fn end_line(&self, queue: &mut Vec<u8>, is_first: bool, may_be_half: bool) -> bool {
        let before = queue.len();
        if may_be_half || self.echoed.load(Ordering::Relaxed) {
            self.begin_line(queue, is_first, "");
        }
        queue.len() > before
    }

    /// How wide the terminal is, where a person may have begun a line there.
    fn columns(&self) -> Option<usize> {
        let stdin = io::stdin();
        if self.wraps && platform::echoes(&stdin) { platform::columns(&stdin) } else { None }
    }
}

/// Whether the standard output is our terminal.
#[must_use]
pub fn is_at_stdout() -> bool {
    platform::Terminal::ours().is_some_and(|terminal| platform::is_same(&terminal, &io::stdout()))
}

/// Whether the standard error output is our terminal.
#[must_use]
pub fn is_at_stderr() -> bool {
    platform::Terminal::ours().is_some_and(|terminal| platform::is_same(&terminal, &io::stderr()))
}

/// Whether the standard error output is our terminal while another job is in front there, the shell perhaps, at which
/// somebody types.
#[must_use]
pub fn is_anothers_at_stderr() -> bool {
    platform::is_anothers(&io::stderr())
}

/// Discards what was typed at the standard input and not read, so that the shell does not take it for a command. In the
/// background it is the shell's.
pub fn discard() {
    platform::discard(&io::stdin());
}

#[cfg(unix)]
mod platform {
    use super::Stdin;

    use std::io::{self, IsTerminal, Stderr, Stdout};
    use std::os::fd::{AsFd, BorrowedFd};

    use nix::sys::stat::fstat;
    use nix::sys::termios::{FlushArg, LocalFlags, tcflush, tcgetattr};
    use nix::unistd::{getpgrp, tcgetpgrp};

    /// The terminal that controls us, by one of the streams that lead to it.
    pub(super) enum Terminal {
        In(Stdin),
        Out(Stdout),
        Err(Stderr),
    }

    impl Terminal {
        /// It, if any of them leads there.
        pub(super) fn ours() -> Option<Terminal> {
            let streams = [Terminal::In(io::stdin()), Terminal::Out(io::stdout()), Terminal::Err(io::stderr())];
            streams.into_iter().find(|stream| tcgetpgrp(stream).is_ok())
        }
    }

    impl AsFd for Terminal {
        fn as_fd(&self) -> BorrowedFd<'_> {
            match self {
                Terminal::In(stream) => stream.as_fd(),
                Terminal::Out(stream) => stream.as_fd(),
                Terminal::Err(stream) => stream.as_fd(),
            }
        }
    }

    /// Whether it is a terminal that shows what is typed, and we are who it is typed to.
    pub(super) fn echoes(stream: &impl AsFd) -> bool {
        let shown = LocalFlags::ECHO | LocalFlags::ICANON;
        tcgetattr(stream).is_ok_and(|settings| settings.local_flags.contains(shown)) && is_in_front(stream)
    }

    fn is_in_front(stream: &impl AsFd) -> bool {
        tcgetpgrp(stream) == Ok(getpgrp())
    }

    /// Only the terminal that controls us tells who is in front.
    pub(super) fn is_anothers(stream: &impl AsFd) -> bool {
        tcgetpgrp(stream).is_ok_and(|front| front != getpgrp())
    }

    pub(super) fn discard(stdin: &Stdin) {
        if is_in_front(stdin) {
            // A terminal that is gone has nothing to discard.
            let _ = tcflush(stdin, FlushArg::TCIFLUSH);
        }
    }

    pub(super) fn columns(stdin: &Stdin) -> Option<usize> {
        let (width, _) = terminal_size::terminal_size_of(stdin)?;
        Some(usize::from(width.0)).filter(|&columns| columns > 0)
    }

    pub(super) fn is_same(terminal: &Terminal, output: &impl AsFd) -> bool {
        let device = |fd| fstat(fd).ok().map(|stat| stat.st_rdev);
        output.as_fd().is_terminal() && device(terminal.as_fd()) == device(output.as_fd())
    }
}

/// Nothing is read from the standard input here.
#[cfg(not(unix))]
mod platform {
    use super::Stdin;

    pub(super) enum Terminal {}

    impl Terminal {
        pub(super) fn ours() -> Option<Terminal> {
            None
        }
    }

    pub(super) fn echoes<T>(_: &T) -> bool {
        false
    }

    pub(super) fn is_anothers<T>(_: &T) -> bool {
        false
    }

    pub(super) fn columns(_: &Stdin) -> Option<usize> {
        None
    }

    pub(super) fn discard(_: &Stdin) {}

    pub(super) fn is_same<T>(_: &Terminal, _: &T) -> bool {
        false
    }
}
