//! Standard input: how much of it is left, and how its lines end on the wire.

use std::io;
use std::os::fd::BorrowedFd;
use std::thread::Scope;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use super::{Eol, Unsent};
use crate::net::timespec;
use crate::sys::queue;

/// Reads in a thread of its own. That there is none to be had is an error of reading, and no panic.
pub(super) fn beside<'scope>(scope: &'scope Scope<'scope, '_>, read: impl FnOnce() + Send + 'scope) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("input".to_owned()).spawn_scoped(scope, read);
    let why = |error: io::Error| io::Error::new(error.kind(), format!("no thread can be started for it: {error}"));
    thread.map(drop).map_err(why)
}

/// An empty file was meant to be sent.
pub(super) fn is_file(fd: BorrowedFd<'_>) -> bool {
    let kind = |found: rustix::fs::Stat| rustix::fs::FileType::from_raw_mode(found.st_mode);
    rustix::fs::fstat(fd).is_ok_and(|found| kind(found) == rustix::fs::FileType::RegularFile)
}

/// What is left to read: in a pipe what waits there, in a file what is behind the offset.
pub(super) fn left(fd: BorrowedFd<'_>) -> Unsent {
    let Ok(found) = rustix::fs::fstat(fd) else { return Unsent::default() };
    let kind = rustix::fs::FileType::from_raw_mode(found.st_mode);
    if kind == rustix::fs::FileType::RegularFile {
        let offset = rustix::fs::seek(fd, rustix::fs::SeekFrom::Current(0)).unwrap_or(0);
        let bytes = u64::try_from(found.st_size).unwrap_or(0).saturating_sub(offset);
        return Unsent { bytes, in_queue: 0, at_least: false };
    }
    // Asked first: behind an end the count is final.
    let at_least = !has_ended(fd);
    Unsent { bytes: queue::unread(fd).unwrap_or(0), in_queue: 0, at_least }
}

/// Whether a pipe or a socket has no writer any more, though it may not be read to its end yet.
fn has_ended(fd: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::RDHUP)];
    poll(&mut polled, Some(&timespec(Duration::ZERO))).is_ok()
        && polled[0].revents().intersects(PollFlags::HUP | PollFlags::RDHUP)
}

/// Rewrites line endings, across any cut between two reads.
#[derive(Debug, Default)]
pub(super) struct Endings {
    eol: Eol,
    /// A CR was held back: it may be half of a CRLF.
    held_cr: bool,
}

impl Endings {
    pub(super) fn new(eol: Eol) -> Self {
        Self { eol, held_cr: false }
    }

    /// Whether bytes go as they are.
    pub(super) fn is_verbatim(&self) -> bool {
        self.eol == Eol::AsTyped
    }

    fn ending(&self) -> &'static [u8] {
        match self.eol {
            Eol::AsTyped | Eol::Lf => b"\n",
            Eol::CrLf => b"\r\n",
            Eol::None => b"",
        }
    }

    /// Rewrites one read; `last` says that nothing follows.
    pub(super) fn rewrite(&mut self, bytes: &[u8], last: bool, into: &mut Vec<u8>) {
        for &byte in bytes {
            if byte == b'\n' {
                into.extend_from_slice(self.ending());
                self.held_cr = false;
                continue;
            }
            if std::mem::take(&mut self.held_cr) {
                into.push(b'\r');
            }
            if byte == b'\r' {
                self.held_cr = true;
            } else {
                into.push(byte);
            }
        }
        if last && std::mem::take(&mut self.held_cr) {
            into.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::Shutdown;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_is_left_is_all_where_no_writer_is_left() {
        let (pipe, mut writer) = io::pipe().unwrap();
        let (socket, mut peer) = UnixStream::pair().unwrap();
        let (other, mut gone) = UnixStream::pair().unwrap();
        for end in [&mut writer as &mut dyn Write, &mut peer, &mut gone] {
            end.write_all(b"left").unwrap();
        }
        let fds = [pipe.as_fd(), socket.as_fd(), other.as_fd()];
        for fd in fds {
            assert_eq!(left(fd), Unsent { bytes: 4, in_queue: 0, at_least: true });
        }
        drop(writer);
        peer.shutdown(Shutdown::Write).unwrap();
        drop(gone);
        for fd in fds {
            assert_eq!(left(fd), Unsent { bytes: 4, in_queue: 0, at_least: false });
        }
    }

    #[test]
    fn endings_are_rewritten_however_the_reads_fall() {
        let text = b"a\nb\r\nc\rd\r\r\n\n\r";
        for (eol, expected) in [
            (Eol::Lf, &b"a\nb\nc\rd\r\n\n\r"[..]),
            (Eol::CrLf, b"a\r\nb\r\nc\rd\r\r\n\r\n\r"),
            (Eol::None, b"abc\rd\r\r"),
        ] {
            for cut in 0..=text.len() {
                let mut endings = Endings::new(eol);
                let mut out = Vec::new();
                endings.rewrite(&text[..cut], false, &mut out);
                endings.rewrite(&text[cut..], false, &mut out);
                endings.rewrite(b"", true, &mut out);
                assert_eq!(out, expected, "{eol:?} cut at {cut}");
            }
        }
    }
}
