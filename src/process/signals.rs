//! Signals as an ordinary source of the loop.
//!
//! The handlers only write to a socket pair that the loop reads, so whatever a
//! signal leads to happens in the loop's own time. The one exception is a
//! second SIGINT or SIGTERM: it ends the process from within the handler, so
//! that it works however busy or stuck the loop is.

use std::fmt;
use std::io;

use mio::{Interest, Registry, Token, event};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, Ctrl-C at a terminal: end gracefully.
    Interrupt,
    /// SIGTERM: the same.
    Stop,
    /// SIGHUP: the terminal is gone.
    HangUp,
    /// SIGCONT: the process goes on, perhaps in the foreground now.
    Continue,
    /// SIGQUIT: report how far it is (taken only where it was asked for).
    Report,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signal::Interrupt => "SIGINT",
            Signal::Stop => "SIGTERM",
            Signal::HangUp => "SIGHUP",
            Signal::Continue => "SIGCONT",
            Signal::Report => "SIGQUIT",
        })
    }
}

/// Whether SIGQUIT is to be a [`Signal::Report`] or keep its own meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnQuit {
    /// It ends the process, as the system does by itself.
    Die,
    /// It is handed on as [`Signal::Report`].
    Report,
}

pub use platform::Signals;

/// Whether a terminal controls this process. Ask at the start: when a hang-up comes the terminal is gone already.
pub fn has_terminal() -> bool {
    cfg!(unix) && std::fs::File::open("/dev/tty").is_ok()
}

#[cfg(unix)]
mod platform {
    use super::{Interest, OnQuit, Registry, Signal, Token, event, io};

    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use nix::sys::signal::{SigSet, SigmaskHow};
    use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    use signal_hook::flag;
    use signal_hook_mio::v1_0 as hook;

    /// The signals that have come.
    pub struct Signals {
        signals: hook::Signals,
        /// Whether one has asked to end; the next one ends the process at once.
        asked_once: Arc<AtomicBool>,
    }

    impl Signals {
        /// Installs the handlers: SIGINT and SIGTERM even where they were
        /// ignored at start (shells start background jobs so), SIGHUP only
        /// where it was not (`nohup` means it).
        ///
        /// # Errors
        /// The system has no descriptors left, or refuses a handler.
        pub fn install(on_quit: OnQuit) -> io::Result<Signals> {
            let mut signals = vec![SIGINT, SIGTERM, SIGCONT];
            if !ignored_at_start(SIGHUP) {
                signals.push(SIGHUP);
            }
            if on_quit == OnQuit::Report {
                signals.push(SIGQUIT);
            }
            // One that comes meanwhile waits: a handler that is only half set up would swallow it.
            let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
            let installed = Signals::set_up(signals);
            before.thread_set_mask()?;
            installed
        }

        fn set_up(signals: Vec<i32>) -> io::Result<Signals> {
            // The order matters: the first signal finds the flag down, and raises it.
            let asked_once = Arc::new(AtomicBool::new(false));
            for signal in [SIGINT, SIGTERM] {
                flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&asked_once))?;
            }
            for signal in [SIGINT, SIGTERM] {
                flag::register(signal, Arc::clone(&asked_once))?;
            }
            Ok(Signals { signals: hook::Signals::new(signals)?, asked_once })
        }

        /// Does what the loop is deaf for: meanwhile the first that asks to end is treated like a second one.
        pub fn while_deaf<T>(&mut self, work: impl FnOnce() -> T) -> T {
            let before = self.asked_once.swap(true, Ordering::SeqCst);
            let done = work();
            self.asked_once.store(before, Ordering::SeqCst);
            done
        }

        /// Those that have come since the last call.
        pub fn pending(&mut self) -> impl Iterator<Item = Signal> {
            self.signals.pending().filter_map(|signal| match signal {
                SIGINT => Some(Signal::Interrupt),
                SIGTERM => Some(Signal::Stop),
                SIGHUP => Some(Signal::HangUp),
                SIGCONT => Some(Signal::Continue),
                SIGQUIT => Some(Signal::Report),
                _ => None,
            })
        }
    }

    /// Reads the SigIgn line of the kernel's account of this process. Where
    /// there is none, nothing is taken for ignored.
    fn ignored_at_start(signal: i32) -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        mask & (1 << (signal - 1)) != 0
    }

    impl event::Source for Signals {
        fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
            self.signals.register(registry, token, interests)
        }

        fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
            self.signals.reregister(registry, token, interests)
        }

        fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
            self.signals.deregister(registry)
        }
    }
}

#[cfg(not(unix))]
mod platform {
    use super::{Interest, OnQuit, Registry, Signal, Token, event, io};

    /// No signals here: Ctrl-C ends the process as the system does by itself.
    pub struct Signals;

    impl Signals {
        /// Installs nothing.
        ///
        /// # Errors
        /// None.
        pub fn install(_: OnQuit) -> io::Result<Signals> {
            Ok(Signals)
        }

        /// Does it; nothing else is known of here.
        pub fn while_deaf<T>(&mut self, work: impl FnOnce() -> T) -> T {
            work()
        }

        /// None ever.
        pub fn pending(&mut self) -> impl Iterator<Item = Signal> {
            std::iter::empty()
        }
    }

    impl event::Source for Signals {
        fn register(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
            Ok(())
        }

        fn reregister(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
            Ok(())
        }

        fn deregister(&mut self, _: &Registry) -> io::Result<()> {
            Ok(())
        }
    }
}
