//! An output that has lost its reader, as in `talk ADDR | head -1`: whatever else the peer says, it has no reader.

use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::FileType;

use super::{Direction, TalkOptions, spliced};
use crate::sink::Sink;

/// An output whose reader may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output<'a> {
    /// A pipe: only of one does poll(2) tell without a write.
    pipe: Option<BorrowedFd<'a>>,
    /// Whether nothing is lost if the conversation ends as soon as the reader goes: nothing is sent, or a person types.
    only_reads: bool,
}

impl<'a> Output<'a> {
    pub(super) fn new(sink: &Sink<'a>, input: BorrowedFd<'_>, options: &TalkOptions) -> Self {
        let pipe = match sink {
            Sink::Descriptor(fd) if options.direction != Direction::Send => Some(*fd),
            _ => None,
        };
        let pipe = pipe.filter(|fd| spliced::kind(*fd) == Some(FileType::Fifo));
        Self { pipe, only_reads: options.is_typed(input) || options.direction == Direction::Receive }
    }

    pub(super) fn only_reads(&self) -> bool {
        self.only_reads
    }

    /// What tells that the reader goes, if anything does.
    pub(super) fn polled(&self) -> Option<PollFd<'a>> {
        self.pipe.map(|pipe| PollFd::from_borrowed_fd(pipe, PollFlags::empty()))
    }
}
