//! The exit codes: few, named here, and listed from here in help and manual. From 5 up they are curl's.

use std::io;
use std::process::ExitCode;

use sockeye::child::ProgramError;
use sockeye::failure::Kind;
use sockeye::net::connect::{ConnectError, ProxyFailure};
use sockeye::net::listen::ListenError;
use sockeye::net::proxy::ProxyError;
use sockeye::net::secured::SecureError;
use sockeye::net::tls::{TlsError, TlsErrorKind};
use sockeye::verb::talk::UpgradeError;
use transcript::FaultKind;

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Differs,
    Usage,
    CannotListen,
    NameNotFound,
    Refused,
    CutShort,
    HttpStatus,
    CannotWrite,
    CannotRead,
    NoResources,
    TimedOut,
    NoRange,
    TlsHandshake,
    TooManyRedirects,
    Unsent,
    Reset,
    Certificate,
    Interrupted,
    Terminated,
}

impl Exit {
    pub(crate) const ALL: [Self; 20] = [
        Self::Done,
        Self::Differs,
        Self::Usage,
        Self::CannotListen,
        Self::NameNotFound,
        Self::Refused,
        Self::CutShort,
        Self::HttpStatus,
        Self::CannotWrite,
        Self::CannotRead,
        Self::NoResources,
        Self::TimedOut,
        Self::NoRange,
        Self::TlsHandshake,
        Self::TooManyRedirects,
        Self::Unsent,
        Self::Reset,
        Self::Certificate,
        Self::Interrupted,
        Self::Terminated,
    ];

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Differs => 1,
            Self::Usage => 2,
            Self::CannotListen => 3,
            Self::NameNotFound => 6,
            Self::Refused => 7,
            Self::CutShort => 18,
            Self::HttpStatus => 22,
            Self::CannotWrite => 23,
            Self::CannotRead => 26,
            Self::NoResources => 27,
            Self::TimedOut => 28,
            Self::NoRange => 33,
            Self::TlsHandshake => 35,
            Self::TooManyRedirects => 47,
            Self::Unsent => 55,
            Self::Reset => 56,
            Self::Certificate => 60,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The code of a failed call: this machine's, if it has too little of something.
    pub(crate) fn of(error: &io::Error, otherwise: Self) -> Self {
        if sockeye::net::is_exhausted(error) { Self::NoResources } else { otherwise }
    }

    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done; every byte arrived",
            Self::Differs => "the conversation differed from the transcript, or a file from its digest",
            Self::Usage => "wrong usage, or a transcript that is wrong or cannot be read",
            Self::CannotListen => "cannot listen: address in use, not allowed",
            Self::NameNotFound => "name not found",
            Self::Refused => "connection refused, or host unreachable",
            Self::CutShort => "cut short: not everything arrived",
            Self::HttpStatus => "HTTP error status",
            Self::CannotWrite => "cannot write: disk, standard output",
            Self::CannotRead => "cannot read a local file or standard input",
            Self::NoResources => "this machine could not: no memory, descriptors or threads left",
            Self::TimedOut => "nothing came in time",
            Self::NoRange => "the server sends no part of a page",
            Self::TlsHandshake => "TLS handshake failed",
            Self::TooManyRedirects => "too many redirects, or one to where sockeye does not go",
            Self::Unsent => "cut short: not all of an upload was taken",
            Self::Reset => "connection reset, or an answer that breaks the protocol",
            Self::Certificate => "certificate not trusted",
            Self::Interrupted => "ended by SIGINT",
            Self::Terminated => "ended by SIGTERM",
        }
    }

    /// The table for help and manual.
    pub(crate) fn table() -> String {
        Self::ALL.iter().map(|exit| format!("  {:>3}  {}\n", exit.code(), exit.meaning())).collect()
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

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
            // No TLS, whoever is to blame.
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
