//! Regular expressions of the linear-time kind: whatever a peer sends, each byte is looked at once for each place in the
//! expression. They match bytes, from the first to the last.

use std::sync::OnceLock;

use regex_automata::meta::{BuildError, Config, Regex as Matcher};
use regex_automata::util::syntax;

/// Longest expression, in bytes.
const LONGEST: usize = crate::limits::EXPRESSION;
/// Most memory that an expression may become, in bytes: `(a{1000}){1000}` is a short text.
const LARGEST: usize = crate::limits::COMPILED_EXPRESSION;

/// What one takes beside what its matcher counts: the value itself, and the places of its caches.
const EACH: usize = 2 * 1024;

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
    /// What is wrong with it, as a sentence without its place.
    pub(crate) fn new(source: &str) -> Result<Self, String> {
        if source.len() > LONGEST {
            return Err(format!("a regex of {} bytes is longer than {LONGEST}", source.len()));
        }
        // By itself first: what is wrong with it is wrong with what was written, not with what we put around it.
        let mut parser = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build();
        parser.parse(source).map_err(|error| match error {
            regex_syntax::Error::Parse(error) => format!("the regex is not well formed: {}", error.kind()),
            regex_syntax::Error::Translate(error) => format!("the regex cannot match bytes: {}", error.kind()),
            _ => "the regex is not well formed".to_owned(),
        })?;
        let whole = format!(r"\A(?:{source})\z");
        let matcher = matcher(&whole).map_err(|error| match error.size_limit() {
            Some(_) => "the regex grows too large: its repetitions are too many".to_owned(),
            None => "the regex cannot match bytes".to_owned(),
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
            let message = Regex::new(source).unwrap_err();
            assert!(message.contains(word), "{source}: {message}");
        }
        assert!(Regex::new(&"a".repeat(10_241)).is_err());
    }
}
