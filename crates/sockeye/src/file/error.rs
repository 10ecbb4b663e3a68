//! Why a file is not there, by the step that failed.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::words::words;

/// Why a file is not there, or perhaps not for long.
#[derive(Debug)]
pub struct FileError {
    /// What was being done.
    pub step: Step,
    /// The file that was to be.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// What is done for a file, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Making a temporary file beside the target.
    Begin,
    /// Writing to it.
    Write,
    /// Having it stored.
    Sync,
    /// Giving it the target's name.
    Rename,
    /// Having the name stored: the file is whole and has its name, and a power failure may undo that.
    SyncFolder,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, path, source } = self;
        let path = path.display();
        match step {
            Step::Begin => write!(f, "cannot make {path}: {source}", source = words(&source)),
            Step::Write => write!(f, "cannot write {path}: {source}", source = words(&source)),
            Step::Sync => write!(f, "cannot store {path}: {source}", source = words(&source)),
            Step::Rename => write!(f, "cannot give {path} its name: {source}", source = words(&source)),
            Step::SyncFolder => {
                write!(
                    f,
                    "{path} is written, but a power failure may lose it: its folder cannot be stored: {source}",
                    source = words(&source)
                )
            }
        }
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
