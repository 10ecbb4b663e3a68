//! How much memory a connection holds, and since when: where all of them hold too much, the one that waited longest goes first.

use transcript::Moment;

use super::reactor::token::Key;

/// What one holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// Bytes of its buffers that were counted.
    pub(super) bytes: usize,
    /// Since when it holds some that wait.
    since: Moment,
}

impl Held {
    pub(super) fn new(now: Moment) -> Self {
        Self { bytes: 0, since: now }
    }

    /// Counts it anew, in the sum of all too.
    pub(super) fn count(&mut self, bytes: usize, now: Moment, all: &mut usize) {
        if bytes == self.bytes {
            return;
        }
        if self.bytes == 0 || bytes < self.bytes {
            // It went on: what waits now waits from here.
            self.since = now;
        }
        *all = *all + bytes - self.bytes;
        self.bytes = bytes;
    }
}

/// Those that hold something, and since when, the one that waited longest first.
pub(super) fn longest_first(all: impl Iterator<Item = (Key, Held)>) -> std::vec::IntoIter<(Moment, Key)> {
    let holding = all.filter(|(_, held)| held.bytes > 0);
    let mut waiting: Vec<(Moment, Key)> = holding.map(|(key, held)| (held.since, key)).collect();
    waiting.sort_unstable();
    waiting.into_iter()
}
