//! What every mode of the client stands on: the loop, the signals, stdout and stderr.

use std::fmt;
use std::io::Write;
use std::time::Instant;

use mio::Interest;

use crate::error::Error;
use crate::escape::escape;
use crate::process::signals::{OnQuit, Signal, Signals};
use crate::reactor::{Reactor, Source};
use crate::stdio::block_terminal_stops;
use crate::stdio::diagnostics::Diagnostics;
use crate::transcript::journal::{Journal, LAST_LINES};
use crate::transcript::{Render, Style};

/// With so many bytes that stdout has not taken, nothing more is read from
/// anywhere: the client drops nothing, it waits.
const ENOUGH_UNREAD: usize = 64 * 1024;

/// The loop and the process's own ends.
pub struct Stage {
    /// The poll loop.
    pub reactor: Reactor,
    /// What goes to stdout.
    pub journal: Journal,
    diagnostics: Diagnostics,
    signals: Signals,
    interrupted: bool,
}

impl Stage {
    /// Sets up the loop. Names must have been resolved before: from here on
    /// signals are only seen by the loop.
    ///
    /// # Errors
    /// What could not be set up.
    pub fn new(style: Style, quiet: bool, diagnostics: Diagnostics, on_quit: OnQuit) -> Result<Stage, Error> {
        let signals = Signals::install(on_quit).map_err(|error| Error::Setup("signals", error))?;
        block_terminal_stops().map_err(|error| Error::Setup("signals", error))?;
        let mut stage = Stage {
            reactor: Reactor::new().map_err(|error| Error::Setup("the poll", error))?,
            journal: Journal::new(style, quiet),
            diagnostics,
            signals,
            interrupted: false,
        };
        stage.register().map_err(|error| Error::Setup("the poll", error))?;
        Ok(stage)
    }

    fn register(&mut self) -> std::io::Result<()> {
        let registry = self.reactor.registry();
        registry.register(&mut self.signals, Source::Signals.token(), Interest::READABLE)?;
        self.journal.screen().register(registry, Source::Screen.token())?;
        self.diagnostics.register(registry, Source::Diagnostics.token())
    }

    /// Waits for what comes next, until `deadline` at the latest; what was
    /// told before is written first. Returns the time of the turn.
    ///
    /// # Errors
    /// The poll keeps failing.
    pub fn wait(&mut self, deadline: Option<Instant>) -> Result<Instant, Error> {
        self.journal.flush();
        self.diagnostics.flush();
        // What was just found out must not wait for an event.
        let deadline = if self.is_unread() { Some(Instant::now()) } else { deadline };
        self.reactor.wait(deadline).map_err(Error::Poll)
    }

    /// The signals that have come. One that asks to end is remembered, too.
    pub fn signals(&mut self) -> Vec<Signal> {
        let signals: Vec<Signal> = self.signals.pending().collect();
        self.interrupted |= signals.iter().any(|signal| matches!(signal, Signal::Stop | Signal::HangUp));
        signals
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

    /// Whether nobody will ever read our stdout.
    pub fn is_unread(&mut self) -> bool {
        self.journal.screen().failure().is_some()
    }

    /// Whether stdout lost a line: its disk is full, say.
    pub fn is_lossy(&self) -> bool {
        self.journal.dropped() > 0
    }

    /// One sentence on stderr, quiet or not. It may hold text from outside.
    pub fn complain(&mut self, sentence: impl fmt::Display) {
        complain(&mut self.diagnostics, sentence);
    }

    /// Whether a person may be watching stderr.
    pub fn is_terminal_err(&self) -> bool {
        self.diagnostics.with(|screen| screen.is_terminal())
    }

    /// Shows a line of progress on stderr, which the next line overwrites. An
    /// empty one takes it away at once: stdout may be about to print there.
    pub fn show_live(&mut self, line: &str) {
        self.diagnostics.with(|screen| {
            screen.live(line);
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

    /// Writes what is left. An interrupted client waits half a second for a
    /// stdout that takes nothing; another one as long as it takes.
    pub fn finish(&mut self) {
        loop {
            self.journal.finish();
            self.signals();
            let left = self.journal.screen().pending();
            if left == 0 || self.is_interrupted() || self.is_unread() {
                break;
            }
        }
        self.diagnostics.finish(LAST_LINES);
    }
}

/// One sentence of the client on stderr.
pub fn complain(diagnostics: &mut Diagnostics, sentence: impl fmt::Display) {
    let sentence = sentence.to_string();
    // stderr that fails leaves nobody to tell.
    let _ = diagnostics.write_all(format!("reactor-client: {}\n", escape(sentence.as_bytes())).as_bytes());
}
