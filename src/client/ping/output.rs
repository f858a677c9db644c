//! The files for the figures.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use super::Ping;
use crate::error::Error;
use crate::escape::cause;
use crate::latency::{Curve, Latencies, write_hgrm, write_svg};
use crate::transcript::address::Address;

/// A file for figures, made before the run so that it cannot fail for its name after it.
#[derive(Debug)]
pub struct Output {
    path: String,
    files: Vec<File>,
}

impl Output {
    /// Makes the file.
    ///
    /// # Errors
    /// It cannot be written: a usage error that names it.
    pub fn create(paths: &[String]) -> Result<Output, Error> {
        let create = |path: &String| {
            File::create(path)
                .map_err(|error| Error::Usage(format!("cannot write the file '{path}': {}", cause(&error))))
        };
        let files = paths.iter().map(create).collect::<Result<_, _>>()?;
        Ok(Output { path: paths.first().cloned().unwrap_or_default(), files })
    }
}

impl Ping {
    /// Writes the distributions where they were asked for.
    pub(super) fn save(&mut self) -> bool {
        let (sent, lost) = (self.account.sent, self.account.lost);
        let (rtt, response) = (&self.tally.rtt.latencies, &self.tally.response.latencies);
        let both: [&Latencies; 2] = [rtt, response];
        let mut failures = Vec::new();
        if let Some(Output { path, files }) = &self.settings.hgrm {
            for (file, latencies) in files.iter().zip(both) {
                failures.extend(save(file, |out| write_hgrm(latencies, out)).err().map(|error| (path, error)));
            }
        }
        if let Some(Output { path, files }) = &self.settings.plot {
            let mut title = format!("{} {} acknowledgement", Address::new(self.route.peer()), self.settings.protocol);
            // A curve shows what was answered alone.
            if lost > 0 {
                title += &format!(", {lost} of {sent} lost");
            }
            let curves = [Curve { name: "rtt", latencies: rtt }, Curve { name: "response", latencies: response }];
            for file in files {
                failures.extend(save(file, |out| write_svg(&title, &curves, out)).err().map(|error| (path, error)));
            }
        }
        for (path, error) in &failures {
            self.stage.complain(format_args!("cannot write the file '{path}': {}", cause(error)));
        }
        failures.is_empty()
    }
}

fn save(file: &File, write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    write(&mut out)?;
    out.flush()
}
