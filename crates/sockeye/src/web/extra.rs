//! Fields that the server's options add to answers: the same ones to all of them, and how long each file may be kept.
//!
//! ```
//! use sockeye::web::extra::{Extra, NoField};
//!
//! let mut extra = Extra::default();
//! extra.add("Cross-Origin-Opener-Policy: same-origin")?;
//! assert_eq!(extra.add("Content-Length: 5"), Err(NoField::Ours("Content-Length".to_owned())));
//! # Ok::<(), NoField>(())
//! ```

use std::fmt;

use super::field_list::FieldList;
use super::glob::Glob;
use crate::wire::http::is_token;

/// Fields that say what we have sent: another value would make the answer wrong.
const OURS: &[&str] = &[
    "accept-ranges",
    "allow",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "etag",
    "keep-alive",
    "last-modified",
    "location",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
];
/// Fields of which several lines add up, so that those of ours stay.
const LISTS: &[&str] = &["content-security-policy", "set-cookie", "link", "vary"];
/// Most of them.
const MOST: usize = 64;

/// Fields of every answer. One that we would send by ourselves, such as Cache-Control, is replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extra {
    names: Vec<String>,
    fields: FieldList,
}

/// Why a field cannot be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoField {
    /// There is no colon, no name before it, or a character in the name that no name has.
    Name,
    /// A line end or another control character.
    Value,
    /// It would say something else of the answer than what is sent.
    Ours(String),
    /// There are too many of them.
    TooMany,
}

impl fmt::Display for NoField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("write it as 'NAME: VALUE', with a name of letters, digits and hyphens"),
            Self::Value => f.write_str("a value has no line ends and no control characters"),
            Self::Ours(name) => write!(f, "{name} says what an answer is, and is worked out for each"),
            Self::TooMany => write!(f, "at most {MOST} fields can be added"),
        }
    }
}

impl std::error::Error for NoField {}

impl Extra {
    /// Adds `NAME: VALUE`.
    ///
    /// # Errors
    /// It is no field, or none that can be chosen.
    pub fn add(&mut self, line: &str) -> Result<(), NoField> {
        let (name, value) = line.split_once(':').ok_or(NoField::Name)?;
        let (name, value) = (name.trim(), value.trim());
        if !is_token(name.as_bytes()) {
            return Err(NoField::Name);
        }
        if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(NoField::Value);
        }
        let small = name.to_ascii_lowercase();
        if OURS.contains(&small.as_str()) {
            return Err(NoField::Ours(name.to_owned()));
        }
        if self.names.len() == MOST {
            return Err(NoField::TooMany);
        }
        self.names.push(small);
        self.fields.add(name, value.as_bytes());
        Ok(())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether one of this name was added.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|given| given.eq_ignore_ascii_case(name))
    }

    /// Whether a field of ours makes way.
    pub(crate) fn replaces(&self, name: &str) -> bool {
        !LISTS.iter().any(|list| list.eq_ignore_ascii_case(name)) && self.has(name)
    }

    pub(crate) fn fields(&self) -> &FieldList {
        &self.fields
    }
}

/// What Cache-Control says of files whose path fits a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caching {
    files: Glob,
    value: String,
}

impl Caching {
    /// Reads `PATTERN: VALUE`; a value alone is for every file.
    ///
    /// # Errors
    /// There is no value, or a control character in it.
    pub fn parse(text: &str) -> Result<Self, NoField> {
        // No directive has a colon outside of a quoted string.
        let is_all = text.split_once(':').is_none_or(|(pattern, _)| pattern.contains('"'));
        let (pattern, value) = if is_all { ("**", text) } else { text.split_once(':').ok_or(NoField::Name)? };
        let (pattern, value) = (pattern.trim(), value.trim());
        if pattern.is_empty() || value.is_empty() || value.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(NoField::Value);
        }
        Ok(Self { files: Glob::new(pattern), value: value.to_owned() })
    }

    /// The value, if it is about the file at this way.
    pub(crate) fn about(&self, path: &[u8]) -> Option<&str> {
        self.files.fits(path).then_some(self.value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_checked_before_they_are_sent_for_ever() {
        let mut extra = Extra::default();
        for line in ["X-A: 1", "Cache-Control:no-store", "Set-Cookie: a=b; Path=/", "X-Empty:", "Vary : Origin"] {
            extra.add(line).unwrap();
        }
        assert_eq!(
            String::from_utf8_lossy(extra.fields().lines()),
            "X-A: 1\r\nCache-Control: no-store\r\nSet-Cookie: a=b; Path=/\r\nX-Empty: \r\nVary: Origin\r\n"
        );
        assert!(extra.replaces("cache-control") && !extra.replaces("Vary") && !extra.replaces("X-B"));
        for (line, why) in [
            ("X-A", NoField::Name),
            (": a", NoField::Name),
            ("X A: b", NoField::Name),
            ("X: a\r\nY: b", NoField::Value),
            ("X: \0", NoField::Value),
            ("content-LENGTH: 5", NoField::Ours("content-LENGTH".to_owned())),
            ("Transfer-Encoding: chunked", NoField::Ours("Transfer-Encoding".to_owned())),
        ] {
            assert_eq!(extra.add(line), Err(why), "{line}");
        }
    }

    #[test]
    fn caching_is_by_pattern() {
        let rule = Caching::parse("*.js: max-age=31536000, immutable").unwrap();
        assert_eq!(rule.about(b"a/b.js"), Some("max-age=31536000, immutable"));
        assert_eq!(rule.about(b"a/b.css"), None);
        for all in ["no-store", "no-cache=\"a:b\""] {
            assert_eq!(Caching::parse(all).unwrap().about(b"x/y"), Some(all));
        }
        for wrong in ["", "*.js:", ": no-store", "*.js: a\nb"] {
            assert_eq!(Caching::parse(wrong), Err(NoField::Value), "{wrong:?}");
        }
    }
}
