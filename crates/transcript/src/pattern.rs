//! What a hole accepts.

mod expressions;
mod regex;

use std::sync::Arc;

pub(crate) use expressions::Expressions;
pub(crate) use regex::Regex;

use crate::number::Number;
use crate::number::is_digits;

/// What a hole accepts. `N` is how a name is known: as text in the tree, as a slot in a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Pattern<N> {
    /// Any bytes, possibly none.
    #[default]
    Any,
    /// One or more bytes without space or tab.
    Word,
    /// `-?[0-9]+`.
    Int,
    /// What a regular expression matches from end to end.
    Regex(Arc<Regex>),
    /// Exactly so many bytes.
    Bytes(usize),
    /// As many bytes as the value of a name says.
    BytesOf(N),
    /// A number that is not written in decimal digits.
    Number(Number),
}

/// Most bytes that one hole captures.
pub(crate) const MOST_BYTES: usize = crate::limits::COUNTED_BYTES;

impl<N> Pattern<N> {
    /// Whether the bytes that a hole got fit. A length that a name gives is not looked at here: it says where the hole
    /// ends.
    pub(crate) fn accepts(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Any | Self::BytesOf(_) => true,
            Self::Word => !bytes.is_empty() && !bytes.iter().any(|byte| matches!(byte, b' ' | b'\t')),
            Self::Int => {
                let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
                !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
            }
            Self::Regex(regex) => regex.matches(bytes),
            Self::Bytes(count) => bytes.len() == *count,
            Self::Number(number) => number.accepts(bytes),
        }
    }

    /// Whether it says how long the hole is, so that anything may stand right behind it.
    pub(crate) fn has_length(&self) -> bool {
        match self {
            Self::Bytes(_) | Self::BytesOf(_) | Self::Number(Number::Varint) => true,
            Self::Number(number) => number.length().is_some(),
            Self::Any | Self::Word | Self::Int | Self::Regex(_) => false,
        }
    }

    /// Whether it tells by itself where its hole ends, in a line that is whole.
    pub(crate) fn ends_itself(&self) -> bool {
        matches!(self, Self::Word | Self::Int | Self::Regex(_) | Self::Number(_)) || self.has_length()
    }

    /// How many of the first of these bytes it takes where another hole stands right behind it: as many as it can. `None`
    /// if they do not begin with what it takes.
    #[cold]
    pub(crate) fn taken_from(&self, bytes: &[u8]) -> Option<usize> {
        let run = |from: usize, fits: fn(&u8) -> bool| {
            from + bytes[from..].iter().position(|byte| !fits(byte)).unwrap_or(bytes.len() - from)
        };
        let taken = match self {
            Self::Word => run(0, |byte| !matches!(byte, b' ' | b'\t')),
            Self::Int => run(usize::from(bytes.starts_with(b"-")), u8::is_ascii_digit),
            Self::Number(_) => run(0, u8::is_ascii_hexdigit),
            Self::Regex(regex) => return regex.taken_from(bytes),
            Self::Any | Self::Bytes(_) | Self::BytesOf(_) => return None,
        };
        Some(taken)
    }

    /// As it is written in a hole behind the name, with its colon; `name_of` gives names their text.
    pub(crate) fn written<'a>(&'a self, name_of: impl FnOnce(&'a N) -> &'a str) -> String {
        match self {
            Self::Any => String::new(),
            Self::Word => ":word".to_owned(),
            Self::Int => ":int".to_owned(),
            Self::Regex(regex) => format!(":/{}/", regex.source()),
            Self::Bytes(count) => format!(":{count} bytes"),
            Self::BytesOf(name) => format!(":{} bytes", name_of(name)),
            Self::Number(number) => format!(":{number}"),
        }
    }
}

/// The value that counts the bytes of a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) slot: usize,
    /// How it is written, where the slot has it as it stands in the message at hand and not in decimal digits.
    pub(crate) number: Option<Number>,
}

impl Count {
    /// The number of bytes that its value names.
    pub(crate) fn of(self, value: &[u8]) -> Option<usize> {
        match self.number {
            None => count_in(value),
            Some(number) => {
                let count = usize::try_from(number.read(value)?).ok()?;
                (count <= MOST_BYTES).then_some(count)
            }
        }
    }
}

/// The number of bytes that a value names, as `{size}` does in `{body:size bytes}`.
pub(crate) fn count_in(value: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(value).ok()?;
    let digits = is_digits(text);
    digits.then(|| text.parse().ok()).flatten().filter(|&count| count <= MOST_BYTES)
}
