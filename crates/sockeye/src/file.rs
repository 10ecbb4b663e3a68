//! Files that are there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that gets its name when it is complete: written beside its target, synced, renamed, and the folder synced.
/// Dropped before [`AtomicFile::commit`], it leaves nothing behind and the target as it was.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    temporary: Option<PathBuf>,
    target: PathBuf,
}

/// How many names are tried for the temporary file.
const TRIES: u32 = 16;

impl AtomicFile {
    /// Begins a file that will stand at `target`; its mode is what the umask allows.
    ///
    /// # Errors
    /// As open(2) in the target's folder; the target is a folder.
    pub fn create(target: &Path) -> io::Result<Self> {
        if target.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
        }
        let name = target.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
        let mut error = io::Error::from(io::ErrorKind::AlreadyExists);
        for _ in 0..TRIES {
            let mut temporary = std::ffi::OsString::from(".");
            temporary.push(name);
            temporary.push(format!(".{:016x}", random()));
            let temporary = target.with_file_name(temporary);
            // O_EXCL: nobody else's file, nor a link laid there, is ever written to.
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => return Ok(Self { file, temporary: Some(temporary), target: target.to_owned() }),
                Err(found) if found.kind() == io::ErrorKind::AlreadyExists => error = found,
                Err(other) => return Err(other),
            }
        }
        Err(error)
    }

    /// Gives the file its name, once it is safely stored.
    ///
    /// # Errors
    /// As fsync(2) and rename(2); the target is then as it was.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some(temporary) = &self.temporary {
            fs::rename(temporary, &self.target)?;
        }
        self.temporary = None;
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())
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

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        fs::write(&target, "old").unwrap();
        let mut file = AtomicFile::create(&target).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!((fs::read(&target).unwrap(), names(folder.path())), (b"old".to_vec(), vec!["x".to_owned()]));
        let mut file = AtomicFile::create(&target).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old");
        file.commit().unwrap();
        assert_eq!((fs::read(&target).unwrap(), names(folder.path())), (b"new".to_vec(), vec!["x".to_owned()]));
    }

    #[test]
    fn a_folder_or_a_missing_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        AtomicFile::create(folder.path()).unwrap_err();
        AtomicFile::create(&folder.path().join("missing/x")).unwrap_err();
    }
}
