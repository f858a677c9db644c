//! What the kernel says of a process, `/proc/PID`, and of sockets.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use super::wait_until;

/// One process as the kernel shows it.
#[derive(Clone, Copy)]
pub(crate) struct Proc(pub(crate) u32);

impl Proc {
    /// How many tasks (threads) it has.
    pub(crate) fn tasks(self) -> usize {
        self.entries("task")
    }

    /// How many descriptors it holds.
    pub(crate) fn descriptors(self) -> usize {
        self.entries("fd")
    }

    /// The processor time that it has used, to 10 ms.
    pub(crate) fn cpu(self) -> Duration {
        let ticks: u64 = self.stat()[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// For how long it ran or waited for a processor: what is awake, however busy the machine is.
    pub(crate) fn awake(self) -> Duration {
        let schedstat = fs::read_to_string(format!("/proc/{}/schedstat", self.0)).unwrap();
        Duration::from_nanos(schedstat.split_whitespace().take(2).map(|time| time.parse::<u64>().unwrap()).sum())
    }

    /// How often it went to sleep, and so was woken.
    pub(crate) fn sleeps(self) -> u64 {
        self.status("voluntary_ctxt_switches:").parse().unwrap()
    }

    /// The memory that it holds, in bytes.
    pub(crate) fn resident(self) -> u64 {
        self.stat()[21].parse::<u64>().unwrap() * 4096
    }

    /// The most memory that it ever held, in bytes.
    pub(crate) fn peak(self) -> u64 {
        self.status("VmHWM:").trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// `S` sleeping, `R` running, `T` stopped, `Z` a zombie.
    pub(crate) fn state(self) -> char {
        self.stat()[0].chars().next().unwrap()
    }

    /// Its process group.
    pub(crate) fn group(self) -> i32 {
        self.stat()[2].parse().unwrap()
    }

    /// The process group in the foreground of its terminal.
    pub(crate) fn foreground(self) -> i32 {
        self.stat()[5].parse().unwrap()
    }

    /// Waits for a state.
    #[track_caller]
    pub(crate) fn wait_state(self, state: char) {
        wait_until(&format!("state {state}"), || (self.state() == state).then_some(()));
    }

    /// Whether it is this program by now, and no longer the shell or the tool that starts it.
    pub(crate) fn runs(self, program: &str) -> bool {
        fs::read_link(format!("/proc/{}/exe", self.0)).is_ok_and(|path| path.ends_with(program))
    }

    /// Whether a signal (by its number) has a handler.
    pub(crate) fn catches(self, number: i32) -> bool {
        self.signal_mask("SigCgt:") >> (number - 1) & 1 == 1
    }

    /// Whether a signal (by its number) is ignored.
    pub(crate) fn ignores(self, number: i32) -> bool {
        self.signal_mask("SigIgn:") >> (number - 1) & 1 == 1
    }

    fn signal_mask(self, name: &str) -> u64 {
        u64::from_str_radix(&self.status(name), 16).unwrap()
    }

    /// One field of `status`.
    fn status(self, name: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
    }

    fn entries(self, folder: &str) -> usize {
        fs::read_dir(format!("/proc/{}/{folder}", self.0)).unwrap().count()
    }

    /// The fields of `stat` from the third, the state, on: the second is a name that may hold anything.
    fn stat(self) -> Vec<String> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap();
        stat[stat.rfind(')').unwrap() + 2..].split(' ').map(str::to_owned).collect()
    }
}

/// An IPv4 address as it stands in the system's tables of sockets, `/proc/net/tcp` and `/proc/net/udp`.
#[allow(dead_code, reason = "not every tree of tests reads them")]
pub(crate) fn in_tables(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { panic!("{address} is not IPv4") };
    format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
}
