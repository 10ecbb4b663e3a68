//! What a file has that a brace or a tag may stand for, and what is found of one.

use std::collections::{BTreeSet, HashSet};

use super::patterns::{self, Patterns};
use crate::diagnostic::Source;

/// Something odd: where it ends, what it is, and what to do.
pub(super) type Found = Option<(usize, String, String)>;

/// What the file has that braces and tags may stand for.
pub(super) struct Known<'a> {
    pub(super) names: BTreeSet<&'a str>,
    /// The same in small letters.
    pub(super) in_any_case: HashSet<String>,
    /// Names in tags that end an element: `</name>`.
    closed: HashSet<&'a str>,
    pub(super) patterns: Patterns,
}

impl<'a> Known<'a> {
    pub(super) fn new(names: BTreeSet<&'a str>, source: &'a Source) -> Self {
        let in_any_case = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let ends = source.text().match_indices("</").filter_map(|(at, sign)| {
            let behind = &source.text()[at + sign.len()..];
            let length = behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
            behind[length..].starts_with('>').then_some(&behind[..length])
        });
        Self { names, in_any_case, closed: ends.collect(), patterns: Patterns::new() }
    }
}

impl Known<'_> {
    /// Whether the file has a tag that ends an element of this name.
    pub(super) fn closes_tag(&self, name: &str) -> bool {
        self.closed.contains(name)
    }
}

pub(super) fn is_pattern(text: &str) -> bool {
    let is_count = text
        .strip_suffix(" bytes")
        .is_some_and(|count| !count.is_empty() && count.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    patterns::word(text).is_some() || is_count || text.len() > 2 && text.starts_with('/') && text.ends_with('/')
}
