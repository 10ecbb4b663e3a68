//! Bytes over a connected socket for a thread that has nothing else to do until a deadline. Blocking or not, the socket stays as it
//! is.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::timespec;

/// A socket and the time until which it is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timed<'a> {
    pub(crate) socket: BorrowedFd<'a>,
    pub(crate) until: Instant,
}

/// Why nothing was moved.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TimedError {
    /// The time is over.
    TimedOut,
    /// The socket says so.
    Socket(Errno),
}

impl Timed<'_> {
    /// Sends all of it.
    pub(crate) fn send(&self, mut bytes: &[u8]) -> Result<(), TimedError> {
        while !bytes.is_empty() {
            match send(self.socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(length) => bytes = &bytes[length..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT)?,
                Err(error) => return Err(TimedError::Socket(error)),
            }
        }
        Ok(())
    }

    /// Receives what is there, at least one byte; 0 at the end.
    pub(crate) fn receive(&self, into: &mut [u8], flags: RecvFlags) -> Result<usize, TimedError> {
        loop {
            match recv(self.socket, &mut *into, flags | RecvFlags::DONTWAIT) {
                Ok((_, length)) => return Ok(length),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::IN)?,
                Err(error) => return Err(TimedError::Socket(error)),
            }
        }
    }

    /// Waits until the socket is ready.
    pub(crate) fn wait(&self, interest: PollFlags) -> Result<(), TimedError> {
        loop {
            // What is ready is taken even at the deadline.
            let left = self.until.saturating_duration_since(Instant::now());
            match poll(&mut [PollFd::from_borrowed_fd(self.socket, interest)], Some(&timespec(left))) {
                Ok(0) if left.is_zero() => return Err(TimedError::TimedOut),
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(TimedError::Socket(error)),
            }
        }
    }
}
