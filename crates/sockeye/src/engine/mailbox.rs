//! Letters for a loop from others, and what wakes it: an eventfd(2) that its poller watches.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

/// How often a loop is woken that the system does not wake.
const ATTEMPTS: usize = 20;

pub(super) struct Mailbox<Message> {
    mail: Mutex<Vec<Message>>,
    waker: OwnedFd,
}

impl<Message> Mailbox<Message> {
    /// # Errors
    /// As eventfd(2).
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { mail: Mutex::default(), waker: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// Leaves a message; who has left enough of them wakes the loop.
    pub(super) fn write(&self, message: Message) {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }

    /// The messages that have come. More may come meanwhile, so the waker is reset first.
    pub(super) fn take(&self) -> Vec<Message> {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.waker, &mut count);
        std::mem::take(&mut *self.mail.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Wakes the loop. One that is not woken would leave a client waiting for ever.
    pub(super) fn wake(&self) {
        for _ in 0..ATTEMPTS {
            match rustix::io::write(&self.waker, &1_u64.to_ne_bytes()) {
                // It was woken more often than it can count.
                Ok(_) | Err(Errno::AGAIN) => return,
                Err(_) => {}
            }
        }
    }
}

impl<Message> AsFd for Mailbox<Message> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }
}
