//! How far bodies have come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far a body has come, to be read from any thread.
#[derive(Debug, Default)]
pub struct Progress {
    /// What had come in an earlier run.
    already: AtomicU64,
    received: AtomicU64,
    promised: AtomicU64,
}

impl Progress {
    /// Bytes of the body that came, as they were sent.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.already.load(Ordering::Relaxed) + self.received.load(Ordering::Relaxed)
    }

    /// Bytes that were promised, if they were.
    #[must_use]
    pub fn promised(&self) -> Option<u64> {
        // Stored with one more, so that none is 0.
        let promised = self.promised.load(Ordering::Relaxed).checked_sub(1)?;
        Some(promised.saturating_add(self.already.load(Ordering::Relaxed)))
    }

    pub(super) fn promise(&self, already: u64, length: Option<u64>) {
        self.already.store(already, Ordering::Relaxed);
        self.promised.store(length.map_or(0, |length| length.saturating_add(1)), Ordering::Relaxed);
    }

    pub(super) fn set(&self, received: u64) {
        self.received.store(received, Ordering::Relaxed);
    }

    /// What has come of all that have begun, and how much they were promised, if each was.
    pub fn sum<'a>(all: impl IntoIterator<Item = &'a Arc<Self>>) -> (u64, Option<u64>) {
        let begun = all.into_iter().filter(|one| one.received() > 0 || one.promised().is_some());
        begun.fold((0, Some(0)), |(received, promised), one| {
            // A server may promise more than numbers hold.
            let more = promised.zip(one.promised()).map(|(sum, more): (u64, u64)| sum.saturating_add(more));
            (received + one.received(), more)
        })
    }
}
