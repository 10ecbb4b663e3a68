//! Answers over datagrams on their way out. They go in batches, and a conversation is over when each of its answers was
//! taken by the system or never will be: what is said of it then is what happened.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use transcript::Moment;

use super::origin::Closer;
use crate::limits;
use crate::net::message;
use crate::net::words_of_sending;
use crate::sys::datagrams::{Outbox, PeerAddress, Refused, UnixPeers};

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
pub(super) type Pair = (PeerAddress, Option<IpAddr>);

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
    to: PeerAddress,
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
    /// Where the peers of a Unix socket are.
    unix: Option<Arc<UnixPeers>>,
}

impl Answers {
    /// Those of a socket; of a Unix socket where its peers are.
    pub(super) fn new(unix: Option<Arc<UnixPeers>>) -> Self {
        Self { outbox: Outbox::to_unix(unix.clone()), unix, ..Self::default() }
    }

    /// Queues a datagram; there may be no room for it.
    pub(super) fn push(&mut self, payload: &[u8], pair: Pair) {
        self.outbox.push(payload, pair.0, pair.1);
    }

    /// Whether the system had no room for more than may wait here for a peer.
    pub(super) fn is_full(&self, to: PeerAddress) -> bool {
        let has_room = |unix: &UnixPeers, peer| unix.has_room(peer, limits::SEND_QUEUE, limits::UNREAD_MESSAGES);
        let most = match (&self.unix, to) {
            (Some(unix), PeerAddress::Unix(peer)) if !has_room(unix, peer) => return true,
            (Some(_), _) => limits::WAITING_IN_ALL,
            (None, _) => limits::SEND_QUEUE,
        };
        self.stuck.is_some() && self.outbox.bytes() > most
    }

    /// To whom an answer is on its way.
    pub(super) fn peers(&self) -> impl Iterator<Item = PeerAddress> {
        self.outbox.peers().chain(self.draining.iter().map(|draining| draining.pair.0))
    }

    /// How long the system may have no room. Over a Unix socket that is a client that does not read.
    fn send_limit(&self) -> Duration {
        if self.unix.is_some() { limits::WRITE_WAIT } else { limits::DATAGRAM_SEND_WAIT }
    }

    /// Whether the system had no room when answers were last sent.
    pub(super) fn are_stuck(&self) -> bool {
        self.stuck.is_some()
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
        let (until, end) = (now.after(self.send_limit()), self.outbox.next_number());
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
                Some(Loss { count: before.0 + count, bytes: before.1 + bytes, error: refused.error, to: pair.0 })
            }
        })
    }

    /// Takes those whose answers have all left, or never will.
    pub(super) fn take_gone(&mut self) -> Vec<Draining> {
        let first = self.outbox.first_number();
        if first == self.outbox.next_number() {
            return std::mem::take(&mut self.draining);
        }
        // A client of a Unix socket that does not read holds up no other client.
        let is_gone = |leaving: &Draining| match (&self.unix, leaving.pair.0) {
            (Some(unix), PeerAddress::Unix(peer)) => unix.first(peer).is_none_or(|first| leaving.end <= first),
            _ => leaving.end <= first,
        };
        let (gone, left) = std::mem::take(&mut self.draining).into_iter().partition(is_gone);
        self.draining = left;
        gone
    }

    /// No client that is left was refused anything.
    pub(super) fn forget_losses(&mut self) {
        if self.draining.is_empty() {
            self.refused.clear();
        }
    }
}

impl Loss {
    /// What was not sent, and why.
    pub(super) fn words(self) -> String {
        let Self { count, bytes, error, to } = self;
        let what = if count == 1 { "1 answer".to_owned() } else { format!("{count} answers") };
        format!("{what} of {bytes} bytes could not be sent: {}", words_of_unsent(error, to))
    }
}

/// Why an answer to a peer was not sent.
pub(super) fn words_of_unsent(error: Errno, to: PeerAddress) -> String {
    let waited = transcript::seconds;
    match error {
        Errno::NOBUFS | Errno::NOMEM | Errno::AGAIN if to.is_unix() => {
            format!("their client took nothing for {}", waited(limits::WRITE_WAIT))
        }
        Errno::DESTADDRREQ if to.is_unix() => message::UNNAMED.to_owned(),
        Errno::CONNREFUSED | Errno::NOENT if to.is_unix() => "their client is gone".to_owned(),
        Errno::PERM if to.is_unix() => "their client hears somebody else only (it is connected)".to_owned(),
        Errno::NOBUFS | Errno::NOMEM | Errno::AGAIN => {
            format!("the queue of the interface was full for {}", waited(limits::DATAGRAM_SEND_WAIT))
        }
        // No answer goes to a broadcast address, so that it can only be a firewall.
        Errno::ACCESS if !to.is_unix() => words_of_sending(&std::io::Error::from(Errno::PERM)),
        other => words_of_sending(&std::io::Error::from(other)),
    }
}
