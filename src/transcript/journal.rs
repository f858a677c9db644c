//! The transcript on its screen: events come in, whole lines go out, once a turn.

use std::time::Duration;

use crate::stdio::screen::{LIMIT, Screen};
use crate::trace;
use crate::transcript::locale::spelled;
use crate::transcript::{Charset, Format, Render, Stamp, Style, gap};

/// How long an exit waits for a stdout that takes nothing.
pub const LAST_LINES: Duration = Duration::from_millis(500);

/// Where a program tells what happens.
pub struct Journal {
    screen: Screen,
    style: Style,
    quiet: bool,
    lines: String,
    stamp: Stamp,
    /// Lines that were told since the trace asked last.
    told: usize,
}

impl Journal {
    /// A journal on stdout. A `quiet` one prints answers only.
    pub fn new(style: Style, quiet: bool) -> Journal {
        let screen = Screen::stdout(Box::new(move |lines| gap(style, lines)));
        Journal { screen, style, quiet, lines: String::new(), stamp: Stamp::new(), told: 0 }
    }

    /// Whether events go untold.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether events are told as JSON.
    pub fn is_json(&self) -> bool {
        self.style.format == Format::Json
    }

    /// Tells an event, unless this journal is quiet. Where stdout takes nothing for too long it is dropped whole.
    #[inline]
    pub fn tell(&mut self, event: &impl Render) {
        if !self.quiet {
            self.render(event);
            self.screen.print(&self.lines);
        }
    }

    /// Tells the last event, unless this journal is quiet. It is not dropped.
    pub fn tell_last(&mut self, event: &impl Render) {
        if !self.quiet {
            self.answer(event);
        }
    }

    /// Tells what was asked for, quiet or not. It is not dropped.
    pub fn answer(&mut self, event: &impl Render) {
        self.render(event);
        self.screen.answer(&self.lines);
    }

    /// Whether so many answers wait for stdout that no more should be asked for.
    pub fn is_over_asked(&self) -> bool {
        self.screen.answers_waiting() >= LIMIT
    }

    fn render(&mut self, event: &impl Render) {
        self.lines.clear();
        event.render(self.style, &self.stamp, &mut self.lines);
        if self.style.charset != Charset::Utf8 {
            let lines = std::mem::take(&mut self.lines);
            self.lines = self.spelled(lines);
        }
        if trace::is_on() {
            self.told += self.lines.matches('\n').count();
        }
    }

    /// How many lines were told since this was asked last; known where a turn is traced.
    pub fn take_told(&mut self) -> usize {
        std::mem::take(&mut self.told)
    }

    /// Counts events that there was no time to tell among the dropped lines.
    pub fn skip(&mut self, lines: u64) {
        if !self.quiet {
            self.screen.skip(lines);
        }
    }

    /// The lines of an event, for another screen.
    pub fn rendered(&mut self, event: &impl Render) -> String {
        let mut lines = String::new();
        event.render(self.style, &self.stamp, &mut lines);
        self.spelled(lines)
    }

    /// Lines for a terminal like that of stdout.
    pub fn spelled(&self, lines: String) -> String {
        spelled(self.style.charset, self.style.format, lines)
    }

    /// Writes what was told, as far as stdout takes it. Call it once a turn.
    pub fn flush(&mut self) {
        self.stamp = Stamp::new();
        self.screen.flush();
    }

    /// Writes what is left, waiting at most `limit` for a stdout that takes nothing.
    pub fn finish(&mut self, limit: Duration) {
        self.screen.finish(limit);
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
