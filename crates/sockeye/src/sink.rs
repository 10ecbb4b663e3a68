//! Where bytes that came from a peer go.
//!
//! ```
//! use std::os::fd::AsFd;
//! use sockeye::sink::{Sink, write_all};
//!
//! let mut file = tempfile::tempfile()?;
//! write_all(file.as_fd(), b"whole, whatever the descriptor takes at once")?;
//! let sink = Sink::Writer(&mut file);
//! # drop(sink);
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fmt;
use std::io::{self, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use rustix::pipe::PIPE_BUF;
use rustix::termios::isatty;

/// Where what the peer sends goes.
pub enum Sink<'a> {
    /// A descriptor: bytes go there as they are.
    Descriptor(BorrowedFd<'a>),
    /// A writer, as a terminal's that makes bytes harmless.
    Writer(&'a mut (dyn Write + Send)),
}

/// What writes to a terminal so that it obeys nothing that a peer says.
pub type Harmless = fn(OwnedFd) -> Box<dyn Write + Send>;

static HARMLESS: OnceLock<Harmless> = OnceLock::new();

/// Says how bytes of a peer are written that go to a terminal because an address is `stdio`; without it as they are. Once,
/// by the code that prints for this process.
pub fn on_terminals(harmless: Harmless) {
    let _ = HARMLESS.set(harmless);
}

/// A writer for a descriptor that a peer's bytes go to.
pub(crate) fn harmless(output: OwnedFd) -> Result<Box<dyn Write + Send>, OwnedFd> {
    match HARMLESS.get() {
        Some(harmless) if isatty(&output) => Ok(harmless(output)),
        _ => Err(output),
    }
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
        self.write_until(bytes, None)
    }

    /// As [`write_until`]; a writer is not hurried.
    pub(crate) fn write_until(&mut self, bytes: &[u8], until: Option<Instant>) -> io::Result<()> {
        match self {
            Self::Writer(writer) => {
                writer.write_all(bytes)?;
                writer.flush()
            }
            Self::Descriptor(fd) => write_until(*fd, bytes, until),
        }
    }
}

/// Writes everything to a descriptor, also to one that another process made nonblocking.
///
/// # Errors
/// As write(2).
pub fn write_all(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    write_until(fd, bytes, None)
}

/// Writes everything, unless that is not done at a time: its reader takes nothing. A file is not hurried: a
/// disk is only slow.
///
/// # Errors
/// As write(2); `TimedOut` when the time has come.
pub fn write_until(fd: BorrowedFd<'_>, bytes: &[u8], until: Option<Instant>) -> io::Result<()> {
    let until = until.filter(|_| may_block(fd));
    // With a time no write may wait: this much is taken at once by a pipe that poll(2) calls writable (pipe(7)).
    for mut piece in bytes.chunks(if until.is_some() { PIPE_BUF } else { usize::MAX }) {
        if until.is_some() {
            wait_for_room(fd, until)?;
        }
        while !piece.is_empty() {
            match rustix::io::write(fd, piece) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => piece = &piece[length..],
                Err(Errno::INTR) => {}
                // Another process made it nonblocking: wait as if it had not.
                Err(Errno::AGAIN) => wait_for_room(fd, until)?,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Whether its reader decides when it takes more.
fn may_block(fd: BorrowedFd<'_>) -> bool {
    fstat(fd).is_ok_and(|found| !FileType::from_raw_mode(found.st_mode).is_file())
}

/// Waits until a descriptor has room or is broken.
///
/// # Errors
/// `TimedOut` when the time has come; as poll(2), when it fails again and again.
pub(crate) fn wait_for_room(fd: BorrowedFd<'_>, until: Option<Instant>) -> io::Result<()> {
    let mut attempts = 0..4;
    loop {
        let time = until.and_then(|at| Timespec::try_from(at.saturating_duration_since(Instant::now())).ok());
        match poll(&mut [PollFd::new(&fd, PollFlags::OUT)], time.as_ref()) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            // A kernel without memory for a moment is no reason to lose what was to be written.
            Err(error) if attempts.next().is_none() => return Err(error.into()),
            Err(_) => {}
        }
    }
}
