//! How much one connection to a site is served before the others have their turn: bytes, since a client that asks for much at
//! once and reads nothing could otherwise keep everybody waiting.

/// Bytes of a turn; sending so much takes some tenths of a millisecond.
const TURN: u64 = 1 << 20;
/// What an answer takes at least, as bytes: finding a file costs as much time as sending so many.
const ANSWER: u64 = 32 * 1024;
/// Answers of a turn.
pub(super) const ANSWERS: u64 = TURN / ANSWER;
/// What a piece that is made takes at least.
const PIECE: u64 = 64 * 1024;

/// What is left of a turn.
#[derive(Debug)]
pub(super) struct Turn {
    left: u64,
}

impl Turn {
    pub(super) fn begin() -> Self {
        Self { left: TURN }
    }

    pub(super) fn left(&self) -> u64 {
        self.left
    }

    pub(super) fn is_over(&self) -> bool {
        self.left == 0
    }

    /// So many bytes were sent, or are to be.
    pub(super) fn sends(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes as u64);
    }

    /// So many requests were answered.
    pub(super) fn answers(&mut self, count: u64) {
        self.left = self.left.saturating_sub(count.saturating_mul(ANSWER));
    }

    /// A piece of so many bytes was made.
    pub(super) fn makes(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(PIECE.saturating_sub(bytes as u64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_by_bytes_by_answers_and_by_pieces_that_are_small() {
        let ends = |act: fn(&mut Turn)| {
            let mut turn = Turn::begin();
            (1..).find(|_| {
                act(&mut turn);
                turn.is_over()
            })
        };
        assert_eq!(ends(|turn| turn.sends(64 * 1024)), Some(16));
        assert_eq!(ends(|turn| turn.answers(1)), Some(ANSWERS));
        assert_eq!(ends(|turn| turn.makes(0)), Some(16));
        assert_eq!(ends(|turn| turn.sends(usize::MAX)), Some(1));
    }
}
