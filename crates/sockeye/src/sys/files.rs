//! This process's descriptors: the standard streams, and how many there may be.

use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, IntoRawFd};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Sees to it that descriptors 0, 1 and 2 are open, so that no socket ever lands on one of them and is written to as
/// if it were a terminal. Whether one was closed before is told by [`StandardStreams`].
#[must_use]
pub fn occupy_standard_streams() -> StandardStreams {
    let mut missing = [false; 3];
    loop {
        // Opening gives the lowest free number.
        match OpenOptions::new().read(true).write(true).open("/dev/null") {
            Ok(file) if file.as_raw_fd() <= 2 => {
                let number = file.into_raw_fd();
                missing[usize::try_from(number).unwrap_or(0)] = true;
            }
            _ => return StandardStreams { missing },
        }
    }
}

/// Which standard streams were closed when the program began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StandardStreams {
    missing: [bool; 3],
}

impl StandardStreams {
    /// Standard output was closed: what is written there is lost, which is an error to whoever asked for it.
    #[must_use]
    pub fn stdout_is_missing(&self) -> bool {
        self.missing[1]
    }
}

/// Raises the limit of open files to the hard one, which costs nothing and needs no rights.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// The limit of open files.
#[must_use]
pub fn open_files() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
