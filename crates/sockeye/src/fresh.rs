//! What new values of a play are made of: a seed and the time, which the transcript crate reads nowhere.
//!
//! ```
//! use std::time::Duration;
//! use sockeye::fresh::fresh;
//! use transcript::Clock;
//!
//! // The same seed and the same time make the same values in every run.
//! let fixed = fresh(Some(7), Some(Duration::from_secs(1_795_879_880)));
//! assert_eq!(fixed.seed, 7);
//! assert!(matches!(fixed.clock, Clock::Still(_)));
//! // Without them each process has a seed of its own, and the clock of this machine.
//! assert!(matches!(fresh(None, None).clock, Clock::Running(_)));
//! ```

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use transcript::{Clock, Fresh};

/// The seed of this process where none is asked for. It is short, so that it can be typed.
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()) >> 40);

/// Asks the kernel for a random number, as TLS, WebSocket and the standard library do: they abort where it refuses. That a kernel has
/// no such call is no error, for then they read /dev/urandom.
///
/// # Errors
/// As getrandom(2).
pub fn randomness() -> io::Result<()> {
    loop {
        match getrandom(&mut [0_u8; 1], GetRandomFlags::empty()) {
            Ok(_) | Err(Errno::NOSYS) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// New values from a seed, and at a time; without them from one that differs from process to process, and by the clock of
/// this machine.
#[must_use]
pub fn fresh(seed: Option<u64>, at: Option<Duration>) -> Fresh {
    let running = || Clock::Running(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default());
    Fresh { seed: seed.unwrap_or_else(|| *SEED), clock: at.map_or_else(running, Clock::Still) }
}
