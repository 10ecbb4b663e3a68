//! An answer: its status, its fields and its content.

use std::fs::File;
use std::os::fd::OwnedFd;

use super::made::{End, Made};
use super::pack::read_part;
use crate::wire::http::status::Status;

/// An answer, whose fields stand in the list that was given. Each version of HTTP writes it in its own way: see
/// [`super::http1`].
#[derive(Debug)]
pub struct Response {
    /// Its status.
    pub status: Status,
    /// Whether its length stands among its fields.
    pub extent: Extent,
    /// What is sent behind the head.
    pub body: Body,
    /// Whether another request may follow, once the content of this one has been passed over.
    pub keep_alive: bool,
}

/// How long content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// A field says it, or there is none.
    Known,
    /// It shows at the end.
    Open,
}

/// Content that has a head.
#[derive(Debug)]
pub enum Body {
    /// Nothing.
    Empty,
    /// These bytes.
    Bytes(Vec<u8>),
    /// A part of a file. Where the file turns out to be shorter, the connection has to end: nothing is made up.
    File {
        /// The file, open for reading.
        fd: OwnedFd,
        /// The first byte that is sent.
        from: u64,
        /// How many are sent.
        length: u64,
    },
    /// What is made while it is sent.
    Made(Made),
}

impl Body {
    /// How many bytes it has, as far as that is known.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "an empty file is no `Body::Empty`, and nobody asks")]
    pub fn len(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::File { length, .. } | Self::Made(Made { end: End::Length(length), .. }) => Some(*length),
            Self::Made(_) => None,
        }
    }
}

impl Response {
    /// Moves a body of up to `most` bytes behind the head, so that one write sends both. A file that has become shorter
    /// meanwhile ends the connection behind what it still had.
    pub fn absorb(&mut self, head: &mut Vec<u8>, most: u64) {
        if self.body.len().is_none_or(|length| length > most) {
            return;
        }
        match std::mem::replace(&mut self.body, Body::Empty) {
            Body::Empty => {}
            Body::Bytes(bytes) => head.extend_from_slice(&bytes),
            Body::File { fd, from, length } => {
                let read = read_part(&File::from(fd), from, length, head).unwrap_or(0);
                self.keep_alive &= read as u64 == length;
            }
            Body::Made(mut made) => {
                let begin = head.len();
                let is_made = loop {
                    match made.source.more(head) {
                        Ok(true) => {}
                        Ok(false) => break true,
                        Err(_) => break false,
                    }
                };
                self.keep_alive &= is_made && made.end == End::Length((head.len() - begin) as u64);
            }
        }
    }
}
