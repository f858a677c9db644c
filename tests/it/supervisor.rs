//! What a supervisor is told: that the sockets are bound, that the loop goes round, that the end has begun; and how much
//! a line in its journal matters.

use std::fs::File;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal::{SIGINT, SIGTERM};

use crate::harness::{
    DEADLINE, Held, Launch, Output, Scratch, Server, ServerBuilder, closed_port, have, private_loopback, server,
    undisturbed, wait_until,
};

/// A watchdog's interval, and half of it.
const INTERVAL: &str = "200000";
const HALF: Duration = Duration::from_millis(100);

/// Where a supervisor listens.
struct Supervisor {
    socket: UnixDatagram,
    path: Scratch,
}

impl Supervisor {
    fn new() -> Supervisor {
        let path = Scratch::path("notify");
        let socket = UnixDatagram::bind(&path.0).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Supervisor { socket, path }
    }

    fn env(&self, launch: Launch) -> Launch {
        launch.env("NOTIFY_SOCKET", self.path.0.to_str().unwrap())
    }

    /// A server that it watches over.
    fn server(&self, args: &str) -> Server {
        let env = |launch: Launch| self.env(launch).env("WATCHDOG_USEC", INTERVAL);
        ServerBuilder::new(args).with(env).start()
    }

    fn heard(&self) -> String {
        let mut buffer = [0; 256];
        let length = self.socket.recv(&mut buffer).expect("nothing is told");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Whether something waits; it is taken.
    fn poll(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        let came = self.socket.recv(&mut [0; 256]).is_ok();
        self.socket.set_nonblocking(false).unwrap();
        came
    }
}

#[test]
fn it_is_told_when_the_sockets_are_bound() {
    let (supervisor, address) = (Supervisor::new(), closed_port(private_loopback()));
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let _server = supervisor.env(Launch::server(&["--host", &ip, "-p", &port])).start();
    assert_eq!(supervisor.heard(), "READY=1\n");
    TcpStream::connect(address).expect("told before it is bound");
}

#[test]
fn it_is_told_before_the_first_client_is_let_in() {
    if !have("strace") {
        return;
    }
    let (supervisor, held, calls) = (Supervisor::new(), Held::new(), Scratch::path("calls"));
    let mut waiting = held.client();
    waiting.send("hello");
    // The server keeps the shell's id, which it is told of.
    let strace = format!("strace -D -e trace=accept4,write,sendto -o {}", calls.0.display());
    let mut server = held.server_by(&strace, "").with(|launch| supervisor.env(launch)).start();
    waiting.expect("ACK");
    server.signal(SIGTERM);
    waiting.expect_last("server is shutting down");
    drop(waiting);
    server.wait_exit();
    let calls = wait_until("what was traced", || {
        Some(std::fs::read_to_string(&calls.0).ok()?).filter(|calls| calls.contains("exited with"))
    });
    let place = |word: &str| calls.find(word).unwrap_or_else(|| panic!("no {word} in {calls}"));
    assert!(place("READY=1") < place("accept4("), "{calls}");
}

#[test]
fn it_is_told_when_the_end_begins() {
    for (args, signal) in [("-t", SIGTERM), ("-u", SIGINT), ("-t --drain 60", SIGTERM), ("--format json", SIGTERM)] {
        let supervisor = Supervisor::new();
        let mut server = ServerBuilder::new(args).with(|launch| supervisor.env(launch)).start();
        assert_eq!(supervisor.heard(), "READY=1\n");
        server.signal(signal);
        assert_eq!(supervisor.heard(), "STOPPING=1\n");
        if !args.contains("drain") {
            assert_eq!(server.wait_exit(), 0);
        }
        assert!(!supervisor.poll(), "no sign of life was asked for");
    }
}

#[test]
fn a_loop_that_goes_round_shows_it_and_one_that_is_frozen_does_not() {
    undisturbed(|| {
        for args in ["", "--drain 60 -q"] {
            let supervisor = Supervisor::new();
            let server = supervisor.server(args);
            assert_eq!(supervisor.heard(), "READY=1\n");
            for _ in 0..4 {
                assert_eq!(supervisor.heard(), "WATCHDOG=1\n");
            }
            server.stop();
            while supervisor.poll() {}
            thread::sleep(5 * HALF);
            assert!(!supervisor.poll(), "a frozen server shows life");
            server.resume();
            assert_eq!(supervisor.heard(), "WATCHDOG=1\n");
            // While it drains it lives as well.
            server.signal(SIGTERM);
            while supervisor.heard() != "STOPPING=1\n" {}
            if !args.is_empty() {
                assert_eq!(supervisor.heard(), "WATCHDOG=1\n");
            }
        }
    });
}

#[test]
fn signs_of_life_are_for_whom_they_are_asked_of() {
    for (pid, usec) in [("1", INTERVAL), ("", "0"), ("", "soon"), ("", "-1")] {
        let supervisor = Supervisor::new();
        let env = |launch: Launch| {
            let launch = supervisor.env(launch).env("WATCHDOG_USEC", usec);
            if pid.is_empty() { launch } else { launch.env("WATCHDOG_PID", pid) }
        };
        let mut server = ServerBuilder::new("-t").with(env).start();
        assert_eq!(supervisor.heard(), "READY=1\n");
        thread::sleep(3 * HALF);
        server.signal(SIGTERM);
        assert_eq!(supervisor.heard(), "STOPPING=1\n", "{pid} {usec}");
        assert_eq!(server.wait_exit(), 0);
    }
}

#[test]
fn a_supervisor_that_does_not_listen_holds_nobody_up() {
    undisturbed(|| {
        let supervisor = Supervisor::new();
        // Its queue is full soon.
        let env = |launch: Launch| supervisor.env(launch).env("WATCHDOG_USEC", "1000");
        let mut server = ServerBuilder::new("").with(env).start();
        thread::sleep(Duration::from_secs(1));
        server.client().exchange("hello", "ACK");
        server.peer().check("hello");
        server.signal(SIGTERM);
        assert_eq!(server.wait_exit(), 0);
    });
}

#[test]
fn one_that_cannot_be_reached_is_named_and_the_server_serves() {
    let nowhere = Scratch::path("nowhere");
    let path = nowhere.0.to_str().unwrap();
    let server = ServerBuilder::new("").with(|launch| launch.env("NOTIFY_SOCKET", path)).start();
    server.stderr.find("the warning", |line| line.contains("cannot tell the supervisor") && line.contains(path));
    server.client().exchange("hello", "ACK");
}

#[test]
#[cfg(target_os = "linux")]
fn a_name_that_stands_in_no_file_system_is_one() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    let name = format!("ack-reactor-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let at = format!("@{name}");
    let _server = ServerBuilder::new("").with(|launch| launch.env("NOTIFY_SOCKET", &at)).start();
    let mut buffer = [0; 64];
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"READY=1\n");
}

/// What the server with these words says to a journal; `is_it` says whether the journal is what stderr is.
fn journal(is_it: bool, log: &str, args: &[&str]) -> Vec<String> {
    let scratch = Scratch::file("journal", "");
    let file = File::options().append(true).open(&scratch.0).unwrap();
    let named = file.metadata().unwrap();
    let stream = format!("{}:{}", named.dev(), named.ino() + u64::from(!is_it));
    let launch = Launch::server(args).env("JOURNAL_STREAM", &stream).env("RUST_LOG", log);
    let launch = launch.env("NOTIFY_SOCKET", "/nowhere").stderr(Output::Given(file.into()));
    launch.through_shell("echo shutdown | \"$0\" \"$@\"").start().wait_exit();
    std::fs::read_to_string(&scratch.0).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn in_the_journal_a_line_says_how_much_it_matters() {
    let refused = journal(true, "warn", &["--port", "70000"]);
    assert!(refused.len() == 1 && refused[0].starts_with("<3>reactor-server: invalid value"), "{refused:?}");
    let all = journal(true, "trace", &["-p", "0"]);
    assert!(all.iter().any(|line| line.starts_with("<4>reactor-server: cannot tell the supervisor")), "{all:?}");
    assert!(all.iter().any(|line| line.starts_with("<7>") && line.contains(" DEBUG ")), "{all:?}");
    assert!(all.iter().all(|line| ["<3>", "<4>", "<6>", "<7>"].iter().any(|mark| line.starts_with(mark))), "{all:?}");
}

#[test]
fn elsewhere_no_line_begins_so() {
    let all = journal(false, "debug", &["-p", "0"]);
    assert!(!all.is_empty() && !all.iter().any(|line| line.starts_with('<')), "{all:?}");
    let server = server("");
    server.client().exchange("hello", "ACK");
}
