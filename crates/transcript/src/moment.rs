//! Points in time, as they go into a play and a record. Nothing here reads a clock.

use std::num::NonZeroU64;
use std::time::Duration;

/// A point in time, in nanoseconds since any fixed beginning; it never goes back.
///
/// What may have no moment takes no more room than one: there are many deadlines in a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(NonZeroU64);

impl Default for Moment {
    fn default() -> Self {
        Self(NonZeroU64::MIN)
    }
}

impl Moment {
    /// So many nanoseconds after the beginning. The last one of a `u64` is the one before it: that is after 584 years.
    #[must_use]
    pub fn from_nanos(nanos: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(nanos))
    }

    /// Nanoseconds since the beginning.
    #[must_use]
    pub fn nanos(self) -> u64 {
        self.0.get() - 1
    }

    /// This moment and so much later.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
    }
}
