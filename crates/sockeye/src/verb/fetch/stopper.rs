//! Ends bodies that are being taken, from another thread.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::net::{Shutdown, shutdown};

/// Connections over which parts of one body come: when one fails, the others are of no use.
#[derive(Debug, Default)]
pub struct Stopper(Mutex<Stopped>);

#[derive(Debug, Default)]
struct Stopped {
    is_stopped: bool,
    sockets: Vec<OwnedFd>,
}

impl Stopper {
    /// Ends them all, also those that come later. Reading from one finds its end.
    pub fn stop(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.is_stopped = true;
        for socket in all.sockets.drain(..) {
            let _ = shutdown(&socket, Shutdown::Both);
        }
    }

    pub(super) fn add(&self, socket: impl AsFd) {
        let Ok(own) = socket.as_fd().try_clone_to_owned() else { return };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.is_stopped {
            let _ = shutdown(&own, Shutdown::Both);
        } else {
            all.sockets.push(own);
        }
    }
}
