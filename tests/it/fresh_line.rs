//! At a terminal: what follows `^C`, or another key that the terminal echoes for its signal, begins on a new line;
//! and so does what follows half a typed line.

use std::thread;
use std::time::Duration;

use crate::harness::{Client, FarTcp, FarUdp, Input, Launch, Output, Process, client_to, undisturbed};

/// The server with all its streams on a terminal, and a client of it.
#[track_caller]
fn operated() -> (Process, Client) {
    let launch = Launch::server(&["-t", "-p", "0"]).stdin(Input::Terminal).stdout(Output::Terminal);
    let server = launch.stderr(Output::Terminal).start();
    let line = server.terminal.find("the listening line", |line| line.starts_with("TCP server listening on "));
    let client = Client::connect(line["TCP server listening on ".len()..].parse().unwrap());
    server.terminal.expect(&format!("{} connected", client.name()));
    (server, client)
}

#[test]
fn what_the_server_prints_behind_ctrl_c_begins_on_a_new_line() {
    undisturbed(|| {
        let (mut server, mut client) = operated();
        server.type_in("\x03");
        client.expect_last("server is shutting down");
        let name = client.name();
        drop(client);
        assert_eq!(server.wait_exit(), 0);
        let end = ["^C".to_owned(), "server is shutting down".to_owned(), format!("{name} disconnected (shutdown)")];
        assert_eq!(server.terminal.to_end()[2..], end);
    });
}

#[test]
fn what_a_client_says_on_stderr_behind_ctrl_c_begins_on_a_new_line() {
    undisturbed(|| {
        let far = FarTcp::new();
        let launch = client_to(far.address(), "").stdin(Input::Terminal).stdout(Output::Terminal);
        let mut client = launch.stderr(Output::Terminal).start();
        let mut caller = far.accept();
        client.terminal.expect("type a message, Enter sends it");
        client.type_in("hello\n");
        caller.expect("hello");
        client.type_in("\x03");
        assert_eq!(client.wait_exit(), 1);
        let end = ["hello", "^C", "reactor-client: 1 of 1 messages were not acknowledged"];
        assert_eq!(client.terminal.to_end()[2..], end);
    });
}

#[test]
fn behind_ctrl_c_there_is_one_new_line_for_both_streams_and_none_where_nothing_is_said() {
    undisturbed(|| {
        let far = FarUdp::new();
        // The figures for people bring a new line of their own.
        for (options, end) in [("--ping -u --plain -W 30", 2), ("--ping -u --plain -W 30 --format json", 1)] {
            let launch = client_to(far.address(), options).stdin(Input::Terminal).stdout(Output::Terminal);
            let mut client = launch.stderr(Output::Terminal).start();
            far.expect("hello");
            client.type_in("\x03");
            assert_eq!(client.wait_exit(), 1);
            let mut lines = client.terminal.to_end();
            // For people it begins with what it does.
            if lines[0].starts_with("ping udp ") {
                lines.remove(0);
            }
            // A busy machine holds it up, and it says so.
            lines.retain(|line| !line.contains("stood still") && !line.contains("stood_still"));
            assert_eq!(lines[0], "^C", "{lines:?}");
            assert!(lines[end].starts_with(['1', '{']) && !lines[1..].contains(&String::new()), "{lines:?}");
        }
        let far = FarTcp::new();
        let mut client = client_to(far.address(), "").stdin(Input::Terminal).stdout(Output::Terminal).start();
        let _caller = far.accept();
        client.terminal.expect("type a message, Enter sends it");
        client.type_in("\x03");
        assert_eq!(client.wait_exit(), 0);
        assert_eq!(client.terminal.to_end()[2..], ["^C"]);
    });
}

#[test]
fn a_client_that_was_held_up_when_ctrl_c_was_typed_says_so_below_it() {
    undisturbed(|| {
        let far = FarUdp::new();
        let launch =
            client_to(far.address(), "--ping -u --plain -W 30").stdin(Input::Terminal).stdout(Output::Terminal);
        let mut client = launch.stderr(Output::Terminal).start();
        far.expect("hello");
        client.stop();
        // Its next probe is due long since when it wakes.
        thread::sleep(Duration::from_millis(1300));
        client.type_in("\x03");
        client.terminal.expect_rest("^C");
        client.resume();
        assert_eq!(client.wait_exit(), 1);
        let lines = client.terminal.to_end();
        let place = |word: &str| lines.iter().position(|line| line.starts_with(word));
        let said = place("reactor-client: this client stood still for");
        assert!(place("^C").is_some() && said.is_some(), "{lines:?}");
    });
}

#[test]
fn the_figures_that_ctrl_backslash_asks_for_begin_on_a_new_line() {
    undisturbed(|| {
        let far = FarUdp::new();
        let launch = client_to(far.address(), "--ping -u --plain -W 30 --format json")
            .stdin(Input::Terminal)
            .stdout(Output::Terminal);
        let mut client = launch.stderr(Output::Terminal).start();
        far.expect("hello");
        client.type_in("\x1c");
        client.terminal.find("the figures", |line| line.starts_with('{'));
        assert_eq!(client.terminal.so_far()[0], "^\\");
    });
}

/// The terminal that Ctrl-C is typed at is there all the same.
const STDIN_ELSEWHERE: &str = "exec \"$0\" \"$@\" < /dev/null";

#[test]
fn behind_ctrl_c_a_new_line_begins_though_stdin_is_no_terminal() {
    undisturbed(|| {
        let launch = Launch::server(&["-t", "-p", "0"]).through_shell(STDIN_ELSEWHERE).stdin(Input::Terminal);
        let mut server = launch.stdout(Output::Terminal).stderr(Output::Terminal).start();
        server.terminal.find("the listening line", |line| line.starts_with("TCP server listening on "));
        server.type_in("\x03");
        assert_eq!(server.wait_exit(), 0);
        assert_eq!(server.terminal.to_end()[1..], ["^C", "server is shutting down"]);
        // On stdout, and on stderr alone.
        for (options, stdout, said) in [
            ("--ping -u --plain -W 30 --format json", Output::Terminal, "{"),
            ("-zu -W 30", Output::Lines, "reactor-client: interrupted: no verdict on udp "),
        ] {
            let far = FarUdp::new();
            let launch = client_to(far.address(), options).through_shell(STDIN_ELSEWHERE).stdin(Input::Terminal);
            let mut client = launch.stdout(stdout).stderr(Output::Terminal).start();
            far.expect("hello");
            client.type_in("\x03");
            assert_eq!(client.wait_exit(), 1);
            let lines = client.terminal.to_end();
            let typed = lines.iter().position(|line| line == "^C");
            let next = typed.and_then(|at| lines.get(at + 1));
            assert!(next.is_some_and(|line| line.starts_with(said)), "{options}: {lines:?}");
        }
    });
}

#[test]
fn what_follows_a_signal_that_nobody_typed_stands_as_it_would() {
    undisturbed(|| {
        for stdin in [Input::Null, Input::Terminal] {
            let mut server = Launch::server(&["-t", "-p", "0"]).stdin(stdin).stdout(Output::Terminal).start();
            server.terminal.find("the listening line", |line| line.starts_with("TCP server listening on "));
            // There is a key for SIGINT, and no telling whether it was pressed.
            server.signal(nix::sys::signal::SIGTERM);
            assert_eq!(server.wait_exit(), 0);
            assert_eq!(server.terminal.to_end()[1..], ["server is shutting down"]);
        }
    });
}

/// What a terminal of so many columns shows after these lines: it wraps them, and erases what it is told to.
pub(super) fn displayed(lines: &[String], columns: usize) -> Vec<String> {
    let (mut rows, mut column) = (vec![Vec::new()], 0);
    for letter in lines.join("\n").replace("\x1b[K", "\x1b").chars() {
        let row = rows.last_mut().unwrap();
        match letter {
            '\r' => column = 0,
            '\x1b' => row.truncate(column),
            '\n' => {
                rows.push(Vec::new());
                column = 0;
            }
            _ => {
                if column == columns {
                    rows.push(Vec::new());
                    column = 0;
                }
                let row = rows.last_mut().unwrap();
                row.resize(row.len().max(column + 1), ' ');
                row[column] = letter;
                column += 1;
            }
        }
    }
    rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned()).collect()
}

#[test]
fn what_a_client_prints_behind_half_a_typed_line_begins_on_a_new_line() {
    undisturbed(|| {
        for typed in ["", "half"] {
            let far = FarTcp::new();
            let launch = client_to(far.address(), "").stdin(Input::Terminal).stdout(Output::Terminal);
            let mut client = launch.stderr(Output::Terminal).columns(80).start();
            let mut caller = far.accept();
            client.terminal.find("the prompt", |line| line.ends_with("type a message, Enter sends it"));
            client.type_in("hello\n");
            caller.answer("hello", "ACK");
            client.terminal.find("the answer", |line| line.ends_with("last message: ACK"));
            client.type_in(typed);
            client.terminal.expect_rest(typed);
            caller.close_with("server is shutting down");
            assert_eq!(client.wait_exit(), 0);
            let connected = format!("connected to {}", far.address());
            let scene = [&connected, "type a message, Enter sends it", "hello", "last message: ACK", typed];
            let end = ["server is shutting down", "connection has been closed by server", ""];
            let expected: Vec<&str> = scene.into_iter().chain(end).filter(|row| !row.is_empty()).collect();
            let mut rows = displayed(&client.terminal.to_end(), 80);
            rows.pop_if(|row| row.is_empty());
            assert_eq!(rows, expected);
        }
    });
}

#[test]
fn what_the_server_prints_while_a_command_is_typed_leaves_the_command_whole() {
    undisturbed(|| {
        let launch = Launch::server(&["-t", "-p", "0"]).stdin(Input::Terminal).stdout(Output::Terminal);
        let mut server = launch.stderr(Output::Terminal).columns(100).start();
        let line = server.terminal.find("the listening line", |line| line.contains("listening on "));
        let address = line.split("listening on ").nth(1).unwrap().parse().unwrap();
        server.type_in("cli");
        server.terminal.expect_rest("cli");
        let client = Client::connect(address);
        let came = format!("{} connected", client.name());
        server.terminal.find("the newcomer", |line| line.ends_with(&came));
        server.type_in("ents\n");
        server.terminal.find("the answer", |line| line.contains(" silent "));
        let rows = displayed(&server.terminal.so_far(), 100);
        assert_eq!(rows[1..4], ["cli", &came, "ents"]);
        assert!(rows[4].starts_with(&client.name()), "{rows:?}");
    });
}
