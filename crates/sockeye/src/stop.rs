//! How a running server is told to stop, or to read its transcripts again: a pair of sockets, so that a signal handler may write to
//! it and the loop may wait for it.
//!
//! ```
//! use sockeye::stop;
//! use sockeye::verb::serve::{ServeOptions, Server};
//!
//! let options = ServeOptions { addresses: vec![sockeye::address::Address::parse("tcp://127.0.0.1:0")?], ..ServeOptions::default() };
//! let server = Server::bind(&options)?;
//! let (stopper, stop) = stop::channel()?;
//! let thread = std::thread::spawn(move || server.run(stop, None, Box::new(|_| {})));
//! stopper.stop();
//! let summary = thread.join().expect("it does not panic")?;
//! assert_eq!(summary.opened, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

pub use crate::sys::signal::is_ignored;

/// How often a byte is written that is not taken.
const ATTEMPTS: usize = 20;

/// The end that asks. To stop, the first byte asks to drain, the second to end at once. Where it is dropped with all its clones
/// and nothing was asked, the server goes on.
#[derive(Debug)]
pub struct Stopper(OwnedFd);

/// The end that the server waits on.
#[derive(Debug)]
pub struct Stop(OwnedFd);

/// Two ends for a signal handler to write to and a thread to read from. Sockets, because the handler asks by a call that may fail
/// which kind they are, and both of its ways to write work with these.
///
/// # Errors
/// As socketpair(2).
pub fn signal_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// A new pair.
///
/// # Errors
/// As socketpair(2): no descriptors left.
pub fn channel() -> io::Result<(Stopper, Stop)> {
    let (reader, writer) = signal_pair()?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    rustix::io::ioctl_fionbio(&writer, true)?;
    Ok((Stopper(writer), Stop(reader)))
}

impl Stopper {
    /// Asks once. One that is full was asked often enough; on anything else the other side would wait for ever.
    pub fn stop(&self) {
        for _ in 0..ATTEMPTS {
            if send(&self.0, &[1], SendFlags::NOSIGNAL).is_ok() {
                return;
            }
        }
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
    /// How many times it was asked since the last look. `None` if every stopper was dropped: then poll(2) reports the hang-up at
    /// once each time, and it is to be watched no more.
    pub(crate) fn asked(&self) -> Option<usize> {
        match rustix::io::read(&self.0, &mut [0; 16]) {
            Ok(0) => None,
            Ok(asked) => Some(asked),
            Err(_) => Some(0),
        }
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
