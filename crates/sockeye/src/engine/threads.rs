//! How a loop comes to others that serve with it, and what it needs to know of them.

use std::io;
use std::sync::Arc;
use std::thread;

use transcript::Moment;

use super::Loop;
use super::origin::Origin;
use super::reactor::poller::{Interest, Poller};
use super::reactor::token::Token;
use super::workers::{Message, Workers};
use crate::event::{Event, Observer, SharedObserver};

/// Where a loop stands among those that serve together.
pub(super) struct Membership {
    pub(super) workers: Arc<Workers>,
    pub(super) worker: usize,
    /// When it last left it to another one to close something, since all together hold too much.
    pub(super) left_it: Option<Moment>,
}

/// Where the first loop ends for whatever reason, the others do.
impl Drop for Membership {
    fn drop(&mut self) {
        if self.worker == 0 {
            self.workers.write_all(|| Message::End { at_once: true });
        }
    }
}

/// Tells the others when a loop ends, by a panic too.
struct LeaveGuard {
    workers: Arc<Workers>,
    worker: usize,
    in_order: bool,
}

impl Drop for LeaveGuard {
    fn drop(&mut self) {
        self.workers.leave(self.worker, self.in_order);
    }
}

impl Loop {
    /// Starts the other loops. With fewer of them than asked for all is served too, only slower.
    pub(super) fn spawn_workers(&mut self) {
        let threads = self.bounds.threads;
        let workers = match Workers::new(threads) {
            Ok(workers) => Arc::new(workers),
            Err(error) => return self.tell_of_fewer(1, &error),
        };
        if let Err(error) = self.poller.add(workers.waker(0), Token::Mail, Interest::Read) {
            return self.tell_of_fewer(1, &error);
        }
        let silent: Box<dyn Observer> = Box::new(|_| {});
        let observer = SharedObserver::new(std::mem::replace(&mut self.resources.observer, silent));
        self.resources.observer = Box::new(observer.clone());
        self.member = Some(Membership { workers: Arc::clone(&workers), worker: 0, left_it: None });
        for worker in 1..threads {
            if let Err(error) = self.spawn_worker(worker, &workers, &observer) {
                return self.tell_of_fewer(worker, &error);
            }
        }
    }

    /// Starts one more loop. All that may fail fails here, before its thread is there.
    fn spawn_worker(&mut self, worker: usize, workers: &Arc<Workers>, observer: &SharedObserver) -> io::Result<()> {
        let poller = Poller::new()?;
        poller.add(workers.waker(worker), Token::Mail, Interest::Read)?;
        let storage = Self::storage_for(&self.origins)?;
        let epoll = poller.into_epoll();
        let origins: Vec<_> = self.origins.iter().map(Origin::for_another_thread).collect();
        let (bounds, began, observer) = (self.bounds.clone(), self.began, observer.clone());
        // From here on others write to it; it reads that when it is there.
        workers.join(worker);
        let (all, workers) = (Arc::clone(workers), Arc::clone(workers));
        let thread = thread::Builder::new().name(format!("serve-{worker}")).spawn(move || {
            let mut own = Self::idle(Poller::over(epoll), bounds, Box::new(observer), began);
            own.origins = origins;
            let mut guard = LeaveGuard { workers: Arc::clone(&workers), worker, in_order: false };
            own.member = Some(Membership { workers, worker, left_it: None });
            let summary = own.take_storage(storage).and_then(|()| own.run());
            guard.in_order = summary.is_ok();
            summary
        });
        match thread {
            Ok(thread) => self.threads.push(thread),
            Err(error) => {
                all.leave(worker, true);
                return Err(error);
            }
        }
        Ok(())
    }

    fn tell_of_fewer(&mut self, threads: usize, error: &io::Error) {
        let asked = self.bounds.threads;
        self.resources
            .observer
            .observe(Event::Notice(format!("{threads} instead of {asked} threads (--threads): {error}")));
    }

    /// Whether it is the first, which has the sockets.
    pub(super) fn is_first(&self) -> bool {
        self.member.as_ref().is_none_or(|member| member.worker == 0)
    }

    /// Connections of all loops.
    pub(super) fn live(&self) -> usize {
        self.member.as_ref().map_or(self.channels.len(), |member| member.workers.live())
    }

    /// Conversations that have ended in all loops, as far as this one knows.
    pub(super) fn closed(&self) -> u64 {
        let elsewhere = self.member.as_ref().map_or(0, |member| member.workers.closed_elsewhere());
        self.resources.tally.closed + elsewhere
    }

    /// Has the other loops tell of their ends where that matters here; whether there is something to look at right now.
    pub(super) fn attend(&self) -> bool {
        let Some(Membership { workers, worker: 0, .. }) = &self.member else { return false };
        let is_awaited = self.acceptor.has_waiting() || self.has_waiting_peers();
        let waits = self.acceptor.resumes().is_some() || is_awaited || self.resources.stopping || self.all_played();
        workers.attend(waits || self.bounds.wait_for_client.is_some())
    }

    /// A connection has ended in another loop, or a loop has.
    pub(super) fn hear_of_ends(&mut self) {
        self.acceptor.hurry(self.resources.now);
        let has_lost = self.member.as_ref().is_some_and(|member| member.workers.has_lost());
        if has_lost && self.broken.is_none() {
            // What it ended with is heard when it is joined.
            self.broken = Some(io::Error::other("a thread of the server has ended"));
        }
    }

    /// Stops every loop; by when all is to be over.
    pub(super) fn begin_grace(&mut self) -> Moment {
        let by = self.resources.now.after(self.bounds.grace);
        self.begin_stopping();
        if let Some(Membership { workers, .. }) = &self.member {
            workers.write_all(|| Message::Stop(by));
        }
        by
    }
}
