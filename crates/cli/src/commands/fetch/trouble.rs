//! What ends a fetch, with the exit code that it has.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use sockeye::limits;
use sockeye::net::connect::ConnectError;
use sockeye::net::tls::Why;
use sockeye::verb::fetch::{Answer, Failed, FetchError};

use super::place::Refused;
use crate::exit::Exit;

/// Why there is no page.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) exit: Exit,
    pub(super) why: String,
    /// Whether asking again could help and do no harm, and how long the server wants to be left alone before.
    pub(super) again: Option<Option<Duration>>,
    /// Whether a part came and the next is to be asked for: no failure.
    pub(super) goes_on: bool,
    /// Whether some of a body was given to a reader, who would get it twice.
    pub(super) is_given: bool,
}

impl Trouble {
    pub(super) fn new(exit: Exit, why: impl Into<String>) -> Self {
        Self { exit, why: why.into(), again: None, goes_on: false, is_given: false }
    }
}

/// Methods that may be used again when nobody knows whether they were heard (RFC 9110, section 9.2.2).
const IDEMPOTENT: [&str; 6] = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"];

/// Whether what was heard may be asked again.
pub(super) fn is_idempotent(method: &str) -> bool {
    IDEMPOTENT.contains(&method)
}

/// Statuses that may be others soon.
const PASSING: [u16; 6] = [408, 429, 500, 502, 503, 504];

impl Trouble {
    /// Before the last answer; `was_heard` if a server has redirected and so may have done what was asked.
    pub(super) fn unanswered(failed: &Failed, method: &str, was_heard: bool) -> Self {
        let is_safe = match &*failed.error {
            FetchError::Connect(
                ConnectError::Refused { .. } | ConnectError::TimedOut { .. } | ConnectError::NotFound { .. },
            ) => !was_heard || is_idempotent(method),
            FetchError::Http2 { again, .. } => again.is_some() || is_idempotent(method),
            FetchError::TimedOut { .. } | FetchError::Reset { .. } | FetchError::Cut { .. } | FetchError::Unsent(_) => {
                is_idempotent(method)
            }
            _ => false,
        };
        Self { again: is_safe.then_some(None), ..Self::from(failed) }
    }

    /// In the midst of an answer; nothing of it was given to anybody, or its part stays and is gone on with.
    pub(super) fn interrupted(failed: &Failed, method: &str) -> Self {
        let is_network = matches!(
            *failed.error,
            FetchError::Cut { .. }
                | FetchError::Reset { .. }
                | FetchError::TimedOut { .. }
                | FetchError::Http2 { .. }
                | FetchError::Unsent(_)
        );
        Self { again: (is_network && is_idempotent(method)).then_some(None), ..Self::from(failed) }
    }

    /// An answer that may be another one soon.
    pub(super) fn passing(answer: &Answer, method: &str) -> Option<Self> {
        let head = answer.head();
        if !PASSING.contains(&head.status) || !is_idempotent(method) {
            return None;
        }
        let why = format!("{}: {}", answer.url.shown(), head.status_line());
        let after = head.retry_after(SystemTime::now());
        (after.is_none_or(|after| after <= limits::RETRY_AFTER))
            .then(|| Self { again: Some(after), ..Self::new(Exit::HttpStatus, why) })
    }
}

/// How long to wait before an attempt, the first of them being 1: twice as long each time, and not as long as everybody
/// else whom the same failure has met.
pub(super) fn pause(attempt: u32) -> Duration {
    let base = LEAST_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    let share = RandomState::new().hash_one(attempt) % 1024;
    base + base.mul_f64(share as f64 / 2048.0)
}

const LEAST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl From<Refused> for Trouble {
    fn from((exit, why): Refused) -> Self {
        Self::new(exit, why)
    }
}

impl From<&Failed> for Trouble {
    fn from(failed: &Failed) -> Self {
        let exit = match &*failed.error {
            FetchError::Request(_) => Exit::Usage,
            FetchError::Input(_) | FetchError::Spent { .. } => Exit::CannotRead,
            FetchError::Connect(error) => Exit::from(error),
            FetchError::Tls(error) => match error.why {
                Why::Files => Exit::CannotRead,
                Why::Certificate => Exit::Certificate,
                _ => Exit::TlsHandshake,
            },
            FetchError::Proxy(_) => Exit::Refused,
            FetchError::TimedOut { .. } => Exit::TimedOut,
            FetchError::Cut { .. } => Exit::CutShort,
            FetchError::Unsent(_) => Exit::Unsent,
            FetchError::NoRange => Exit::NoRange,
            FetchError::Redirect(_) | FetchError::Redirects(_) => Exit::TooManyRedirects,
            FetchError::TooLarge(_) | FetchError::Output(_) => Exit::CannotWrite,
            // A connection that breaks, or a server that breaks the rules.
            _ => Exit::Reset,
        };
        Self::new(exit, failed.to_string())
    }
}
