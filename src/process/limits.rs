//! How many descriptors this process may hold.

/// Raises the soft limit on descriptors to the hard one and returns what is
/// allowed then; `None` where the system sets no limit or does not tell.
#[cfg(unix)]
pub fn raise_descriptor_limit() -> Option<usize> {
    use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let allowed = match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(error) => {
            log::warn!("cannot raise the descriptor limit from {soft} to {hard}: {error}");
            soft
        }
    };
    (allowed != RLIM_INFINITY).then(|| usize::try_from(allowed).unwrap_or(usize::MAX))
}

/// There is no such limit here.
#[cfg(not(unix))]
pub fn raise_descriptor_limit() -> Option<usize> {
    None
}
