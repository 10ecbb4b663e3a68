//! The exit code of a failed download.

use sockeye::verb::fetch::FetchError;
use sockeye::verb::fetch::download::{TransferError, TransferErrorKind};

use crate::exit::Exit;

/// An exit code, and why.
pub(super) type Failure = (Exit, String);

pub(super) fn of_transfer(error: &TransferError) -> Failure {
    let exit = match &error.kind {
        TransferErrorKind::Exchange(error) => of_exchange(error),
        TransferErrorKind::Status => Exit::HttpStatus,
        TransferErrorKind::CutShort => Exit::CutShort,
        TransferErrorKind::Differs => Exit::Differs,
        TransferErrorKind::Usage => Exit::Usage,
        TransferErrorKind::Input => Exit::CannotRead,
        TransferErrorKind::Output => Exit::CannotWrite,
        TransferErrorKind::TimedOut => Exit::TimedOut,
        _ => Exit::Reset,
    };
    (exit, error.to_string())
}

pub(super) fn of_exchange(error: &FetchError) -> Exit {
    match error {
        FetchError::Request(_) => Exit::Usage,
        FetchError::Input(_) | FetchError::Spent { .. } => Exit::CannotRead,
        FetchError::Connect(error) => Exit::from(error),
        FetchError::Tls(error) => Exit::from(error),
        FetchError::Proxy(_) => Exit::Refused,
        FetchError::TimedOut { .. } => Exit::TimedOut,
        FetchError::Cut { .. } => Exit::CutShort,
        FetchError::Unsent(_) => Exit::Unsent,
        FetchError::NoRange => Exit::NoRange,
        FetchError::Redirect(_) | FetchError::Redirects(_) => Exit::TooManyRedirects,
        FetchError::TooLarge(_) | FetchError::Output(_) => Exit::CannotWrite,
        // A connection that breaks, or a server that breaks the rules.
        _ => Exit::Reset,
    }
}
