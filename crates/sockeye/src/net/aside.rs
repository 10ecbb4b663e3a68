//! A connection that a thread of its own makes, for it takes several steps that wait: a way through a proxy, attempts that are made
//! again. One descriptor tells that it is done.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};

use super::attempt::{ConnectError, ConnectOptions};
use super::connect::connect_within;
use super::connected::Connected;
use crate::address::Address;
use crate::endpoint::Protocol;

/// One that is being made. If it is dropped, so is what comes of it.
#[derive(Debug)]
pub(super) struct Aside {
    /// Can be read once it is done.
    ready: Arc<OwnedFd>,
    outcome: Receiver<Result<Connected, ConnectError>>,
}

impl Aside {
    /// Begins.
    ///
    /// # Errors
    /// No descriptor, or no thread.
    pub(super) fn begin(
        address: Address,
        protocol: Protocol,
        options: ConnectOptions,
        retry: Option<Duration>,
    ) -> io::Result<Self> {
        let ready = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (sender, outcome) = sync_channel(1);
        let done = Arc::clone(&ready);
        let make = move || {
            let _ = sender.send(connect_within(&address, protocol, &options, retry));
            let _ = rustix::io::write(&*done, &1_u64.to_ne_bytes());
        };
        std::thread::Builder::new().name("connect".to_owned()).spawn(make)?;
        Ok(Self { ready, outcome })
    }

    /// What came of it, once that is known.
    pub(super) fn outcome(&self) -> Option<io::Result<Result<Connected, ConnectError>>> {
        match self.outcome.try_recv() {
            Ok(outcome) => Some(Ok(outcome)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(io::Error::other("the thread that connects is gone"))),
        }
    }
}

impl AsFd for Aside {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}
