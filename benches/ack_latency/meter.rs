//! What another process uses, and what the kernel holds for it.
//!
//! Only Linux tells: elsewhere everything is `None`.

use std::fs;
use std::time::Duration;

/// The processor time that all threads of a process have used, to the nanosecond, whether they run or not.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn cpu(pid: u32) -> Option<Duration> {
    let pid = nix::unistd::Pid::from_raw(pid.cast_signed());
    Some(nix::time::clock_getcpuclockid(pid).ok()?.now().ok()?.into())
}

/// Not here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn cpu(_pid: u32) -> Option<Duration> {
    None
}

/// Bytes held at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// By the process for itself: `Anonymous` in `/proc/PID/smaps_rollup`.
    user: Option<u64>,
    /// By the kernel in objects of its own, sockets among them, for all processes.
    kernel: Option<u64>,
}

/// Bytes that came to be held for each connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Growth {
    pub(crate) user: Option<f64>,
    pub(crate) kernel: Option<f64>,
}

impl Memory {
    /// Now.
    pub(crate) fn of(pid: u32) -> Memory {
        Memory { user: field(&format!("/proc/{pid}/smaps_rollup"), "Anonymous:"), kernel: slab() }
    }

    /// For each of the connections that came since. Both ends of each are the kernel's: it holds the same for both.
    pub(crate) fn growth(self, after: Memory, connections: usize) -> Growth {
        let each = |before: Option<u64>, after: Option<u64>, ends: usize| {
            Some((after? as f64 - before? as f64) / (connections * ends) as f64)
        };
        Growth { user: each(self.user, after.user, 1), kernel: each(self.kernel, after.kernel, 2) }
    }
}

/// `Slab` in `/proc/meminfo`, without what it takes when somebody looks into `/proc/PID/fd` meanwhile: an inode and its
/// name for each descriptor. Only root is told how much that is.
fn slab() -> Option<u64> {
    let caches = fs::read_to_string("/proc/slabinfo").unwrap_or_default();
    // name, objects in use, objects, bytes of an object, …
    let cache = |name| {
        let row = caches.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        let mut numbers = row.split_whitespace().map(str::parse);
        Some((numbers.next()?.ok()?, numbers.nth(1)?.ok()?))
    };
    let looked_at = cache("proc_inode_cache").zip(cache("dentry"));
    let lookers: u64 =
        looked_at.map_or(0, |((count, inode), (_, name)): ((u64, u64), (u64, u64))| count * (inode + name));
    Some(field("/proc/meminfo", "Slab:")?.saturating_sub(lookers))
}

/// A line such as `Slab:  119540 kB`, in bytes.
fn field(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let kilobytes: u64 =
        text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}
