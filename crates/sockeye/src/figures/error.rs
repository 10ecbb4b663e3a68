//! What is wrong with a file that should be a run.

use std::fmt;
use std::io;
use std::path::Path;

/// A file that is no run, with its name.
#[derive(Debug)]
pub struct ReadError {
    /// The file, as it was named.
    pub name: String,
    /// What is wrong.
    pub kind: ReadErrorKind,
}

/// What is wrong with it.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadErrorKind {
    /// It cannot be read.
    Unreadable(io::Error),
    /// It has more than this many bytes.
    TooLarge(u64),
    /// It has nothing in it.
    Empty,
    /// It ends in the middle.
    Cut,
    /// It is not JSON; where, and why.
    NotJson {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// It is JSON, and no run.
    NotARun(String),
    /// It is a run as another version saves it.
    OtherFormat(u64),
    /// Its parts contradict each other, or a part cannot be read.
    Damaged(String),
}

impl ReadError {
    pub(super) fn new(name: impl AsRef<Path>, kind: ReadErrorKind) -> Self {
        Self { name: name.as_ref().display().to_string(), kind }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.kind {
            ReadErrorKind::Unreadable(error) => write!(f, "cannot read {name}: {}", crate::net::words(error)),
            ReadErrorKind::TooLarge(most) => {
                write!(f, "{name} is larger than {} MiB, which no saved run is", most >> 20)
            }
            ReadErrorKind::Empty => write!(f, "{name} is empty: `sockeye load --save {name}` did not get to its end"),
            ReadErrorKind::Cut => write!(f, "{name} ends in the middle: it was cut, copy it again"),
            ReadErrorKind::NotJson { line, column } => {
                write!(f, "{name}:{line}:{column}: this is no JSON; a run is what `sockeye load --save FILE` writes")
            }
            ReadErrorKind::NotARun(why) => {
                write!(f, "{name} is no saved run: {why}; a run is what `sockeye load --save FILE` writes")
            }
            ReadErrorKind::OtherFormat(format) => write!(
                f,
                "{name} was saved in format {format}, and this version of sockeye reads format {}: use the version that saved it",
                super::run::FORMAT
            ),
            ReadErrorKind::Damaged(why) => write!(f, "{name} is damaged: {why}; save the run again"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            ReadErrorKind::Unreadable(error) => Some(error),
            _ => None,
        }
    }
}
