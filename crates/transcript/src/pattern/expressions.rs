//! The regular expressions of one transcript: equal ones are compiled once, and all of them together have a bound.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Regex;

/// Most memory that the different expressions of one transcript become, in bytes. Matching needs about as much again.
const LARGEST_TOGETHER: usize = crate::limits::COMPILED_EXPRESSIONS;

/// What was compiled so far. Flags are part of an expression's text, so equal texts are equal expressions.
#[derive(Debug, Default)]
pub(crate) struct Expressions {
    compiled: BTreeMap<Box<str>, Arc<Regex>>,
    size: usize,
}

impl Expressions {
    /// The compiled expression of this text.
    ///
    /// # Errors
    /// What is wrong with it, and what helps.
    pub(crate) fn compiled(&mut self, source: &str) -> Result<Arc<Regex>, (String, &'static str)> {
        if let Some(regex) = self.compiled.get(source) {
            return Ok(Arc::clone(regex));
        }
        let regex = Regex::new(source)
            .map_err(|message| (message, "it is of the linear-time kind: no look-around, no back references"))?;
        self.size = self.size.saturating_add(regex.size());
        if self.is_full() {
            let most = LARGEST_TOGETHER >> 20;
            let message = format!("the different regexes of this transcript grow larger than {most} MiB together");
            return Err((message, "write the same regex for lines that are alike, or split the conversation"));
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
            let (message, _) = refused.expect("a bound");
            assert!(message.contains("larger than 64 MiB together"), "{kind}: {message}");
            let all: usize = expressions.compiled.values().map(|regex| regex.size()).sum();
            assert!(all <= LARGEST_TOGETHER && all > LARGEST_TOGETHER - 4 * 1024 * 1024, "{kind}: {all}");
            // What is compiled already is had without more.
            assert!(expressions.compiled(&format!("{kind}0")).is_ok(), "{kind}");
        }
    }
}
