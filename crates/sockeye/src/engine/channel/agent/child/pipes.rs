//! What joins a program to us: pipes and pairs of sockets, of which our end never blocks.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};

/// Which end of a pipe is ours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Read,
    Write,
}

/// Whether a peer's end of the stream has come, wherever it stands in the queue.
pub(super) fn has_ended(fd: impl AsFd) -> bool {
    let mut socket = [PollFd::new(&fd, PollFlags::RDHUP)];
    let now = Timespec::default();
    poll(&mut socket, Some(&now)).is_ok_and(|_| socket[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP))
}

/// A pair of sockets that keep messages apart and know an end: ours, which does not block, and the program's. What is said is
/// not split as in a pipe, whose packets are of one page.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, theirs))
}

/// A pipe: our end, which does not block, and the program's.
pub(super) fn pipe(ours: End) -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let (ours, theirs) = if ours == End::Read { (reader, writer) } else { (writer, reader) };
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, theirs))
}
