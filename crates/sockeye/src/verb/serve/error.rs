//! Why a server does not start, or ends: a value, and its words.

use std::fmt;
use std::io;
#[cfg(feature = "http")]
use std::path::PathBuf;

use transcript::Refused;

use crate::address::AddressError;
use crate::net::listen::ListenError;
use crate::net::tls::TlsError;

/// Why a server does not start, or ends.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// The transcript cannot be played as asked.
    Refused(Refused),
    /// A scheme that `serve` cannot do.
    Address(AddressError),
    /// As many addresses as transcripts are needed, or none.
    Count {
        /// Addresses that were given.
        addresses: usize,
        /// Transcripts that were given.
        transcripts: usize,
    },
    /// A socket cannot be bound.
    Listen(ListenError),
    /// The folder cannot be served.
    #[cfg(feature = "http")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Clients are to be sent from http:// to https://, and one of them is not served.
    #[cfg(feature = "http")]
    NoWayToHttps,
    /// There is no certificate to be had.
    Tls(TlsError),
    /// The loop itself failed.
    Io(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::Address(error) => error.fmt(f),
            Self::Count { addresses, transcripts } => write!(
                f,
                "{transcripts} transcripts and {addresses} addresses: give each its address in the same order, or write \
                 `at` into the files and give none"
            ),
            Self::Listen(error) => error.fmt(f),
            #[cfg(feature = "http")]
            Self::Folder { path, error } => {
                write!(f, "cannot serve the folder {}: {}", path.display(), crate::net::words(error))
            }
            #[cfg(feature = "http")]
            Self::NoWayToHttps => f.write_str(
                "to send clients from http:// to https://, serve both: serve http://:80 https://:443 --files DIR \
                 --https-redirect",
            ),
            Self::Tls(error) => error.fmt(f),
            Self::Io(error) => write!(f, "cannot serve: {error}", error = crate::net::words(&error)),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(refused) => Some(refused),
            Self::Address(error) => Some(error),
            Self::Listen(error) => Some(error),
            Self::Tls(error) => Some(error),
            #[cfg(feature = "http")]
            Self::Folder { error, .. } => Some(error),
            #[cfg(feature = "http")]
            Self::NoWayToHttps => None,
            Self::Io(error) => Some(error),
            Self::Count { .. } => None,
        }
    }
}
