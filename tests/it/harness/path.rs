//! A path in a box (`tests/path`): between a client and a server, with the faults that a test asks for.

use std::net::SocketAddr;
use std::ops::Deref;

use nix::sys::signal::Signal;

use super::{Launch, Process, private_loopback};

/// What became of the datagrams of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) dropped: usize,
    pub(crate) duplicated: usize,
    pub(crate) reordered: usize,
}

/// One that stands, on a port of its own; it is a [`Process`] that can be stopped and resumed.
pub(crate) struct Path {
    process: Process,
    address: SocketAddr,
}

impl Path {
    /// Towards `target`, with these options. `None` (and a word of it) where it was not built.
    #[track_caller]
    pub(crate) fn to(target: SocketAddr, options: &str) -> Option<Path> {
        let target = target.to_string();
        // On 127.0.0.1 the goodbye of any server to whoever had its port before would be one datagram more.
        let own = format!("{}:0", private_loopback());
        let words: Vec<&str> = [own.as_str(), &target].into_iter().chain(options.split_whitespace()).collect();
        let process = Launch::example("path", &words)?.start();
        let line = process.stdout.find("the path's first line", |_| true);
        let address = line.strip_prefix("path on ").and_then(|rest| rest.split_once(" to ")?.0.parse().ok());
        Some(Path { process, address: address.unwrap_or_else(|| panic!("no address in {line:?}")) })
    }

    /// Where it listens, for TCP and UDP.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: what became of the datagrams on the way to the target, and back.
    #[track_caller]
    pub(crate) fn counts(self) -> [Counts; 2] {
        self.counts_after(Signal::SIGTERM)
    }

    /// The same, ended by this signal.
    #[track_caller]
    pub(crate) fn counts_after(mut self, signal: Signal) -> [Counts; 2] {
        self.process.signal(signal);
        assert_eq!(self.process.wait_exit(), 0, "{:?}", self.process.stderr.to_end());
        let lines = self.process.stdout.to_end();
        ["there: ", "back: "].map(|direction| {
            let line = lines.iter().find_map(|line| line.strip_prefix(direction));
            let counts = line.and_then(Counts::parse);
            counts.unwrap_or_else(|| panic!("no counts of {direction:?} in {lines:?}"))
        })
    }
}

impl Deref for Path {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Counts {
    /// `1000 passed, 12 dropped, 3 duplicated, 5 reordered`
    fn parse(line: &str) -> Option<Counts> {
        let mut parts = line.split(", ");
        let mut next = |what| parts.next()?.strip_suffix(what)?.trim_end().parse().ok();
        Some(Counts {
            passed: next("passed")?,
            dropped: next("dropped")?,
            duplicated: next("duplicated")?,
            reordered: next("reordered")?,
        })
    }
}
