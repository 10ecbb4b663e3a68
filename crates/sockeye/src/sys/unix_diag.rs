//! Unix sockets, asked of the kernel (sock_diag(7)). /proc/net/unix only has the path as it was once written, which may
//! be relative, cut at a space, or lead to another file by now.

use std::path::PathBuf;

use rustix::fs::Stat;
use rustix::io::Errno;
use rustix::net::netlink;

use super::netlink::{attributes, dump, number};

// linux/sock_diag.h, linux/unix_diag.h.
const BY_FAMILY: u16 = 20;
const SHOW_NAME: u32 = 1;
const SHOW_FILE: u32 = 2;
const SHOW_PEER: u32 = 4;
const SHOW_QUEUES: u32 = 0x10;
const SHOW_OWNER: u32 = 0x40;
const NAME: u16 = 0;
const FILE: u16 = 1;
const PEER: u16 = 2;
const QUEUES: u16 = 4;
const OWNER: u16 = 7;
/// What a `unix_diag_msg` has before its attributes.
const FIXED: usize = 16;

/// A Unix socket as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnixSocket {
    /// SOCK_STREAM 1, SOCK_DGRAM 2, SOCK_SEQPACKET 5 (socket(2)).
    pub(crate) kind: u8,
    /// As for TCP: 1 connected, 7 not connected, 10 listening.
    pub(crate) state: u8,
    pub(crate) inode: u64,
    /// The path, or `@name` of an abstract one.
    pub(crate) name: Option<PathBuf>,
    /// The inode of the socket at the other end.
    pub(crate) peer: Option<u64>,
    /// Of a listener, connections that wait to be accepted; else bytes that wait to be read.
    pub(crate) receive_queue: u32,
    /// Of a listener, how many may wait; else bytes that wait to be taken.
    pub(crate) send_queue: u32,
    pub(crate) uid: Option<u32>,
}

/// Every Unix socket of this network namespace.
///
/// # Errors
/// The kernel does not answer such questions.
pub(crate) fn sockets() -> Result<Vec<UnixSocket>, Errno> {
    let mut found = Vec::new();
    dump(
        Some(netlink::SOCK_DIAG),
        BY_FAMILY,
        &question(SHOW_NAME | SHOW_PEER | SHOW_QUEUES | SHOW_OWNER),
        |_, body| {
            found.extend(socket(body));
        },
    )?;
    Ok(found)
}

/// The sockets that are bound to a file: listening, about to listen, or taking datagrams. Those of another network
/// namespace are not seen, nor those on a file system that shows other numbers than it keeps (overlay).
/// They are told by their own inodes, which /proc shows among a process's descriptors.
///
/// # Errors
/// The kernel does not answer such questions.
pub(crate) fn bound_to(file: &Stat) -> Result<Vec<u64>, Errno> {
    let mut found = Vec::new();
    dump(Some(netlink::SOCK_DIAG), BY_FAMILY, &question(SHOW_FILE), |_, body| found.extend(bound(body, file)))?;
    Ok(found)
}

/// `unix_diag_req`: every Unix socket in any state.
fn question(show: u32) -> Vec<u8> {
    // Family 1 is AF_UNIX; no protocol.
    let mut question = vec![1, 0, 0, 0];
    // States, inode, what to show, cookie.
    for word in [u32::MAX, 0, show, u32::MAX, u32::MAX] {
        question.extend(word.to_ne_bytes());
    }
    question
}

fn socket(body: &[u8]) -> Option<UnixSocket> {
    let &[_, kind, state, _, ..] = body else { return None };
    let inode = u64::from(number(body, 4)?);
    let mut socket =
        UnixSocket { kind, state, inode, name: None, peer: None, receive_queue: 0, send_queue: 0, uid: None };
    for (attribute, value) in attributes(body.get(FIXED..)?) {
        match attribute {
            NAME => socket.name = named(value),
            PEER => socket.peer = number(value, 0).filter(|&peer| peer != 0).map(u64::from),
            QUEUES => {
                socket.receive_queue = number(value, 0).unwrap_or(0);
                socket.send_queue = number(value, 4).unwrap_or(0);
            }
            OWNER => socket.uid = number(value, 0),
            _ => {}
        }
    }
    Some(socket)
}

/// A path, which may end in a NUL, or `@` for the NUL that an abstract name begins with (unix(7)).
fn named(value: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let name = match value {
        [] | [0] => return None,
        [0, name @ ..] => [b"@", name].concat(),
        path => path.strip_suffix(&[0]).unwrap_or(path).to_vec(),
    };
    Some(std::ffi::OsString::from_vec(name).into())
}

/// The socket of a `unix_diag_msg`, if the file is the one.
fn bound(body: &[u8], file: &Stat) -> Option<u64> {
    let inode = u64::from(number(body, 4)?);
    let (_, value) = attributes(body.get(FIXED..)?).find(|(attribute, _)| *attribute == FILE)?;
    // The kernel keeps a device as 12 bits and 20, and of the file's number the lower 32 bits.
    let device = number(value, 4)?;
    let (major, minor) = (rustix::fs::major(file.st_dev), rustix::fs::minor(file.st_dev));
    let same = device == (major << 20 | minor) && u64::from(number(value, 0)?) == file.st_ino & 0xffff_ffff;
    same.then_some(inode)
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::os::unix::net::{UnixDatagram, UnixListener};

    use super::*;

    fn inode(fd: impl Into<OwnedFd>) -> u64 {
        rustix::fs::fstat(fd.into()).unwrap().st_ino
    }

    #[test]
    fn a_socket_is_found_by_its_file_whatever_its_path_was() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("with space"), folder.path().join("moved"));
        let listener = UnixListener::bind(&path).unwrap();
        std::fs::rename(&path, &moved).unwrap();
        let datagrams = UnixDatagram::bind(&path).unwrap();
        assert!(listener.as_raw_fd() >= 0);
        let at = |path| bound_to(&rustix::fs::lstat(path).unwrap()).unwrap();
        let (found, other) = (at(&moved), at(&path));
        assert_eq!(found, [inode(listener)]);
        assert_eq!(other, [inode(datagrams)]);
        assert_eq!(at(&moved), [0_u64; 0]);
    }
}
