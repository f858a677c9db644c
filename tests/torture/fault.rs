//! System calls of a running program that fail because strace says so.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::Signal::SIGTERM;

use crate::harness::{Launch, Process, Server, have, skipped, wait_to_part, wait_until};

/// One system call that fails with one error, from the attachment to the drop.
pub(crate) struct Fault {
    strace: Process,
    log: PathBuf,
    victim: u32,
}

impl Fault {
    /// Whether there is a strace, and it may trace what it did not start; where not, the test says that it is skipped.
    #[track_caller]
    pub(crate) fn possible() -> bool {
        if !have("strace") {
            return false;
        }
        let victim = Launch::program("sleep", &["30"]).start();
        let mut strace = Launch::program("strace", &["-qq", "-o", "/dev/null", "-p", &victim.id().to_string()]).start();
        let traces = wait_until("strace to take hold, or to fail", || {
            let holds = tracer(victim.id()) == strace.id();
            (holds || !strace.is_running()).then_some(holds)
        });
        if !traces {
            skipped("strace may not trace other processes here");
        }
        traces
    }

    /// From now on `call` fails with `error` at the occurrences `when`: `3` the third one, `1+` all of them.
    #[track_caller]
    pub(crate) fn inject(server: &Server, call: &str, error: &str, when: &str) -> Fault {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let log = std::env::temp_dir().join(format!("ack-reactor-{}-strace-{number}", std::process::id()));
        let (victim, trace) = (server.id(), format!("trace={call}"));
        let inject = format!("inject={call}:error={error}:when={when}");
        let (pid, path) = (victim.to_string(), log.to_str().unwrap());
        let args = ["-f", "-qq", "-o", path, "-e", &trace, "-e", &inject, "-p", &pid];
        let strace = Launch::program("strace", &args).start();
        wait_until("strace to take hold", || (tracer(victim) == strace.id()).then_some(()));
        Fault { strace, log, victim }
    }

    /// How many calls have failed so far.
    pub(crate) fn count(&self) -> usize {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log).matches("(INJECTED)").count()
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        self.strace.signal(SIGTERM);
        let (strace, victim) = (&mut self.strace, self.victim);
        wait_to_part("strace to let go", || !strace.is_running() && tracer(victim) == 0);
        // Where strace failed before it wrote there is none.
        let _ = fs::remove_file(&self.log);
    }
}

/// Who traces this process; 0 where nobody does, and where it is gone.
fn tracer(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("TracerPid:")?.trim().parse().ok()).unwrap_or(0)
}
