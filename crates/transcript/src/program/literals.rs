//! The messages of a block in any order that are nothing but text, sorted, so that what came is looked for as in a
//! dictionary and is not compared with each of them.

use super::{Literal, Message, PieceKind};
use crate::syntax::Form;

/// Longest text that is looked for: of a longer one, which comes in many pieces, it is remembered how far it was compared.
const LONGEST: usize = 1024;
/// Fewer are compared one by one.
const FEWEST: usize = 8;

/// Texts in the order of their bytes.
#[derive(Debug, Clone)]
pub(crate) struct Literals {
    /// Equal ones stand in the order of the file.
    sorted: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    text: Literal,
    /// Its place in the block.
    index: usize,
    /// The nearest one before it with which it begins.
    begins_with: Option<usize>,
}

/// What may be made of the bytes that came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The longest text that is whole, by its place in the block, and its length.
    pub(crate) whole: Option<(usize, usize)>,
    /// A longer one begins like all that came.
    pub(crate) may_become_longer: bool,
}

impl Literals {
    /// `None` if some message is more than text, or if nothing is gained.
    pub(super) fn new(messages: &[Message]) -> Option<Self> {
        if messages.len() < FEWEST {
            return None;
        }
        let text = |message: &Message| match &message.pieces[..] {
            [piece] if message.form != Form::Text && !message.fold && !message.to_end => match &piece.kind {
                PieceKind::Literal(text) if (1..=LONGEST).contains(&text.len()) => Some(Literal::clone(text)),
                _ => None,
            },
            _ => None,
        };
        let entry = |(index, message)| Some(Entry { text: text(message)?, index, begins_with: None });
        Some(Self::of(messages.iter().enumerate().map(entry).collect::<Option<_>>()?))
    }

    fn of(mut sorted: Vec<Entry>) -> Self {
        sorted.sort_by(|one, other| one.text.cmp(&other.text));
        // Those with which the entry before begins, and that entry itself, are all that can begin this one.
        for at in 1..sorted.len() {
            let mut before = Some(at - 1);
            while let Some(shorter) = before
                && !sorted[at].text.starts_with(&sorted[shorter].text)
            {
                before = sorted[shorter].begins_with;
            }
            sorted[at].begins_with = before;
        }
        Self { sorted }
    }

    /// Looks for what came among the texts that have not come yet.
    pub(crate) fn find(&self, came: &[u8], is_missing: impl Fn(usize) -> bool) -> Found {
        // The first that is greater than what came, which is a longer one if it begins like it.
        let behind = self.sorted.partition_point(|entry| &entry.text[..] <= came);
        let mut longer = self.sorted[behind..].iter().take_while(|entry| entry.text.starts_with(came));
        let may_become_longer = longer.any(|entry| is_missing(entry.index));
        let mut whole: Option<(usize, usize)> = None;
        let mut before = behind.checked_sub(1);
        while let Some(at) = before {
            let Entry { text, index, begins_with } = &self.sorted[at];
            // From here on they only get shorter, and of equal ones the first of the file comes last.
            if whole.is_some_and(|(_, length)| text.len() < length) {
                break;
            }
            if is_missing(*index) && came.starts_with(text) {
                whole = Some((*index, text.len()));
            }
            before = *begins_with;
        }
        Found { whole, may_become_longer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(texts: &[&str]) -> Literals {
        let entry = |(index, text): (usize, &&str)| Entry { text: text.as_bytes().into(), index, begins_with: None };
        Literals::of(texts.iter().enumerate().map(entry).collect())
    }

    #[test]
    fn the_longest_text_is_found_and_of_equal_ones_the_first() {
        let texts = literals(&["abc", "b", "a", "abcde", "abd", "b", "a"]);
        let find = |came: &str, gone: &[usize]| {
            let found = texts.find(came.as_bytes(), |index| !gone.contains(&index));
            (found.whole, found.may_become_longer)
        };
        assert_eq!(find("", &[]), (None, true));
        assert_eq!(find("a", &[]), (Some((2, 1)), true));
        assert_eq!(find("a", &[2]), (Some((6, 1)), true));
        assert_eq!(find("a", &[0, 3, 4]), (Some((2, 1)), false));
        assert_eq!(find("abc", &[]), (Some((0, 3)), true));
        assert_eq!(find("abcd", &[]), (Some((0, 3)), true));
        assert_eq!(find("abcx", &[]), (Some((0, 3)), false));
        assert_eq!(find("abx", &[2]), (Some((6, 1)), false));
        assert_eq!(find("abcdefg", &[]), (Some((3, 5)), false));
        assert_eq!(find("bb", &[]), (Some((1, 1)), false));
        assert_eq!(find("bb", &[1]), (Some((5, 1)), false));
        assert_eq!(find("bb", &[1, 5]), (None, false));
        assert_eq!(find("x", &[]), (None, false));
        assert_eq!(find("A", &[]), (None, false));
    }

    #[test]
    fn what_came_is_not_compared_with_each_of_many() {
        use std::cell::Cell;

        let names: Vec<String> = (0..10_000).map(|number| format!("command {number};")).collect();
        let texts = literals(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let (looks, gone) = (Cell::new(0), Cell::new(0));
        for (index, name) in names.iter().enumerate() {
            let found = texts.find(format!("{name}command").as_bytes(), |at| {
                looks.set(looks.get() + 1);
                at >= gone.get()
            });
            assert_eq!(found, Found { whole: Some((index, name.len())), may_become_longer: false });
            gone.set(index + 1);
        }
        assert!(looks.get() <= 2 * names.len(), "{}", looks.get());
    }
}
