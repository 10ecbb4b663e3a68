//! Patterns that stand where a default or a name does: `{n=/[0-9]+/}`, `{code=int}`, `{n=u16:5}`, `{u16=5}`.

use std::cell::Cell;

use super::payload::escaped;
use crate::number::Number;
use crate::pattern::{Pattern, Regex};
use crate::syntax::Hole;

/// Most expressions that are compiled for warnings alone; of a file with more slips than that, those further down are not
/// looked at.
const MOST_COMPILED: usize = 200;

/// Reads patterns where none is allowed.
pub(super) struct Patterns {
    /// How many expressions may still be compiled.
    left: Cell<usize>,
}

impl Patterns {
    pub(super) fn new() -> Self {
        Self { left: Cell::new(MOST_COMPILED) }
    }

    fn regex(&self, regex: &str) -> Option<Pattern<()>> {
        self.left.set(self.left.get().checked_sub(1)?);
        Regex::new(regex).ok().map(|regex| Pattern::Regex(regex.into()))
    }

    /// The pattern that some text is: `int`, `word`, a number, `8 bytes` or `/regex/`.
    pub(super) fn read(&self, text: &str) -> Option<Pattern<()>> {
        if let Some(word) = word(text) {
            return Some(word);
        }
        if let Some(count) = text.strip_suffix(" bytes") {
            return count.parse().ok().map(Pattern::Bytes);
        }
        let regex = text.strip_prefix('/')?.strip_suffix('/')?;
        self.regex(regex).filter(|_| !regex.is_empty() && !regex.contains('/'))
    }

    /// A default that is a pattern: what is told, and what to write. `all` is what stands behind the `=`.
    pub(super) fn as_default(&self, hole: &Hole, all: &str) -> Option<(String, String)> {
        let name = &hole.name;
        if hole.pattern != Pattern::Any {
            return None;
        }
        let (written, default) = match (word(all), all.split_once(':')) {
            // `{type=int}` of a language, `{format=hex}`.
            (Some(pattern), _) if !names_a_kind(name) => (all.to_owned(), example(&pattern)),
            (_, Some((written, default)))
                if word(written).is_some_and(|pattern| is_clear(&pattern) && takes(&pattern, default)) =>
            {
                (written.to_owned(), format!("={default}"))
            }
            _ => {
                let regex = regex_as_default(all)?;
                let pattern = self.regex(regex)?;
                (format!("/{regex}/"), example(&pattern))
            }
        };
        let text = escaped(all, 0);
        let help = format!("write `{{{name}:{written}{default}}}`; for text that is meant `{{{name}={text}}}`");
        Some((format!("a pattern stands behind a colon: this is the default `{all}`"), help))
    }
}

/// A pattern that is a word.
pub(super) fn word(text: &str) -> Option<Pattern<()>> {
    match text {
        "word" => Some(Pattern::Word),
        "int" => Some(Pattern::Int),
        _ => Number::named(text).map(Pattern::Number),
    }
}

/// Whether some text can be the default of a hole with this pattern.
pub(super) fn takes(pattern: &Pattern<()>, default: &str) -> bool {
    match pattern {
        Pattern::Number(number) => number.write(default.as_bytes()).is_some(),
        pattern => pattern.accepts(default.as_bytes()),
    }
}

/// An example of what a pattern takes, as a default with its sign; nothing if none comes to mind.
fn example(pattern: &Pattern<()>) -> String {
    let words = if *pattern == Pattern::Word { ["abc", "abc"] } else { ["25", "abc"] };
    let further = ["a", "A", "ABC", "Ann", "a1", "1.0", "12:30", "2026-11-30", "ann@a.example", "hello world"];
    let found = words.into_iter().chain(further).find(|text| takes(pattern, text));
    found.map(|text| format!("={text}")).unwrap_or_default()
}

/// Whether a word is no more than the name of a pattern, and no word of a language.
fn is_clear(pattern: &Pattern<()>) -> bool {
    match pattern {
        Pattern::Number(Number::Hex { .. } | Number::Pair) => false,
        Pattern::Int | Pattern::Number(_) => true,
        _ => false,
    }
}

/// Names whose values are words such as `int` and `hex`.
fn names_a_kind(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["type", "kind", "format", "encoding", "enc", "mode", "word", "base", "unit", "class", "name", "text", "codec"]
        .iter()
        .any(|kind| name.ends_with(kind))
        || matches!(name.as_str(), "t" | "of" | "as" | "_")
}

/// The regex that a default seems to be. What is no regex for sure, such as a path or a glob, is none.
fn regex_as_default(all: &str) -> Option<&str> {
    if matches!(all, "\\d+" | "\\d*" | "\\w+" | "\\w*" | "\\S+" | ".*" | ".+") {
        return Some(all);
    }
    let class = |text: &str| text.starts_with('[') && text.find(']') == Some(text.len() - 1);
    if all.strip_suffix('+').is_some_and(class) {
        return Some(all);
    }
    let regex = all.strip_prefix('/')?.strip_suffix('/').filter(|regex| !regex.contains('/'))?;
    let is_group = regex.contains('(') && regex.contains(')') && regex.contains(['|', '+', '*', '?']);
    let is_odd = is_group
        || regex.contains(['[', '\\'])
        || regex.starts_with('^')
        || regex.ends_with('$')
        || regex.contains(".*")
        || regex.contains(".+");
    is_odd.then_some(regex)
}

/// A name that is the word of a pattern, where each of its defaults would fit it.
pub(super) fn as_name(hole: &Hole) -> bool {
    let Some(pattern) = word(&hole.name) else { return false };
    match hole.defaults.as_slice() {
        [] => is_clear(&pattern) || pattern == Pattern::Word,
        // A word is called so, and so is what is written in hex.
        defaults => {
            is_clear(&pattern)
                && defaults.iter().all(|one| std::str::from_utf8(&one.bytes).is_ok_and(|text| takes(&pattern, text)))
        }
    }
}
