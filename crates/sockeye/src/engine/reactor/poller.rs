//! Which sockets are ready: epoll(7), level-triggered, so that what is left unread is told again.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use std::vec::Drain;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use super::token::Token;
use crate::net::timespec;

/// What a socket is watched for. Errors and hang-ups are always told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Interest {
    Nothing,
    Read,
    Write,
}

impl Interest {
    fn flags(self) -> EventFlags {
        match self {
            // A hang-up is told even to who asked for nothing: edge-triggered, once and not without end.
            Self::Nothing => EventFlags::ET,
            Self::Read => EventFlags::IN,
            Self::Write => EventFlags::OUT,
        }
    }
}

/// One socket that is ready.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Ready {
    pub(in crate::engine) token: Token,
    /// The socket has an error, or both directions are shut.
    pub(in crate::engine) broken: bool,
}

pub(in crate::engine) struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poller {
    pub(in crate::engine) fn new() -> io::Result<Self> {
        Ok(Self::over(epoll::create(CreateFlags::CLOEXEC)?))
    }

    /// One that another thread has made ready.
    pub(in crate::engine) fn over(epoll: OwnedFd) -> Self {
        Self { epoll, events: Vec::with_capacity(1024) }
    }

    /// What another thread takes over.
    pub(in crate::engine) fn into_epoll(self) -> OwnedFd {
        self.epoll
    }

    pub(in crate::engine) fn add(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(token.pack()), interest.flags())?)
    }

    pub(in crate::engine) fn change(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, EventData::new_u64(token.pack()), interest.flags())?)
    }

    /// Tells of it no more.
    pub(in crate::engine) fn forget(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Waits until a socket is ready or the time has passed; `None` waits for ever. An interrupted wait finds nothing.
    pub(in crate::engine) fn wait(&mut self, time: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        ready.extend(wait(&self.epoll, &mut self.events, time)?.map(|event| {
            let flags = event.flags;
            Ready {
                token: Token::unpack(event.data.u64()),
                broken: flags.intersects(EventFlags::ERR | EventFlags::HUP),
            }
        }));
        Ok(())
    }
}

/// What epoll tells within this time, as many events as there is room for; none where the wait was interrupted.
pub(in crate::engine) fn wait<'a>(
    epoll: &OwnedFd,
    events: &'a mut Vec<Event>,
    time: Option<Duration>,
) -> io::Result<Drain<'a, Event>> {
    events.clear();
    match epoll::wait(epoll, spare_capacity(events), time.map(timespec).as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(events.drain(..)),
        Err(error) => Err(error.into()),
    }
}
