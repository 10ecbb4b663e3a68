//! When something is asked for again, and how long after.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::error::TransferError;

/// When something is asked for again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retry {
    /// How often, at most.
    pub times: u32,
    /// After every failure, and not only after those that may pass and where asking twice does no harm.
    pub all: bool,
}

impl Retry {
    /// So often, where it does no harm.
    #[must_use]
    pub fn times(times: u32) -> Self {
        Self { times, all: false }
    }

    /// Whether another try may help: some failures stay what they are, whatever is asked for.
    pub(super) fn may_help(self, error: &TransferError) -> bool {
        error.is_transient || (self.all && !error.is_given && !error.is_permanent())
    }
}

/// How long to wait before an attempt, the first of them being 1: twice as long each time, and not as long as other
/// clients that met the same failure.
pub(super) fn pause(attempt: u32) -> Duration {
    let base = LEAST_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    let share = RandomState::new().hash_one(attempt) % 1024;
    base + base.mul_f64(share as f64 / 2048.0)
}

const LEAST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_are_no_two_alike() {
        for (attempt, least) in [(1, 500), (2, 1000), (3, 2000), (8, 60_000), (40, 60_000)] {
            let least = Duration::from_millis(least);
            let pauses: Vec<Duration> = (0..64).map(|_| pause(attempt)).collect();
            assert!(
                pauses.iter().all(|pause| *pause >= least && *pause <= least.mul_f64(1.5)),
                "{attempt}: {pauses:?}"
            );
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{attempt}");
        }
    }
}
