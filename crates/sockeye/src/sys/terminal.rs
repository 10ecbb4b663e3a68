//! A pseudoterminal for a child (pty(7)), and what is typed at one.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{InputModes, LocalModes, SpecialCodeIndex, Winsize, tcgetattr, tcsetwinsize};

/// What a program is told that cannot know how large the peer's terminal is.
const SIZE: Winsize = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };

/// What a terminal takes for the end of what is typed (termios(3), VEOF).
const END_OF_TRANSMISSION: u8 = 4;
/// The longest line that a terminal takes whose program has it assemble lines, without the newline, in bytes. It throws away what is
/// behind (termios(3), canonical mode).
const LONGEST_LINE: usize = 4095;

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

/// The line that is being typed at a terminal.
#[derive(Debug, Default)]
pub(crate) struct TypedLine {
    /// Its bytes so far.
    length: usize,
    /// The terminal assembles lines.
    is_canonical: bool,
    /// A carriage return ends one.
    has_returns: bool,
    /// Keys that end a line or throw it away (termios(3): VEOF, VEOL, VKILL, VINTR), and the one that takes its last byte back
    /// (VERASE).
    ends: [u8; 4],
    erases: u8,
}

impl TypedLine {
    /// How many of these bytes the terminal takes as it is now: fewer than all if a line is too long.
    pub(crate) fn room(&mut self, terminal: impl AsFd, bytes: &[u8]) -> usize {
        if !self.looks_at(terminal) {
            return bytes.len();
        }
        let mut length = self.length;
        let too_long = bytes.iter().position(|byte| {
            length = self.length_behind(length, *byte);
            length > LONGEST_LINE
        });
        too_long.unwrap_or(bytes.len())
    }

    /// These bytes were typed, after [`Self::room`] was asked.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.length = match self.is_canonical {
            true => bytes.iter().fold(self.length, |length, byte| self.length_behind(length, *byte)),
            false => 0,
        };
    }

    /// Learns how the terminal is now; whether it assembles lines.
    fn looks_at(&mut self, terminal: impl AsFd) -> bool {
        let Ok(modes) = tcgetattr(terminal) else { return false };
        self.is_canonical = modes.local_modes.contains(LocalModes::ICANON);
        self.has_returns = modes.input_modes.contains(InputModes::ICRNL);
        let keys = [SpecialCodeIndex::VEOF, SpecialCodeIndex::VEOL, SpecialCodeIndex::VKILL, SpecialCodeIndex::VINTR];
        self.ends = keys.map(|key| modes.special_codes[key]);
        self.erases = modes.special_codes[SpecialCodeIndex::VERASE];
        self.is_canonical
    }

    fn length_behind(&self, length: usize, byte: u8) -> usize {
        match byte {
            byte if self.is_end(byte) => 0,
            byte if byte != 0 && byte == self.erases => length.saturating_sub(1),
            _ => length + 1,
        }
    }

    /// What says to a terminal that nothing more is typed, behind bytes that wait. In a line the first such byte only hands over
    /// what was typed (termios(3), VEOF).
    pub(crate) fn end(&mut self, terminal: impl AsFd, waiting: &[u8]) -> &'static [u8] {
        let is_canonical = self.looks_at(terminal);
        let is_in_line = is_canonical && waiting.last().map_or(self.length > 0, |byte| !self.is_end(*byte));
        if is_in_line { &[END_OF_TRANSMISSION; 2] } else { &[END_OF_TRANSMISSION] }
    }

    fn is_end(&self, byte: u8) -> bool {
        byte == b'\n' || byte != 0 && self.ends.contains(&byte) || byte == b'\r' && self.has_returns
    }
}

/// What is wrong with a line that a terminal would cut.
pub(crate) fn line_too_long() -> io::Error {
    io::Error::other(format!(
        "a line is longer than {LONGEST_LINE} bytes, and a terminal drops the rest; do without the terminal, or have the program \
         run `stty -icanon` first"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_seen_before_the_terminal_cuts_it() {
        let (ours, _path) = open().unwrap();
        for (typed, more, room) in [
            (vec![], vec![b'x'; 4095], 4095),
            (vec![], [vec![b'x'; 4095], vec![b'\n']].concat(), 4096),
            (vec![], [vec![b'x'; 4096], vec![b'\n']].concat(), 4095),
            (vec![b'x'; 4000], vec![b'x'; 96], 95),
            (b"before\n".repeat(900), b"x\r".repeat(9000), 18000),
            // ^U throws it away, and DEL takes a byte back.
            ([vec![b'x'; 3000], vec![0x15]].concat(), vec![b'y'; 3000], 3000),
            (vec![b'x'; 4095], [[0x7f; 10], [b'y'; 10]].concat(), 20),
        ] {
            let mut line = TypedLine::default();
            assert_eq!(line.room(&ours, &typed), typed.len());
            line.add(&typed);
            assert_eq!(line.room(&ours, &more), room);
        }
    }

    #[test]
    fn the_end_of_an_unfinished_line_is_said_twice() {
        let (ours, _path) = open().unwrap();
        for (typed, waiting, end) in [
            ("", "", 1),
            ("a\n", "", 1),
            ("a", "", 2),
            ("a\n", "b", 2),
            ("a", "b\n", 1),
            ("a\r", "", 1),
            ("\u{4}", "", 1),
        ] {
            let mut line = TypedLine::default();
            line.room(&ours, typed.as_bytes());
            line.add(typed.as_bytes());
            assert_eq!(line.end(&ours, waiting.as_bytes()).len(), end, "{typed:?} {waiting:?}");
        }
    }
}
