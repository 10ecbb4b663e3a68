//! Threads for what would hold the loop up: one has files stored, since fsync(2) waits for the disk, and one makes answers
//! that take long, such as the page of a large folder.

use std::cell::{OnceCell, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::pending_request::PendingRequest;
use super::reactor::token::Key;
use crate::file::Leftover;
use crate::stop::{self, Stop, Stopper};
use crate::web::clock::Now;
use crate::web::field_list::FieldList;
use crate::web::response::Response;
use crate::web::site::Site;
use crate::web::upload::{Sealed, Stored, store};

/// Who waits for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiter {
    /// Its connection; by the time it is done there may be none.
    pub(super) key: Key,
    /// Which of the connection's requests.
    pub(super) number: u32,
}

/// A request whose answer takes long.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) site: Arc<Site>,
    pub(super) request: PendingRequest,
    pub(super) date: Now,
}

/// What was waited for.
#[derive(Debug)]
pub(super) enum Done {
    /// A file is stored, or could not be.
    Stored(Stored),
    /// An answer, and its fields.
    Answered(Response, FieldList),
}

/// The loop's end of it.
#[derive(Debug)]
pub(super) struct Storage {
    waker: Stopper,
    woken: Stop,
    /// What is needed first begins them: in a process of one thread each call of the system that takes a descriptor is faster,
    /// for no other thread could close it meanwhile.
    threads: OnceCell<Option<Threads>>,
    /// Of what is being stored: the process may end before that.
    leftovers: RefCell<Vec<Leftover>>,
}

/// The threads, and what comes back from them.
#[derive(Debug)]
struct Threads {
    jobs: Sender<(Waiter, Sealed)>,
    asks: Sender<(Waiter, Ask)>,
    done: Receiver<(Waiter, Done)>,
}

impl Threads {
    fn start(waker: &Stopper) -> io::Result<Self> {
        let (waker, waker_too) = (waker.try_clone()?, waker.try_clone()?);
        let (jobs, queue) = mpsc::channel::<(Waiter, Sealed)>();
        let (asks, asked) = mpsc::channel::<(Waiter, Ask)>();
        let (tell, done) = mpsc::channel();
        let tell_too = tell.clone();
        thread::Builder::new().name("storage".into()).spawn(move || {
            for (waiter, file) in queue {
                // If the loop has ended, it is not told, and the file is stored all the same.
                let _ = tell.send((waiter, Done::Stored(store(file))));
                waker.stop();
            }
        })?;
        thread::Builder::new().name("answers".into()).spawn(move || {
            for (waiter, Ask { site, request, date }) in asked {
                let mut fields = FieldList::default();
                let answer = |request| site.answer_late(&request, &date, &mut fields);
                let Some(response) = request.request().and_then(answer) else { continue };
                let _ = tell_too.send((waiter, Done::Answered(response, fields)));
                waker_too.stop();
            }
        })?;
        Ok(Self { jobs, asks, done })
    }
}

impl Storage {
    /// Makes ready for it; no thread is begun.
    ///
    /// # Errors
    /// As pipe(2).
    pub(super) fn new() -> io::Result<Self> {
        let (waker, woken) = stop::channel()?;
        Ok(Self { waker, woken, threads: OnceCell::new(), leftovers: RefCell::default() })
    }

    /// The threads; none where the system has none left, and then the loop does it all itself.
    fn threads(&self) -> Option<&Threads> {
        self.threads.get_or_init(|| Threads::start(&self.waker).ok()).as_ref()
    }

    /// Has a file stored; it comes back if no thread can do it.
    fn begin(&self, waiter: Waiter, file: Sealed) -> Result<(), Sealed> {
        let Some(threads) = self.threads() else { return Err(file) };
        let begun: Vec<Leftover> = file.leftovers().collect();
        threads.jobs.send((waiter, file)).map_err(|refused| refused.0.1)?;
        let mut leftovers = self.leftovers.borrow_mut();
        leftovers.retain(Leftover::is_there);
        leftovers.extend(begun.into_iter().filter(Leftover::is_there));
        Ok(())
    }

    /// What has been done since the last look.
    pub(super) fn done(&self) -> Vec<(Waiter, Done)> {
        while self.woken.asked().is_some_and(|asked| asked > 0) {}
        self.threads.get().into_iter().flatten().flat_map(|threads| threads.done.try_iter()).collect()
    }
}

impl AsFd for Storage {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.woken.as_fd()
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // What is not stored by now may never be: the process ends, and would leave it behind.
        for leftover in self.leftovers.take() {
            leftover.remove();
        }
    }
}

/// Where a connection has files stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storing<'a> {
    pub(super) storage: &'a Storage,
    /// Its own.
    pub(super) key: Key,
}

impl Storing<'_> {
    /// Has a file stored; it comes back if no thread can do it.
    pub(super) fn begin(self, number: u32, file: Sealed) -> Result<(), Sealed> {
        self.storage.begin(Waiter { key: self.key, number }, file)
    }

    /// Has an answer made that takes long; the request comes back if no thread can do it.
    pub(super) fn ask(self, number: u32, ask: Ask) -> Result<(), Ask> {
        let waiter = Waiter { key: self.key, number };
        let Some(threads) = self.storage.threads() else { return Err(ask) };
        threads.asks.send((waiter, ask)).map_err(|refused| refused.0.1)
    }
}
