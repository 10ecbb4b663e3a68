//! Why a load does not begin.

use std::fmt;
use std::io;

use transcript::Refused;

use crate::net::connect::ConnectError;
use crate::net::words;

/// Why a load does not begin.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// A transcript cannot be played.
    Refused(Refused),
    /// The name leads nowhere, or none of its addresses answers.
    Connect(ConnectError),
    /// There is nothing for it to do.
    Nothing(String),
    /// No thread, or no descriptor.
    System(io::Error),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::Connect(error) => error.fmt(f),
            Self::Nothing(why) => f.write_str(why),
            Self::System(error) => write!(f, "this machine could not begin: {}", words(error)),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(error) => Some(error),
            Self::System(error) => Some(error),
            Self::Refused(_) | Self::Nothing(_) => None,
        }
    }
}
