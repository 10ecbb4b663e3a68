//! Messages in a stream of bytes: where one ends, and how one is written.

use std::fmt;

use crate::address::Framing;

/// Most bytes that a stream's reads make one message of: more fits into no datagram over IPv4 (RFC 768, RFC 791).
const AT_ONCE: usize = transcript::limits::DATAGRAM as usize;
/// A message that has not ended after so many bytes ends never.
const LONGEST: usize = crate::limits::FRAMED_LINE;

/// How messages stand in what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    Of(Framing),
    /// Behind its length, as a session whose messages have bounds gives them.
    Bounded,
}

/// Takes a stream apart.
#[derive(Debug)]
pub(super) struct Framer {
    frame: Frame,
    bytes: Vec<u8>,
    /// How many of them were taken.
    taken: usize,
    /// How many of the rest hold no end of a line.
    looked: usize,
}

impl Framer {
    pub(super) fn new(frame: Frame) -> Self {
        Self { frame, bytes: Vec::new(), taken: 0, looked: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.taken));
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message that is whole.
    ///
    /// # Errors
    /// There is none, and never will be: how many bytes it has so far.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, usize> {
        let rest = &self.bytes[self.taken..];
        // Where it begins, where it ends, and where the next one begins.
        let found = match self.frame {
            Frame::Of(Framing::None) => {
                let length = rest.len().min(AT_ONCE);
                (length > 0).then_some((0, length, length))
            }
            Frame::Of(Framing::Line) => {
                let end = memchr::memchr(b'\n', &rest[self.looked..]).map(|at| self.looked + at);
                self.looked = if end.is_some() { 0 } else { rest.len() };
                end.map(|end| (0, if rest[..end].ends_with(b"\r") { end - 1 } else { end }, end + 1))
            }
            Frame::Of(Framing::U16) => behind(rest, 2, |length| u16::from_be_bytes([length[0], length[1]]).into()),
            Frame::Bounded => {
                behind(rest, 4, |bytes| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
            }
        };
        match found {
            Some((start, end, next)) => {
                let at = self.taken;
                self.taken += next;
                Ok(Some(&self.bytes[at + start..at + end]))
            }
            None if rest.len() > LONGEST && self.frame != Frame::Bounded => Err(rest.len()),
            None => Ok(None),
        }
    }

    /// What stands behind the last whole message, now that nothing more comes: the last line, where lines are messages.
    ///
    /// # Errors
    /// It is no message: how many bytes it has.
    pub(super) fn finish(&mut self) -> Result<Option<Vec<u8>>, usize> {
        let rest = self.bytes.split_off(self.taken);
        (self.bytes, self.taken, self.looked) = (Vec::new(), 0, 0);
        match self.frame {
            _ if rest.is_empty() => Ok(None),
            Frame::Of(Framing::None | Framing::Line) => Ok(Some(rest)),
            Frame::Of(Framing::U16) | Frame::Bounded => Err(rest.len()),
        }
    }
}

/// A message behind its length, if it is there whole.
fn behind(rest: &[u8], head: usize, length: impl Fn(&[u8]) -> usize) -> Option<(usize, usize, usize)> {
    let end = head + length(rest.get(..head)?);
    (rest.len() >= end).then_some((head, end, end))
}

/// A message that is longer than its framing can say; its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong(usize);

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a message of {} bytes is longer than frame=u16 can say", self.0)
    }
}

impl std::error::Error for TooLong {}

/// Adds a message to a stream.
///
/// # Errors
/// It is too long for its framing, and nothing is added.
pub(super) fn write(framing: Framing, message: &[u8], out: &mut Vec<u8>) -> Result<(), TooLong> {
    match framing {
        Framing::None => out.extend_from_slice(message),
        Framing::Line => {
            out.extend_from_slice(message);
            if !message.ends_with(b"\n") {
                out.push(b'\n');
            }
        }
        Framing::U16 => {
            let length = u16::try_from(message.len()).map_err(|_| TooLong(message.len()))?;
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(message);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every message of a stream that comes in pieces of a size, and what is found at its end.
    type All = (Vec<Vec<u8>>, Result<Option<Vec<u8>>, usize>);

    fn all(frame: Frame, stream: &[u8], size: usize) -> All {
        let (mut framer, mut messages) = (Framer::new(frame), Vec::new());
        for piece in stream.chunks(size) {
            framer.push(piece);
            while let Some(message) = framer.next().unwrap() {
                messages.push(message.to_vec());
            }
        }
        (messages, framer.finish())
    }

    #[test]
    fn a_stream_is_taken_apart_the_same_however_it_comes() {
        for size in 1..20 {
            let (lines, last) = all(Frame::Of(Framing::Line), b"one\r\n\ntwo three\nlast", size);
            assert_eq!(lines, [&b"one"[..], b"", b"two three"]);
            assert_eq!(last, Ok(Some(b"last".to_vec())));
            let (messages, last) = all(Frame::Of(Framing::U16), b"\0\x03one\0\0\0\x05three\0\x09cut", size);
            assert_eq!(messages, [&b"one"[..], b"", b"three"]);
            assert_eq!(last, Err(5));
            let (pieces, last) = all(Frame::Of(Framing::None), b"bytes and bytes", size);
            assert!(pieces.concat() == b"bytes and bytes" && last == Ok(None));
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for framing in [Framing::Line, Framing::U16] {
            let mut stream = Vec::new();
            for message in [&b"one"[..], b"", b"two"] {
                write(framing, message, &mut stream).unwrap();
            }
            let (messages, last) = all(Frame::Of(framing), &stream, 1);
            assert_eq!(messages, [&b"one"[..], b"", b"two"]);
            assert_eq!(last, Ok(None));
        }
        assert_eq!(write(Framing::U16, &[0; 65_536], &mut Vec::new()), Err(TooLong(65_536)));
    }

    #[test]
    fn a_line_without_an_end_is_not_waited_for_for_ever() {
        let mut framer = Framer::new(Frame::Of(Framing::Line));
        framer.push(&vec![b'x'; LONGEST + 1]);
        assert_eq!(framer.next(), Err(LONGEST + 1));
    }
}
