//! What was typed and not sent when the client ends by itself is discarded; what was typed for the shell is left to it.

use std::net::SocketAddr;

use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

use crate::harness::{Caller, FarTcp, FarUdp, Input, Launch, Output, Process, client_to, undisturbed};

/// A shell that reads a line behind the client, and what it makes of it.
const SHELL: &str = "\"$0\" \"$@\"; echo over $?; read -r line; echo \"shell: [$line]\"";

fn on_terminal(launch: Launch) -> Launch {
    launch.stdin(Input::Terminal).stdout(Output::Terminal).stderr(Output::Terminal)
}

/// The client in that shell, on a terminal.
#[track_caller]
fn in_shell(address: SocketAddr, options: &str, script: &str) -> Process {
    on_terminal(client_to(address, options).through_shell(script)).start()
}

/// The client has ended like this; then the shell gets a line of its own, with this before it.
#[track_caller]
fn expect_left(mut shell: Process, code: u8, left: &str) {
    shell.terminal.find("the end", |line| line.ends_with(&format!("over {code}")));
    shell.type_in("rest\n");
    shell.terminal.find("the shell's line", |line| line.starts_with("shell: "));
    let read = shell.terminal.so_far().pop().unwrap();
    assert_eq!(read, format!("shell: [{left}]"), "{:#?}", shell.terminal.so_far());
    assert_eq!(shell.wait_exit(), 0);
}

/// Types a line that is sent, and waits until it is there.
#[track_caller]
fn say(shell: &mut Process, far: &FarTcp, line: &str) -> Caller {
    let mut caller = far.accept();
    shell.type_in(&format!("{line}\n"));
    caller.expect(line);
    caller
}

#[test]
fn half_a_line_is_discarded_when_the_server_closes() {
    undisturbed(|| {
        for options in ["", "-q", "--format json", "--lang zh"] {
            let far = FarTcp::new();
            let mut shell = in_shell(far.address(), options, SHELL);
            let mut caller = say(&mut shell, &far, "one");
            shell.type_in("half");
            caller.say("ACK");
            caller.close_with("server is shutting down");
            expect_left(shell, 0, "rest");
        }
    });
}

#[test]
fn half_a_line_is_discarded_when_the_udp_server_shuts_down() {
    undisturbed(|| {
        for options in ["", "-q", "--format json", "--lang zh"] {
            let far = FarUdp::new();
            let mut shell = in_shell(far.address(), &format!("-u {options}"), SHELL);
            shell.type_in("one\n");
            let client = far.answer("one", "check");
            shell.type_in("half");
            far.say(client, "server is shutting down");
            expect_left(shell, 0, "rest");
        }
    });
}

#[test]
fn whole_lines_that_were_not_sent_are_discarded_too() {
    undisturbed(|| {
        for options in ["", "--format json"] {
            let far = FarTcp::new();
            let mut shell = in_shell(far.address(), options, SHELL);
            let caller = say(&mut shell, &far, "one");
            shell.type_in("touch /nowhere/file\nhalf");
            caller.close_with("");
            expect_left(shell, 1, "rest");
        }
    });
}

#[test]
fn half_a_line_is_discarded_when_no_reply_comes_in_time() {
    undisturbed(|| {
        for options in ["-W 2", "-u -W 2", "-W 2 --format json", "-u -W 2 --format json"] {
            let (tcp, udp) = (FarTcp::new(), FarUdp::new());
            let address = if options.contains("-u") { udp.address() } else { tcp.address() };
            let mut shell = in_shell(address, options, SHELL);
            shell.type_in("one\nhalf");
            expect_left(shell, 1, "rest");
        }
    });
}

#[test]
fn what_follows_the_end_of_the_input_is_the_shells() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut shell = in_shell(far.address(), "", SHELL);
        let mut caller = say(&mut shell, &far, "one");
        caller.say("ACK");
        shell.terminal.find("the answer", |line| line.ends_with("last message: ACK"));
        shell.type_in("two\n");
        caller.expect("two");
        // Read only once that is answered.
        shell.type_in("\x04ahead ");
        caller.say("ACK");
        expect_left(shell, 0, "ahead rest");
    });
}

#[test]
fn what_is_typed_beside_messages_that_were_given_is_the_shells() {
    undisturbed(|| {
        for options in ["-m one", "-m one --format json", "-m one -q"] {
            for (answer, code) in [("ACK", 0), ("", 1)] {
                let far = FarTcp::new();
                let mut shell = in_shell(far.address(), options, SHELL);
                let mut caller = far.accept();
                caller.expect("one");
                shell.type_in("ahead ");
                match answer {
                    "" => caller.close_with(""),
                    _ => caller.say(answer),
                }
                expect_left(shell, code, "ahead rest");
            }
        }
    });
}

#[test]
fn what_is_typed_beside_an_instrument_is_the_shells() {
    undisturbed(|| {
        for options in ["-z -W 30", "--ping -c 1 -W 30"] {
            let far = FarTcp::new();
            let mut shell = in_shell(far.address(), options, SHELL);
            let mut caller = far.accept();
            caller.expect("hello");
            shell.type_in("ahead ");
            caller.say("ACK");
            expect_left(shell, 0, "ahead rest");
        }
    });
}

#[test]
fn behind_ctrl_c_it_is_the_shells() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut shell = in_shell(far.address(), "", &format!("trap : INT; {SHELL}"));
        let _caller = say(&mut shell, &far, "one");
        shell.type_in("half\x03");
        expect_left(shell, 1, "rest");
    });
}

#[test]
fn what_a_terminal_keeps_behind_ctrl_c_is_left_as_it_is() {
    undisturbed(|| {
        let far = FarTcp::new();
        let mut shell = in_shell(far.address(), "", &format!("trap : INT; {SHELL}"));
        let master = shell.master.as_ref().unwrap().try_clone().unwrap();
        let mut settings = tcgetattr(&master).unwrap();
        settings.local_flags.insert(LocalFlags::NOFLSH);
        tcsetattr(&master, SetArg::TCSANOW, &settings).unwrap();
        let _caller = say(&mut shell, &far, "one");
        shell.type_in("kept \x03");
        expect_left(shell, 1, "kept rest");
    });
}

#[test]
fn in_the_background_what_is_typed_is_the_shells() {
    undisturbed(|| {
        let far = FarTcp::new();
        let script = "set -m; \"$0\" \"$@\" & wait $!; echo over $?; read -r line; echo \"shell: [$line]\"";
        let mut shell = in_shell(far.address(), "", script);
        let caller = far.accept();
        shell.terminal.find("the connection", |line| line.contains("connected to "));
        shell.type_in("ahead ");
        caller.close_with("server is shutting down");
        expect_left(shell, 0, "ahead rest");
    });
}
