//! The exit codes: few, named here, and listed from here in help and manual. From 5 up they are curl's.

mod failures;

use std::io;
use std::process::ExitCode;

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
