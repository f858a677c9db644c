//! What several fault tests need besides the harness.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal::SIGSTOP;

use crate::harness::{Process, Server};

/// One mebibyte.
pub(crate) const MIB: u64 = 1 << 20;

/// Stops the program as [`Process::stop`] does, but looks at once and without pauses: for tests of many rounds.
pub(crate) fn halt(process: &Process) {
    process.signal(SIGSTOP);
    while process.proc().state() != 'T' {
        thread::yield_now();
    }
}

/// The most memory that the process has ever held, in bytes; `None` where it has ended.
pub(crate) fn peak_memory(process: &Process) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// Waits for the program's end, however long it takes, and gives the most memory that it was seen to hold: it may be gone
/// before it is looked at here, so the test has looked `before` it had a reason to end.
pub(crate) fn peak_until_exit(process: &mut Process, before: u64) -> u64 {
    let mut peak = before;
    while process.is_running() {
        peak = peak.max(peak_memory(process).unwrap_or(0));
        thread::sleep(Duration::from_millis(2));
    }
    peak
}

/// Waits until a counter of the server stands still, and gives it.
#[track_caller]
pub(crate) fn settled(server: &mut Server, name: &str) -> f64 {
    let (mut last, mut still) = (server.stat(name), 0);
    while still < 5 {
        thread::sleep(Duration::from_millis(50));
        let now = server.stat(name);
        still = if now == last { still + 1 } else { 0 };
        last = now;
    }
    last
}

/// A file of this test's own, removed when the test is done with it.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Scratch {
        Scratch(std::env::temp_dir().join(format!("ack-reactor-{}-{name}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
