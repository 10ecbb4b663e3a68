//! Content that is made while it is sent: piece by piece, so that it takes little room and no other client waits for it long.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::fs::File;
use std::io;

use super::pack::read_part;

/// Bytes of a file that make a piece.
const PIECE: u64 = 64 * 1024;

/// Where content comes from.
pub trait Source: Debug + Send {
    /// Adds the next piece, of some tens of kilobytes at most and perhaps of none; whether there is more.
    ///
    /// # Errors
    /// The rest cannot be made. The client has to see that it is missing.
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<bool>;

    /// How many bytes of it are in memory until all of it is sent; none if it holds a file.
    fn holds(&self) -> usize {
        0
    }

    /// How many bytes of memory it takes now.
    fn memory(&self) -> usize {
        self.holds()
    }
}

/// How the end of such content is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By its length.
    Length(u64),
    /// It is sent in chunks (RFC 9112, section 7.1). HTTP/2 has an end of its own.
    Chunked,
    /// The connection ends behind it: all that HTTP/1.0 has.
    Close,
}

/// Content that is made.
#[derive(Debug)]
pub struct Made {
    pub(crate) source: Box<dyn Source>,
    /// How its end is known; set where its head is written, unless it is the length.
    pub(crate) end: End,
}

impl Made {
    /// Content whose length is not known before.
    pub(crate) fn of_any_length(source: Box<dyn Source>) -> Self {
        Self { source, end: End::Chunked }
    }

    /// Content of that length.
    pub(crate) fn of_length(source: impl Source + 'static, length: u64) -> Self {
        Self { source: Box::new(source), end: End::Length(length) }
    }
}

/// A chunk of it, and behind the last one the end of all.
pub(crate) fn push_chunk(out: &mut Vec<u8>, piece: &[u8], is_last: bool) {
    if !piece.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    if is_last {
        out.extend_from_slice(b"0\r\n\r\n");
    }
}

/// Bytes that are there, and many.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: Vec<u8>,
    at: usize,
}

impl Held {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0 }
    }
}

impl Source for Held {
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let end = self.bytes.len().min(self.at + usize::try_from(PIECE).unwrap_or(usize::MAX));
        out.extend_from_slice(&self.bytes[self.at..end]);
        self.at = end;
        Ok(end < self.bytes.len())
    }

    fn holds(&self) -> usize {
        self.bytes.len()
    }
}

/// Parts of a file with text around them.
#[derive(Debug)]
pub(crate) struct Multipart {
    file: File,
    left: VecDeque<Piece>,
}

/// See [`Multipart`].
#[derive(Debug)]
pub(crate) enum Piece {
    Text(Vec<u8>),
    File { from: u64, length: u64 },
}

impl Multipart {
    pub(crate) fn new(file: File, parts: impl IntoIterator<Item = Piece>) -> Self {
        Self { file, left: parts.into_iter().collect() }
    }
}

impl Source for Multipart {
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let begin = out.len();
        while ((out.len() - begin) as u64) < PIECE
            && let Some(part) = self.left.pop_front()
        {
            match part {
                Piece::Text(text) => out.extend_from_slice(&text),
                Piece::File { from, length } => {
                    let most = length.min(PIECE);
                    let read = read_part(&self.file, from, most, out)?;
                    if (read as u64) < most {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    if most < length {
                        self.left.push_front(Piece::File { from: from + most, length: length - most });
                    }
                }
            }
        }
        Ok(!self.left.is_empty())
    }
}
