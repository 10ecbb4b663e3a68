//! Files that are there whole or not at all.
//!
//! ```
//! use sockeye::file::AtomicFile;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("report.json");
//! let mut file = AtomicFile::create(&path)?;
//! file.append(b"{}")?;
//! assert!(!path.exists(), "it has no name before it is whole");
//! file.commit()?;
//! assert_eq!(std::fs::read(&path)?, b"{}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod part;
mod secret;
mod unsynced;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open, openat, renameat, unlinkat};
use rustix::io::Errno;

pub use error::{FileError, Step};
pub use part::PartFile;
pub use secret::read_secret;
pub use unsynced::UnsyncedFolders;

/// A file that gets its name when it is complete: written without a name in its folder, synced, renamed over its target,
/// and the folder synced.
///
/// Dropped before [`AtomicFile::commit`], it leaves nothing behind and the target as it was. So does a process that is
/// killed, where the file system keeps files without a name (O_TMPFILE, open(2)); elsewhere it leaves the temporary file
/// (`.sockeye.` and a random number), never half a target. A target that is a link stays one: the file it leads to is
/// replaced, and its permissions stay.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    leftover: Leftover,
    folder: Arc<File>,
    /// Its name is what counts: the folder is open, and may be called something else by now.
    target: PathBuf,
    existing: Existing,
    /// Those of the file that it replaces.
    permissions: Option<Permissions>,
}

/// What becomes of a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Replaced,
    Kept,
}

/// The temporary name of a file that is not complete, where it needs one.
///
/// Code that ends the process without unwinding calls [`Leftover::remove`] first.
#[derive(Debug, Clone, Default)]
pub struct Leftover(Arc<Mutex<Option<Temporary>>>);

/// A name in a folder.
#[derive(Debug)]
struct Temporary {
    folder: Arc<File>,
    name: OsString,
}

impl Leftover {
    /// Removes the temporary file, if there is one and it has not got its name meanwhile.
    pub fn remove(&self) {
        if let Some(Temporary { folder, name }) = self.name().take() {
            let _ = unlinkat(folder, name, AtFlags::empty());
        }
    }

    /// Whether there is one.
    pub(crate) fn is_there(&self) -> bool {
        self.name().is_some()
    }

    fn name(&self) -> MutexGuard<'_, Option<Temporary>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many names are tried for the temporary file.
const TRIES: u32 = 16;
/// Who may read and write a new file, less the umask.
const MODE: Mode = Mode::from_raw_mode(0o666);

impl AtomicFile {
    /// Begins a file that will stand at `target` and replace what is there; a new one has the mode that the umask allows.
    ///
    /// # Errors
    /// The target's folder cannot be opened or written to, or the target is something other than a file.
    pub fn create(target: &Path) -> Result<Self, FileError> {
        Self::begin(target, Existing::Replaced)
    }

    /// Begins a file that will stand at `target` unless anything, even a link that leads nowhere, stands there by then.
    ///
    /// # Errors
    /// As [`AtomicFile::create`]; there is something already.
    pub fn create_new(target: &Path) -> Result<Self, FileError> {
        Self::begin(target, Existing::Kept)
    }

    fn begin(target: &Path, existing: Existing) -> Result<Self, FileError> {
        let failed = |source| FileError { step: Step::Begin, path: target.to_owned(), source };
        let (target, permissions) = match existing {
            Existing::Replaced => replaceable(target).map_err(failed)?,
            Existing::Kept => (vacant(target).map_err(failed)?, None),
        };
        let folder = File::open(folder_of(&target)).map_err(failed)?;
        Self::begin_in(Arc::new(folder), target, existing, permissions).map_err(failed)
    }

    /// Begins a file in an open folder, in which the target's name is to stand; what stands there, the caller has seen.
    ///
    /// # Errors
    /// As openat(2) and fchmod(2).
    pub(crate) fn begin_in(
        folder: Arc<File>,
        target: PathBuf,
        existing: Existing,
        permissions: Option<Permissions>,
    ) -> io::Result<Self> {
        let (file, name) = match unnamed(&folder)? {
            Some(file) => (file, None),
            None => beside(&folder).map(|(file, name)| (file, Some(name)))?,
        };
        let temporary = name.map(|name| Temporary { folder: Arc::clone(&folder), name });
        let leftover = Leftover(Arc::new(Mutex::new(temporary)));
        let begun = Self { file, leftover, folder, target, existing, permissions };
        if let Some(permissions) = &begun.permissions {
            begun.file.set_permissions(meanwhile(permissions))?;
        }
        Ok(begun)
    }

    /// Where its temporary name is known, for a signal that ends the process.
    #[must_use]
    pub fn leftover(&self) -> Leftover {
        self.leftover.clone()
    }

    /// Another way to write to it, which begins at this byte and goes on by itself.
    ///
    /// # Errors
    /// As open(2) and lseek(2).
    pub fn at(&self, position: u64) -> Result<File, FileError> {
        let opened = OpenOptions::new().write(true).open(path_of(&self.file)).and_then(|mut file| {
            io::Seek::seek(&mut file, io::SeekFrom::Start(position))?;
            Ok(file)
        });
        opened.map_err(|source| self.failed(Step::Write, source))
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
    /// As fsync(2), link(2) and rename(2). The target is then as it was, except where the step is [`Step::SyncFolder`].
    pub fn commit(self) -> Result<(), FileError> {
        self.store()?;
        self.give_name()
    }

    /// As [`AtomicFile::commit`], but that the folder is synced later, with others.
    ///
    /// # Errors
    /// As fsync(2), link(2), rename(2) and fstat(2).
    pub fn commit_in(self, folders: &UnsyncedFolders) -> Result<(), FileError> {
        self.store()?;
        self.name_it()?;
        folders.add(&self.folder, &self.target).map_err(|source| self.failed(Step::SyncFolder, source))
    }

    /// Gives the file its name at once, for one that is valid at any time, and goes on with it. Nothing is stored for sure.
    ///
    /// # Errors
    /// As dup(2), fchmod(2), link(2) and rename(2). The target is then as it was.
    pub(crate) fn publish(self) -> Result<File, FileError> {
        let file = self.file.try_clone().map_err(|source| self.failed(Step::Rename, source))?;
        if let Some(permissions) = &self.permissions {
            self.file.set_permissions(permissions.clone()).map_err(|source| self.failed(Step::Rename, source))?;
        }
        self.name_it()?;
        Ok(file)
    }

    /// Has its content and its permissions stored: the first half of [`AtomicFile::commit`].
    ///
    /// # Errors
    /// As fchmod(2) and fsync(2).
    pub(crate) fn store(&self) -> Result<(), FileError> {
        if let Some(permissions) = &self.permissions {
            self.file.set_permissions(permissions.clone()).map_err(|source| self.failed(Step::Sync, source))?;
        }
        // A disk that is full may say so only now.
        self.file.sync_all().map_err(|source| self.failed(Step::Sync, source))
    }

    /// The other half: what is stored gets its name.
    ///
    /// # Errors
    /// As link(2) and rename(2).
    pub(crate) fn give_name(self) -> Result<(), FileError> {
        self.name_it()?;
        store_folder(&self.folder).map_err(|source| self.failed(Step::SyncFolder, source))
    }

    fn name_it(&self) -> Result<(), FileError> {
        self.link_or_rename().map_err(|source| self.failed(Step::Rename, source.into()))
    }

    fn link_or_rename(&self) -> Result<(), Errno> {
        let folder = &*self.folder;
        let target = self.target.file_name().unwrap_or_default();
        // Held until all is done: a signal in between finds the temporary name or none.
        let mut held = self.leftover.name();
        match (&*held, self.existing) {
            (None, Existing::Kept) => link(&self.file, folder, target)?,
            (None, Existing::Replaced) => {
                // A link cannot replace a file, a rename can.
                let ((), name) = another_name(|name| link(&self.file, folder, name))?;
                *held = Some(Temporary { folder: Arc::clone(&self.folder), name: name.clone() });
                renameat(folder, &name, folder, target)?;
            }
            (Some(Temporary { name, .. }), Existing::Kept) => {
                linkat(folder, name, folder, target, AtFlags::empty())?;
                let _ = unlinkat(folder, name, AtFlags::empty());
            }
            (Some(Temporary { name, .. }), Existing::Replaced) => renameat(folder, name, folder, target)?,
        }
        *held = None;
        Ok(())
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

impl AsFd for AtomicFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        self.leftover.remove();
    }
}

/// The file that a rename may replace, and its permissions. Renaming over a folder fails, and over /dev/null it would not.
fn replaceable(target: &Path) -> io::Result<(PathBuf, Option<Permissions>)> {
    let target = match fs::symlink_metadata(named(target)?) {
        Ok(found) if found.is_symlink() => fs::canonicalize(target)?,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(_) | Err(_) => target.to_owned(),
    };
    match fs::metadata(&target) {
        Ok(found) if found.is_dir() => Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder")),
        Ok(found) if !found.is_file() => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a device, pipe or socket and cannot be replaced"))
        }
        Ok(found) => Ok((target, Some(found.permissions()))),
        Err(_) => Ok((target, None)),
    }
}

/// What a file has that is to have these permissions: no other user may do more with it, and we may write.
fn meanwhile(permissions: &Permissions) -> Permissions {
    Permissions::from_mode(permissions.mode() | 0o600)
}

/// A path at which nothing stands.
fn vacant(target: &Path) -> io::Result<PathBuf> {
    match fs::symlink_metadata(named(target)?) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is there already")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(target.to_owned()),
        Err(error) => Err(error),
    }
}

fn named(target: &Path) -> io::Result<&Path> {
    if target.file_name().is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it names no file"));
    }
    Ok(target)
}

/// A new file in a folder that has no name and can be read back, if the file system can do that and we could name it later.
fn unnamed(folder: &File) -> Result<Option<File>, Errno> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    // By the way on which it will get its name: without /proc there is none.
    match open(path_of(folder), flags, MODE) {
        Ok(fd) => Ok(Some(File::from(fd))),
        // ISDIR and INVAL are what kernels say that take it for opening the folder itself (open(2), BUGS).
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn path_of(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn link(file: &File, folder: &File, name: &OsStr) -> Result<(), Errno> {
    linkat(CWD, path_of(file), folder, name, AtFlags::SYMLINK_FOLLOW)
}

/// A new file in a folder, and its temporary name.
fn beside(folder: &File) -> Result<(File, OsString), Errno> {
    // O_EXCL: no file of another user, nor a link laid there, is ever written to.
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let (fd, name) = another_name(|name| openat(folder, name, flags, MODE))?;
    Ok((File::from(fd), name))
}

/// Tries names until one is free. They are not made from the target's, which may already be as long as names can be, and
/// begin with a dot, so that no client is served half a file.
fn another_name<T>(mut take: impl FnMut(&OsStr) -> Result<T, Errno>) -> Result<(T, OsString), Errno> {
    for _ in 0..TRIES {
        let name = OsString::from(format!(".sockeye.{:016x}", random()));
        match take(&name) {
            Err(Errno::EXIST) => {}
            taken => return taken.map(|taken| (taken, name)),
        }
    }
    Err(Errno::EXIST)
}

/// Has a name in a folder stored.
fn store_folder(folder: &File) -> io::Result<()> {
    match folder.sync_all() {
        // Some file systems cannot sync a folder, and say so like this (fsync(2)).
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

fn folder_of(target: &Path) -> &Path {
    target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A number that is hard to guess: the standard library seeds its hash maps with one.
pub(crate) fn random() -> u64 {
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
    fn a_new_file_never_takes_a_name_that_is_taken_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        let mut file = AtomicFile::create_new(&target).unwrap();
        file.append(b"new").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(AtomicFile::create_new(&target).unwrap_err().step, Step::Begin);
        let other = folder.path().join("y");
        let file = AtomicFile::create_new(&other).unwrap();
        std::os::unix::fs::symlink("nowhere", &other).unwrap();
        let error = file.commit().unwrap_err();
        assert_eq!((error.step, error.source.kind()), (Step::Rename, io::ErrorKind::AlreadyExists));
        assert!(AtomicFile::create_new(&other).is_err());
        let mut names = names(folder.path());
        names.sort();
        assert_eq!(names, ["x", "y"]);
    }

    /// As on a file system that keeps no files without a name.
    fn name_meanwhile(begun: &mut AtomicFile) -> PathBuf {
        let (file, name) = beside(&begun.folder).unwrap();
        let path = begun.target.with_file_name(&name);
        begun.file = file;
        *begun.leftover.name() = Some(Temporary { folder: Arc::clone(&begun.folder), name });
        path
    }

    #[test]
    fn a_file_without_a_name_and_one_with_a_temporary_name_come_to_the_same() {
        let folder = tempfile::tempdir().unwrap();
        for (index, existing) in [Existing::Replaced, Existing::Kept].into_iter().enumerate() {
            let target = folder.path().join(format!("x{index}"));
            let mut named = AtomicFile::begin(&target, existing).unwrap();
            let path = name_meanwhile(&mut named);
            named.append(b"new").unwrap();
            named.commit().unwrap();
            assert_eq!(fs::read(&target).unwrap(), b"new");
            assert!(!path.exists());
        }
        let mut left = AtomicFile::create(&folder.path().join("y")).unwrap();
        let path = name_meanwhile(&mut left);
        let leftover = left.leftover();
        std::mem::forget(left);
        assert!(path.exists());
        leftover.remove();
        assert!(!path.exists());
    }

    #[test]
    fn a_replaced_file_keeps_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        fs::write(&target, "old").unwrap();
        let mode = |found: fs::Metadata| found.permissions().mode() & 0o777;
        // One that may not be written is replaced all the same, and can be written until then.
        for (permissions, until_then) in [(0o600, 0o600), (0o444, 0o644), (0o640, 0o640), (0o400, 0o600)] {
            fs::set_permissions(&target, Permissions::from_mode(permissions)).unwrap();
            let mut file = AtomicFile::create(&target).unwrap();
            assert_eq!(mode(file.file.metadata().unwrap()), until_then);
            file.append(b"new").unwrap();
            file.commit().unwrap();
            assert_eq!(mode(fs::metadata(&target).unwrap()), permissions);
        }
    }

    #[test]
    fn a_rename_that_fails_says_so_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        let mut file = AtomicFile::create(&target).unwrap();
        file.append(b"new").unwrap();
        // Another process puts a folder there in the meantime.
        fs::create_dir_all(target.join("in the way")).unwrap();
        assert_eq!(file.commit().unwrap_err().step, Step::Rename);
        assert_eq!(names(folder.path()), ["x"]);
    }
}
