//! A server's addresses where a name leads to it: a loop that connects takes them as they are, and a thread looks the name up again.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The addresses of one server, as a loop that connects has them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Addresses(Option<Arc<[SocketAddr]>>);

impl Addresses {
    /// Those of a server that has none, for it is a path or a program.
    pub(super) fn none_needed() -> Self {
        Self(None)
    }

    pub(super) fn of(addresses: &Arc<[SocketAddr]>) -> Self {
        Self(Some(Arc::clone(addresses)))
    }

    /// How many ways there are.
    pub(super) fn count(&self) -> usize {
        self.0.as_ref().map_or(1, |addresses| addresses.len())
    }

    pub(super) fn get(&self, index: usize) -> Option<SocketAddr> {
        self.0.as_ref()?.get(index).copied()
    }
}

/// Where a name leads.
#[derive(Debug)]
pub(crate) struct Named {
    current: Mutex<Arc<[SocketAddr]>>,
    /// Counts the changes.
    version: AtomicU64,
    has_failed: AtomicBool,
    bell: Arc<Bell>,
}

impl Named {
    /// A name that leads there; to nothing while it is not known.
    pub(crate) fn new(addresses: Vec<SocketAddr>, bell: &Arc<Bell>) -> Self {
        let (version, has_failed) = Default::default();
        Self { current: Mutex::new(addresses.into()), version, has_failed, bell: Arc::clone(bell) }
    }

    /// What wakes the thread that looks it up.
    pub(crate) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    fn current(&self) -> MutexGuard<'_, Arc<[SocketAddr]>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it leads now.
    pub(crate) fn addresses(&self) -> Arc<[SocketAddr]> {
        Arc::clone(&self.current())
    }

    /// It leads there from now on; whether that is another place.
    pub(crate) fn lead_to(&self, addresses: &[SocketAddr]) -> bool {
        let mut current = self.current();
        // A resolver that gives the same in another order has each have its turn: that is what TO several times is for.
        let is_same = current.len() == addresses.len() && addresses.iter().all(|address| current.contains(address));
        if !is_same {
            *current = addresses.into();
            self.version.fetch_add(1, Ordering::Release);
        }
        !is_same
    }

    /// How often it has changed.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// None of its addresses answers: it may lead elsewhere by now.
    pub(crate) fn failed(&self) {
        self.has_failed.store(true, Ordering::Release);
        self.bell.ring();
    }

    /// Whether that was so since it was last asked.
    pub(crate) fn take_failure(&self) -> bool {
        self.has_failed.swap(false, Ordering::AcqRel)
    }
}

/// Wakes the thread that looks names up.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    state: Mutex<BellState>,
    rung: Condvar,
}

#[derive(Debug, Default)]
struct BellState {
    is_rung: bool,
    is_over: bool,
}

impl Bell {
    fn state(&self) -> MutexGuard<'_, BellState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        self.state().is_rung = true;
        self.rung.notify_all();
    }

    /// No name is looked up any more.
    pub(crate) fn end(&self) {
        self.state().is_over = true;
        self.rung.notify_all();
    }

    /// Waits until it rings, or until then; false if all is over.
    pub(crate) fn wait(&self, until: Option<Instant>) -> bool {
        let mut state = self.state();
        loop {
            if state.is_over {
                return false;
            }
            if std::mem::take(&mut state.is_rung) {
                return true;
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            state = match left {
                Some(left) if left.is_zero() => return true,
                Some(left) => self.rung.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.rung.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}
