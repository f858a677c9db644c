//! The server under test, with the addresses it says it listens on.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::{Client, DEADLINE, Input, Launch, Lines, Output, Peer, Process, private_loopback};

/// Starts a server at an address and on a port of its own, `/dev/null` as its stdin. Every argument is one word of `args`.
#[track_caller]
pub(crate) fn server(args: &str) -> Server {
    ServerBuilder::new(args).start()
}

/// A server about to be started.
pub(crate) struct ServerBuilder {
    launch: Launch,
    sockets: usize,
}

impl ServerBuilder {
    /// The words of `args`, and where they do not say it `-p 0` at an address that is nobody else's: what others send
    /// to those who have gone finds no server that was given their port, and the same number of the other protocol
    /// is free.
    pub(crate) fn new(args: &str) -> ServerBuilder {
        let host = private_loopback().to_string();
        let mut words: Vec<&str> = args.split_whitespace().collect();
        if !words.iter().any(|word| matches!(*word, "-p" | "--port")) {
            words.extend(["-p", "0"]);
        }
        if !words.contains(&"--host") {
            words.extend(["--host", &host]);
        }
        let one = |short, long| words.iter().any(|&word| word == short || word == long);
        let sockets = if one("-t", "--tcp") == one("-u", "--udp") { 2 } else { 1 };
        ServerBuilder { launch: Launch::server(&words), sockets }
    }

    /// One that is started so, and says of so many sockets where it listens.
    #[allow(dead_code, reason = "only some tests pass sockets")]
    pub(crate) fn of(launch: Launch, sockets: usize) -> ServerBuilder {
        ServerBuilder { launch, sockets }
    }

    /// Changes how it is started.
    pub(crate) fn with(self, change: impl FnOnce(Launch) -> Launch) -> ServerBuilder {
        ServerBuilder { launch: change(self.launch), ..self }
    }

    /// Gives it an operator: a pipe as stdin.
    pub(crate) fn operated(self) -> ServerBuilder {
        self.with(|launch| launch.stdin(Input::Pipe))
    }

    /// Chooses stdin.
    pub(crate) fn stdin(self, stdin: Input) -> ServerBuilder {
        self.with(|launch| launch.stdin(stdin))
    }

    /// Sends stdout to a descriptor that nothing collects; the addresses must then be known otherwise.
    pub(crate) fn start_unheard(self, stdout: impl Into<std::process::Stdio>) -> Process {
        self.launch.stdout(Output::Given(stdout.into())).start()
    }

    /// Starts it and waits until it says where it listens.
    #[track_caller]
    pub(crate) fn start(self) -> Server {
        let sockets = self.sockets;
        Server::listening(self.launch.start(), sockets)
    }

    /// The same under a tool that makes the start itself long: it has several times the usual patience.
    #[track_caller]
    #[allow(dead_code, reason = "not every tree of tests has tools")]
    pub(crate) fn start_under_a_tool(self) -> Server {
        let (began, mut process) = (Instant::now(), self.launch.start());
        while process.stdout.count() < self.sockets && process.is_running() && began.elapsed() < 5 * DEADLINE {
            thread::sleep(Duration::from_millis(5));
        }
        Server::listening(process, self.sockets)
    }

    /// The same with a regular file as its stdout, which is read as it grows and until it is removed; lines that are
    /// `passing` are only counted.
    #[track_caller]
    #[allow(dead_code, reason = "the torture tests use it")]
    pub(crate) fn start_into(self, path: &Path, passing: fn(&[u8]) -> bool) -> Server {
        let file = File::create(path).unwrap();
        let growing = Growing { file: File::open(path).unwrap(), path: path.to_owned() };
        let mut process = self.launch.stdout(Output::Given(file.into())).start();
        process.stdout = Lines::collect_but(Some(passing), growing);
        Server::listening(process, self.sockets)
    }
}

/// A file that somebody else writes; it ends when it has been removed.
struct Growing {
    file: File,
    path: PathBuf,
}

impl Read for Growing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read(buffer)? {
                0 if self.path.exists() => thread::sleep(Duration::from_millis(2)),
                count => return Ok(count),
            }
        }
    }
}

impl Server {
    #[track_caller]
    fn listening(process: Process, sockets: usize) -> Server {
        let (mut tcp, mut udp) = (None, None);
        for index in 0..sockets {
            let line = process.stdout.find_after(index, "the listening line", |_| true);
            let (is_tcp, address) = listening(&line).unwrap_or_else(|| panic!("not a listening line: {line:?}"));
            *(if is_tcp { &mut tcp } else { &mut udp }) = Some(address);
        }
        Server { process, tcp, udp }
    }
}

/// A server that listens.
pub(crate) struct Server {
    process: Process,
    tcp: Option<SocketAddr>,
    udp: Option<SocketAddr>,
}

impl Server {
    /// Where it listens for TCP.
    #[track_caller]
    pub(crate) fn tcp(&self) -> SocketAddr {
        self.tcp.expect("no TCP here")
    }

    /// Where it listens for UDP.
    #[track_caller]
    pub(crate) fn udp(&self) -> SocketAddr {
        self.udp.expect("no UDP here")
    }

    /// A new TCP client, once the server has said that it came. (Not with `--quiet`, and not in JSON.)
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        let client = self.quiet_client();
        let came = [
            format!("{} connected", client.name()),
            format!("-----来自IP: {} Port: {} 的新连接已经建立-----", client.ip(), client.port()),
        ];
        self.stdout.find("the line that a client came", |line| came.iter().any(|came| came == line));
        client
    }

    /// A new TCP client.
    #[track_caller]
    pub(crate) fn quiet_client(&self) -> Client {
        Client::connect(self.tcp())
    }

    /// A new UDP peer, connected to the server.
    #[track_caller]
    pub(crate) fn peer(&self) -> Peer {
        Peer::connect(self.udp())
    }

    /// Has the operator ask something, and gives the first fresh line that satisfies `wanted`.
    #[track_caller]
    pub(crate) fn ask(&mut self, command: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mark = self.process.stdout.count();
        self.process.type_in(&format!("{command}\n"));
        self.process.stdout.find_after(mark, &format!("the answer to {command:?}"), wanted)
    }

    /// One number out of the operator's `stats`, in JSON too.
    #[track_caller]
    pub(crate) fn stat(&mut self, name: &str) -> f64 {
        let json = |line: &str| line.starts_with('{') && line.contains(r#""event":"stats""#);
        let line = self.ask("stats", |line| line.starts_with("uptime=") || json(line));
        if json(&line) {
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            return event[name].as_f64().unwrap_or_else(|| panic!("no {name} in {line:?}"));
        }
        let value = line.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("no {name} in {line:?}")).parse().unwrap()
    }
}

impl Deref for Server {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Reads a listening line, in any of the three formats: whether it is TCP's, and where a client of this host connects to.
fn listening(line: &str) -> Option<(bool, SocketAddr)> {
    let (is_tcp, address) = if line.starts_with('{') {
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        (event["event"] == "listening").then_some(())?;
        (event["protocol"] == "tcp", event["address"].as_str()?.parse().ok()?)
    } else if let Some((protocol, address)) = line.split_once(" server listening on ") {
        (protocol == "TCP", address.parse().ok()?)
    } else {
        let (protocol, rest) = line.split_once(" Server正在监听: Host: ")?;
        let (ip, port) = rest.split_once(" Port: ")?;
        (protocol == "TCP", SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
    };
    let reachable = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Some((is_tcp, SocketAddr::new(reachable, address.port())))
}
