//! Where the figures are saved. All of it is opened before anything is measured: that nothing can be written there is not
//! to be learnt two minutes later.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use ack_reactor::latency::{Curve, write_hgrm, write_svg};
use serde_json::Value;

use crate::report::Report;

/// The file for programs.
pub(crate) struct Json(File);

impl Json {
    /// What the file holds stays until there is something new.
    pub(crate) fn open(path: &Path) -> io::Result<Json> {
        File::options().write(true).create(true).truncate(false).open(path).map(Json).map_err(at(path))
    }

    pub(crate) fn save(&mut self, figures: &Value) -> io::Result<()> {
        if self.0.metadata()?.is_file() {
            self.0.rewind()?;
            self.0.set_len(0)?;
        }
        self.0.write_all(format!("{figures:#}\n").as_bytes())
    }
}

/// The folder that receives one `.hgrm` for each row, and a picture of all.
pub(crate) struct Distributions(PathBuf);

impl Distributions {
    /// In the folder of the build; a test leaves those of the benchmark alone.
    pub(crate) fn open(testing: bool) -> io::Result<Distributions> {
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = if testing { scratch } else { scratch.parent().unwrap_or(scratch) }.join("ack-latency");
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let distributions = Distributions(folder);
        distributions.picture()?;
        Ok(distributions)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    pub(crate) fn save(&self, report: &Report<'_>) -> io::Result<()> {
        let names: Vec<_> = report.rows.iter().map(|figures| figures.row.name()).collect();
        let curves: Vec<_> =
            names.iter().zip(report.rows).map(|(name, figures)| Curve { name, latencies: &figures.ours }).collect();
        for curve in &curves {
            let path = self.0.join(curve.name).with_extension("hgrm");
            write_hgrm(curve.latencies, BufWriter::new(File::create(&path).map_err(at(&path))?))?;
        }
        let picture = self.picture()?;
        picture.set_len(0)?;
        write_svg("acknowledgement round trip", &curves, None, picture)
    }

    fn picture(&self) -> io::Result<File> {
        let path = self.0.join("ack-latency.svg");
        File::options().write(true).create(true).truncate(false).open(&path).map_err(at(&path))
    }
}

/// Says which file it was.
fn at(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
