//! How a running server is told to stop, or to read its transcripts again: a pipe, so that a signal handler may write to
//! it and the loop may wait for it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};

/// The end that asks. To stop, the first byte asks to drain, the second to end at once.
#[derive(Debug)]
pub struct Stopper(OwnedFd);

/// The end that the server waits on.
#[derive(Debug)]
pub struct Stop(OwnedFd);

/// A new pair.
///
/// # Errors
/// As pipe(2): no descriptors left.
pub fn channel() -> io::Result<(Stopper, Stop)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    Ok((Stopper(writer), Stop(reader)))
}

impl Stopper {
    /// Asks once. A full pipe means that it was asked often enough.
    pub fn stop(&self) {
        let _ = rustix::io::write(&self.0, &[1]);
    }

    /// Another handle to the same server.
    ///
    /// # Errors
    /// As dup(2).
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }
}

impl From<Stopper> for OwnedFd {
    fn from(stopper: Stopper) -> Self {
        stopper.0
    }
}

impl Stop {
    /// How many times it was asked since the last look.
    pub(crate) fn asked(&self) -> usize {
        let mut bytes = [0; 16];
        rustix::io::read(&self.0, &mut bytes).unwrap_or(0)
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
