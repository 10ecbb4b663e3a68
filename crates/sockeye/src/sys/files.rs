//! This process's descriptors: the standard streams, and how many there may be.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::process::{Resource, Rlimit, setrlimit};

/// Which standard streams were closed when the program began.
///
/// Rust's runtime opens /dev/null in their place before `main`, so that no socket ever lands on one of them; that also
/// hides that whoever started us wanted no output. So it is looked up before the runtime begins.
#[must_use]
pub fn closed_standard_streams() -> StandardStreams {
    StandardStreams { closed: CLOSED.load(Ordering::Relaxed) }
}

/// The standard streams that were closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StandardStreams {
    /// A bit for each descriptor.
    closed: u8,
}

impl StandardStreams {
    /// Standard input was closed: that there is nothing in it says nothing.
    #[must_use]
    pub fn stdin_is_missing(&self) -> bool {
        self.closed & 1 != 0
    }

    /// Standard output was closed: what is written there is lost, which is an error to whoever asked for it.
    #[must_use]
    pub fn stdout_is_missing(&self) -> bool {
        self.closed & 2 != 0
    }

    /// Closes them again, for a program whose sockets are known to get these numbers.
    pub fn close_again(&self) {
        for number in (0..3).filter(|number| self.closed & (1 << number) != 0) {
            // SAFETY: the runtime opened /dev/null there and holds nothing that closes it; reading and writing the standard
            // streams goes to whatever has the number then, as it does in a program in C.
            let _ = unsafe { libc::close(number) };
        }
    }
}

static CLOSED: AtomicU8 = AtomicU8::new(0);

extern "C" fn look_at_standard_streams() {
    for number in 0..3 {
        // SAFETY: F_GETFD takes no further argument, reads a flag, and touches no memory of ours.
        if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
            CLOSED.fetch_or(1 << number, Ordering::Relaxed);
        }
    }
}

// SAFETY: functions in .init_array run once before main, on the only thread (System V ABI, "Initialization and
// Termination Functions"). This one needs nothing of Rust's runtime: it calls fcntl(2) and stores into an atomic.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = look_at_standard_streams;

/// Raises the limit of open files to the hard one, which costs nothing and needs no rights.
pub fn raise_open_files() {
    if let Ok(limit) = limit(libc::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

/// The limit of open files.
#[must_use]
pub fn open_files() -> u64 {
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
