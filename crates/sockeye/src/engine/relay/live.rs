//! Faults of a relay that change while it runs: a change returns once every connection has them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::super::mailbox::Mailbox;
use crate::faults::LiveFault;
use crate::limits;

/// The faults of one relay, which one thread runs.
pub(crate) struct Live {
    state: Mutex<State>,
    is_known: Condvar,
    mail: Mailbox<()>,
}

#[derive(Default)]
struct State {
    faults: Arc<[LiveFault]>,
    /// How often they were changed, and which of these changes all connections have.
    changes: u64,
    known: u64,
    /// The loop has ended, and looks no more.
    is_over: bool,
}

impl Live {
    /// # Errors
    /// No descriptor is left.
    pub(crate) fn new(faults: Vec<LiveFault>) -> io::Result<Self> {
        let state = State { faults: faults.into(), ..State::default() };
        Ok(Self { state: Mutex::new(state), is_known: Condvar::new(), mail: Mailbox::new()? })
    }

    /// These faults from now on; returns when every connection has them.
    pub(crate) fn set(&self, faults: Vec<LiveFault>) {
        let mut state = self.state();
        state.faults = faults.into();
        state.changes += 1;
        let change = state.changes;
        self.mail.wake();
        let is_waiting = |state: &mut State| state.known < change && !state.is_over;
        let _ = self.is_known.wait_timeout_while(state, limits::CONTROL_WAIT, is_waiting);
    }

    /// The faults, and which change that is.
    pub(super) fn look(&self) -> (Arc<[LiveFault]>, u64) {
        let state = self.state();
        (Arc::clone(&state.faults), state.changes)
    }

    /// Resets what wakes the loop.
    pub(super) fn hear(&self) {
        self.mail.take();
    }

    /// Every connection has a change.
    pub(super) fn is_known(&self, change: u64) {
        self.state().known = change;
        self.is_known.notify_all();
    }

    /// The relay has ended.
    pub(super) fn end(&self) {
        self.state().is_over = true;
        self.is_known.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Live {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mail.as_fd()
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("faults", &self.state().faults).finish_non_exhaustive()
    }
}
