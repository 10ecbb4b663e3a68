//! No faster than asked: a reader says how many bytes it took, and waits as long as they should have taken.

use std::time::{Duration, Instant};

use super::FetchError;
use super::deadlines::Deadlines;

/// A bound on bytes in a second, or none.
pub(super) struct RateLimit {
    rate: Option<u64>,
    began: Instant,
    taken: u64,
}

impl RateLimit {
    pub(super) fn new(rate: Option<u64>) -> Self {
        Self { rate: rate.filter(|&rate| rate > 0), began: Instant::now(), taken: 0 }
    }

    /// Most bytes that are to be taken at once: what comes in a tenth of a second.
    pub(super) fn most(&self, room: usize) -> usize {
        let tenth = self.rate.map_or(u64::MAX, |rate| (rate / 10).max(1));
        room.min(usize::try_from(tenth).unwrap_or(usize::MAX))
    }

    /// Waits until these bytes may have come; not longer than everything may take.
    pub(super) fn took(&mut self, bytes: u64, deadlines: Deadlines, received: u64) -> Result<(), FetchError> {
        let Some(rate) = self.rate else { return Ok(()) };
        self.taken += bytes;
        let due = self.began + Duration::from_secs_f64(self.taken as f64 / rate as f64);
        let until = deadlines.total.map_or(due, |(end, _)| due.min(end));
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        if until < due { Err(deadlines.timed_out("not done", received)) } else { Ok(()) }
    }
}
