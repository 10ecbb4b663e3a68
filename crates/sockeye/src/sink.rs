//! Where bytes that came from a peer go.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::time::Instant;

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
    pub(crate) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Writer(writer) => {
                writer.write_all(bytes)?;
                writer.flush()
            }
            Self::Descriptor(fd) => {
                while !bytes.is_empty() {
                    match rustix::io::write(*fd, bytes) {
                        Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                        Ok(length) => bytes = &bytes[length..],
                        Err(rustix::io::Errno::INTR) => {}
                        // Somebody else made it nonblocking: wait as if they had not.
                        Err(rustix::io::Errno::AGAIN) => wait_for_room(*fd, None)?,
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(())
            }
        }
    }
}

/// Waits until a descriptor that somebody made nonblocking has room, or until this time.
pub(crate) fn wait_for_room(fd: BorrowedFd<'_>, until: Option<Instant>) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    let time = until.map(|at| timespec(at.saturating_duration_since(Instant::now())));
    match poll(&mut [PollFd::new(&fd, PollFlags::OUT)], time.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
