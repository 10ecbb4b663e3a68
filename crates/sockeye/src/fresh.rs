//! What new values of a play are made of: a seed and the time, which the transcript crate reads nowhere.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use transcript::{Clock, Fresh};

/// The seed of this process where none is asked for. It is short, so that it can be typed.
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()) >> 40);

/// New values from a seed, and at a time; without them from one that differs from process to process, and by the clock of
/// this machine.
#[must_use]
pub fn fresh(seed: Option<u64>, at: Option<Duration>) -> Fresh {
    let running = || Clock::Running(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default());
    Fresh { seed: seed.unwrap_or_else(|| *SEED), clock: at.map_or_else(running, Clock::Still) }
}
