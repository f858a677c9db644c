//! `--ping` at a terminal: a live line, and SIGQUIT for the summary so far.

use nix::sys::signal::Signal::SIGQUIT;

use crate::harness::{FarTcp, Input, Output, client_to, end_of, server, shape, shown, undisturbed};

#[test]
fn a_run_of_more_than_a_second_shows_a_live_line() {
    undisturbed(|| {
        let server = server("-t");
        let mut client = client_to(server.tcp(), "--ping -q -c 40 -w 30 -i 0.04").stderr(Output::Terminal).start();
        assert_eq!(client.wait_exit(), 0);
        let live = client.terminal.to_end().concat();
        let shapes = shape(&live);
        assert!(shapes.contains("\r0 sent, 0 acknowledged, 0 lost, p0 0 ms, 0 left, 0 s left\x1b[K"), "{live:?}");
        assert!(client.stdout.to_end()[2].starts_with("40 sent, 40 acknowledged"));
        assert!(live.matches('\r').count() <= 8, "it is no scroll: {live:?}");
    });
}

#[test]
fn a_short_run_and_a_run_elsewhere_show_none() {
    undisturbed(|| {
        let server = server("-t");
        let mut client = client_to(server.tcp(), "--ping -q -c 5 -i 0.01 -D").stderr(Output::Terminal).start();
        assert_eq!(client.wait_exit(), 0);
        assert!(!client.terminal.to_end().concat().contains(" sent, "));
        let mut client = client_to(server.tcp(), "--ping -q -c 30 -i 0.05").start();
        let ended = end_of(&mut client);
        assert!(!ended.complaint().contains('\r'), "{:?}", ended.err);
    });
}

#[test]
fn in_the_background_the_line_is_the_shells() {
    undisturbed(|| {
        let server = server("-t");
        let launch = client_to(server.tcp(), "--ping -q -c 40 -w 30 -i 0.04").stdin(Input::Terminal);
        let launch = launch.through_shell("set -m; \"$0\" \"$@\" & wait $!; echo over $? >&2");
        let mut shell = launch.stderr(Output::Terminal).start();
        assert_eq!(shell.wait_exit(), 0);
        let shown = shell.terminal.to_end().concat();
        assert!(shown.contains("over 0") && !shown.contains(" sent, "), "{shown:?}");
    });
}

#[test]
fn a_terminal_that_overwrites_nothing_gets_no_live_line() {
    undisturbed(|| {
        let server = server("-t");
        for (mode, kind) in
            [("--ping -q -c 30 -i 0.05", "dumb"), ("--ping -q -c 30 -i 0.05", ""), ("--find-idle 1", "dumb")]
        {
            let launch = client_to(server.tcp(), mode).env("TERM", kind).stderr(Output::Terminal);
            let mut client = launch.start();
            assert_eq!(client.wait_exit(), 0);
            assert_eq!(client.terminal.to_end().concat(), "", "{mode} {kind}");
        }
    });
}

#[test]
fn replies_and_the_live_line_share_a_terminal() {
    undisturbed(|| {
        let server = server("-t");
        let launch = client_to(server.tcp(), "--ping -c 30 -i 0.06").stdin(Input::Terminal);
        let mut client = launch.stdout(Output::Terminal).stderr(Output::Terminal).start();
        assert_eq!(client.wait_exit(), 0);
        let lines = client.terminal.to_end();
        assert!(lines.concat().contains("30 sent, 30 acknowledged"));
        assert!(lines.concat().contains("acknowledged, 0 lost, p50"), "there was a live line: {lines:?}");
        let replies: Vec<String> = lines.iter().map(|line| shown(line)).filter(|line| line.contains("seq=")).collect();
        assert_eq!(replies.len(), 30, "{lines:?}");
        let wanted = format!("ACK from {}: seq=", server.tcp());
        assert!(replies.iter().all(|line| line.starts_with(&wanted) && line.ends_with(" ms")), "{replies:?}");
        assert!(
            lines.iter().any(|line| shown(line).is_empty()),
            "the statistics begin on a line of their own: {lines:?}"
        );
    });
}

#[test]
fn sigquit_prints_the_summary_so_far_on_stderr() {
    undisturbed(|| {
        let far = FarTcp::new();
        let launch =
            client_to(far.address(), "--ping -c 2 -i 0.05 -W 30").stdin(Input::Terminal).stderr(Output::Terminal);
        let mut client = launch.start();
        let mut caller = far.accept();
        caller.answer("hello", "ACK");
        caller.expect("hello");
        client.type_in("\x1c");
        client.terminal.find("the figures", |line| {
            shown(line).starts_with("2 sent, 1 acknowledged, 0 lost (0%), 1 in flight, 0 late, ")
        });
        client.terminal.find("the response times", |line| line.starts_with("response min/p50/p90/p99/max = "));
        assert_eq!(client.proc().tasks(), 1);
        client.signal(SIGQUIT);
        caller.say("ACK");
        assert_eq!(client.wait_exit(), 0);
        let summaries = client.stdout.to_end().iter().filter(|line| line.contains(" sent, ")).count();
        assert_eq!(summaries, 1, "stdout has the last one alone");
    });
}
