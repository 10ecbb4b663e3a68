//! Drives hyper on one thread: what can go on goes on, then the socket is waited for.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use rustix::event::PollFlags;

use super::deadlines::Deadlines;
use super::http_connection::{HttpConnection, Stopped};

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// What hyper has to do besides: a connection, and for HTTP/2 what it starts itself.
#[derive(Clone, Default)]
pub(super) struct Tasks(Rc<RefCell<Vec<Task>>>);

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.0.borrow_mut().push(Box::pin(task));
    }
}

impl Tasks {
    /// Lets each go on; whether one ended or another began, so that more can go on.
    fn poll(&self, context: &mut Context<'_>) -> bool {
        let mut running = self.0.take();
        let before = running.len();
        running.retain_mut(|task| task.as_mut().poll(context).is_pending());
        let has_changed = running.len() < before;
        let mut begun = self.0.borrow_mut();
        let has_grown = !begun.is_empty();
        running.append(&mut begun);
        *begun = running;
        has_changed || has_grown
    }
}

/// The tasks of one connection, ended with it: they hold each other.
#[derive(Default)]
pub(super) struct ConnectionTasks(Tasks);

impl ConnectionTasks {
    pub(super) fn add(&self, task: impl Future<Output = ()> + 'static) {
        hyper::rt::Executor::execute(&self.0, task);
    }

    pub(super) fn executor(&self) -> Tasks {
        self.0.clone()
    }

    /// Lets everything go on as far as it can without waiting; whether the connection still stands then. hyper ends it
    /// where bytes came that were not asked for.
    pub(super) fn is_alive(&self) -> bool {
        while self.0.poll(&mut Context::from_waker(Waker::noop())) {}
        !self.0.0.borrow().is_empty()
    }
}

impl Drop for ConnectionTasks {
    fn drop(&mut self) {
        drop(self.0.0.take());
    }
}

/// Goes on until something has come of one thing.
pub(super) struct Driver<'a> {
    pub(super) connection: &'a RefCell<HttpConnection>,
    pub(super) tasks: &'a ConnectionTasks,
}

impl Driver<'_> {
    pub(super) fn run<T>(
        &self,
        mut future: Pin<&mut impl Future<Output = Result<T, hyper::Error>>>,
        deadlines: Deadlines,
    ) -> Result<T, Stopped> {
        self.connection.borrow_mut().active = Instant::now();
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let mut is_late = false;
        loop {
            woken.0.store(false, Ordering::Relaxed);
            {
                let mut connection = self.connection.borrow_mut();
                connection.interest = PollFlags::empty();
                connection.refill();
            }
            if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
                return result.map_err(Stopped::Hyper);
            }
            let has_changed = self.tasks.0.poll(&mut context);
            let (awaited, held) = {
                let connection = self.connection.borrow();
                (connection.sent.awaited(), connection.sent.held_until())
            };
            if held.is_some_and(|held| held <= Instant::now()) {
                self.connection.borrow().sent.open();
                continue;
            }
            // While the peer takes the request, its answer is not due; nor is it while the rest of the request does not come.
            let until = match &awaited {
                Some(_) if !self.connection.borrow().past_head || self.connection.borrow().only_sends => {
                    deadlines.end()
                }
                _ => deadlines.until_since(self.connection.borrow().active, deadlines.idle),
            };
            // What was there at the deadline is taken once; a peer that always sends something gets no more time.
            if std::mem::replace(&mut is_late, until <= Instant::now()) && is_late {
                return Err(Stopped::TimedOut);
            }
            if has_changed || woken.0.load(Ordering::Relaxed) {
                continue;
            }
            let connection = self.connection.borrow();
            if connection.interest.is_empty() && awaited.is_none() {
                return Err(Stopped::Stuck);
            }
            let nearest = held.map_or(until, |held| held.min(until));
            match connection.stream.wait_or(connection.interest, awaited.as_deref(), Some(nearest)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut && nearest < until => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(Stopped::TimedOut),
                Err(error) => return Err(Stopped::Socket(error)),
            }
        }
    }
}

/// A waker that only remembers: the driver looks before it sleeps.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A future of perhaps nothing as one of a result.
pub(super) struct Optional<F>(pub(super) F);

impl<F: Future<Output = Option<Result<T, hyper::Error>>> + Unpin, T> Future for Optional<F> {
    type Output = Result<Option<T>, hyper::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(Option::transpose)
    }
}
