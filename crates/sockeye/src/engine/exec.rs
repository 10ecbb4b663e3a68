//! A program for each connection: what all of a server have in common, and what of their process groups outlived them.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rustix::fs::{CWD, Mode, OFlags, openat};
use transcript::Moment;

pub use crate::child::Terminal;
use crate::child::{Child, Program};

pub(super) use crate::limits::TERM_WAIT;

/// What becomes of what programs write to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errors {
    /// It is told line by line.
    Told,
    /// It goes nowhere, which spares each program a pipe.
    Dropped,
}

/// Which program is run, and how many at once.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) program: Program,
    pub(crate) terminal: Terminal,
    /// Where errors go that are not to be heard.
    pub(super) nowhere: Option<OwnedFd>,
    /// Programs at once, on all threads.
    pub(crate) most: usize,
    running: Arc<AtomicUsize>,
    /// The second after the one in which it was told that none can be started.
    told: AtomicU64,
}

impl Exec {
    pub(crate) fn new(program: Program, terminal: Terminal, errors: Errors, most: usize) -> Self {
        let nowhere = match errors {
            Errors::Told => None,
            Errors::Dropped => {
                openat(CWD, "/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).ok().filter(above_standard)
            }
        };
        Self { program, terminal, nowhere, most, running: Arc::default(), told: AtomicU64::new(0) }
    }

    /// Whether it is to be told that none can be started: once a second.
    pub(super) fn may_tell(&self, now: Moment) -> bool {
        let second = now.nanos() / 1_000_000_000 + 1;
        self.told.swap(second, Ordering::SeqCst) != second
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.running.load(Ordering::SeqCst) < self.most
    }

    /// Takes the room that one needs.
    pub(super) fn take_permit(&self) -> ProgramPermit {
        self.running.fetch_add(1, Ordering::SeqCst);
        ProgramPermit(Arc::clone(&self.running))
    }
}

/// Where a standard stream of ours is closed, a new descriptor takes its place, and then it is none to give to a child.
fn above_standard(fd: &OwnedFd) -> bool {
    fd.as_raw_fd() > 2
}

/// The room of one program, from when its client was accepted until it has ended.
#[derive(Debug)]
pub(super) struct ProgramPermit(Arc<AtomicUsize>);

impl Drop for ProgramPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What is done next to a process group that is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// It is asked to, at this moment.
    Term(Moment),
    /// It is ended.
    Kill(Moment),
}

impl Signal {
    pub(super) fn at(self) -> Moment {
        match self {
            Self::Term(at) | Self::Kill(at) => at,
        }
    }

    /// Sends it if its time has come; what follows, as long as there is anyone.
    pub(super) fn send(self, child: &Child, now: Moment) -> Option<Self> {
        match self {
            Self::Term(at) if now >= at => child.signal(libc::SIGTERM).then(|| Self::Kill(now.after(TERM_WAIT))),
            Self::Kill(at) if now >= at => {
                child.signal(libc::SIGKILL);
                None
            }
            later => Some(later),
        }
    }
}

/// A process group whose leader has ended, whose conversation is over, and which has members still.
#[derive(Debug)]
pub(super) struct Leftover {
    pub(super) child: Child,
    pub(super) signal: Signal,
    /// It counts as long as it runs.
    pub(super) _permit: Option<ProgramPermit>,
}

/// Those of a loop.
#[derive(Debug, Default)]
pub(super) struct Leftovers(Vec<Leftover>);

impl Leftovers {
    pub(super) fn extend(&mut self, leftover: Option<Leftover>) {
        self.0.extend(leftover);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the next one's time comes.
    pub(super) fn wakes(&self) -> Option<Moment> {
        self.0.iter().map(|leftover| leftover.signal.at()).min()
    }

    /// Sends the signals whose time has come.
    pub(super) fn wake(&mut self, now: Moment) {
        self.0.retain_mut(|leftover| match leftover.signal.send(&leftover.child, now) {
            Some(next) => {
                leftover.signal = next;
                true
            }
            None => false,
        });
    }

    /// The server is to end: none gets more time than this.
    pub(super) fn hurry(&mut self, now: Moment) {
        for leftover in &mut self.0 {
            if let Signal::Term(at) = &mut leftover.signal {
                *at = now;
            }
        }
        self.wake(now);
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        for leftover in &self.0 {
            leftover.child.signal(libc::SIGKILL);
        }
    }
}
