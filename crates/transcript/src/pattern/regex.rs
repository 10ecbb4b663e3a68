//! Regular expressions of the linear-time kind: whatever a peer sends, each byte is looked at once for each place in the
//! expression. They match bytes, from the first to the last.

use std::fmt;
use std::sync::OnceLock;

use regex_automata::meta::{BuildError, Config, Regex as Matcher};
use regex_automata::util::syntax;

/// Longest expression, in bytes.
const LONGEST: usize = crate::limits::EXPRESSION;
/// Most memory that an expression may become, in bytes: `(a{1000}){1000}` is a short text.
const LARGEST: usize = crate::limits::COMPILED_EXPRESSION;

/// What one takes beside what its matcher counts: the value itself, and the places of its caches.
const EACH: usize = 2 * 1024;

/// Why an expression is not taken.
#[derive(Debug)]
pub(crate) enum RegexError {
    /// It is longer than expressions may be; its bytes.
    TooLong(usize),
    /// It is not well formed.
    Syntax(Box<regex_syntax::Error>),
    /// It is short, and what it becomes is too large.
    TooLarge(Box<BuildError>),
    /// It is well formed, and no matcher of bytes.
    Unmatchable(Box<BuildError>),
}

impl RegexError {
    /// Whether it is a class or an escape of characters, where only bytes are known.
    pub(super) fn is_about_a_letter(&self) -> bool {
        matches!(self, Self::Syntax(error) if matches!(&**error, regex_syntax::Error::Translate(error)
            if *error.kind() == regex_syntax::hir::ErrorKind::UnicodeNotAllowed))
    }
}

/// A sentence without its place.
impl fmt::Display for RegexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => write!(f, "a regex of {length} bytes is longer than {LONGEST}"),
            Self::Syntax(error) => match &**error {
                regex_syntax::Error::Parse(error) => write!(f, "the regex is not well formed: {}", error.kind()),
                regex_syntax::Error::Translate(error) => write!(f, "the regex cannot match bytes: {}", error.kind()),
                _ => f.write_str("the regex is not well formed"),
            },
            Self::TooLarge(_) => f.write_str("the regex grows too large: its repetitions are too many"),
            Self::Unmatchable(_) => f.write_str("the regex cannot match bytes"),
        }
    }
}

impl std::error::Error for RegexError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::TooLong(_) => None,
            Self::Syntax(error) => Some(&**error),
            Self::TooLarge(error) | Self::Unmatchable(error) => Some(&**error),
        }
    }
}

/// An expression made ready.
#[derive(Debug)]
pub(crate) struct Regex {
    source: String,
    matcher: Matcher,
    /// The same without an end, for a hole that another one stands behind: few are.
    beginning: OnceLock<Option<Matcher>>,
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Regex {}

impl Regex {
    /// Reads an expression.
    ///
    /// # Errors
    /// It is not well formed, matches no bytes, or is too long or too large.
    pub(crate) fn new(source: &str) -> Result<Self, RegexError> {
        if source.len() > LONGEST {
            return Err(RegexError::TooLong(source.len()));
        }
        // By itself first: what is wrong with it is wrong with what was written, not with what we put around it.
        let mut parser = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build();
        parser.parse(source).map_err(|error| RegexError::Syntax(Box::new(error)))?;
        let whole = format!(r"\A(?:{source})\z");
        let matcher = matcher(&whole).map_err(|error| match error.size_limit() {
            Some(_) => RegexError::TooLarge(error),
            None => RegexError::Unmatchable(error),
        })?;
        Ok(Self { source: source.to_owned(), matcher, beginning: OnceLock::new() })
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The memory that it takes, in bytes, without what a match needs.
    pub(crate) fn size(&self) -> usize {
        EACH + self.source.len() + self.matcher.memory_usage()
    }

    /// How many of the first of these bytes it takes.
    pub(crate) fn taken_from(&self, bytes: &[u8]) -> Option<usize> {
        let build = || matcher(&format!(r"\A(?:{})", self.source)).ok();
        self.beginning.get_or_init(build).as_ref()?.find(bytes).map(|found| found.end())
    }

    /// Whether it matches the bytes from end to end.
    pub(crate) fn matches(&self, bytes: &[u8]) -> bool {
        self.matcher.is_match(bytes)
    }
}

/// The engine itself and not the `regex` around it, which does not tell how much memory an expression takes.
fn matcher(source: &str) -> Result<Matcher, Box<BuildError>> {
    Matcher::builder()
        .configure(Config::new().nfa_size_limit(Some(LARGEST)).utf8_empty(false))
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .build(source)
        .map_err(Box::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(source: &str, text: &str) -> bool {
        Regex::new(source).unwrap().matches(text.as_bytes())
    }

    #[test]
    fn an_expression_matches_from_end_to_end() {
        for (source, yes, no) in [
            ("[a-z]+", &["a", "abc"][..], &["", "aB", "ab "][..]),
            ("a|bc|", &["a", "bc", ""], &["b", "abc"]),
            ("(ab){2,3}c?", &["abab", "ababab", "ababc"], &["ab", "abababab", "ababcc"]),
            ("x{0}y", &["y"], &["xy"]),
            ("(a*)*b", &["b", "aaab"], &["a", "ba"]),
            (r"\d+\.\d+", &["1.25"], &["1", ".5", "1.2a"]),
            (r"^a.c$", &["abc"], &["a\nc", "abcd"]),
            (r"(?i)hello\b.*", &["HeLLo world", "hello"], &["helloo"]),
            (r"[^\x00-\x1f]*", &["été"], &["a\tb"]),
            (r"a\x2fb", &["a/b"], &["a/c"]),
            ("é+", &["éé"], &["e", "é\u{e8}"]),
        ] {
            for text in yes {
                assert!(matches(source, text), "{source} on {text:?}");
            }
            for text in no {
                assert!(!matches(source, text), "{source} on {text:?}");
            }
        }
        assert!(Regex::new(r"\xff[\x80-\x81]").unwrap().matches(b"\xff\x80"));
    }

    #[test]
    fn what_blows_up_elsewhere_stays_linear_here() {
        assert!(!matches("(a+)+b", &"a".repeat(60_000)));
        assert!(!matches("(a|a|aa)*c", &"a".repeat(60_000)));
    }

    #[test]
    fn a_bad_expression_says_why() {
        for (source, word) in [
            ("(", "unclosed group"),
            ("a{2,1}", "repetition"),
            ("*", "repetition"),
            ("(a{900}){900}", "grows too large"),
            (r"\p{Greek}", "Unicode"),
        ] {
            let message = Regex::new(source).unwrap_err().to_string();
            assert!(message.contains(word), "{source}: {message}");
        }
        assert!(matches!(Regex::new(&"a".repeat(10_241)), Err(RegexError::TooLong(10_241))));
        assert!(matches!(Regex::new("("), Err(RegexError::Syntax(_))));
        assert!(matches!(Regex::new("(a{900}){900}"), Err(RegexError::TooLarge(_))));
    }
}
