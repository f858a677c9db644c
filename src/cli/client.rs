//! The client's command line, and the mode that it asks for.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::time::Duration;

use clap::Parser;

use super::launch::{Mode, Settings};
use super::modes::{Asked, Special, refuse_strays};
use super::ping::PingArgs;
use super::size::{self, is_number};
use super::{FramingWord, Seconds, StyleArgs, ending_wait, parse_count};
use crate::client::chat::{self, longest_message};
use crate::client::find_idle;
use crate::client::origin::{Origin, Place, parse_tos};
use crate::client::ping;
use crate::client::target::{Family, Target, unsigned};
use crate::client::verdict::{self, Asking};
use crate::error::Error;
use crate::escape::escape;
use crate::wire::{Framing, Protocol};

/// Send each line of stdin to a reactor-server and show how it is acknowledged
///
/// One thread around one poll loop. Replies and results go to stdout, diagnostics to stderr.
/// It ends when stdin has ended and every message is acknowledged, or as soon as the server closes.
///
/// As an instrument it finds out whether a path is open (-z), how long an acknowledgement takes
/// (--ping), when a silent path is cut (--find-idle), and how big a message may be (--find-size).
///
/// Exit code: 0 everything was acknowledged; 1 the path did not verify; 2 it could not be tried, or stdout cannot take it (a full disk).
///
/// Unlike ping(8), --ping exits with 1 for a single loss; --max-loss allows for some.
#[derive(Debug, Parser)]
#[command(name = "reactor-client", version, after_help = EXAMPLES, after_long_help = EXAMPLES)]
pub(super) struct ClientArgs {
    /// Where the server is: a name, an address, HOST:PORT or [IPv6]:PORT [default: 127.0.0.1]
    host: Option<String>,
    /// The server's port [default: 6666]
    port: Option<String>,
    /// The same
    #[arg(short = 'p', long = "port", value_name = "PORT", allow_hyphen_values = true)]
    port_option: Option<String>,
    /// Speak UDP: each message is a datagram
    #[arg(short, long)]
    udp: bool,
    /// Speak TCP, as it does anyway; with -z -u ask both
    #[arg(short, long)]
    tcp: bool,
    /// Send this message instead of reading stdin (which is not read on Windows); may be given again
    #[arg(short, long = "message", value_name = "TEXT")]
    messages: Vec<OsString>,
    /// What one TCP message is; the server must be told the same
    #[arg(long, value_name = "FRAMING", default_value = "bytes")]
    framing: FramingWord,
    /// Let so many messages be outstanding (lines and length) [default: 1]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_hyphen_values = true)]
    window: Option<usize>,
    /// Give up when an awaited reply, or a person, is silent for so long; 0 is never [default: 30, as an instrument 1]
    #[arg(short = 'W', long, value_name = "SECONDS", value_parser = Seconds::parse, allow_hyphen_values = true)]
    timeout: Option<Seconds>,
    /// Use IPv4 addresses alone
    #[arg(short = '4', conflicts_with = "ipv6")]
    ipv4: bool,
    /// Use IPv6 addresses alone
    #[arg(short = '6')]
    ipv6: bool,
    /// Leave from this address of ours, this port (ADDRESS:PORT, :PORT), or by this interface
    #[arg(short = 'I', long = "bind", value_name = "ADDRESS[:PORT]|INTERFACE", value_parser = Place::parse)]
    place: Option<Place>,
    /// Mark the packets: the TOS or traffic class byte, or a DSCP name such as EF, AF41, CS1
    #[arg(short = 'Q', long, value_name = "VALUE", value_parser = parse_tos, allow_hyphen_values = true)]
    tos: Option<u8>,
    /// Let routers pass the packets on so often at most, 1 to 255
    #[arg(long, value_name = "N", value_parser = parse_ttl, allow_hyphen_values = true)]
    ttl: Option<u8>,
    #[command(flatten)]
    style: StyleArgs,
    /// Print errors only; with --ping the summary, too
    #[arg(short, long)]
    quiet: bool,

    /// Is the path open? One line for each protocol and address, exit 0 if it is
    #[arg(short = 'z', group = "mode", help_heading = "As an instrument")]
    verdict: bool,
    /// How long does an acknowledgement take? Probes on a fixed schedule, whatever the answers do
    #[arg(long, group = "mode", help_heading = "As an instrument")]
    ping: bool,
    /// When is a silent path cut? Tries silences up to so many seconds, side by side
    #[arg(
        long,
        group = "mode",
        help_heading = "As an instrument",
        value_name = "SECONDS",
        value_parser = Seconds::parse,
        allow_hyphen_values = true
    )]
    find_idle: Option<Seconds>,
    /// How big may a message be? Tries sizes up to so many bytes [default: the longest there is; over TCP 65536]
    #[arg(long, group = "mode", help_heading = "As an instrument", value_name = "BYTES", num_args = 0..=1)]
    find_size: Option<Option<String>>,
    /// What a child process does for each round of -z -w, and for --ping when a name may have moved; it ends after so long
    #[arg(long, group = "mode", hide = true, value_name = "SECONDS", num_args = 0..=1, require_equals = true)]
    resolve: Option<Option<NonZeroU32>>,
    /// With --ping stop after so long; with -z ask again, once a second, until the path is open or so long is over
    #[arg(
        short = 'w',
        help_heading = "As an instrument",
        value_name = "SECONDS",
        value_parser = Seconds::parse,
        allow_hyphen_values = true
    )]
    deadline: Option<Seconds>,

    #[command(flatten)]
    probes: PingArgs,
}

const EXAMPLES: &str = "\
Examples:
  reactor-client                              type to 127.0.0.1, port 6666
  reactor-client -ztu example.org 7000        are TCP and UDP open there?
  reactor-client --ping -u -c 100 -i 0.01     a hundred datagrams, ten milliseconds apart
  reactor-client --find-idle 120 example.org  when is a silent connection cut?
  reactor-client --find-size -u example.org   how big may a datagram be?";

fn parse_ttl(word: &str) -> Result<u8, String> {
    unsigned(word).filter(|&ttl| ttl > 0).ok_or_else(|| "give a number from 1 to 255".to_owned())
}

impl ClientArgs {
    pub(super) fn settings(mut self) -> Result<Settings, Error> {
        self.sort_words()?;
        self.refuse_strays()?;
        let (family, origin) = (self.family(), self.origin());
        let target = Target::parse(self.host.as_deref(), self.port.as_deref(), self.port_option.as_deref())?;
        let literal = target.literal().map(|ip| if ip.is_ipv4() { Family::V4 } else { Family::V6 });
        let family = origin.family(family)?;
        if let (Some(own), Some(literal)) = (origin.family(None)?, literal)
            && own != literal
        {
            let own = if own == Family::V4 { "IPv4" } else { "IPv6" };
            return Err(origin.is_of_another(&target.host, own));
        }
        // An address has but one family; who insists on the other is told so where it is resolved.
        let family = family.or(literal);
        Ok(Settings { target, family, origin, style: self.style.style()?, quiet: self.quiet, mode: self.mode()? })
    }

    /// What follows `--find-size` may be its number, or the host already.
    fn sort_words(&mut self) -> Result<(), Error> {
        let Some(word) = self.find_size.as_mut().and_then(|word| word.take_if(|word| !is_number(word))) else {
            return Ok(());
        };
        if let (Some(_), Some(port)) = (&self.host, &self.port) {
            let (word, port) = (escape(word.as_bytes()), escape(port.as_bytes()));
            return Err(Error::Usage(format!(
                "'{port}' is a word too many: --find-size takes a number of bytes, and '{word}' is none"
            )));
        }
        self.port = self.host.replace(word).or(self.port.take());
        Ok(())
    }

    fn refuse_strays(&self) -> Result<(), Error> {
        if let Some(number) = self.host.as_deref().filter(|word| self.tcp && is_number(word)) {
            let what = format!("'{number}' is no host, and -t is TCP: ping's -t {number} is --ttl {number} here");
            return Err(Error::Usage(what));
        }
        let asked = match self.find_idle {
            _ if self.verdict => Asked::Verdict,
            _ if self.ping => Asked::Ping,
            Some(_) => Asked::FindIdle,
            None if self.find_size.is_some() => Asked::FindSize,
            None => Asked::Chat,
        };
        let own = [
            Special { given: !self.messages.is_empty(), name: "-m", homes: &[Asked::Chat] },
            Special { given: self.window.is_some(), name: "--window", homes: &[Asked::Chat] },
            Special { given: self.deadline.is_some(), name: "-w", homes: &[Asked::Verdict, Asked::Ping] },
        ];
        refuse_strays(asked, &own.into_iter().chain(self.probes.special()).collect::<Vec<_>>())
    }

    fn mode(self) -> Result<Mode, Error> {
        if let Some(seconds) = self.resolve {
            return Ok(Mode::Resolve(seconds));
        }
        if self.verdict {
            return Ok(Mode::Verdict(verdict::Settings {
                protocols: match (self.tcp, self.udp) {
                    (true, true) => vec![Protocol::Tcp, Protocol::Udp],
                    (false, true) => vec![Protocol::Udp],
                    (_, false) => vec![Protocol::Tcp],
                },
                framing: self.framing.into(),
                origin: self.origin(),
                timeout: self.instrument_timeout(),
                asking: match self.deadline.map(Seconds::or_never) {
                    None => Asking::Once,
                    Some(None) => Asking::ForEver,
                    Some(Some(span)) => Asking::For(span),
                },
            }));
        }
        if self.tcp && self.udp {
            return Err(Error::Usage("-t and -u together are for -z: elsewhere give one of them".to_owned()));
        }
        if let Some(most) = &self.find_size {
            let (protocol, framing, timeout) = (self.protocol(), self.framing.into(), self.instrument_timeout());
            return size::settings(most.as_deref(), protocol, framing, self.origin(), timeout).map(Mode::FindSize);
        }
        match self.find_idle {
            _ if self.ping => self.ping_settings().map(Mode::Ping),
            Some(Seconds(longest)) => {
                if let Some(port) = self.origin().port() {
                    return Err(Error::Usage(format!(
                        "--find-idle needs many ports, and -I gives one, {port}: give the address alone"
                    )));
                }
                let longest = longest.filter(|longest| !longest.is_zero());
                let refusal =
                    || Error::Usage("--find-idle needs a time above 0 that comes to an end, such as 120".to_owned());
                Ok(Mode::FindIdle(find_idle::Settings {
                    protocol: self.protocol(),
                    framing: self.framing.into(),
                    origin: self.origin(),
                    longest: longest.ok_or_else(refusal)?,
                    timeout: ending_wait("--find-idle", self.instrument_timeout())?,
                }))
            }
            None => self.chat_settings().map(Mode::Chat),
        }
    }

    fn family(&self) -> Option<Family> {
        if self.ipv4 { Some(Family::V4) } else { self.ipv6.then_some(Family::V6) }
    }

    fn origin(&self) -> Origin {
        Origin { place: self.place.clone(), tos: self.tos, ttl: self.ttl }
    }

    fn protocol(&self) -> Protocol {
        if self.udp { Protocol::Udp } else { Protocol::Tcp }
    }

    fn instrument_timeout(&self) -> Option<Duration> {
        self.timeout.map_or(Some(Duration::from_secs(1)), Seconds::or_never)
    }

    fn ping_settings(self) -> Result<ping::Settings, Error> {
        let (protocol, timeout, origin) = (self.protocol(), self.instrument_timeout(), self.origin());
        let family = origin.family(self.family())?;
        let deadline = self.deadline.and_then(Seconds::or_never);
        let target = Target::parse(self.host.as_deref(), self.port.as_deref(), self.port_option.as_deref())?;
        let name = target.literal().is_none().then_some(target.host);
        let port = origin.port();
        let settings = self.probes.settings(protocol, self.framing.into(), timeout, deadline, self.quiet, name)?;
        if let Some(port) = port.filter(|_| settings.flows > 1) {
            let what = format!("--flows {} needs as many ports, and -I gives one, {port}", settings.flows);
            return Err(Error::Usage(format!("{what}: give the address alone")));
        }
        Ok(ping::Settings { origin, family, ..settings })
    }

    fn chat_settings(self) -> Result<chat::Settings, Error> {
        // Without a way to read it that does not block, stdin would be at its end at once: a success that sent nothing.
        if cfg!(windows) && self.messages.is_empty() {
            let what = "stdin is not read on Windows: give each message with -m, or ask with -z, --ping, --find-idle or --find-size";
            return Err(Error::Usage(what.to_owned()));
        }
        let (protocol, framing): (Protocol, Framing) = (self.protocol(), self.framing.into());
        let origin = self.origin();
        let window = self.window.unwrap_or(1);
        if window > 1 && (protocol == Protocol::Udp || framing == Framing::Bytes) {
            let what = "--window takes more than 1 only with TCP and --framing lines or length: \
                        elsewhere no reply says which message it is for";
            return Err(Error::Usage(what.to_owned()));
        }
        let messages: Vec<Vec<u8>> = self.messages.into_iter().map(OsString::into_encoded_bytes).collect();
        for message in &messages {
            check_message(message, protocol, framing)?;
        }
        let timeout = self.timeout.map_or(Some(Duration::from_secs(30)), Seconds::or_never);
        Ok(chat::Settings { protocol, framing, origin, messages, window, timeout, quiet: self.quiet })
    }
}

fn check_message(message: &[u8], protocol: Protocol, framing: Framing) -> Result<(), Error> {
    let (len, longest) = (message.len(), longest_message(protocol, framing));
    let what = match (protocol, framing) {
        _ if len > longest => format!("a message given with -m has {len} bytes: at most {longest} are accepted here"),
        (Protocol::Tcp, Framing::Bytes) if message.is_empty() => {
            "an empty message given with -m has nothing to send in bytes framing: --framing lines accepts it".to_owned()
        }
        (Protocol::Tcp, Framing::Lines) if message.contains(&b'\n') => {
            "a message given with -m has a newline, which ends it in lines framing: give -m for each line".to_owned()
        }
        _ => return Ok(()),
    };
    Err(Error::Usage(what))
}
