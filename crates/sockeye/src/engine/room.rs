//! The bound on the memory of all buffers together: the connection that has waited longest goes first, in whatever loop it is.

use std::time::Duration;

use transcript::Moment;

use super::held::longest_first;
use super::threads::Membership;
use super::{DatagramServer, Loop};
use crate::event::Event;

/// How long a loop that has left it to another one to close something waits before it looks again, unless it is woken.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);
/// How long, and how often at most, a loop rests while another one that was asked makes room: what it would read meanwhile has
/// no room, and what it could close itself has not waited longest.
const REST: Duration = Duration::from_micros(100);
const RESTS: usize = 1000;

impl Loop {
    /// Bytes that the buffers of this loop take.
    fn buffered(&self) -> u64 {
        let datagrams: usize = self.datagrams.iter().map(DatagramServer::memory).sum();
        (self.memory + datagrams + self.groups.memory()) as u64
    }

    /// Bytes that the buffers of all loops take.
    fn buffered_in_all(&self) -> u64 {
        let own = self.buffered();
        let Some(Membership { workers, worker, .. }) = &self.member else { return own };
        workers.holds(*worker, own as usize);
        workers.memory() as u64
    }

    /// When to look again, where another loop was asked to close something.
    pub(super) fn looks_again(&self) -> Option<Moment> {
        Some(self.member.as_ref()?.left_it?.after(BETWEEN_LOOKS))
    }

    /// Closes conversations where all buffers together take more than they may: those that have waited longest, until an
    /// eighth is free. Where a conversation of another loop has waited longer, that loop is woken.
    pub(super) fn make_room(&mut self, was_woken: bool) {
        let most = self.bounds.memory;
        let (enough, far_too_much) = (most - most / 8, most + most / 8);
        let all = self.buffered_in_all();
        if let Some(member) = &mut self.member {
            if !member.workers.is_crowded(all > most, all <= enough) {
                member.left_it = None;
                return;
            }
            let waits = member.left_it.is_some_and(|left| self.resources.now < left.after(BETWEEN_LOOKS));
            if waits && !was_woken && all <= far_too_much {
                return;
            }
            member.left_it = None;
        } else if all <= most {
            return;
        }
        let before = self.resources.tally.closed;
        let why = format!(
            "all buffers together reached their bound of {} KiB (--max-memory): the conversation that waited longest goes first",
            most / 1024
        );
        for index in 0..self.datagrams.len() {
            while self.buffered_in_all() > enough && self.datagrams[index].memory() > self.memory {
                let mut is_dropped = false;
                self.with_datagrams(index, |server, _, context| is_dropped = server.drop_longest_idle(&why, context));
                if !is_dropped {
                    break;
                }
            }
        }
        let mut count = 0;
        while self.buffered_in_all() > enough && self.groups.memory() > self.memory && self.drop_longest_standing(&why)
        {
            count += 1;
        }
        self.close_longest_waiting(enough, far_too_much, &why);
        count += self.resources.tally.closed - before;
        if count > 0 {
            self.resources.observer.observe(Event::Dropped { count, error: why });
        }
    }

    /// Closes what has waited longest until there is enough room, or until another loop is asked. Where all hold far too much it
    /// waits for that one a little, and then closes its own.
    fn close_longest_waiting(&mut self, enough: u64, far_too_much: u64, why: &str) {
        let waiting = longest_first(self.channels.iter().map(|(key, channel)| (key, channel.held)));
        let (mut waiting, mut rests) = (waiting.peekable(), 0);
        loop {
            let next = waiting.peek().copied();
            if let Some(Membership { workers, worker, .. }) = &self.member {
                workers.waits_since(*worker, next.map_or(Moment::from_nanos(u64::MAX), |(since, _)| since));
            }
            let all = self.buffered_in_all();
            if all <= enough {
                break;
            }
            if let Some(Membership { workers, worker, left_it }) = &mut self.member
                && let Some(longer) = workers.waits_longer(*worker)
            {
                workers.wake(longer);
                *left_it = Some(self.resources.now);
                if all <= far_too_much || next.is_none() {
                    return;
                }
                if rests < RESTS {
                    rests += 1;
                    std::thread::sleep(REST);
                    continue;
                }
            }
            let Some((_, key)) = waiting.next() else { return };
            self.with_channel(key, |channel, context| channel.evict(why, context));
        }
        if let Some(Membership { workers, .. }) = &self.member {
            workers.is_crowded(false, true);
        }
    }
}
