//! The messages of a block in any order that hold more than text, sorted by the text that they begin or end with, so that
//! what came is tried with those alone whose text it has.

use std::ops::Range;

use super::{Literal, Message, PieceKind};
use crate::carrier::Carrier;
use crate::pattern::Pattern;
use crate::syntax::Form;

/// Fewer are tried one by one.
const FEWEST: usize = 8;

/// Messages by the text that they begin or end with. Where many have the same, or none, and differ in what follows, each of
/// those is tried: what a line costs grows with their number.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    beginnings: Table,
    ends: Table,
    /// By the place in the block: a play notes by it which of them have come.
    ranks: Vec<usize>,
    /// By rank: the place in the block.
    places: Vec<usize>,
    /// Whether letters match in either case.
    fold: bool,
}

/// Texts in the order of their bytes, and who has each.
#[derive(Debug, Clone, Default)]
struct Table {
    groups: Vec<Group>,
    /// Ranks of messages that take the same, in the order of the block.
    kinds: Vec<Range<usize>>,
}

#[derive(Debug, Clone)]
struct Group {
    text: Literal,
    /// Those of the kinds that have it.
    kinds: Range<usize>,
    /// The nearest one before it with which it begins.
    begins_with: Option<usize>,
}

/// A message while it is sorted.
struct Entry {
    is_end: bool,
    text: Literal,
    /// What it takes, but for its text.
    takes: Vec<u8>,
    index: usize,
}

impl Keys {
    /// `None` if there are so few that nothing is gained.
    pub(super) fn new(messages: &[Message]) -> Option<Self> {
        let fold = messages.first().filter(|_| messages.len() >= FEWEST)?.fold;
        let mut entries: Vec<Entry> =
            messages.iter().enumerate().map(|(index, message)| Entry::of(message, index)).collect();
        entries.sort_by(|one, other| {
            let text = one.is_end.cmp(&other.is_end).then_with(|| one.text.cmp(&other.text));
            text.then_with(|| one.takes.cmp(&other.takes)).then(one.index.cmp(&other.index))
        });
        let (mut beginnings, mut ends) = (Table::default(), Table::default());
        let mut ranks = vec![0; entries.len()];
        for (rank, entry) in entries.iter().enumerate() {
            ranks[entry.index] = rank;
            let before = rank.checked_sub(1).map(|before| &entries[before]).filter(|one| one.is_end == entry.is_end);
            let table = if entry.is_end { &mut ends } else { &mut beginnings };
            table.add(rank, entry, before);
        }
        let places = entries.iter().map(|entry| entry.index).collect();
        Some(Self { beginnings, ends, ranks, places, fold })
    }

    /// The rank of a message by its place in the block.
    pub(crate) fn rank(&self, index: usize) -> usize {
        self.ranks[index]
    }

    /// Puts down the messages that may be a line or datagram, by their places in the block and in its order; of those that
    /// take the same, the first that has not come. `missing` tells the first of some ranks whose message has not.
    pub(crate) fn of_whole(
        &self,
        line: &[u8],
        missing: impl Fn(Range<usize>) -> Option<usize>,
        found: &mut Vec<usize>,
    ) {
        found.clear();
        let mut take = |kinds: &[Range<usize>]| {
            found.extend(kinds.iter().filter_map(|ranks| missing(ranks.clone())).map(|rank| self.places[rank]));
        };
        let folded = self.fold.then(|| line.to_ascii_lowercase());
        let line = folded.as_deref().unwrap_or(line);
        self.beginnings.begun_by(line, &mut take);
        if !self.ends.groups.is_empty() {
            let reversed: Vec<u8> = line.iter().rev().copied().collect();
            self.ends.begun_by(&reversed, &mut take);
        }
        found.sort_unstable();
    }

    /// The same for messages of which so much has come, and of a stream more may: then they are put down only once one of them
    /// has come as far as its hole, or none can any more.
    pub(crate) fn of_part(
        &self,
        came: &[u8],
        carrier: Carrier,
        missing: impl Fn(Range<usize>) -> Option<usize>,
        found: &mut Vec<usize>,
    ) -> KeyMatch {
        found.clear();
        let take = |kinds: &[Range<usize>], found: &mut Vec<usize>| {
            found.extend(kinds.iter().filter_map(|ranks| missing(ranks.clone())).map(|rank| self.places[rank]));
        };
        let folded = self.fold.then(|| came.to_ascii_lowercase());
        let came = folded.as_deref().unwrap_or(came);
        let Table { groups, kinds } = &self.beginnings;
        self.beginnings.begun_by(came, &mut |kinds| take(kinds, found));
        let from = groups.partition_point(|group| &group.text[..] <= came);
        let end = groups.partition_point(|group| &group.text[..] <= came || group.text.starts_with(came));
        let longer = groups[from..end].first().map_or(0..0, |first| first.kinds.start..groups[end - 1].kinds.end);
        if let (Some(first), Some(last), Carrier::Stream) =
            (kinds[longer.clone()].first(), kinds[longer.clone()].last(), carrier)
            && found.is_empty()
            && missing(first.start..last.end).is_some()
        {
            return KeyMatch::Partial;
        }
        take(&kinds[longer], found);
        found.sort_unstable();
        KeyMatch::Found
    }
}

/// How far what came has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyMatch {
    /// It is a part of the text that some messages begin with.
    Partial,
    /// The messages that may be it are put down.
    Found,
}

impl Table {
    fn add(&mut self, rank: usize, entry: &Entry, before: Option<&Entry>) {
        match before {
            Some(before) if before.text == entry.text && before.takes == entry.takes => {
                if let Some(ranks) = self.kinds.last_mut() {
                    ranks.end = rank + 1;
                }
                return;
            }
            Some(before) if before.text == entry.text => {
                if let Some(group) = self.groups.last_mut() {
                    group.kinds.end += 1;
                }
            }
            _ => {
                let mut begins_with = self.groups.len().checked_sub(1);
                while let Some(shorter) = begins_with
                    && !entry.text.starts_with(&self.groups[shorter].text)
                {
                    begins_with = self.groups[shorter].begins_with;
                }
                let kinds = self.kinds.len()..self.kinds.len() + 1;
                self.groups.push(Group { text: Literal::clone(&entry.text), kinds, begins_with });
            }
        }
        self.kinds.push(rank..rank + 1);
    }

    /// Those whose text the bytes begin with.
    fn begun_by(&self, bytes: &[u8], take: &mut impl FnMut(&[Range<usize>])) {
        let mut before = self.groups.partition_point(|group| &group.text[..] <= bytes).checked_sub(1);
        while let Some(at) = before {
            let group = &self.groups[at];
            if bytes.starts_with(&group.text) {
                take(&self.kinds[group.kinds.clone()]);
            }
            before = group.begins_with;
        }
    }
}

impl Entry {
    fn of(message: &Message, index: usize) -> Self {
        let text = |piece: Option<&super::Piece>| match piece.map(|piece| &piece.kind) {
            Some(PieceKind::Literal(text)) if message.fold => text.to_ascii_lowercase().into(),
            Some(PieceKind::Literal(text)) => Literal::clone(text),
            _ => Literal::default(),
        };
        let (first, last) = (text(message.pieces.first()), text(message.pieces.last()));
        let is_end = message.form == Form::Text && last.len() > first.len();
        let text = if is_end { last.iter().rev().copied().collect() } else { first };
        Self { is_end, text, takes: taken_by(message, is_end, index), index }
    }
}

/// What a message takes, but for the text that it is sorted by: two that take the same differ in names and defaults only.
fn taken_by(message: &Message, is_end: bool, index: usize) -> Vec<u8> {
    let mut takes = vec![u8::from(message.to_end)];
    let is_sorted_by = |at: usize| if is_end { at + 1 == message.pieces.len() } else { at == 0 };
    let mut put = |kind: u8, bytes: &[u8]| {
        takes.push(kind);
        takes.extend_from_slice(&bytes.len().to_ne_bytes());
        takes.extend_from_slice(bytes);
    };
    for (at, piece) in message.pieces.iter().enumerate() {
        match &piece.kind {
            PieceKind::Literal(_) if is_sorted_by(at) => {}
            PieceKind::Literal(text) if message.fold => put(0, &text.to_ascii_lowercase()),
            PieceKind::Literal(text) => put(0, text),
            PieceKind::Value(slot) => put(1, &slot.to_ne_bytes()),
            // What stands there depends on what the message itself took elsewhere: it is compared with nothing.
            PieceKind::Same { .. } | PieceKind::Capture { pattern: Pattern::BytesOf(_), .. } => {
                put(2, &index.to_ne_bytes());
            }
            PieceKind::Capture { pattern, .. } => put(3, pattern.written(|_| "").as_bytes()),
        }
    }
    takes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::matcher;
    use crate::script::{PlayOptions, Script};
    use crate::values::Scratch;
    use crate::{Side, Transcript};

    /// The messages of a block in any order that a server hears.
    fn messages(settings: &str, lines: &[String]) -> Vec<Message> {
        let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
        let text = format!("{settings}in any order\n{lines}end\nS: ok\n");
        let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap();
        let script = Script::prepare(&transcript, &PlayOptions::new(Side::Server, Carrier::Stream)).unwrap();
        script.program.messages[script.program.orders[0].messages[0]..][..script.program.orders[0].messages.len()]
            .to_vec()
    }

    /// Numbers that are always the same ones.
    fn below(state: &mut u64, most: usize) -> usize {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((*state >> 33) as usize) % most
    }

    /// Whatever the block and whoever has come: the same message is found as by trying one after another.
    #[test]
    fn what_is_found_is_what_trying_each_would_find() {
        let mut state = 7;
        let texts = ["", "a", "b", "ab", "aB", "abc", "ba", "a b"];
        let holes = ["{_=a}", "{NAME=a}", "{_:int=7}", "{_:word=a}", "{_:/[ab]+/=a}", "{_:2 bytes=ab}"];
        for round in 0..300 {
            let settings = if round % 3 == 0 { "gap 1s\nignore case\n" } else { "gap 1s\n" };
            let form = if round % 2 == 0 { "C" } else { "C raw" };
            let lines: Vec<String> = (0..8 + below(&mut state, 30))
                .map(|number| {
                    let hole = holes[below(&mut state, holes.len())].replace("NAME", &format!("n{number}"));
                    let (before, behind) = (texts[below(&mut state, 8)], texts[below(&mut state, 8)]);
                    match below(&mut state, 4) {
                        0 => format!("{form}: x{before}"),
                        1 => format!("{form}: {before}{hole}{behind}!"),
                        2 => format!("{form}: {before}{hole} {{_:int=1}}{behind}."),
                        _ => format!("{form}: {hole};"),
                    }
                })
                .collect();
            let messages = messages(settings, &lines);
            let Some(keys) = Keys::new(&messages) else { continue };
            let mut gone = vec![false; messages.len()];
            for _ in 0..60 {
                let came: String = (0..below(&mut state, 5))
                    .map(|_| ["a", "b", "A", " ", "7", "!", ".", ";", "x"][below(&mut state, 9)])
                    .collect();
                let came = came.as_bytes();
                let missing = |mut ranks: Range<usize>| ranks.find(|&rank| !gone[keys.places[rank]]);
                let mut found = Vec::new();
                let fits = |index: &usize| matcher::line_matches(&messages[*index], came, &mut Scratch::new());
                let each = (0..messages.len()).filter(|&index| !gone[index]).find(fits);
                keys.of_whole(came, missing, &mut found);
                assert_eq!(found.iter().copied().find(fits), each, "{came:?} {lines:#?}");
                if form == "C raw" {
                    // The first is among those that may come, and so is one that every other could become.
                    let part = keys.of_part(came, Carrier::Stream, missing, &mut found);
                    assert!(each.is_none_or(|index| found.contains(&index)), "{came:?} {lines:#?}");
                    let first = (0..messages.len()).find(|&index| {
                        !gone[index]
                            && !matches!(
                                matcher::raw_matches(
                                    &messages[index],
                                    came,
                                    false,
                                    &mut Default::default(),
                                    &mut Scratch::new()
                                ),
                                matcher::MatchResult::Differs { .. }
                            )
                    });
                    match part {
                        KeyMatch::Found => {
                            assert!(first.is_none_or(|index| found.contains(&index)), "{came:?} {lines:#?}")
                        }
                        KeyMatch::Partial => assert!(first.is_some() && each.is_none(), "{came:?} {lines:#?}"),
                    }
                }
                gone[each.unwrap_or(below(&mut state, messages.len()))] = true;
            }
        }
    }

    #[test]
    fn what_came_is_tried_with_few_of_many() {
        type Text = fn(usize) -> String;
        let kinds: [(&str, Text, Text); 6] = [
            ("C", |n| format!("f{n}: {{_=x}}"), |n| format!("f{n}: x")),
            ("C", |n| format!("{{x{n}:int=3}} f{n}"), |n| format!("3 f{n}")),
            ("C", |n| format!("all {{x{n}=3}}!"), |_| "all 3!".to_owned()),
            ("C", |n| format!("{{v}} {{x{n}=3}} {n}"), |n| format!("w 3 {n}")),
            ("C", |n| format!("{}{{_:int=1}}", "a".repeat(n % 40)), |n| format!("{}1", "a".repeat(n % 40))),
            ("C raw", |n| format!("f{n}: {{x{n}=x}};"), |n| format!("f{n}: x;")),
        ];
        for (form, written, said) in kinds {
            for settings in ["set v = w\n", "ignore case\nset v = w\n"] {
                let lines: Vec<String> = (0..500).map(|n| format!("{form}: {}", written(n))).collect();
                let keys = Keys::new(&messages(settings, &lines)).unwrap();
                let (mut found, mut gone, mut tried) = (Vec::new(), vec![false; lines.len()], 0);
                for n in 0..lines.len() {
                    let missing = |mut ranks: Range<usize>| ranks.find(|&rank| !gone[rank]);
                    if form == "C" {
                        keys.of_whole(said(n).as_bytes(), missing, &mut found);
                    } else {
                        keys.of_part(said(n).as_bytes(), Carrier::Stream, missing, &mut found);
                    }
                    assert!(found.contains(&n), "{} {found:?}", said(n));
                    tried += found.len();
                    gone[keys.rank(n)] = true;
                }
                assert!(tried <= 45 * lines.len(), "{settings}{}: {tried}", lines[1]);
            }
        }
    }
}
