//! A file that is not whole yet and outlives the process: `NAME.part`, which becomes `NAME`.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use super::{Existing, FileError, Step, folder_of, meanwhile, replaceable, vacant};

/// A part that one process at a time holds. Dropped, it stays; what it is a part of is the caller's to remember.
#[derive(Debug)]
pub struct PartFile {
    file: File,
    path: PathBuf,
    target: PathBuf,
    folder: File,
    existing: Existing,
    /// Those of the file that it replaces.
    permissions: Option<Permissions>,
}

impl PartFile {
    /// Opens or makes the part of `target`, and locks it. Unless `replace`, nothing may stand at the target.
    ///
    /// # Errors
    /// Another process holds it; it is no file of ours; as open(2).
    pub fn open(target: &Path, replace: bool) -> Result<Self, FileError> {
        let failed = |source| FileError { step: Step::Begin, path: target.to_owned(), source };
        let existing = if replace { Existing::Replaced } else { Existing::Kept };
        let (target, permissions) = match existing {
            Existing::Replaced => replaceable(target).map_err(failed)?,
            Existing::Kept => (vacant(target).map_err(failed)?, None),
        };
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let path = target.with_file_name(name);
        let failed = |source| FileError { step: Step::Begin, path: path.clone(), source };
        let folder = File::open(folder_of(&target)).map_err(failed)?;
        let file = locked(&path).map_err(failed)?;
        if let Some(permissions) = &permissions {
            file.set_permissions(meanwhile(permissions)).map_err(failed)?;
        }
        Ok(Self { file, path, target, folder, existing, permissions })
    }

    /// The part's own path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path beside it: the part's with something behind it.
    #[must_use]
    pub fn beside(&self, ending: &str) -> PathBuf {
        let mut name = OsString::from(self.path.file_name().unwrap_or_default());
        name.push(ending);
        self.path.with_file_name(name)
    }

    /// How long it is by now.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn length(&self) -> Result<u64, FileError> {
        self.file.metadata().map(|found| found.len()).map_err(|source| self.failed(Step::Begin, source))
    }

    /// Keeps so many bytes, and goes on behind them.
    ///
    /// # Errors
    /// As ftruncate(2).
    pub fn go_on_at(&self, length: u64) -> Result<(), FileError> {
        self.file
            .set_len(length)
            .and_then(|()| io::Seek::seek(&mut &self.file, io::SeekFrom::Start(length)))
            .map(drop)
            .map_err(|source| self.failed(Step::Write, source))
    }

    /// Has what is there stored.
    ///
    /// # Errors
    /// As fsync(2).
    pub fn store(&self) -> Result<(), FileError> {
        self.file.sync_all().map_err(|source| self.failed(Step::Sync, source))
    }

    /// Removes it.
    pub fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }

    /// It is whole: gives it its name, once it is safely stored.
    ///
    /// # Errors
    /// As fsync(2), link(2) and rename(2). The part is then still there.
    pub fn commit(&self) -> Result<(), FileError> {
        if let Some(permissions) = &self.permissions {
            let set = self.file.set_permissions(permissions.clone());
            set.map_err(|source| self.failed(Step::Rename, source))?;
        }
        self.store()?;
        let named = match self.existing {
            Existing::Kept => fs::hard_link(&self.path, &self.target).map(|()| self.remove()),
            Existing::Replaced => fs::rename(&self.path, &self.target),
        };
        named.map_err(|source| self.failed(Step::Rename, source))?;
        super::store_folder(&self.folder).map_err(|source| self.failed(Step::SyncFolder, source))
    }

    fn failed(&self, step: Step, source: io::Error) -> FileError {
        FileError { step, path: self.target.clone(), source }
    }
}

impl AsFd for PartFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The file at a path, with no other process at it.
fn locked(path: &Path) -> io::Result<File> {
    loop {
        // Never through a link that was laid there.
        let flags = i32::try_from(OFlags::NOFOLLOW.bits() | OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).custom_flags(flags).open(path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process is fetching it"));
            }
            Err(error) => return Err(error.into()),
        }
        // The process that had it may have finished in between: then it has another name by now, or none.
        match fs::symlink_metadata(path) {
            Ok(now) if (now.dev(), now.ino()) == (found.dev(), found.ino()) => {
                return if now.nlink() == 1 {
                    Ok(file)
                } else {
                    Err(io::Error::new(io::ErrorKind::InvalidInput, "it has another name too"))
                };
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_part_is_held_by_one_and_becomes_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        let mut part = PartFile::open(&target, false).unwrap();
        part.file.write_all(b"hello and more").unwrap();
        let error = PartFile::open(&target, false).unwrap_err().to_string();
        assert!(error.contains("x.part: another process is fetching it"), "{error}");
        drop(part);
        let part = PartFile::open(&target, false).unwrap();
        assert_eq!(part.length().unwrap(), 14);
        part.go_on_at(5).unwrap();
        (&part.file).write_all(b"!").unwrap();
        assert_eq!(part.beside(".json"), folder.path().join("x.part.json"));
        part.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"hello!");
        assert!(!part.path().exists());
        assert!(PartFile::open(&target, false).is_err());
        let part = PartFile::open(&target, true).unwrap();
        part.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"");
    }

    #[test]
    fn the_part_of_a_file_that_may_not_be_written_can_be_gone_on_with() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        fs::write(&target, "old").unwrap();
        fs::set_permissions(&target, Permissions::from_mode(0o440)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let part = PartFile::open(&target, true).unwrap();
        assert_eq!(mode(part.path()), 0o640);
        part.commit().unwrap();
        assert_eq!(mode(&target), 0o440);
    }

    #[test]
    fn a_link_in_the_place_of_the_part_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, other) = (folder.path().join("x"), folder.path().join("other"));
        fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, folder.path().join("x.part")).unwrap();
        assert!(PartFile::open(&target, false).is_err());
        fs::remove_file(folder.path().join("x.part")).unwrap();
        fs::hard_link(&other, folder.path().join("x.part")).unwrap();
        assert!(PartFile::open(&target, false).unwrap_err().to_string().contains("it has another name too"));
        assert_eq!(fs::read(&other).unwrap(), b"precious");
    }
}
