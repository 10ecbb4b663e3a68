//! The head of an answer (RFC 9112, sections 2 to 6): kept as it came, and refused where two readers could disagree about
//! where the body ends.

use std::fmt;

use super::Coding;
use super::coding::is_no_coding;

/// Most fields of one head.
const FIELDS: usize = 4096;

/// An answer's status line and fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Every byte as it came, the empty line included.
    pub raw: Vec<u8>,
    /// The version: 1.0, 1.1 or 2.0.
    pub version: (u8, u8),
    /// The status code (RFC 9110, section 15).
    pub status: u16,
    /// The words behind the code.
    pub reason: String,
    /// The fields in their order, with the names as they were written.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Content-Length, if there is one.
    pub length: Option<u64>,
    /// Whether the body comes in chunks (RFC 9112, section 7.1).
    pub chunked: bool,
}

/// Why an answer is refused before its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadError(String);

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HeadError {}

/// Where the first head in these bytes ends, looking only at what came since `seen`. A line may end with LF alone
/// (RFC 9112, section 2.2).
pub(crate) fn end_of_head(bytes: &[u8], seen: usize) -> Option<usize> {
    // The empty line may have begun in what was seen before.
    let from = seen.saturating_sub(3);
    memchr::memchr_iter(b'\n', &bytes[from..]).map(|at| from + at).find_map(|at| match bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

impl Head {
    /// Reads a whole head.
    ///
    /// # Errors
    /// It is not HTTP/1, or it leaves open where the body ends.
    pub fn parse(raw: &[u8]) -> Result<Self, HeadError> {
        if !raw.starts_with(b"HTTP/") {
            return Err(HeadError("the answer is not HTTP/1: it does not begin with `HTTP/`".to_owned()));
        }
        let mut fields = vec![httparse::EMPTY_HEADER; FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(raw) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(HeadError("the answer's head has no end".to_owned())),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(HeadError(format!("the answer has more than {FIELDS} header fields")));
            }
            Err(error) => return Err(HeadError(format!("the answer's head is malformed: {error}"))),
        }
        let head = Self {
            raw: raw.to_vec(),
            version: (1, response.version.unwrap_or(1)),
            status: response.code.unwrap_or(0),
            reason: response.reason.unwrap_or_default().to_owned(),
            fields: response.headers.iter().map(|field| (field.name.to_owned(), field.value.to_vec())).collect(),
            length: None,
            chunked: false,
        };
        head.framed()
    }

    /// That of HTTP/2, in the form that HTTP/1 has: there is none of its own that people could read.
    ///
    /// # Errors
    /// It leaves open where the body ends.
    pub(crate) fn of_http2(status: http::StatusCode, fields: &http::HeaderMap) -> Result<Self, HeadError> {
        let mut raw = format!("HTTP/2 {}\r\n", status.as_u16()).into_bytes();
        let mut all = Vec::new();
        for (name, value) in fields {
            raw.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
            all.push((name.to_string(), value.as_bytes().to_vec()));
        }
        raw.extend(b"\r\n");
        let (status, reason) = (status.as_u16(), String::new());
        let head = Self { raw, version: (2, 0), status, reason, fields: all, length: None, chunked: false };
        head.framed()
    }

    /// The version as it is written: `HTTP/1.1`, `HTTP/2`.
    #[must_use]
    pub fn version_name(&self) -> String {
        match self.version {
            (2, _) => "HTTP/2".to_owned(),
            (major, minor) => format!("HTTP/{major}.{minor}"),
        }
    }

    /// Finds out where the body ends (RFC 9112, section 6.3); what two readers could take differently is refused, and so
    /// is what only a broken sender writes.
    fn framed(mut self) -> Result<Self, HeadError> {
        let mut length = None;
        for written in self.every("content-length").flat_map(|value| value.split(|&byte| byte == b',')) {
            let other = number(written)?;
            if *length.get_or_insert(other) != other {
                return Err(HeadError("the answer has two different Content-Lengths".to_owned()));
            }
        }
        let codings: Vec<&[u8]> = self.every("transfer-encoding").collect();
        let chunked = match codings.as_slice() {
            [] => false,
            [one] if one.trim_ascii().eq_ignore_ascii_case(b"chunked") => true,
            [one, ..] => {
                let shown = String::from_utf8_lossy(one).into_owned();
                return Err(HeadError(format!(
                    "the answer's Transfer-Encoding is `{shown}`, and only `chunked` is known"
                )));
            }
        };
        if chunked && length.is_some() {
            return Err(HeadError("the answer has both a Content-Length and a Transfer-Encoding".to_owned()));
        }
        if chunked && self.version == (1, 0) {
            return Err(HeadError("the answer has a Transfer-Encoding, which HTTP/1.0 does not know".to_owned()));
        }
        (self.length, self.chunked) = (length, chunked);
        Ok(self)
    }

    /// The values of every field of that name, which is written in small letters.
    pub(crate) fn every(&self, name: &'static str) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    /// The first value of a field.
    pub(crate) fn first(&self, name: &'static str) -> Option<&[u8]> {
        self.every(name).next()
    }

    /// The content codings, in the order in which they were applied (RFC 9110, section 8.4); `Err` with one that is unknown.
    pub(crate) fn codings(&self) -> Result<Vec<Coding>, String> {
        self.words_of_codings()
            .filter(|word| !is_no_coding(word))
            .map(|word| Coding::named(word).ok_or_else(|| String::from_utf8_lossy(word).into_owned()))
            .collect()
    }

    /// What Content-Encoding names that is no coding.
    #[must_use]
    pub fn no_codings(&self) -> Vec<String> {
        let words = self.words_of_codings().filter(|word| is_no_coding(word));
        words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    fn words_of_codings(&self) -> impl Iterator<Item = &[u8]> {
        self.every("content-encoding")
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(|word| word.trim_ascii())
            .filter(|word| !word.is_empty() && !word.eq_ignore_ascii_case(b"identity"))
    }

    /// Whether a body follows at all (RFC 9112, section 6.3).
    pub(crate) fn has_body(&self, to_head: bool) -> bool {
        !to_head && !matches!(self.status, 100..=199 | 204 | 304)
    }

    /// The status line without its version: `404 Not Found`.
    #[must_use]
    pub fn status_line(&self) -> String {
        format!("{} {}", self.status, self.reason).trim_end().to_owned()
    }
}

fn number(text: &[u8]) -> Result<u64, HeadError> {
    let text = text.trim_ascii();
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
        HeadError(format!("the answer's Content-Length is `{}`, which is no length", String::from_utf8_lossy(text)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(fields: &str) -> Result<Head, String> {
        Head::parse(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_head_keeps_its_bytes_its_order_and_the_case_of_its_names() {
        let raw = b"HTTP/1.1 404 Not Found\r\nX-B: 1\r\nx-a:  2 \r\nCONTENT-LENGTH: 7\r\n\r\n";
        let head = Head::parse(raw).unwrap();
        assert_eq!(head.raw, raw);
        assert_eq!(head.status_line(), "404 Not Found");
        assert_eq!(head.fields[0], ("X-B".to_owned(), b"1".to_vec()));
        assert_eq!(head.fields[1], ("x-a".to_owned(), b"2".to_vec()));
        assert_eq!(head.length, Some(7));
    }

    /// Row 47 of the faults.
    #[test]
    fn what_two_readers_could_take_differently_is_refused() {
        for (fields, says) in [
            ("Content-Length: 5\r\nContent-Length: 3\r\n", "two different Content-Lengths"),
            ("Content-Length: 5, 3\r\n", "two different Content-Lengths"),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "both a Content-Length and"),
            ("Content-Length: 18446744073709551616\r\n", "which is no length"),
            ("Content-Length: -1\r\n", "which is no length"),
            ("Content-Length: +1\r\n", "which is no length"),
            ("Content-Length: 0x10\r\n", "which is no length"),
            ("Content-Length: \r\n", "which is no length"),
            ("Transfer-Encoding: gzip, chunked\r\n", "only `chunked` is known"),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "only `chunked` is known"),
            ("Transfer-Encoding: xchunked\r\n", "only `chunked` is known"),
            ("Content-Length : 5\r\n", "malformed"),
            (" folded: 5\r\n", "malformed"),
        ] {
            let error = parse(fields).unwrap_err();
            assert!(error.contains(says), "{fields:?}: {error}");
        }
        assert_eq!(parse("Content-Length: 5\r\nContent-Length: 5\r\n").unwrap().length, Some(5));
        assert!(parse("Transfer-Encoding: Chunked\r\n").unwrap().chunked);
        for raw in ["<html>hello\n\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]
        {
            assert!(Head::parse(raw.as_bytes()).is_err(), "{raw}");
        }
    }

    #[test]
    fn the_end_is_found_however_the_head_is_cut() {
        for raw in ["HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody", "HTTP/1.1 200 OK\nA: b\n\nbody"] {
            let end = raw.find("body").unwrap();
            for seen in 0..end {
                let before = end_of_head(&raw.as_bytes()[..seen], 0);
                assert_eq!(before, None);
                assert_eq!(end_of_head(raw.as_bytes(), seen), Some(end), "{raw:?} at {seen}");
            }
        }
    }

    #[test]
    fn codings_are_read_in_order_and_unknown_ones_named() {
        let head = parse("Content-Encoding: gzip, br\r\nContent-Encoding: identity,zstd\r\n").unwrap();
        assert_eq!(head.codings(), Ok(vec![Coding::Gzip, Coding::Brotli, Coding::Zstd]));
        assert_eq!(parse("Content-Encoding: gzip, rot13\r\n").unwrap().codings(), Err("rot13".to_owned()));
        let head = parse("Content-Encoding: aws-chunked, gzip, UTF-8\r\nContent-Encoding: none\r\n").unwrap();
        assert_eq!(head.codings(), Ok(vec![Coding::Gzip]));
        assert_eq!(head.no_codings(), ["aws-chunked", "UTF-8", "none"]);
    }
}
