//! The way out to one of the many peers of a datagram socket, for a conversation that is no play: what is said goes through
//! the socket of the server, as far as its guard lets it.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use transcript::Moment;

use super::answers::Pair;
use super::guard::{Guard, Withheld};
use crate::sys::datagrams::{Outbox, UnixPeers};

/// What all conversations of a datagram socket share.
#[derive(Debug)]
pub(super) struct Outlet {
    socket: OwnedFd,
    guard: Mutex<Guard>,
    /// Where the peers of a Unix socket are.
    unix: Option<Arc<UnixPeers>>,
    withheld: Mutex<HashMap<Withheld, u64>>,
}

/// One peer, as a conversation sees it.
#[derive(Debug)]
pub(super) struct OnePeer {
    outlet: Arc<Outlet>,
    pub(super) pair: Pair,
    /// The server, by its place in the loop.
    pub(super) server: usize,
    /// Bytes that came since something was said.
    credit: u64,
    /// When to send again what the system had no room for.
    pub(super) again: Option<Moment>,
}

/// Why a datagram was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The system has no room now.
    Full,
    /// The guard keeps it back, which is counted.
    Withheld,
    /// The system does not send it.
    Refused(Errno),
}

impl Outlet {
    pub(super) fn new(socket: OwnedFd, guard: Guard, unix: Option<Arc<UnixPeers>>) -> Self {
        Self { socket, guard: Mutex::new(guard), unix, withheld: Mutex::default() }
    }

    /// What was kept back since the last look.
    pub(super) fn take_withheld(&self) -> HashMap<Withheld, u64> {
        std::mem::take(&mut *self.withheld.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl OnePeer {
    pub(super) fn new(outlet: &Arc<Outlet>, pair: Pair, server: usize) -> Self {
        Self { outlet: Arc::clone(outlet), pair, server, credit: 0, again: None }
    }

    /// So many bytes came from it.
    pub(super) fn came(&mut self, bytes: usize) {
        self.credit = self.credit.saturating_add(bytes as u64);
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// It was not sent.
    pub(super) fn send(&mut self, payload: &[u8], now: Moment) -> Result<(), Unsent> {
        // What waited was let out before.
        if self.again.is_none()
            && let Some(ip) = self.pair.0.ip()
        {
            let mut guard = self.outlet.guard.lock().unwrap_or_else(PoisonError::into_inner);
            let credit = std::mem::take(&mut self.credit);
            if let Err(withheld) = guard.answer(ip, credit, payload.len() as u64, now) {
                let mut counts = self.outlet.withheld.lock().unwrap_or_else(PoisonError::into_inner);
                *counts.entry(withheld).or_default() += 1;
                return Err(Unsent::Withheld);
            }
        }
        self.again = None;
        let (mut outbox, mut refused) = (Outbox::to_unix(self.outlet.unix.clone()), Vec::new());
        outbox.push(payload, self.pair.0, self.pair.1);
        outbox.send(&self.outlet.socket, &mut refused);
        if !outbox.is_empty() {
            // The channel that says it keeps it.
            outbox.give_up(u64::MAX, &mut refused);
            return Err(Unsent::Full);
        }
        refused.first().map_or(Ok(()), |refused| Err(Unsent::Refused(refused.error)))
    }
}
