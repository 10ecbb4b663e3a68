//! What a download tells its caller, and asks it, on the way.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::super::{Answer, Head, Saved, Times, Url, Watch};
use super::destination::{Target, Unfinished};
use super::error::TransferError;
use crate::net::words;
use crate::sink::Sink;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The body is where it was to be.
    Saved,
    /// All of it was there already.
    AlreadyThere,
    /// There is another file where it would go, which stays.
    Occupied,
    /// It is as it was.
    NotChanged,
    /// The answer has no body.
    NoBody,
}

/// What is known of an answer at its end.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report<'a> {
    /// Who answered in the end.
    pub url: &'a Url,
    /// The head.
    pub head: &'a Head,
    /// How long it took until there.
    pub times: Times,
    /// What was saved, where, and how much of it was there before.
    pub saved: Option<(&'a Saved, Option<PathBuf>, u64)>,
}

/// What is worth knowing on the way. Displays as a sentence.
#[derive(Debug)]
#[non_exhaustive]
pub enum Note {
    /// All of it is there already.
    AlreadyThere,
    /// There is another file where it would go, which stays.
    Occupied(PathBuf),
    /// Nothing says that it is the same as what is there.
    BeginsAnew,
    /// It has not changed.
    NotChanged,
    /// The answer has no body.
    NoBody,
    /// A word in Content-Encoding is no coding.
    NoCoding(String),
    /// It failed, and is asked for again.
    Retrying {
        /// How it failed.
        why: String,
        /// How long is waited.
        pause: Duration,
        /// Which of the attempts that are left this is.
        attempt: u32,
        /// Of how many.
        of: u32,
    },
    /// The file cannot have the time.
    TimeNotSet(io::Error),
    /// The server says no time.
    NoTime,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyThere => f.write_str("all of it is there already"),
            Self::Occupied(path) => write!(f, "{} is there already", path.display()),
            Self::BeginsAnew => f.write_str("nothing says that it is the same as what is there; it begins anew"),
            Self::NotChanged => f.write_str("not changed"),
            Self::NoBody => f.write_str("the answer has no body: nothing saved"),
            Self::NoCoding(word) => write!(f, "its Content-Encoding `{word}` is no coding, and is passed over"),
            Self::Retrying { why, pause, attempt, of } => {
                write!(f, "{why}; again in {:.1} s, {attempt} of {of}", pause.as_secs_f64())
            }
            Self::TimeNotSet(error) => write!(f, "cannot set the time of the file: {}", words(error)),
            Self::NoTime => {
                f.write_str("the server does not say when it was last changed: the file has the time of now")
            }
        }
    }
}

/// The caller of a download: is told what happens, and decides what only the caller can.
pub trait Watcher: Watch {
    /// It is asked for, perhaps once more.
    fn begins(&mut self) {}
    /// The head of the answer that counts, before its body.
    ///
    /// # Errors
    /// It cannot be shown: then the body is not taken.
    fn head(&mut self, _head: &Head) -> Result<(), TransferError> {
        Ok(())
    }
    /// Something is worth knowing, at a URL if there is one.
    fn note(&mut self, _at: Option<&Url>, _note: &Note) {}
    /// An answer is done with.
    fn ended(&mut self, _report: &Report<'_>) {}
    /// What has to be done from now on before the process is ended.
    fn holds(&mut self, _unfinished: Unfinished) {}
    /// What is to be said besides of an answer that is an error.
    fn refused(&mut self, _head: &Head) -> String {
        String::new()
    }
    /// Where the body of an answer goes, of [`Target::Named`]; none if it goes nowhere.
    ///
    /// # Errors
    /// There is no such place.
    fn named(&mut self, _answer: &Answer) -> Result<Option<Target>, TransferError> {
        Ok(Some(Target::Nowhere))
    }
    /// Takes the body, of [`Target::Output`]: gives a sink to `take`.
    ///
    /// # Errors
    /// What was held back cannot be written.
    fn output(&mut self, _head: &Head, take: &mut dyn FnMut(&mut Sink<'_>)) -> io::Result<()> {
        take(&mut Sink::Writer(&mut io::sink()));
        Ok(())
    }
}

/// Nothing is watched, and an [output](Target::Output) is thrown away.
impl Watcher for () {}
