//! Files that a transcript names: whoever plays it opens them.

use std::fmt;
use std::io;
use std::sync::Arc;

/// Where the files of `file:` lines come from. The transcript crate opens none itself.
pub trait Files: fmt::Debug + Send + Sync {
    /// Opens a file by its path below the transcript's folder.
    ///
    /// # Errors
    /// Why it cannot be read, as a sentence: "no such file".
    fn open(&self, path: &str) -> io::Result<Arc<dyn File>>;
}

/// A file that a transcript says or hears.
pub trait File: fmt::Debug + Send + Sync {
    /// Its length, in bytes, when it was opened.
    fn len(&self) -> u64;

    /// Whether it holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads bytes from an offset; fewer than asked for only at its end.
    ///
    /// # Errors
    /// As `pread(2)`.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
}
