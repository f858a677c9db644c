//! What packages carry beside the programs, written from the command lines themselves: manual pages, and what shells
//! complete by. (Feature `generate`: the programs that people use need none of it.)

use std::io::{self, Write};

use clap::{Arg, Command, Id, ValueEnum, value_parser};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use crate::transcript::server::HELP;

const OPTION: &str = "generate";
/// The group of the client's modes.
const MODES: &str = "mode";
/// How the paragraph of the exit codes begins.
const EXIT: &str = "Exit code: ";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    Man,
    Bash,
    Zsh,
    Fish,
}

/// What `--generate` asks for, if it does.
///
/// # Errors
/// What is wrong with the command line, this option offered.
pub(super) fn asked(command: &Command) -> Result<Option<io::Result<Vec<u8>>>, clap::Error> {
    let offered = command.clone().arg(
        Arg::new(OPTION)
            .long(OPTION)
            .value_name("WHAT")
            .value_parser(value_parser!(What))
            .exclusive(true)
            .help("Print the manual page, or what a shell completes by, and exit"),
    );
    // Of the command line as it is without this option: it makes packages, and is in none.
    Ok(offered.try_get_matches()?.get_one(OPTION).map(|&what| text(what, command)))
}

fn text(what: What, command: &Command) -> io::Result<Vec<u8>> {
    let shell = match what {
        What::Man => return page(command),
        What::Bash => Shell::Bash,
        What::Zsh => Shell::Zsh,
        What::Fish => Shell::Fish,
    };
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command.clone(), name, &mut text);
    Ok(text)
}

/// A manual page: what the definitions and the help texts say, in the order that readers of manuals expect.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut built = command.clone().mut_args(with_its_words);
    built.build();
    let name = built.get_name();
    let mut options = Vec::new();
    Man::new(built.clone()).render_options_section(&mut options)?;

    let about = built.get_about().map(ToString::to_string).unwrap_or_default();
    let description = built.get_long_about().map(ToString::to_string).unwrap_or_default();
    let paragraphs: Vec<&str> = description.split("\n\n").filter(|&paragraph| paragraph != about).collect();
    let exit = paragraphs.iter().position(|paragraph| paragraph.starts_with(EXIT)).unwrap_or(paragraphs.len());

    let mut head = Roff::new();
    head.control("SH", ["NAME"]).text([roman(format!("{name} - {about}"))]);
    head.control("SH", ["SYNOPSIS"]);
    add_synopsis(&mut head, &built);
    head.control("SH", ["DESCRIPTION"]);
    add_paragraphs(&mut head, &paragraphs[..exit]);

    let mut tail = Roff::new();
    let is_server = name == "reactor-server";
    if is_server {
        tail.control("SH", ["COMMANDS"]);
        add_table(&mut tail, HELP);
    }
    if let Some((codes, more)) = paragraphs[exit..].split_first() {
        tail.control("SH", ["EXIT STATUS"]);
        for item in codes.trim_start_matches(EXIT).trim_end_matches('.').split("; ") {
            let (code, meaning) = item.split_at(item.find(char::is_alphabetic).unwrap_or(item.len()));
            add_item(&mut tail, code.trim_end(), meaning);
        }
        if !more.is_empty() {
            tail.control("PP", []);
        }
        add_paragraphs(&mut tail, more);
    }
    tail.control("SH", ["EXAMPLES"]);
    let examples = built.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    add_table(&mut tail, examples.trim_start_matches("Examples:\n"));
    tail.control("SH", ["SEE ALSO"]);
    let other = if is_server { "reactor-client" } else { "reactor-server" };
    tail.text([
        bold(other),
        roman("(1), "),
        bold("nc"),
        roman("(1), "),
        bold("ss"),
        roman("(8), "),
        bold("ping"),
        roman("(8)"),
    ]);

    // Each part begins with the same definition, and an empty date would be left out.
    let preamble = Roff::new().render();
    let (title, version) = (name.to_uppercase(), env!("CARGO_PKG_VERSION"));
    let mut out = Vec::new();
    writeln!(out, "{preamble}.TH {title} 1 \"\" \"ack-reactor {version}\" \"User Commands\"")?;
    for part in [head.render().into_bytes(), options, tail.render().into_bytes()] {
        out.extend_from_slice(part.strip_prefix(preamble.as_bytes()).unwrap_or(&part));
    }
    Ok(out)
}

/// An option of a few words shows them in place of a name.
fn with_its_words(arg: Arg) -> Arg {
    let words: Vec<String> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if !arg.get_action().takes_values() || words.is_empty() {
        return arg;
    }
    arg.value_name(words.join("|")).hide_possible_values(true)
}

/// All options, then a line for each mode.
fn add_synopsis(roff: &mut Roff, command: &Command) {
    let name = || bold(command.get_name());
    let mut line = vec![name()];
    let options = command.get_arguments().filter(|arg| !arg.is_positional());
    for option in options.filter(|option| option.get_help_heading().is_none()) {
        line.push(roman(" ["));
        line.extend(spelled(option));
        line.push(roman("]"));
    }
    line.extend(positionals(command));
    roff.control("ad", ["l"]).text(line);
    let modes = command.get_groups().find(|group| group.get_id() == MODES);
    let modes: Vec<&Id> = modes.into_iter().flat_map(clap::ArgGroup::get_args).collect();
    for option in command.get_arguments().filter(|option| modes.contains(&option.get_id())) {
        let mut line = vec![name(), roman(" ")];
        line.extend(spelled(option));
        line.extend(positionals(command));
        line.push(roman(" [option ...]"));
        roff.control("br", []).text(line);
    }
    roff.control("ad", []);
}

fn spelled(option: &Arg) -> Vec<Inline> {
    let short = option.get_short().map(|short| bold(format!("-{short}")));
    let long = option.get_long().map(|long| bold(format!("--{long}")));
    let mut line: Vec<Inline> = short.into_iter().collect();
    if !line.is_empty() && long.is_some() {
        line.push(roman("|"));
    }
    line.extend(long);
    if option.get_action().takes_values() {
        for value in option.get_value_names().unwrap_or_default() {
            line.extend([roman(" "), italic(value.as_str())]);
        }
    }
    line
}

fn positionals(command: &Command) -> Vec<Inline> {
    let names = command.get_positionals().flat_map(|arg| arg.get_value_names().unwrap_or_default());
    names.flat_map(|name| [roman(" ["), italic(name.as_str()), roman("]")]).collect()
}

fn add_paragraphs(roff: &mut Roff, paragraphs: &[&str]) {
    for (index, paragraph) in paragraphs.iter().enumerate() {
        if index > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(*paragraph)]);
    }
}

/// Lines of a term, two spaces or more, and what it means.
fn add_table(roff: &mut Roff, lines: &str) {
    for line in lines.lines() {
        let (term, meaning) = line.trim().split_once("  ").unwrap_or((line.trim(), ""));
        add_item(roff, term, meaning.trim());
    }
}

fn add_item(roff: &mut Roff, term: &str, meaning: &str) {
    roff.control("TP", []).text([bold(term)]).text([roman(meaning)]);
}
