//! Conditional requests (RFC 9110, section 13): what a client already has, or wants to be sure of before it changes it.

use std::sync::LazyLock;
use std::time::Duration;

use rustix::time::{ClockId, clock_getres};

use super::clock::{self, Now};
use super::pack::Coding;
use super::root::Meta;
use crate::random::SplitMix;
use crate::wire::http::fields::{Fields, Value, members};

/// Longest validator: three numbers of 16 digits, one of 8, and what stands around them.
const LENGTH: usize = 80;

/// How long a file that has changed may change again without any of its times telling so.
static GRAIN: LazyLock<Duration> = LazyLock::new(|| {
    // Files get their times from this clock, which ticks every 1 to 10 ms.
    let tick = clock_getres(ClockId::RealtimeCoarse);
    let nanos = u64::try_from(tick.tv_nsec).unwrap_or(0);
    2 * Duration::from_nanos(nanos.clamp(1_000_000, 20_000_000))
});
/// The same where the file system keeps whole seconds, or every other.
const COARSE: Duration = Duration::from_secs(2);
/// How far the clock may have gone on since it was read.
const LATE: Duration = Duration::from_secs(1);

/// An entity tag with its quotes. It names the file by its number, and tells its length and both of its times: that of its
/// content can be set, as `cp -p` and builds that come out the same do, that of its state (ctime) cannot.
#[derive(Clone, Copy)]
pub(crate) struct Tag {
    bytes: [u8; LENGTH],
    length: usize,
}

impl Tag {
    /// The tag of a file as it is, or of what packing makes of it, which is other bytes and needs another tag.
    pub(crate) fn of(meta: &Meta, packed: Option<Coding>) -> Self {
        let mut tag = Self::begin(meta, b"\"");
        tag.push(match packed {
            None => b"\"",
            Some(Coding::Gzip) => b"-gz\"",
            Some(Coding::Brotli) => b"-br\"",
        });
        tag
    }

    /// The tag of a file that may change once more without showing it: a weak one (RFC 9110, section 8.8.1), and another
    /// than the file will have once it rests, so that a client that gets it asks again.
    fn fresh(meta: &Meta) -> Self {
        let mut tag = Self::begin(meta, b"W/\"");
        tag.push(b"-new\"");
        tag
    }

    /// Those of a file as it is and of all that packing makes of it.
    fn forms(meta: &Meta) -> [Self; 3] {
        [None, Some(Coding::Gzip), Some(Coding::Brotli)].map(|packed| Self::of(meta, packed))
    }

    fn begin(meta: &Meta, quote: &[u8]) -> Self {
        let mut tag = Self { bytes: [0; LENGTH], length: 0 };
        tag.push(quote);
        tag.push_hex(meta.modified.seconds.cast_unsigned());
        tag.push(b".");
        tag.push_hex(u64::from(meta.modified.nanos));
        tag.push(b"-");
        tag.push_hex(meta.size);
        tag.push(b"-");
        let changed = [meta.changed.seconds.cast_unsigned(), u64::from(meta.changed.nanos)];
        tag.push_hex([meta.identity.0, meta.identity.1].into_iter().chain(changed).fold(0, mixed));
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

/// Makes one number of two, so that no bit of either goes under.
fn mixed(all: u64, next: u64) -> u64 {
    SplitMix::new(all ^ next).next()
}

/// Whether a file has changed so lately that it may change again and look the same.
fn is_fresh(meta: &Meta, now: &Now) -> bool {
    let changed = i128::from(meta.changed.seconds) * 1_000_000_000 + i128::from(meta.changed.nanos);
    let now = i128::from(now.seconds()) * 1_000_000_000 + i128::from(now.nanos());
    let grain = if meta.changed.nanos == 0 { COARSE } else { *GRAIN };
    let nanos = |time: Duration| i128::try_from(time.as_nanos()).unwrap_or(0);
    (-nanos(LATE)..nanos(grain)).contains(&(now - changed))
}

/// What a condition is held against.
pub(crate) struct Validators {
    /// What is told.
    pub(crate) tag: Tag,
    /// What it would be if the file had come to rest.
    rested: Tag,
    meta: Meta,
    is_fresh: bool,
    /// Last-Modified, in seconds since 1970: never after the answer's own date (RFC 9110, section 8.8.2.1). Archives and
    /// builds that set no time leave the first seconds there, whatever is in the file: that is no date.
    pub(crate) modified: Option<u64>,
}

impl Validators {
    pub(crate) fn of(meta: &Meta, packed: Option<Coding>, now: &Now) -> Self {
        let modified = u64::try_from(meta.modified.seconds).ok().filter(|&seconds| seconds > 1);
        let (rested, is_fresh) = (Tag::of(meta, packed), is_fresh(meta, now));
        let tag = if is_fresh { Tag::fresh(meta) } else { rested };
        Self { tag, rested, meta: *meta, is_fresh, modified: modified.map(|seconds| seconds.min(now.seconds())) }
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
    // Whichever form of it a client has, it is the same file.
    let forms = fields.if_match.as_ref().map(|_| Tag::forms(&current.meta));
    let forms = forms.as_ref().map_or([].as_slice(), |forms| forms);
    if !still(fields, forms, current.modified) {
        return Verdict::Failed;
    }
    if fields.if_none_match.is_some() {
        let is_current = |tag: &[u8]| !current.is_fresh && weakly(tag) == current.rested.bytes();
        let has = any(&fields.if_none_match, is_current);
        return if has { Verdict::NotModified } else { Verdict::Proceed };
    }
    match (date(&fields.if_modified_since), current.modified) {
        (Some(since), Some(modified)) if modified <= since && !current.is_fresh => Verdict::NotModified,
        _ => Verdict::Proceed,
    }
}

/// Looks at the conditions of a PUT. `existing` is what is there now: any of its tags will do, since what a client
/// read packed it may well store as it is.
pub(crate) fn writing(fields: &Fields<'_>, existing: Option<&Meta>, now: &Now) -> Verdict {
    let tags = existing.map(Tag::forms);
    let tags = tags.as_ref().map_or([].as_slice(), |tags| tags);
    let modified = existing.and_then(|meta| Validators::of(meta, None, now).modified);
    let is_other = !any(&fields.if_none_match, |tag| tags.iter().any(|current| weakly(tag) == current.bytes()));
    let is_free = !is_any(&fields.if_none_match) || existing.is_none();
    if still(fields, tags, modified) && (is_other || is_any(&fields.if_none_match)) && is_free {
        Verdict::Proceed
    } else {
        Verdict::Failed
    }
}

/// Whether a range may be cut from this: If-Range is absent or names exactly this (RFC 9110, section 13.1.5). A date never
/// does: files of one second, and copies that keep it, are many.
pub(crate) fn range_holds(fields: &Fields<'_>, current: &Validators) -> bool {
    match fields.if_range.as_deref() {
        None => true,
        Some(tag) => !current.is_fresh && tag == current.rested.bytes(),
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

    const NOW: u64 = 784_111_800_000_000_000;
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn meta() -> Meta {
        let modified = Modified { seconds: 784_111_777, nanos: 0x2a };
        Meta { kind: Kind::File, size: 0x1000, modified, changed: modified, identity: (5, 6), mode: 0o644 }
    }

    fn now(nanos: u64) -> Now {
        Now::new(std::time::UNIX_EPOCH + Duration::from_nanos(nanos))
    }

    const TAG: &str = "\"2ebc98a1.2a-1000-517e2e27cee9f9df\"";
    const WEAK: &str = "W/\"2ebc98a1.2a-1000-517e2e27cee9f9df\"";
    const PACKED: &str = "\"2ebc98a1.2a-1000-517e2e27cee9f9df-gz\"";
    const SEVERAL: &str = "\"x\" , W/\"2ebc98a1.2a-1000-517e2e27cee9f9df\"";

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
        assert_eq!(Tag::of(&meta(), Some(Coding::Gzip)).bytes(), PACKED.as_bytes());
        assert!(Tag::of(&meta(), Some(Coding::Brotli)).bytes().ends_with(b"-br\""));
        let modified = Modified { seconds: -1, nanos: 999_999_999 };
        let tag = Tag::fresh(&Meta { modified, size: u64::MAX, ..meta() });
        assert!(tag.bytes().starts_with(b"W/\"ffffffffffffffff.3b9ac9ff-ffffffffffffffff-"));
    }

    /// `cp -p`, `rsync -t`, a build that comes out the same, a link that leads to another folder: time and length tell
    /// nothing of these.
    #[test]
    fn another_file_of_the_same_time_and_length_has_another_tag() {
        let of = |meta: Meta| Tag::of(&meta, None).bytes().to_vec();
        let later = Modified { seconds: 784_111_777, nanos: 0x2b };
        let others = [
            meta(),
            Meta { identity: (5, 7), ..meta() },
            Meta { identity: (6, 6), ..meta() },
            Meta { changed: later, ..meta() },
            Meta { changed: Modified { seconds: 0, nanos: 0x2a }, ..meta() },
        ];
        for (at, one) in others.iter().enumerate() {
            for other in &others[at + 1..] {
                assert_ne!(of(*one), of(*other));
            }
        }
    }

    #[test]
    fn a_file_that_may_change_again_without_showing_it_is_always_sent() {
        let at = |meta: &Meta, nanos: i64| {
            let changed = meta.changed.seconds * 1_000_000_000 + i64::from(meta.changed.nanos);
            Validators::of(meta, None, &now(u64::try_from(changed + nanos).unwrap()))
        };
        let whole = Meta { changed: Modified { seconds: 784_111_777, nanos: 0 }, ..meta() };
        for (meta, nanos, is_fresh) in [
            (meta(), 0, true),
            (meta(), 1_000_000, true),
            (meta(), -1_000_000, true),
            (meta(), 100_000_000, false),
            (meta(), -10_000_000_000, false),
            (whole, 1_900_000_000, true),
            (whole, 2_000_000_000, false),
        ] {
            let current = at(&meta, nanos);
            let told = String::from_utf8(current.tag.bytes().to_vec()).unwrap();
            assert_eq!(told.starts_with("W/"), is_fresh, "{nanos}");
            for tag in [told.as_str(), std::str::from_utf8(current.rested.bytes()).unwrap()] {
                let mut fields = Fields::default();
                fields.add("If-None-Match", tag.as_bytes()).unwrap();
                fields.add("If-Range", tag.as_bytes()).unwrap();
                assert_eq!(reading(&fields, &current) == Verdict::Proceed, is_fresh, "{nanos}, {tag}");
                assert_eq!(range_holds(&fields, &current), !is_fresh, "{nanos}, {tag}");
                // Once it rests, what was told before is another tag.
                let rests = reading(&fields, &at(&meta, 10_000_000_000));
                assert_eq!(rests == Verdict::Proceed, tag.starts_with("W/"), "{nanos}, {tag}");
            }
        }
    }

    #[test]
    fn the_first_seconds_of_1970_are_no_date() {
        for (seconds, is_date) in [(-5, false), (0, false), (1, false), (2, true), (315_532_800, true)] {
            let meta = Meta { modified: Modified { seconds, nanos: 0 }, ..meta() };
            let current = Validators::of(&meta, None, &now(NOW));
            assert_eq!(current.modified.is_some(), is_date, "{seconds}");
            let verdict = reading(&fields(&[("If-Modified-Since", AFTER)]), &current);
            assert_eq!(verdict == Verdict::NotModified, is_date, "{seconds}");
        }
    }

    #[test]
    fn conditions_of_reading() {
        use Verdict::{Failed, NotModified, Proceed};
        for (lines, verdict) in [
            (vec![], Proceed),
            (vec![("If-None-Match", "TAG")], NotModified),
            (vec![("If-None-Match", WEAK)], NotModified),
            (vec![("If-None-Match", SEVERAL)], NotModified),
            (vec![("If-None-Match", "\"x\""), ("If-None-Match", "TAG")], NotModified),
            (vec![("If-None-Match", "*")], NotModified),
            (vec![("If-None-Match", "\"x\"")], Proceed),
            (vec![("If-None-Match", PACKED)], Proceed),
            (vec![("If-None-Match", "\"x\""), ("If-Modified-Since", AFTER)], Proceed),
            (vec![("If-Modified-Since", SAME)], NotModified),
            (vec![("If-Modified-Since", AFTER)], NotModified),
            (vec![("If-Modified-Since", BEFORE)], Proceed),
            (vec![("If-Modified-Since", "yesterday")], Proceed),
            (vec![("If-Match", "TAG")], Proceed),
            (vec![("If-Match", WEAK)], Failed),
            (vec![("If-Match", PACKED)], Proceed),
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
            let current = Validators::of(&meta(), None, &now(NOW));
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
            (vec![("If-Match", PACKED)], Failed, Proceed),
            (vec![("If-Match", "\"x\"")], Failed, Failed),
            (vec![("If-Unmodified-Since", BEFORE)], Proceed, Failed),
        ] {
            let fields = fields(&lines);
            assert_eq!(writing(&fields, None, &now(NOW)), new, "{lines:?}");
            assert_eq!(writing(&fields, Some(&meta()), &now(NOW)), over, "{lines:?}");
        }
    }

    #[test]
    fn a_range_is_cut_from_exactly_what_the_client_has() {
        for (value, holds) in [
            ("TAG", true),
            (WEAK, false),
            (PACKED, false),
            ("\"x\"", false),
            (SAME, false),
            (AFTER, false),
            (BEFORE, false),
            ("x", false),
        ] {
            let current = Validators::of(&meta(), None, &now(NOW));
            assert_eq!(range_holds(&fields(&[("If-Range", value)]), &current), holds, "{value}");
        }
    }
}
