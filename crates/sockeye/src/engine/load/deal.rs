//! Which transcript and which row the next play has, and which of them were played.

use super::Piece;

/// More plays of other threads are not counted through: from there on the order says nothing that is seen.
const MOST_SKIPPED: u64 = 1 << 20;

/// What was played of all that was given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Played {
    /// By transcript: whether a play of it ended, as written or not.
    pub(crate) pieces: Vec<bool>,
    /// The same by row of values.
    pub(crate) rows: Vec<bool>,
}

impl Played {
    pub(super) fn none_of(pieces: &[Piece]) -> Self {
        let rows = pieces.iter().map(Piece::count_of_rows).max().unwrap_or(0);
        Self { pieces: vec![false; pieces.len()], rows: vec![false; rows] }
    }

    #[inline]
    pub(super) fn ended(&mut self, piece: usize, row: Option<u32>) {
        if let Some(played) = self.pieces.get_mut(piece) {
            *played = true;
        }
        if let Some(used) = row.and_then(|row| self.rows.get_mut(row as usize)) {
            *used = true;
        }
    }

    /// What was played here or there.
    pub(crate) fn or(&mut self, other: &Self) {
        let or = |own: &mut Vec<bool>, other: &[bool]| {
            own.resize(own.len().max(other.len()), false);
            own.iter_mut().zip(other).for_each(|(own, other)| *own |= other);
        };
        or(&mut self.pieces, &other.pieces);
        or(&mut self.rows, &other.rows);
    }
}

/// The transcript that is next: each as often as its weight says, and spread.
pub(super) fn next(pieces: &mut [Piece]) -> usize {
    if pieces.len() == 1 {
        return 0;
    }
    let (mut all, mut best) = (0, 0);
    for index in 0..pieces.len() {
        let weight = pieces[index].weight as i64;
        all += weight;
        pieces[index].turn += weight;
        if pieces[index].turn > pieces[best].turn {
            best = index;
        }
    }
    pieces[best].turn -= all;
    best
}

/// Leaves out what other threads play: all threads together go through the order once, and not each from its front. Else
/// of few plays every thread would have the first transcript, and none the last.
pub(super) fn skip(pieces: &mut [Piece], plays: u64) {
    if pieces.len() < 2 {
        return;
    }
    let divisor = pieces.iter().fold(0, |all, piece| greatest_common_divisor(all, piece.weight)).max(1);
    let round = pieces.iter().map(|piece| piece.weight / divisor).sum::<u64>().max(1);
    for _ in 0..(plays % round).min(MOST_SKIPPED) {
        next(pieces);
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
