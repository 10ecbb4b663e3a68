//! Finds the holes of a line in what came instead: which of them still stand there, and where.
//!
//! Every hole has some places where it may stand. Of all ways to keep them in their order, the one that keeps the most
//! holes wins, then the one that keeps the most of the text around them. All counts are bounded.

use std::ops::Range;

use memchr::memmem;

use crate::syntax::Pattern;

/// Most places that are tried for one hole.
const MOST_PLACES: usize = 96;

/// Most ends of a capture that are tried for all its beginnings.
const MOST_EDGES: usize = 48;

/// Most holes that are looked for in one line.
const MOST_HOLES: usize = 64;

/// Above so many holes, fewer places are tried for each.
const FEW_HOLES: usize = 8;

/// Most holes in a row that may be gone between two that stay.
const MOST_GONE: usize = 8;

/// Most bytes that are compared from each end of a text.
const MOST_COMPARED: usize = 256;

/// So many bytes before a capture tell it again where it stands in another order.
const MOVED: usize = 3;

/// What is looked for.
#[derive(Debug, Clone)]
pub(super) enum Wanted<'a> {
    /// These bytes.
    Value(&'a [u8]),
    /// What a pattern takes; its length, where it is known.
    Capture { pattern: &'a Pattern, length: Option<usize> },
}

/// A hole, and the end of the text before it in the text of the whole line.
#[derive(Debug, Clone)]
pub(super) struct Hole<'a> {
    pub(super) wanted: Wanted<'a>,
    pub(super) at: usize,
}

/// The line as it was, and what came.
pub(super) struct Lines<'a> {
    pub(super) holes: Vec<Hole<'a>>,
    /// The text between the holes, put together.
    pub(super) text: &'a [u8],
    pub(super) came: &'a [u8],
    pub(super) fold: bool,
    /// Whether the line is bytes and no words.
    pub(super) binary: bool,
}

/// How good a way is: holes kept, text kept, bytes captured as [`weight`] counts them.
type Score = (usize, usize, isize);

/// The best way that ends with one place of one hole, and the hole and the place before it.
type Path = (Score, Option<(usize, usize)>);

/// A pattern takes all that it can: `-5` and not `5`. Without one, what is not known to be a value stays text.
fn weight(pattern: &Pattern, length: usize) -> isize {
    let length = isize::try_from(length).unwrap_or(isize::MAX);
    if *pattern == Pattern::Any { -length } else { length }
}

impl Lines<'_> {
    /// Where each hole stands in what came; `None` for one that does not.
    pub(super) fn align(&self) -> Vec<Option<Range<usize>>> {
        let count = self.holes.len().min(MOST_HOLES);
        let mut places: Vec<Vec<Range<usize>>> = (0..count).map(|index| self.places(index)).collect();
        if count > FEW_HOLES {
            places.iter_mut().for_each(|places| places.truncate(MOST_PLACES / 4));
        }
        // The best way that ends with each place, and the place before it.
        let mut best: Vec<Vec<Option<Path>>> = Vec::with_capacity(count);
        for (index, mine) in places.iter().enumerate() {
            let mut row = Vec::with_capacity(mine.len());
            for place in mine {
                let length = match self.holes[index].wanted {
                    Wanted::Value(_) => 0,
                    Wanted::Capture { pattern, .. } => weight(pattern, place.len()),
                };
                let first = self.agreement(0..self.holes[index].at, 0..place.start);
                let mut top = Some(((1, first, length), None));
                for (before, theirs) in places.iter().enumerate().take(index).skip(index.saturating_sub(MOST_GONE)) {
                    for (rank, other) in theirs.iter().enumerate() {
                        let Some((score, _)) = best[before][rank] else { continue };
                        if other.end > place.start || !self.may_follow(before, other, index, place) {
                            continue;
                        }
                        let agreement =
                            self.agreement(self.holes[before].at..self.holes[index].at, other.end..place.start);
                        let score = (score.0 + 1, score.1 + agreement, score.2 + length);
                        if top.is_none_or(|(best, _)| score > best) {
                            top = Some((score, Some((before, rank))));
                        }
                    }
                }
                row.push(top);
            }
            best.push(row);
        }
        let mut last: Option<(Score, (usize, usize))> = None;
        for (index, row) in best.iter().enumerate() {
            for (rank, found) in row.iter().enumerate() {
                let Some((score, _)) = *found else { continue };
                let agreement =
                    self.agreement(self.holes[index].at..self.text.len(), places[index][rank].end..self.came.len());
                let score = (score.0, score.1 + agreement, score.2);
                if last.is_none_or(|(best, _)| score > best) {
                    last = Some((score, (index, rank)));
                }
            }
        }
        let mut found = vec![None; self.holes.len()];
        let mut next = last.map(|(_, at)| at);
        while let Some((index, rank)) = next {
            found[index] = Some(places[index][rank].clone());
            next = best[index][rank].and_then(|(_, before)| before);
        }
        found
    }

    /// Finds places for holes that the order of the line kept out: values wherever they stand, and what a pattern takes
    /// behind enough of the same text.
    pub(super) fn find_moved(&self, found: &mut [Option<Range<usize>>]) {
        for index in 0..found.len().min(MOST_HOLES) {
            if found[index].is_some() {
                continue;
            }
            let free = |place: &Range<usize>| {
                found.iter().flatten().all(|other| place.end <= other.start || other.end <= place.start)
            };
            let known = |place: &Range<usize>| match self.holes[index].wanted {
                Wanted::Value(value) => !value.is_empty(),
                Wanted::Capture { pattern: Pattern::Any, .. } => false,
                Wanted::Capture { .. } => {
                    let from = index.checked_sub(1).map_or(0, |before| self.holes[before].at);
                    let text = self.text[from..self.holes[index].at].iter().rev();
                    let came = self.came[..place.start].iter().rev();
                    text.zip(came).take(MOVED).take_while(|(a, b)| self.same(**a, **b)).count() == MOVED
                }
            };
            let place = self.places(index).into_iter().find(|place| free(place) && known(place));
            found[index] = place;
        }
    }

    /// How near what came is to a piece of the text: how much of it is still there, from its beginning and its end.
    fn agreement(&self, text: Range<usize>, came: Range<usize>) -> usize {
        let (text, came) = (&self.text[text], &self.came[came]);
        let same = |(a, b): &(&u8, &u8)| self.same(**a, **b);
        let front = text.iter().zip(came).take(MOST_COMPARED).take_while(same).count();
        let (text, came) = (&text[front..], &came[front..]);
        let back = text.iter().rev().zip(came.iter().rev()).take(MOST_COMPARED).take_while(same).count();
        // Of two that keep as much, one of the same length is nearer.
        2 * (front + back) + usize::from(text.len() == came.len())
    }

    fn same(&self, a: u8, b: u8) -> bool {
        if self.fold { a.eq_ignore_ascii_case(&b) } else { a == b }
    }

    /// Whether a play would find the one hole and then the other: a capture ends where what follows it first stands.
    fn may_follow(&self, before: usize, other: &Range<usize>, index: usize, place: &Range<usize>) -> bool {
        let Wanted::Capture { length: None, .. } = self.holes[before].wanted else { return true };
        let end = match self.holes[index].wanted {
            Wanted::Value(_) => place.end,
            Wanted::Capture { .. } => place.start,
        };
        let behind = &self.came[other.end..end];
        !behind.is_empty() && memmem::find(&self.came[other.start..end], behind) == Some(other.len())
    }

    /// Where a hole may stand.
    fn places(&self, index: usize) -> Vec<Range<usize>> {
        match self.holes[index].wanted {
            Wanted::Value(value) => self.values(index, value),
            Wanted::Capture { length: Some(length), .. } => (0..=self.came.len())
                .filter_map(|start| Some(start..start.checked_add(length)?))
                .take_while(|place| place.end <= self.came.len())
                .filter(|place| self.touches(index, place))
                .take(MOST_PLACES)
                .collect(),
            Wanted::Capture { pattern, length: None } => self.captures(index, pattern),
        }
    }

    fn values(&self, index: usize, value: &[u8]) -> Vec<Range<usize>> {
        if value.is_empty() {
            let (starts, ends) = (self.starts(index), self.ends(index));
            return starts.into_iter().filter(|start| ends.contains(start)).map(|at| at..at).collect();
        }
        let finder = memmem::Finder::new(value);
        let (mut places, mut from) = (Vec::new(), 0);
        while let Some(found) = self.came.get(from..).and_then(|rest| finder.find(rest)) {
            let place = from + found..from + found + value.len();
            if self.stands_alone(index, value, &place) {
                places.push(place);
            }
            if places.len() == MOST_PLACES {
                break;
            }
            from += found + 1;
        }
        places
    }

    /// Whether a short value is a word of what came: a `1` in `451`, or an `a` in `many`, is there by chance.
    fn stands_alone(&self, index: usize, value: &[u8], place: &Range<usize>) -> bool {
        let inside = |edge: u8, beside: Option<&u8>, was: Option<u8>| {
            edge.is_ascii_alphanumeric()
                && beside.is_some_and(|&beside| {
                    beside.is_ascii_alphanumeric() && was.is_none_or(|was| !self.same(was, beside))
                })
        };
        let before = place.start.checked_sub(1).and_then(|at| self.came.get(at));
        let short = value.len() < 3 && !self.binary;
        !short
            || !(inside(value[0], before, self.before(index))
                || inside(value[value.len() - 1], self.came.get(place.end), self.behind(index)))
    }

    /// Whether on one side at least a capture has beside it what it had: any number is no `id=5`.
    fn touches(&self, index: usize, place: &Range<usize>) -> bool {
        let before = match (self.before(index), place.start.checked_sub(1)) {
            (Some(was), Some(at)) => self.same(was, self.came[at]),
            (None, at) => index > 0 || at.is_none(),
            (Some(_), None) => false,
        };
        let behind = match (self.behind(index), self.came.get(place.end)) {
            (Some(was), Some(&is)) => self.same(was, is),
            (None, is) => index + 1 < self.holes.len() || is.is_none(),
            (Some(_), None) => false,
        };
        before || behind
    }

    fn captures(&self, index: usize, pattern: &Pattern) -> Vec<Range<usize>> {
        let (mut starts, mut ends) = (self.starts(index), self.ends(index));
        if !matches!(pattern, Pattern::Any | Pattern::BytesOf(_)) {
            // A pattern says itself where it ends: where one kind of character does.
            let class = |byte: u8| match byte {
                b'0'..=b'9' => 0,
                b' ' | b'\t' => 1,
                byte if byte.is_ascii_alphabetic() || byte >= 0x80 => 2,
                _ => 3,
            };
            let changes = (0..=self.came.len())
                .filter(|&at| at == 0 || at == self.came.len() || class(self.came[at - 1]) != class(self.came[at]));
            let changes: Vec<usize> = changes.take(MOST_EDGES).collect();
            for edges in [&mut starts, &mut ends] {
                edges.extend(&changes);
                edges.sort_unstable();
                edges.dedup();
            }
        }
        let mut places: Vec<Range<usize>> = starts
            .iter()
            .flat_map(|&start| ends.iter().filter(move |&&end| end >= start).map(move |&end| start..end))
            .filter(|place| self.touches(index, place) && pattern.accepts(&self.came[place.clone()]))
            .collect();
        // The places that keep most of the text beside them are tried.
        let (from, to) = (
            index.checked_sub(1).map_or(0, |before| self.holes[before].at),
            self.holes.get(index + 1).map_or(self.text.len(), |next| next.at),
        );
        let at = self.holes[index].at;
        places.sort_by_cached_key(|place| {
            let agreement =
                self.agreement(from..at, 0..place.start) + self.agreement(at..to, place.end..self.came.len());
            std::cmp::Reverse((agreement, weight(pattern, place.len())))
        });
        places.truncate(MOST_PLACES);
        places
    }

    /// The byte that stood before a hole, if it was text or a value.
    fn before(&self, index: usize) -> Option<u8> {
        let hole = &self.holes[index];
        match index.checked_sub(1).map(|before| &self.holes[before]) {
            Some(before) if before.at == hole.at => match before.wanted {
                Wanted::Value(value) => value.last().copied(),
                Wanted::Capture { .. } => None,
            },
            _ => hole.at.checked_sub(1).map(|at| self.text[at]),
        }
    }

    /// The byte that stood behind it.
    fn behind(&self, index: usize) -> Option<u8> {
        let hole = &self.holes[index];
        match self.holes.get(index + 1) {
            Some(next) if next.at == hole.at => match next.wanted {
                Wanted::Value(value) => value.first().copied(),
                Wanted::Capture { .. } => None,
            },
            _ => self.text.get(hole.at).copied(),
        }
    }

    /// Where a hole may begin: at the beginning of the line if it did, else behind what stood before it.
    fn starts(&self, index: usize) -> Vec<usize> {
        match self.before(index) {
            None if index == 0 => vec![0],
            None => (0..=self.came.len()).take(MOST_EDGES).collect(),
            Some(byte) => self.edges(byte).map(|at| at + 1).take(MOST_EDGES).collect(),
        }
    }

    /// Where it may end.
    fn ends(&self, index: usize) -> Vec<usize> {
        match self.behind(index) {
            None if index + 1 == self.holes.len() => vec![self.came.len()],
            None => (0..=self.came.len()).take(MOST_EDGES).collect(),
            Some(byte) => self.edges(byte).take(MOST_EDGES).collect(),
        }
    }

    fn edges(&self, byte: u8) -> impl Iterator<Item = usize> {
        self.came.iter().enumerate().filter(move |(_, there)| self.same(byte, **there)).map(|(at, _)| at)
    }
}
