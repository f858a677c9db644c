//! What every program and every mode stands on: the loop, the signals, stdout and stderr.
//!
//! | room | what it is |
//! |---|---|
//! | [`Process`] | the set-up, and how a turn begins and the last one ends |
//! | [`signals`] | signals as an ordinary source |
//! | [`limits`] | how many descriptors there may be, and what is said of what this machine lacks |
//! | [`supervisor`] | sockets that were passed, and who is told how it goes |

pub mod limits;
pub mod signals;
pub mod supervisor;

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Interest;

use self::signals::{OnQuit, Signal, Signals};
use self::supervisor::priority;
use crate::connection::is_reset;
use crate::error::{Error, exit};
use crate::escape::{self, cause};
use crate::reactor::{Reactor, Source};
use crate::stdio::diagnostics::Diagnostics;
use crate::stdio::screen::Screen;
use crate::stdio::typing::{self, Typing};
use crate::stdio::{block_signals, is_io_failure};
use crate::trace::{Counted, trace};
use crate::transcript::client::Event;
use crate::transcript::journal::{Journal, LAST_LINES};
use crate::transcript::{Render, Style};

/// With so many bytes that stdout has not taken, a program that drops nothing reads nothing more from anywhere: it
/// waits.
const ENOUGH_UNREAD: usize = 64 * 1024;
/// A full disk is tried again so often.
const FULL_DISK_RETRY: Duration = Duration::from_secs(1);

/// The ends that every process has, among a program's sources.
pub trait Ends: Source {
    /// A signal came.
    const SIGNALS: Self;
    /// stdout takes bytes again.
    const SCREEN: Self;
    /// stderr takes bytes again.
    const DIAGNOSTICS: Self;
    /// Whether a full disk under stdout ends it, since nothing that it has to say may be missing.
    const ENDS_WHEN_FULL: bool;
}

/// The loop and the process's own ends.
pub struct Process<S> {
    /// The poll loop.
    pub reactor: Reactor<S>,
    /// What goes to stdout.
    pub journal: Journal,
    diagnostics: Diagnostics,
    typing: Arc<Typing>,
    signals: Signals,
    interrupted: bool,
    /// That stdout cannot be written was said.
    said_unwritten: bool,
    /// Until when an interrupted process waits for a stdout or a stderr that takes nothing.
    last_moment: Option<Instant>,
}

impl<S: Ends> Process<S> {
    /// Sets up the loop. Names must have been resolved before: from here on
    /// signals are only seen by the loop, and a resolver that hangs could not be interrupted.
    ///
    /// # Errors
    /// What could not be set up.
    pub fn set_up(style: Style, quiet: bool, diagnostics: Diagnostics, on_quit: OnQuit) -> Result<Process<S>, Error> {
        block_signals().map_err(|error| Error::Setup("signals", error))?;
        let signals = Signals::install(on_quit).map_err(|error| Error::Setup("signals", error))?;
        let mut journal = Journal::new(style, quiet);
        if S::ENDS_WHEN_FULL {
            journal.screen().end_when_full();
        }
        let minded = Arc::new(Typing::new(std::env::var_os("TERM").as_deref()));
        if typing::is_at_stdout() {
            journal.screen().mind(Arc::clone(&minded));
        }
        if typing::is_at_stderr() {
            diagnostics.with(|screen| screen.mind(Arc::clone(&minded)));
        }
        let mut process = Process {
            reactor: Reactor::new().map_err(|error| Error::Setup("the poll", error))?,
            journal,
            diagnostics,
            typing: minded,
            signals,
            interrupted: false,
            said_unwritten: false,
            last_moment: None,
        };
        process.register().map_err(|error| Error::Setup("the poll", error))?;
        trace!("turn 0: all is set up");
        Ok(process)
    }

    fn register(&mut self) -> io::Result<()> {
        let registry = self.reactor.registry();
        registry.register(&mut self.signals, S::SIGNALS.token(), Interest::READABLE)?;
        self.journal.screen().register(registry, S::SCREEN.token())?;
        self.diagnostics.register(registry, S::DIAGNOSTICS.token())
    }

    /// Begins a turn: writes what was told in the one before, then waits for what comes next, until `deadline` at the
    /// latest. Returns the time of the turn.
    ///
    /// # Errors
    /// The poll keeps failing.
    pub fn wait(&mut self, deadline: Option<Instant>) -> Result<Instant, Error> {
        self.flush();
        self.reactor.wait(deadline).map_err(Error::Poll)
    }

    /// As [`wait`](Process::wait), but not at all once nobody reads stdout: what was just found out must not wait for an
    /// event.
    ///
    /// # Errors
    /// The poll keeps failing.
    pub fn wait_while_read(&mut self, deadline: Option<Instant>) -> Result<Instant, Error> {
        self.flush();
        let deadline = if self.is_unread() { Some(Instant::now()) } else { deadline };
        self.reactor.wait(deadline).map_err(Error::Poll)
    }

    /// Writes what was told, as far as stdout and stderr take it. No event tells that a disk has room again: where one
    /// is full, it is asked again later.
    pub fn flush(&mut self) {
        self.journal.flush();
        let rests = [(self.journal.screen().is_resting(), S::SCREEN), (self.diagnostics.flush(), S::DIAGNOSTICS)];
        for (_, source) in rests.into_iter().filter(|(rests, _)| *rests) {
            self.reactor.pause_unless_paused(source, FULL_DISK_RETRY);
        }
    }

    /// A slice of one of the process's own ends, as far as it is the same for every program: stdout or stderr may take
    /// bytes again, or never will.
    pub fn heed(&mut self, source: S) {
        if source == S::SCREEN {
            let screen = self.journal.screen();
            screen.try_again();
            screen.flush();
            screen.heed_event();
        } else if source == S::DIAGNOSTICS {
            // It is flushed before every wait.
            self.diagnostics.with(Screen::try_again);
        }
    }

    /// The signals that have come. One that asks to end is remembered, too.
    pub fn signals(&mut self) -> Vec<Signal> {
        let signals: Vec<Signal> = self.signals.pending().collect();
        signals.iter().for_each(|signal| trace!("    {signal}"));
        let ends = |signal: &Signal| matches!(signal, Signal::Interrupt | Signal::Stop | Signal::HangUp);
        self.interrupted |= signals.iter().any(ends);
        if signals.iter().any(|signal| matches!(signal, Signal::Interrupt | Signal::Report)) {
            self.typing.note_signal();
        }
        signals
    }

    /// Does what may block for long, a resolver's work: a signal that asks to end ends the process at once meanwhile.
    pub fn block_on<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.signals.while_deaf(work)
    }

    /// Whether a signal asked to end.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    /// Whether stdout takes what it is given. While it does not, nothing more
    /// should be read; its event tells when it does.
    pub fn has_room(&mut self) -> bool {
        let screen = self.journal.screen();
        // What only waits to be written has no event to wait for.
        if screen.pending() >= ENOUGH_UNREAD && !screen.is_stalled() {
            screen.flush();
        }
        screen.pending() < ENOUGH_UNREAD
    }

    /// Whether nobody will ever read what we print: stdout was closed, or cannot be written.
    pub fn is_unread(&mut self) -> bool {
        self.journal.screen().failure().is_some()
    }

    /// One sentence on stderr, quiet or not. What it holds from outside is [escaped](crate::escape::escape).
    pub fn complain(&mut self, sentence: impl fmt::Display) {
        complain(&mut self.diagnostics, sentence);
    }

    /// The same for what ends the run or kept it from starting. To a program stdout alone tells it, quiet or not.
    pub fn fail(&mut self, sentence: impl fmt::Display) {
        let sentence = sentence.to_string();
        self.tell_failure(&sentence);
        self.complain(sentence);
    }

    /// The same where stdout tells it to people, too.
    pub fn tell_failure(&mut self, sentence: &str) {
        self.journal.answer(&Event::Error { text: &escape::sentence(sentence) });
    }

    /// Whether a person may be watching a line on stderr that is written anew.
    pub fn is_terminal_err(&self) -> bool {
        self.typing.can_overwrite() && self.diagnostics.with(|screen| screen.is_terminal())
    }

    /// Shows a line of progress on stderr, which the next line overwrites. An
    /// empty one takes it away at once: stdout may be about to print there.
    /// In the background the line at the terminal is the shell's.
    pub fn show_live(&mut self, line: &str) {
        if typing::is_anothers_at_stderr() {
            return self.diagnostics.with(Screen::leave_live);
        }
        let shown = self.journal.spelled(line.to_owned());
        self.diagnostics.with(|screen| {
            screen.live(&shown);
            if line.is_empty() {
                screen.flush();
            }
        });
    }

    /// Tells an event on stderr, where it does not mix with the results.
    pub fn report(&mut self, event: &impl Render) {
        let lines = self.journal.rendered(event);
        self.diagnostics.with(|screen| screen.print(&lines));
    }

    /// Writes what is left, waiting at most `limit`, in all, for a stdout and a stderr that take nothing.
    pub fn finish(&mut self, limit: Duration) {
        let began = Instant::now();
        self.end_line(false);
        self.journal.finish(limit);
        self.diagnostics.finish(limit.saturating_sub(began.elapsed()));
    }

    /// Writes what is left, [patiently](Process::finish_patiently), and says where that cannot be. Returns the exit
    /// code: `code`, where all that was told could be read.
    pub fn conclude(&mut self, code: u8) -> u8 {
        let printed = Counted(self.journal.take_told(), "line");
        trace!("  printed {printed}; the end");
        self.finish_patiently();
        let code = self.judge_stdout().unwrap_or(code);
        let patience = self.patience();
        self.finish(patience);
        code
    }

    /// The exit code where what was told cannot be read, which is said once.
    pub fn judge_stdout(&mut self) -> Option<u8> {
        let is_terminal = self.journal.screen().is_terminal();
        let failure = self.journal.screen().failure()?;
        // Whoever closed it wants to know no more.
        if is_reset(failure) || (is_terminal && is_io_failure(failure)) {
            return Some(exit::FAILED);
        }
        let sentence = format!("cannot write to stdout: {}", cause(failure));
        if !std::mem::replace(&mut self.said_unwritten, true) {
            self.complain(sentence);
        }
        Some(exit::UNTRIED)
    }

    /// The end of one at whose terminal somebody may be typing for it: the shell's prompt begins on a line of its own,
    /// and what was typed is not left to the shell.
    pub fn discard_typing(&mut self) {
        self.leave_typing();
        typing::discard();
    }

    /// The same where what was typed is the shell's.
    pub fn leave_typing(&mut self) {
        self.end_line(true);
        let patience = self.patience();
        self.finish(patience);
    }

    /// Lets the shell's prompt begin at the start of a line, by way of one of the streams that are there.
    fn end_line(&mut self, may_be_half: bool) {
        if !self.journal.screen().end_line(may_be_half) {
            self.diagnostics.with(|screen| screen.end_line(may_be_half));
        }
    }

    /// Writes what is left. One that was interrupted waits half a second, in
    /// all, for a stdout that takes nothing; another one as long as it takes.
    pub fn finish_patiently(&mut self) {
        loop {
            let patience = self.patience();
            self.journal.finish(patience);
            self.signals();
            let left = self.journal.screen().pending();
            if left == 0 || self.is_interrupted() || self.is_unread() {
                break;
            }
        }
    }

    fn patience(&mut self) -> Duration {
        if !self.interrupted {
            return LAST_LINES;
        }
        let now = Instant::now();
        self.last_moment.get_or_insert(now + LAST_LINES).saturating_duration_since(now)
    }
}

/// One sentence of the client on stderr.
pub fn complain(diagnostics: &mut Diagnostics, sentence: impl fmt::Display) {
    let sentence = escape::sentence(&sentence.to_string());
    // stderr that fails leaves nobody to tell.
    let line = format!("{}reactor-client: {sentence}\n", priority(log::Level::Error));
    let _ = diagnostics.write_all(line.as_bytes());
}
