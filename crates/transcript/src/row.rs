//! The values that one play is given, beside those that its script holds for all plays.

use std::sync::Arc;

/// Values of one play, looked at and found right by [`crate::Script::row`]. A copy shares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(
    /// Where each value begins and the last one ends, four bytes a number, then the values. It is one piece of memory and
    /// one pointer, because there may be as many rows as there are plays.
    Arc<Vec<u8>>,
);

/// The bytes of one number.
const WIDTH: usize = size_of::<u32>();

impl Row {
    /// The value at a place.
    pub(crate) fn value(&self, index: usize) -> Option<&[u8]> {
        value(&self.0, index)
    }
}

/// A row that is being filled.
pub(crate) struct Filling {
    bytes: Vec<u8>,
    filled: usize,
    /// Of a row that nobody has any more: its memory is used again.
    home: Option<Arc<Vec<u8>>>,
}

impl Filling {
    /// A row of so many values, which are so many bytes long together as far as that is known. It takes the place of an old one,
    /// if no play has that.
    pub(crate) fn new(count: usize, length: usize, old: Option<Row>) -> Self {
        let head = WIDTH * (count + 1);
        let mut home = old.map(|row| row.0);
        let own = home.as_mut().and_then(Arc::get_mut);
        let mut bytes = own.map(std::mem::take).unwrap_or_default();
        if bytes.capacity() == 0 {
            home = None;
        }
        bytes.clear();
        bytes.reserve_exact(head + length);
        bytes.resize(head, 0);
        let mut filling = Self { bytes, filled: 0, home };
        filling.note(0);
        filling
    }

    /// Adds the next value.
    pub(crate) fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.filled += 1;
        self.note(self.filled);
    }

    /// One that is there already.
    pub(crate) fn value(&self, index: usize) -> Option<&[u8]> {
        if index < self.filled { value(&self.bytes, index) } else { None }
    }

    pub(crate) fn end(self) -> Row {
        let Self { bytes, mut home, .. } = self;
        match home.as_mut().and_then(Arc::get_mut) {
            Some(own) => *own = bytes,
            None => return Row(Arc::new(bytes)),
        }
        Row(home.unwrap_or_default())
    }

    fn note(&mut self, index: usize) {
        // The values of a play are bounded far below 4 GiB.
        let end = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        if let Some(place) = self.bytes.get_mut(WIDTH * index..WIDTH * (index + 1)) {
            place.copy_from_slice(&end);
        }
    }
}

fn value(bytes: &[u8], index: usize) -> Option<&[u8]> {
    let number = |at: usize| {
        let place = bytes.get(WIDTH * at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*place) as usize)
    };
    let head = number(0)?;
    if WIDTH * (index + 2) > head {
        return None;
    }
    bytes.get(number(index)?..number(index + 1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_values_that_were_put_into_it_and_no_others() {
        let mut filling = Filling::new(3, 0, None);
        assert_eq!(filling.value(0), None);
        for value in [&b"Ann"[..], b"", b"7"] {
            filling.push(value);
        }
        assert_eq!(filling.value(2), Some(&b"7"[..]));
        let row = filling.end();
        let values: Vec<_> = (0..4).map(|index| row.value(index)).collect();
        assert_eq!(values, [Some(&b"Ann"[..]), Some(b""), Some(b"7"), None]);
        assert_eq!(Filling::new(0, 0, None).end().value(0), None);
    }

    fn filled(values: &[&[u8]], old: Option<Row>) -> Row {
        let mut filling = Filling::new(values.len(), values.iter().map(|value| value.len()).sum(), old);
        values.iter().for_each(|value| filling.push(value));
        filling.end()
    }

    #[test]
    fn a_row_that_no_play_has_any_more_gives_all_of_its_memory_to_the_next_one() {
        let values: [&[u8]; 3] = [b"Ann", b"", b"7"];
        let mut row = filled(&values, None);
        for next in [&values[..], &[b"Bob", b"x"], &[], &[&b"longer than all before, and by far"[..]; 9]] {
            let at = Arc::as_ptr(&row.0);
            let mut filling = Filling::new(next.len(), 0, Some(row));
            // Whatever else is made meanwhile has another place.
            let other = Arc::new(Vec::<u8>::new());
            next.iter().for_each(|value| filling.push(value));
            row = filling.end();
            assert_eq!(Arc::as_ptr(&row.0), at, "{next:?}");
            assert_ne!(Arc::as_ptr(&other), at);
            let found: Vec<_> = (0..=next.len()).map(|index| row.value(index)).collect();
            let given: Vec<_> = next.iter().map(|value| Some(*value)).chain([None]).collect();
            assert_eq!(found, given);
        }
    }

    #[test]
    fn a_row_that_a_play_still_has_stays_as_it_is() {
        let kept = filled(&[b"Ann", b"7"], None);
        let next = filled(&[b"Bob", b"8"], Some(kept.clone()));
        assert_ne!(Arc::as_ptr(&kept.0), Arc::as_ptr(&next.0));
        assert_eq!([kept.value(0), kept.value(1), kept.value(2)], [Some(&b"Ann"[..]), Some(b"7"), None]);
        assert_eq!([next.value(0), next.value(1), next.value(2)], [Some(&b"Bob"[..]), Some(b"8"), None]);
    }
}
