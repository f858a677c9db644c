//! One core for both ends.
//!
//! The system places them now on one core, now on two. On two, a row with few connections is mostly a measure of how long
//! a sleeping core takes to wake, and one with many of what the other core takes from a cache that they share.

/// Does this, and what it starts, on one core, where the system can be told so.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn on_one_core<T>(work: impl FnOnce() -> T) -> T {
    use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
    use nix::unistd::Pid;

    let this_thread = Pid::from_raw(0);
    let all = sched_getaffinity(this_thread).ok();
    let mut one = CpuSet::new();
    if let Ok(core) = sched_getcpu()
        && one.set(core).is_ok()
    {
        // Where it is forbidden, the figures are noisier.
        let _ = sched_setaffinity(this_thread, &one);
    }
    let done = work();
    if let Some(all) = all {
        let _ = sched_setaffinity(this_thread, &all);
    }
    done
}

/// Not here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn on_one_core<T>(work: impl FnOnce() -> T) -> T {
    work()
}
