//! Answers of HTTP/1 read for nothing but their status and their length, without taking memory: for a client that asks a hundred
//! thousand times a second.

use std::fmt;

use memchr::{memchr, memmem};

use super::Chunks;

/// What is read next of answers that follow each other on a connection.
#[derive(Debug, Default)]
pub(crate) enum Answer {
    /// A head.
    #[default]
    Head,
    /// So many bytes of content.
    Length(u64),
    Chunked(Box<Chunks>),
    /// Everything up to the end of the connection.
    ToEnd,
}

/// What a head says of what follows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) content: Content,
    /// The server closes the connection behind this answer.
    pub(crate) closes: bool,
}

/// How long the content is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    None,
    Length(u64),
    Chunked,
    ToEnd,
}

/// Why a head is none of an answer. It takes no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerError {
    /// It does not begin like one.
    Begin,
    /// Its status is no number.
    Status,
    /// Its Content-Length is no number.
    Length,
    /// It has two lengths that differ.
    Lengths,
    /// Its content is packed for the way, and where it ends is not said.
    TransferEncoding,
}

impl AnswerError {
    /// What is wrong with the answer.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Begin => "it does not begin with HTTP/1.1 and a status",
            Self::Status => "its status is no number",
            Self::Length => "its Content-Length is no number",
            Self::Lengths => "it has two lengths",
            Self::TransferEncoding => "its Transfer-Encoding does not end with chunked",
        }
    }
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl std::error::Error for AnswerError {}

/// The length of the head at the front of bytes, if it is whole; what was looked at before is not looked at again.
pub(crate) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// Reads a head that is whole (RFC 9112, sections 4 to 6).
pub(crate) fn read_head(head: &[u8], wants_body: bool) -> Result<Told, AnswerError> {
    let digits = match head {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1', b' ', a, b, c, b' ' | b'\r', ..] => [*a, *b, *c],
        _ => return Err(AnswerError::Begin),
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(AnswerError::Status);
    }
    let status = digits.iter().fold(0_u16, |number, digit| number * 10 + u16::from(digit - b'0'));
    let is_old = head[7] == b'0';
    let (mut length, mut is_chunked, mut closes) = (None, false, is_old);
    let mut rest = &head[12..];
    while let Some(end) = memchr(b'\n', rest) {
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = &rest[end + 1..];
        // Only three fields are of interest, and their first letters tell most others apart.
        match line.first().map(u8::to_ascii_lowercase) {
            Some(b'c') => {
                if let Some(value) = field(line, b"content-length") {
                    let number = number(value).ok_or(AnswerError::Length)?;
                    if length.is_some_and(|before| before != number) {
                        return Err(AnswerError::Lengths);
                    }
                    length = Some(number);
                } else if let Some(value) = field(line, b"connection") {
                    let has = |word: &[u8]| {
                        value.split(|&byte| byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(word))
                    };
                    closes = has(b"close") || closes && !has(b"keep-alive");
                }
            }
            Some(b't') => {
                if let Some(value) = field(line, b"transfer-encoding") {
                    is_chunked = value.to_ascii_lowercase().ends_with(b"chunked");
                    if !is_chunked {
                        return Err(AnswerError::TransferEncoding);
                    }
                }
            }
            _ => {}
        }
    }
    let content = match (status, is_chunked, length) {
        _ if !wants_body => Content::None,
        (100..200 | 204 | 304, ..) => Content::None,
        (_, true, _) => Content::Chunked,
        (_, false, Some(length)) => Content::Length(length),
        (_, false, None) => Content::ToEnd,
    };
    Ok(Told { status, closes: closes || content == Content::ToEnd, content })
}

/// The value of a line, if it is of this field.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (own, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    own.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 18 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(head: &str, wants_body: bool) -> Result<(u16, Content, bool), AnswerError> {
        let head = head.replace('\n', "\r\n");
        assert_eq!(end_of_head(head.as_bytes()), Some(head.len()));
        read_head(head.as_bytes(), wants_body).map(|told| (told.status, told.content, told.closes))
    }

    #[test]
    fn a_head_tells_its_status_and_what_follows() {
        for (head, wants_body, expected) in [
            ("HTTP/1.1 200 OK\nContent-Length: 612\nX: y\n\n", true, Ok((200, Content::Length(612), false))),
            (
                "HTTP/1.1 200 OK\ncontent-length:0\nConnection: keep-alive, Close\n\n",
                true,
                Ok((200, Content::Length(0), true)),
            ),
            ("HTTP/1.1 200 OK\nTransfer-Encoding: gzip, Chunked\n\n", true, Ok((200, Content::Chunked, false))),
            ("HTTP/1.1 204 No Content\n\n", true, Ok((204, Content::None, false))),
            ("HTTP/1.1 404\nContent-Length: 9\n\n", false, Ok((404, Content::None, false))),
            ("HTTP/1.0 200 OK\n\n", true, Ok((200, Content::ToEnd, true))),
            (
                "HTTP/1.0 200 OK\nConnection: keep-alive\nContent-Length: 1\n\n",
                true,
                Ok((200, Content::Length(1), false)),
            ),
            ("HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 2\n\n", true, Err(AnswerError::Lengths)),
            ("HTTP/1.1 200 OK\nContent-Length: -1\n\n", true, Err(AnswerError::Length)),
            ("HTTP/1.1 200 OK\nTransfer-Encoding: gzip\n\n", true, Err(AnswerError::TransferEncoding)),
            ("+PONG\n\n", true, Err(AnswerError::Begin)),
            ("HTTP/1.1 2x0 OK\n\n", true, Err(AnswerError::Status)),
        ] {
            assert_eq!(told(head, wants_body), expected, "{head}");
        }
        assert_eq!(end_of_head(b"HTTP/1.1 200 OK\r\n\r"), None);
    }
}
