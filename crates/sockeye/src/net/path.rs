//! The file of a listening Unix socket: made where nothing is, or where a dead socket of ours was left; removed when
//! we end, if it is still ours.
//!
//! A socket that is bound but does not listen yet looks dead to who connects. So a process that replaces one holds the folder
//! (flock(2)) from looking until listening, and asks the kernel before it connects.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::sys::unix_diag;

/// How long another one who is binding in the same folder is waited for; it needs a few system calls.
const FOLDER_WAIT: Duration = Duration::from_secs(1);

/// The kernel's form of a path; one that begins with `@` is an abstract name, which has no file (unix(7)).
///
/// # Errors
/// It is too long.
pub(crate) fn address(path: &Path) -> Result<SocketAddrUnix, Errno> {
    match abstract_name(path) {
        Some(name) => SocketAddrUnix::new_abstract_name(name),
        None => SocketAddrUnix::new(path),
    }
}

/// What stands behind the `@` of an abstract name.
pub(super) fn abstract_name(path: &Path) -> Option<&[u8]> {
    path.as_os_str().as_encoded_bytes().strip_prefix(b"@")
}

/// Removes the socket's file when it is dropped, unless another process has put another in its place.
#[derive(Debug)]
pub(super) struct OwnFile {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl OwnFile {
    /// The file that a socket was just bound to.
    pub(super) fn new(path: &Path) -> Self {
        // The working folder may change before we end.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let identity = identity(&path);
        Self { path, identity }
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

/// Keeps others of our kind from binding in the folder of a path, until it is dropped. Without it we bind all the same:
/// the folder may not be ours to read, its file system may have no locks, or another program may use the lock for another end.
pub(super) fn hold_folder(path: &Path) -> Option<OwnedFd> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let until = Instant::now() + FOLDER_WAIT;
    loop {
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(folder),
            Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(_) => return None,
        }
    }
}

/// What stands where a socket is to be bound.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Occupant {
    /// Nothing, or a dead socket of ours that is removed now.
    Nobody,
    /// A socket that a program listens on.
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
    // A process that removed it in between was faster at the same.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(Occupant::Nobody),
    }
}

/// Whether a program listens there, or is about to. Who can be seen is left alone: a connection, however short, would be
/// a conversation to a server, and the only one to `serve --once`.
fn is_alive(path: &Path) -> io::Result<bool> {
    if unix_diag::bound_to(&rustix::fs::lstat(path)?).is_ok_and(|sockets| !sockets.is_empty()) {
        return Ok(true);
    }
    let probe =
        socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    match connect(&probe, &SocketAddrUnix::new(path)?) {
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(false),
        // A full backlog, a socket of another type, no permission: a program may well be there.
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
        // Looking did not connect.
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
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
    fn a_socket_that_does_not_listen_yet_is_alive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let bound = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&bound, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        assert_eq!(clear(&path).unwrap(), Occupant::Alive);
    }

    #[test]
    fn a_folder_is_held_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let held = hold_folder(&path).unwrap();
        std::thread::scope(|scope| {
            let next = scope.spawn(|| hold_folder(&path).is_some());
            drop(held);
            assert!(next.join().unwrap());
        });
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
