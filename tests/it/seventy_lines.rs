//! The seventy lines on the documentation's front page: they run, and their numbers tell the truth.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::harness::{Client, Input, Launch, Output, Peer, Process, undisturbed};

const LISTING: &str = include_str!("../../src/guide/seventy_lines.rs");
const EXPLAINED: &str = include_str!("../../src/guide/seventy_lines.md");

#[track_caller]
fn launch(address: &str) -> Option<Launch> {
    Launch::example("seventy_lines", &[address])
}

/// It listens, and somebody can type at it.
#[track_caller]
fn start() -> Option<(Process, SocketAddr)> {
    Launch::serving_example("seventy_lines", Output::Lines)
}

#[test]
fn they_acknowledge_both_protocols_and_say_goodbye() {
    let Some((mut process, address)) = start() else { return };
    let mut client = Client::connect(address);
    for _ in 0..3 {
        client.exchange("hello", "ACK");
        Peer::connect(address).check("hello");
    }
    process.type_in("\n");
    client.expect_last("server is shutting down");
    assert_eq!(process.wait_exit(), 0);
    assert_eq!(process.stdout.to_end(), [""; 0], "(7)");
}

#[test]
fn number_1_a_file_is_no_stdin() {
    let Some(launch) = launch("127.0.0.1:0") else { return };
    assert_eq!(launch.stdin(Input::Null).start().wait_exit(), 1);
}

#[test]
fn number_3_who_is_stopped_and_continued_ends() {
    undisturbed(|| {
        let Some((mut process, _)) = start() else { return };
        // Asleep it can only be in its wait.
        process.proc().wait_state('S');
        process.stop();
        process.resume();
        assert_eq!(process.wait_exit(), 1);
    });
}

#[test]
fn number_9_the_end_of_stdin_is_a_shutdown() {
    let Some((mut process, _)) = start() else { return };
    process.end_input();
    assert_eq!(process.wait_exit(), 0);
}

/// All numbers in parentheses, `(1)` to `(99)`.
fn numbers(text: &str) -> BTreeSet<u32> {
    let candidates = text.split('(').skip(1).filter_map(|rest| rest.split_once(')'));
    candidates.filter_map(|(inside, _)| inside.parse().ok()).collect()
}

#[test]
fn every_number_is_explained_and_none_that_is_not_there() {
    let comments: String =
        LISTING.lines().filter_map(|line| line.split_once(" // ")).map(|(_, comment)| comment).collect();
    let rows: String =
        EXPLAINED.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |")).map(|(row, _)| row).collect();
    assert_eq!(numbers(&comments), numbers(&rows));
    assert_eq!(numbers(&comments), (1..=13).collect());
}

#[test]
fn there_are_seventy() {
    let lines = LISTING.lines().filter(|line| !line.is_empty() && !line.trim_start().starts_with(['/', '#'])).count();
    assert!((60..=70).contains(&lines), "{lines}");
}
