//! Which Unix sockets are bound to a file: asked of the kernel by the file's identity (sock_diag(7)). /proc/net/unix only
//! has the path as it was once written, which may be relative, cut at a space, or lead to another file by now.

use rustix::fs::Stat;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with, sockopt,
};

/// The sockets that are bound to a file: listening, about to listen, or taking datagrams. Those of another network
/// namespace are not seen, nor those on a file system that shows other numbers than it keeps (overlay).
/// They are told by their own inodes, which /proc shows among a process's descriptors.
///
/// # Errors
/// The kernel does not answer such questions.
pub(crate) fn bound_to(file: &Stat) -> Result<Vec<u64>, Errno> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
    // The kernel answers within the call; this only keeps a surprise from becoming a hang.
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(std::time::Duration::from_secs(1)))?;
    send(&socket, &question(), SendFlags::empty())?;
    let mut found = Vec::new();
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let (_, length) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
        let mut rest = buffer.get(..length).ok_or(Errno::MSGSIZE)?;
        while let Some((kind, body, behind)) = message(rest) {
            match kind {
                DONE => return Ok(found),
                // No unix_diag in this kernel.
                ERROR => return Err(Errno::OPNOTSUPP),
                _ => found.extend(bound(body, file)),
            }
            rest = behind;
        }
    }
}

// linux/netlink.h, linux/sock_diag.h, linux/unix_diag.h: all numbers in the machine's own byte order.
const DONE: u16 = 3;
const ERROR: u16 = 2;
const BY_FAMILY: u16 = 20;
const REQUEST_DUMP: u16 = 0x301;
const SHOW_FILE: u32 = 2;
const FILE: u16 = 1;
const HEAD: usize = 16;
const SOCKET: usize = 16;

/// `nlmsghdr` and `unix_diag_req`: every Unix socket in any state, each with its file.
fn question() -> Vec<u8> {
    const LENGTH: u32 = 40;
    let mut question = Vec::with_capacity(LENGTH as usize);
    question.extend(LENGTH.to_ne_bytes());
    question.extend(BY_FAMILY.to_ne_bytes());
    question.extend(REQUEST_DUMP.to_ne_bytes());
    // Number of the question and of who asks: one question, one asker.
    question.extend([0; 8]);
    // Family 1 is AF_UNIX; no protocol.
    question.extend([1, 0, 0, 0]);
    // States, inode, what to show, cookie.
    for word in [u32::MAX, 0, SHOW_FILE, u32::MAX, u32::MAX] {
        question.extend(word.to_ne_bytes());
    }
    question
}

/// The first message: its kind, its body, and what stands behind it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(number(bytes, 0)?).ok()?;
    let kind = short(bytes, 4)?;
    let body = bytes.get(HEAD..length)?;
    Some((kind, body, bytes.get(length.next_multiple_of(4)..).unwrap_or(&[])))
}

/// The socket of a `unix_diag_msg`, if the file is the one.
fn bound(body: &[u8], file: &Stat) -> Option<u64> {
    let inode = u64::from(number(body, 4)?);
    let mut attributes = body.get(SOCKET..)?;
    loop {
        let length = usize::from(short(attributes, 0)?);
        let value = attributes.get(4..length)?;
        if short(attributes, 2)? == FILE {
            // The kernel keeps a device as 12 bits and 20, and of the file's number the lower 32 bits.
            let device = number(value, 4)?;
            let (major, minor) = (rustix::fs::major(file.st_dev), rustix::fs::minor(file.st_dev));
            let same = device == (major << 20 | minor) && u64::from(number(value, 0)?) == file.st_ino & 0xffff_ffff;
            return same.then_some(inode);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
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
