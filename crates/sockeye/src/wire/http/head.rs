//! The head of an answer (RFC 9112, sections 2 to 6): kept as it came, and refused where two readers could disagree about
//! where the body ends.

use std::fmt;

use super::coding::is_no_coding;
use super::token::is_token;
use super::{Challenge, Coding};

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

/// What an answer is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A request whose answer may have a body.
    Body,
    /// HEAD.
    Head,
    /// CONNECT.
    Tunnel,
}

impl Asked {
    pub(crate) fn by(method: &http::Method) -> Self {
        match *method {
            http::Method::HEAD => Self::Head,
            http::Method::CONNECT => Self::Tunnel,
            _ => Self::Body,
        }
    }
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

/// A content coding that sockeye cannot take off, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnknownCoding(String);

impl fmt::Display for UnknownCoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body has the unknown Content-Encoding `{}`", self.0)
    }
}

impl std::error::Error for UnknownCoding {}

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
    /// Reads a whole head of an answer to a request that asks for a body.
    ///
    /// # Errors
    /// It is not HTTP/1, or it leaves open where the body ends.
    pub fn parse(raw: &[u8]) -> Result<Self, HeadError> {
        Self::of(raw, Asked::Body)
    }

    /// Reads a whole head. A line that is no field is passed over, as long as it says nothing about where the body ends.
    pub(crate) fn of(raw: &[u8], asked: Asked) -> Result<Self, HeadError> {
        if !raw.starts_with(b"HTTP/") {
            return Err(HeadError("the answer is not HTTP/1: it does not begin with `HTTP/`".to_owned()));
        }
        let mut lines = raw.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let first = lines.next().unwrap_or_default();
        let (version, status, reason) = status_line(first).ok_or_else(|| {
            HeadError(format!("the answer's first line is malformed: {}", String::from_utf8_lossy(first)))
        })?;
        let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
        // Whether the line before was a field, and so can go on in the next.
        let mut is_open = false;
        let mut has_end = false;
        for line in lines {
            match line {
                [] => {
                    has_end = true;
                    break;
                }
                [b' ' | b'\t', ..] => match fields.last_mut().filter(|_| is_open) {
                    // Folded: one space (RFC 9112, section 5.2).
                    Some((_, value)) => {
                        let more = line.trim_ascii();
                        if !value.is_empty() && !more.is_empty() {
                            value.push(b' ');
                        }
                        value.extend_from_slice(more);
                    }
                    None => odd(line)?,
                },
                _ => {
                    let field = field(line);
                    is_open = field.is_some();
                    match field {
                        Some(field) => fields.push(field),
                        None => odd(line)?,
                    }
                }
            }
            if fields.len() > FIELDS {
                return Err(HeadError(format!("the answer has more than {FIELDS} header fields")));
            }
        }
        if !has_end {
            return Err(HeadError("the answer's head has no end".to_owned()));
        }
        let raw = raw.to_vec();
        Self { raw, version, status, reason, fields, length: None, chunked: false }.framed(asked)
    }

    /// What says the same about the body and nothing else, for who needs no more.
    pub(crate) fn plain(&self, asked: Asked) -> Vec<u8> {
        let framing = match (self.has_framing(asked), self.chunked, self.length) {
            (true, true, _) => "Transfer-Encoding: chunked\r\n".to_owned(),
            (true, false, Some(length)) => format!("Content-Length: {length}\r\n"),
            _ => String::new(),
        };
        format!("HTTP/1.1 {} x\r\n{framing}\r\n", self.status).into_bytes()
    }

    /// Whether what is said about a body is about one that follows: not in the answer to HEAD, and not in that to a CONNECT
    /// that worked (RFC 9110, section 9.3.6).
    fn has_framing(&self, asked: Asked) -> bool {
        match asked {
            Asked::Body => self.has_body(false),
            Asked::Head => false,
            Asked::Tunnel => !(200..300).contains(&self.status),
        }
    }

    /// That of HTTP/2, in the form that HTTP/1 has: there is none of its own that people could read.
    ///
    /// # Errors
    /// It leaves open where the body ends.
    pub(crate) fn of_http2(
        status: http::StatusCode,
        fields: &http::HeaderMap,
        asked: Asked,
    ) -> Result<Self, HeadError> {
        let mut raw = format!("HTTP/2 {}\r\n", status.as_u16()).into_bytes();
        let mut all = Vec::new();
        for (name, value) in fields {
            raw.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
            all.push((name.to_string(), value.as_bytes().to_vec()));
        }
        raw.extend(b"\r\n");
        let (status, reason) = (status.as_u16(), String::new());
        let head = Self { raw, version: (2, 0), status, reason, fields: all, length: None, chunked: false };
        head.framed(asked)
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
    /// is what only a broken sender writes. Where no body follows, what is said about it is as harmless as the rest.
    fn framed(mut self, asked: Asked) -> Result<Self, HeadError> {
        let found = self.framing();
        match found {
            Ok((length, chunked)) => (self.length, self.chunked) = (length, chunked && self.has_framing(asked)),
            Err(error) if self.has_framing(asked) => return Err(error),
            Err(_) => {}
        }
        Ok(self)
    }

    fn framing(&self) -> Result<(Option<u64>, bool), HeadError> {
        let mut length = None;
        for written in self.every("content-length").flat_map(|value| value.split(|&byte| byte == b',')) {
            let other = number(written)?;
            if *length.get_or_insert(other) != other {
                return Err(HeadError("the answer has two different Content-Lengths".to_owned()));
            }
        }
        // `identity` was a coding once (RFC 2616, section 3.6) and says that there is none.
        let codings: Vec<&[u8]> = self
            .every("transfer-encoding")
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
            .collect();
        let chunked = match codings.as_slice() {
            [] => false,
            [one] if one.eq_ignore_ascii_case(b"chunked") => true,
            all => {
                let shown = String::from_utf8_lossy(&all.join(b", ".as_slice())).into_owned();
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
        Ok((length, chunked))
    }

    /// The values of every field of that name, which is written in small letters.
    pub(crate) fn every(&self, name: &'static str) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    /// The first value of a field.
    pub(crate) fn first(&self, name: &'static str) -> Option<&[u8]> {
        self.every(name).next()
    }

    /// The content codings, in the order in which they were applied (RFC 9110, section 8.4).
    ///
    /// # Errors
    /// One of them is unknown.
    pub(crate) fn codings(&self) -> Result<Vec<Coding>, UnknownCoding> {
        self.words_of_codings()
            .filter(|word| !is_no_coding(word))
            .map(|word| Coding::named(word).ok_or_else(|| UnknownCoding(String::from_utf8_lossy(word).into_owned())))
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

    /// What a field with challenges offers, as people call it: `Basic`, `Digest (SHA-256)`.
    #[must_use]
    pub fn offers(&self, field: &'static str) -> Vec<String> {
        let mut offers = Vec::new();
        for challenge in self.every(field).flat_map(Challenge::all_in) {
            let mut name = challenge.scheme.clone();
            name.get_mut(..1).map(str::make_ascii_uppercase);
            if name == "Digest" {
                let algorithm = challenge.parameter("algorithm").unwrap_or(b"MD5");
                name = format!("Digest ({})", String::from_utf8_lossy(algorithm));
            }
            if !offers.contains(&name) {
                offers.push(name);
            }
        }
        offers
    }

    /// The status line without its version: `404 Not Found`.
    #[must_use]
    pub fn status_line(&self) -> String {
        format!("{} {}", self.status, self.reason).trim_end().to_owned()
    }
}

/// `HTTP/1.1 200 OK`. Versions above 1.1 that have the same first number are read like it (RFC 9110, section 2.5).
fn status_line(line: &[u8]) -> Option<((u8, u8), u16, String)> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let (minor, rest) = rest.split_first()?;
    let rest = rest.strip_prefix(b" ").filter(|_| minor.is_ascii_digit())?.trim_ascii_start();
    let (code, reason) = rest.split_at_checked(3)?;
    if !code.iter().all(u8::is_ascii_digit) || !reason.first().is_none_or(u8::is_ascii_whitespace) {
        return None;
    }
    let status: u16 = std::str::from_utf8(code).ok()?.parse().ok().filter(|&status| status >= 100)?;
    let reason = String::from_utf8_lossy(reason).trim().to_owned();
    Some(((1, u8::from(*minor != b'0')), status, reason))
}

/// A field, if the line is one.
fn field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = memchr::memchr(b':', line)?;
    let (written, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let name = written.trim_ascii_end();
    // A CR that ends no line and a NUL mean one thing to one reader and another to the next (RFC 9110, section 5.5).
    let is_clean = !value.iter().any(|byte| matches!(byte, b'\r' | 0));
    if !is_token(name) || !is_clean || (name.len() < written.len() && is_framing(name)) {
        return None;
    }
    Some((String::from_utf8_lossy(name).into_owned(), value.to_vec()))
}

/// Whether words are about where a body ends.
fn is_framing(line: &[u8]) -> bool {
    let lower = line.to_ascii_lowercase();
    [b"content-length".as_slice(), b"transfer-encoding"].iter().any(|name| memchr::memmem::find(&lower, name).is_some())
}

/// Passes over a line that is no field, unless another reader could find in it where the body ends.
fn odd(line: &[u8]) -> Result<(), HeadError> {
    if is_framing(line) {
        let shown = String::from_utf8_lossy(line);
        return Err(HeadError(format!("the answer's head is malformed: `{}` is no field", shown.trim())));
    }
    Ok(())
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
            ("Transfer-Encoding\t: chunked\r\n", "malformed"),
            (" Content-Length: 5\r\n", "malformed"),
            ("X\r: y\rContent-Length: 5\r\n", "malformed"),
            ("Content-Length: 5\0\r\n", "malformed"),
            ("Content-Length\r\n", "malformed"),
            ("X: a\rTransfer-Encoding: chunked\r\n", "malformed"),
            ("Content-Length: 1\r\n 2\r\n", "which is no length"),
            ("Transfer-Encoding: chunked, gzip\r\n", "only `chunked` is known"),
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
    fn a_field_may_be_folded_and_an_odd_line_spoils_no_answer() {
        let one = |fields: &str| parse(&format!("A: b\r\n{fields}Content-Length: 5\r\n"));
        for (fields, expected) in [
            ("X: one\r\n  two\r\n\tthree\r\n", Some("one two three")),
            ("X:\r\n one\r\n \r\n two\r\n", Some("one two")),
            ("X : one\r\n", Some("one")),
            ("X:one\n", Some("one")),
            ("X: \u{e9}\x1b\r\n", Some("\u{e9}\x1b")),
            ("no colon here\r\n and more\r\nX: one\r\n", Some("one")),
            (": no name\r\nX: one\r\n", Some("one")),
            ("a b: c\r\nX: one\r\n", Some("one")),
            ("X: nul\0\r\nX: one\r\n", Some("one")),
            ("X: a\rb\r\n", None),
            ("<html>\r\n", None),
        ] {
            let head = one(fields).unwrap();
            assert_eq!(head.length, Some(5), "{fields:?}");
            let found = head.every("x").last().map(|value| String::from_utf8_lossy(value).into_owned());
            assert_eq!(found.as_deref(), expected, "{fields:?}");
        }
        // Folded right behind the first line: it is not known of what.
        assert_eq!(parse(" folded\r\nContent-Length: 5\r\n").unwrap().length, Some(5));
        assert!(parse("Transfer-Encoding:\r\n chunked\r\n").unwrap().chunked);
    }

    #[test]
    fn identity_is_no_transfer_coding() {
        let head = parse("Transfer-Encoding: identity\r\nContent-Length: 5\r\n").unwrap();
        assert_eq!((head.length, head.chunked), (Some(5), false));
        assert!(parse("Transfer-Encoding: identity, chunked\r\n").unwrap().chunked);
        assert!(!parse("Transfer-Encoding: Identity\r\nTransfer-Encoding: \r\n").unwrap().chunked);
    }

    #[test]
    fn where_no_body_follows_nothing_about_one_is_wrong() {
        for fields in [
            "Content-Length: 5\r\nContent-Length: 3\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip\r\n",
            "Content-Length: x\r\n",
        ] {
            let raw = |status: &str| format!("HTTP/1.0 {status}\r\n{fields}\r\n").into_bytes();
            for (status, asked) in [
                ("200 OK", Asked::Head),
                ("404 No", Asked::Head),
                ("200 OK", Asked::Tunnel),
                ("299 x", Asked::Tunnel),
                ("204 No Content", Asked::Body),
                ("304 Not Modified", Asked::Body),
            ] {
                let head = Head::of(&raw(status), asked).unwrap();
                assert!(!head.chunked, "{status} {fields}");
                let plain = head.plain(asked);
                assert!(plain.ends_with(b" x\r\n\r\n"), "{status} {fields}: {}", String::from_utf8_lossy(&plain));
            }
            for (status, asked) in [("407 No", Asked::Tunnel), ("200 OK", Asked::Body)] {
                assert!(Head::of(&raw(status), asked).is_err(), "{status} {fields}");
            }
        }
    }

    #[test]
    fn status_lines_are_read_as_servers_write_them() {
        for (line, expected) in [
            ("HTTP/1.1 200 OK", Some((1, 1, 200, "OK"))),
            ("HTTP/1.1 200", Some((1, 1, 200, ""))),
            ("HTTP/1.0 200 ", Some((1, 0, 200, ""))),
            ("HTTP/1.1   404  Not  Found", Some((1, 1, 404, "Not  Found"))),
            ("HTTP/1.2 999 x", Some((1, 1, 999, "x"))),
            ("HTTP/1.1 099 x", None),
            ("HTTP/1.1 2000 x", None),
            ("HTTP/1.1 20 x", None),
            ("HTTP/1.1200 x", None),
            ("HTTP/1.x 200 x", None),
            ("HTTP/1.1 -20 x", None),
            ("HTTP/3 200 x", None),
        ] {
            let head = Head::parse(format!("{line}\r\n\r\n").as_bytes());
            let found =
                head.as_ref().ok().map(|head| (head.version.0, head.version.1, head.status, head.reason.as_str()));
            assert_eq!(found, expected, "{line}");
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
        assert_eq!(
            parse("Content-Encoding: gzip, rot13\r\n").unwrap().codings(),
            Err(UnknownCoding("rot13".to_owned()))
        );
        let head = parse("Content-Encoding: aws-chunked, gzip, UTF-8\r\nContent-Encoding: none\r\n").unwrap();
        assert_eq!(head.codings(), Ok(vec![Coding::Gzip]));
        assert_eq!(head.no_codings(), ["aws-chunked", "UTF-8", "none"]);
    }
}
