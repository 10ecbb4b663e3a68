//! The regular expressions of one transcript: equal ones are compiled once, and all of them together have a bound.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::regex::{Regex, RegexError};

/// Most memory that the different expressions of one transcript become, in bytes. Matching needs about as much again.
const LARGEST_TOGETHER: usize = crate::limits::COMPILED_EXPRESSIONS;

/// What was compiled so far. Flags are part of an expression's text, so equal texts are equal expressions.
#[derive(Debug, Default)]
pub(crate) struct Expressions {
    compiled: BTreeMap<Box<str>, Arc<Regex>>,
    size: usize,
}

/// Why an expression of a transcript is not taken.
#[derive(Debug)]
pub(crate) enum ExpressionError {
    /// By itself.
    Regex(RegexError),
    /// With those that are there already it is too much.
    TooLargeTogether,
}

impl ExpressionError {
    /// What to do about it.
    pub(crate) fn help(&self) -> &'static str {
        match self {
            Self::Regex(why) if why.is_about_a_letter() => {
                "a regex sees bytes, and a letter outside ASCII is several: write `(é|è)` and not `[éè]`"
            }
            Self::Regex(_) => "it is of the linear-time kind: no look-around, no back references",
            Self::TooLargeTogether => "write the same regex for lines that are alike, or split the conversation",
        }
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Regex(error) => error.fmt(f),
            Self::TooLargeTogether => {
                let most = LARGEST_TOGETHER >> 20;
                write!(f, "the different regexes of this transcript grow larger than {most} MiB together")
            }
        }
    }
}

impl std::error::Error for ExpressionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Regex(error) => Some(error),
            Self::TooLargeTogether => None,
        }
    }
}

impl Expressions {
    /// The compiled expression of this text.
    ///
    /// # Errors
    /// It is no expression, or one too many.
    pub(crate) fn compiled(&mut self, source: &str) -> Result<Arc<Regex>, ExpressionError> {
        if let Some(regex) = self.compiled.get(source) {
            return Ok(Arc::clone(regex));
        }
        let regex = Regex::new(source).map_err(ExpressionError::Regex)?;
        self.size = self.size.saturating_add(regex.size());
        if self.is_full() {
            return Err(ExpressionError::TooLargeTogether);
        }
        let regex = Arc::new(regex);
        self.compiled.insert(source.into(), Arc::clone(&regex));
        Ok(regex)
    }

    /// Whether they have met their bound: no further one is taken.
    pub(crate) fn is_full(&self) -> bool {
        self.size > LARGEST_TOGETHER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_expressions_are_compiled_once() {
        for source in ["[a-z]{1,50}", "", "(?i)a", r"a\x2fb", "é+"] {
            let mut expressions = Expressions::default();
            let first = expressions.compiled(source).unwrap();
            let size = expressions.size;
            assert!(size >= first.size(), "{source}");
            for _ in 0..1000 {
                assert!(Arc::ptr_eq(&first, &expressions.compiled(source).unwrap()), "{source}");
            }
            assert_eq!((expressions.compiled.len(), expressions.size), (1, size), "{source}");
        }
    }

    #[test]
    fn expressions_that_differ_are_apart() {
        let mut expressions = Expressions::default();
        for (at, source) in ["a", "(?i)a", "A", "(a)", "a ", "[a]"].into_iter().enumerate() {
            assert_eq!(expressions.compiled(source).unwrap().source(), source);
            assert_eq!(expressions.compiled.len(), at + 1, "{source}");
        }
        assert!(expressions.compiled("(").is_err() && expressions.compiled("(").is_err());
        assert_eq!(expressions.compiled.len(), 6, "what is wrong is not kept");
    }

    #[test]
    fn together_they_have_a_bound() {
        for kind in ["[a-z]{1,900}", "(?:ab|cd){300}x*", r"\w{1,700}\.\d{1,200}"] {
            let mut expressions = Expressions::default();
            let refused = (0..100_000).find_map(|n| expressions.compiled(&format!("{kind}{n}")).err());
            let refused = refused.expect("a bound");
            assert!(matches!(refused, ExpressionError::TooLargeTogether), "{kind}: {refused}");
            assert!(refused.to_string().contains("larger than 64 MiB together"), "{kind}: {refused}");
            let all: usize = expressions.compiled.values().map(|regex| regex.size()).sum();
            assert!(all <= LARGEST_TOGETHER && all > LARGEST_TOGETHER - 4 * 1024 * 1024, "{kind}: {all}");
            // What is compiled already is had without more.
            assert!(expressions.compiled(&format!("{kind}0")).is_ok(), "{kind}");
        }
    }
}
