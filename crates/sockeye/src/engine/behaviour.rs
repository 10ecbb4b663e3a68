//! What a server does with its clients, over streams and over datagrams. A kind answers here what the engine asks before there is a
//! connection; what is asked of one that is under way, its agent answers (`channel/agent/`).

use std::sync::Arc;

use rustix::net::SocketFlags;
use transcript::Script;

use super::exec::{Exec, ProgramPermit};
use super::guard::Reflected;
use super::web::HttpService;

/// What a server does with a client.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    /// Plays a transcript's side.
    Play(Arc<Script>),
    /// Sends back what comes (RFC 862).
    Echo,
    /// Reads and throws away (RFC 863).
    Discard,
    /// Answers requests of HTTP with files.
    Site(Arc<HttpService>),
    /// Has a program speak.
    Exec(Arc<Exec>),
}

impl Behaviour {
    /// The same for another thread. A script is counted at every step: two threads that count the same one wait for each other.
    pub(super) fn for_another_thread(&self) -> Self {
        match self {
            Self::Play(script) => Self::Play(Arc::new(Script::clone(script))),
            other => other.clone(),
        }
    }

    /// The side of a transcript that it plays.
    pub(super) fn script(&self) -> Option<&Arc<Script>> {
        match self {
            Self::Play(script) => Some(script),
            Self::Echo | Self::Discard | Self::Site(_) | Self::Exec(_) => None,
        }
    }

    /// The site whose requests it answers. Its connections may rest between two requests, and it has files stored.
    pub(super) fn site(&self) -> Option<&HttpService> {
        match self {
            Self::Site(site) => Some(site),
            Self::Play(_) | Self::Echo | Self::Discard | Self::Exec(_) => None,
        }
    }

    /// The program that it runs for each client.
    pub(super) fn program(&self) -> Option<&Exec> {
        match self {
            Self::Exec(exec) => Some(exec),
            Self::Play(_) | Self::Echo | Self::Discard | Self::Site(_) => None,
        }
    }

    /// Whether it answers a datagram with the same.
    pub(super) fn echoes(&self) -> bool {
        matches!(self, Self::Echo)
    }

    /// Whether it takes datagrams and does nothing with them.
    pub(super) fn discards(&self) -> bool {
        matches!(self, Self::Discard)
    }

    /// Whether a datagram may be an answer of ours that came back. A script is searched for it only if that is asked for.
    pub(super) fn reflects(&self, payload: &[u8], searches: bool) -> Reflected {
        match self {
            Self::Play(script) if searches && script.could_say(payload) => Reflected::Yes,
            Self::Echo => Reflected::IfRepeated,
            Self::Play(_) | Self::Discard | Self::Site(_) | Self::Exec(_) => Reflected::No,
        }
    }

    /// What its clients' sockets are made with. A program expects a standard input that it can wait at.
    pub(super) fn socket_flags(&self) -> SocketFlags {
        match self.program() {
            Some(_) => SocketFlags::CLOEXEC,
            None => SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
        }
    }

    /// Why it cannot serve one more client now, in words for those who wait.
    pub(super) fn is_full(&self) -> Option<String> {
        let exec = self.program().filter(|exec| !exec.has_room())?;
        Some(format!("{} programs run, as many as may (--max-children); new clients wait", exec.most))
    }

    /// The room that a client takes of it.
    pub(super) fn take_permit(&self) -> Option<ProgramPermit> {
        self.program().map(Exec::take_permit)
    }
}
