//! Chunks (RFC 9112, section 7.1) as an answer has them, made into the plainest form that says the same: sizes without
//! extensions, and no trailers. Signers put a signature behind every size, so extensions have no bound but that of a line.

use std::fmt;

use crate::limits;

/// What of the chunks is read next.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    state: State,
    /// The digits of a size so far.
    size: Option<u64>,
    /// How long the line is so far, or all trailers together.
    line: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    /// Behind the digits: spaces and extensions, up to the end of the line.
    Extension,
    Data(u64),
    /// Behind the data, where a line ends.
    DataEnd,
    DataLineFeed,
    /// At the beginning of a line behind the last chunk.
    Trailer,
    InTrailer,
    /// A line that so far has a CR only.
    TrailerEnd,
    Done,
}

/// What came of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chunk<'a> {
    /// Framing, to be written as this.
    Framing(String),
    /// What the chunk holds.
    Data(&'a [u8]),
    /// Nothing yet.
    Nothing,
}

/// What is wrong with the chunks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ChunkError(&'static str);

impl fmt::Display for ChunkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Chunks {
    /// Whether all has come.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes bytes, at most so many of data; how many were taken and what came of them. What is left is taken next.
    pub(crate) fn take<'a>(&mut self, bytes: &'a [u8], room: usize) -> Result<(usize, Chunk<'a>), ChunkError> {
        if let State::Data(left) = self.state {
            let length = bytes.len().min(room).min(usize::try_from(left).unwrap_or(usize::MAX));
            let left = left - length as u64;
            self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
            return Ok((length, Chunk::Data(&bytes[..length])));
        }
        for (at, &byte) in bytes.iter().enumerate() {
            self.line += 1;
            if self.line > limits::HEAD {
                return Err(ChunkError("a line between its chunks has no end"));
            }
            if let Some(framing) = self.step(byte)? {
                return Ok((at + 1, Chunk::Framing(framing)));
            }
        }
        Ok((bytes.len(), Chunk::Nothing))
    }

    /// Takes one byte of the framing.
    fn step(&mut self, byte: u8) -> Result<Option<String>, ChunkError> {
        let wrong = || ChunkError("it has no size where a chunk begins");
        self.state = match (self.state, byte) {
            (State::Size, digit) if digit.is_ascii_hexdigit() => {
                let digit = char::from(digit).to_digit(16).unwrap_or_default();
                let size =
                    self.size.unwrap_or(0).checked_mul(16).ok_or(ChunkError("a chunk is larger than numbers are"))?;
                self.size = Some(size + u64::from(digit));
                State::Size
            }
            // curl takes a line feed alone, too.
            (State::Size | State::Extension, b'\n') => {
                let size = self.size.take().ok_or_else(wrong)?;
                self.line = 0;
                self.state = if size == 0 { State::Trailer } else { State::Data(size) };
                // The last chunk counts when what follows it has come.
                return Ok((size > 0).then(|| format!("{size:x}\r\n")));
            }
            (State::Size, b' ' | b'\t' | b';' | b'\r') if self.size.is_some() => State::Extension,
            (State::Extension, _) => State::Extension,
            (State::Size, _) => return Err(wrong()),
            (State::DataEnd, b'\r') => State::DataLineFeed,
            (State::DataEnd | State::DataLineFeed, b'\n') => {
                (self.state, self.line) = (State::Size, 0);
                return Ok(Some("\r\n".to_owned()));
            }
            (State::DataEnd | State::DataLineFeed, _) => {
                return Err(ChunkError("a chunk is longer than its size says"));
            }
            (State::Trailer, b'\r') => State::TrailerEnd,
            (State::Trailer | State::TrailerEnd, b'\n') => {
                self.state = State::Done;
                return Ok(Some("0\r\n\r\n".to_owned()));
            }
            (State::InTrailer, b'\n') => State::Trailer,
            (State::Trailer | State::InTrailer | State::TrailerEnd, _) => State::InTrailer,
            (State::Data(_) | State::Done, _) => return Err(wrong()),
        };
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of bytes in pieces of a length, and how many are left behind the end.
    fn plain(text: &[u8], piece: usize) -> Result<(Vec<u8>, bool), String> {
        let (mut chunks, mut written) = (Chunks::default(), Vec::new());
        for mut bytes in text.chunks(piece) {
            while !bytes.is_empty() && !chunks.is_done() {
                let (taken, chunk) = chunks.take(bytes, 3).map_err(|error| error.to_string())?;
                match chunk {
                    Chunk::Data(data) => written.extend(data),
                    Chunk::Framing(text) => written.extend(text.bytes()),
                    Chunk::Nothing => {}
                }
                bytes = &bytes[taken..];
            }
        }
        Ok((written, chunks.is_done()))
    }

    #[test]
    fn chunks_are_made_plain_however_they_come() {
        let long = "s".repeat(60_000);
        for (text, expected) in [
            ("5\r\nhello\r\n0\r\n\r\n".to_owned(), "5\r\nhello\r\n0\r\n\r\n"),
            (
                "005;chunk-signature=ab;x=\"y\"\r\nhello\r\n0;chunk-signature=cd\r\n\r\n".to_owned(),
                "5\r\nhello\r\n0\r\n\r\n",
            ),
            (format!("5;{long}\r\nhello\r\n000;{long}\r\n\r\n"), "5\r\nhello\r\n0\r\n\r\n"),
            (
                "A \r\n0123456789\r\n0 \r\nX: y\r\nodd line\r\n folded\r\n\r\n".to_owned(),
                "a\r\n0123456789\r\n0\r\n\r\n",
            ),
            ("1\nx\n0\n\n".to_owned(), "1\r\nx\r\n0\r\n\r\n"),
            ("0\r\nX: y\n\n".to_owned(), "0\r\n\r\n"),
        ] {
            for piece in [1, 2, 7, 100_000] {
                assert_eq!(
                    plain(text.as_bytes(), piece),
                    Ok((expected.as_bytes().to_vec(), true)),
                    "{text:.40} {piece}"
                );
            }
            for cut in 1..text.len().min(80) {
                let (_, is_done) = plain(&text.as_bytes()[..cut], 5).unwrap();
                assert!(!is_done, "{text:.40} at {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for text in [
            "x\r\n",
            "\r\n",
            ";a\r\n",
            "-1\r\n",
            "0x5\r\n",
            "5\r\nhello!\r\n",
            "5\r\nhello\rx",
            "11111111111111111\r\n",
            "5g\r\n",
        ] {
            assert!(plain(text.as_bytes(), 100).is_err(), "{text:?}");
        }
        assert!(plain("5;".repeat(limits::HEAD).as_bytes(), 1000).is_err());
    }
}
