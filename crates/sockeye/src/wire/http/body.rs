//! The content of a request: where it ends, and its bytes out of their chunks (RFC 9112, sections 6 and 7). Bytes go in,
//! pieces of content come out.

use super::fields::Fields;
use super::status::Status;
use super::version::Version;
use crate::limits::{CHUNK_LINE, CHUNK_WASTE, TRAILERS};

/// How the content of a request is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    None,
    /// That many bytes.
    Length(u64),
    /// Chunks, the last of them empty.
    Chunked,
    /// It ends where its stream of HTTP/2 does.
    Stream,
}

impl Framing {
    /// Refuses what two readers could take differently (RFC 9112, sections 6.1 to 6.3).
    pub(crate) fn of(fields: &Fields<'_>, version: Version) -> Result<Self, Status> {
        match (fields.transfer_encoding.as_deref(), fields.content_length.as_deref()) {
            (None, None) => Ok(Self::None),
            (None, Some(length)) => {
                number(length).map(|length| if length == 0 { Self::None } else { Self::Length(length) })
            }
            (Some(coding), None) if version == Version::Http11 && coding.eq_ignore_ascii_case(b"chunked") => {
                Ok(Self::Chunked)
            }
            // Where it ends is clear, but not what it says (RFC 9112, section 6.1).
            (Some(codings), None) if version == Version::Http11 && is_unknown(codings) => Err(Status::NOT_IMPLEMENTED),
            (Some(_), _) => Err(Status::BAD_REQUEST),
        }
    }
}

/// Whether these are codings that we do not know, and chunks last and only there.
fn is_unknown(codings: &[u8]) -> bool {
    let is_token =
        |name: &[u8]| !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    let names: Vec<&[u8]> = codings.split(|&byte| byte == b',').map(|name| name.trim_ascii()).collect();
    let Some((last, others)) = names.split_last() else { return false };
    let is_chunked = |name: &[u8]| name.eq_ignore_ascii_case(b"chunked");
    is_chunked(last) && !others.is_empty() && others.iter().all(|name| is_token(name) && !is_chunked(name))
}

/// Digits and nothing else: no sign, no list, no blank inside.
fn number(text: &[u8]) -> Result<u64, Status> {
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).ok_or(Status::BAD_REQUEST)
}

/// What came of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece<'b> {
    /// How many of them are done with. Zero, and no end: more have to come first.
    pub(crate) used: usize,
    /// The content in them, perhaps none.
    pub(crate) data: &'b [u8],
    /// Whether the content ends here; what follows is the next request.
    pub(crate) is_last: bool,
}

/// Takes the content of one request out of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Decoder {
    state: State,
    /// Bytes of lines less bytes of content, where positive.
    waste: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// That many bytes until the end.
    Length(u64),
    ChunkLine,
    /// That many bytes of a chunk.
    Chunk(u64),
    /// The line end behind a chunk.
    ChunkEnd,
    /// The trailer section, of which that much came.
    Trailers(usize),
    Ended,
    /// Everything, until the connection says that it ends.
    Stream,
}

impl Decoder {
    /// Begins behind a head.
    #[must_use]
    pub(crate) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None => State::Ended,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkLine,
            Framing::Stream => State::Stream,
        };
        Self { state, waste: 0 }
    }

    /// Takes one piece from the beginning of `bytes`. Call it again with what it did not use, and with more behind it,
    /// until it was the last.
    ///
    /// # Errors
    /// The chunks are malformed or wasteful: there is no telling where the next request begins.
    pub(crate) fn take<'b>(&mut self, bytes: &'b [u8]) -> Result<Piece<'b>, Status> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            match self.state {
                State::Ended => return Ok(Piece { used, data: &[], is_last: true }),
                State::Stream => return Ok(Piece { used: bytes.len(), data: rest, is_last: false }),
                State::Length(left) | State::Chunk(left) => {
                    let data = &rest[..usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()))];
                    self.content(left - data.len() as u64, data.len());
                    return Ok(Piece { used: used + data.len(), data, is_last: self.state == State::Ended });
                }
                State::ChunkLine | State::ChunkEnd | State::Trailers(_) => match self.line(rest)? {
                    0 => return Ok(Piece { used, data: &[], is_last: false }),
                    length => used += length,
                },
            }
        }
    }

    /// Nothing more comes: whether that was all.
    ///
    /// # Errors
    /// There was to be more.
    pub(crate) fn end(&self) -> Result<(), Status> {
        match self.state {
            State::Ended | State::Stream | State::Length(0) => Ok(()),
            _ => Err(Status::BAD_REQUEST),
        }
    }

    fn content(&mut self, left: u64, came: usize) {
        self.waste = self.waste.saturating_sub(came as u64);
        self.state = match (self.state, left) {
            (State::Chunk(_), 0) => State::ChunkEnd,
            (State::Chunk(_), left) => State::Chunk(left),
            (_, 0) => State::Ended,
            (_, left) => State::Length(left),
        };
    }

    /// Reads one line between contents and tells its length with its end; zero if the end has not come.
    fn line(&mut self, bytes: &[u8]) -> Result<usize, Status> {
        let most = match self.state {
            State::Trailers(came) => TRAILERS - came,
            State::ChunkEnd => 0,
            _ => CHUNK_LINE,
        };
        let window = &bytes[..bytes.len().min(most + 2)];
        let Some(at) = memchr::memchr(b'\n', window) else {
            // A chunk that is longer than it said shows here.
            let is_open = window.len() < most + 2 && (most > 0 || b"\r".starts_with(window));
            return if is_open { Ok(0) } else { Err(Status::BAD_REQUEST) };
        };
        let line = window[..at].strip_suffix(b"\r").ok_or(Status::BAD_REQUEST)?;
        // A CR alone, or any other control: some reader may end the line there.
        if line.iter().any(|&byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
            return Err(Status::BAD_REQUEST);
        }
        self.waste += at as u64 + 1;
        if self.waste > CHUNK_WASTE {
            return Err(Status::BAD_REQUEST);
        }
        self.state = match self.state {
            State::ChunkEnd if line.is_empty() => State::ChunkLine,
            State::ChunkEnd => return Err(Status::BAD_REQUEST),
            State::Trailers(_) if line.is_empty() => State::Ended,
            State::Trailers(came) => State::Trailers(came + at),
            _ => match chunk_size(line)? {
                0 => State::Trailers(0),
                size => State::Chunk(size),
            },
        };
        Ok(at + 1)
    }
}

/// Hexadecimal digits, and behind them nothing or an extension. Blanks before the semicolon are allowed to a reader
/// (RFC 9112, section 7.1.1) and are how readers are set apart: they are refused.
fn chunk_size(line: &[u8]) -> Result<u64, Status> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    // Some readers forget what does not fit, and see a short chunk.
    text.filter(|text| text.len() <= 16)
        .and_then(|text| u64::from_str_radix(text, 16).ok())
        .filter(|&size| size <= i64::MAX.unsigned_abs())
        .ok_or(Status::BAD_REQUEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content, how much was left behind it, and whether it ended; `step` bytes come at a time.
    fn decode(framing: Framing, bytes: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), Status> {
        let mut decoder = Decoder::new(framing);
        let (mut content, mut from, mut to) = (vec![], 0, 0);
        loop {
            let piece = decoder.take(&bytes[from..to])?;
            content.extend_from_slice(piece.data);
            from += piece.used;
            if piece.is_last || (piece.used == 0 && to == bytes.len()) {
                return Ok((content, bytes.len() - from, piece.is_last));
            }
            if piece.used == 0 {
                to = bytes.len().min(to + step);
            }
        }
    }

    #[test]
    fn content_comes_out_however_it_is_cut() {
        for (framing, bytes, content, left) in [
            (Framing::None, "GET", "", 3),
            (Framing::Length(3), "abcd", "abc", 1),
            (Framing::Chunked, "3\r\nabc\r\n0\r\n\r\nGET", "abc", 3),
            (Framing::Chunked, "3;a=\"b\"\r\nabc\r\nA\r\n0123456789\r\n000\r\nX: y\r\n\r\n", "abc0123456789", 0),
        ] {
            for step in 1..=bytes.len() {
                let found = decode(framing, bytes.as_bytes(), step).unwrap();
                assert_eq!(found, (content.into(), left, true), "{bytes:?} by {step}");
            }
        }
        assert_eq!(decode(Framing::Length(3), b"ab", 9).unwrap(), (b"ab".to_vec(), 0, false));
        assert_eq!(decode(Framing::Chunked, b"3\r\nabc", 9).unwrap(), (b"abc".to_vec(), 0, false));
    }

    #[test]
    fn a_stream_ends_when_its_owner_says_and_a_length_when_it_is_reached() {
        for (framing, bytes, ends) in [
            (Framing::Stream, &b""[..], true),
            (Framing::Stream, b"anything", true),
            (Framing::Length(3), b"abc", true),
            (Framing::Length(3), b"ab", false),
            (Framing::Chunked, b"1\r\na\r\n", false),
            (Framing::None, b"", true),
        ] {
            let (mut decoder, mut rest) = (Decoder::new(framing), bytes);
            while let Ok(Piece { used: 1.., is_last: false, .. }) = decoder.clone().take(rest) {
                rest = &rest[decoder.take(rest).unwrap().used..];
            }
            decoder.take(rest).unwrap();
            assert_eq!(decoder.end().is_ok(), ends, "{framing:?} {bytes:?}");
        }
    }

    /// Row 59 of the faults.
    #[test]
    fn odd_chunks_are_refused() {
        let long = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(1000));
        let trailers = format!("0\r\n{}\r\n", "X: y\r\n".repeat(2000));
        for bytes in [
            "3\nabc\r\n0\r\n\r\n",
            "3\r\nabc\n0\r\n\r\n",
            "3\r\nabcd\r\n0\r\n\r\n",
            "3\r\nabc0\r\n\r\n",
            "\r\n",
            ";x\r\n",
            "-1\r\n",
            "+1\r\na\r\n",
            "0x1\r\na\r\n",
            "1 \r\na\r\n",
            " 1\r\na\r\n",
            "1 ;x\r\na\r\n",
            "1_0\r\na\r\n",
            "g\r\n",
            "ffffffffffffffff\r\n",
            "10000000000000003\r\nabc\r\n",
            "1;a\rb\r\na\r\n0\r\n\r\n",
            "0\r\nX: y\n\r\n",
            "0\n\r\n",
            &long,
            &trailers,
        ] {
            for step in [1, 2, bytes.len()] {
                let found = decode(Framing::Chunked, bytes.as_bytes(), step);
                assert_eq!(found, Err(Status::BAD_REQUEST), "{bytes:?} by {step}");
            }
        }
    }

    #[test]
    fn chunks_of_one_byte_end_sometime() {
        let bytes = "1;xxxxxxxxxxxxxxxxxxxx\r\na\r\n".repeat(100_000);
        assert_eq!(decode(Framing::Chunked, bytes.as_bytes(), 4096), Err(Status::BAD_REQUEST));
    }
}
