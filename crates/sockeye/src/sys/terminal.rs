//! A pseudoterminal for a child (pty(7)).

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// What a program is told that cannot know how large the peer's terminal is.
const SIZE: Winsize = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };

/// Our end, which does not block, and the path of the other one.
///
/// # Errors
/// As posix_openpt(3): there are no terminals left.
pub(crate) fn open() -> io::Result<(OwnedFd, CString)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let path = ptsname(&ours, Vec::new())?;
    tcsetwinsize(&ours, SIZE)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, path))
}
