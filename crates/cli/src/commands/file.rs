//! Reading transcripts that were named on the command line.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sockeye::folder::Folder;
use sockeye::verb::serve::LoadedTranscript;
use transcript::{Refused, Transcript};

use crate::failure::CommandFailure;

/// Reads and parses a transcript, with the folder that its files are looked for in. `given` are the names that get their values
/// from outside.
pub(super) fn load(path: &Path, given: &[&str]) -> Result<LoadedTranscript, Unusable> {
    let text = text(path).map_err(|error| Unusable::unreadable(path, error))?;
    parse(path, &text, given)
}

/// The same of a text that has been read.
pub(super) fn parse(path: &Path, text: &[u8], given: &[&str]) -> Result<LoadedTranscript, Unusable> {
    let folder = Folder::around(path).map_err(|error| Unusable::Unreadable {
        what: "the folder of",
        path: path.to_owned(),
        error,
    })?;
    let transcript = Transcript::parse_with(&path.display().to_string(), text, given, Some(&folder));
    Ok(LoadedTranscript { transcript: transcript.map_err(Unusable::Refused)?, files: Some(Arc::new(folder)) })
}

/// Why a transcript cannot be had.
#[derive(Debug)]
pub(super) enum Unusable {
    Unreadable { what: &'static str, path: PathBuf, error: io::Error },
    Refused(Refused),
}

impl Unusable {
    pub(super) fn unreadable(path: &Path, error: io::Error) -> Self {
        Self::Unreadable { what: "the transcript", path: path.to_owned(), error }
    }
}

impl From<Unusable> for CommandFailure {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Refused(refused) => refused.into(),
            unreadable @ Unusable::Unreadable { .. } => unreadable.to_string().into(),
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { what, path, error } => {
                write!(f, "cannot read {what} {}: {error}", path.display(), error = sockeye::net::words(&error))
            }
            Self::Refused(refused) => refused.fmt(f),
        }
    }
}

/// The bytes of a transcript.
pub(super) fn text(path: &Path) -> io::Result<Vec<u8>> {
    bounded(std::fs::File::open(path)?)
}

/// The bytes of a transcript that comes on standard input.
pub(super) fn typed() -> io::Result<Vec<u8>> {
    bounded(io::stdin().lock())
}

fn bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    // One byte more than the bound tells a file that is too large from one that just fits.
    reader.take(sockeye::limits::TRANSCRIPT + 1).read_to_end(&mut text)?;
    Ok(text)
}
