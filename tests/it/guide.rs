//! The guide's commands as they stand there: each block of shell of these chapters, and what it prints.

use std::path::Path;

use crate::harness::{Namespace, Scratch, have, one_of_five, run, undisturbed};

const FLAWS: &str = include_str!("../../src/guide/flaws.md");
const EXPERIMENTS: &str = include_str!("../../src/guide/experiments.md");

/// A block of shell, under which heading it stands, and the block of what it prints.
struct Block {
    heading: &'static str,
    script: &'static str,
    printed: &'static str,
}

fn blocks(chapter: &'static str) -> Vec<Block> {
    let mut blocks = Vec::new();
    for section in chapter.split("\n## ").skip(1) {
        let heading = section.lines().next().unwrap();
        for rest in section.split("\n```sh\n").skip(1) {
            let (script, rest) = rest.split_once("```\n").unwrap();
            let printed = rest.strip_prefix("\n```text\n").expect("a command that prints nothing");
            blocks.push(Block { heading, script, printed: printed.split_once("```\n").unwrap().0 });
        }
    }
    blocks
}

/// Numbers of more than a digit are measured, but for exit codes: they differ from run to run.
fn measured(line: &str) -> String {
    let is_number = |char: char| char.is_ascii_digit() || char == '.';
    let mut shaped = String::new();
    let mut rest = line;
    while let Some(begin) = rest.find(|char: char| char.is_ascii_digit()) {
        let number = &rest[begin..];
        let number = &number[..number.find(|char| !is_number(char)).unwrap_or(number.len())];
        shaped += &rest[..begin];
        shaped += if number.len() > 1 && !shaped.ends_with("exit ") { "N" } else { number };
        rest = &rest[begin + number.len()..];
    }
    shaped + rest
}

/// Whether a line is what stands there, where `…` stands for anything.
fn is_like(line: &str, pattern: &str) -> bool {
    let (line, pattern) = (measured(line), measured(pattern));
    let mut parts = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Does what a block says, in a network of its own, and compares what it prints.
#[track_caller]
fn expect(script: &str, printed: &str) {
    if !["bash", "nc", "python3"].into_iter().all(have) {
        return;
    }
    let programs = Path::new(env!("CARGO_BIN_EXE_reactor-server")).parent().unwrap().display();
    let Some(namespace) = Namespace::new(&format!("export PATH={programs}:{programs}/examples:$PATH")) else { return };
    let file = Scratch::file("block", script);
    let wanted: Vec<&str> = printed.lines().collect();
    undisturbed(|| {
        let within = "set +e
            place=$(mktemp -d); cd $place; mkfifo quiet
            \"$0\" \"$@\" 2>&1
            cd /; rm -r $place";
        // A busy machine adds a line, or a loss before the first answer; a word that is wrong is so each time.
        one_of_five(|| {
            let ended = run(namespace.run("bash", file.0.to_str().unwrap(), within));
            let alike = ended.out.iter().zip(&wanted).all(|(line, pattern)| is_like(line, pattern));
            match alike && ended.out.len() == wanted.len() {
                true => Ok(()),
                false => Err(format!("{script}{}\nand not\n{printed}", ended.out.join("\n"))),
            }
        });
    });
}

/// All blocks under this heading.
#[track_caller]
fn try_out(chapter: &'static str, number: &str) {
    for block in blocks(chapter).into_iter().filter(|block| block.heading.starts_with(number)) {
        expect(block.script, block.printed);
    }
}

/// A file that is shown, and the command behind it.
#[track_caller]
fn try_shown(chapter: &str, name: &str) {
    let shown = chapter.split_once(&format!("```console\n$ cat {name}\n")).and_then(|(_, rest)| rest.split_once("```"));
    let (file, rest) = shown.and_then(|(block, _)| block.split_once("\n$ ")).unwrap();
    let (command, printed) = rest.split_once('\n').unwrap();
    expect(&format!("cat > {name} <<'END'\n{file}\nEND\n{command}\n"), printed);
}

#[test]
fn a_buffer_hides_the_second_line_from_select() {
    try_shown(include_str!("../../src/guide/exercise.md"), "buffered.py");
}

#[test]
fn whoever_reads_once_for_each_event_loses_the_rest() {
    try_shown(include_str!("../../src/guide/edges.md"), "one_read.py");
}

#[test]
fn acks_still_arrive_after_the_server_has_closed() {
    try_shown(include_str!("../../src/guide/exercise.md"), "late.sh");
}

macro_rules! sections {
    ($($name:ident: $chapter:ident $number:literal,)*) => {
        $(
            #[test]
            fn $name() {
                try_out($chapter, $number);
            }
        )*

        #[test]
        fn none_is_left_out() {
            let tried = [$(($chapter, $number),)*];
            for chapter in [FLAWS, EXPERIMENTS] {
                for block in blocks(chapter) {
                    let is_tried = |(of, number): &(&str, &str)| *of == chapter && block.heading.starts_with(number);
                    assert!(tried.iter().any(is_tried), "{}", block.heading);
                }
            }
        }
    };
}

sections! {
    flaw_1_a_stdin_that_epoll_refuses: FLAWS "(1)",
    flaw_2_everyone_is_looked_at: FLAWS "(2)",
    flaw_3_a_wait_that_is_interrupted: FLAWS "(3)",
    flaw_4_no_signal_is_handled: FLAWS "(4)",
    flaw_5_nobody_else_has_a_turn: FLAWS "(5)",
    flaw_6_no_descriptors_left: FLAWS "(6)",
    flaw_7_it_prints_nothing: FLAWS "(7)",
    flaw_8_a_forged_datagram: FLAWS "(8)",
    flaw_9_whatever_is_typed_is_a_shutdown: FLAWS "(9)",
    flaw_10_one_client_s_failure_is_everybody_s: FLAWS "(10)",
    flaw_11_closing_over_unread_input: FLAWS "(11)",
    flaw_12_a_read_is_no_message: FLAWS "(12)",
    flaw_13_an_event_is_no_message: FLAWS "(13)",
    experiment_1_who_notices_a_frozen_server: EXPERIMENTS "1.",
    experiment_2_a_closed_and_an_open_loop: EXPERIMENTS "2.",
    experiment_3_which_leg_drops: EXPERIMENTS "3.",
    experiment_4_a_server_that_closes_over_unread_input: EXPERIMENTS "4.",
}
