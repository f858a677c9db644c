//! The command lines: words in, settings out; and how both programs begin and end.

mod client;
mod foreign;
#[cfg(feature = "generate")]
mod generate;
mod launch;
mod modes;
mod ping;
mod seconds;
mod server;
mod size;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};
use env_logger::Target as LogTarget;
use log::{Level, LevelFilter};

use self::client::ClientArgs;
use self::seconds::Seconds;
use self::server::ServerArgs;
use crate::client::target::unsigned;
use crate::connection::is_reset;
use crate::error::{Error, exit};
use crate::escape::{cause, escape, sentence};
use crate::process::supervisor::{passed_sockets, priority};
use crate::server::Server;
use crate::stdio::block_signals;
use crate::stdio::diagnostics::{Diagnostics, Spelling};
use crate::stdio::screen::Screen;
use crate::trace;
use crate::transcript::client::Event;
use crate::transcript::journal::{Journal, LAST_LINES};
use crate::transcript::locale::{Locale, spelled};
use crate::transcript::{Charset, Format, Lang, Style, gap};
use crate::wire::Framing;

fn parse_port(word: &str) -> Result<u16, String> {
    unsigned(word).ok_or_else(|| "give a number from 0 (the system chooses) to 65535".to_owned())
}

fn parse_count(word: &str) -> Result<usize, String> {
    unsigned(word).filter(|&count| count > 0).ok_or_else(|| "give a whole number from 1 on".to_owned())
}

fn parse_bytes(word: &str) -> Result<usize, String> {
    let bytes = unsigned::<u32>(word).filter(|&bytes| bytes > 0);
    bytes.map(|bytes| bytes as usize).ok_or_else(|| "give a number of bytes from 1 to 4294967295".to_owned())
}

/// The time to wait for an answer of a search, which silence would otherwise hold up without end.
fn ending_wait(search: &str, timeout: Option<Duration>) -> Result<Duration, Error> {
    timeout.ok_or_else(|| Error::Usage(format!("{search} needs a wait that comes to an end: give -W more than 0")))
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
    /// Tell each turn of the loop on stderr: who woke it, what that led to, when it will wake again
    #[arg(long)]
    trace: bool,
    /// The language of the sentences; auto follows LC_ALL, LC_MESSAGES and LANG (zh needs UTF-8)
    #[arg(long, value_name = "LANG", default_value = "auto")]
    lang: LangWord,
}

impl StyleArgs {
    fn style(self) -> Result<Style, Error> {
        let locale = locale();
        if let (LangWord::Zh, Some(other)) = (self.lang, &locale.other_charset) {
            let other = escape(other.as_bytes());
            return Err(Error::Usage(format!(
                "--lang zh needs a terminal that takes UTF-8, and {other} says otherwise"
            )));
        }
        Ok(Style {
            format: match self.format {
                FormatWord::Text => Format::Text,
                FormatWord::Json => Format::Json,
            },
            lang: match self.lang {
                LangWord::Auto => locale.lang,
                LangWord::En => Lang::En,
                LangWord::Zh => Lang::Zh,
            },
            charset: locale.charset(),
        })
    }
}

fn locale() -> Locale {
    Locale::of(|name| std::env::var_os(name))
}

/// The server, from its command line to its exit code.
pub fn run_server() -> ExitCode {
    let serve = |args: ServerArgs, diagnostics| {
        let passed = passed_sockets()?;
        Server::start(args.settings(passed.is_some())?, passed, diagnostics)?.run()?;
        Ok(exit::DONE)
    };
    run(serve, Error::exit_code, |_| {})
}

/// The client, from its command line to its exit code.
pub fn run_client() -> ExitCode {
    // Whatever fails here says nothing of the path.
    run(|args: ClientArgs, diagnostics| args.settings()?.run(diagnostics), |_| exit::UNTRIED, tell_failure)
}

/// Parses the command line and runs what it asks for; any failure is one sentence on stderr.
///
/// This is how every program on this library begins and ends, an example's too.
pub fn run<A: Parser>(
    program: impl FnOnce(A, Diagnostics) -> Result<u8, Error>,
    code_of: impl FnOnce(&Error) -> u8,
    tell_failure: impl Fn(&str),
) -> ExitCode {
    let name = A::command().get_name().to_owned();
    let style = Style { charset: locale().charset(), ..Style::default() };
    let screen = Screen::stderr(Box::new(move |lines| gap(style, lines)));
    let ascii: Spelling = |text| spelled(Charset::Ascii, Format::Text, text);
    let mut diagnostics = Diagnostics::new(screen).spelled_by((style.charset == Charset::Ascii).then_some(ascii));
    // The first word on stderr may meet a file that may not grow. Who goes on from here is told what fails.
    let _ = block_signals();
    start_log(name.clone(), diagnostics.clone(), has_word(std::env::args_os(), "--trace"));
    let args = match parse::<A>() {
        Ok(Wanted::Run(args)) => args,
        Ok(Wanted::Text(printed)) => {
            return match printed.and_then(|()| io::stdout().flush()) {
                // Whoever closed it wants to know no more.
                Err(error) if !is_reset(&error) => {
                    complain(&mut diagnostics, &name, &format!("cannot write to stdout: {}", cause(&error)));
                    ExitCode::from(exit::UNTRIED)
                }
                _ => ExitCode::from(exit::DONE),
            };
        }
        Err(error) => {
            let sentence = usage(&name, &error);
            tell_failure(&sentence);
            complain(&mut diagnostics, &name, &sentence);
            return ExitCode::from(exit::UNTRIED);
        }
    };
    match program(args, diagnostics.clone()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let sentence = error.to_string();
            tell_failure(&sentence);
            complain(&mut diagnostics, &name, &sentence);
            ExitCode::from(code_of(&error))
        }
    }
}

/// What a command line asks for.
enum Wanted<A> {
    Run(A),
    /// A text, and whether it could be printed.
    Text(io::Result<()>),
}

fn parse<A: Parser>() -> Result<Wanted<A>, clap::Error> {
    match ask() {
        // --help and --version.
        Err(error) if !error.use_stderr() => Ok(Wanted::Text(error.print())),
        asked => asked,
    }
}

fn ask<A: Parser>() -> Result<Wanted<A>, clap::Error> {
    #[cfg(feature = "generate")]
    if let Some(text) = generate::asked(&A::command())? {
        return Ok(Wanted::Text(text.and_then(|text| io::stdout().write_all(&text))));
    }
    A::try_parse().map(Wanted::Run)
}

/// What kept the client from running, as an event where those are asked for.
fn tell_failure(sentence: &str) {
    if asks_for_json(std::env::args_os()) {
        let mut journal = Journal::new(Style { format: Format::Json, ..Style::default() }, false);
        let event = Event::Error { text: sentence };
        if journal.screen().failure().is_some() {
            // There was no descriptor left for a stdout of our own: this is the last word, so it may wait.
            let _ = io::stdout().write_all(journal.rendered(&event).as_bytes());
        } else {
            journal.answer(&event);
            journal.finish(LAST_LINES);
        }
    }
}

/// Whether this word is among the options of a command line that nobody has looked at yet.
fn has_word(words: impl Iterator<Item = OsString>, wanted: &str) -> bool {
    words.take_while(|word| word != "--").any(|word| word == wanted)
}

/// Whether a command line asks for JSON, even one that makes no sense otherwise.
fn asks_for_json(words: impl Iterator<Item = OsString>) -> bool {
    let words: Vec<OsString> = words.take_while(|word| word != "--").collect();
    words.iter().any(|word| word == "--format=json") || words.windows(2).any(|pair| pair == ["--format", "json"])
}

fn complain(diagnostics: &mut Diagnostics, name: &str, sentence: &str) {
    let sentence = format!("{}{name}: {sentence}\n", priority(Level::Error));
    // stderr that fails leaves nobody to tell.
    let _ = if diagnostics.is_broken() {
        // There may have been no descriptor left for a stderr of our own: this is the last word, so it may wait.
        io::stderr().write_all(sentence.as_bytes())
    } else {
        diagnostics.write_all(sentence.as_bytes())
    };
    diagnostics.finish(LAST_LINES);
}

/// The log goes where nothing can hold up the loop, and passes nothing on raw. What is not asked for with `RUST_LOG` is a
/// sentence like any other: it tells of a far end or of this machine, not of the program.
fn start_log(name: String, diagnostics: Diagnostics, traces: bool) {
    // The logger itself would say on stderr what is wrong with it, and that may hold up or fail.
    let asked = env::var("RUST_LOG").unwrap_or_default();
    let refused = env_filter::Builder::new().try_parse(&asked).err();
    let mut log = env_logger::Builder::new();
    log.parse_filters(if asked.is_empty() || refused.is_some() { "warn" } else { &asked });
    log.target(LogTarget::Pipe(Box::new(diagnostics)));
    // Whoever asks for every line of the log does not ask for these.
    log.filter_module(trace::TARGET, if traces { LevelFilter::Trace } else { LevelFilter::Off });
    log.format(move |out, record| {
        let text = record.args().to_string();
        let (priority, text) = (priority(record.level()), sentence(&text));
        if record.target() == trace::TARGET {
            return writeln!(out, "{priority}{text}");
        }
        if record.level() <= Level::Warn {
            return writeln!(out, "{priority}{name}: {text}");
        }
        let time = out.timestamp_micros();
        writeln!(out, "{priority}{time} {:5} {} {text}", record.level(), record.target())
    });
    log.init();
    if let Some(error) = refused {
        log::warn!("RUST_LOG is '{asked}', of which nothing is taken: {error}");
    }
}

/// A usage error as one sentence: what was wrong and what is accepted.
fn usage(program: &str, error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let sentence = text.split("\n\n").next().unwrap_or(text);
    let sentence: Vec<&str> = sentence.lines().map(str::trim).collect();
    let sentence = escape(sentence.join(" ").as_bytes()).to_string();
    match foreign::hint(program, error) {
        Some(hint) => format!("{sentence}: {hint}"),
        None => format!("{sentence}; --help lists what is accepted"),
    }
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
    fn a_mistake_is_one_sentence_with_the_accepted_form() {
        let sentence = |words: &[&str]| usage("reactor-server", &ServerArgs::try_parse_from(words).unwrap_err());
        assert_eq!(
            sentence(&["x", "--port", "70000"]),
            "invalid value '70000' for '--port <PORT>': give a number from 0 (the system chooses) to 65535; --help lists what is accepted"
        );
        for words in [&["x", "--framing", "words"][..], &["x", "--no-such"], &["x", "stray"], &["x", "-p"]] {
            assert_eq!(sentence(words).lines().count(), 1, "{words:?}");
        }
    }
}
