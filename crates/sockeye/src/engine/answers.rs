//! Answers over datagrams on their way out. They go in batches, and a conversation is over when each of its answers was
//! taken by the system or never will be: what is said of it then is what happened.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use rustix::io::Errno;
use transcript::Moment;

use super::origin::Closer;
use crate::limits;
use crate::net::words_of_sending;
use crate::sys::datagrams::{Outbox, Refused};

/// What was exchanged in one conversation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange {
    pub(super) number: u64,
    pub(super) opened: Moment,
    pub(super) from_client: u64,
    pub(super) from_server: u64,
    /// The number of its first answer, over all conversations.
    pub(super) first: u64,
    /// Answers that the guard did not let out.
    pub(super) withheld: u64,
}

/// Both ends' addresses; ours where the socket has several.
pub(super) type Pair = (SocketAddr, Option<IpAddr>);

/// A conversation that is over but for answers on their way.
#[derive(Debug)]
pub(super) struct Draining {
    pub(super) pair: Pair,
    pub(super) exchange: Exchange,
    pub(super) by: Closer,
    pub(super) reason: Option<String>,
    /// The number of the first datagram that is none of its own any more.
    pub(super) end: u64,
}

/// What could not be sent of a conversation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loss {
    pub(super) count: u64,
    pub(super) bytes: u64,
    error: Errno,
}

/// The system has no room.
#[derive(Debug, Clone, Copy)]
struct SendBackoff {
    /// When it is tried again.
    again: Moment,
    /// When those with a number below `end` are given up.
    until: Moment,
    end: u64,
}

#[derive(Debug, Default)]
pub(super) struct Answers {
    outbox: Outbox,
    pub(super) draining: Vec<Draining>,
    refused: Vec<Refused>,
    stuck: Option<SendBackoff>,
}

impl Answers {
    /// Queues a datagram; there may be no room for it.
    pub(super) fn push(&mut self, payload: &[u8], pair: Pair) {
        self.outbox.push(payload, pair.0, pair.1);
    }

    /// Whether the system had no room for more than may wait here.
    pub(super) fn is_full(&self) -> bool {
        self.stuck.is_some() && self.outbox.bytes() > limits::SEND_QUEUE
    }

    pub(super) fn is_empty(&self) -> bool {
        self.outbox.is_empty() && self.draining.is_empty()
    }

    /// Bytes of memory that they take.
    pub(super) fn memory(&self) -> usize {
        self.outbox.bytes() + self.draining.len() * size_of::<Draining>()
    }

    /// Whether all that was queued is sent, or never will be.
    pub(super) fn are_sent(&self) -> bool {
        self.outbox.is_empty()
    }

    /// The number of the next datagram.
    pub(super) fn next_number(&self) -> u64 {
        self.outbox.next_number()
    }

    /// Sends what the system takes; what it has had no room for, for long, is given up.
    pub(super) fn send(&mut self, fd: impl AsFd, now: Moment) {
        if self.outbox.is_empty() {
            return;
        }
        self.outbox.send(fd, &mut self.refused);
        if let Some(stuck) = self.stuck.filter(|stuck| now >= stuck.until) {
            self.outbox.give_up(stuck.end, &mut self.refused);
            self.stuck = None;
        }
        if self.outbox.is_empty() {
            self.stuck = None;
            return;
        }
        let (until, end) = (now.after(limits::DATAGRAM_SEND_WAIT), self.outbox.next_number());
        self.stuck.get_or_insert(SendBackoff { again: now, until, end }).again = now.after(limits::DATAGRAM_AGAIN);
    }

    /// Waits for nothing any more.
    pub(super) fn give_up(&mut self) {
        self.outbox.give_up(u64::MAX, &mut self.refused);
    }

    /// When to try again.
    pub(super) fn wakes(&self) -> Option<Moment> {
        self.stuck.map(|stuck| stuck.again)
    }

    /// What was refused since the last look.
    pub(super) fn has_losses(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Whose answers could not be sent.
    pub(super) fn losers(&self) -> Vec<Pair> {
        self.refused.iter().map(|refused| (refused.to, refused.from)).collect()
    }

    /// What could not be sent of the datagrams to a peer with these numbers.
    pub(super) fn loss(&self, pair: Pair, numbers: std::ops::Range<u64>) -> Option<Loss> {
        let of_pair = self.refused.iter().filter(|refused| (refused.to, refused.from) == pair);
        of_pair.fold(None, |loss: Option<Loss>, refused| match refused.among(numbers.clone()) {
            (0, _) => loss,
            (count, bytes) => {
                let before = loss.map_or((0, 0), |loss| (loss.count, loss.bytes));
                Some(Loss { count: before.0 + count, bytes: before.1 + bytes, error: refused.error })
            }
        })
    }

    /// Takes those whose answers have all left, or never will.
    pub(super) fn take_gone(&mut self) -> Vec<Draining> {
        let first = self.outbox.first_number();
        if first == self.outbox.next_number() {
            return std::mem::take(&mut self.draining);
        }
        let (gone, left) = std::mem::take(&mut self.draining).into_iter().partition(|leaving| leaving.end <= first);
        self.draining = left;
        gone
    }

    /// Nobody who is left was refused anything.
    pub(super) fn forget_losses(&mut self) {
        if self.draining.is_empty() {
            self.refused.clear();
        }
    }
}

impl Loss {
    /// What was not sent, and why.
    pub(super) fn words(self) -> String {
        let Self { count, bytes, error } = self;
        let what = if count == 1 { "1 answer".to_owned() } else { format!("{count} answers") };
        let why = match error {
            Errno::NOBUFS | Errno::NOMEM | Errno::AGAIN => {
                let waited = transcript::seconds(limits::DATAGRAM_SEND_WAIT);
                format!("the queue of the interface was full for {waited}")
            }
            // No answer goes to a broadcast address, so that it can only be a firewall.
            Errno::ACCESS => words_of_sending(&std::io::Error::from(Errno::PERM)),
            other => words_of_sending(&std::io::Error::from(other)),
        };
        format!("{what} of {bytes} bytes could not be sent: {why}")
    }
}
