//! Questions to the kernel over netlink(7): one question, all of its answers.

use std::time::Duration;

use rustix::io::Errno;

use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with, sockopt,
};

// linux/netlink.h; all numbers are in the machine's own byte order.
const ERROR: u16 = 2;
const DONE: u16 = 3;
const REQUEST_DUMP: u16 = 0x301;
const HEAD: usize = 16;
/// Room for the answers of one receive: the kernel fills at most 32 KiB.
const BUFFER: usize = 64 * 1024;

/// Asks for everything of a kind; without a protocol it is NETLINK_ROUTE, whose number is 0. It hands over the body of each answer.
///
/// # Errors
/// As socket(2) and netlink(7); the kernel does not know the question.
pub(super) fn dump(
    protocol: Option<Protocol>,
    kind: u16,
    body: &[u8],
    mut answer: impl FnMut(u16, &[u8]),
) -> Result<(), Errno> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    // The kernel answers within the call; this only keeps a surprise from becoming a hang.
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(Duration::from_secs(1)))?;
    send(&socket, &question(kind, body), SendFlags::empty())?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = match recv(&socket, buffer.as_mut_slice(), RecvFlags::empty()) {
            Ok((_, length)) => length,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error),
        };
        let mut rest = buffer.get(..length).ok_or(Errno::MSGSIZE)?;
        while let Some((kind, body, behind)) = message(rest) {
            match kind {
                DONE => return Ok(()),
                ERROR => return Err(Errno::OPNOTSUPP),
                _ => answer(kind, body),
            }
            rest = behind;
        }
    }
}

/// `nlmsghdr` and what is asked. The numbers of the question and of who asks stay 0: one question, one asker.
fn question(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEAD + body.len()).unwrap_or(u32::MAX);
    let mut question = Vec::with_capacity(HEAD + body.len());
    question.extend(length.to_ne_bytes());
    question.extend(kind.to_ne_bytes());
    question.extend(REQUEST_DUMP.to_ne_bytes());
    question.extend([0; 8]);
    question.extend(body);
    question
}

/// The first message: its kind, its body, and what stands behind it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(number(bytes, 0)?).ok()?;
    let kind = short(bytes, 4)?;
    let body = bytes.get(HEAD..length)?;
    Some((kind, body, bytes.get(length.next_multiple_of(4)..).unwrap_or(&[])))
}

/// The attributes that stand behind the fixed part of an answer: `rtattr`, each with its kind and its value.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(short(rest, 0)?);
        let kind = short(rest, 2)?;
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

pub(super) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(super) fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
