//! Folders that are synced once for the names of many files.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{FileError, Step, store_folder};

/// Most folders that are held open.
const MOST: usize = 16;

/// Folders in which the names of new files are not stored yet: for many files that are only together what was wanted.
///
/// Each file is stored before it has its name, and whole whenever there is one. A power failure before
/// [`UnsyncedFolders::sync`] may undo names.
#[derive(Debug, Default)]
pub struct UnsyncedFolders(Mutex<Vec<Unsynced>>);

#[derive(Debug)]
struct Unsynced {
    device: u64,
    inode: u64,
    folder: Arc<File>,
    /// The first file that got a name in it.
    path: PathBuf,
}

impl UnsyncedFolders {
    /// A file got its name in this folder. Where too many are held already, it is synced at once.
    pub(super) fn add(&self, folder: &Arc<File>, path: &Path) -> io::Result<()> {
        let found = folder.metadata()?;
        let (device, inode) = (found.dev(), found.ino());
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.iter().any(|one| one.device == device && one.inode == inode) {
            return Ok(());
        }
        if held.len() == MOST {
            return store_folder(folder);
        }
        held.push(Unsynced { device, inode, folder: Arc::clone(folder), path: path.to_owned() });
        Ok(())
    }

    /// Has the names stored that were given until now.
    ///
    /// # Errors
    /// As fsync(2) of a folder, with a file in it; every folder is tried.
    pub fn sync(&self) -> Result<(), FileError> {
        let held = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let each = |Unsynced { folder, path, .. }: Unsynced| {
            store_folder(&folder).map_err(|source| FileError { step: Step::SyncFolder, path, source })
        };
        held.into_iter().map(each).fold(Ok(()), Result::and)
    }
}

#[cfg(test)]
mod tests {
    use super::super::AtomicFile;
    use super::*;

    #[test]
    fn a_folder_is_held_once_and_of_very_many_some_are_synced_at_once() {
        let home = tempfile::tempdir().unwrap();
        let folders = UnsyncedFolders::default();
        let commit = |path: PathBuf| {
            let mut file = AtomicFile::create(&path).unwrap();
            file.append(b"whole").unwrap();
            file.commit_in(&folders).unwrap();
            assert_eq!(std::fs::read(path).unwrap(), b"whole");
        };
        for number in 0..100 {
            commit(home.path().join(number.to_string()));
        }
        assert_eq!(folders.0.lock().unwrap().len(), 1);
        for number in 0..2 * MOST {
            let folder = home.path().join(format!("folder {number}"));
            std::fs::create_dir(&folder).unwrap();
            commit(folder.join("file"));
        }
        assert_eq!(folders.0.lock().unwrap().len(), MOST);
        folders.sync().unwrap();
        assert!(folders.0.lock().unwrap().is_empty());
        folders.sync().unwrap();
    }
}
