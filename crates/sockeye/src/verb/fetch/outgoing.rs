//! What is sent with a request: bytes, and files that are read while they are sent, so that their size costs no memory.

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

/// Bytes of a file that are read at once.
const PIECE: u64 = 64 * 1024;

/// What is sent with a request. It can be sent again, as after a redirect that keeps the method.
#[derive(Debug, Clone)]
pub struct Body {
    /// What it is, unless a field of the caller's own says.
    pub content_type: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    Bytes(Bytes),
    File { file: Arc<File>, length: u64, path: Arc<PathBuf> },
}

impl Body {
    /// Nothing yet.
    #[must_use]
    pub fn new(content_type: &str) -> Self {
        Self { content_type: content_type.to_owned(), pieces: Vec::new() }
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
    pub fn with_file(mut self, path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let found = file.metadata()?;
        if !found.is_file() || found.len() <= PIECE {
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut file, &mut bytes)?;
            return Ok(self.with(bytes));
        }
        self.pieces.push(Piece::File { file: Arc::new(file), length: found.len(), path: Arc::new(path.to_owned()) });
        Ok(self)
    }

    /// How long it is.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.pieces.iter().map(Piece::length).sum()
    }

    pub(super) fn to_send(&self) -> Sending {
        Sending { pieces: self.pieces.clone(), index: 0, at: 0, left: self.length(), fault: Fault::default() }
    }
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

/// A body on its way, as hyper takes it.
#[derive(Default)]
pub(super) struct Sending {
    pieces: Vec<Piece>,
    index: usize,
    /// How far the file at the index was read.
    at: u64,
    left: u64,
    fault: Fault,
}

/// What became wrong while it was sent; hyper does not always say.
pub(super) type Fault = Rc<Cell<Option<String>>>;

impl Sending {
    pub(super) fn fault(&self) -> Fault {
        Rc::clone(&self.fault)
    }

    fn next(&mut self) -> Result<Option<Bytes>, Unreadable> {
        while let Some(piece) = self.pieces.get(self.index) {
            let bytes = match piece {
                Piece::Bytes(bytes) => bytes.clone(),
                Piece::File { file, length, path } if self.at < *length => {
                    let room = usize::try_from((*length - self.at).min(PIECE)).unwrap_or(1);
                    let mut bytes = vec![0; room];
                    match file.read_at(&mut bytes, self.at) {
                        Ok(0) => return Err(Unreadable::at(path, "it has become shorter while it was sent")),
                        Ok(count) => bytes.truncate(count),
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                        Err(error) => return Err(Unreadable::at(path, &crate::net::words(&error))),
                    }
                    self.at += bytes.len() as u64;
                    self.left -= bytes.len() as u64;
                    return Ok(Some(Bytes::from(bytes)));
                }
                Piece::File { .. } => Bytes::new(),
            };
            (self.index, self.at) = (self.index + 1, 0);
            self.left -= bytes.len() as u64;
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}

impl hyper::body::Body for Sending {
    type Data = Bytes;
    type Error = Unreadable;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unreadable>>> {
        let next = self.next();
        if let Err(Unreadable(why)) = &next {
            self.fault.set(Some(why.clone()));
        }
        Poll::Ready(next.transpose().map(|next| next.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A file of ours that could not be read to its end.
#[derive(Debug, Clone)]
pub(super) struct Unreadable(String);

impl Unreadable {
    fn at(path: &Path, why: &str) -> Self {
        Self(format!("cannot read {}: {why}", path.display()))
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
        assert_eq!(sending.left, 0);
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
        assert_eq!(body.length(), expected.len() as u64);
        for _ in 0..2 {
            assert!(all(&body).unwrap() == expected);
        }
        File::options().write(true).open(&path).unwrap().set_len(70_000).unwrap();
        let error = all(&body).unwrap_err().to_string();
        assert!(error.ends_with("it has become shorter while it was sent"), "{error}");
    }
}
