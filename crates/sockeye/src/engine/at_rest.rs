//! Where clients wait for room, connections that are kept without a request in hand make way, those that have rested longest
//! first. Between two requests either end may close (RFC 9112, section 9.3.1), and clients ask again over another connection;
//! one with a request in hand is never closed for others.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use transcript::Moment;

use super::channel::{Channel, ChannelStatus};
use super::origin::Closer;
use super::reactor::token::Key;
use super::threads::Membership;
use super::workers::Message;
use super::{Context, Loop};
use crate::limits;

/// How many are closed at once: to look for them takes as long for one as for all.
const SHARE: usize = 8;
const MOST: usize = 32;

/// What became of a client that waits while there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// There is room now.
    HasRoom,
    /// There is no such client: for the next one, a connection that rests can make way.
    NoClientWaits,
    IsFull,
}

impl Loop {
    /// Makes room for those who wait at a site's listener. Other loops are asked where this one has nothing that rests.
    pub(super) fn make_way(&mut self, listener: usize) -> Admission {
        if self.resources.stopping || self.origins[listener].behaviour.site().is_none() {
            return Admission::IsFull;
        }
        if !is_ready(&self.listeners[listener].fd) {
            return Admission::NoClientWaits;
        }
        if self.close_resting() {
            return Admission::HasRoom;
        }
        if let Some(Membership { workers, worker: 0, .. }) = &self.member {
            workers.write_all(|| Message::MakeWay);
        }
        Admission::IsFull
    }

    /// Closes some that rest; whether there were any.
    pub(super) fn close_resting(&mut self) -> bool {
        let (now, wait) = (self.resources.now, self.bounds.wait);
        let rested = |since: &Moment| since.after(limits::REST) <= now;
        let resting = self.channels.iter().filter_map(|(key, channel)| Some((channel.rests_since(wait)?, key)));
        let mut resting: Vec<(Moment, Key)> = resting.filter(|(since, _)| rested(since)).collect();
        resting.sort_unstable();
        resting.truncate((resting.len() / SHARE).clamp(1, MOST));
        let before = self.resources.tally.closed;
        for (_, key) in resting {
            self.with_channel(key, Channel::leave);
        }
        self.resources.tally.closed > before
    }
}

/// Whether a client waits at a listener.
fn is_ready(fd: &impl std::os::fd::AsFd) -> bool {
    let mut waits = [PollFd::new(fd, PollFlags::IN)];
    poll(&mut waits, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|count| count > 0)
}

impl Channel {
    /// Since when it is kept without a request in hand, if it has had one.
    fn rests_since(&self, wait: Option<Duration>) -> Option<Moment> {
        let keep_alive = wait.map_or(limits::KEEP_ALIVE, |wait| wait.min(limits::KEEP_ALIVE));
        let has_rested = self.is_open() && self.has_answered() && self.rests() && self.outbox.is_empty();
        let until = self.deadline.filter(|_| has_rested)?;
        Some(Moment::from_nanos(until.nanos().saturating_sub(u64::try_from(keep_alive.as_nanos()).unwrap_or(u64::MAX))))
    }

    /// Ends one that rests, unless a request has come by now.
    fn leave(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        if self.hear_what_came(context) == ChannelStatus::Closed {
            return ChannelStatus::Closed;
        }
        if self.rests_since(context.wait).is_none_or(|since| since.after(limits::REST) > context.now) {
            return ChannelStatus::Open;
        }
        self.by = Closer::Us;
        self.reason = Some("between two requests, for clients that wait".into());
        if self.say_end(context) == ChannelStatus::Closed { ChannelStatus::Closed } else { self.gone(context) }
    }
}
