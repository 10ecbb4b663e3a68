//! This process's descriptors: how many there may be, and what is read of a file.

use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;
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

/// Reads at a place of a file onto the end of the buffer (pread(2)), at most so many bytes; how many. Room for them is not
/// zeroed before, which would cost as much as a copy.
pub(crate) fn read_onto(file: impl AsFd, from: u64, most: usize, into: &mut Vec<u8>) -> Result<usize, Errno> {
    into.reserve(most);
    let (read, _) = rustix::io::pread(file, &mut into.spare_capacity_mut()[..most], from)?;
    let length = read.len();
    // SAFETY: the kernel wrote so many bytes behind what the buffer held, within its capacity.
    unsafe { into.set_len(into.len() + length) };
    Ok(length)
}
