//! The words of `--ping`.

use std::path::absolute;
use std::time::Duration;

use clap::Args;

use super::{Seconds, parse_count};
use crate::client::chat::longest_message;
use crate::client::ping::{self, MOST_FLOWS, Output};
use crate::error::Error;
use crate::wire::{Framing, Protocol, STAMPED};

/// Their names: elsewhere they mean nothing.
pub(super) const OF_PING: [&str; 10] =
    ["count", "interval", "size", "deadline", "flows", "plain", "hgrm", "plot", "dated", "max_loss"];

#[derive(Debug, Args)]
#[command(next_help_heading = "With --ping")]
pub(super) struct PingArgs {
    /// Stop after so many probes
    #[arg(short, value_name = "N", requires = "ping", value_parser = parse_count, allow_hyphen_values = true)]
    count: Option<usize>,
    /// From one probe to the next; 0 sends each when the one before is answered [default: 1]
    #[arg(
        short,
        value_name = "SECONDS",
        requires = "ping",
        value_parser = Seconds::parse,
        allow_hyphen_values = true
    )]
    interval: Option<Seconds>,
    /// Bytes in a probe [default: 5; over UDP 72, fewer mean --plain]
    #[arg(short, value_name = "BYTES", requires = "ping", value_parser = parse_count, allow_hyphen_values = true)]
    size: Option<usize>,
    /// Send nothing more after so long; what is out then is awaited for -W at most
    #[arg(
        short = 'w',
        value_name = "SECONDS",
        requires = "ping",
        value_parser = Seconds::parse,
        allow_hyphen_values = true
    )]
    deadline: Option<Seconds>,
    /// Spread the probes over so many connections or source ports at the least, and name the worst [default: 1]
    #[arg(long, value_name = "N", requires = "ping", value_parser = parse_flows, allow_hyphen_values = true)]
    flows: Option<usize>,
    /// Send datagrams that any server understands: no loss by leg, no server times
    #[arg(long, requires = "ping")]
    plain: bool,
    /// Write the round trips to FILE, and the response times beside it (FILE.response), as HdrHistogram percentiles
    #[arg(long, value_name = "FILE", requires = "ping")]
    hgrm: Option<String>,
    /// Draw both by percentile into this SVG file
    #[arg(long, value_name = "FILE.svg", requires = "ping")]
    plot: Option<String>,
    /// Print the time of day before each line
    #[arg(short = 'D', requires = "ping")]
    dated: bool,
    /// Exit with 0 as long as no more than so many probes in a hundred are lost [default: 0]
    #[arg(
        long,
        value_name = "PERCENT",
        requires = "ping",
        value_parser = parse_percent,
        allow_hyphen_values = true
    )]
    max_loss: Option<f64>,
}

impl PingArgs {
    /// What they ask for, and files for the figures where they name some.
    pub(super) fn settings(
        self,
        protocol: Protocol,
        framing: Framing,
        timeout: Option<Duration>,
        quiet: bool,
        name: Option<String>,
    ) -> Result<ping::Settings, Error> {
        if self.plain && protocol == Protocol::Tcp {
            return Err(Error::Usage("--plain is for datagrams: give -u, too".to_owned()));
        }
        let size = self.size.unwrap_or(if protocol == Protocol::Udp && !self.plain { STAMPED } else { 5 });
        let longest = longest_message(protocol, framing);
        if size > longest {
            let remedy = match (protocol, framing) {
                (Protocol::Tcp, Framing::Bytes) => "; --framing lines on both sides takes more",
                _ => "",
            };
            return Err(Error::Usage(format!("a probe of {size} bytes is too long: at most {longest} here{remedy}")));
        }
        let interval = self.interval.map_or(Some(Duration::from_secs(1)), |Seconds(interval)| interval);
        let interval = interval.ok_or_else(|| Error::Usage("-i needs an interval that comes to an end".to_owned()))?;
        if let (Some(hgrm), Some(plot)) = (&self.hgrm, &self.plot)
            && (are_same(plot, hgrm) || are_same(plot, &format!("{hgrm}.response")))
        {
            return Err(Error::Usage(format!("'{plot}' is named for --hgrm and --plot: give each a file of its own")));
        }
        // The names are checked first: what was asked for cannot be found out after an hour.
        let hgrm = self.hgrm.map(|path| Output::create(&[path.clone(), format!("{path}.response")]));
        let plot = self.plot.map(|path| Output::create(&[path]));
        Ok(ping::Settings {
            protocol,
            framing,
            count: self.count.map(|count| count as u64),
            interval,
            size,
            plain: self.plain,
            name,
            deadline: self.deadline.and_then(Seconds::or_never),
            timeout,
            flows: self.flows.unwrap_or(1),
            max_loss: self.max_loss.unwrap_or(0.0),
            hgrm: hgrm.transpose()?,
            plot: plot.transpose()?,
            quiet,
            dated: self.dated,
        })
    }
}

/// Whether two names are one file's, as far as the names alone can say.
fn are_same(one: &str, other: &str) -> bool {
    matches!((absolute(one), absolute(other)), (Ok(one), Ok(other)) if one == other)
}

fn parse_flows(word: &str) -> Result<usize, String> {
    let flows = word.parse().ok().filter(|flows| (1..=MOST_FLOWS).contains(flows));
    flows.ok_or_else(|| format!("give a number from 1 to {MOST_FLOWS}"))
}

fn parse_percent(word: &str) -> Result<f64, String> {
    let percent = word.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or_else(|| "give a percentage from 0 to 100".to_owned())
}
