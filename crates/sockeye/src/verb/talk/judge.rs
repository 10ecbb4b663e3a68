//! Whether a play went as written: one judgement for `talk --play`, `--update` and mocks.

use transcript::{Ending, FaultKind};

use super::Played;
use crate::failure::{Failure, Kind};
use crate::net::words;

impl Played {
    /// Why it did not go as written, if it did not.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        if self.port_closed {
            return Some(Failure::other(Kind::Refused, "port closed: nobody listens there"));
        }
        if let Some(error) = &self.unreachable {
            return Some(Failure::other(Kind::Unreachable, format!("cannot be reached: {}", words(error))));
        }
        match &self.ending {
            Ending::Failed(verdict) => Some(verdict.clone().into()),
            Ending::IdleReset => Some(Failure::other(Kind::Fault(FaultKind::Reset), "the connection was reset")),
            Ending::IdleTimeout { .. } => {
                Some(Failure::other(Kind::Fault(FaultKind::NothingCame), "nothing came in time"))
            }
            Ending::Done | Ending::Left if self.reset => {
                let Self { sent, received, .. } = self;
                let why = "the connection was reset, and not everything that was said may have been read";
                let counts = format!("{sent} bytes sent, {received} received");
                Some(Failure::other(Kind::Fault(FaultKind::Reset), format!("{why}; {counts}")))
            }
            Ending::Done | Ending::DoneByReset | Ending::Left => None,
        }
    }
}
