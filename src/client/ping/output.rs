//! The files for the figures.

use std::io;
use std::time::{Duration, Instant};

use super::Ping;
use super::ending::wall;
use super::outages::Outage;
use crate::client::result_file::{ResultFile, write_all};
use crate::error::Error;
use crate::escape::{cause, escape};
use crate::latency::{Course, Curve, Latencies, OutageSpan, write_hgrm, write_svg};
use crate::transcript::address::Address;
use crate::transcript::journal::LAST_LINES;
use crate::transcript::stamp::local;

/// The picture of a run ends where the next probe would have been due, if that is no later than so long after its end.
const NEXT: Duration = Duration::from_secs(1);

/// Files for figures, found writable before the run.
#[derive(Debug)]
pub struct Output {
    files: Vec<ResultFile>,
}

impl Output {
    /// For the distributions: `name` and `name.response`. A pipe or a device takes both, one after the other, unless
    /// there is another beside it.
    ///
    /// # Errors
    /// One cannot be written: a usage error that names it.
    pub fn hgrm(name: &str) -> Result<Output, Error> {
        refuse_dash("--hgrm", name)?;
        let mut files = vec![find(name)?];
        let response = format!("{name}.response");
        if !files[0].is_special() || std::fs::exists(&response).unwrap_or(false) {
            files.push(find(&response)?);
        }
        Ok(Output { files })
    }

    /// For the plot.
    ///
    /// # Errors
    /// It cannot be written, or its name says that it is no SVG: a usage error that names it.
    pub fn plot(name: &str) -> Result<Output, Error> {
        refuse_dash("--plot", name)?;
        let file = find(name)?;
        let ending = name.len().checked_sub(4).and_then(|at| name.get(at..));
        if !file.is_special() && !ending.is_some_and(|ending| ending.eq_ignore_ascii_case(".svg")) {
            let name = escape(name.as_bytes());
            return Err(Error::Usage(format!("--plot draws SVG: the name '{name}' must end in .svg")));
        }
        Ok(Output { files: vec![file] })
    }

    /// Whether both would write to one file.
    pub fn is_same(&self, other: &Output) -> bool {
        self.files.iter().any(|file| other.files.iter().any(|other| file.is_same(other)))
    }
}

fn refuse_dash(option: &str, name: &str) -> Result<(), Error> {
    match name {
        "-" => Err(Error::Usage(format!("{option} takes the name of a file, and '-' is none"))),
        _ => Ok(()),
    }
}

fn find(name: &str) -> Result<ResultFile, Error> {
    ResultFile::find(name).map_err(|error| {
        Error::Usage(format!("cannot write the file '{}': {}", escape(name.as_bytes()), cause(&error)))
    })
}

impl Ping {
    /// Writes the files that were asked for, of a run that took so long.
    pub(super) fn save(&mut self, lasted: Duration) -> bool {
        let (sent, lost) = (self.account.sent, self.account.lost);
        let mut sets = Vec::new();
        if let Some(Output { files }) = self.settings.hgrm.take() {
            let (rtt, response) = (&self.tally.rtt.latencies, &self.tally.response().latencies);
            let mut texts = [rtt, response].map(hgrm).to_vec();
            if files.len() == 1 {
                texts = vec![texts.concat()];
            }
            sets.push((files, texts));
        }
        if let Some(Output { files }) = self.settings.plot.take() {
            let mut title = format!("{} {} acknowledgement", Address::new(self.route.peer()), self.settings.protocol);
            // A curve shows what was answered alone.
            if lost > 0 {
                title += &format!(", {lost} of {sent} lost");
            }
            sets.push((files, vec![self.draw(&title, lasted)]));
        }
        if sets.iter().any(|(files, _)| files.iter().any(ResultFile::is_special)) {
            // Who reads it may read the summary first.
            self.stage.finish_patiently();
        }
        // What fails there ends the run with 2, and then no file is touched.
        sets.sort_by_key(|(files, _)| !files.iter().any(ResultFile::is_stdout));
        let mut saved = true;
        for (files, texts) in sets {
            let texts: Vec<(&ResultFile, Vec<u8>)> = files.iter().zip(texts).collect();
            let mut until = None;
            let outcome = write_all(&texts, || {
                self.stage.signals();
                let now = Instant::now();
                self.stage.is_interrupted() && now >= *until.get_or_insert(now + LAST_LINES)
            });
            if let Err((file, error)) = outcome {
                saved = false;
                if file.is_stdout() && error.kind() != io::ErrorKind::Other {
                    // It is said of stdout at the end, whatever was to be written there.
                    self.stage.journal.screen().fail(error);
                    break;
                }
                let name = escape(file.name().as_bytes()).to_string();
                self.stage.fail(format_args!("cannot write the file '{name}': {}", cause(&error)));
            }
        }
        saved
    }

    /// What became of the probes, over the time of the run.
    fn draw(&mut self, title: &str, lasted: Duration) -> Vec<u8> {
        let end = self.began + lasted;
        let outages = self.outages_until(end);
        // After the last probe there is but the wait for answers. Where the next one is far, the run ended before it.
        let next = self.schedule.as_ref().map_or(end, |schedule| schedule.beyond(end));
        let since = |at: Instant| at.saturating_duration_since(self.began);
        let span =
            |outage: &Outage| OutageSpan { begin: since(outage.began), length: outage.lasted(), probes: outage.probes };
        let spans: Vec<_> = outages.each().iter().map(span).collect();
        let began = local(wall(self.began));
        let (length, number) = (since(next).min(lasted + NEXT), outages.count());
        let course = |timeline| Course { timeline, began: &began, length, outages: number, spans: &spans };
        let course = self.timeline.as_ref().map(course);
        let (rtt, response) = (&self.tally.rtt.latencies, &self.tally.response().latencies);
        let curves = [Curve { name: "rtt", latencies: rtt }, Curve { name: "response", latencies: response }];
        written(|out| write_svg(title, &curves, course.as_ref(), out))
    }
}

fn hgrm(latencies: &Latencies) -> Vec<u8> {
    written(|out| write_hgrm(latencies, out))
}

/// What is written into memory, which takes everything.
fn written(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Vec<u8> {
    let mut text = Vec::new();
    let _ = write(&mut text);
    text
}
