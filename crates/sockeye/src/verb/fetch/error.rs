//! Why a fetch failed, sorted by whose doing it is.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::net::connect::ConnectError;
use crate::net::tls::TlsError;
use crate::wire::http::{HeadError, UrlError};

/// Why a fetch failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchError {
    /// What was asked for cannot be asked for.
    Request(String),
    /// What is to be sent cannot be read.
    Input(String),
    /// What is to be sent again came once, and does not come again.
    Spent {
        /// What it came from.
        name: String,
        /// Why it would have to be sent again.
        why: String,
    },
    /// There is no connection.
    Connect(ConnectError),
    /// There is no secure connection.
    Tls(TlsError),
    /// The proxy does not let us through; its status line.
    Proxy(String),
    /// It took too long.
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// How long.
        after: Duration,
        /// The option that changes it, if one does.
        flag: Option<&'static str>,
        /// Bytes of the body that came before.
        received: u64,
    },
    /// The connection was reset, or broke in another way.
    Reset {
        /// The system's words.
        why: io::Error,
        /// Bytes of the body that came before.
        received: u64,
    },
    /// The answer ended too early.
    Cut {
        /// What it ended before.
        what: String,
        /// Bytes of the body that came.
        received: u64,
        /// Bytes that were promised, if the answer said.
        promised: Option<u64>,
    },
    /// The answer breaks the protocol.
    Protocol(String),
    /// The server ended a stream or a connection of HTTP/2, and said why.
    Http2 {
        /// The code, by its name: `REFUSED_STREAM`.
        code: String,
        /// Who ended what, and the server's words about it, made harmless.
        what: String,
        /// Whether what was asked is known not to have been done, and may be asked again.
        again: Option<Again>,
        /// Bytes of the body that came before.
        received: u64,
    },
    /// A server answered that all went well before all was sent, and took no more; its status line.
    Unsent(String),
    /// The whole came instead of the range that was asked for.
    NoRange,
    /// The part that came does not say that it is of the same version as what is there.
    OtherVersion,
    /// A redirect leads to where we do not go.
    Redirect(UrlError),
    /// More redirects than are followed.
    Redirects(usize),
    /// The body is larger than allowed; the bound in bytes.
    TooLarge(u64),
    /// What was to take the body does not.
    Output(io::Error),
}

/// How to ask again what HTTP/2 did not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Over another connection.
    Anew,
    /// Over HTTP/1.1, which the server wants (HTTP_1_1_REQUIRED).
    Http1,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(why) | Self::Input(why) | Self::Protocol(why) => f.write_str(why),
            Self::Spent { name, why } => {
                write!(f, "{why}, and {name} cannot be read a second time; a file can be sent again")
            }
            Self::Connect(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Proxy(status) => write!(f, "the proxy says {status}"),
            Self::TimedOut { what, after, flag, received } => {
                write!(f, "{what} within {}", transcript::seconds(*after))?;
                if let Some(flag) = flag {
                    write!(f, " ({flag})")?;
                }
                if *received > 0 { write!(f, ", after {received} bytes of the body") } else { Ok(()) }
            }
            Self::Reset { why, received } => write!(f, "{} after {received} bytes of the body", crate::net::words(why)),
            Self::Cut { what, received, promised } => {
                write!(f, "the answer ended before {what}: {received} bytes of the body came")?;
                match promised {
                    Some(promised) => write!(f, " of {promised}"),
                    None => Ok(()),
                }
            }
            Self::Http2 { code, what, received, .. } => {
                write!(f, "{what}: {code}")?;
                if *received > 0 { write!(f, " after {received} bytes of the body") } else { Ok(()) }
            }
            Self::Unsent(status) => {
                write!(f, "the server answered {status} before all of the upload was sent, and took no more of it")
            }
            Self::NoRange => f.write_str("the server sends the whole, and not the range that was asked for"),
            Self::OtherVersion => f.write_str(
                "the part that came does not say that it is of the same version as what came before (ETag or \
                    Last-Modified)",
            ),
            Self::Redirect(error) => write!(f, "the server redirects to where we do not go: {error}"),
            Self::Redirects(limit) => write!(f, "more than {limit} redirects"),
            Self::TooLarge(bound) => write!(f, "the body is larger than {bound} bytes (--max-size)"),
            Self::Output(error) => write!(f, "cannot write the body: {}", crate::net::words(error)),
        }
    }
}

impl std::error::Error for FetchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(error) => Some(error),
            Self::Tls(error) => Some(error),
            Self::Redirect(error) => Some(error),
            Self::Reset { why: error, .. } | Self::Output(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ConnectError> for FetchError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(error)
    }
}

impl From<TlsError> for FetchError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error)
    }
}

impl From<HeadError> for FetchError {
    fn from(error: HeadError) -> Self {
        Self::Protocol(error.to_string())
    }
}

impl From<UrlError> for FetchError {
    fn from(error: UrlError) -> Self {
        Self::Request(error.to_string())
    }
}
