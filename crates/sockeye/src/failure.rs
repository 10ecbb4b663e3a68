//! What went wrong in a conversation, as a value. It becomes text or JSON where it is printed, and nowhere before.
//!
//! ```
//! use sockeye::failure::{Failure, Kind};
//!
//! let failure = Failure::other(Kind::WriteTimeout, "the client took nothing for 60 s");
//! assert_eq!(failure.kind().name(), "write_timeout");
//! assert!(failure.render("play 1").starts_with("error: the client took nothing"));
//! ```

use std::fmt::Write as _;
use std::io;

use transcript::{FaultKind, Verdict};

use crate::endpoint::Conversation;
use crate::net::connect::{ConnectError, LocalEndReport, ProxyFailure, SourceError};
use crate::net::local::Wrong;
use crate::net::proxy::ProxyError;

/// What kind of failure it is: what programs tell failures apart by, and what exit codes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The play did not go as its transcript says.
    Fault(FaultKind),
    /// The peer took nothing of what waits for it.
    WriteTimeout,
    /// A conversation had to go, to stay within a bound of memory or of peers.
    Evicted,
    /// Answers over datagrams could not be sent.
    AnswersLost,
    /// Answers over datagrams were held back by a rate limit.
    AnswersWithheld,
    /// This machine has no memory, descriptors or threads left.
    NoResources,
    /// A client cannot be accepted.
    CannotAccept,
    /// The name has no address.
    NameNotFound,
    /// The peer refused the connection, or its port is closed.
    Refused,
    /// The address is one that only a listener can have.
    Unusable,
    /// There is no route to the peer.
    Unreachable,
    /// No connection came about in time.
    ConnectTimeout,
    /// This machine does not let it be sent: a firewall, most often.
    NotSent,
    /// A program that was to speak could not be started, or failed.
    Program,
    /// What came could not be written where it was to go.
    NotWritten,
    /// What was to be said could not be read.
    NotRead,
    /// The peer does not speak WebSocket, or does not want to here.
    NoWebSocket,
    /// The socket failed in another way, or what came breaks its protocol.
    Socket,
}

impl Kind {
    /// Those that no line of a transcript has.
    const OTHERS: [Self; 17] = [
        Self::WriteTimeout,
        Self::Evicted,
        Self::AnswersLost,
        Self::AnswersWithheld,
        Self::NoResources,
        Self::CannotAccept,
        Self::NameNotFound,
        Self::Refused,
        Self::Unusable,
        Self::Unreachable,
        Self::ConnectTimeout,
        Self::NotSent,
        Self::Program,
        Self::NotWritten,
        Self::NotRead,
        Self::NoWebSocket,
        Self::Socket,
    ];

    /// All of them, those of plays first.
    pub fn all() -> impl Iterator<Item = Self> {
        FaultKind::ALL.into_iter().map(Self::Fault).chain(Self::OTHERS)
    }

    /// The name for programs, which never changes: `differs`, `write_timeout`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fault(kind) => kind.name(),
            Self::WriteTimeout => "write_timeout",
            Self::Evicted => "evicted",
            Self::AnswersLost => "answers_lost",
            Self::AnswersWithheld => "answers_withheld",
            Self::NoResources => "no_resources",
            Self::CannotAccept => "cannot_accept",
            Self::NameNotFound => "name_not_found",
            Self::Refused => "refused",
            Self::Unusable => "unusable_address",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::NotSent => "not_sent",
            Self::Program => "program_failed",
            Self::NotWritten => "not_written",
            Self::NotRead => "not_read",
            Self::NoWebSocket => "no_websocket",
            Self::Socket => "socket",
        }
    }
}

impl From<&ConnectError> for Kind {
    fn from(error: &ConnectError) -> Self {
        match error {
            ConnectError::NotFound { .. } => Self::NameNotFound,
            ConnectError::TimedOut { .. } => Self::ConnectTimeout,
            ConnectError::Refused { .. } => Self::Refused,
            ConnectError::Proxy { why: ProxyFailure::NoProxy(error), .. } => Self::from(&**error),
            ConnectError::Proxy { why: ProxyFailure::Asked(error), .. } => match error {
                ProxyError::Strange(_) | ProxyError::Socket(_) => Self::Socket,
                ProxyError::TimedOut => Self::ConnectTimeout,
                _ => Self::Refused,
            },
            ConnectError::Program { .. } => Self::Program,
            ConnectError::Source { error: SourceError::InUse, .. } => Self::Refused,
            ConnectError::Unusable { .. } | ConnectError::Source { .. } => Self::Unusable,
            ConnectError::Local { error, .. } if crate::net::is_exhausted(error) => Self::NoResources,
            ConnectError::Local { .. } => Self::Refused,
        }
    }
}

impl Failure {
    /// What went wrong with a program that was one end of a conversation, or with what was written and read there.
    #[must_use]
    pub fn of_left(left: &LocalEndReport) -> Option<Self> {
        let (wrong, why) = left.wrong()?;
        let kind = match wrong {
            Wrong::Program => Kind::Program,
            Wrong::Output => Kind::NotWritten,
            Wrong::Input => Kind::NotRead,
        };
        Some(Self::other(kind, why))
    }
}

/// A socket gave an error while a conversation was held over it.
impl From<&io::Error> for Kind {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::WriteTimeout,
            io::ErrorKind::PermissionDenied => Self::NotSent,
            _ if crate::net::is_exhausted(error) => Self::NoResources,
            _ => Self::Socket,
        }
    }
}

/// Why a conversation did not go as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A play did not go as its transcript says.
    Play {
        /// The account.
        verdict: Box<Verdict>,
        /// What to change, if there is something.
        hint: Option<&'static str>,
    },
    /// For a reason that no line of a transcript has.
    Other {
        /// What kind of failure.
        kind: Kind,
        /// The transcript's line at which the play stood, if there was one.
        line: Option<usize>,
        /// In one sentence.
        reason: String,
    },
}

impl From<Box<Verdict>> for Failure {
    fn from(verdict: Box<Verdict>) -> Self {
        Self::Play { verdict, hint: None }
    }
}

impl Failure {
    /// One that has nothing to do with a line of a transcript.
    #[must_use]
    pub fn other(kind: Kind, reason: impl Into<String>) -> Self {
        Self::Other { kind, line: None, reason: reason.into() }
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Play { verdict, .. } => Kind::Fault(verdict.fault.kind()),
            Self::Other { kind, .. } => *kind,
        }
    }

    /// In one sentence.
    #[must_use]
    pub fn headline(&self) -> String {
        match self {
            Self::Play { verdict, .. } => verdict.headline(),
            Self::Other { reason, .. } => reason.clone(),
        }
    }

    /// Where in a transcript: `greeting.talk:3:13`, or `line 3` where the column does not matter.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        match self {
            Self::Play { verdict, .. } => {
                let (name, line) = verdict.source.locate(verdict.place.line);
                Some(format!("{name}:{line}:{}", verdict.place.column))
            }
            Self::Other { line, .. } => line.map(|line| format!("line {line}")),
        }
    }

    /// The whole account for people, over several lines. What a peer sent is in it and not yet made harmless.
    #[must_use]
    pub fn render(&self, who: &str) -> String {
        format!("error: {}\n{}", self.headline(), self.details(who))
    }

    /// The account below its headline.
    #[must_use]
    pub fn details(&self, who: &str) -> String {
        match self {
            Self::Play { verdict, hint } => {
                let mut text = verdict.details(who);
                if let Some(hint) = hint {
                    let _ = writeln!(text, " = {hint}");
                }
                text
            }
            Self::Other { .. } => {
                let place: Vec<String> = self.place().into_iter().chain([who.to_owned()]).collect();
                format!("  --> {}\n", place.join(", "))
            }
        }
    }

    /// The same of a conversation; without one, a single line.
    #[must_use]
    pub fn of(&self, conversation: Option<&Conversation>) -> String {
        match (self, conversation) {
            (_, Some(conversation)) => self.render(&conversation.play()),
            (Self::Play { .. }, None) => self.render(""),
            (Self::Other { reason, .. }, None) => format!("{reason}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let names: BTreeSet<_> = Kind::all().map(Kind::name).collect();
        assert_eq!(names.len(), Kind::all().count());
    }

    #[test]
    fn what_no_line_has_is_told_with_the_line_at_which_the_play_stood() {
        let failure = Failure::Other { kind: Kind::WriteTimeout, line: Some(3), reason: "no room".to_owned() };
        assert_eq!(failure.render("play 1, a -> b"), "error: no room\n  --> line 3, play 1, a -> b\n");
        assert_eq!(Failure::other(Kind::Socket, "gone").of(None), "gone\n");
    }
}
