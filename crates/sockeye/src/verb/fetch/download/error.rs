//! Why nothing was downloaded, and whether asking again may help.

use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};

use super::super::{Answer, Failed, FetchError};
use crate::file::FileError;
use crate::limits;
use crate::net::connect::ConnectError;

/// Why there is no file, or not all of it.
#[derive(Debug)]
pub struct TransferError {
    /// What kind of failure it is.
    pub kind: TransferErrorKind,
    /// In one sentence.
    pub(super) text: String,
    /// Whether asking again could help and do no harm.
    pub(super) is_transient: bool,
    /// How long the server wants to be left alone before (Retry-After: RFC 9110, section 10.2.3).
    pub(super) retry_after: Option<Duration>,
    /// Whether a part came and the next is to be asked for: no failure.
    pub(super) goes_on: bool,
    /// Whether some of a body was given to a reader, who would get it twice.
    pub(super) is_given: bool,
}

/// What kind of failure it is.
#[derive(Debug)]
#[non_exhaustive]
pub enum TransferErrorKind {
    /// The exchange failed.
    Exchange(Box<FetchError>),
    /// The server answers with an error.
    Status,
    /// Only a part came, and no more of it.
    CutShort,
    /// What is there is not a part of what the server has now.
    Changed,
    /// It has another digest than the one that was expected.
    Differs,
    /// What was asked for cannot be done.
    Usage,
    /// A file of ours cannot be read.
    Input,
    /// What came cannot be written.
    Output,
    /// It took too long.
    TimedOut,
}

impl TransferError {
    /// One of a kind, in a sentence.
    #[must_use]
    pub fn new(kind: TransferErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), is_transient: false, retry_after: None, goes_on: false, is_given: false }
    }

    /// Says more.
    pub(super) fn add(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Before the last answer; `was_heard` if a server has redirected and so may have done what was asked.
    pub(super) fn unanswered(failed: Failed, method: &str, was_heard: bool) -> Self {
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
        Self { is_transient: is_safe, ..Self::from(failed) }
    }

    /// In the midst of an answer; nothing of it was given to a reader, or its part stays and is gone on with.
    pub(super) fn interrupted(failed: Failed, method: &str) -> Self {
        let is_network = matches!(
            *failed.error,
            FetchError::Cut { .. }
                | FetchError::Reset { .. }
                | FetchError::TimedOut { .. }
                | FetchError::Http2 { .. }
                | FetchError::Unsent(_)
        );
        Self { is_transient: is_network && is_idempotent(method), ..Self::from(failed) }
    }

    /// An answer that may be another one soon.
    pub(super) fn transient(answer: &Answer, method: &str) -> Option<Self> {
        let head = answer.head();
        if !TRANSIENT.contains(&head.status) || !is_idempotent(method) {
            return None;
        }
        let text = format!("{}: {}", answer.url.shown(), head.status_line());
        let after = head.retry_after(SystemTime::now());
        after.is_none_or(|after| after <= limits::RETRY_AFTER).then(|| Self {
            is_transient: true,
            retry_after: after,
            ..Self::new(TransferErrorKind::Status, text)
        })
    }

    /// Whether it stays what it is, however often it is tried.
    pub(super) fn is_permanent(&self) -> bool {
        match &self.kind {
            TransferErrorKind::Usage
            | TransferErrorKind::Input
            | TransferErrorKind::Output
            | TransferErrorKind::Differs => true,
            TransferErrorKind::Exchange(error) => match &**error {
                FetchError::Request(_)
                | FetchError::Input(_)
                | FetchError::Spent { .. }
                | FetchError::TooLarge(_)
                | FetchError::Output(_) => true,
                FetchError::Tls(error) => error.why == crate::net::tls::TlsErrorKind::Files,
                _ => false,
            },
            _ => false,
        }
    }
}

/// Methods that may be used again when it is not known whether they were heard (RFC 9110, section 9.2.2).
const IDEMPOTENT: [&str; 6] = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"];

/// Whether what was heard may be asked again.
pub(super) fn is_idempotent(method: &str) -> bool {
    IDEMPOTENT.contains(&method)
}

/// Statuses that may be others soon.
const TRANSIENT: [u16; 6] = [408, 429, 500, 502, 503, 504];

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for TransferError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            TransferErrorKind::Exchange(error) => Some(&**error),
            _ => None,
        }
    }
}

impl From<Failed> for TransferError {
    fn from(failed: Failed) -> Self {
        let text = failed.to_string();
        Self::new(TransferErrorKind::Exchange(failed.error), text)
    }
}

impl From<FileError> for TransferError {
    fn from(error: FileError) -> Self {
        Self::new(TransferErrorKind::Output, error.to_string())
    }
}
