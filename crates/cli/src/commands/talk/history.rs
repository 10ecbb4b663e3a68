//! What was typed at terminals before, one line each, in a file that no other user may read.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Most lines that are kept.
pub(super) const MOST: usize = 1000;
/// A longer line is not kept: it is hardly typed to be called back.
const LONGEST: usize = 4096;
/// What is read of a file at most.
const BYTES: u64 = 1 << 20;

/// A file of lines, open to be added to.
#[derive(Debug)]
pub(super) struct History {
    file: File,
    lines: Vec<String>,
}

impl History {
    /// The file of this user: `sockeye/history` in XDG_STATE_HOME, or in `.local/state` of the home folder.
    pub(super) fn path() -> Option<PathBuf> {
        let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
        let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
        Some(state.join("sockeye/history"))
    }

    /// Opens it, and makes it if it is not there.
    ///
    /// # Errors
    /// It cannot be read and written.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut file = open(path, OpenOptions::new().read(true).append(true).create(true))?;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        let mut bytes = Vec::new();
        (&mut file).take(BYTES).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<&str> = text.lines().filter(|line| !line.is_empty() && line.len() <= LONGEST).collect();
        let lines: Vec<String> = all[all.len().saturating_sub(MOST)..].iter().map(|line| (*line).to_owned()).collect();
        if all.len() > 2 * MOST || bytes.len() as u64 >= BYTES {
            file = shorten(path, &lines)?;
        }
        Ok(Self { file, lines })
    }

    /// What is in it, the oldest first.
    pub(super) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Adds one. One write, so that two who type at once do not mix theirs.
    pub(super) fn add(&mut self, line: &str) {
        if line.len() <= LONGEST {
            let _ = self.file.write_all(format!("{line}\n").as_bytes());
        }
    }
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Where a pipe or a link stands in its place, it is no history of ours.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = options.mode(0o600).custom_flags(flags.bits() as i32).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    Ok(file)
}

/// Puts a shorter file in its place.
fn shorten(path: &Path, lines: &[String]) -> io::Result<File> {
    let new = path.with_extension(format!("{}", std::process::id()));
    let mut file = open(&new, OpenOptions::new().read(true).append(true).create_new(true))?;
    let written = file.write_all((lines.join("\n") + "\n").as_bytes()).and_then(|()| std::fs::rename(&new, path));
    if let Err(error) = written {
        let _ = std::fs::remove_file(&new);
        return Err(error);
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_for_their_owner_alone_and_within_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/sockeye/history");
        let mut history = History::open(&path).unwrap();
        assert_eq!(history.lines(), [""; 0]);
        history.add("EHLO grüße");
        history.add("QUIT");
        history.add(&"x".repeat(LONGEST + 1));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(History::open(&path).unwrap().lines(), ["EHLO grüße", "QUIT"]);
        // One that others could read is theirs no more.
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        History::open(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        let many: String = (0..2 * MOST + 10).map(|number| format!("{number}\n")).collect();
        std::fs::write(&path, many).unwrap();
        let mut history = History::open(&path).unwrap();
        history.add("last");
        let kept = std::fs::read_to_string(&path).unwrap();
        let kept: Vec<&str> = kept.lines().collect();
        assert_eq!((kept.len(), kept[0], kept[MOST]), (MOST + 1, "1010", "last"));
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_file_of_ours_is_no_history() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(History::open(&path).is_err());
        assert!(History::open(Path::new("/dev/null/sockeye/history")).is_err());
        assert!(History::open(folder.path()).is_err());
    }
}
