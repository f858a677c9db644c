//! One core for both ends of a pair.
//!
//! A pair on two cores is mostly a measure of how long a sleeping core takes to wake, and the system places it now on
//! one, now on two.

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
