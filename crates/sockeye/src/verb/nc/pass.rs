//! `-F`: the connected socket itself goes to the process behind standard output.

use std::io;

use super::Fatal;
use crate::sys::bsd::socket::{self, Fd};

const STDOUT: Fd = 1;

pub(super) fn pass_on(fd: Fd) -> Result<(), Fatal> {
    if socket::is_terminal(STDOUT) {
        return Err(Fatal::plain("Cannot pass file descriptor to tty"));
    }
    loop {
        match socket::pass(STDOUT, fd) {
            Ok(1) => return Ok(()),
            Ok(count) => return Err(Fatal::plain(format!("sendmsg: unexpected return value {count}"))),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                socket::wait_for(STDOUT, libc::POLLOUT, -1).map_err(|error| Fatal::at("poll", &error))?;
            }
            Err(error) => return Err(Fatal::at("sendmsg", &error)),
        }
    }
}
