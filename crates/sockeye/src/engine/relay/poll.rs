//! Which sockets are ready: epoll(7), edge-triggered. A pair of sockets is read and written in turn, so that what is ready
//! is remembered with each socket, and nothing is said to the kernel for as long as they live.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use super::super::reactor::poller::wait;
use super::super::reactor::token::{EventNumber, Key};

/// Which end of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// The client's.
    Near,
    /// The server's.
    Far,
}

impl End {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Near => Self::Far,
            Self::Far => Self::Near,
        }
    }
}

/// Whom a ready descriptor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RelayToken {
    Pair(Key, End),
    /// A listening socket, by its index.
    Listener(u32),
    /// A datagram socket, by its index.
    Datagrams(u32),
    /// The relay is to end.
    Stop,
    /// A word from another loop.
    Mail,
    /// Faults have changed.
    Faults,
}

impl RelayToken {
    fn pack(self) -> u64 {
        let number = match self {
            Self::Pair(key, End::Near) => EventNumber::Part(key, 0),
            Self::Pair(key, End::Far) => EventNumber::Part(key, 1),
            Self::Listener(index) => EventNumber::Other { kind: 0, index },
            Self::Datagrams(index) => EventNumber::Other { kind: 1, index },
            Self::Stop => EventNumber::single(2),
            Self::Mail => EventNumber::single(3),
            Self::Faults => EventNumber::single(4),
        };
        number.pack()
    }

    fn unpack(number: u64) -> Self {
        match EventNumber::unpack(number) {
            EventNumber::Part(key, 0) => Self::Pair(key, End::Near),
            EventNumber::Part(key, _) => Self::Pair(key, End::Far),
            EventNumber::Other { kind: 0, index } => Self::Listener(index),
            EventNumber::Other { kind: 1, index } => Self::Datagrams(index),
            EventNumber::Other { kind: 2, .. } => Self::Stop,
            EventNumber::Other { kind: 3, .. } => Self::Mail,
            EventNumber::Other { .. } => Self::Faults,
        }
    }
}

/// What a socket is ready for, as an edge-triggered epoll tells it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Readiness {
    pub(super) who: RelayToken,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The peer's end has come, or is about to be read.
    pub(super) hung: bool,
    pub(super) broken: bool,
}

pub(super) struct Poll {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poll {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self::over(epoll::create(CreateFlags::CLOEXEC)?))
    }

    /// One that another thread has made ready.
    pub(super) fn over(epoll: OwnedFd) -> Self {
        Self { epoll, events: Vec::with_capacity(512) }
    }

    /// What another thread takes over.
    pub(super) fn into_epoll(self) -> OwnedFd {
        self.epoll
    }

    /// Watches one end of a pair for everything that changes.
    pub(super) fn add_end(&self, fd: impl AsFd, key: Key, end: End) -> Result<(), Errno> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, fd, EventData::new_u64(RelayToken::Pair(key, end).pack()), flags)
    }

    /// Watches something that is told of for as long as it is there to be read.
    pub(super) fn add(&self, fd: impl AsFd, who: RelayToken) -> Result<(), Errno> {
        epoll::add(&self.epoll, fd, EventData::new_u64(who.pack()), EventFlags::IN)
    }

    /// Watches it again, or no more.
    pub(super) fn watch(&self, fd: impl AsFd, who: RelayToken, is_watched: bool) -> Result<(), Errno> {
        let flags = if is_watched { EventFlags::IN } else { EventFlags::ET };
        epoll::modify(&self.epoll, fd, EventData::new_u64(who.pack()), flags)
    }

    pub(super) fn remove(&self, fd: impl AsFd) {
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits until something is ready or the time has passed; `None` waits for ever.
    pub(super) fn wait(&mut self, time: Option<Duration>, ready: &mut Vec<Readiness>) -> io::Result<()> {
        ready.clear();
        ready.extend(wait(&self.epoll, &mut self.events, time)?.map(|event| {
            let flags = event.flags;
            Readiness {
                who: RelayToken::unpack(event.data.u64()),
                readable: flags.contains(EventFlags::IN),
                writable: flags.contains(EventFlags::OUT),
                hung: flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR),
                broken: flags.intersects(EventFlags::HUP | EventFlags::ERR),
            }
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let key = |slot, generation| Key { slot, generation };
        let all = [
            RelayToken::Pair(key(0, 0), End::Near),
            RelayToken::Pair(key(0, 0), End::Far),
            RelayToken::Pair(key(u32::MAX, Key::GENERATIONS), End::Far),
            RelayToken::Listener(0),
            RelayToken::Listener(7),
            RelayToken::Datagrams(3),
            RelayToken::Stop,
            RelayToken::Mail,
            RelayToken::Faults,
        ];
        for (index, who) in all.into_iter().enumerate() {
            assert_eq!(RelayToken::unpack(who.pack()), who);
            assert!(all[..index].iter().all(|other| other.pack() != who.pack()), "{who:?}");
        }
    }
}
