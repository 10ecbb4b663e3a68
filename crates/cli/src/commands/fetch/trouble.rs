//! What ends a fetch, with the exit code that it has.

use sockeye::net::tls::Why;
use sockeye::verb::fetch::{Failed, FetchError};

use super::place::Refused;
use crate::exit::Exit;

/// Why there is no page.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) exit: Exit,
    pub(super) why: String,
}

impl Trouble {
    pub(super) fn new(exit: Exit, why: impl Into<String>) -> Self {
        Self { exit, why: why.into() }
    }
}

impl From<Refused> for Trouble {
    fn from((exit, why): Refused) -> Self {
        Self::new(exit, why)
    }
}

impl From<&Failed> for Trouble {
    fn from(failed: &Failed) -> Self {
        let exit = match &*failed.error {
            FetchError::Request(_) => Exit::Usage,
            FetchError::Input(_) => Exit::CannotRead,
            FetchError::Connect(error) => Exit::from(error),
            FetchError::Tls(error) => match error.why {
                Why::Files => Exit::CannotRead,
                Why::Certificate => Exit::Certificate,
                Why::Handshake => Exit::TlsHandshake,
            },
            FetchError::Proxy(_) => Exit::Refused,
            FetchError::TimedOut { .. } => Exit::TimedOut,
            FetchError::Reset { .. } | FetchError::Protocol(_) => Exit::Reset,
            FetchError::Cut { .. } => Exit::CutShort,
            FetchError::NoRange => Exit::NoRange,
            FetchError::Redirect(_) | FetchError::Redirects(_) => Exit::TooManyRedirects,
            FetchError::TooLarge(_) | FetchError::Output(_) => Exit::CannotWrite,
        };
        Self::new(exit, failed.to_string())
    }
}
