//! The server's command line.

use clap::Parser;

use super::{FramingWord, Seconds, StyleArgs, parse_bytes, parse_count, parse_port};
use crate::error::Error;
use crate::server;
use crate::wire::{DEFAULT_PORT, LONGEST_MESSAGE};

/// Acknowledge every TCP message with ACK and every UDP datagram with check
///
/// One thread around one poll loop. The transcript goes to stdout, diagnostics go to stderr
/// (RUST_LOG=debug tells more). Commands are read from stdin, one a line; `help` lists them.
/// SIGINT and SIGTERM tell and close everyone, and so does SIGHUP where it was started from a terminal; a second SIGINT or
/// SIGTERM ends at once.
///
/// Exit code: 0 it was told to end; 1 a socket could not be bound, or the loop failed; 2 the command line makes no sense, or
/// a name does not resolve; 130, 143 a second SIGINT or SIGTERM ended it at once
#[derive(Debug, Parser)]
#[command(name = "reactor-server", version, after_help = SERVER_EXAMPLES, after_long_help = SERVER_EXAMPLES)]
pub(super) struct ServerArgs {
    /// Listen on this name or address; :: is every address, IPv4 and IPv6
    #[arg(long, default_value = "127.0.0.1", value_parser = parse_host)]
    host: String,
    /// Listen on this port; 0 lets the system choose one for TCP and UDP together
    #[arg(short, long, default_value_t = DEFAULT_PORT, value_parser = parse_port, allow_hyphen_values = true)]
    port: u16,
    /// Serve TCP alone
    #[arg(short, long)]
    tcp: bool,
    /// Serve UDP alone
    #[arg(short, long)]
    udp: bool,
    /// What one TCP message is: a read, a line, or a 4-byte big-endian count and as many bytes
    #[arg(long, value_name = "FRAMING", default_value = "bytes")]
    framing: FramingWord,
    /// The longest message accepted (lines and length)
    #[arg(long, value_name = "BYTES", default_value_t = LONGEST_MESSAGE, value_parser = parse_bytes, allow_hyphen_values = true)]
    max_message: usize,
    /// Cut a client that completes no message for so long; 0 is never (then keepalive finds those who vanished)
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = Seconds::parse, allow_hyphen_values = true)]
    idle_timeout: Seconds,
    /// Serve so many TCP clients at once [default: what the descriptor limit allows]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_hyphen_values = true)]
    max_connections: Option<usize>,
    /// On shutdown, give clients so long to take what they are owed (who is told to go before that has one second)
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = Seconds::parse, allow_hyphen_values = true)]
    grace: Seconds,
    /// Show the figures to a monitor at http://HOST:PORT/metrics, in Prometheus' text format; port 0 lets the system choose
    /// one, which is told on stderr
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_place, allow_hyphen_values = true)]
    metrics: Option<(String, u16)>,
    /// Spin instead of sleeping while a client is connected or was heard from within a second: lowest latency, for a whole core
    #[arg(long)]
    busy_poll: bool,
    #[command(flatten)]
    style: StyleArgs,
    /// Print the listening lines and the answers to commands only
    #[arg(short, long)]
    quiet: bool,
}

const SERVER_EXAMPLES: &str = "\
Examples:
  reactor-server                              TCP and UDP on 127.0.0.1, port 6666
  reactor-server --host :: -p 7000            every address of this machine, port 7000
  reactor-server --framing lines              one ACK for each line, for nc and telnet
  reactor-server -u -p 0 --format json        UDP alone, a free port, events as JSON lines
  reactor-server --idle-timeout 300 -q        patient and quiet";

fn parse_host(word: &str) -> Result<String, String> {
    match word.is_empty() {
        true => Err("give a name or an address, such as 0.0.0.0".to_owned()),
        false => Ok(word.to_owned()),
    }
}

/// `HOST:PORT` or `[v6]:PORT`.
fn parse_place(word: &str) -> Result<(String, u16), String> {
    let accepted = || "give HOST:PORT, such as 127.0.0.1:9100 or [::1]:9100".to_owned();
    let (host, port) = word.rsplit_once(':').ok_or_else(accepted)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if bare.unwrap_or(host).is_empty() || (bare.is_none() && host.contains([':', '[', ']'])) {
        return Err(accepted());
    }
    Ok((host.to_owned(), port.parse().map_err(|_| accepted())?))
}

impl ServerArgs {
    pub(super) fn settings(self) -> Result<server::Settings, Error> {
        Ok(server::Settings {
            host: self.host,
            port: self.port,
            tcp: self.tcp || !self.udp,
            udp: self.udp || !self.tcp,
            framing: self.framing.into(),
            longest_message: self.max_message,
            idle_timeout: self.idle_timeout.or_never(),
            max_connections: self.max_connections,
            grace: self.grace.0,
            metrics: self.metrics,
            busy_poll: self.busy_poll,
            quiet: self.quiet,
            style: self.style.style()?,
        })
    }
}
