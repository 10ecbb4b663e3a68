//! The messages of a block in any order that are nothing but text, sorted, so that what came is looked for as in a
//! dictionary and is not compared with each of them.

use std::ops::Range;

use super::{Literal, Message, Shape};
use crate::syntax::Form;

/// Longest text that is looked for: of a longer one, which comes in many pieces, it is remembered how far it was compared.
const LONGEST: usize = 1024;
/// Fewer are compared one by one.
const FEWEST: usize = 8;

/// Texts in the order of their bytes. A play notes by their rank in it which of them have come: what is asked is whether any
/// is missing of those that stand side by side.
#[derive(Debug, Clone)]
pub(crate) struct Literals {
    /// Equal ones stand in the order of the file.
    sorted: Vec<Entry>,
    /// By the place in the block.
    ranks: Vec<usize>,
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
        let text = |message: &Message| match &message.shape {
            Shape::Exact(text) if !message.fold && !message.to_end && text.len() <= LONGEST => {
                // An empty `raw` message is there before anything came.
                (message.form == Form::Text || !text.is_empty()).then(|| Literal::clone(text))
            }
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
        let mut ranks = vec![0; sorted.len()];
        sorted.iter().enumerate().for_each(|(rank, entry)| ranks[entry.index] = rank);
        Self { sorted, ranks }
    }

    /// The rank of a text by its place in the block.
    pub(crate) fn rank(&self, index: usize) -> usize {
        self.ranks[index]
    }

    /// The place in the block of the first text that is just this line or datagram, and has not come yet; `missing` tells
    /// the first of some ranks whose text has not.
    pub(crate) fn equal(&self, whole: &[u8], missing: impl Fn(Range<usize>) -> Option<usize>) -> Option<usize> {
        let first = self.sorted.partition_point(|entry| &entry.text[..] < whole);
        let behind = self.sorted.partition_point(|entry| &entry.text[..] <= whole);
        missing(first..behind).map(|rank| self.sorted[rank].index)
    }

    /// Looks for what came of a stream among the texts that have not come yet.
    pub(crate) fn find(&self, came: &[u8], missing: impl Fn(Range<usize>) -> Option<usize>) -> Found {
        // The first that is greater than what came, which is a longer one if it begins like it.
        let behind = self.sorted.partition_point(|entry| &entry.text[..] <= came);
        let end = self.sorted.partition_point(|entry| &entry.text[..] <= came || entry.text.starts_with(came));
        let may_become_longer = missing(behind..end).is_some();
        let mut before = behind.checked_sub(1);
        while let Some(at) = before {
            let text = &self.sorted[at].text;
            // Equal ones stand side by side; those that it begins with only get shorter.
            let first = self.sorted[..=at].partition_point(|entry| entry.text < *text);
            if came.starts_with(text)
                && let Some(rank) = missing(first..at + 1)
            {
                return Found { whole: Some((self.sorted[rank].index, text.len())), may_become_longer };
            }
            before = self.sorted[first].begins_with;
        }
        Found { whole: None, may_become_longer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{PlayOptions, Script};
    use crate::{Carrier, Side, Transcript};

    fn literals(texts: &[&str]) -> Literals {
        let entry = |(index, text): (usize, &&str)| Entry { text: text.as_bytes().into(), index, begins_with: None };
        Literals::of(texts.iter().enumerate().map(entry).collect())
    }

    #[test]
    fn the_longest_text_is_found_and_of_equal_ones_the_first() {
        let texts = literals(&["abc", "b", "a", "abcde", "abd", "b", "a"]);
        let find = |came: &str, gone: &[usize]| {
            let found = texts.find(came.as_bytes(), |mut ranks| ranks.find(|&rank| !is_gone(&texts, gone, rank)));
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
    fn a_whole_line_or_datagram_is_the_first_equal_text_that_is_missing() {
        let texts = literals(&["abc", "b", "", "abcde", "b", ""]);
        let equal = |whole: &str, gone: &[usize]| {
            texts.equal(whole.as_bytes(), |mut ranks| ranks.find(|&rank| !is_gone(&texts, gone, rank)))
        };
        assert_eq!((equal("b", &[]), equal("b", &[1]), equal("b", &[1, 4])), (Some(1), Some(4), None));
        assert_eq!((equal("", &[]), equal("", &[2])), (Some(2), Some(5)));
        assert_eq!(
            (equal("ab", &[]), equal("abcd", &[]), equal("abc", &[]), equal("x", &[])),
            (None, None, Some(0), None)
        );
    }

    #[test]
    fn eight_messages_or_more_that_are_short_text_alone_are_sorted() {
        let text = |length: usize| "x".repeat(length);
        for (settings, form, count, last, sorted) in [
            ("", "C", 8, text(1), true),
            ("", "C", 7, text(1), false),
            ("gap 100ms\n", "C raw", 8, text(1), true),
            ("", "C", 8, text(LONGEST), true),
            ("", "C", 8, text(LONGEST + 1), false),
            ("", "C", 8, text(0), true),
            ("", "C", 8, "{name=Ann}".to_owned(), false),
            ("ignore case\n", "C", 8, text(1), false),
        ] {
            let lines: String = (1..count).map(|number| format!("{form}: {number}\n")).collect();
            let block = format!("{settings}in any order\n{lines}{form}: {last}\nend\nS: ok\n");
            let transcript = Transcript::parse("t.talk", block.as_bytes(), &[]).unwrap();
            for (side, hears) in [(Side::Server, true), (Side::Client, false)] {
                let script = Script::prepare(&transcript, &PlayOptions::new(side, Carrier::Stream)).unwrap();
                let is_sorted = script.program.orders[0].literals.is_some();
                assert_eq!(is_sorted, sorted && hears, "{count} {form}: {last:.20}");
            }
        }
    }

    fn is_gone(texts: &Literals, gone: &[usize], rank: usize) -> bool {
        gone.iter().any(|&index| texts.rank(index) == rank)
    }

    #[test]
    fn what_came_is_not_compared_with_each_of_many() {
        use std::cell::Cell;

        let names: Vec<String> = (0..10_000).map(|number| format!("command {number};")).collect();
        let texts = literals(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let (asked, gone) = (Cell::new(0), std::cell::RefCell::new(vec![false; names.len()]));
        for (index, name) in names.iter().enumerate() {
            let missing = |mut ranks: Range<usize>| {
                asked.set(asked.get() + 1);
                ranks.find(|&rank| !gone.borrow()[rank])
            };
            let found = texts.find(format!("{name}command").as_bytes(), missing);
            assert_eq!(found, Found { whole: Some((index, name.len())), may_become_longer: false });
            assert_eq!(texts.equal(name.as_bytes(), missing), Some(index));
            gone.borrow_mut()[texts.rank(index)] = true;
        }
        assert!(asked.get() <= 3 * names.len(), "{}", asked.get());
    }
}
