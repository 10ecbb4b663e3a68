//! What the loops of a relay share, a thread each: counts, the servers, whom events are told, and letters.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use transcript::Moment;

use super::super::mailbox::Mailbox;
use super::RelaySettings;
use super::pair::Client;
use super::summary::{Outcome, PairFailure};
use super::targets::Targets;
use crate::event::{Event, Observer};

/// What one loop tells another.
pub(super) enum RelayMessage {
    Client(Box<Client>),
    /// Pairs have until this moment.
    Stop(Moment),
    /// Whatever is open is cut now.
    End,
}

struct Worker {
    live: AtomicUsize,
    /// Its thread has ended.
    is_empty: AtomicBool,
    mail: Mailbox<RelayMessage>,
}

/// The loops of one relay. The first has the listening sockets.
pub(super) struct RelayState {
    pub(super) options: RelaySettings,
    pub(super) targets: Targets,
    list: Vec<Worker>,
    observer: Mutex<Box<dyn Observer>>,
    /// The first loop is to hear when a pair ends.
    pub(super) is_attentive: AtomicBool,
    opened: AtomicU64,
    closed: AtomicU64,
    failed: AtomicU64,
    cut: AtomicU64,
    from_clients: AtomicU64,
    from_servers: AtomicU64,
    lost: AtomicU64,
    failure: Mutex<Option<PairFailure>>,
    /// A record or a capture is not whole.
    is_unwritten: AtomicBool,
}

impl RelayState {
    pub(super) fn new(options: RelaySettings, targets: Targets, observer: Box<dyn Observer>) -> io::Result<Self> {
        let list = (0..options.threads.max(1))
            .map(|_| Ok(Worker { live: AtomicUsize::new(0), is_empty: AtomicBool::new(false), mail: Mailbox::new()? }));
        Ok(Self {
            list: list.collect::<io::Result<_>>()?,
            options,
            targets,
            observer: Mutex::new(observer),
            is_attentive: AtomicBool::new(false),
            opened: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            from_clients: AtomicU64::new(0),
            from_servers: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            failure: Mutex::default(),
            is_unwritten: AtomicBool::new(false),
        })
    }

    pub(super) fn observe(&self, event: Event) {
        self.observer.lock().unwrap_or_else(PoisonError::into_inner).observe(event);
    }

    /// Says why a record or a capture is not whole, which the relay outlives.
    pub(super) fn tell_unwritten(&self, what: &str, why: &str) {
        self.is_unwritten.store(true, Ordering::SeqCst);
        self.observe(Event::Notice(format!("{what} is not whole: {why}; the relay goes on")));
    }

    /// The number of the next connection.
    pub(super) fn next_number(&self) -> u64 {
        let opened = self.opened.fetch_add(1, Ordering::Relaxed) + 1;
        self.options.numbers.as_ref().map_or(opened, |numbers| numbers.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(super) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Pairs of all loops.
    pub(super) fn live(&self) -> usize {
        self.list.iter().map(|worker| worker.live.load(Ordering::Relaxed)).sum()
    }

    /// The loop with the fewest pairs.
    pub(super) fn freest(&self) -> usize {
        let live = |worker: &Worker| worker.live.load(Ordering::Relaxed);
        let there = self.list.iter().enumerate().filter(|(_, worker)| !worker.is_empty.load(Ordering::Relaxed));
        there.min_by_key(|(_, worker)| live(worker)).map_or(0, |(index, _)| index)
    }

    /// A loop has ended: nothing of it counts any more, and who is on the way to it is closed.
    pub(super) fn leave(&self, worker: usize) {
        self.list[worker].is_empty.store(true, Ordering::SeqCst);
        self.list[worker].live.store(0, Ordering::SeqCst);
        drop(self.messages(worker));
        self.wake(0);
    }

    pub(super) fn add(&self, worker: usize) {
        self.list[worker].live.fetch_add(1, Ordering::Relaxed);
    }

    /// A pair has ended.
    pub(super) fn remove(&self, worker: usize, outcome: &Outcome) {
        let Outcome { from_client, from_server, lost, failure, is_cut } = outcome;
        self.from_clients.fetch_add(*from_client, Ordering::Relaxed);
        self.from_servers.fetch_add(*from_server, Ordering::Relaxed);
        self.lost.fetch_add(*lost, Ordering::Relaxed);
        if *is_cut {
            self.cut.fetch_add(1, Ordering::Relaxed);
        } else {
            self.closed.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(failure) = failure {
            self.failed.fetch_add(1, Ordering::Relaxed);
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(*failure);
        }
        self.list[worker].live.fetch_sub(1, Ordering::SeqCst);
        if worker != 0 && self.is_attentive.load(Ordering::SeqCst) {
            self.wake(0);
        }
    }

    pub(super) fn summary(&self, at_once: bool) -> super::Summary {
        let get = |count: &AtomicU64| count.load(Ordering::SeqCst);
        super::Summary {
            opened: get(&self.opened),
            closed: get(&self.closed),
            failed: get(&self.failed),
            cut: get(&self.cut),
            from_clients: get(&self.from_clients),
            from_servers: get(&self.from_servers),
            lost: get(&self.lost),
            failure: *self.failure.lock().unwrap_or_else(PoisonError::into_inner),
            at_once,
            is_unwritten: self.is_unwritten.load(Ordering::SeqCst),
        }
    }

    pub(super) fn waker(&self, worker: usize) -> BorrowedFd<'_> {
        self.list[worker].mail.as_fd()
    }

    pub(super) fn write(&self, worker: usize, message: RelayMessage) {
        self.list[worker].mail.write(message);
        self.wake(worker);
    }

    /// A message for each loop but the first.
    pub(super) fn write_all(&self, message: impl Fn() -> RelayMessage) {
        (1..self.list.len()).for_each(|worker| self.write(worker, message()));
    }

    /// The messages that have come.
    pub(super) fn messages(&self, worker: usize) -> Vec<RelayMessage> {
        self.list[worker].mail.take()
    }

    fn wake(&self, worker: usize) {
        self.list[worker].mail.wake();
    }
}
