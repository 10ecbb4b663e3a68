//! The values that names have while a play runs, kept in one piece of memory that plays share.

/// The values of one play. A driver keeps one for all its plays: each step borrows it, and a play that must wait takes
/// what it still needs with it.
#[derive(Debug, Default)]
pub struct Scratch {
    bytes: Vec<u8>,
    ranges: Vec<Option<(u32, u32)>>,
    /// Where the captures of the line in hand begin and end in it.
    pub(crate) captured: Vec<Captured>,
    /// Where answers of the fast path are put together; its length stays.
    pub(crate) block: Vec<u8>,
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
pub(crate) struct Saved {
    bytes: Box<[u8]>,
    ranges: Box<[Option<(u32, u32)>]>,
}

impl Saved {
    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.bytes.len() + size_of_val(&*self.ranges)
    }
}

impl Scratch {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn value(&self, slot: usize) -> Option<&[u8]> {
        let (start, end) = (*self.ranges.get(slot)?)?;
        Some(&self.bytes[start as usize..end as usize])
    }

    pub(crate) fn set(&mut self, slot: usize, value: &[u8]) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(value);
        self.ranges[slot] = Some((start, self.bytes.len() as u32));
    }

    /// Sets what the last match captured, from the line it looked at.
    pub(crate) fn take_captured(&mut self, line: &[u8]) {
        for index in 0..self.captured.len() {
            let Captured { slot, start, end } = self.captured[index];
            self.set(slot, &line[start..end]);
        }
        self.captured.clear();
    }

    /// Forgets every value; the memory stays.
    pub(crate) fn forget(&mut self) {
        if !self.bytes.is_empty() {
            self.bytes.clear();
            self.ranges.fill(None);
        }
    }

    /// Takes over what a play kept.
    pub(crate) fn load(&mut self, saved: Option<Box<Saved>>, slots: usize) {
        self.bytes.clear();
        self.ranges.clear();
        match saved {
            Some(saved) => {
                self.bytes.extend_from_slice(&saved.bytes);
                self.ranges.extend_from_slice(&saved.ranges);
            }
            None => self.ranges.resize(slots, None),
        }
    }

    /// A copy of the values, without what was overwritten.
    pub(crate) fn save(&self) -> Option<Box<Saved>> {
        if self.ranges.iter().all(Option::is_none) {
            return None;
        }
        let mut bytes = Vec::new();
        let ranges = self
            .ranges
            .iter()
            .map(|range| {
                range.map(|(start, end)| {
                    let begin = bytes.len() as u32;
                    bytes.extend_from_slice(&self.bytes[start as usize..end as usize]);
                    (begin, bytes.len() as u32)
                })
            })
            .collect();
        Some(Box::new(Saved { bytes: bytes.into_boxed_slice(), ranges }))
    }
}
