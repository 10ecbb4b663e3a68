//! Files that are there whole or not at all.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that gets its name when it is complete: written beside its target, synced, renamed, and the folder synced.
///
/// Dropped before [`AtomicFile::commit`], it leaves nothing behind and the target as it was; a process that is killed
/// leaves the temporary file (`.sockeye.` and a random number), never half a target. A target that is a link stays one:
/// the file it leads to is replaced.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    temporary: Option<PathBuf>,
    target: PathBuf,
    folder: File,
}

/// How many names are tried for the temporary file.
const TRIES: u32 = 16;

impl AtomicFile {
    /// Begins a file that will stand at `target`; its mode is what the umask allows.
    ///
    /// # Errors
    /// The target's folder cannot be opened or written to, or the target is something other than a file.
    pub fn create(target: &Path) -> Result<Self, FileError> {
        let begin = |source| FileError { step: Step::Begin, path: target.to_owned(), source };
        let target = replaceable(target).map_err(begin)?;
        let folder = File::open(folder_of(&target)).map_err(begin)?;
        let (file, temporary) = beside(&target).map_err(begin)?;
        Ok(Self { file, temporary: Some(temporary), target, folder })
    }

    /// Adds bytes at the end; the same as [`Write::write_all`], with the path in the error.
    ///
    /// # Errors
    /// As write(2): the disk or the quota is full.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write_all(bytes).map_err(|source| self.failed(Step::Write, source))
    }

    /// Gives the file its name, once it is safely stored.
    ///
    /// # Errors
    /// As fsync(2) and rename(2). The target is then as it was, except where the step is [`Step::SyncFolder`].
    pub fn commit(mut self) -> Result<(), FileError> {
        // A disk that is full may say so only now.
        self.file.sync_all().map_err(|source| self.failed(Step::Sync, source))?;
        if let Some(temporary) = &self.temporary {
            fs::rename(temporary, &self.target).map_err(|source| self.failed(Step::Rename, source))?;
        }
        self.temporary = None;
        match self.folder.sync_all() {
            // Some file systems cannot sync a folder, and say so like this (fsync(2)).
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            synced => synced.map_err(|source| self.failed(Step::SyncFolder, source)),
        }
    }

    fn failed(&self, step: Step, source: io::Error) -> FileError {
        FileError { step, path: self.target.clone(), source }
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            let _ = fs::remove_file(temporary);
        }
    }
}

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
            Step::Begin => write!(f, "cannot make {path}: {source}"),
            Step::Write => write!(f, "cannot write {path}: {source}"),
            Step::Sync => write!(f, "cannot store {path}: {source}"),
            Step::Rename => write!(f, "cannot give {path} its name: {source}"),
            Step::SyncFolder => {
                write!(f, "{path} is written, but a power failure may lose it: its folder cannot be stored: {source}")
            }
        }
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// The file that a rename may replace. Renaming over a folder fails, and over /dev/null it would not.
fn replaceable(target: &Path) -> io::Result<PathBuf> {
    if target.file_name().is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it names no file"));
    }
    let target = match fs::symlink_metadata(target) {
        Ok(found) if found.is_symlink() => fs::canonicalize(target)?,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(_) | Err(_) => target.to_owned(),
    };
    match fs::metadata(&target) {
        Ok(found) if found.is_dir() => Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder")),
        Ok(found) if !found.is_file() => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a device, pipe or socket and cannot be replaced"))
        }
        Ok(_) | Err(_) => Ok(target),
    }
}

/// A new file beside the target. Its name is not made from the target's, which may already be as long as names can be.
fn beside(target: &Path) -> io::Result<(File, PathBuf)> {
    let mut taken = io::Error::from(io::ErrorKind::AlreadyExists);
    for _ in 0..TRIES {
        let path = target.with_file_name(OsString::from(format!(".sockeye.{:016x}", random())));
        // O_EXCL: nobody else's file, nor a link laid there, is ever written to.
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken = error,
            Err(error) => return Err(error),
        }
    }
    Err(taken)
}

fn folder_of(target: &Path) -> &Path {
    target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A number that is hard to guess: the standard library seeds its hash maps with one.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn put(target: &Path, text: &str) {
        let mut file = AtomicFile::create(target).unwrap();
        file.append(text.as_bytes()).unwrap();
        file.commit().unwrap();
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        fs::write(&target, "old, and longer").unwrap();
        let mut file = AtomicFile::create(&target).unwrap();
        file.append(b"half").unwrap();
        drop(file);
        assert_eq!(
            (fs::read(&target).unwrap(), names(folder.path())),
            (b"old, and longer".into(), vec!["x".to_owned()])
        );
        let mut file = AtomicFile::create(&target).unwrap();
        file.append(b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old, and longer");
        file.commit().unwrap();
        assert_eq!((fs::read(&target).unwrap(), names(folder.path())), (b"new".to_vec(), vec!["x".to_owned()]));
    }

    #[test]
    fn a_name_as_long_as_names_can_be_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x".repeat(255));
        put(&target, "new");
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }

    #[test]
    fn a_link_stays_a_link_and_its_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("x"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink("x", &link).unwrap();
        put(&link, "new");
        assert!(link.is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }

    #[test]
    fn what_is_no_file_is_refused_and_stays() {
        use std::os::unix::fs::FileTypeExt;
        let folder = tempfile::tempdir().unwrap();
        for (target, words) in [
            (folder.path().to_owned(), "it is a folder"),
            (folder.path().join("missing/x"), "No such file or directory"),
            (folder.path().join(".."), "it names no file"),
            (PathBuf::from("/dev/full"), "a device"),
        ] {
            let error = AtomicFile::create(&target).unwrap_err();
            assert_eq!((error.step, &error.path), (Step::Begin, &target));
            let said = error.to_string();
            assert!(said.contains(words) && said.contains(&target.display().to_string()), "{said}");
        }
        assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device());
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_rename_that_fails_says_so_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        let mut file = AtomicFile::create(&target).unwrap();
        file.append(b"new").unwrap();
        // Somebody puts a folder there in the meantime.
        fs::create_dir_all(target.join("in the way")).unwrap();
        assert_eq!(file.commit().unwrap_err().step, Step::Rename);
        assert_eq!(names(folder.path()), ["x"]);
    }
}
