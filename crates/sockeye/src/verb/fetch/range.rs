//! A part of what a URL names (RFC 9110, section 14), and whether what came is that part.
//!
//! ```
//! use sockeye::verb::fetch::range::{Bytes, Range};
//!
//! // What is missing of a file of which 1000 bytes are there, if it has not changed since.
//! let missing = Range { bytes: Bytes::From(1000, None), if_still: Some("\"v1\"".to_owned()) };
//! # drop(missing);
//! ```

use std::time::{Duration, SystemTime};

use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, IF_RANGE, InvalidHeaderValue, RANGE};

use super::{FetchError, Head};
use crate::wire::http::http_date;

/// Which bytes are asked for, the first one being 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// From where to where.
    pub bytes: Bytes,
    /// Only if it is still the same by this validator; otherwise the whole comes, and that is no failure.
    pub if_still: Option<String>,
}

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bytes {
    /// From the first to the last, or to the end.
    From(u64, Option<u64>),
    /// So many at the end.
    Last(u64),
}

/// The part that an answer says it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// The first byte.
    pub first: u64,
    /// The last byte.
    pub last: u64,
    /// How long the whole is, if the server knows.
    pub total: Option<u64>,
}

impl Range {
    /// Adds it to what is sent. It counts bytes of the thing itself, so the server must not pack it.
    ///
    /// # Errors
    /// The validator cannot stand in a field.
    pub(super) fn ask(&self, map: &mut HeaderMap) -> Result<(), InvalidHeaderValue> {
        let text = match self.bytes {
            Bytes::From(first, None) => format!("bytes={first}-"),
            Bytes::From(first, Some(last)) => format!("bytes={first}-{last}"),
            Bytes::Last(count) => format!("bytes=-{count}"),
        };
        map.insert(RANGE, HeaderValue::try_from(text)?);
        map.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(validator) = &self.if_still {
            map.insert(IF_RANGE, HeaderValue::try_from(validator)?);
        }
        Ok(())
    }

    /// Whether an answer that is no error has what was asked for; none if it has the whole.
    pub(super) fn answered(&self, head: &Head) -> Result<Option<ContentRange>, FetchError> {
        if head.status != 206 {
            let is_whole = self.bytes == Bytes::From(0, None) || self.if_still.is_some();
            return if is_whole || head.status >= 300 { Ok(None) } else { Err(FetchError::NoRange) };
        }
        let wrong =
            |what: &str| FetchError::Protocol(format!("the answer has another range than the one asked for: {what}"));
        let field = head.first("content-range").ok_or_else(|| wrong("it has no Content-Range"))?;
        let part = ContentRange::read(field).ok_or_else(|| wrong("its Content-Range cannot be read"))?;
        let shown = String::from_utf8_lossy(field);
        if !self.fits(part) || head.length.is_some_and(|length| length != part.length()) {
            return Err(wrong(&shown));
        }
        match &self.if_still {
            Some(validator) if !head.is_still(validator) => Err(FetchError::OtherVersion),
            _ => Ok(Some(part)),
        }
    }

    fn fits(&self, part: ContentRange) -> bool {
        let end = part.total.map(|total| total - 1);
        match self.bytes {
            // A download that goes on takes what comes: less, and asks for the rest; or more, from before or the beginning.
            Bytes::From(first, None) if self.if_still.is_some() => {
                part.first <= first && part.last >= first && end.is_none_or(|end| part.last <= end)
            }
            Bytes::From(first, last) => {
                // No server sends more than there is.
                let last = match (last, end) {
                    (Some(last), Some(end)) => Some(last.min(end)),
                    (last, end) => last.or(end),
                };
                part.first == first && last.is_none_or(|last| last == part.last)
            }
            Bytes::Last(count) => {
                end.is_none_or(|end| part.last == end && part.length() == count.min(end + 1)) && part.length() <= count
            }
        }
    }
}

impl ContentRange {
    /// `bytes 0-99/1234`, where the last may be `*`; and as some servers have it, `bytes=0-99/1234`, `bytes: 0-99/1234` or
    /// without the unit, all of which curl takes.
    fn read(field: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(field).ok()?.trim();
        let unit = text.get(..5).filter(|unit| unit.eq_ignore_ascii_case("bytes"));
        let rest = unit.map_or(text, |unit| text[unit.len()..].trim_start_matches([' ', '\t', ':', '=']));
        let (range, total) = rest.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last, total) = (first.trim(), last.trim(), total.trim());
        let number = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let (first, last): (u64, u64) = (number(first)?, number(last)?);
        let total: Option<u64> = if total == "*" { None } else { Some(number(total)?) };
        let is_possible = first <= last && last < u64::MAX && total.is_none_or(|total| last < total);
        is_possible.then_some(Self { first, last, total })
    }

    /// Whether it goes to the end of the whole; `length` is that of the whole if it was known before.
    #[must_use]
    pub fn is_last(self, length: Option<u64>) -> bool {
        self.total.or(length).is_some_and(|total| self.last + 1 >= total)
    }

    /// How many bytes it has.
    #[must_use]
    pub fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

impl Head {
    /// What tells this version of the thing from every other, byte for byte (RFC 9110, section 8.8.1): a strong ETag, or
    /// a Last-Modified that was over when the answer was made (section 8.8.2.2).
    #[must_use]
    pub fn strong_validator(&self) -> Option<String> {
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).ok();
        if let Some(etag) = self.first("etag") {
            return text(etag).filter(|etag| etag.starts_with('"'));
        }
        let (modified, made) = (self.last_modified()?, http_date(self.first("date")?)?);
        (modified + Duration::from_secs(1) <= made).then(|| self.first("last-modified").and_then(text))?
    }

    /// The length of the whole, where an answer says that it has no such range (RFC 9110, section 15.5.17).
    #[must_use]
    pub fn whole_without_range(&self) -> Option<u64> {
        let text = std::str::from_utf8(self.first("content-range").filter(|_| self.status == 416)?).ok()?;
        let length = text.trim().strip_prefix("bytes")?.trim_start().strip_prefix("*/")?;
        length.parse().ok().filter(|_| length.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// Whether an answer says that it is of another version than this one; most that have no body say nothing.
    #[must_use]
    pub fn is_other(&self, validator: &str) -> bool {
        let field = if validator.starts_with('"') { "etag" } else { "last-modified" };
        self.first(field).is_some() && !self.is_still(validator)
    }

    /// Whether it says itself that it is of this version: only then two parts may be joined (RFC 9110, section 15.3.7.3). There
    /// are servers that know Range and not If-Range.
    fn is_still(&self, validator: &str) -> bool {
        let field = if validator.starts_with('"') { "etag" } else { "last-modified" };
        self.first(field).is_some_and(|found| found.trim_ascii() == validator.as_bytes())
    }

    /// How long the server wants to be left alone (RFC 9110, section 10.2.3).
    #[must_use]
    pub fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        let value = self.first("retry-after")?.trim_ascii();
        if !value.is_empty() && value.iter().all(u8::is_ascii_digit) {
            // More digits than fit are a very long time.
            let seconds = std::str::from_utf8(value).ok()?.parse().unwrap_or(u64::from(u32::MAX));
            return Some(Duration::from_secs(seconds));
        }
        http_date(value).map(|at| at.duration_since(now).unwrap_or_default())
    }

    /// When the thing was last changed, if the server says.
    #[must_use]
    pub fn last_modified(&self) -> Option<SystemTime> {
        http_date(self.first("last-modified")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &str) -> Head {
        Head::parse(format!("HTTP/1.1 206 x\r\n{fields}\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn a_part_counts_only_if_it_is_the_one_asked_for() {
        for (bytes, content_range, fits) in [
            (Bytes::From(0, Some(9)), "bytes 0-9/100", true),
            (Bytes::From(0, Some(9)), "BYTES 0-9/*", true),
            (Bytes::From(0, Some(9)), "bytes 0-8/100", false),
            (Bytes::From(0, Some(9)), "bytes 0-8/9", true),
            (Bytes::From(0, Some(9)), "bytes 1-9/100", false),
            (Bytes::From(5, None), "bytes 5-99/100", true),
            (Bytes::From(5, None), "bytes 5-98/100", false),
            (Bytes::From(5, None), "bytes 5-98/*", true),
            (Bytes::Last(5), "bytes 95-99/100", true),
            (Bytes::Last(5), "bytes 94-99/100", false),
            (Bytes::Last(5), "bytes 0-2/3", true),
            (Bytes::Last(5), "bytes 0-9/*", false),
            (Bytes::From(0, None), "bytes 0-9/10", true),
            (Bytes::From(0, None), "bytes=0-9/10", true),
            (Bytes::From(0, None), "bytes: 0-9/10", true),
            (Bytes::From(0, None), "0-9/10", true),
            (Bytes::From(0, None), "bytes  0 - 9 / 10", true),
            (Bytes::From(0, None), "kbytes 0-9/10", false),
            (Bytes::From(0, None), "bytes 0-10/10", false),
            (Bytes::From(0, None), "bytes 9-0/10", false),
            (Bytes::From(0, None), "bytes +0-9/10", false),
            (Bytes::From(0, None), "lines 0-9/10", false),
            (Bytes::From(0, None), "bytes */10", false),
            (Bytes::From(0, None), "bytes 0-18446744073709551615/*", false),
        ] {
            let range = Range { bytes, if_still: None };
            let answered = range.answered(&head(&format!("Content-Range: {content_range}\r\n")));
            assert_eq!(answered.is_ok(), fits, "{bytes:?} {content_range}: {answered:?}");
        }
        let range = Range { bytes: Bytes::From(0, Some(9)), if_still: Some("\"a\"".to_owned()) };
        assert!(range.answered(&head("Content-Range: bytes 0-9/10\r\nContent-Length: 9\r\n")).is_err());
        assert!(range.answered(&head("")).is_err());
    }

    #[test]
    fn a_part_is_joined_to_others_only_if_it_says_that_it_is_of_their_version() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (validator, fields, is_same) in [
            ("\"a\"", "ETag: \"a\"\r\n".to_owned(), true),
            ("\"a\"", "ETag: \"b\"\r\n".to_owned(), false),
            ("\"a\"", "ETag: W/\"a\"\r\n".to_owned(), false),
            ("\"a\"", format!("Last-Modified: {date}\r\n"), false),
            ("\"a\"", String::new(), false),
            (date, format!("Last-Modified: {date}\r\n"), true),
            (date, format!("Last-Modified: {date}\r\nETag: \"new\"\r\n"), true),
            (date, "Last-Modified: Sun, 06 Nov 1994 08:49:38 GMT\r\n".to_owned(), false),
            (date, "ETag: \"a\"\r\n".to_owned(), false),
        ] {
            let range = Range { bytes: Bytes::From(0, Some(9)), if_still: Some(validator.to_owned()) };
            match range.answered(&head(&format!("Content-Range: bytes 0-9/10\r\n{fields}"))) {
                Ok(Some(_)) if is_same => {}
                Err(FetchError::OtherVersion) if !is_same => {}
                other => panic!("{validator} {fields}: {other:?}"),
            }
        }
    }

    #[test]
    fn only_what_tells_every_byte_is_a_strong_validator() {
        let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        for (fields, expected) in [
            ("ETag: \"a\"\r\n".to_owned(), Some("\"a\"")),
            ("ETag: W/\"a\"\r\n".to_owned(), None),
            (format!("{date}Last-Modified: Sun, 06 Nov 1994 08:49:36 GMT\r\n"), Some("Sun, 06 Nov 1994 08:49:36 GMT")),
            (format!("{date}Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), None),
            ("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(head(&fields).strong_validator().as_deref(), expected, "{fields}");
        }
    }
}
