//! Several loops that serve together, a thread each. The first has every socket that listens and hands connections to the one
//! with the fewest; it also has the datagram sockets. What stands here is all that the loops share.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use transcript::Moment;

use super::channel::ConnectionInfo;
use super::mailbox::Mailbox;
use super::origin::Origin;

/// What one loop tells another.
pub(super) enum Message {
    /// A client to serve, told of as opened already.
    Client(OwnedFd, ConnectionInfo),
    /// What new conversations get from here.
    Origins(Vec<Origin>),
    /// Open exchanges have until this moment.
    Stop(Moment),
    /// Clients wait for room: what rests is closed.
    MakeWay,
    /// Whatever is open is cut now.
    End { at_once: bool },
}

/// What the others see of one loop. Each has cache lines of its own: only what changes for all is fetched by all.
#[repr(align(128))]
struct Worker {
    /// Connections, those on their way to it included.
    live: AtomicUsize,
    /// Conversations that have ended there.
    closed: AtomicU64,
    /// Bytes that its buffers take.
    memory: AtomicUsize,
    /// Since when the first of what they hold waits, in nanoseconds, when it last looked; 0 asks it to look.
    waits_since: AtomicU64,
    /// Its thread has ended, or never began.
    is_empty: AtomicBool,
    mail: Mailbox<Message>,
}

/// The loops of one server. The first one's seat is 0.
pub(super) struct Workers {
    list: Box<[Worker]>,
    /// The first wants to know of every connection that ends.
    is_attentive: AtomicBool,
    /// A loop ended though it was not stopped.
    has_lost: AtomicBool,
    /// All buffers together took more than they may, and room is being made.
    is_crowded: AtomicBool,
}

impl Workers {
    /// Seats for so many loops; only the first one's is taken.
    ///
    /// # Errors
    /// As eventfd(2).
    pub(super) fn new(loops: usize) -> io::Result<Self> {
        let list = (0..loops).map(|index| {
            Ok(Worker {
                live: AtomicUsize::new(0),
                closed: AtomicU64::new(0),
                memory: AtomicUsize::new(0),
                waits_since: AtomicU64::new(0),
                is_empty: AtomicBool::new(index > 0),
                mail: Mailbox::new()?,
            })
        });
        let (is_attentive, has_lost, is_crowded) = Default::default();
        Ok(Self { list: list.collect::<io::Result<_>>()?, is_attentive, has_lost, is_crowded })
    }

    pub(super) fn waker(&self, worker: usize) -> BorrowedFd<'_> {
        self.list[worker].mail.as_fd()
    }

    /// A loop is there.
    pub(super) fn join(&self, worker: usize) {
        self.list[worker].is_empty.store(false, Ordering::SeqCst);
    }

    /// A loop has ended: nothing of it counts any more but what it closed.
    pub(super) fn leave(&self, worker: usize, in_order: bool) {
        let left = &self.list[worker];
        left.is_empty.store(true, Ordering::SeqCst);
        left.live.store(0, Ordering::SeqCst);
        left.memory.store(0, Ordering::SeqCst);
        if !in_order {
            self.has_lost.store(true, Ordering::SeqCst);
        }
        self.wake(0);
    }

    /// Whether a loop ended that should not have.
    pub(super) fn has_lost(&self) -> bool {
        self.has_lost.load(Ordering::SeqCst)
    }

    /// The loop with the fewest connections: the next one is for it.
    pub(super) fn freest(&self) -> usize {
        let there = self.list.iter().enumerate().filter(|(_, worker)| !worker.is_empty.load(Ordering::SeqCst));
        there.min_by_key(|(_, worker)| worker.live.load(Ordering::SeqCst)).map_or(0, |(index, _)| index)
    }

    /// Connections of all loops.
    pub(super) fn live(&self) -> usize {
        self.list.iter().map(|worker| worker.live.load(Ordering::SeqCst)).sum()
    }

    /// Conversations that have ended in the loops other than the first.
    pub(super) fn closed_elsewhere(&self) -> u64 {
        self.list.iter().skip(1).map(|worker| worker.closed.load(Ordering::SeqCst)).sum()
    }

    /// A connection is for this loop.
    pub(super) fn add(&self, worker: usize) {
        self.list[worker].live.fetch_add(1, Ordering::SeqCst);
    }

    /// A connection of this loop has ended; so many conversations had, all in all.
    pub(super) fn remove(&self, worker: usize, closed: u64) {
        self.list[worker].closed.store(closed, Ordering::SeqCst);
        self.list[worker].live.fetch_sub(1, Ordering::SeqCst);
        if worker != 0 && self.is_attentive.load(Ordering::SeqCst) {
            self.wake(0);
        }
    }

    /// Whether the first is to hear of every end; true if that is new, and what ended before was not told.
    pub(super) fn attend(&self, is_attentive: bool) -> bool {
        !self.is_attentive.swap(is_attentive, Ordering::SeqCst) && is_attentive
    }

    /// The buffers of this loop take so many bytes.
    pub(super) fn holds(&self, worker: usize, bytes: usize) {
        // Mostly nothing has changed, and then no loop has to fetch it again.
        let memory = &self.list[worker].memory;
        if memory.load(Ordering::Relaxed) != bytes {
            memory.store(bytes, Ordering::Relaxed);
        }
    }

    /// Bytes that the buffers of all loops take.
    pub(super) fn memory(&self) -> usize {
        self.list.iter().map(|worker| worker.memory.load(Ordering::Relaxed)).sum()
    }

    /// Whether room is to be made: from when there is too little of it until there is enough.
    pub(super) fn is_crowded(&self, too_much: bool, enough: bool) -> bool {
        let was = self.is_crowded.load(Ordering::SeqCst);
        if too_much && !was {
            // What the loops said before is long ago.
            self.list.iter().for_each(|worker| worker.waits_since.store(0, Ordering::SeqCst));
        }
        let is_crowded = too_much || was && !enough;
        if is_crowded != was {
            self.is_crowded.store(is_crowded, Ordering::SeqCst);
        }
        is_crowded
    }

    /// Of what this loop holds, the first waits since then.
    pub(super) fn waits_since(&self, worker: usize, since: Moment) {
        self.list[worker].waits_since.store(since.nanos(), Ordering::SeqCst);
    }

    /// A loop that holds something which waits longer than all that this one holds, or that has not said so.
    pub(super) fn waits_longer(&self, worker: usize) -> Option<usize> {
        let since = |worker: &Worker| worker.waits_since.load(Ordering::SeqCst);
        let own = since(&self.list[worker]);
        let others = self.list.iter().enumerate().filter(|(index, _)| *index != worker);
        let holding = others.filter(|(_, worker)| worker.memory.load(Ordering::Relaxed) > 0);
        let first = holding.map(|(index, worker)| (since(worker), index)).min()?;
        (first.0 < own).then_some(first.1)
    }

    /// Leaves a message; who has left enough of them wakes the loop.
    pub(super) fn write(&self, worker: usize, message: Message) {
        self.list[worker].mail.write(message);
    }

    /// Leaves a message for each loop but the first, and wakes it.
    pub(super) fn write_all(&self, message: impl Fn() -> Message) {
        let there = |worker: &usize| !self.list[*worker].is_empty.load(Ordering::SeqCst);
        for worker in (1..self.list.len()).filter(there) {
            self.write(worker, message());
            self.wake(worker);
        }
    }

    /// The messages that have come.
    pub(super) fn messages(&self, worker: usize) -> Vec<Message> {
        self.list[worker].mail.take()
    }

    pub(super) fn wake(&self, worker: usize) {
        self.list[worker].mail.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_connection_is_for_the_loop_with_the_fewest() {
        let workers = Workers::new(3).unwrap();
        assert_eq!(workers.freest(), 0);
        workers.join(1);
        workers.join(2);
        for _ in 0..1000 {
            workers.add(workers.freest());
        }
        let live: Vec<usize> = workers.list.iter().map(|worker| worker.live.load(Ordering::SeqCst)).collect();
        assert_eq!((live, workers.live()), (vec![334, 333, 333], 1000));
        workers.remove(1, 1);
        assert_eq!((workers.freest(), workers.closed_elsewhere()), (1, 1));
        workers.leave(1, false);
        assert_eq!((workers.freest(), workers.has_lost()), (2, true));
    }

    #[test]
    fn who_waits_longest_is_found_in_whatever_loop() {
        let workers = Workers::new(3).unwrap();
        assert!(
            !workers.is_crowded(false, true) && workers.is_crowded(true, false) && workers.is_crowded(false, false)
        );
        (0..3).for_each(|worker| workers.holds(worker, 100));
        workers.waits_since(0, Moment::from_nanos(30));
        // The others have not looked.
        assert_eq!(workers.waits_longer(0), Some(1));
        workers.waits_since(1, Moment::from_nanos(20));
        workers.waits_since(2, Moment::from_nanos(10));
        assert_eq!([0, 1, 2].map(|worker| workers.waits_longer(worker)), [Some(2), Some(2), None]);
        // It has closed the first, and the next one waits less long.
        workers.waits_since(2, Moment::from_nanos(25));
        assert_eq!([0, 1, 2].map(|worker| workers.waits_longer(worker)), [Some(1), None, Some(1)]);
        workers.holds(1, 0);
        assert_eq!([0, 2].map(|worker| workers.waits_longer(worker)), [Some(2), None]);
        assert!(!workers.is_crowded(false, true));
    }

    #[test]
    fn only_who_begins_to_attend_must_look_again() {
        let workers = Workers::new(2).unwrap();
        assert_eq!([true, true, false, true].map(|attends| workers.attend(attends)), [true, false, false, true]);
    }
}
