//! What only the program itself may do: looking at its standard streams before `main`. A library must not, for it would run
//! in the programs of others.
#![allow(unsafe_code, reason = "the runtime hides what is looked for, so it is asked before the runtime begins")]

use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

/// Which standard streams were closed when the program began.
///
/// Rust's runtime opens /dev/null in their place before `main`, so that no socket ever lands on one of them; that also
/// hides that our parent process wanted no output. So it is looked up before the runtime begins.
pub(crate) fn closed_standard_streams() -> StandardStreams {
    StandardStreams { closed: CLOSED.load(Ordering::Relaxed) }
}

/// The standard streams that were closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StandardStreams {
    /// A bit for each descriptor.
    closed: u8,
}

impl StandardStreams {
    /// Standard input was closed: that there is nothing in it says nothing.
    pub(crate) fn stdin_is_missing(&self) -> bool {
        self.closed & 1 != 0
    }

    /// Standard output was closed: what is written there is lost, which is an error for the code that asked for it.
    pub(crate) fn stdout_is_missing(&self) -> bool {
        self.closed & 2 != 0
    }

    /// Closes them again, for a program whose sockets are known to get these numbers.
    pub(crate) fn close_again(&self) {
        for number in (0..3).filter(|number| self.closed & (1 << number) != 0) {
            // SAFETY: the runtime opened /dev/null there and holds nothing that closes it; reading and writing the standard
            // streams goes to whatever has the number then, as it does in a program in C.
            let _ = unsafe { libc::close(number) };
        }
    }
}

/// A file that may not grow further is an error of write(2), and not the end of this process with all that are inside (SIGXFSZ,
/// setrlimit(2)).
pub(crate) fn outlive_file_limits() {
    // SAFETY: to ignore a signal runs no code of ours.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
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

/// Whether the name stands for standard output.
pub(crate) fn is_stdout(path: &Path) -> bool {
    const STDOUT: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
    STDOUT.iter().any(|name| path.as_os_str() == *name)
}
