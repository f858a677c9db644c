//! The server's command line.

use clap::{Parser, ValueEnum};

use super::{FramingWord, Seconds, StyleArgs, parse_bytes, parse_count, parse_port};
use crate::client::target::has_port_in_zone;
use crate::error::Error;
use crate::server::networks::Network;
use crate::server::{self, Extent};
use crate::wire::{DEFAULT_PORT, LONGEST_MESSAGE};

/// Acknowledge every TCP message with ACK and every UDP datagram with check
///
/// One thread around one poll loop. The transcript goes to stdout, diagnostics go to stderr
/// (RUST_LOG=debug tells more). Commands are read from stdin, one a line; `help` lists them.
/// SIGINT and SIGTERM tell and close everyone, and so does SIGHUP where a terminal controlled it at the start; a second SIGINT or
/// SIGTERM ends at once.
///
/// Under a supervisor such as systemd, LISTEN_FDS passes it sockets in place of its own, which it leaves to the next process;
/// NOTIFY_SOCKET is told when they are bound and when the end begins, with WATCHDOG_USEC also that the loop goes round;
/// where JOURNAL_STREAM names stderr, diagnostics carry their priority.
///
/// Exit code: 0 it was told to end; 1 a socket could not be bound, or the loop failed; 2 the command line makes no sense, or
/// a name does not resolve; 130, 143 a second SIGINT or SIGTERM ended it at once
#[derive(Debug, Parser)]
#[command(name = "reactor-server", version, after_help = SERVER_EXAMPLES, after_long_help = SERVER_EXAMPLES)]
pub(super) struct ServerArgs {
    /// Listen on this name or address; :: is every address, IPv4 and IPv6 [default: 127.0.0.1]
    #[arg(long, value_parser = parse_host)]
    host: Option<String>,
    /// Listen on this port; 0 lets the system choose one for TCP and UDP together [default: 6666]
    #[arg(short, long, value_parser = parse_port, allow_hyphen_values = true)]
    port: Option<u16>,
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
    /// After SIGTERM, before the shutdown, serve so long on: each client's next ACK is its last, with the notice behind it
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = Seconds::parse, allow_hyphen_values = true)]
    drain: Seconds,
    /// Share the port with other processes that do the same (SO_REUSEPORT)
    ///
    /// The system deals clients out among them by their addresses, whatever each has to do. When one of them ends, the
    /// connections in its backlog are reset and the datagrams in its socket are lost; when their number changes, the
    /// datagrams of a source port may go to another one. Sockets that a supervisor passes (LISTEN_FDS) lose nothing.
    #[arg(long)]
    reuse_port: bool,
    /// Show the figures to a monitor at http://HOST:PORT/metrics, in Prometheus' text format; port 0 lets the system choose
    /// one, which is told on stderr
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_place, allow_hyphen_values = true)]
    metrics: Option<(String, u16)>,
    /// Spin instead of sleeping while a client is connected or was heard from within a second: lowest latency, for a whole core
    #[arg(long)]
    busy_poll: bool,
    #[command(flatten)]
    style: StyleArgs,
    /// Print the listening lines and the answers to commands only: --transcript none
    #[arg(short, long)]
    quiet: bool,
    /// Tell everything, everything but the messages (then they are only counted), or nothing [default: all]
    #[arg(long, value_name = "EXTENT")]
    transcript: Option<ExtentWord>,
    /// Serve who comes from this network or address and tell nothing of them: load balancers' checks; may be repeated
    #[arg(long, value_name = "CIDR", value_parser = parse_network, allow_hyphen_values = true)]
    quiet_from: Vec<Network>,
    /// Serve so many TCP clients at once from one address (of IPv6 from one /64), and tell the next that the server is full
    #[arg(long, value_name = "N", value_parser = parse_count, allow_hyphen_values = true)]
    max_per_address: Option<usize>,
    /// Expect a PROXY header (version 1 or 2) on TCP connections from this network or address, and believe whom it names; may be
    /// repeated
    #[arg(long, value_name = "CIDR", value_parser = parse_network, allow_hyphen_values = true)]
    proxy_protocol: Vec<Network>,
}

const DEFAULT_HOST: &str = "127.0.0.1";

const SERVER_EXAMPLES: &str = "\
Examples:
  reactor-server                              TCP and UDP on 127.0.0.1, port 6666
  reactor-server --host :: -p 7000            every address of this machine, port 7000
  reactor-server --framing lines              one ACK for each line, for nc and telnet
  reactor-server -u -p 0 --format json        UDP alone, a free port, events as JSON lines
  reactor-server --idle-timeout 300 -q        patient and quiet";

fn parse_host(word: &str) -> Result<String, String> {
    match word {
        "" => Err("give a name or an address, such as 0.0.0.0".to_owned()),
        _ if has_port_in_zone(word) => Err("give an address without a port, which is -p's".to_owned()),
        _ => Ok(word.to_owned()),
    }
}

fn parse_network(word: &str) -> Result<Network, String> {
    Network::parse(word).ok_or_else(|| "give a network such as 10.0.0.0/8 or 2001:db8::/32, or one address".to_owned())
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ExtentWord {
    All,
    Connections,
    None,
}

/// `HOST:PORT` or `[v6]:PORT`.
fn parse_place(word: &str) -> Result<(String, u16), String> {
    let accepted = || "give HOST:PORT, such as 127.0.0.1:9100 or [::1]:9100".to_owned();
    let (host, port) = word.rsplit_once(':').ok_or_else(accepted)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if bare.is_some_and(has_port_in_zone)
        || bare.unwrap_or(host).is_empty()
        || (bare.is_none() && host.contains([':', '[', ']']))
    {
        return Err(accepted());
    }
    Ok((host.to_owned(), parse_port(port).map_err(|_| accepted())?))
}

impl ServerArgs {
    fn extent(&self) -> Result<Extent, Error> {
        match (self.transcript, self.quiet) {
            (None, false) | (Some(ExtentWord::All), false) => Ok(Extent::All),
            (Some(ExtentWord::Connections), false) => Ok(Extent::Connections),
            (None | Some(ExtentWord::None), _) => Ok(Extent::None),
            (Some(ExtentWord::All | ExtentWord::Connections), true) => {
                Err(Error::Usage("-q (--quiet) is --transcript none: give one of -q and --transcript".to_owned()))
            }
        }
    }

    /// Where sockets were `passed`, nothing may say what to bind.
    pub(super) fn settings(self, passed: bool) -> Result<server::Settings, Error> {
        let binding = [
            ("--host", self.host.is_some()),
            ("--port", self.port.is_some()),
            ("--tcp", self.tcp),
            ("--udp", self.udp),
            ("--reuse-port", self.reuse_port),
        ];
        if let Some((option, _)) = binding.into_iter().find(|(_, given)| passed && *given) {
            return Err(Error::Usage(format!(
                "{option} says what to bind, but sockets were passed (LISTEN_FDS), which are bound already: leave it out"
            )));
        }
        let transcript = self.extent()?;
        Ok(server::Settings {
            host: self.host.unwrap_or_else(|| DEFAULT_HOST.to_owned()),
            port: self.port.unwrap_or(DEFAULT_PORT),
            tcp: self.tcp || !self.udp,
            udp: self.udp || !self.tcp,
            framing: self.framing.into(),
            longest_message: self.max_message,
            idle_timeout: self.idle_timeout.or_never(),
            max_connections: self.max_connections,
            grace: self.grace.0,
            drain: self.drain.0,
            reuse_port: self.reuse_port,
            metrics: self.metrics,
            busy_poll: self.busy_poll,
            transcript,
            quiet_from: self.quiet_from.into(),
            max_per_address: self.max_per_address,
            proxies: self.proxy_protocol.into(),
            style: self.style.style()?,
        })
    }
}
