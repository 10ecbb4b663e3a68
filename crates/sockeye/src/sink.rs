//! Where bytes that came from a peer go.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use crate::net::connect::timespec;

/// Where what the peer sends goes.
pub enum Sink<'a> {
    /// A descriptor: bytes go there as they are.
    Descriptor(BorrowedFd<'a>),
    /// A writer, as a terminal's that makes bytes harmless.
    Writer(&'a mut (dyn Write + Send)),
}

impl fmt::Debug for Sink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Descriptor(_) => "Descriptor",
            Self::Writer(_) => "Writer",
        })
    }
}

impl Sink<'_> {
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all_until(bytes, None)
    }

    /// The same, and `TimedOut` where a pipe or device takes nothing more until then. A writer is not bounded.
    pub(crate) fn write_all_until(&mut self, mut bytes: &[u8], until: Option<Instant>) -> io::Result<()> {
        match self {
            Self::Writer(writer) => {
                writer.write_all(bytes)?;
                writer.flush()
            }
            Self::Descriptor(fd) => {
                let until = until.filter(|_| may_block(*fd));
                while !bytes.is_empty() {
                    let mut most = bytes.len();
                    if until.is_some() {
                        has_room(*fd, until)?;
                        // What a pipe that has room takes without blocking (pipe(7)).
                        most = most.min(rustix::pipe::PIPE_BUF);
                    }
                    match rustix::io::write(*fd, &bytes[..most]) {
                        Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                        Ok(length) => bytes = &bytes[length..],
                        Err(rustix::io::Errno::INTR) => {}
                        // Somebody else made it nonblocking: wait as if they had not.
                        Err(rustix::io::Errno::AGAIN) => has_room(*fd, until)?,
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(())
            }
        }
    }
}

/// Whether somebody else decides when it takes more; a disk is only slow.
fn may_block(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(fd).is_ok_and(|found| !rustix::fs::FileType::from_raw_mode(found.st_mode).is_file())
}

/// Waits until a descriptor that somebody made nonblocking has room, or until this time.
pub(crate) fn wait_for_room(fd: BorrowedFd<'_>, until: Option<Instant>) -> io::Result<()> {
    match has_room(fd, until) {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(()),
        other => other,
    }
}

/// Waits until a descriptor has room or is broken; `TimedOut` if neither is so until this time.
pub(crate) fn has_room(fd: BorrowedFd<'_>, until: Option<Instant>) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    loop {
        let left = until.map(|at| at.saturating_duration_since(Instant::now()));
        match poll(&mut [PollFd::new(&fd, PollFlags::OUT)], left.map(timespec).as_ref()) {
            Ok(0) if left == Some(Duration::ZERO) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
