//! One run on several machines, or in several processes: each does its part, and only their number tells them which.

use std::fmt;

/// Which part of a larger run this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from 0.
    pub index: u32,
    /// How many there are.
    pub of: u32,
}

impl Default for Shard {
    fn default() -> Self {
        Self { index: 0, of: 1 }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.of)
    }
}

impl Shard {
    /// The part of so many that is this shard's.
    #[must_use]
    pub fn of(self, count: u64) -> u64 {
        share(count, u64::from(self.index), u64::from(self.of))
    }
}

/// The part of so many that one of several gets: those whose number is theirs when all are dealt out in turn.
#[must_use]
pub fn share(count: u64, index: u64, of: u64) -> u64 {
    count / of + u64::from(index < count % of)
}

/// What all those before one of several get together.
pub(super) fn shared_before(count: u64, index: u64, of: u64) -> u64 {
    count / of * index + index.min(count % of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_together_are_the_whole_and_none_has_two_more_than_another() {
        for (count, of) in [(0, 3), (1, 3), (64, 2), (65, 8), (1_000_003, 7)] {
            let parts: Vec<u64> = (0..of).map(|index| share(count, index, of)).collect();
            assert_eq!(parts.iter().sum::<u64>(), count);
            assert!(parts.iter().max().unwrap_or(&0) - parts.iter().min().unwrap_or(&0) <= 1);
            for index in 0..=of {
                assert_eq!(
                    shared_before(count, index, of),
                    parts[..index as usize].iter().sum::<u64>(),
                    "{count} {index} {of}"
                );
            }
        }
        assert_eq!(Shard { index: 1, of: 4 }.to_string(), "2/4");
    }
}
