//! Terminals: shared with others, left as they were found, and gone when somebody closes the window.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::openpty;
use nix::sys::signal::Signal::{self, SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGTSTP};
use nix::sys::signal::kill;
use nix::sys::termios::tcgetattr;
use nix::unistd::Pid;
use pty_process::blocking as pty;

use crate::harness::{
    Client, DEADLINE, ENVIRONMENT, Input, Launch, Lines, Output, Proc, Process, hang_ups_arrive, have, server,
    undisturbed, wait_until,
};

/// A terminal whose open file description the test shares with the program, as a shell does.
struct Shared {
    terminal: OwnedFd,
    master: File,
    shows: Lines,
}

impl Shared {
    fn open() -> Shared {
        let ends = openpty(None, None).unwrap();
        let master = File::from(ends.master);
        let shows = Lines::collect(master.try_clone().unwrap());
        Shared { terminal: ends.slave, master, shows }
    }

    fn start(&self, launch: Launch) -> Process {
        let end = || Stdio::from(self.terminal.try_clone().unwrap());
        launch.stdin(Input::Given(end())).stdout(Output::Given(end())).stderr(Output::Given(end())).start()
    }

    fn type_in(&mut self, text: &str) {
        std::io::Write::write_all(&mut self.master, text.as_bytes()).unwrap();
    }

    /// Everything that a program could have changed of it.
    fn state(&self) -> (String, String) {
        let flags = |end: BorrowedFd<'_>| OFlag::from_bits_retain(fcntl(end, FcntlArg::F_GETFL).unwrap());
        let flags = format!("{:?} {:?}", flags(self.terminal.as_fd()), flags(self.master.as_fd()));
        (flags, format!("{:?}", tcgetattr(&self.terminal).unwrap()))
    }
}

/// The address in the server's first listening line.
fn tcp_address(shows: &Lines) -> std::net::SocketAddr {
    let line = shows.find("the listening line", |line| line.starts_with("TCP server listening on "));
    line["TCP server listening on ".len()..].parse().unwrap()
}

#[test]
fn the_server_leaves_a_shared_terminal_as_it_was_however_it_ends() {
    // A hang-up ends it only where the terminal controls it, and this one controls nobody.
    for signal in [SIGTERM, SIGINT, SIGKILL] {
        let mut shared = Shared::open();
        let before = shared.state();
        let mut process = shared.start(Launch::server(&["-p", "0"]));
        let mut client = Client::connect(tcp_address(&shared.shows));
        shared.shows.expect(&format!("{} connected", client.name()));
        assert_eq!(shared.state(), before, "changed at the start");
        shared.type_in("clients\n");
        shared.shows.find("the answer", |line| line.contains(" silent "));
        client.exchange("hello", "ACK");
        assert_eq!(shared.state(), before, "changed while it served");
        drop(client);
        process.signal(signal);
        wait_until("the end", || (!process.is_running()).then_some(()));
        assert_eq!(shared.state(), before, "changed after {signal}");
    }
    println!("O_NONBLOCK and termios were the same before, during and after, SIGKILL included");
}

#[test]
fn the_client_leaves_a_shared_terminal_as_it_was_however_it_ends() {
    let server = server("-t");
    let address = server.tcp().to_string();
    let hang_up = hang_ups_arrive().then_some(SIGHUP);
    for signal in [SIGTERM, SIGINT, SIGKILL].into_iter().chain(hang_up) {
        let mut shared = Shared::open();
        let before = shared.state();
        let mut process = shared.start(Launch::client(&[&address]));
        shared.shows.find("the connected line", |line| line.starts_with("connected to "));
        shared.type_in("hello\n");
        shared.shows.expect("last message: ACK");
        assert_eq!(shared.state(), before, "changed while it talked");
        process.signal(signal);
        wait_until("the end", || (!process.is_running()).then_some(()));
        assert_eq!(shared.state(), before, "changed after {signal}");
    }
}

#[test]
fn a_background_job_neither_stops_nor_falls_silent_on_a_terminal_that_forbids_it_to_write() {
    let script = "stty tostop; set -m; \"$0\" \"$@\" & echo \"job $!\"; read word; echo \"heard $word\"; read word";
    let launch = Launch::server(&["-p", "0"]).through_shell(script);
    let mut shell = launch.stdin(Input::Terminal).stdout(Output::Terminal).start();
    let job = shell.terminal.find("the job", |line| line.starts_with("job "));
    let job = Proc(job["job ".len()..].parse().unwrap());
    let mut client = Client::connect(tcp_address(&shell.terminal));
    shell.type_in("first\n");
    shell.terminal.expect("heard first");
    for round in 0..20 {
        client.exchange(format!("message {round}"), "ACK");
        shell.terminal.expect(&format!("{} sent: message {round}", client.name()));
        assert_ne!(job.state(), 'T');
    }
    kill(Pid::from_raw(job.0.cast_signed()), SIGTERM).unwrap();
    client.expect_last("server is shutting down");
    drop(client);
    shell.type_in("second\n");
    shell.wait_exit();
}

#[test]
fn a_job_that_was_suspended_from_the_keyboard_goes_on_where_it_was() {
    undisturbed(|| {
        let script = "set -m; \"$0\" \"$@\"; echo suspended; read word; fg";
        let launch = Launch::server(&["-p", "0"]).through_shell(script);
        let mut shell = launch.stdin(Input::Terminal).stdout(Output::Terminal).start();
        let mut client = Client::connect(tcp_address(&shell.terminal));
        client.exchange("hello", "ACK");
        shell.type_in("\x1a");
        // The key itself is echoed before it.
        shell.terminal.find("the suspension", |line| line.ends_with("suspended"));
        client.send("meanwhile");
        client.expect_nothing_yet();
        shell.type_in("go\n");
        client.expect("ACK");
        let mark = shell.terminal.count();
        shell.type_in("clients\n");
        shell.terminal.find_after(mark, "the answer", |line| line.contains(" silent "));
        shell.type_in("shutdown\n");
        client.expect_last("server is shutting down");
        drop(client);
        shell.wait_exit();
    });
}

/// A program that leads a session on a terminal which the test can hang up, its stdout a pipe.
struct Session {
    child: std::process::Child,
    stdout: Lines,
}

impl Session {
    /// Starts `words`; gives the terminal's far side, whose closing is the hang-up.
    fn start(words: &[&str], stdin_too: bool) -> (Session, pty::Pty) {
        let (master, terminal) = pty::open().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = pty::Command::new(words[0]).args(&words[1..]).env_clear().envs(ENVIRONMENT).stdout(writer);
        if !stdin_too {
            command = command.stdin(Stdio::null());
        }
        let child = command.spawn(terminal).unwrap();
        (Session { child, stdout: Lines::collect(reader) }, master)
    }

    #[track_caller]
    fn wait_exit(&mut self) -> Option<i32> {
        wait_until("the exit", || self.child.try_wait().unwrap()).code()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SERVER: &str = env!("CARGO_BIN_EXE_reactor-server");
const CLIENT: &str = env!("CARGO_BIN_EXE_reactor-client");

#[test]
fn a_hang_up_of_its_terminal_ends_the_server_gracefully() {
    undisturbed(|| {
        if !hang_ups_arrive() {
            return;
        }
        for stdin_too in [true, false] {
            let (mut session, terminal) = Session::start(&[SERVER, "-p", "0"], stdin_too);
            let mut client = Client::connect(tcp_address(&session.stdout));
            client.exchange("hello", "ACK");
            let since = Instant::now();
            drop(terminal);
            client.expect_last("server is shutting down");
            println!("the notice came {:?} after the hang-up", since.elapsed());
            drop(client);
            assert_eq!(session.wait_exit(), Some(0));
            assert!(session.stdout.to_end().contains(&"server is shutting down".to_owned()));
        }
    });
}

#[test]
fn a_hang_up_of_its_terminal_ends_the_client() {
    if !hang_ups_arrive() {
        return;
    }
    let mut server = server("-t");
    let address = server.tcp().to_string();
    let (mut session, terminal) = Session::start(&[CLIENT, &address], true);
    session.stdout.find("the connected line", |line| line.starts_with("connected to "));
    drop(terminal);
    assert!(session.wait_exit().is_some(), "it was killed");
    server.stdout.find("its end", |line| line.ends_with(" disconnected (closed)"));
    assert!(server.is_running());
}

#[test]
fn under_nohup_it_survives_the_hang_up() {
    undisturbed(|| {
        if !have("nohup") {
            return;
        }
        let (mut session, terminal) = Session::start(&["/usr/bin/nohup", SERVER, "-p", "0"], true);
        let address = tcp_address(&session.stdout);
        let mut client = Client::connect(address);
        client.exchange("hello", "ACK");
        drop(terminal);
        // The terminal says hang-up and continue; give both time to be misunderstood.
        thread::sleep(Duration::from_millis(200));
        session.signal(SIGHUP);
        client.exchange("still there", "ACK");
        Client::connect(address).exchange("a new one", "ACK");
        session.signal(SIGTERM);
        client.expect_last("server is shutting down");
        drop(client);
        assert_eq!(session.wait_exit(), Some(0));
    });
}

#[test]
fn being_suspended_and_continued_by_signals_a_hundred_times_changes_nothing() {
    undisturbed(|| {
        let mut shared = Shared::open();
        let before = shared.state();
        let mut process = shared.start(Launch::server(&["-p", "0"]));
        let mut client = Client::connect(tcp_address(&shared.shows));
        let since = Instant::now();
        for _ in 0..100 {
            process.signal(SIGTSTP);
            process.signal(SIGCONT);
            client.exchange("hello", "ACK");
            assert!(since.elapsed() < DEADLINE);
        }
        assert_eq!(shared.state(), before);
        shared.type_in("shutdown\n");
        client.expect_last("server is shutting down");
        drop(client);
        assert_eq!(process.wait_exit(), 0);
    });
}
