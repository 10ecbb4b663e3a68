//! What waits in a pipe or a socket, and how much may: ioctl(2) with `SIOCOUTQ` (tcp(7)) and `FIONREAD`.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

use super::option;

/// Bytes that may have arrived though the peer's system has not said so: two segments, as large as the loopback has them.
const UNTOLD: u64 = 2 * 64 * 1024;

/// Bytes written to a TCP or Unix socket that the peer's system has not taken yet.
pub(crate) fn unsent(fd: impl AsFd) -> io::Result<u64> {
    count(fd, libc::TIOCOUTQ)
}

/// Bytes of a TCP connection that the peer's system had not taken when it was reset; our end is none, and counts as one where the
/// system has it. Of the last two segments that system may have taken all without saying so (RFC 9293, section 3.8.6.3): they are
/// as good as there.
pub(crate) fn not_arrived(fd: impl AsFd, has_end: bool) -> u64 {
    let unsent = unsent(fd).unwrap_or(0).saturating_sub(u64::from(has_end));
    if unsent > UNTOLD { unsent } else { 0 }
}

/// Bytes that can be read from a pipe or a socket without waiting.
pub(crate) fn unread(fd: impl AsFd) -> io::Result<u64> {
    count(fd, libc::FIONREAD)
}

/// Bounds what may wait in a TCP socket that was not sent yet (tcp(7), `TCP_NOTSENT_LOWAT`): what is beyond it is not taken.
/// What was sent and not acknowledged is bounded by windows.
pub(crate) fn bound_unsent(fd: impl AsFd, bytes: i32) -> Result<(), Errno> {
    option::set(fd, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, bytes)
}

fn count(fd: impl AsFd, request: libc::Ioctl) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: both requests write one int, which lives beyond the call.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), request, &raw mut bytes) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(u64::try_from(bytes).unwrap_or(0)) }
}
