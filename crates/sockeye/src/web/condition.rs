//! Conditional requests (RFC 9110, section 13): what a client already has, or wants to be sure of before it changes it.

use super::clock;
use super::fields::{Fields, Value, members};
use super::pack::Coding;
use super::root::Meta;

/// Longest validator: two numbers of 16 digits, one of 8, and what stands around them.
const LENGTH: usize = 64;

/// An entity tag with its quotes, always a strong one: it changes whenever the file's time or length does.
#[derive(Clone, Copy)]
pub(crate) struct Tag {
    bytes: [u8; LENGTH],
    length: usize,
}

impl Tag {
    /// The tag of a file as it is, or of what packing makes of it, which is other bytes and needs another tag.
    pub(crate) fn of(meta: &Meta, packed: Option<Coding>) -> Self {
        let mut tag = Self { bytes: [0; LENGTH], length: 0 };
        tag.push(b"\"");
        tag.push_hex(meta.modified.seconds.cast_unsigned());
        tag.push(b".");
        tag.push_hex(u64::from(meta.modified.nanos));
        tag.push(b"-");
        tag.push_hex(meta.size);
        tag.push(match packed {
            None => b"\"",
            Some(Coding::Gzip) => b"-gz\"",
            Some(Coding::Brotli) => b"-br\"",
        });
        tag
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn push_hex(&mut self, number: u64) {
        let digits = (16 - number.leading_zeros() / 4).max(1);
        for digit in (0..digits).rev() {
            let nibble = usize::try_from(number >> (digit * 4) & 0xf).unwrap_or(0);
            self.push(&[b"0123456789abcdef"[nibble]]);
        }
    }
}

/// What a condition is held against.
pub(crate) struct Validators {
    pub(crate) tag: Tag,
    /// Last-Modified, in seconds since 1970: never after the answer's own date (RFC 9110, section 8.8.2.1).
    pub(crate) modified: u64,
}

impl Validators {
    pub(crate) fn of(meta: &Meta, packed: Option<Coding>, now: u64) -> Self {
        let modified = u64::try_from(meta.modified.seconds).unwrap_or(0).min(now);
        Self { tag: Tag::of(meta, packed), modified }
    }
}

/// What conditions come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Do what is asked.
    Proceed,
    /// 304: the client has it.
    NotModified,
    /// 412: it is not as the client believes.
    Failed,
}

/// Looks at the conditions of a GET or HEAD in their order (RFC 9110, section 13.2.2, steps 1 to 4).
pub(crate) fn reading(fields: &Fields<'_>, current: &Validators) -> Verdict {
    if !still(fields, &[current.tag], Some(current.modified)) {
        return Verdict::Failed;
    }
    if fields.if_none_match.is_some() {
        let has = any(&fields.if_none_match, |tag| weakly(tag) == current.tag.bytes());
        return if has { Verdict::NotModified } else { Verdict::Proceed };
    }
    match date(&fields.if_modified_since) {
        Some(since) if current.modified <= since => Verdict::NotModified,
        _ => Verdict::Proceed,
    }
}

/// Looks at the conditions of a PUT. `existing` is what is there now: any of its tags will do, since what a client
/// read packed it may well store as it is.
pub(crate) fn writing(fields: &Fields<'_>, existing: Option<&Meta>, now: u64) -> Verdict {
    let tags =
        existing.map(|meta| [None, Some(Coding::Gzip), Some(Coding::Brotli)].map(|packed| Tag::of(meta, packed)));
    let tags = tags.as_ref().map_or([].as_slice(), |tags| tags);
    let modified = existing.map(|meta| Validators::of(meta, None, now).modified);
    let is_other = !any(&fields.if_none_match, |tag| tags.iter().any(|current| weakly(tag) == current.bytes()));
    let is_free = !is_any(&fields.if_none_match) || existing.is_none();
    if still(fields, tags, modified) && (is_other || is_any(&fields.if_none_match)) && is_free {
        Verdict::Proceed
    } else {
        Verdict::Failed
    }
}

/// Whether a range may be cut from this: If-Range is absent or names exactly this (RFC 9110, section 13.1.5).
pub(crate) fn range_holds(fields: &Fields<'_>, current: &Validators, now: u64) -> bool {
    let Some(value) = fields.if_range.as_deref() else { return true };
    match value {
        [b'"', ..] => value == current.tag.bytes(),
        [b'W', b'/', ..] => false,
        // A second in which a file changes may see it change again: such a date is weak (RFC 9110, section 8.8.2.2).
        _ => clock::parse(value) == Some(current.modified) && current.modified < now,
    }
}

/// If-Match, or If-Unmodified-Since where the former is not there.
fn still(fields: &Fields<'_>, tags: &[Tag], modified: Option<u64>) -> bool {
    if fields.if_match.is_some() {
        let is_there = !tags.is_empty();
        return is_there && any(&fields.if_match, |tag| tags.iter().any(|current| tag == current.bytes()));
    }
    match (date(&fields.if_unmodified_since), modified) {
        (Some(since), Some(modified)) => modified <= since,
        _ => true,
    }
}

/// Whether a list is `*` or holds such a tag. Our tags hold no comma, so that cutting others at theirs does no harm.
fn any(list: &Value<'_>, is_it: impl Fn(&[u8]) -> bool) -> bool {
    is_any(list) || members(list).any(is_it)
}

/// Whether a list is `*`, which stands for whatever there is.
pub(crate) fn is_any(list: &Value<'_>) -> bool {
    list.as_deref().is_some_and(|value| value.trim_ascii() == b"*")
}

/// For the weak comparison (RFC 9110, section 8.8.3.2) it does not matter how a tag is marked.
fn weakly(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// A date, or nothing where it is none: such a field is ignored.
fn date(value: &Value<'_>) -> Option<u64> {
    clock::parse(value.as_deref()?)
}

#[cfg(test)]
mod tests {
    use super::super::root::{Kind, Modified};
    use super::*;

    const NOW: u64 = 784_111_800;
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn meta() -> Meta {
        let modified = Modified { seconds: 784_111_777, nanos: 0x2a };
        Meta { kind: Kind::File, size: 0x1000, modified, mode: 0o644 }
    }

    const TAG: &str = "\"2ebc98a1.2a-1000\"";

    fn fields(lines: &[(&str, &'static str)]) -> Fields<'static> {
        let mut fields = Fields::default();
        for (name, value) in lines {
            let value = match *value {
                "TAG" => TAG,
                value => value,
            };
            fields.add(name, value.as_bytes()).unwrap();
        }
        fields
    }

    #[test]
    fn tags_tell_time_length_and_packing() {
        assert_eq!(Tag::of(&meta(), None).bytes(), TAG.as_bytes());
        assert_eq!(Tag::of(&meta(), Some(Coding::Gzip)).bytes(), b"\"2ebc98a1.2a-1000-gz\"");
        assert_eq!(Tag::of(&meta(), Some(Coding::Brotli)).bytes(), b"\"2ebc98a1.2a-1000-br\"");
        let modified = Modified { seconds: -1, nanos: 999_999_999 };
        let tag = Tag::of(&Meta { modified, size: u64::MAX, ..meta() }, Some(Coding::Gzip));
        assert_eq!(tag.bytes(), b"\"ffffffffffffffff.3b9ac9ff-ffffffffffffffff-gz\"");
    }

    #[test]
    fn conditions_of_reading() {
        use Verdict::{Failed, NotModified, Proceed};
        let weak: &'static str = "W/\"2ebc98a1.2a-1000\"";
        for (lines, verdict) in [
            (vec![], Proceed),
            (vec![("If-None-Match", "TAG")], NotModified),
            (vec![("If-None-Match", weak)], NotModified),
            (vec![("If-None-Match", "\"x\" , W/\"2ebc98a1.2a-1000\"")], NotModified),
            (vec![("If-None-Match", "\"x\""), ("If-None-Match", "TAG")], NotModified),
            (vec![("If-None-Match", "*")], NotModified),
            (vec![("If-None-Match", "\"x\"")], Proceed),
            (vec![("If-None-Match", "\"2ebc98a1.2a-1000-gz\"")], Proceed),
            (vec![("If-None-Match", "\"x\""), ("If-Modified-Since", AFTER)], Proceed),
            (vec![("If-Modified-Since", SAME)], NotModified),
            (vec![("If-Modified-Since", AFTER)], NotModified),
            (vec![("If-Modified-Since", BEFORE)], Proceed),
            (vec![("If-Modified-Since", "yesterday")], Proceed),
            (vec![("If-Match", "TAG")], Proceed),
            (vec![("If-Match", weak)], Failed),
            (vec![("If-Match", "*")], Proceed),
            (vec![("If-Match", "\"x\"")], Failed),
            (vec![("If-Match", "TAG"), ("If-Unmodified-Since", BEFORE)], Proceed),
            (vec![("If-Match", "TAG"), ("If-None-Match", "TAG")], NotModified),
            (vec![("If-Match", "\"x\""), ("If-None-Match", "TAG")], Failed),
            (vec![("If-Unmodified-Since", SAME)], Proceed),
            (vec![("If-Unmodified-Since", BEFORE)], Failed),
            (vec![("If-Unmodified-Since", "yesterday")], Proceed),
            (vec![("If-Unmodified-Since", BEFORE), ("If-None-Match", "TAG")], Failed),
        ] {
            let current = Validators::of(&meta(), None, NOW);
            assert_eq!(reading(&fields(&lines), &current), verdict, "{lines:?}");
        }
    }

    #[test]
    fn conditions_of_writing() {
        use Verdict::{Failed, Proceed};
        for (lines, new, over) in [
            (vec![], Proceed, Proceed),
            (vec![("If-None-Match", "*")], Proceed, Failed),
            (vec![("If-None-Match", "TAG")], Proceed, Failed),
            (vec![("If-None-Match", "\"x\"")], Proceed, Proceed),
            (vec![("If-Match", "*")], Failed, Proceed),
            (vec![("If-Match", "TAG")], Failed, Proceed),
            (vec![("If-Match", "\"2ebc98a1.2a-1000-gz\"")], Failed, Proceed),
            (vec![("If-Match", "\"x\"")], Failed, Failed),
            (vec![("If-Unmodified-Since", BEFORE)], Proceed, Failed),
        ] {
            let fields = fields(&lines);
            assert_eq!(writing(&fields, None, NOW), new, "{lines:?}");
            assert_eq!(writing(&fields, Some(&meta()), NOW), over, "{lines:?}");
        }
    }

    #[test]
    fn a_range_is_cut_from_exactly_what_the_client_has() {
        for (value, now, holds) in [
            ("TAG", NOW, true),
            ("W/\"2ebc98a1.2a-1000\"", NOW, false),
            ("\"x\"", NOW, false),
            (SAME, NOW, true),
            (SAME, 784_111_777, false),
            (AFTER, NOW, false),
            (BEFORE, NOW, false),
            ("x", NOW, false),
        ] {
            let current = Validators::of(&meta(), None, now);
            assert_eq!(range_holds(&fields(&[("If-Range", value)]), &current, now), holds, "{value}");
        }
    }
}
