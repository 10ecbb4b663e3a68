//! A folder as one file, made while it is sent: what would be served of it, name by name, as zip or tar. Only what is being
//! read is open, and only what the end of a zip has to say again is kept.

mod tar;
mod zip;

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{Dir, FileType};

use super::listing::join;
use super::made::Source;
use super::options::Hidden;
use super::pack::read_part;
use super::root::{Found, Kind, Meta, Modified, Root, look_in};
use crate::limits;
use crate::wire::http::status::Status;

/// Bytes that make a piece, about.
const PIECE: u64 = 64 * 1024;
/// Names that are looked at for one piece.
const NAMES: usize = 64;
/// Names that are passed over for one piece, which then ends: meanwhile no other client is served.
const PASSED: usize = 1024;
/// Bytes of what is told about names that were left out.
const TOLD: usize = 64 * 1024;

/// The form of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Zip,
    Tar,
}

impl Form {
    /// What a query asks for: `zip`, `zip=`, `download=zip`, and the same for tar.
    pub(crate) fn of(query: &str) -> Option<Self> {
        query.split('&').find_map(|part| match part {
            "zip" | "zip=" | "download=zip" => Some(Self::Zip),
            "tar" | "tar=" | "download=tar" => Some(Self::Tar),
            _ => None,
        })
    }

    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::Tar => "tar",
        }
    }

    pub(crate) fn media(self) -> &'static [u8] {
        match self {
            Self::Zip => b"application/zip",
            Self::Tar => b"application/x-tar",
        }
    }

    /// The folder's content in this form; all names in it begin with `name`.
    pub(crate) fn of_folder(self, walk: Walk) -> Box<dyn Source> {
        match self {
            Self::Zip => Box::new(zip::Zip::new(walk)),
            Self::Tar => Box::new(tar::Tar::new(walk)),
        }
    }
}

/// What comes next in a folder.
#[derive(Debug)]
enum Item {
    /// Its name, which ends with a slash.
    Folder {
        name: Vec<u8>,
        meta: Meta,
    },
    File {
        name: Vec<u8>,
        meta: Meta,
        file: File,
    },
    /// Bytes of ours.
    Text {
        name: Vec<u8>,
        meta: Meta,
        text: Vec<u8>,
    },
    /// Much was passed over, and there may be more: the piece ends here.
    Passed,
}

/// Goes through a folder and those in it. Links to files are followed as a request would be; links to folders are not,
/// since they may lead round in circles.
#[derive(Debug)]
pub(crate) struct Walk {
    root: Arc<Root>,
    hidden: Hidden,
    levels: Vec<Level>,
    /// What could not be read, and why, for the person who unpacks it.
    left_out: Vec<u8>,
    name: Vec<u8>,
    meta: Meta,
}

/// A folder that is being gone through.
#[derive(Debug)]
struct Level {
    /// From the root of the site.
    path: Vec<u8>,
    /// In the archive, with a slash at its end.
    name: Vec<u8>,
    folder: OwnedFd,
    entries: Dir,
}

impl Walk {
    /// Begins with an open folder.
    pub(crate) fn begin(
        root: Arc<Root>,
        hidden: Hidden,
        found: Found,
        path: &[u8],
        name: &[u8],
    ) -> Result<Self, Status> {
        let name = [name, b"/"].concat();
        let level = Level::open(found.fd, path.to_vec(), name.clone()).map_err(|_| Status::INTERNAL_ERROR)?;
        Ok(Self { root, hidden, levels: vec![level], left_out: vec![], name, meta: found.meta })
    }

    /// What comes next; nothing at the end.
    fn next(&mut self) -> io::Result<Option<Item>> {
        for _ in 0..PASSED {
            let Some(level) = self.levels.last_mut() else { return Ok(self.account()) };
            let Some(entry) = level.entries.read() else {
                self.levels.pop();
                continue;
            };
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || (self.hidden == Hidden::Kept && name.starts_with(b".")) {
                continue;
            }
            let stat = match look_in(&level.folder, name) {
                Ok(Some(stat)) => stat,
                // It is gone by now.
                Ok(None) => continue,
                Err(error) => return Err(error.into()),
            };
            let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
            if !is_link && Meta::of(&stat).is_none() {
                continue;
            }
            let (path, name) = (join(&level.path, name), [&level.name[..], name].concat());
            match self.root.find(&path) {
                Ok(Found { meta, .. }) if is_link && meta.kind == Kind::Folder => {
                    self.leave_out(&name, "is a link to a folder");
                }
                Ok(Found { fd, meta }) if meta.kind == Kind::File => {
                    return Ok(Some(Item::File { name, meta, file: File::from(fd) }));
                }
                Ok(_) if self.levels.len() == limits::ARCHIVE_DEPTH => self.leave_out(&name, "lies too deep"),
                Ok(Found { fd, meta }) => {
                    let name = [&name[..], b"/"].concat();
                    self.levels.push(Level::open(fd, path, name.clone())?);
                    return Ok(Some(Item::Folder { name, meta }));
                }
                Err(Status::NOT_FOUND) => {}
                Err(Status::FORBIDDEN) => self.leave_out(&name, "may not be read"),
                Err(status) => return Err(io::Error::other(status.reason())),
            }
        }
        Ok(Some(Item::Passed))
    }

    fn leave_out(&mut self, name: &[u8], why: &str) {
        if self.left_out.len() < TOLD {
            let shown = String::from_utf8_lossy(name).replace(char::is_control, "?");
            let _ = writeln!(self.left_out, "{shown}: {why}");
        } else if !self.left_out.ends_with(b"and more\n") {
            self.left_out.extend_from_slice(b"and more\n");
        }
    }

    /// At the end: what is missing.
    fn account(&mut self) -> Option<Item> {
        if self.left_out.is_empty() {
            return None;
        }
        let text = std::mem::take(&mut self.left_out);
        let name = [&self.name[..], b"(not included).txt"].concat();
        Some(Item::Text {
            name,
            meta: Meta { kind: Kind::File, mode: 0o644, size: text.len() as u64, ..self.meta },
            text,
        })
    }
}

impl Level {
    fn open(folder: OwnedFd, path: Vec<u8>, name: Vec<u8>) -> io::Result<Self> {
        let entries = Dir::read_from(&folder)?;
        Ok(Self { path, name, folder, entries })
    }
}

/// A file of which part is in the archive.
#[derive(Debug)]
struct Reading {
    file: File,
    at: u64,
    /// Where it ends: what is added to it meanwhile is not taken.
    size: u64,
}

impl Reading {
    /// Adds the next bytes of it; how many.
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<usize> {
        let read = read_part(&self.file, self.at, PIECE.min(self.size - self.at), out)?;
        self.at += read as u64;
        Ok(read)
    }

    fn is_whole(&self) -> bool {
        self.at == self.size
    }
}

/// Seconds since 1970, or 0 for what is older.
fn seconds(modified: Modified) -> u64 {
    u64::try_from(modified.seconds).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Others are served between two pieces, and not while a folder of a million hidden files is gone through.
    #[test]
    fn a_piece_ends_where_many_names_were_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for name in 0..3 * PASSED {
            std::fs::write(folder.path().join(format!(".{name}")), "").unwrap();
        }
        std::fs::write(folder.path().join("shown"), "content").unwrap();
        for form in [Form::Zip, Form::Tar] {
            let root = Arc::new(Root::open(folder.path()).unwrap());
            let found = root.find(b"").unwrap();
            let mut source = form.of_folder(Walk::begin(root, Hidden::Kept, found, b"", b"name").unwrap());
            let (mut out, mut pieces) = (vec![], 1);
            while source.more(&mut out).unwrap() {
                pieces += 1;
            }
            assert!(pieces >= 3, "{form:?}: {pieces}");
            assert!(
                memchr::memmem::find(&out, b"name/shown").is_some() && !out.windows(6).any(|name| name == b"name/.")
            );
        }
    }
}
