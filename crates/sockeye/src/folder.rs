//! The folder that a transcript stands in: where its `file:` lines find their files, and nowhere else.
//!
//! ```
//! use sockeye::folder::Folder;
//! use transcript::Files;
//!
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("body.txt"), "Hello!")?;
//! let files = Folder::around(&folder.path().join("a.talk"))?;
//! assert!(files.open("body.txt").is_ok());
//! assert!(files.open("../outside.txt").is_err());
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use transcript::{Files, Transcript};

/// A transcript, and where its files are.
#[derive(Debug, Clone)]
pub struct LoadedTranscript {
    /// The transcript.
    pub transcript: Transcript,
    /// Where its `file:` lines find their files.
    pub files: Option<Arc<dyn Files>>,
}

/// An open folder. Whatever a path says and whatever links stand below it, no file outside is ever opened
/// (openat2(2), RESOLVE_BENEATH).
#[derive(Debug)]
pub struct Folder(OwnedFd);

impl Folder {
    /// The folder that a file stands in.
    ///
    /// # Errors
    /// As open(2): it is not there, or may not be searched.
    pub fn around(file: &Path) -> io::Result<Self> {
        let folder = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(openat(CWD, folder, flags, Mode::empty())?))
    }
}

impl Files for Folder {
    fn open(&self, path: &str) -> io::Result<Arc<dyn transcript::File>> {
        let opened = || -> io::Result<Opened> {
            // A pipe must not hold the program; whether it is a file is looked at when it is open.
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
            let file = File::from(openat2(&self.0, path, flags, Mode::empty(), resolve)?);
            let found = file.metadata()?;
            if !found.is_file() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
            }
            Ok(Opened { length: found.len(), file })
        };
        match opened() {
            Ok(file) => Ok(Arc::new(file)),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::XDEV.raw_os_error()) => {
                Err(io::Error::new(error.kind(), "it leads out of the transcript's folder"))
            }
            Err(error) => Err(io::Error::new(error.kind(), crate::net::words(&error))),
        }
    }
}

#[derive(Debug)]
struct Opened {
    file: File,
    length: u64,
}

impl transcript::File for Opened {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX).min(into.len());
        loop {
            match self.file.read_at(&mut into[..most], offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use transcript::Files;

    use super::*;

    /// Row 65 of the faults: no path leads out of the folder, by dots or by links.
    #[test]
    fn only_files_below_the_folder_are_opened() {
        let root = tempfile::tempdir().unwrap();
        let inside = root.path().join("inside");
        std::fs::create_dir_all(inside.join("deeper")).unwrap();
        std::fs::write(root.path().join("secret"), "secret").unwrap();
        std::fs::write(inside.join("deeper/body"), "0123456789").unwrap();
        symlink(root.path().join("secret"), inside.join("link")).unwrap();
        symlink("../secret", inside.join("up")).unwrap();
        symlink("deeper/body", inside.join("within")).unwrap();
        let folder = Folder::around(&inside.join("x.talk")).unwrap();
        for path in ["link", "up", "../secret", "/etc/passwd"] {
            let error = folder.open(path).unwrap_err();
            assert!(error.to_string().contains("out of the transcript's folder"), "{path}: {error}");
        }
        assert!(folder.open("deeper").unwrap_err().to_string().contains("not a regular file"));
        assert!(folder.open("missing").unwrap_err().to_string().contains("No such file"));
        for path in ["deeper/body", "within"] {
            let file = folder.open(path).unwrap();
            let mut bytes = [0; 20];
            assert_eq!((file.len(), file.read_at(4, &mut bytes).unwrap()), (10, 6));
            assert_eq!(&bytes[..6], b"456789");
        }
    }
}
