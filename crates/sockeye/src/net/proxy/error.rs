//! Why there is no way through a proxy.

use std::fmt;
use std::io;

use super::super::timed::TimedError;
use super::super::words;
use crate::wire::socks::{Refusal, RequestError};

/// Why there is no way through a proxy.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProxyError {
    /// It cannot be asked for this.
    Unusable(String),
    /// It does not let us through; in its words.
    Denied(String),
    /// It does not reach the destination; in its words.
    Unreachable(String),
    /// It ended the connection before it had answered.
    Cut,
    /// It does not speak its protocol; what it says.
    Strange(String),
    /// It did not answer in time.
    TimedOut,
    /// The connection to it broke.
    Socket(io::Error),
}

impl ProxyError {
    /// Whether it may be otherwise in a moment, without a change of what was asked for.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Cut | Self::TimedOut | Self::Socket(_))
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(why) => f.write_str(why),
            Self::Denied(said) | Self::Unreachable(said) | Self::Strange(said) => write!(f, "the proxy says {said}"),
            Self::Cut => f.write_str("the proxy says nothing more: it ended the connection"),
            Self::TimedOut => f.write_str("the proxy did not answer in time"),
            Self::Socket(error) => write!(f, "the connection to the proxy broke: {}", words(error)),
        }
    }
}

impl From<TimedError> for ProxyError {
    fn from(error: TimedError) -> Self {
        match error {
            TimedError::TimedOut => Self::TimedOut,
            TimedError::Socket(error) => Self::Socket(error.into()),
        }
    }
}

impl std::error::Error for ProxyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Socket(error) => Some(error),
            _ => None,
        }
    }
}

impl From<RequestError> for ProxyError {
    fn from(error: RequestError) -> Self {
        Self::Unusable(error.to_string())
    }
}

impl From<Refusal> for ProxyError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(said) => Self::Denied(said),
            Refusal::Unreachable(said) => Self::Unreachable(said),
            Refusal::Strange(said) => Self::Strange(said),
        }
    }
}
