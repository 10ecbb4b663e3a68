//! Which sockets are ready: epoll(7), edge-triggered. A pair of sockets is read and written in turn, so that what is ready
//! is remembered with each socket, and nothing is said to the kernel for as long as they live.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use super::super::reactor::poller::wait;
use super::super::reactor::token::Key;

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
pub(super) enum Token {
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

/// Set where the number is no key; a kind stands above an index then.
const OTHERS: u64 = 1 << 63;

impl Token {
    fn pack(self) -> u64 {
        match self {
            Self::Pair(Key { slot, generation }, end) => {
                u64::from(generation) << 32 | u64::from(slot) << 1 | u64::from(end == End::Far)
            }
            Self::Listener(index) => OTHERS | u64::from(index),
            Self::Datagrams(index) => OTHERS | 1 << 32 | u64::from(index),
            Self::Stop => OTHERS | 2 << 32,
            Self::Mail => OTHERS | 3 << 32,
            Self::Faults => OTHERS | 4 << 32,
        }
    }

    fn unpack(number: u64) -> Self {
        let (high, low) = ((number >> 32) as u32, number as u32);
        if number & OTHERS == 0 {
            let end = if low & 1 == 1 { End::Far } else { End::Near };
            return Self::Pair(Key { slot: low >> 1, generation: high }, end);
        }
        match high & Key::GENERATIONS {
            0 => Self::Listener(low),
            1 => Self::Datagrams(low),
            2 => Self::Stop,
            3 => Self::Mail,
            _ => Self::Faults,
        }
    }
}

/// What a socket is ready for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ready {
    pub(super) who: Token,
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
        epoll::add(&self.epoll, fd, EventData::new_u64(Token::Pair(key, end).pack()), flags)
    }

    /// Watches something that is told of for as long as it is there to be read.
    pub(super) fn add(&self, fd: impl AsFd, who: Token) -> Result<(), Errno> {
        epoll::add(&self.epoll, fd, EventData::new_u64(who.pack()), EventFlags::IN)
    }

    /// Watches it again, or no more.
    pub(super) fn watch(&self, fd: impl AsFd, who: Token, is_watched: bool) -> Result<(), Errno> {
        let flags = if is_watched { EventFlags::IN } else { EventFlags::ET };
        epoll::modify(&self.epoll, fd, EventData::new_u64(who.pack()), flags)
    }

    pub(super) fn remove(&self, fd: impl AsFd) {
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits until something is ready or the time has passed; `None` waits for ever.
    pub(super) fn wait(&mut self, time: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        ready.extend(wait(&self.epoll, &mut self.events, time)?.map(|event| {
            let flags = event.flags;
            Ready {
                who: Token::unpack(event.data.u64()),
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
            Token::Pair(key(0, 0), End::Near),
            Token::Pair(key(0, 0), End::Far),
            Token::Pair(key(u32::MAX >> 1, Key::GENERATIONS), End::Far),
            Token::Listener(0),
            Token::Listener(7),
            Token::Datagrams(3),
            Token::Stop,
            Token::Mail,
            Token::Faults,
        ];
        for (index, who) in all.into_iter().enumerate() {
            assert_eq!(Token::unpack(who.pack()), who);
            assert!(all[..index].iter().all(|other| other.pack() != who.pack()), "{who:?}");
        }
    }
}
