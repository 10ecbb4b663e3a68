//! A datagram socket that many peers send to, as connections: each peer gets a pair of sockets of its own, one end of which
//! the listener accepts as a client. A thread moves messages between the pairs and the socket, one by one. So what is
//! made for connections serves datagrams too: a connection begins with the first message of a peer, and ends when the peer
//! is silent for long or the caller that accepted it has closed it.

mod flows;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use crate::endpoint::{Endpoint, Name};
use crate::limits;
use crate::sys::files::open_files;

/// How long what peers have not taken is tried again once all is over.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Who comes in next, or what is to be told.
pub(crate) enum Next {
    /// A client: its socket, its name, and ours where the listener's says only "every one".
    Client(OwnedFd, Name, Option<Name>),
    /// So many messages are lost, and why.
    Lost(u64, String),
}

/// What was left at the end.
#[derive(Debug, Default)]
pub(crate) struct Undelivered {
    /// What is still to be told.
    pub(crate) told: Vec<(u64, String)>,
    /// Bytes that were said to peers and did not reach them.
    pub(crate) lost: u64,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// No new peer comes in; those inside go on.
    Closed,
    /// What was said goes out, and then all is over.
    Over,
}

/// What the thread and the caller that accepts share.
struct AcceptQueue {
    socket: OwnedFd,
    endpoint: Endpoint,
    queue: Mutex<VecDeque<Next>>,
    /// Rings once for each that stands in the queue.
    bell: OwnedFd,
    phase: AtomicU8,
    waker: OwnedFd,
    lost: AtomicU64,
    idle: Duration,
    most: usize,
}

impl AcceptQueue {
    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            0 => Phase::Open,
            1 => Phase::Closed,
            _ => Phase::Over,
        }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Next>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, next: Next) {
        self.queue().push_back(next);
        ring(&self.bell);
    }
}

fn ring(bell: &OwnedFd) {
    let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
}

/// The peers of one socket.
pub(crate) struct PerPeer {
    shared: Arc<AcceptQueue>,
    /// What is to run on the thread, until it does.
    flows: Option<Box<flows::Flows>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for PerPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerPeer").field("endpoint", &self.shared.endpoint).finish_non_exhaustive()
    }
}

impl PerPeer {
    /// Takes over a bound socket, and gives what is ready when a peer is to be accepted.
    ///
    /// # Errors
    /// No descriptor or thread is to be had.
    pub(crate) fn begin(socket: OwnedFd, endpoint: Endpoint, idle: Duration) -> Result<(Self, OwnedFd), Errno> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let bell = eventfd(0, flags | EventfdFlags::SEMAPHORE)?;
        let heard = rustix::io::fcntl_dupfd_cloexec(&bell, 0)?;
        let shared = Arc::new(AcceptQueue {
            socket,
            endpoint,
            queue: Mutex::default(),
            bell,
            phase: AtomicU8::new(0),
            waker: eventfd(0, flags)?,
            lost: AtomicU64::new(0),
            idle,
            // Each has the two ends of its pair, and its caller takes a socket or two more.
            most: (limits::connections(open_files()) / 5).clamp(1, limits::DATAGRAM_PEERS),
        });
        let flows = flows::Flows::new(Arc::clone(&shared))?;
        Ok((Self { shared, flows: Some(Box::new(flows)), thread: None }, heard))
    }

    /// Begins to move messages. A thread has the rights of the thread that starts it: those that are given up are given up before.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn start(&mut self) -> io::Result<()> {
        if let Some(flows) = self.flows.take() {
            let thread = std::thread::Builder::new().name("datagrams".to_owned());
            self.thread = Some(thread.spawn(move || flows.run())?);
        }
        Ok(())
    }

    /// The next peer, if there is one.
    pub(crate) fn next(&self) -> Option<Next> {
        let next = self.shared.queue().pop_front();
        if next.is_some() {
            let _ = rustix::io::read(&self.shared.bell, &mut [0; 8][..]);
        }
        next
    }

    /// No new peer comes in.
    pub(crate) fn close(&self) {
        self.advance(Phase::Closed);
    }

    fn advance(&self, phase: Phase) {
        self.shared.phase.fetch_max(phase as u8, Ordering::SeqCst);
        ring(&self.shared.waker);
    }

    /// The caller has closed the clients that it accepted: what was said to them goes out, and all is over.
    pub(crate) fn finish(&mut self) -> Undelivered {
        self.advance(Phase::Over);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let mut told = Vec::new();
        for next in self.shared.queue().drain(..) {
            if let Next::Lost(count, why) = next {
                told.push((count, why));
            }
        }
        Undelivered { told, lost: self.shared.lost.load(Ordering::SeqCst) }
    }
}

impl Drop for PerPeer {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

#[cfg(test)]
mod tests;
