//! Clients that a proxy leads here, who say first whom they are for (PROXY protocol): they wait here until that has come, and come in by
//! the name that they are given. Nothing behind the header is read.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv, sockopt};
use transcript::Moment;

use super::Loop;
use super::reactor::poller::Interest;
use super::reactor::token::Token;
use super::threads::Membership;
use crate::event::{Event, Name};
use crate::limits;
use crate::net::words;
use crate::wire::preface::{self, Ends, HeaderError};

/// One of them.
#[derive(Debug)]
struct PendingClient {
    fd: OwnedFd,
    client: Name,
    server: Option<Box<Name>>,
    listener: usize,
    /// As much of the header as has come.
    came: Vec<u8>,
    until: Moment,
}

/// All of them, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Announced {
    newcomers: BTreeMap<u32, PendingClient>,
    number: u32,
}

impl Announced {
    pub(super) fn wakes(&self) -> Option<Moment> {
        self.newcomers.values().next().map(|newcomer| newcomer.until)
    }

    /// Why no more of them can be waited for, if that is so.
    pub(super) fn is_full(&self) -> Option<String> {
        let most = limits::WAITING_CLIENTS;
        let why = || format!("{most} clients have not said whom they are for (accept-proxy); new clients wait");
        (self.newcomers.len() >= most).then(why)
    }

    pub(super) fn len(&self) -> usize {
        self.newcomers.len()
    }
}

/// Why a client that has to say whom it is for does not come in.
#[derive(Debug)]
pub(super) enum AnnounceError {
    /// The connection ended before anything came.
    Ended,
    /// It ended inside the header.
    Cut,
    /// What came is no header.
    Header(HeaderError),
    /// The header did not come whole within this time.
    TimedOut(Duration),
    /// The connection broke.
    Socket(Errno),
}

impl fmt::Display for AnnounceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the connection ended before its header"),
            Self::Cut => f.write_str("the connection ended inside its header"),
            Self::Header(error) => error.fmt(f),
            Self::TimedOut(after) => {
                write!(f, "the client did not say whom it is for within {}", transcript::seconds(*after))
            }
            Self::Socket(error) => f.write_str(&words(&io::Error::from(*error))),
        }
    }
}

impl std::error::Error for AnnounceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Header(error) => Some(error),
            Self::Socket(error) => Some(error),
            Self::Ended | Self::Cut | Self::TimedOut(_) => None,
        }
    }
}

impl From<HeaderError> for AnnounceError {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

impl PendingClient {
    /// Takes what has come of the header; none where more has to come.
    fn hear(&mut self) -> Result<Option<Ends>, AnnounceError> {
        let mut bytes = [0; preface::LONGEST];
        loop {
            match recv(&self.fd, &mut bytes, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
                Ok((0, _)) if self.came.is_empty() => return Err(AnnounceError::Ended),
                Ok((0, _)) => return Err(AnnounceError::Cut),
                Ok((length, _)) => {
                    let before = self.came.len();
                    self.came.extend_from_slice(&bytes[..length]);
                    let ends = preface::read(&self.came)?;
                    // Without its end all that has come is of the header, and must be taken, or it would be told again and again.
                    let own = ends.as_ref().map_or(self.came.len(), |ends| ends.length) - before;
                    recv(&self.fd, &mut bytes[..own], RecvFlags::DONTWAIT).map_err(AnnounceError::Socket)?;
                    self.came.truncate(before + own);
                    if ends.is_some() {
                        return Ok(ends);
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(AnnounceError::Socket(error)),
            }
        }
    }
}

impl Loop {
    /// A client has to say first whom it is for.
    pub(super) fn await_header(&mut self, fd: OwnedFd, client: Name, server: Option<Box<Name>>, listener: usize) {
        let number = self.announced.number;
        self.announced.number = number.wrapping_add(1);
        if let Err(error) = self.poller.add(&fd, Token::Announced(number), Interest::Read) {
            let error = format!("{}: {client}: {}", self.origins[listener].endpoint, words(&error));
            return self.resources.observer.observe(Event::Dropped { count: 1, error });
        }
        let until = self.resources.now.after(limits::HANDSHAKE_WAIT);
        let newcomer = PendingClient { fd, client, server, listener, came: Vec::new(), until };
        self.announced.newcomers.insert(number, newcomer);
    }

    /// More of a header has come, or its end.
    pub(super) fn hear_header(&mut self, number: u32) {
        let Some(newcomer) = self.announced.newcomers.get_mut(&number) else { return };
        match newcomer.hear() {
            Ok(None) => {}
            Ok(Some(ends)) => self.come_in(number, ends),
            Err(why) => self.turn_away(number, &why),
        }
    }

    fn come_in(&mut self, number: u32, ends: Ends) {
        let Some(PendingClient { fd, mut client, mut server, listener, .. }) = self.announced.newcomers.remove(&number)
        else {
            return;
        };
        // It may go to another loop.
        let _ = self.poller.forget(&fd);
        if let Some((from, to)) = ends.addresses {
            (client, server) = (Name::Inet(from), Some(Box::new(Name::Inet(to))));
        }
        if self.all_played() {
            return;
        }
        let mut to_wake = 0;
        self.let_in(fd, client, server, listener, &mut to_wake);
        if let Some(Membership { workers, .. }) = &self.member {
            (0..self.bounds.threads)
                .filter(|worker| to_wake >> worker & 1 == 1)
                .for_each(|worker| workers.wake(worker));
        }
    }

    /// One does not come in.
    fn turn_away(&mut self, number: u32, why: &AnnounceError) {
        let Some(PendingClient { fd, client, listener, .. }) = self.announced.newcomers.remove(&number) else { return };
        // It is not to take this for an answer.
        let _ = sockopt::set_socket_linger(&fd, Some(Duration::ZERO));
        let error = format!("{}: {client}: PROXY protocol: {why}", self.origins[listener].endpoint);
        self.resources.observer.observe(Event::Dropped { count: 1, error });
    }

    /// Those that take too long.
    pub(super) fn wake_announced(&mut self) {
        while let Some((&number, newcomer)) = self.announced.newcomers.iter().next()
            && newcomer.until <= self.resources.now
        {
            self.turn_away(number, &AnnounceError::TimedOut(limits::HANDSHAKE_WAIT));
        }
    }

    /// The server is stopped: who is not in by now does not come in.
    pub(super) fn drop_announced(&mut self) {
        let count = std::mem::take(&mut self.announced.newcomers).len() as u64;
        if count > 0 {
            let error = "clients that had not said whom they are for: the server was stopped".to_owned();
            self.resources.observer.observe(Event::Dropped { count, error });
        }
    }
}
