//! The server under test, with the addresses it says it listens on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::{Deref, DerefMut};

use super::{Client, Input, Launch, Output, Peer, Process};

/// Starts a server on a port of its own choosing, `/dev/null` as its stdin. Every argument is one word of `args`.
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
    /// `-p 0` and the words of `args`.
    pub(crate) fn new(args: &str) -> ServerBuilder {
        let mut words: Vec<&str> = args.split_whitespace().collect();
        if !words.iter().any(|word| matches!(*word, "-p" | "--port")) {
            words.extend(["-p", "0"]);
        }
        let one = |short, long| words.iter().any(|&word| word == short || word == long);
        let sockets = if one("-t", "--tcp") == one("-u", "--udp") { 2 } else { 1 };
        ServerBuilder { launch: Launch::server(&words), sockets }
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
        let process = self.launch.start();
        let (mut tcp, mut udp) = (None, None);
        for index in 0..self.sockets {
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

    /// One number out of the operator's `stats`.
    #[track_caller]
    pub(crate) fn stat(&mut self, name: &str) -> f64 {
        let line = self.ask("stats", |line| line.starts_with("uptime="));
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
