//! The values that names have while a play runs, kept in one piece of memory that plays share.

use crate::row::Row;
use crate::seek::Seek;

/// Most bytes that all values of one play hold together. Neither a file nor a peer can make a play grow past it.
pub const MOST_VALUES: usize = 16 * 1024 * 1024;

/// Bytes of values that were overwritten, up to which tidying up is not worth its time.
const SLACK: usize = 64 * 1024;

/// Memory that stays for the next play.
const MOST_KEPT: usize = 1024 * 1024;

/// The slot of a value that each play is given. Such slots are counted from the far end, where no play has a value of its
/// own: a value that a play has is found without asking which of the two it is.
pub(crate) const fn given_slot(index: usize) -> usize {
    usize::MAX - index
}

/// Which of the values that each play is given has a slot, if it is such a slot.
pub(crate) const fn given_index(slot: usize) -> Option<usize> {
    if slot > usize::MAX / 2 { Some(usize::MAX - slot) } else { None }
}

/// Answers that are put together before they join the output. Its length is part of its type, and is not asked for again.
pub(crate) type Block = [u8; 16 * 1024];

/// The values of one play. A driver keeps one for all its plays: each step borrows it, and a play that must wait takes
/// what it still needs with it.
#[derive(Debug, Default)]
pub struct Scratch {
    values: Values,
    /// Whether any value changed since the values were loaded.
    changed: bool,
    /// The play's box while its values are here. It holds our memory meanwhile.
    home: Option<Box<Saved>>,
    /// What the play was given, while it is here.
    pub(crate) row: Option<Row>,
    /// Where the captures of the line in hand begin and end in it.
    pub(crate) captured: Vec<Captured>,
    /// The messages that are no lines of which one is at hand; a play that must wait takes them with it.
    pub(crate) partial: Vec<PartialMatch>,
    /// Which of many messages are tried.
    pub(crate) found: Vec<usize>,
    /// Where answers of the fast path are put together; its length stays.
    pub(crate) block: Option<Box<Block>>,
}

/// Bytes, and which of them each slot has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Values {
    bytes: Vec<u8>,
    ranges: Vec<Option<(usize, usize)>>,
    /// Bytes that some slot still has.
    used: usize,
}

/// A `raw` or `hex` message that fits what has come so far.
#[derive(Debug, Clone)]
pub(crate) struct PartialMatch {
    /// Which of those that may come here.
    pub(crate) candidate: usize,
    /// Its length, once all of it is there: others may be longer.
    pub(crate) whole: Option<usize>,
    pub(crate) progress: Progress,
}

/// Where a match stood when the bytes ended: no later look needs to look at the same bytes again, so that a message that
/// comes byte by byte costs no more than one that comes whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The first piece of the text that is looked for.
    pub(crate) index: usize,
    /// Where it begins, once that is known.
    pub(crate) begins: Option<usize>,
    /// How much of it is there.
    pub(crate) agreed: usize,
    /// The hole before it: its piece, and where it begins.
    pub(crate) open: Option<(usize, usize)>,
    /// The text does not begin before this byte.
    pub(crate) searched_to: usize,
    /// Where the search for a long one stands.
    pub(crate) seek: Option<Box<Seek>>,
    pub(crate) captured: Vec<Captured>,
}

/// A capture that a match found: bytes of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Captured {
    pub(crate) slot: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The values that a waiting play keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Saved(Values);

impl Saved {
    /// The memory that it takes.
    pub(crate) fn size(&self) -> usize {
        self.0.bytes.capacity() + self.0.ranges.capacity() * size_of::<Option<(usize, usize)>>()
    }
}

/// The values of a play would hold more than [`MOST_VALUES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge {
    pub(crate) slot: usize,
}

impl Values {
    /// Whether a copy of them costs more than the room that it would save.
    fn are_many(&self) -> bool {
        const MANY: usize = 4096;
        self.used + self.ranges.len() * size_of::<Option<(usize, usize)>>() > MANY
            && self.bytes.capacity() <= 2 * self.used + MANY
    }

    /// Whether they take no more memory than they need, or hardly.
    fn are_tight(&self) -> bool {
        const HARDLY: usize = 8;
        self.bytes.len() == self.used && self.bytes.capacity() <= self.used + HARDLY
    }

    /// The length of a slot's value.
    fn length(&self, slot: usize) -> usize {
        self.ranges.get(slot).copied().flatten().map_or(0, |(start, end)| end - start)
    }

    /// Leaves no room between the values: one that was overwritten takes memory until then.
    #[cold]
    fn tidy(&mut self, room: usize) {
        let mut bytes = Vec::with_capacity(self.used + room);
        for range in &mut self.ranges {
            if let Some((start, end)) = range {
                let begin = bytes.len();
                bytes.extend_from_slice(&self.bytes[*start..*end]);
                *range = Some((begin, bytes.len()));
            }
        }
        self.bytes = bytes;
    }

    fn clear(&mut self) {
        if self.bytes.capacity() > MOST_KEPT {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.ranges.fill(None);
        self.used = 0;
    }

    /// A copy that takes no more memory than it needs.
    fn exact(&self) -> Self {
        let mut bytes = Vec::with_capacity(self.used);
        let mut ranges = Vec::with_capacity(self.ranges.len());
        for range in &self.ranges {
            ranges.push(range.map(|(start, end)| {
                let begin = bytes.len();
                bytes.extend_from_slice(&self.bytes[start..end]);
                (begin, bytes.len())
            }));
        }
        Self { bytes, ranges, used: self.used }
    }
}

impl Scratch {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn value(&self, slot: usize) -> Option<&[u8]> {
        let Some(range) = self.values.ranges.get(slot) else { return self.given(slot) };
        let (start, end) = (*range)?;
        Some(&self.values.bytes[start..end])
    }

    fn given(&self, slot: usize) -> Option<&[u8]> {
        self.row.as_ref()?.value(given_index(slot)?)
    }

    /// Gives a slot a value, if there is room for it.
    #[inline]
    pub(crate) fn set(&mut self, slot: usize, value: &[u8]) -> Result<(), TooLarge> {
        let values = &mut self.values;
        // Both are at most the bound, so that no sum overflows.
        let used = values.used - values.length(slot);
        if value.len() > MOST_VALUES - used {
            return Err(TooLarge { slot });
        }
        self.changed = true;
        values.ranges[slot] = None;
        values.used = used;
        if used == 0 {
            // What is left is of values that were overwritten.
            values.bytes.clear();
        }
        // As many bytes are copied as were set since: what tidying costs is shared out among them.
        if values.bytes.len() + value.len() > SLACK + 2 * (used + value.len()) {
            values.tidy(value.len());
        }
        // An empty value stands nowhere, so that it stays right when the others are gone.
        let start = if value.is_empty() { 0 } else { values.bytes.len() };
        values.bytes.extend_from_slice(value);
        values.ranges[slot] = Some((start, start + value.len()));
        values.used += value.len();
        Ok(())
    }

    /// Puts more behind a slot's value, if there is room for it. It is not copied for that: what a peer adds to line by line
    /// costs as much as it adds.
    pub(crate) fn append(&mut self, slot: usize, more: &[u8]) -> Result<(), TooLarge> {
        let values = &mut self.values;
        let Some((start, end)) = values.ranges[slot].filter(|(start, end)| start < end) else {
            return self.set(slot, more);
        };
        if more.len() > MOST_VALUES - values.used {
            return Err(TooLarge { slot });
        }
        let behind = |range: &&mut Option<(usize, usize)>| range.is_some_and(|(start, _)| start >= end);
        let length = |(start, end): (usize, usize)| end - start;
        let others: usize = values.ranges.iter_mut().filter(behind).flatten().map(|range| length(*range)).sum();
        if others > end - start {
            let longer = [&values.bytes[start..end], more].concat();
            return self.set(slot, &longer);
        }
        self.changed = true;
        // What stands behind it makes room, and what was overwritten there goes.
        let mut moved = Vec::with_capacity(others);
        for range in values.ranges.iter_mut().filter(behind).flatten() {
            let begin = end + more.len() + moved.len();
            moved.extend_from_slice(&values.bytes[range.0..range.1]);
            *range = (begin, begin + length(*range));
        }
        values.bytes.truncate(end);
        values.bytes.extend_from_slice(more);
        values.bytes.extend_from_slice(&moved);
        values.ranges[slot] = Some((start, end + more.len()));
        values.used += more.len();
        Ok(())
    }

    /// Sets what the last match captured, from the line it looked at.
    pub(crate) fn take_captured(&mut self, line: &[u8]) -> Result<(), TooLarge> {
        for index in 0..self.captured.len() {
            let Captured { slot, start, end } = self.captured[index];
            self.set(slot, &line[start..end])?;
        }
        self.captured.clear();
        Ok(())
    }

    /// Forgets every value; the memory stays.
    pub(crate) fn forget(&mut self) {
        if self.changed || self.home.is_some() {
            self.values.clear();
            self.changed = self.home.is_some();
        }
    }

    /// Takes over what a play kept. Its memory changes places with ours: nothing is copied.
    #[inline]
    pub(crate) fn load(&mut self, saved: Option<Box<Saved>>, slots: usize) {
        let clean = !self.changed && self.home.is_none() && self.values.ranges.len() == slots;
        if !clean {
            self.clean(slots);
        }
        if let Some(saved) = saved {
            self.swap_in(saved);
        }
    }

    /// Forgets what a play left here that ended.
    fn clean(&mut self, slots: usize) {
        self.values.clear();
        self.values.ranges.resize(slots, None);
        (self.changed, self.home) = (false, None);
    }

    fn swap_in(&mut self, mut saved: Box<Saved>) {
        std::mem::swap(&mut saved.0, &mut self.values);
        self.home = Some(saved);
    }

    /// Gives a play its values back, if there are any that it `needs`.
    #[inline]
    pub(crate) fn save(&mut self, needs: bool) -> Option<Box<Saved>> {
        match self.home.take() {
            Some(home) => self.swap_out(home, needs),
            None if needs && self.has_any() => Some(Box::new(Saved(self.values.exact()))),
            None => None,
        }
    }

    fn swap_out(&mut self, mut home: Box<Saved>, needs: bool) -> Option<Box<Saved>> {
        // What came is mostly of no consequence for any value, as each byte of a long line is.
        // Many values are not copied for each that changes.
        let may_stay = self.values.are_many() || self.values.are_tight();
        let unchanged = needs && (!self.changed || may_stay && self.has_any());
        let copy = (needs && !unchanged && self.has_any()).then(|| self.values.exact());
        std::mem::swap(&mut home.0, &mut self.values);
        self.changed = false;
        if !unchanged {
            home.0 = copy?;
        }
        Some(home)
    }

    fn has_any(&self) -> bool {
        self.values.ranges.iter().any(Option::is_some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_grows_in_a_loop_takes_memory_in_proportion_to_itself() {
        let mut scratch = Scratch::new();
        scratch.load(None, 2);
        for length in 0..20_000 {
            assert_eq!(scratch.set(0, &vec![7; length]), Ok(()));
            assert_eq!(scratch.set(1, b"x"), Ok(()));
            assert!(scratch.values.bytes.len() <= 2 * (length + 1) + SLACK, "{length}");
        }
        assert_eq!(scratch.value(0).map(<[u8]>::len), Some(19_999));
        assert_eq!(scratch.value(1), Some(&b"x"[..]));
    }

    #[test]
    fn what_is_put_behind_a_value_leaves_the_others_as_they_are() {
        let mut scratch = Scratch::new();
        scratch.load(None, 4);
        let mut expected: [Vec<u8>; 4] = Default::default();
        let mut seed = 5_u64;
        for round in 0..3000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let slot = (seed >> 60) as usize % 4;
            let more = vec![b'a' + (round % 26) as u8; (seed >> 40) as usize % 40];
            if seed >> 50 & 3 == 0 {
                assert_eq!(scratch.set(slot, &more), Ok(()));
                expected[slot] = more;
            } else {
                assert_eq!(scratch.append(slot, &more), Ok(()));
                expected[slot].extend_from_slice(&more);
            }
            for (slot, value) in expected.iter().enumerate() {
                assert_eq!(scratch.value(slot).unwrap_or_default(), value, "{round}");
            }
            assert_eq!(scratch.values.used, expected.iter().map(Vec::len).sum::<usize>());
            if round % 100 == 0 {
                let saved = scratch.save(true);
                scratch.load(saved, 4);
            }
        }
    }

    #[test]
    fn a_value_grows_up_to_the_bound_of_all_and_no_further() {
        let mut scratch = Scratch::new();
        scratch.load(None, 2);
        assert_eq!(scratch.set(0, &vec![1; MOST_VALUES - 10]), Ok(()));
        assert_eq!(scratch.set(1, b"12345"), Ok(()));
        assert_eq!(scratch.append(0, b"123456"), Err(TooLarge { slot: 0 }));
        assert_eq!(scratch.append(1, b"123456"), Err(TooLarge { slot: 1 }));
        assert_eq!(scratch.append(0, b"12345"), Ok(()));
        assert_eq!(scratch.append(1, b""), Ok(()));
        assert_eq!(scratch.value(1), Some(&b"12345"[..]));
        assert_eq!(scratch.append(1, b"6"), Err(TooLarge { slot: 1 }));
    }

    #[test]
    fn values_are_bounded_together_and_one_that_is_overwritten_counts_no_more() {
        let mut scratch = Scratch::new();
        scratch.load(None, 3);
        let half = vec![1; MOST_VALUES / 2];
        assert_eq!(scratch.set(0, &half), Ok(()));
        assert_eq!(scratch.set(1, &half), Ok(()));
        assert_eq!(scratch.set(2, b"x"), Err(TooLarge { slot: 2 }));
        assert_eq!(scratch.set(2, b""), Ok(()));
        assert_eq!(scratch.set(0, b"small"), Ok(()));
        assert_eq!(scratch.set(2, &half[5..]), Ok(()));
        assert_eq!(scratch.set(2, &half), Err(TooLarge { slot: 2 }));
        assert_eq!(scratch.value(0), Some(&b"small"[..]));
        assert_eq!(scratch.value(2).map(<[u8]>::len), Some(half.len() - 5));
    }

    #[test]
    fn an_empty_value_stays_one_when_the_others_are_overwritten() {
        let mut scratch = Scratch::new();
        scratch.load(None, 3);
        scratch.set(0, b"long").unwrap();
        scratch.set(1, b"").unwrap();
        scratch.set(0, b"").unwrap();
        scratch.set(2, b"x").unwrap();
        assert_eq!([0, 1, 2].map(|slot| scratch.value(slot)), [Some(&b""[..]), Some(b""), Some(b"x")]);
        assert_eq!(scratch.values.bytes.len(), 1);
        let saved = scratch.save(true);
        scratch.load(saved, 3);
        scratch.set(2, b"y").unwrap();
        let saved = scratch.save(true);
        scratch.load(saved, 3);
        assert_eq!([0, 1, 2].map(|slot| scratch.value(slot)), [Some(&b""[..]), Some(b""), Some(b"y")]);
    }

    #[test]
    fn a_play_that_waits_keeps_no_room_of_a_value_that_became_shorter() {
        for (before, after) in [(100, 1), (3000, 1), (3000, 100), (100_000, 5000), (100_000, 40_000)] {
            let mut scratch = Scratch::new();
            scratch.load(None, 1);
            assert_eq!(scratch.set(0, &vec![1; before]), Ok(()));
            let saved = scratch.save(true);
            scratch.load(saved, 1);
            assert_eq!(scratch.set(0, &vec![2; after]), Ok(()));
            let saved = scratch.save(true);
            let size = saved.as_ref().map(|saved| saved.size());
            assert!(size.is_some_and(|size| size <= after + 64), "{before} {after}: {size:?}");
            scratch.load(saved, 1);
            assert_eq!(scratch.value(0), Some(&vec![2; after][..]));
        }
    }

    #[test]
    fn what_a_play_keeps_goes_to_and_fro_and_no_other_play_sees_it() {
        let mut scratch = Scratch::new();
        scratch.load(None, 2);
        assert!(scratch.save(true).is_none());
        scratch.load(None, 2);
        scratch.set(1, b"mine").unwrap();
        let mine = scratch.save(true);
        scratch.load(None, 2);
        assert_eq!((scratch.value(0), scratch.value(1)), (None, None));
        scratch.set(0, b"other").unwrap();
        let other = scratch.save(true);
        scratch.load(mine, 2);
        assert_eq!((scratch.value(0), scratch.value(1)), (None, Some(&b"mine"[..])));
        let mine = scratch.save(true);
        scratch.load(other, 2);
        assert_eq!((scratch.value(0), scratch.value(1)), (Some(&b"other"[..]), None));
        scratch.set(0, b"longer than before").unwrap();
        let other = scratch.save(true);
        assert_eq!(other.as_ref().map(|saved| saved.0.bytes.capacity()), Some(18));
        scratch.load(mine, 2);
        scratch.forget();
        assert!(scratch.save(true).is_none());
        scratch.load(other, 2);
        assert_eq!(scratch.value(0), Some(&b"longer than before"[..]));
        assert!(scratch.save(false).is_none());
        scratch.load(None, 1);
        assert_eq!(scratch.value(0), None);
    }

    #[test]
    fn memory_of_a_large_value_goes_with_its_play_and_that_of_a_small_one_stays() {
        for (length, stays) in [(100, true), (MOST_KEPT, true), (MOST_KEPT + 1, false), (4 * MOST_KEPT, false)] {
            let mut scratch = Scratch::new();
            scratch.load(None, 1);
            scratch.values.bytes = Vec::with_capacity(length);
            assert_eq!(scratch.set(0, &vec![1; length]), Ok(()));
            scratch.forget();
            assert_eq!(scratch.values.bytes.capacity(), if stays { length } else { 0 }, "{length}");
        }
    }

    #[test]
    fn many_values_stay_where_they_are_when_one_of_them_changes_and_few_are_copied() {
        // Each slot counts, and each byte that is used; not so much room that a copy would be far smaller.
        let slot = size_of::<Option<(usize, usize)>>();
        for (slots, used, room, stay) in [
            (4096 / slot, 4096 % slot, 100, false),
            (4096 / slot, 4096 % slot + 1, 100, true),
            (1, 4096 - slot, 100, false),
            (1, 4097 - slot, 100, true),
            (1, 5000, 5000 + 4096, true),
            (1, 5000, 5000 + 4097, false),
            (300, 100, 100 + 4096, true),
            (300, 100, 100 + 4097, false),
        ] {
            let mut scratch = Scratch::new();
            scratch.load(None, slots);
            assert_eq!(scratch.set(0, b"once"), Ok(()));
            let saved = scratch.save(true);
            scratch.load(saved, slots);
            scratch.values.bytes = Vec::with_capacity(used + room);
            (scratch.values.ranges[0], scratch.values.used) = (None, 0);
            assert_eq!(scratch.set(0, &vec![7; used]), Ok(()));
            let saved = scratch.save(true);
            let capacity = saved.as_ref().map(|saved| saved.0.bytes.capacity());
            assert_eq!(capacity, Some(if stay { used + room } else { used }), "{slots} slots, {used} bytes used");
            scratch.load(saved, slots);
            assert_eq!(scratch.value(0), Some(&vec![7; used][..]));
        }
    }
}
