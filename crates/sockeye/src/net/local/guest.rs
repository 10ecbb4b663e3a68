//! What stands behind an end that has no address, and has to be waited for once the conversation is over: a program and its
//! group, and bytes on their way to a pipe, a file or a terminal.

use std::time::{Duration, Instant};

use super::bridge::{Bridge, Broken};
use crate::child::{Child, Ended};
use crate::limits::TERM_WAIT;

/// How often it is looked at, at first and at most.
const LOOK: Duration = Duration::from_micros(200);
const LONGEST_LOOK: Duration = Duration::from_millis(20);

/// It, as long as it is there. Dropped before that it is ended.
#[derive(Debug)]
pub(crate) struct Guest {
    name: String,
    child: Option<Child>,
    ended: Option<Ended>,
    bridge: Option<Bridge>,
}

/// What became of who stood behind an end that has no address: a program, or what was written to and read.
#[derive(Debug)]
pub struct LocalEndReport {
    /// How the program ended, if it was one.
    pub(crate) ended: Option<Ended>,
    /// Why not everything passed.
    pub(crate) broken: Option<Broken>,
    name: String,
}

/// What went wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The program says so, or was ended by a signal.
    Program,
    /// What came could not be written.
    Output,
    /// What was to be said could not be read.
    Input,
}

impl LocalEndReport {
    /// What went wrong, and in words, if anything did.
    pub(crate) fn wrong(&self) -> Option<(Wrong, String)> {
        let (wrong, broken) = match (&self.broken, self.ended) {
            (Some(broken @ Broken::Output(_)), _) => (Wrong::Output, broken),
            (Some(broken @ Broken::Input(_)), _) => (Wrong::Input, broken),
            (None, Some(Ended::Exited(0)) | None) => return None,
            (None, Some(ended)) => return Some((Wrong::Program, format!("{} {ended}", self.name))),
        };
        Some((wrong, format!("{}: {broken}", self.name)))
    }
}

impl Guest {
    pub(super) fn new(name: &str, child: Option<Child>, bridge: Option<Bridge>) -> Self {
        Self { name: name.to_owned(), child, ended: None, bridge }
    }

    /// Whether it is a program, which may end without having heard everything: that is its right, and no reset.
    pub(crate) fn is_program(&self) -> bool {
        self.child.is_some()
    }

    /// Whether it is over by now.
    pub(crate) fn is_over(&mut self) -> bool {
        if let (Some(child), None) = (&mut self.child, self.ended) {
            self.ended = child.ended();
        }
        let has_ended = self.child.is_none() || self.ended.is_some();
        has_ended && self.bridge.as_ref().is_none_or(Bridge::is_over)
    }

    /// Sends a signal to all of a program's process group; whether there was anyone.
    pub(crate) fn signal(&self, signal: i32) -> bool {
        self.child.as_ref().is_some_and(|child| child.signal(signal))
    }

    /// What became of it, which is over, or is ended here.
    pub(crate) fn leave(mut self) -> LocalEndReport {
        if !self.is_over()
            && let Some(child) = &mut self.child
        {
            self.ended = self.ended.or_else(|| child.kill()).or(Some(Ended::Unknown));
        }
        let broken = self.bridge.take().and_then(Bridge::leave);
        LocalEndReport { ended: self.ended, broken, name: std::mem::take(&mut self.name) }
    }

    /// Waits for it, who has lost its peer: a program has the grace to end by itself, and is asked to, and is ended.
    pub(crate) fn finish(mut self, grace: Duration) -> LocalEndReport {
        let began = Instant::now();
        let (mut pause, mut was_asked) = (LOOK, false);
        while !self.is_over() {
            let passed = began.elapsed();
            if self.child.is_some() && passed >= grace + TERM_WAIT {
                break;
            }
            if self.child.is_some() && passed >= grace && !std::mem::replace(&mut was_asked, true) {
                self.signal(libc::SIGTERM);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_LOOK);
        }
        self.leave()
    }

    /// What ends the program from another thread, whatever has become of it here.
    pub(crate) fn killer(&self) -> Option<Killer> {
        self.child.as_ref().and_then(|child| child.try_clone_group().ok()).map(Killer)
    }
}

/// Ends a program and its group.
#[derive(Debug)]
pub(crate) struct Killer(crate::child::Group);

impl Killer {
    pub(crate) fn kill(&self) {
        self.0.signal(libc::SIGKILL);
    }
}
