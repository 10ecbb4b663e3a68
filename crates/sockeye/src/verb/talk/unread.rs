//! An output that has lost its reader, as in `talk ADDR | head -1`: whatever else the peer says, nobody will see it.

use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{FileType, fstat};

use super::{Direction, TalkOptions, Writer};
use crate::sink::Sink;

/// An output whose reader may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output<'a> {
    /// A pipe: only of one does poll(2) tell without a write.
    pipe: Option<BorrowedFd<'a>>,
    /// Whether nothing is lost if the conversation ends as soon as the reader goes: nothing is sent, or somebody types.
    only_reads: bool,
}

impl<'a> Output<'a> {
    pub(super) fn new(sink: &Sink<'a>, input: BorrowedFd<'_>, options: &TalkOptions) -> Self {
        let pipe = match sink {
            Sink::Descriptor(fd) if options.direction != Direction::Send => Some(*fd),
            _ => None,
        };
        let is_pipe =
            |fd: &BorrowedFd<'_>| fstat(fd).is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_fifo());
        let is_typed = options.writer == Writer::Typist || rustix::termios::isatty(input);
        Self { pipe: pipe.filter(is_pipe), only_reads: is_typed || options.direction == Direction::Receive }
    }

    pub(super) fn only_reads(&self) -> bool {
        self.only_reads
    }

    /// What tells that the reader goes, if anything does.
    pub(super) fn polled(&self) -> Option<PollFd<'a>> {
        self.pipe.map(|pipe| PollFd::from_borrowed_fd(pipe, PollFlags::empty()))
    }
}
