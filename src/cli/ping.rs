//! The words of `--ping`.

use std::net::IpAddr;
use std::time::Duration;

use clap::Args;

use super::modes::{Asked, Special};
use super::{Seconds, parse_count};
use crate::client::chat::longest_message;
use crate::client::origin::Origin;
use crate::client::ping::{self, MOST_FLOWS, Output};
use crate::error::Error;
use crate::escape::escape;
use crate::wire::{Framing, Protocol, STAMPED};

#[derive(Debug, Args)]
#[command(next_help_heading = "With --ping")]
pub(super) struct PingArgs {
    /// Stop after so many probes
    #[arg(short, value_name = "N", value_parser = parse_count, allow_hyphen_values = true)]
    count: Option<usize>,
    /// From one probe to the next; 0 sends each when the one before is answered [default: 1]
    #[arg(
        short,
        value_name = "SECONDS",
        value_parser = Seconds::parse,
        allow_hyphen_values = true
    )]
    interval: Option<Seconds>,
    /// Bytes in a probe [default: 5; over UDP 72, fewer mean --plain]
    #[arg(short, value_name = "BYTES", value_parser = parse_size, allow_hyphen_values = true)]
    size: Option<usize>,
    /// Spread the probes over so many connections or source ports at the least, and name the worst [default: 1]
    #[arg(long, value_name = "N", value_parser = parse_flows, allow_hyphen_values = true)]
    flows: Option<usize>,
    /// Send datagrams that any server understands: no loss by leg, no server times
    #[arg(long)]
    plain: bool,
    /// At the end write the round trips to FILE, and the response times beside it (FILE.response; a pipe or a device
    /// takes both), as HdrHistogram percentiles
    #[arg(long, value_name = "FILE")]
    hgrm: Option<String>,
    /// At the end draw both into this SVG file: by percentile, and over time with losses and outages
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<String>,
    /// Print the local time, with its offset from UTC, before each line
    #[arg(short = 'D')]
    dated: bool,
    /// Exit with 0 as long as no more than so many probes in a hundred are lost [default: 0]
    #[arg(
        long,
        value_name = "PERCENT",
        value_parser = parse_percent,
        allow_hyphen_values = true
    )]
    max_loss: Option<f64>,
}

impl PingArgs {
    /// Those that were given: elsewhere they mean nothing.
    pub(super) fn special(&self) -> impl Iterator<Item = Special> {
        let given = [
            (self.count.is_some(), "-c"),
            (self.interval.is_some(), "-i"),
            (self.size.is_some(), "-s"),
            (self.flows.is_some(), "--flows"),
            (self.hgrm.is_some(), "--hgrm"),
            (self.plot.is_some(), "--plot"),
            (self.dated, "-D"),
            (self.plain, "--plain"),
            (self.max_loss.is_some(), "--max-loss"),
        ];
        given.into_iter().map(|(given, name)| Special { given, name, homes: &[Asked::Ping] })
    }

    /// What they ask for, and files for the figures where they name some.
    pub(super) fn settings(
        self,
        protocol: Protocol,
        framing: Framing,
        timeout: Option<Duration>,
        deadline: Option<Duration>,
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
        // Looked at first, touched last: what was asked for cannot turn out to be impossible after an hour.
        let hgrm = self.hgrm.as_deref().map(Output::hgrm).transpose()?;
        let plot = self.plot.as_deref().map(Output::plot).transpose()?;
        if let (Some(hgrm), Some(plot), Some(name)) = (&hgrm, &plot, &self.plot)
            && plot.is_same(hgrm)
        {
            let name = escape(name.as_bytes());
            return Err(Error::Usage(format!("'{name}' is named for --hgrm and --plot: give each a file of its own")));
        }
        Ok(ping::Settings {
            protocol,
            framing,
            origin: Origin::default(),
            count: self.count.map(|count| count as u64),
            interval,
            size,
            plain: self.plain,
            name,
            family: None,
            deadline,
            timeout,
            flows: self.flows.unwrap_or(1),
            max_loss: self.max_loss.unwrap_or(0.0),
            hgrm,
            plot,
            quiet,
            dated: self.dated,
        })
    }
}

/// How long a probe is. (For nc it is an address.)
fn parse_size(word: &str) -> Result<usize, String> {
    match word.parse::<IpAddr>() {
        Ok(own) => Err(format!("it is the bytes of a probe: to leave from an address give -I {own}")),
        Err(_) => parse_count(word),
    }
}

fn parse_flows(word: &str) -> Result<usize, String> {
    let flows = word.parse().ok().filter(|flows| (1..=MOST_FLOWS).contains(flows));
    flows.ok_or_else(|| format!("give a number from 1 to {MOST_FLOWS}"))
}

fn parse_percent(word: &str) -> Result<f64, String> {
    let percent = word.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or_else(|| "give a percentage from 0 to 100".to_owned())
}
