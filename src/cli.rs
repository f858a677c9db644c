//! The command lines: words in, settings out; and how both programs begin and end.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};
use env_logger::{Env, Target as LogTarget};

use crate::client::chat::{self, longest_message};
use crate::client::target::{DEFAULT_PORT, Family, Target};
use crate::error::{Error, exit};
use crate::escape::escape;
use crate::journal::LAST_LINES;
use crate::screen::{Diagnostics, Screen};
use crate::server;
use crate::transcript::{Format, Lang, Style, gap};
use crate::wire::{Framing, LONGEST_MESSAGE, Protocol};

/// A span of time given in seconds; `None` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seconds(Option<Duration>);

impl Seconds {
    /// Seconds as people write them; a span too long to count means for ever.
    fn parse(word: &str) -> Result<Seconds, String> {
        const FORM: &str = "give seconds, such as 30 or 0.5";
        let seconds: f64 = word.trim().parse().map_err(|_| FORM.to_owned())?;
        let is_number = word.bytes().any(|byte| byte.is_ascii_digit());
        if !is_number || seconds.is_nan() || seconds < 0.0 {
            return Err(FORM.to_owned());
        }
        Ok(Seconds(Duration::try_from_secs_f64(seconds).ok()))
    }

    /// The same, where 0 means for ever as well.
    fn or_never(self) -> Option<Duration> {
        self.0.filter(|span| !span.is_zero())
    }
}

fn parse_port(word: &str) -> Result<u16, String> {
    word.parse().map_err(|_| "give a number from 0 (the system chooses) to 65535".to_owned())
}

fn parse_count(word: &str) -> Result<usize, String> {
    word.parse().ok().filter(|&count| count > 0).ok_or_else(|| "give a whole number from 1 on".to_owned())
}

fn parse_bytes(word: &str) -> Result<usize, String> {
    let bytes = word.parse::<u32>().ok().filter(|&bytes| bytes > 0);
    bytes.map(|bytes| bytes as usize).ok_or_else(|| "give a number of bytes from 1 to 4294967295".to_owned())
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FramingWord {
    Bytes,
    Lines,
    Length,
}

impl From<FramingWord> for Framing {
    fn from(word: FramingWord) -> Framing {
        match word {
            FramingWord::Bytes => Framing::Bytes,
            FramingWord::Lines => Framing::Lines,
            FramingWord::Length => Framing::Length,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatWord {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LangWord {
    Auto,
    En,
    Zh,
}

/// How events are written: the same words for both programs.
#[derive(Clone, Copy, Debug, Args)]
struct StyleArgs {
    /// Print sentences, or one JSON object a line
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: FormatWord,
    /// The language of the sentences; auto follows LC_ALL, LC_MESSAGES and LANG
    #[arg(long, value_name = "LANG", default_value = "auto")]
    lang: LangWord,
}

impl StyleArgs {
    fn style(self) -> Style {
        Style {
            format: match self.format {
                FormatWord::Text => Format::Text,
                FormatWord::Json => Format::Json,
            },
            lang: match self.lang {
                LangWord::Auto => Lang::auto(|name| std::env::var_os(name)),
                LangWord::En => Lang::En,
                LangWord::Zh => Lang::Zh,
            },
        }
    }
}

/// Acknowledge every TCP message with ACK and every UDP datagram with check
///
/// One thread around one poll loop. The transcript goes to stdout, diagnostics go to stderr
/// (RUST_LOG=debug tells more). Commands are read from stdin, one a line; `help` lists them.
/// SIGINT, SIGTERM and SIGHUP tell and close everyone; a second SIGINT or SIGTERM ends at once.
#[derive(Debug, Parser)]
#[command(name = "reactor-server", version, after_help = SERVER_EXAMPLES, after_long_help = SERVER_EXAMPLES)]
struct ServerArgs {
    /// Listen on this name or address; :: is every address, IPv4 and IPv6
    #[arg(long, default_value = "127.0.0.1", value_parser = parse_host)]
    host: String,
    /// Listen on this port; 0 lets the system choose one for TCP and UDP together
    #[arg(short, long, default_value_t = DEFAULT_PORT, value_parser = parse_port)]
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
    #[arg(long, value_name = "BYTES", default_value_t = LONGEST_MESSAGE, value_parser = parse_bytes)]
    max_message: usize,
    /// Cut a client that completes no message for so long; 0 is never
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = Seconds::parse, allow_hyphen_values = true)]
    idle_timeout: Seconds,
    /// Serve so many TCP clients at once [default: what the descriptor limit allows]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    max_connections: Option<usize>,
    /// On shutdown, give clients so long to take what they are owed
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = Seconds::parse, allow_hyphen_values = true)]
    grace: Seconds,
    /// Spin instead of sleeping while a client is there: lowest latency, for a whole core
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

impl ServerArgs {
    fn settings(self) -> server::Settings {
        server::Settings {
            host: self.host,
            port: self.port,
            tcp: self.tcp || !self.udp,
            udp: self.udp || !self.tcp,
            framing: self.framing.into(),
            longest_message: self.max_message,
            idle_timeout: self.idle_timeout.or_never(),
            max_connections: self.max_connections,
            grace: self.grace.0,
            busy_poll: self.busy_poll,
            quiet: self.quiet,
            style: self.style.style(),
        }
    }
}

/// Send each line of stdin to a reactor-server and show how it is acknowledged
///
/// One thread around one poll loop. Replies and results go to stdout, diagnostics to stderr.
/// It ends when stdin has ended and every message is acknowledged, or as soon as the server closes.
///
/// Exit code: 0 everything was acknowledged; 1 the path did not verify; 2 it could not be tried.
#[derive(Debug, Parser)]
#[command(name = "reactor-client", version, after_help = CLIENT_EXAMPLES, after_long_help = CLIENT_EXAMPLES)]
struct ClientArgs {
    /// Where the server is: a name, an address, HOST:PORT or [IPv6]:PORT [default: 127.0.0.1]
    host: Option<String>,
    /// The server's port [default: 6666]
    port: Option<String>,
    /// Speak UDP: each message is a datagram
    #[arg(short, long)]
    udp: bool,
    /// Send this message instead of reading stdin; may be given again
    #[arg(short, long = "message", value_name = "TEXT")]
    messages: Vec<OsString>,
    /// What one TCP message is; the server must be told the same
    #[arg(long, value_name = "FRAMING", default_value = "bytes")]
    framing: FramingWord,
    /// Let so many messages be outstanding (lines and length)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = parse_count)]
    window: usize,
    /// Give up when an awaited reply, or a person, is silent for so long; 0 is never
    #[arg(short = 'W', long, value_name = "SECONDS", default_value = "30", value_parser = Seconds::parse, allow_hyphen_values = true)]
    timeout: Seconds,
    /// Use IPv4 addresses alone
    #[arg(short = '4', conflicts_with = "ipv6")]
    ipv4: bool,
    /// Use IPv6 addresses alone
    #[arg(short = '6')]
    ipv6: bool,
    #[command(flatten)]
    style: StyleArgs,
    /// Print errors only
    #[arg(short, long)]
    quiet: bool,
}

const CLIENT_EXAMPLES: &str = "\
Examples:
  reactor-client                              type to 127.0.0.1, port 6666
  reactor-client example.org 7000 -u          the same over UDP, elsewhere
  reactor-client -m hello && echo it works    one message, judged by the exit code
  reactor-client --framing lines < notes.txt  every line of a file
  reactor-client --framing lines --window 64 --format json [::1]:6666 < notes.txt";

/// What the command line asks of the client.
pub struct ClientSettings {
    target: Target,
    family: Option<Family>,
    style: Style,
    chat: chat::Settings,
}

impl ClientArgs {
    fn settings(self) -> Result<ClientSettings, Error> {
        let protocol = if self.udp { Protocol::Udp } else { Protocol::Tcp };
        let framing: Framing = self.framing.into();
        if self.window > 1 && (self.udp || framing == Framing::Bytes) {
            let what = "--window takes more than 1 only with TCP and --framing lines or length: elsewhere no reply says which message it is for";
            return Err(Error::Usage(what.to_owned()));
        }
        let messages: Vec<Vec<u8>> = self.messages.into_iter().map(OsString::into_encoded_bytes).collect();
        let longest = longest_message(protocol, framing);
        for message in &messages {
            check_message(message, protocol, framing, longest)?;
        }
        Ok(ClientSettings {
            target: Target::parse(self.host.as_deref(), self.port.as_deref())?,
            family: if self.ipv4 { Some(Family::V4) } else { self.ipv6.then_some(Family::V6) },
            style: self.style.style(),
            chat: chat::Settings {
                protocol,
                framing,
                messages,
                window: self.window,
                timeout: self.timeout.or_never(),
                quiet: self.quiet,
            },
        })
    }
}

fn check_message(message: &[u8], protocol: Protocol, framing: Framing, longest: usize) -> Result<(), Error> {
    if message.len() > longest {
        let len = message.len();
        return Err(Error::Usage(format!(
            "a message given with -m has {len} bytes: at most {longest} are accepted here"
        )));
    }
    let is_tcp_bytes = protocol == Protocol::Tcp && framing == Framing::Bytes;
    if message.is_empty() && is_tcp_bytes {
        let what = "an empty message given with -m has nothing to send in bytes framing: --framing lines accepts it";
        return Err(Error::Usage(what.to_owned()));
    }
    if message.contains(&b'\n') && protocol == Protocol::Tcp && framing == Framing::Lines {
        let what = "a message given with -m has a newline, which ends it in lines framing: give -m for each line";
        return Err(Error::Usage(what.to_owned()));
    }
    Ok(())
}

/// The server, from its command line to its exit code.
pub fn run_server() -> ExitCode {
    run(|args: ServerArgs, diagnostics| {
        server::Server::start(args.settings(), diagnostics)?.run()?;
        Ok(exit::DONE)
    })
}

/// The client, from its command line to its exit code.
pub fn run_client() -> ExitCode {
    use crate::client::stage::Stage;
    use crate::signals::OnQuit;

    run(|args: ClientArgs, diagnostics| {
        let ClientSettings { target, family, style, chat } = args.settings()?;
        // Before the signal handlers: a resolver that hangs can still be interrupted.
        let addresses = target.resolve(family)?;
        let stage = Stage::new(style, chat.quiet, diagnostics, OnQuit::Die)?;
        chat::Chat::new(stage, chat, addresses)?.run()
    })
}

/// Parses the command line and runs what it asks for; any failure is one sentence on stderr.
fn run<A: Parser>(program: impl FnOnce(A, Diagnostics) -> Result<u8, Error>) -> ExitCode {
    let name = A::command().get_name().to_owned();
    let mut diagnostics = Diagnostics::new(Screen::stderr(Box::new(|lines| gap(Style::default(), lines))));
    start_log(diagnostics.clone());
    let args = match A::try_parse() {
        Ok(args) => args,
        Err(error) if !error.use_stderr() => {
            // --help and --version; a stdout that takes neither is no reason to fail.
            let _ = error.print();
            return ExitCode::from(exit::DONE);
        }
        Err(error) => {
            complain(&mut diagnostics, &name, &usage(&error));
            return ExitCode::from(exit::USAGE);
        }
    };
    match program(args, diagnostics.clone()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&mut diagnostics, &name, &error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

fn complain(diagnostics: &mut Diagnostics, name: &str, sentence: &str) {
    // stderr that fails leaves nobody to tell.
    let _ = diagnostics.write_all(format!("{name}: {sentence}\n").as_bytes());
    diagnostics.finish(LAST_LINES);
}

/// The log goes where nothing can hold up the loop, and passes nothing on raw.
fn start_log(diagnostics: Diagnostics) {
    let mut log = env_logger::Builder::from_env(Env::default().default_filter_or("warn"));
    log.target(LogTarget::Pipe(Box::new(diagnostics)));
    log.format(|out, record| {
        let text = record.args().to_string();
        let time = out.timestamp_micros();
        writeln!(out, "{time} {:5} {} {}", record.level(), record.target(), escape(text.as_bytes()))
    });
    log.init();
}

/// A usage error as one sentence: what was wrong and what is accepted.
fn usage(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let sentence = text.split("\n\n").next().unwrap_or(text);
    let sentence: Vec<&str> = sentence.lines().map(str::trim).collect();
    format!("{}; --help lists what is accepted", escape(sentence.join(" ").as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_lines_are_well_formed() {
        ServerArgs::command().debug_assert();
        ClientArgs::command().debug_assert();
    }

    #[test]
    fn seconds_are_understood_as_people_write_them() {
        for (word, expected) in [("30", 30.0), ("0.5", 0.5), (".5", 0.5), ("1e1", 10.0), ("0", 0.0)] {
            assert_eq!(Seconds::parse(word), Ok(Seconds(Some(Duration::from_secs_f64(expected)))), "{word}");
        }
        for never in ["1e30", "1e400", "18446744073709551616"] {
            assert_eq!(Seconds::parse(never), Ok(Seconds(None)), "{never}");
        }
        for wrong in ["", "-1", "-0.5", "nan", "inf", "-inf", "infinity", "ten", "5s", "1,5"] {
            assert!(Seconds::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_mistake_is_one_sentence_with_the_accepted_form() {
        let sentence = |words: &[&str]| usage(&ServerArgs::try_parse_from(words).unwrap_err());
        assert_eq!(
            sentence(&["x", "--port", "70000"]),
            "invalid value '70000' for '--port <PORT>': give a number from 0 (the system chooses) to 65535; --help lists what is accepted"
        );
        for words in [&["x", "--framing", "words"][..], &["x", "--no-such"], &["x", "stray"], &["x", "-p"]] {
            assert_eq!(sentence(words).lines().count(), 1, "{words:?}");
        }
    }
}
