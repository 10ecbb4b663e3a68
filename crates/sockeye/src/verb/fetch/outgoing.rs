//! What is sent with a request: bytes, files that are read while they are sent, so that their size costs no memory, and what
//! comes from a pipe.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::upload_progress::{Counted, UploadProgress, UploadState};
use super::{FetchError, Uploaded};

/// Bytes of a file that are read at once.
const PIECE: u64 = 64 * 1024;

/// What is sent with a request. It can be sent again, as after a redirect that keeps the method, unless it is a stream.
#[derive(Debug, Clone)]
pub struct Body {
    /// What it is, unless a field of the caller's own says; nothing is said if it is empty.
    pub content_type: String,
    pieces: Vec<Piece>,
    /// How far it was sent the last time.
    progress: Arc<Mutex<Option<Arc<UploadProgress>>>>,
}

#[derive(Debug, Clone)]
enum Piece {
    Bytes(Bytes),
    File {
        file: Arc<File>,
        from: u64,
        length: u64,
        name: Arc<str>,
    },
    /// What comes once, to an end that is not known before.
    Stream {
        file: Arc<File>,
        name: Arc<str>,
        /// Whether something was taken that does not come again.
        is_begun: Arc<AtomicBool>,
    },
}

impl Body {
    /// Nothing yet.
    #[must_use]
    pub fn new(content_type: &str) -> Self {
        Self { content_type: content_type.to_owned(), pieces: Vec::new(), progress: Arc::default() }
    }

    /// Adds bytes.
    #[must_use]
    pub fn with(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.pieces.push(Piece::Bytes(Bytes::from(bytes.into())));
        self
    }

    /// Adds what is in a file. Its length is taken now, for the request says it first. What has none, such as a pipe, is
    /// read to its end; so is what is small, for files of the kernel say any length (proc(5)).
    ///
    /// # Errors
    /// It cannot be opened, or cannot be read to its end.
    pub fn with_file(self, path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let found = file.metadata()?;
        if !found.is_file() || found.len() <= PIECE {
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut file, &mut bytes)?;
            return Ok(self.with(bytes));
        }
        Ok(self.with_part(file, (0, found.len()), &path.display().to_string()))
    }

    /// Adds what is in a file behind its offset. What has no length, such as a pipe, is sent as it comes, and once.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn with_stream(mut self, mut file: File, name: &str) -> io::Result<Self> {
        let found = file.metadata()?;
        if !found.is_file() {
            if found.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            let (file, name, is_begun) = (Arc::new(file), Arc::from(name), Arc::default());
            self.pieces.push(Piece::Stream { file, name, is_begun });
            return Ok(self);
        }
        let from = file.stream_position()?;
        let length = found.len().saturating_sub(from);
        if length <= PIECE {
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut file, &mut bytes)?;
            return Ok(self.with(bytes));
        }
        Ok(self.with_part(file, (from, length), name))
    }

    fn with_part(mut self, file: File, (from, length): (u64, u64), name: &str) -> Self {
        self.pieces.push(Piece::File { file: Arc::new(file), from, length, name: Arc::from(name) });
        self
    }

    /// How long it is, if that is known before it is sent.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.pieces.iter().map(Piece::length).sum()
    }

    /// What it came from that does not come again, if some of that was taken.
    #[must_use]
    pub fn spent(&self) -> Option<&str> {
        self.pieces.iter().find_map(|piece| match piece {
            Piece::Stream { name, is_begun, .. } if is_begun.load(Ordering::Relaxed) => Some(&**name),
            _ => None,
        })
    }

    /// Reads all of it, if that does it no harm.
    pub(super) fn read(&self, mut take: impl FnMut(&[u8])) -> Result<(), FetchError> {
        let stream = self.pieces.iter().find_map(|piece| match piece {
            Piece::Stream { name, .. } => Some(name),
            _ => None,
        });
        if let Some(name) = stream {
            let why = "the server wants a digest of the body before it comes (auth-int)".to_owned();
            return Err(FetchError::Spent { name: name.to_string(), why });
        }
        let mut sending = self.to_send();
        while let Some(bytes) = sending.next().map_err(|Unreadable(why)| FetchError::Input(why))? {
            take(&bytes);
        }
        Ok(())
    }

    pub(super) fn to_send(&self) -> Sending {
        let sent = Rc::new(UploadState::of(self.length()));
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(sent.progress());
        Sending { pieces: self.pieces.clone(), index: 0, at: 0, left: self.length(), sent }
    }

    pub(super) fn progress(&self) -> Option<Arc<UploadProgress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How far it was sent the last time.
    #[must_use]
    pub fn uploaded(&self) -> Option<Uploaded> {
        self.progress().map(|progress| Uploaded { sent: progress.bytes(), of: progress.of() })
    }
}

impl Piece {
    fn length(&self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::File { length, .. } => Some(*length),
            Self::Stream { .. } => None,
        }
    }
}

/// A body on its way, as hyper takes it.
pub(super) struct Sending {
    pieces: Vec<Piece>,
    index: usize,
    /// How far the file at the index was read.
    at: u64,
    /// How much is left, if that is known.
    left: Option<u64>,
    sent: Rc<UploadState>,
}

impl Default for Sending {
    fn default() -> Self {
        Self { pieces: vec![], index: 0, at: 0, left: Some(0), sent: Rc::new(UploadState::of(Some(0))) }
    }
}

impl Sending {
    pub(super) fn sent(&self) -> Rc<UploadState> {
        self.sent.given(0, self.left == Some(0));
        Rc::clone(&self.sent)
    }

    /// The next piece; none at the end, or while nothing is there: that is then awaited.
    fn next(&mut self) -> Result<Option<Bytes>, Unreadable> {
        while let Some(piece) = self.pieces.get(self.index) {
            let bytes = match piece {
                Piece::Bytes(bytes) => bytes.clone(),
                Piece::File { file, from, length, name } if self.at < *length => {
                    let room = usize::try_from((*length - self.at).min(PIECE)).unwrap_or(1);
                    let mut bytes = vec![0; room];
                    match file.read_at(&mut bytes, from + self.at) {
                        Ok(0) => return Err(Unreadable::at(name, "it has become shorter while it was sent")),
                        Ok(count) => bytes.truncate(count),
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                        Err(error) => return Err(Unreadable::at(name, &crate::net::words(&error))),
                    }
                    self.at += bytes.len() as u64;
                    self.left = self.left.map(|left| left - bytes.len() as u64);
                    return Ok(Some(Bytes::from(bytes)));
                }
                Piece::File { .. } => Bytes::new(),
                Piece::Stream { file, name, is_begun } => {
                    let mut bytes = vec![0; PIECE as usize];
                    match read_now(file, &mut bytes) {
                        Ok(None) => {
                            self.sent.await_more(file);
                            return Ok(None);
                        }
                        Ok(Some(0)) => {
                            is_begun.store(true, Ordering::Relaxed);
                            Bytes::new()
                        }
                        Ok(Some(count)) => {
                            is_begun.store(true, Ordering::Relaxed);
                            bytes.truncate(count);
                            return Ok(Some(Bytes::from(bytes)));
                        }
                        Err(error) => return Err(Unreadable::at(name, &crate::net::words(&error))),
                    }
                }
            };
            (self.index, self.at) = (self.index + 1, 0);
            self.left = self.left.map(|left| left - bytes.len() as u64);
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}

/// What is there without waiting; none if nothing is. A descriptor that we share is not made nonblocking.
fn read_now(file: &File, bytes: &mut [u8]) -> io::Result<Option<usize>> {
    let now = Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 });
    loop {
        match poll(&mut [PollFd::new(file, PollFlags::IN)], now) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match rustix::io::read(file, &mut *bytes) {
            Ok(count) => return Ok(Some(count)),
            // Another reader was faster.
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

impl hyper::body::Body for Sending {
    type Data = Counted;
    type Error = Unreadable;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Counted>, Unreadable>>> {
        // The driver asks again by itself, so no task has to be woken.
        if !self.sent.may_go() {
            return Poll::Pending;
        }
        let next = self.next();
        if let Err(Unreadable(why)) = &next {
            self.sent.fail(why);
        }
        if matches!(next, Ok(None)) && self.sent.awaits() {
            return Poll::Pending;
        }
        let length = next.as_ref().ok().and_then(Option::as_ref).map_or(0, Bytes::len);
        self.sent.given(length, self.left == Some(0) || matches!(next, Ok(None)));
        let counted = |bytes| Frame::data(self.sent.counted(bytes));
        Poll::Ready(next.transpose().map(|next| next.map(counted)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        // The rest is not asked for.
        if self.left != Some(0) {
            self.sent.given_up();
        }
    }
}

/// A file of ours that could not be read to its end.
#[derive(Debug, Clone)]
pub(super) struct Unreadable(String);

impl Unreadable {
    fn at(name: &str, why: &str) -> Self {
        Self(format!("cannot read {name}: {why}"))
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(body: &Body) -> Result<Vec<u8>, Unreadable> {
        let mut sending = body.to_send();
        let mut all = Vec::new();
        while let Some(bytes) = sending.next()? {
            all.extend_from_slice(&bytes);
        }
        assert_eq!(sending.left, Some(0));
        Ok(all)
    }

    #[test]
    fn bytes_and_files_are_sent_in_their_order_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let long = vec![b'x'; 200_000];
        std::fs::write(&path, &long).unwrap();
        let body = Body::new("a/b").with("begin").with("").with_file(&path).unwrap().with("end");
        let expected = [b"begin".as_slice(), &long, b"end"].concat();
        assert_eq!(body.length(), Some(expected.len() as u64));
        for _ in 0..2 {
            assert!(all(&body).unwrap() == expected);
        }
        File::options().write(true).open(&path).unwrap().set_len(70_000).unwrap();
        let error = all(&body).unwrap_err().to_string();
        assert!(error.ends_with("it has become shorter while it was sent"), "{error}");
    }
}
