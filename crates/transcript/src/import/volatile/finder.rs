//! Which values of a payload look as if they were new each time, and what kind each of them is.

use std::ops::Range;

use regex::Regex;

const DAY: &str = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const MONTH: &str = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const TIME: &str = "[0-9]{2}:[0-9]{2}:[0-9]{2}";
const ZONE: &str = "(?: ?(?:GMT|UTC|Z|[+-][0-9]{2}:?[0-9]{2}))?";

/// What kind of value it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Date,
    /// In seconds, or milliseconds.
    Since1970,
    /// How long something took.
    Duration,
    Uuid,
    Digest,
    Id,
}

impl Kind {
    pub(super) fn words(self, length: usize) -> String {
        match self {
            Self::Date => "a date".to_owned(),
            Self::Since1970 => "a time, counted since 1970".to_owned(),
            Self::Duration => "how long it took".to_owned(),
            Self::Uuid => "a UUID".to_owned(),
            Self::Digest => match length {
                32 => "an id, or a digest as long as MD5".to_owned(),
                40 => "an id, or a digest as long as SHA-1".to_owned(),
                64 => "an id, or a digest as long as SHA-256".to_owned(),
                _ => "an id, or a digest".to_owned(),
            },
            Self::Id => "an id".to_owned(),
        }
    }

    /// A date that is the same twice in a record need not be the next time.
    pub(super) fn is_said_again(self) -> bool {
        !matches!(self, Self::Date | Self::Since1970 | Self::Duration)
    }
}

/// Finds values that look as if they were new each time.
pub(super) struct Finder {
    patterns: Vec<(Kind, Regex)>,
}

impl Finder {
    /// `None` if an expression is wrong, which a test sees.
    pub(super) fn new() -> Option<Self> {
        // None of them goes on from or into a longer word.
        let whole = |pattern: &str| format!(r"(?-u:\b)({pattern})(?-u:\b)");
        let dates = [
            format!("{DAY},? [0-9]{{1,2}}[ -]{MONTH}[ -][0-9]{{2,4}},? {TIME}{ZONE}"),
            format!("{DAY} {MONTH} [ 0-9][0-9] {TIME}(?: [A-Z]{{3,4}})? [0-9]{{4}}"),
            format!("[0-9]{{1,2}}[ -]{MONTH}[ -][0-9]{{4}},? {TIME}{ZONE}"),
            format!("[0-9]{{2}}/{MONTH}/[0-9]{{4}}:{TIME}(?: [+-][0-9]{{4}})?"),
            "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?:Z| ?[+-][0-9]{2}:?[0-9]{2})?"
                .to_owned(),
            format!("{MONTH} [ 0-9][0-9] {TIME}"),
            "(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])".to_owned(),
            "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]+)?".to_owned(),
        ];
        let mut patterns: Vec<(Kind, String)> = dates.iter().map(|date| (Kind::Date, whole(date))).collect();
        patterns.extend([
            // As IMAP servers tell it: (0.002 + 0.000 + 0.001 secs).
            (
                Kind::Duration,
                whole("[0-9]+[.][0-9]+(?: [+] [0-9]+[.][0-9]+)* ?(?:secs?|seconds?|s|msecs?|ms|milliseconds?)"),
            ),
            (Kind::Uuid, whole("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")),
            // What is named as one.
            (
                Kind::Id,
                concat!(
                    r#"(?i-u)(?-u:\b)(?:e-?tag: *(?:w/)?"|(?:[a-z0-9_-]*(?:sess(?:ion)?|token|nonce|csrf|xsrf|request|trace|span|transaction|"#,
                    r#"correlation|message|boundary|opaque|challenge)(?:[_-]?id)?|[sp]?sid|queued as|id)"?(?:=|: ?| ))"?<?"#,
                    r#"([a-z0-9+/._~@-]*[0-9][a-z0-9+/._~@-]*=*)"#
                )
                .to_owned(),
            ),
            (Kind::Id, r"(?i-u:(?:set-)?cookie: )[^=; ]+=([A-Za-z0-9+/._~%-]{6,}=*)".to_owned()),
            // As the ids of messages, and as POP3 greets.
            (Kind::Id, "<([A-Za-z0-9._+$-]*[0-9]{5,}[A-Za-z0-9._+$-]*@[A-Za-z0-9.-]+)>".to_owned()),
            (Kind::Digest, whole("(?:[0-9a-f]{16,128}|[0-9A-F]{16,128})")),
            (Kind::Since1970, whole("1[5-9][0-9]{8}(?:[0-9]{3}|[.][0-9]{3,6})?")),
            (Kind::Id, r"(?-u:\b)(eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)".to_owned()),
            (Kind::Id, r"(?-u:\b)([A-Za-z0-9+/_-]{20,}={0,2})".to_owned()),
        ]);
        let patterns: Result<Vec<_>, _> =
            patterns.into_iter().map(|(kind, pattern)| Regex::new(&pattern).map(|regex| (kind, regex))).collect();
        patterns.ok().map(|patterns| Self { patterns })
    }

    /// Where such values stand in a payload, in their order.
    pub(super) fn find(&self, payload: &str) -> Vec<(Range<usize>, Kind)> {
        let mut found: Vec<(Range<usize>, Kind)> = vec![];
        for (kind, regex) in &self.patterns {
            for captures in regex.captures_iter(payload) {
                let Some(value) = captures.get(1).map(|value| value.range()) else { continue };
                let is_free = found.iter().all(|(other, _)| value.end <= other.start || other.end <= value.start);
                if is_free && looks_made(*kind, &payload[value.clone()]) {
                    found.push((value, *kind));
                }
            }
        }
        found.sort_by_key(|(value, _)| value.start);
        found
    }
}

/// Whether a value of a kind is likely to be made by a program, and not by a person.
fn looks_made(kind: Kind, value: &str) -> bool {
    let has = |is: fn(&u8) -> bool| value.bytes().filter(is).count();
    match kind {
        Kind::Date | Kind::Since1970 | Kind::Duration | Kind::Uuid => true,
        Kind::Digest => {
            let digits = has(u8::is_ascii_digit);
            digits > 0 && digits < value.len() || value.len() >= 32
        }
        // Words have few digits and letters of one kind; paths have slashes.
        Kind::Id if value.len() >= 20 => {
            has(u8::is_ascii_digit) >= 2
                && has(u8::is_ascii_lowercase) + has(u8::is_ascii_uppercase) >= 2
                && value.bytes().filter(|&byte| byte == b'/').count() * 8 <= value.len()
        }
        Kind::Id => value.len() >= 6 && has(u8::is_ascii_digit) >= 2,
    }
}
