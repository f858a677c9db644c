//! The command lines: words in, settings out; and how both programs begin and end.

mod client;
mod ping;
mod server;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};
use env_logger::{Env, Target as LogTarget};

use self::client::ClientArgs;
use self::server::ServerArgs;
use crate::error::{Error, exit};
use crate::escape::escape;
use crate::server::Server;
use crate::stdio::block_signals;
use crate::stdio::diagnostics::Diagnostics;
use crate::stdio::screen::Screen;
use crate::transcript::journal::LAST_LINES;
use crate::transcript::{Format, Lang, Style, gap};
use crate::wire::Framing;

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
        let span = Duration::try_from_secs_f64(seconds).ok();
        // What is not 0 must not become it, which means something else.
        let least = if seconds > 0.0 { Duration::from_nanos(1) } else { Duration::ZERO };
        Ok(Seconds(span.map(|span| span.max(least))))
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

/// The server, from its command line to its exit code.
pub fn run_server() -> ExitCode {
    let serve = |args: ServerArgs, diagnostics| {
        Server::start(args.settings(), diagnostics)?.run()?;
        Ok(exit::DONE)
    };
    run(serve, Error::exit_code)
}

/// The client, from its command line to its exit code.
pub fn run_client() -> ExitCode {
    // Whatever fails here says nothing of the path.
    run(|args: ClientArgs, diagnostics| args.settings()?.run(diagnostics), |_| exit::UNTRIED)
}

/// Parses the command line and runs what it asks for; any failure is one sentence on stderr.
fn run<A: Parser>(
    program: impl FnOnce(A, Diagnostics) -> Result<u8, Error>,
    code_of: impl FnOnce(&Error) -> u8,
) -> ExitCode {
    let name = A::command().get_name().to_owned();
    let mut diagnostics = Diagnostics::new(Screen::stderr(Box::new(|lines| gap(Style::default(), lines))));
    // The first word on stderr may meet a file that may not grow. Who goes on from here is told what fails.
    let _ = block_signals();
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
            return ExitCode::from(exit::UNTRIED);
        }
    };
    match program(args, diagnostics.clone()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&mut diagnostics, &name, &error.to_string());
            ExitCode::from(code_of(&error))
        }
    }
}

fn complain(diagnostics: &mut Diagnostics, name: &str, sentence: &str) {
    let sentence = format!("{name}: {sentence}\n");
    // stderr that fails leaves nobody to tell.
    let _ = if diagnostics.is_broken() {
        // There may have been no descriptor left for a stderr of our own: this is the last word, so it may wait.
        io::stderr().write_all(sentence.as_bytes())
    } else {
        diagnostics.write_all(sentence.as_bytes())
    };
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
        assert_eq!(Seconds::parse("1e-12"), Ok(Seconds(Some(Duration::from_nanos(1)))));
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
