//! `-t`: every offer and every wish of a telnet server is declined (RFC 854).

use super::join::write_all;
use super::{Fatal, Nc};
use crate::sys::bsd::socket::Fd;

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;

impl Nc<'_> {
    /// Answers what stands in the bytes that wait for standard output, which gets them as they came.
    pub(super) fn decline(&mut self, fd: Fd, bytes: &[u8]) {
        for answer in answers(bytes) {
            if let Err(failed) = write_all(fd, &answer) {
                self.warn(Fatal::at("Write Error!", &failed.error).0);
            }
        }
    }
}

/// One for each option that the other end wants, or wants us to have.
fn answers(bytes: &[u8]) -> Vec<[u8; 3]> {
    let mut answers = Vec::new();
    let mut at = 0;
    while at + 2 < bytes.len() {
        if bytes[at] == IAC {
            at += 1;
            let answer = match bytes[at] {
                WILL | WONT => Some(DONT),
                DO | DONT => Some(WONT),
                _ => None,
            };
            if let Some(answer) = answer {
                at += 1;
                answers.push([IAC, answer, bytes[at]]);
            }
        }
        at += 1;
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_and_what_is_wanted_is_declined() {
        let bytes = [b'a', IAC, WILL, 1, IAC, DO, 3, IAC, WONT, 5, IAC, DONT, 6, b'z'];
        let expected = [[IAC, DONT, 1], [IAC, WONT, 3], [IAC, DONT, 5], [IAC, WONT, 6]];
        assert_eq!(answers(&bytes), expected);
    }

    #[test]
    fn what_is_not_whole_is_no_wish() {
        for bytes in [&[][..], &[IAC], &[IAC, DO], &[b'a', IAC, DO], &[IAC, IAC, DO, 1]] {
            assert_eq!(answers(bytes).len(), 0, "{bytes:?}");
        }
    }
}
