//! Until when a fetch may take: one end for everything, and one for each wait.

use std::io;
use std::time::{Duration, Instant};

use super::FetchError;
use crate::sink::Sink;

/// How long nothing takes.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Until when what may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    /// The end of everything, and how long it was away at the beginning.
    pub(super) total: Option<(Instant, Duration)>,
    /// How long nothing may come.
    pub(super) idle: Duration,
}

impl Deadlines {
    /// The nearer of the whole's end and this unit's, which begins now.
    pub(super) fn until(self, unit: Duration) -> Instant {
        self.until_since(Instant::now(), unit)
    }

    pub(super) fn until_since(self, began: Instant, unit: Duration) -> Instant {
        let unit = began + unit;
        self.total.map_or(unit, |(total, _)| total.min(unit))
    }

    /// The end of everything, or one that never comes.
    pub(super) fn end(self) -> Instant {
        self.total.map_or_else(|| Instant::now() + NEVER, |(until, _)| until)
    }

    /// Whether there is time left, for a loop that always has something to do and never waits.
    pub(super) fn check(self, received: u64) -> Result<(), FetchError> {
        match self.total {
            Some((until, _)) if until <= Instant::now() => Err(self.timed_out("not done", received)),
            _ => Ok(()),
        }
    }

    /// Writes a piece of the body, as long as there is time.
    pub(super) fn write(self, sink: &mut Sink<'_>, piece: &[u8], received: u64) -> Result<(), FetchError> {
        self.check(received)?;
        sink.write_until(piece, self.total.map(|(until, _)| until)).map_err(|error| self.unwritten(error, received))
    }

    /// Why an output takes nothing.
    pub(super) fn unwritten(self, error: io::Error, received: u64) -> FetchError {
        match error.kind() {
            io::ErrorKind::TimedOut => self.timed_out("not done", received),
            _ => FetchError::Output(error),
        }
    }

    pub(super) fn timed_out(self, what: &'static str, received: u64) -> FetchError {
        match self.total {
            Some((until, after)) if until <= Instant::now() => {
                FetchError::TimedOut { what: "not done", after, flag: Some("--timeout"), received }
            }
            _ => FetchError::TimedOut { what, after: self.idle, flag: Some("--idle-timeout"), received },
        }
    }
}
