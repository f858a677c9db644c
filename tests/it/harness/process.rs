//! A program under test as a child process: how it is started, watched, signalled and ended.

use std::cell::Cell;
use std::env;
use std::fs::File;
use std::io::{self, PipeReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use pty_process::blocking as pty;

use super::{DEADLINE, ENVIRONMENT, Lines, Proc, private_loopback, skipped, wait_until};

/// The built server, or another one to hold the tests against: `SERVER_UNDER_TEST` names it.
pub(crate) fn server_under_test() -> String {
    env::var("SERVER_UNDER_TEST").unwrap_or_else(|_| env!("CARGO_BIN_EXE_reactor-server").to_owned())
}

/// The same of the client: `CLIENT_UNDER_TEST` names it.
pub(crate) fn client_under_test() -> String {
    env::var("CLIENT_UNDER_TEST").unwrap_or_else(|_| env!("CARGO_BIN_EXE_reactor-client").to_owned())
}

thread_local! {
    /// Whether a client of this test said that the machine held it up.
    pub(crate) static HELD_UP: Cell<bool> = const { Cell::new(false) };
}

/// Looks among what a program said for a word of the machine that held it up.
pub(crate) fn note_what_held_it_up(said: &[String]) {
    let held_up = said.iter().any(|line| line.contains("stood still for") || line.contains("\"stood_still\""));
    HELD_UP.set(HELD_UP.get() || held_up);
}

/// While a child is being started it holds copies of all that the tests have open, until it has become its program.
static STARTING: Mutex<()> = Mutex::new(());

fn starting() -> MutexGuard<'static, ()> {
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a child, while nothing is [closed](close).
pub(crate) fn start(command: &mut Command) -> io::Result<Child> {
    let _alone = starting();
    command.spawn()
}

/// The same until its end, for what it prints.
pub(crate) fn output(command: &mut Command) -> io::Result<std::process::Output> {
    start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?.wait_with_output()
}

/// Closes what is open, while no child is just being [started](start) that has a copy.
pub(crate) fn close<T>(open: T) {
    let _alone = starting();
    drop(open);
}

/// What is [closed](close) when it goes out of scope.
pub(crate) struct Closing<T>(Option<T>);

impl<T> From<T> for Closing<T> {
    fn from(open: T) -> Closing<T> {
        Closing(Some(open))
    }
}

impl<T> Deref for Closing<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().unwrap()
    }
}

impl<T> Drop for Closing<T> {
    fn drop(&mut self) {
        close(self.0.take());
    }
}

/// What a pipe with any room takes in one write (`PIPE_BUF` on Linux; elsewhere it may be less).
const PIECE: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// What a program gets as its stdin.
pub(crate) enum Input {
    /// `/dev/null`.
    Null,
    /// A pipe; [`Process::type_in`] writes into it.
    Pipe,
    /// The controlling terminal; [`Process::type_in`] types at it.
    Terminal,
    /// Whatever the test made.
    Given(Stdio),
}

/// What a program gets as its stdout or stderr.
pub(crate) enum Output {
    /// A pipe, read all the time into [`Process::stdout`] or [`Process::stderr`].
    Lines,
    /// The same, but lines of which this is true are only counted.
    #[allow(dead_code, reason = "the torture tests use it")]
    LinesBut(fn(&[u8]) -> bool),
    /// The controlling terminal, read into [`Process::terminal`].
    Terminal,
    /// Whatever the test made; nothing is collected.
    Given(Stdio),
}

/// A program about to be started.
pub(crate) struct Launch {
    command: Command,
    stdin: Input,
    stdout: Output,
    stderr: Output,
    columns: u16,
}

impl Launch {
    /// The server.
    pub(crate) fn server(args: &[&str]) -> Launch {
        Launch::program(&server_under_test(), args)
    }

    /// The client.
    pub(crate) fn client(args: &[&str]) -> Launch {
        Launch::program(&client_under_test(), args)
    }

    /// An example, where a whole `cargo test` (or `cargo build --examples`) has built it; one target alone does not.
    #[track_caller]
    pub(crate) fn example(name: &str, args: &[&str]) -> Option<Launch> {
        let example = Path::new(env!("CARGO_BIN_EXE_reactor-server")).with_file_name("examples").join(name);
        if !example.exists() {
            skipped("the example was not built, `cargo build --examples` does it");
            return None;
        }
        Some(Launch::program(example.to_str().unwrap(), args))
    }

    /// An example that serves port 6666 of an address of its own, a pipe as its stdin, once it listens there.
    #[track_caller]
    #[allow(dead_code, reason = "not every tree of tests starts examples")]
    pub(crate) fn serving_example(name: &str, stdout: Output) -> Option<(Process, SocketAddr)> {
        let address = SocketAddr::from((private_loopback(), 6666));
        let launch = Launch::example(name, &[&address.to_string()])?;
        let process = launch.stdin(Input::Pipe).stdout(stdout).start();
        wait_until("the listener", || TcpStream::connect(address).ok());
        Some((process, address))
    }

    /// Any program, in the clean environment of the tests.
    pub(crate) fn program(program: &str, args: &[&str]) -> Launch {
        let mut command = Command::new(program);
        command.args(args).env_clear().envs(ENVIRONMENT);
        Launch { command, stdin: Input::Null, stdout: Output::Lines, stderr: Output::Lines, columns: 0 }
    }

    /// Has a shell start this program: in `script`, `"$0" "$@"` stands for it and its arguments.
    pub(crate) fn through_shell(self, script: &str) -> Launch {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script).arg(self.command.get_program()).args(self.command.get_args());
        command.env_clear();
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Launch { command, ..self }
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Launch {
        self.command.env(name, value);
        self
    }

    /// Chooses stdin; `/dev/null` otherwise.
    pub(crate) fn stdin(self, stdin: Input) -> Launch {
        Launch { stdin, ..self }
    }

    /// Chooses stdout; collected lines otherwise.
    pub(crate) fn stdout(self, stdout: Output) -> Launch {
        Launch { stdout, ..self }
    }

    /// Chooses stderr; collected lines otherwise.
    pub(crate) fn stderr(self, stderr: Output) -> Launch {
        Launch { stderr, ..self }
    }

    /// Makes its terminal so wide, and of a kind that wraps lines. Otherwise it does not say how wide it is.
    pub(crate) fn columns(self, columns: u16) -> Launch {
        Launch { columns, ..self.env("TERM", "xterm") }
    }

    /// Starts it. With a terminal among its streams it leads a session of its own, controlled by that terminal.
    pub(crate) fn start(self) -> Process {
        let on_terminal = matches!(self.stdin, Input::Terminal)
            || matches!(self.stdout, Output::Terminal)
            || matches!(self.stderr, Output::Terminal);
        let (stdin, held_stdin, stdin_writer) = match self.stdin {
            Input::Null => (Some(Stdio::null()), None, None),
            Input::Pipe => {
                let (reader, writer) = std::io::pipe().unwrap();
                (Some(reader.into()), None, Some(writer))
            }
            Input::Terminal => (None, Some(()), None),
            Input::Given(stdio) => (Some(stdio), None, None),
        };
        let passing = match self.stdout {
            Output::LinesBut(passing) => Some(passing),
            _ => None,
        };
        let (stdout, stdout_reader) = self.stdout.open();
        let (stderr, stderr_reader) = self.stderr.open();
        let (child, master) = if on_terminal {
            let (master, terminal) = pty::open().unwrap();
            if self.columns > 0 {
                master.resize(pty_process::Size::new(24, self.columns)).unwrap();
            }
            let mut command = pty::Command::from(self.command);
            command = stdin.into_iter().fold(command, pty::Command::stdin);
            command = stdout.into_iter().fold(command, pty::Command::stdout);
            command = stderr.into_iter().fold(command, pty::Command::stderr);
            let _alone = starting();
            (command.spawn(terminal).unwrap(), Some(File::from(OwnedFd::from(master))))
        } else {
            let mut command = self.command;
            command.stdin(stdin.unwrap()).stdout(stdout.unwrap()).stderr(stderr.unwrap());
            (start(&mut command).unwrap(), None)
        };
        let typist = match (stdin_writer, held_stdin, &master) {
            (Some(writer), _, _) => Some(File::from(OwnedFd::from(writer))),
            (None, Some(()), Some(master)) => Some(master.try_clone().unwrap()),
            _ => None,
        };
        Process {
            stdout: stdout_reader.map(|reader| Lines::collect_but(passing, reader)).unwrap_or_default(),
            stderr: stderr_reader.map(Lines::collect).unwrap_or_default(),
            terminal: master.as_ref().map(|master| Lines::collect(master.try_clone().unwrap())).unwrap_or_default(),
            typist,
            master,
            child,
        }
    }
}

impl Output {
    fn open(self) -> (Option<Stdio>, Option<PipeReader>) {
        match self {
            Output::Lines | Output::LinesBut(_) => {
                let (reader, writer) = std::io::pipe().unwrap();
                (Some(writer.into()), Some(reader))
            }
            Output::Terminal => (None, None),
            Output::Given(stdio) => (Some(stdio), None),
        }
    }
}

/// A running program. It is killed, by its id, when the test is done with it.
pub(crate) struct Process {
    /// What it printed to stdout, where that is [`Output::Lines`].
    pub(crate) stdout: Lines,
    /// What it printed to stderr, where that is [`Output::Lines`].
    pub(crate) stderr: Lines,
    /// What its terminal shows: what it printed there, and the echo of what was typed.
    pub(crate) terminal: Lines,
    /// The far side of its terminal, for asking after its settings.
    pub(crate) master: Option<File>,
    typist: Option<File>,
    child: Child,
}

impl Process {
    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What the kernel says of it.
    pub(crate) fn proc(&self) -> Proc {
        Proc(self.id())
    }

    /// Writes to its stdin: a pipe or its terminal.
    #[track_caller]
    pub(crate) fn type_in(&mut self, text: &str) {
        self.type_bytes(text.as_bytes());
    }

    /// The same with bytes that need not be text. A program that does not read them fails the test, and does not hold it.
    #[track_caller]
    pub(crate) fn type_bytes(&mut self, bytes: &[u8]) {
        let typist = self.typist.as_mut().expect("stdin was not asked for");
        // So much is taken whole where anything is.
        for piece in bytes.chunks(PIECE) {
            let mut room = [PollFd::new(typist.as_fd(), PollFlags::POLLOUT)];
            let ready = poll(&mut room, PollTimeout::try_from(DEADLINE).unwrap()).unwrap();
            assert!(ready > 0, "nobody reads what is typed");
            typist.write_all(piece).unwrap();
        }
    }

    /// Closes the writing end of its stdin pipe.
    pub(crate) fn end_input(&mut self) {
        close(self.typist.take());
    }

    /// Sends it a signal.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        signal::kill(Pid::from_raw(self.id().cast_signed()), signal).unwrap();
    }

    /// Stops it, so that what happens until [`Process::resume`] meets it all at once.
    #[track_caller]
    pub(crate) fn stop(&self) {
        self.signal(Signal::SIGSTOP);
        self.proc().wait_state('T');
    }

    /// Lets it run on.
    #[track_caller]
    pub(crate) fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Waits for its end and gives its exit code.
    #[track_caller]
    pub(crate) fn wait_exit(&mut self) -> i32 {
        let status = wait_until("the exit", || self.child.try_wait().unwrap());
        status.code().unwrap_or_else(|| panic!("it did not exit by itself: {status}"))
    }

    /// Whether it is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors say that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            note_what_held_it_up(&[&self.stdout, &self.stderr, &self.terminal].map(Lines::in_the_end).concat());
        }
    }
}
