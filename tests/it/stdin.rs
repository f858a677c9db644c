//! Whatever stdin is, the server serves; where it ends, no operator is there, and nothing else follows.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::mkfifo;

use crate::harness::{Input, Launch, Output, Proc, Server, ServerBuilder, undisturbed, wait_until};

fn with_stdin(stdin: impl Into<Stdio>) -> Server {
    ServerBuilder::new("").stdin(Input::Given(stdin.into())).start()
}

/// It acknowledges on both protocols, and sleeps when nothing is to do.
#[track_caller]
fn serves_and_sleeps(server: &Server) {
    server.client().exchange("hello", "ACK");
    server.peer().check("hello");
    let before = server.proc().cpu();
    thread::sleep(Duration::from_millis(300));
    let spent = server.proc().cpu().checked_sub(before).unwrap();
    assert!(spent <= Duration::from_millis(20), "{spent:?} spent on nothing");
}

#[track_caller]
fn is_blocking(descriptor: impl AsFd) -> bool {
    let flags = OFlag::from_bits_retain(fcntl(descriptor, FcntlArg::F_GETFL).unwrap());
    !flags.contains(OFlag::O_NONBLOCK)
}

/// A path of this test's own; its file is removed when the test is done with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        Scratch(std::env::temp_dir().join(format!("ack-reactor-{}-{name}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn it_may_be_dev_null() {
    undisturbed(|| {
        serves_and_sleeps(&with_stdin(File::open("/dev/null").unwrap()));
    });
}

#[test]
fn it_may_be_closed() {
    undisturbed(|| {
        let server = ServerBuilder::new("").with(|launch| launch.through_shell("exec \"$0\" \"$@\" <&-")).start();
        serves_and_sleeps(&server);
    });
}

#[test]
fn everything_but_stdout_may_be_closed() {
    undisturbed(|| {
        let server = ServerBuilder::new("").with(|launch| launch.through_shell("exec \"$0\" \"$@\" <&- 2>&-")).start();
        serves_and_sleeps(&server);
    });
}

#[test]
fn it_may_be_a_pipe_that_ends() {
    undisturbed(|| {
        let mut server = ServerBuilder::new("").operated().start();
        server.type_in("clients\n");
        server.end_input();
        server.stdout.expect("0 clients");
        serves_and_sleeps(&server);
    });
}

#[test]
fn it_may_be_a_pipe_that_nobody_ever_writes_to() {
    undisturbed(|| {
        serves_and_sleeps(&ServerBuilder::new("").operated().start());
    });
}

#[test]
fn it_may_be_a_file_of_commands() {
    undisturbed(|| {
        let script = Scratch::new("commands");
        fs::write(&script.0, "clients\nstats\nfrobnicate").unwrap();
        let server = with_stdin(File::open(&script.0).unwrap());
        server.stdout.expect("0 clients");
        server.stdout.find("the answer to stats", |line| line.starts_with("uptime="));
        server.stdout.expect("unknown command: frobnicate, try help");
        serves_and_sleeps(&server);
    });
}

#[test]
fn it_may_be_an_empty_file() {
    undisturbed(|| {
        let script = Scratch::new("empty");
        fs::write(&script.0, "").unwrap();
        serves_and_sleeps(&with_stdin(File::open(&script.0).unwrap()));
    });
}

#[test]
fn a_file_may_end_in_an_unterminated_shutdown() {
    let script = Scratch::new("shutdown");
    fs::write(&script.0, "clients\nshutdown").unwrap();
    let mut server = with_stdin(File::open(&script.0).unwrap());
    assert_eq!(server.wait_exit(), 0);
}

#[test]
fn it_may_be_a_directory() {
    undisturbed(|| {
        let mut server = with_stdin(File::open("/").unwrap());
        serves_and_sleeps(&server);
        // The console is looked at again, and why it ended is known already.
        server.resume();
        serves_and_sleeps(&server);
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait_exit(), 0);
        let said = server.stderr.to_end();
        assert_eq!(said.iter().filter(|line| line.contains("cannot read the standard input")).count(), 1, "{said:?}");
    });
}

#[test]
fn it_may_be_a_fifo_whose_writers_come_and_go() {
    undisturbed(|| {
        let fifo = Scratch::new("fifo");
        mkfifo(&fifo.0, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        // Opened for both, so that neither side waits for the other.
        let keep = File::options().read(true).write(true).open(&fifo.0).unwrap();
        let server = with_stdin(File::open(&fifo.0).unwrap());
        for command in ["one", "two"] {
            File::options().write(true).open(&fifo.0).unwrap().write_all(format!("{command}\n").as_bytes()).unwrap();
            server.stdout.expect(&format!("unknown command: {command}, try help"));
        }
        serves_and_sleeps(&server);
        drop(keep);
        serves_and_sleeps(&server);
    });
}

#[test]
fn it_may_be_a_socket() {
    undisturbed(|| {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let copy = theirs.try_clone().unwrap();
        let server = with_stdin(OwnedFd::from(theirs));
        ours.write_all(b"clients\n").unwrap();
        server.stdout.expect("0 clients");
        assert!(is_blocking(&copy));
        drop((ours, copy));
        serves_and_sleeps(&server);
    });
}

#[test]
fn the_flags_of_a_shared_pipe_are_never_changed() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let (_unread, stdout) = std::io::pipe().unwrap();
    let (stdin_copy, stdout_copy) = (reader.try_clone().unwrap(), stdout.try_clone().unwrap());
    // The same pipe is stderr as well, as with `2>&1 |`.
    let stderr_copy = stdout.try_clone().unwrap();
    let launch =
        Launch::server(&["-p", "0"]).stdin(Input::Given(reader.into())).stderr(Output::Given(stderr_copy.into()));
    let mut process = launch.stdout(Output::Given(stdout.into())).start();
    writer.write_all(b"clients\n").unwrap();
    wait_until("SIGTERM's handler", || process.proc().catches(Signal::SIGTERM as i32).then_some(()));
    assert!(is_blocking(&stdin_copy) && is_blocking(&stdout_copy));
    writer.write_all(b"shutdown\n").unwrap();
    assert_eq!(process.wait_exit(), 0);
    assert!(is_blocking(&stdin_copy) && is_blocking(&stdout_copy));
}

/// What can be compared of a terminal's settings.
fn settings(terminal: &File) -> impl PartialEq + std::fmt::Debug + use<> {
    let Termios { input_flags, output_flags, control_flags, local_flags, control_chars, .. } =
        tcgetattr(terminal).unwrap();
    (input_flags, output_flags, control_flags, local_flags, control_chars)
}

#[test]
fn a_terminal_takes_commands_and_keeps_its_settings() {
    undisturbed(|| {
        let mut server = ServerBuilder::new("").stdin(Input::Terminal).start();
        let before = settings(server.master.as_ref().unwrap());
        server.type_in("clients\n");
        server.stdout.expect("0 clients");
        assert_eq!(settings(server.master.as_ref().unwrap()), before);
        serves_and_sleeps(&server);
        server.type_in("shutdown\n");
        assert_eq!(server.wait_exit(), 0);
        assert_eq!(settings(server.master.as_ref().unwrap()), before);
    });
}

#[test]
fn the_end_of_file_key_ends_no_server() {
    undisturbed(|| {
        let mut server = ServerBuilder::new("").stdin(Input::Terminal).start();
        server.type_in("\x04");
        serves_and_sleeps(&server);
    });
}

#[test]
fn ctrl_c_on_its_terminal_shuts_it_down() {
    let mut server = ServerBuilder::new("").stdin(Input::Terminal).start();
    let mut client = server.client();
    server.type_in("\x03");
    client.expect_last("server is shutting down");
    drop(client);
    assert_eq!(server.wait_exit(), 0);
}

#[test]
fn a_background_job_that_is_typed_at_runs_on_and_takes_commands_in_the_foreground() {
    undisturbed(|| {
        // Job control as in a shell: the job is started in the background, and brought to the foreground by a word.
        let script = "set -m; \"$0\" \"$@\" & echo \"job $!\"; read word; echo \"heard $word\"; read word; fg";
        let launch = Launch::server(&["-p", "0"]).through_shell(script);
        let mut shell = launch.stdin(Input::Terminal).stdout(Output::Terminal).start();
        let job = shell.terminal.find("the job", |line| line.starts_with("job "));
        let job = Proc(job["job ".len()..].parse().unwrap());
        let line = shell.terminal.find("the listening line", |line| line.starts_with("TCP server listening on "));
        let address = line["TCP server listening on ".len()..].parse().unwrap();
        let mut client = crate::harness::Client::connect(address);

        shell.type_in("first\n");
        shell.terminal.expect("heard first");
        client.exchange("hello", "ACK");
        let before = job.cpu();
        thread::sleep(Duration::from_millis(300));
        assert_eq!(job.state(), 'S', "the job was stopped, or spins");
        assert!(job.cpu().checked_sub(before).unwrap() <= Duration::from_millis(20));

        shell.type_in("second\n");
        // What is typed before the shell has handed over the terminal would be the shell's: it waits in `fg` now.
        wait_until("the foreground", || (job.foreground() == job.group()).then_some(()));
        shell.type_in("clients\n");
        shell.terminal.find("the answer", |line| {
            line.starts_with(&format!("{} connected ", client.name())) && line.contains("silent")
        });
        shell.type_in("shutdown\n");
        client.expect_last("server is shutting down");
        drop(client);
        shell.wait_exit();
    });
}
