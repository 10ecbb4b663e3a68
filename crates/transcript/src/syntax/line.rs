//! One line: its statement's text, where it stands, and what stands below it.

use crate::diagnostic::Span;

/// Most lines that are looked at below a line that is no statement, for where its block would end.
const MOST_BELOW: usize = 1000;

/// Most bytes that are looked at below all such lines of a transcript together: each of them may stand above the same
/// long lines.
const MOST_LOOKED_AT: usize = 16 << 20;

/// How much was looked at below the lines of a transcript, in bytes.
#[derive(Debug, Default)]
pub(super) struct LookedAt(usize);

/// One statement's text, split as most statements need it.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) place: Span,
    pub(super) text: &'a str,
    /// What stands below it, to the end of its file.
    pub(super) below: &'a str,
}

impl<'a> Line<'a> {
    /// The place of a part of the text, which must be a slice of it.
    pub(super) fn place_of(&self, part: &str) -> Span {
        let offset = part.as_ptr() as usize - self.text.as_ptr() as usize;
        let before = self.text[..offset].chars().count();
        Span { column: self.place.column + before, width: part.chars().count(), ..self.place }
    }

    /// Whether lines stand below it that are its block: deeper in, up to an `end`; or, where nothing is deeper in, with
    /// an `end` more than there are other blocks, of which so many are open. Whether they are deeper in the first of
    /// them tells: a head below is a statement of its own, and so are its lines. Nothing is said to be a block once
    /// too much was looked at.
    pub(super) fn has_block(&self, open: usize, looked_at: &mut LookedAt) -> bool {
        const HEADS: [&str; 7] = ["repeat", "either", "maybe", "together", "choose", "in any", "at any"];
        let begins = |text: &str| HEADS.iter().any(|head| text.starts_with(head));
        let (mut is_deeper, mut more) = (None, 0);
        for line in self.below.split('\n').take(MOST_BELOW) {
            looked_at.0 = looked_at.0.saturating_add(line.len());
            if looked_at.0 > MOST_LOOKED_AT {
                return false;
            }
            let text = line.trim();
            let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let deeper = indent >= self.place.column;
            if *is_deeper.get_or_insert(deeper)
                && !deeper
                && !matches!(text.split([' ', ':']).next(), Some("or" | "else" | "is" | "and" | "case" | "elif"))
            {
                return text.starts_with("end") || text.starts_with('}') || text == "done" || text == "fi";
            }
            match text {
                "end" => more += 1,
                _ if begins(text) => more -= 1,
                _ => {}
            }
        }
        is_deeper != Some(true) && more > i64::try_from(open).unwrap_or(i64::MAX)
    }

    /// What follows the first word, to the end of the line.
    pub(super) fn behind(&self, word: &str) -> &'a str {
        self.text[word.len()..].trim_start_matches([' ', '\t'])
    }

    /// What follows the first word and the one space behind it.
    pub(super) fn behind_one_space(&self, word: &str) -> &'a str {
        let rest = &self.text[word.len()..];
        rest.strip_prefix([' ', '\t']).unwrap_or(rest)
    }

    /// The first word and what follows it, trimmed.
    pub(super) fn word(&self) -> (&'a str, &'a str) {
        let (word, rest) = self.text.split_once([' ', '\t']).unwrap_or((self.text, ""));
        // An empty rest must still be a slice of the text, so that it has a place.
        let rest = if rest.is_empty() { &self.text[self.text.len()..] } else { rest };
        (word, rest.trim_matches([' ', '\t']))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_is_looked_at_below_wrong_lines_and_no_more() {
        let place = Span { line: 1, column: 1, width: 1 };
        let block = "  C: a\nend\n";
        let mut looked_at = LookedAt::default();
        assert!(Line { place, text: "x", below: block }.has_block(0, &mut looked_at));
        assert_eq!(looked_at.0, "  C: a".len() + "end".len());
        // The same long lines stand below each of them.
        let long = format!("{}x\n", " ".repeat(1 << 16)).repeat(MOST_BELOW);
        for _ in 0..10 {
            assert!(!Line { place, text: "x", below: &long }.has_block(0, &mut looked_at));
            assert!(looked_at.0 <= MOST_LOOKED_AT + 11 * (1 << 16), "{}", looked_at.0);
        }
        assert!(!Line { place, text: "x", below: block }.has_block(0, &mut looked_at));
    }
}
