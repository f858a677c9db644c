//! At a terminal: the shell's prompt behind a program begins on a line of its own, whatever was typed before.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::harness::{
    Client, FarTcp, FarUdp, Input, Launch, Output, Process, client_to, server, undisturbed, wait_until,
};

/// A shell whose prompt comes behind the program.
const SHELL: &str = "trap : INT; \"$0\" \"$@\"; echo prompt";

fn in_shell(launch: Launch) -> Launch {
    launch.through_shell(SHELL).stdin(Input::Terminal).stdout(Output::Terminal).stderr(Output::Terminal)
}

/// Ends it with Ctrl-C, and gives what stands from there on.
#[track_caller]
fn interrupted(mut shell: Process) -> Vec<String> {
    shell.type_in("\x03");
    assert_eq!(shell.wait_exit(), 0);
    let mut lines = shell.terminal.to_end();
    let key = lines.iter().position(|line| line.contains("^C")).unwrap();
    lines.split_off(key)
}

#[test]
fn behind_ctrl_c_the_prompt_begins_on_a_new_line_where_a_client_says_nothing() {
    undisturbed(|| {
        for options in ["", "-q", "--lang zh"] {
            for typed in ["", "half"] {
                let far = FarTcp::new();
                let mut shell = in_shell(client_to(far.address(), options)).start();
                let mut caller = far.accept();
                if options != "-q" {
                    shell.type_in("one\n");
                    caller.answer("one", "ACK");
                    shell.terminal.find("the answer", |line| line.ends_with("ACK"));
                }
                // Ctrl-C takes back what the terminal has not shown yet.
                shell.type_in(typed);
                shell.terminal.expect_rest(typed);
                assert_eq!(interrupted(shell), [&format!("{typed}^C"), "prompt"], "{options}");
            }
        }
    });
}

#[test]
fn behind_ctrl_c_the_prompt_begins_on_a_new_line_over_udp() {
    undisturbed(|| {
        for options in ["-u", "-u --lang zh"] {
            let far = FarUdp::new();
            let mut shell = in_shell(client_to(far.address(), options)).start();
            shell.type_in("one\n");
            far.answer("one", "check");
            shell.terminal.find("the answer", |line| line.ends_with("check"));
            if options.contains("zh") {
                let prompts =
                    || shell.terminal.so_far().iter().filter(|line| line.starts_with("输入需要传输的信息")).count();
                wait_until("the second prompt", || (prompts() == 2).then_some(()));
            }
            assert_eq!(interrupted(shell), ["^C", "prompt"], "{options}");
        }
    });
}

#[test]
fn what_is_said_behind_ctrl_c_brings_no_line_more() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut shell = in_shell(client_to(far.address(), "-q")).start();
        let mut caller = far.accept();
        shell.type_in("one\n");
        caller.expect("one");
        let said = "reactor-client: 1 of 1 messages were not acknowledged";
        assert_eq!(interrupted(shell), ["^C", said, "prompt"]);

        let shell = in_shell(client_to(far.address(), "-z -W 30")).start();
        far.accept().expect("hello");
        let said = format!("reactor-client: interrupted: no verdict on tcp {} yet", far.address());
        assert_eq!(interrupted(shell), ["^C", &said, "prompt"]);
    });
}

#[test]
fn where_stdout_is_elsewhere_stderr_brings_the_new_line() {
    undisturbed(|| {
        let far = FarTcp::new();
        for options in ["", "-q", "--format json"] {
            let script = SHELL.replace("\"$@\"", "\"$@\" > /dev/null");
            let launch = client_to(far.address(), options).through_shell(&script);
            let launch = launch.stdin(Input::Terminal).stdout(Output::Terminal).stderr(Output::Terminal);
            let shell = launch.start();
            let _caller = far.accept();
            assert_eq!(interrupted(shell), ["^C", "prompt"], "{options}");
        }
    });
}

#[test]
fn behind_ctrl_c_the_prompt_of_a_servers_shell_begins_on_a_new_line() {
    undisturbed(|| {
        for (options, said) in [("-q", None), ("", Some("server is shutting down"))] {
            let options: Vec<&str> = ["-t", "-p", "0"].into_iter().chain(options.split_whitespace()).collect();
            let mut shell = in_shell(Launch::server(&options)).start();
            shell.terminal.find("the listening line", |line| line.starts_with("TCP server listening on "));
            shell.type_in("help\n");
            shell.terminal.find("the answer", |line| line.contains("shutdown"));
            let expected: Vec<&str> = ["^C"].into_iter().chain(said).chain(["prompt"]).collect();
            assert_eq!(interrupted(shell), expected, "{options:?}");
        }
    });
}

#[test]
fn what_ends_by_itself_has_no_line_too_many() {
    undisturbed(|| {
        let server = server("-q");
        for options in ["-m one", "-m one -q", "-z", "--ping -c 1", "--format json -m one", "-u -m one"] {
            let mut shell = in_shell(client_to(server.tcp(), options)).start();
            assert_eq!(shell.wait_exit(), 0);
            let lines = shell.terminal.to_end();
            assert_eq!(lines.last().unwrap(), "prompt", "{options}");
            assert!(options.contains("--ping") || !lines.contains(&String::new()), "{options}: {lines:?}");
        }
        let far = FarTcp::new();
        for options in ["", "-q"] {
            let mut shell = in_shell(client_to(far.address(), options)).start();
            let mut caller = far.accept();
            shell.type_in("one\n");
            caller.answer("one", "ACK");
            caller.close_with("server is shutting down");
            assert_eq!(shell.wait_exit(), 0);
            let lines = shell.terminal.to_end();
            assert!(lines.last().unwrap() == "prompt" && !lines.contains(&String::new()), "{options}: {lines:?}");
        }
    });
}

#[test]
fn half_a_line_that_is_discarded_does_not_stand_before_the_prompt() {
    undisturbed(|| {
        let far = FarTcp::new();
        let launch = client_to(far.address(), "-q").through_shell(SHELL).columns(80);
        let mut shell = launch.stdin(Input::Terminal).stdout(Output::Terminal).stderr(Output::Terminal).start();
        let mut caller = far.accept();
        shell.type_in("one\n");
        caller.answer("one", "ACK");
        shell.type_in("half");
        shell.terminal.expect_rest("half");
        caller.close_with("server is shutting down");
        assert_eq!(shell.wait_exit(), 0);
        let rows = super::fresh_line::displayed(&shell.terminal.to_end(), 80);
        assert_eq!(rows[rows.len() - 2..], ["half", "prompt"], "{rows:?}");
    });
}

#[test]
fn half_a_line_does_not_stand_before_the_prompt_where_a_signal_ends_the_client() {
    undisturbed(|| {
        for signal in [Signal::SIGTERM, Signal::SIGHUP] {
            let far = FarTcp::new();
            let launch = client_to(far.address(), "").through_shell("trap : TERM HUP; \"$0\" \"$@\"; echo prompt");
            let launch = launch.columns(80).stdin(Input::Terminal).stdout(Output::Terminal).stderr(Output::Terminal);
            let mut shell = launch.start();
            let _caller = far.accept();
            shell.terminal.expect("type a message, Enter sends it");
            shell.type_in("half");
            shell.terminal.expect_rest("half");
            killpg(Pid::from_raw(shell.id().cast_signed()), signal).unwrap();
            assert_eq!(shell.wait_exit(), 0);
            let rows = super::fresh_line::displayed(&shell.terminal.to_end(), 80);
            assert_eq!(rows[rows.len() - 2..], ["half", "prompt"], "{signal}: {rows:?}");
        }
    });
}

#[test]
fn a_server_with_a_client_tells_its_end_behind_one_new_line() {
    undisturbed(|| {
        let mut shell = in_shell(Launch::server(&["-t", "-p", "0", "-q"])).start();
        let line = shell.terminal.find("the listening line", |line| line.starts_with("TCP server listening on "));
        let mut client = Client::connect(line["TCP server listening on ".len()..].parse().unwrap());
        client.exchange("one", "ACK");
        shell.type_in("\x03");
        client.expect_last("server is shutting down");
        drop(client);
        assert_eq!(shell.wait_exit(), 0);
        assert_eq!(shell.terminal.to_end()[1..], ["^C", "prompt"]);
    });
}
