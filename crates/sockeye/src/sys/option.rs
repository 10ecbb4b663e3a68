//! Options of sockets that no library sets (setsockopt(2)).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

/// Sets one whose value is an int.
///
/// # Errors
/// As setsockopt(2).
pub(crate) fn set(fd: impl AsFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> Result<(), Errno> {
    // SAFETY: the options that come here take an int, which lives beyond the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(last_error()) } else { Ok(()) }
}

/// Sends and takes packets through this interface only (socket(7), `SO_BINDTODEVICE`).
///
/// # Errors
/// There is no such interface, or it is not allowed.
pub(crate) fn bind_to_interface(fd: impl AsFd, name: &str) -> Result<(), Errno> {
    // SAFETY: the kernel reads as many bytes as the name has, and the name lives beyond the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            name.as_ptr().cast(),
            libc::socklen_t::try_from(name.len()).map_err(|_| Errno::INVAL)?,
        )
    };
    if result < 0 { Err(last_error()) } else { Ok(()) }
}

fn last_error() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}
