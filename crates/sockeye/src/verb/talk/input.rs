//! Standard input: how much of it is left, and how its lines end on the wire.

use std::io;
use std::os::fd::BorrowedFd;
use std::thread::Scope;

use super::{Eol, Unsent};
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
    Unsent { bytes: queue::unread(fd).unwrap_or(0), in_queue: 0, at_least: true }
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
    use super::*;

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
