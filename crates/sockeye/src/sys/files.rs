//! This process's descriptors: how many there may be.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Raises the limit of open files to the hard one, which costs nothing and needs no rights.
pub fn raise_open_files() {
    if let Ok(limit) = limit(libc::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

/// The limit of open files.
#[must_use]
pub(crate) fn open_files() -> u64 {
    // What a sandbox that hides the limit can be expected to allow is what a plain shell has.
    limit(libc::RLIMIT_NOFILE).map_or(1024, |limit| limit.current.unwrap_or(u64::MAX))
}

/// As getrlimit(2); rustix takes for granted that it succeeds, which a seccomp filter may see otherwise.
pub(super) fn limit(resource: libc::__rlimit_resource_t) -> io::Result<Rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one `rlimit`, which is ours, and keeps no pointer to it.
    if unsafe { libc::getrlimit(resource, &raw mut limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let known = |value| (value != libc::RLIM_INFINITY).then_some(value);
    Ok(Rlimit { current: known(limit.rlim_cur), maximum: known(limit.rlim_max) })
}
