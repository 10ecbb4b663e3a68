//! The file of a listening Unix socket: made where nothing is, or where a dead socket of ours was left; removed when
//! we end, if it is still ours.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

/// Removes the socket's file when it is dropped, unless somebody has put another in its place.
#[derive(Debug)]
pub(super) struct OwnFile {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl OwnFile {
    /// The file that a socket was just bound to.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), identity: identity(path) }
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// What stands where a socket is to be bound.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Occupant {
    /// Nothing, or a dead socket of ours that is removed now.
    Nobody,
    /// A socket that somebody listens on.
    Alive,
    /// Something that is not ours to remove.
    Foreign(&'static str),
}

/// Looks at a path and clears a dead socket of ours away.
pub(super) fn clear(path: &Path) -> io::Result<Occupant> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Occupant::Nobody),
        Err(error) => return Err(error),
    };
    let kind = found.file_type();
    if kind.is_symlink() {
        return Ok(Occupant::Foreign("a symbolic link stands there"));
    }
    if kind.is_dir() {
        return Ok(Occupant::Foreign("a folder stands there"));
    }
    if !kind.is_socket() {
        return Ok(Occupant::Foreign("a file that is no socket stands there"));
    }
    if is_alive(path)? {
        return Ok(Occupant::Alive);
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Ok(Occupant::Foreign("a dead socket of another user stands there"));
    }
    fs::remove_file(path)?;
    Ok(Occupant::Nobody)
}

/// Whether somebody listens there.
fn is_alive(path: &Path) -> io::Result<bool> {
    let probe =
        socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    match connect(&probe, &SocketAddrUnix::new(path)?) {
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(false),
        // A full backlog, a socket of another type, no permission: somebody may well be there.
        _ => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_a_dead_socket_of_ours_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        assert_eq!(clear(&path).unwrap(), Occupant::Nobody);
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(clear(&path).unwrap(), Occupant::Alive);
        drop(listener);
        assert!(path.exists());
        assert_eq!(clear(&path).unwrap(), Occupant::Nobody);
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        assert!(matches!(clear(&path).unwrap(), Occupant::Foreign(_)));
        let link = folder.path().join("l");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(clear(&link).unwrap(), Occupant::Foreign(_)));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_file_that_took_our_place_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _listener = UnixListener::bind(&path).unwrap();
        let own = OwnFile::new(&path);
        fs::rename(&path, folder.path().join("elsewhere")).unwrap();
        fs::write(&path, "new").unwrap();
        drop(own);
        assert!(path.exists());
    }
}
