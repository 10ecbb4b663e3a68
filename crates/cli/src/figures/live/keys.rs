//! The key `q`, read without a line ending and without an echo. Ctrl-C stays a signal.

use std::io;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcgetpgrp, tcsetattr,
};

/// The keyboard, until it is dropped.
pub(super) struct Keys {
    before: Termios,
    asked: bool,
}

/// Whether the terminal is ours. A job in the background that changed it would be stopped.
pub(super) fn is_foreground() -> bool {
    let stdin = io::stdin();
    if !isatty(&stdin) {
        // Of a terminal that is only written to nothing is changed.
        return true;
    }
    tcgetpgrp(&stdin).is_ok_and(|group| group == rustix::process::getpgrp())
}

impl Keys {
    /// None where standard input is no terminal.
    pub(super) fn take() -> Option<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin).ok()?;
        let mut raw = before.clone();
        raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        // A read gives what is there, and never waits.
        raw.special_codes[SpecialCodeIndex::VMIN] = 0;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&stdin, OptionalActions::Now, &raw).ok()?;
        Some(Self { before, asked: false })
    }

    /// Whether `q` was pressed. Other keys do nothing.
    pub(super) fn asked_for_an_end(&mut self) -> bool {
        let stdin = io::stdin();
        let mut bytes = [0; 64];
        loop {
            let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
            let ready = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|count| count > 0);
            if !ready {
                return self.asked;
            }
            match rustix::io::read(&stdin, &mut bytes) {
                Ok(count @ 1..) => self.asked |= bytes[..count].iter().any(|&key| matches!(key, b'q' | b'Q')),
                // The terminal is gone: the user there says no more.
                Ok(0) | Err(_) => return self.asked,
            }
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
