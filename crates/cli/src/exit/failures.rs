//! What each failure ends with: the one table, for every verb.

use sockeye::child::ProgramError;
use sockeye::failure::Kind;
use sockeye::figures::{ReadError, ReadErrorKind};
use sockeye::net::connect::{ConnectError, ProxyFailure};
use sockeye::net::listen::ListenError;
use sockeye::net::proxy::ProxyError;
use sockeye::net::secured::SecureError;
use sockeye::net::tls::{TlsError, TlsErrorKind};
use sockeye::verb::fetch::FetchError;
use sockeye::verb::fetch::download::{TransferError, TransferErrorKind};
use sockeye::verb::load::LoadError;
use sockeye::verb::relay::{LocalError, PairFailure, RelayError};
use sockeye::verb::serve::ServeError;
use sockeye::verb::talk::{Ending, UpgradeError};
use transcript::FaultKind;

use super::Exit;

impl From<&TlsError> for Exit {
    fn from(error: &TlsError) -> Self {
        match error.why {
            TlsErrorKind::Files => Self::CannotRead,
            TlsErrorKind::Certificate => Self::Certificate,
            // It says no, or nothing that is HTTP.
            TlsErrorKind::WebSocket => Self::HttpStatus,
            TlsErrorKind::Messages => Self::Reset,
            _ => Self::TlsHandshake,
        }
    }
}

impl From<&SecureError> for Exit {
    fn from(error: &SecureError) -> Self {
        match error {
            SecureError::Tls(error) => Self::from(error),
            SecureError::TimedOut => Self::TimedOut,
            SecureError::Socket(error) => Self::of(error, Self::Reset),
        }
    }
}

impl From<&UpgradeError> for Exit {
    fn from(error: &UpgradeError) -> Self {
        match error {
            UpgradeError::TimedOut => Self::TimedOut,
            UpgradeError::Socket(error) => Self::of(error, Self::Reset),
            UpgradeError::Secure(error) => Self::from(error),
            // No TLS, no matter which side is to blame.
            _ => Self::TlsHandshake,
        }
    }
}

/// A program that is not there is a file that cannot be read; a command that is none is wrong usage.
impl From<&ProgramError> for Exit {
    fn from(error: &ProgramError) -> Self {
        match error {
            ProgramError::NotFound { .. } | ProgramError::NotExecutable(_) => Self::CannotRead,
            _ => Self::Usage,
        }
    }
}

impl From<&ListenError> for Exit {
    fn from(error: &ListenError) -> Self {
        match error {
            ListenError::Option(_) => Self::Usage,
            ListenError::Program { error, .. } => Self::from(error),
            ListenError::NoAddress { .. } => Self::NameNotFound,
            ListenError::Other { error, .. } => Self::of(error, Self::CannotListen),
            _ => Self::CannotListen,
        }
    }
}

impl From<&ConnectError> for Exit {
    fn from(error: &ConnectError) -> Self {
        match error {
            ConnectError::Proxy { why: ProxyFailure::Asked(ProxyError::Unusable(_)), .. } => Self::Usage,
            ConnectError::Program { error, .. } => Self::from(error),
            error => Self::from(Kind::from(error)),
        }
    }
}

/// The code of each kind of failure, for every verb that has one end of a conversation.
impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Fault(fault) => match fault {
                FaultKind::Differs
                | FaultKind::Forbidden
                | FaultKind::NoSuchValue
                | FaultKind::NotAPort
                | FaultKind::ClosedEarly
                | FaultKind::TooLong
                | FaultKind::TooMuch
                | FaultKind::NotEncoded
                | FaultKind::NoFit
                | FaultKind::NotACount
                | FaultKind::ValuesTooLarge
                | FaultKind::MessageTooLarge
                | FaultKind::UnexpectedData
                | FaultKind::ClearBytes
                | FaultKind::WrongEnding => Self::Differs,
                FaultKind::Misheard | FaultKind::BrokenLine | FaultKind::WrongLength => Self::Usage,
                FaultKind::FileShrank => Self::CannotRead,
                FaultKind::NothingCame => Self::TimedOut,
                FaultKind::Tls | FaultKind::TlsGoesOn => Self::TlsHandshake,
                FaultKind::Reset => Self::Reset,
                FaultKind::Untrusted => Self::Certificate,
            },
            Kind::Program => Self::Differs,
            Kind::NotWritten => Self::CannotWrite,
            Kind::NotRead => Self::CannotRead,
            Kind::CannotAccept => Self::CannotListen,
            Kind::NameNotFound => Self::NameNotFound,
            Kind::Unusable => Self::Usage,
            Kind::Refused | Kind::Unreachable => Self::Refused,
            Kind::AnswersLost | Kind::AnswersWithheld | Kind::NotSent => Self::CutShort,
            Kind::NoResources | Kind::Evicted => Self::NoResources,
            Kind::WriteTimeout | Kind::ConnectTimeout => Self::TimedOut,
            // It says no, or nothing that is HTTP.
            Kind::NoWebSocket => Self::HttpStatus,
            Kind::Socket => Self::Reset,
        }
    }
}

impl From<&ServeError> for Exit {
    fn from(error: &ServeError) -> Self {
        match error {
            ServeError::Refused(_) | ServeError::Address(_) | ServeError::Count { .. } | ServeError::NoWayToHttps => {
                Self::Usage
            }
            ServeError::Tls(error) => Self::from(error),
            ServeError::Listen(error) => Self::from(error),
            ServeError::Folder { .. } => Self::CannotRead,
            ServeError::Io(error) => Self::of(error, Self::CannotListen),
            _ => Self::CannotListen,
        }
    }
}

impl From<&RelayError> for Exit {
    fn from(error: &RelayError) -> Self {
        match error {
            RelayError::Address(_) | RelayError::NoServer | RelayError::Itself { .. } => Self::Usage,
            RelayError::Local { error: LocalError::Program(error), .. } => Self::from(error),
            RelayError::Listen(error) => Self::from(error),
            RelayError::Connect(error) => Self::from(error),
            RelayError::Tls(error) => Self::from(error),
            RelayError::Capture { .. } => Self::CannotWrite,
            RelayError::Io(error) => Self::of(error, Self::CannotListen),
            _ => Self::CannotListen,
        }
    }
}

/// What went wrong with a pair of a relay.
impl From<PairFailure> for Exit {
    fn from(failure: PairFailure) -> Self {
        match failure {
            PairFailure::Kind(kind) => Self::from(kind),
            PairFailure::Reset => Self::Reset,
            PairFailure::CutShort => Self::CutShort,
        }
    }
}

/// How a conversation of `talk` ended that did not end well: where nothing failed, something did not arrive.
impl From<&Ending> for Exit {
    fn from(ending: &Ending) -> Self {
        match ending {
            Ending::Done
            | Ending::PeerEnded
            | Ending::TooLarge { .. }
            | Ending::TooLargeToTake
            | Ending::SendFailed(_)
            | Ending::Cut => Self::CutShort,
            Ending::Insecure(error) => Self::from(error),
            Ending::Reset(_) | Ending::NoClose => Self::Reset,
            Ending::TimedOut(_) | Ending::Idle(_) | Ending::NoAnswer(_) => Self::TimedOut,
            Ending::Failed(..) => Self::NoResources,
            Ending::OutputFailed(_) => Self::CannotWrite,
            Ending::InputFailed(_) => Self::CannotRead,
            Ending::PortClosed | Ending::Unreachable(_) => Self::Refused,
        }
    }
}

impl From<&TransferError> for Exit {
    fn from(error: &TransferError) -> Self {
        match &error.kind {
            TransferErrorKind::Exchange(error) => Self::from(&**error),
            TransferErrorKind::Status => Self::HttpStatus,
            TransferErrorKind::CutShort => Self::CutShort,
            TransferErrorKind::Differs => Self::Differs,
            TransferErrorKind::Usage => Self::Usage,
            TransferErrorKind::Input => Self::CannotRead,
            TransferErrorKind::Output => Self::CannotWrite,
            TransferErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Reset,
        }
    }
}

impl From<&FetchError> for Exit {
    fn from(error: &FetchError) -> Self {
        match error {
            FetchError::Request(_) => Self::Usage,
            FetchError::Input(_) | FetchError::Spent { .. } => Self::CannotRead,
            FetchError::Connect(error) => Self::from(error),
            FetchError::Tls(error) => Self::from(error),
            FetchError::Proxy(_) => Self::Refused,
            FetchError::TimedOut { .. } => Self::TimedOut,
            FetchError::Cut { .. } => Self::CutShort,
            FetchError::Unsent(_) => Self::Unsent,
            FetchError::NoRange => Self::NoRange,
            FetchError::Redirect(_) | FetchError::Redirects(_) => Self::TooManyRedirects,
            FetchError::TooLarge(_) | FetchError::Output(_) => Self::CannotWrite,
            // A connection that breaks, or a server that breaks the rules.
            _ => Self::Reset,
        }
    }
}

impl From<&LoadError> for Exit {
    fn from(error: &LoadError) -> Self {
        match error {
            LoadError::Connect(error) => Self::from(error),
            LoadError::System(_) => Self::NoResources,
            _ => Self::Usage,
        }
    }
}

/// A run that was saved cannot be read.
impl From<&ReadError> for Exit {
    fn from(error: &ReadError) -> Self {
        match &error.kind {
            ReadErrorKind::Unreadable(source) => Self::of(source, Self::CannotRead),
            _ => Self::Usage,
        }
    }
}
