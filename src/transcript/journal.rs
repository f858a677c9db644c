//! The transcript on its screen: events come in, whole lines go out, once a turn.

use std::time::Duration;

use crate::stdio::screen::Screen;
use crate::transcript::{Render, Stamp, Style, gap};

/// How long an exit waits for a stdout that takes nothing.
pub const LAST_LINES: Duration = Duration::from_millis(500);

/// Where a program tells what happens.
pub struct Journal {
    screen: Screen,
    style: Style,
    quiet: bool,
    lines: String,
    stamp: Stamp,
}

impl Journal {
    /// A journal on stdout. A `quiet` one prints answers only.
    pub fn new(style: Style, quiet: bool) -> Journal {
        let screen = Screen::stdout(Box::new(move |lines| gap(style, lines)));
        Journal { screen, style, quiet, lines: String::new(), stamp: Stamp::new() }
    }

    /// Whether events go untold.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Tells an event, unless this journal is quiet.
    #[inline]
    pub fn tell(&mut self, event: &impl Render) {
        if !self.quiet {
            self.answer(event);
        }
    }

    /// Tells what was asked for, quiet or not.
    pub fn answer(&mut self, event: &impl Render) {
        self.lines.clear();
        event.render(self.style, &self.stamp, &mut self.lines);
        self.screen.print(&self.lines);
    }

    /// The lines of an event, for another screen.
    pub fn rendered(&mut self, event: &impl Render) -> String {
        let mut lines = String::new();
        event.render(self.style, &self.stamp, &mut lines);
        lines
    }

    /// Writes what was told, as far as stdout takes it. Call it once a turn.
    pub fn flush(&mut self) {
        self.stamp = Stamp::new();
        self.screen.flush();
    }

    /// Writes what is left, waiting at most half a second for a stdout that takes nothing.
    pub fn finish(&mut self) {
        self.screen.finish(LAST_LINES);
    }

    /// The screen, to register it and to see how it fares.
    pub fn screen(&mut self) -> &mut Screen {
        &mut self.screen
    }

    /// Lines that were dropped because stdout took nothing for too long.
    pub fn dropped(&self) -> u64 {
        self.screen.dropped_total()
    }
}
