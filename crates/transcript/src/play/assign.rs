//! Values that the transcript itself gives: by `set`, and by `let`, which computes them.

use super::walk::{Stop, Walk};
use super::{Play, Watch};
use crate::function::Function;
use crate::program::{Pc, Piece, PieceKind, matcher};
use crate::values::MOST_VALUES;

impl<W: Watch> Walk<'_, W> {
    /// `set`: gives a name the text, with the values in it.
    pub(super) fn assign(&mut self, play: &mut Play, pc: Pc, slot: usize, value: &[Piece]) -> Result<(), Stop> {
        // What is put behind its own value leaves that where it is.
        let (is_longer, value) = match value {
            [Piece { kind: PieceKind::Value(own), .. }, more @ ..] if *own == slot => (true, more),
            all => (false, all),
        };
        let bytes = self.fill(value).map_err(|_| self.too_large(play, pc, slot))?;
        let set = match is_longer {
            true => self.scratch.append(slot, &bytes),
            false => self.scratch.set(slot, &bytes),
        };
        set.map_err(|_| self.too_large(play, pc, slot))
    }

    /// `let`: gives a name what the function makes of a text, with a key if it takes one.
    pub(super) fn compute(
        &mut self,
        play: &mut Play,
        pc: Pc,
        slot: usize,
        function: &Function,
        (key, value): (&[Piece], &[Piece]),
    ) -> Result<(), Stop> {
        let filled = self.fill(key).and_then(|key| Ok((key, self.fill(value)?)));
        let (secret, bytes) = filled.map_err(|_| self.too_large(play, pc, slot))?;
        let made = match function.apply(&secret, &bytes) {
            Ok(made) => made,
            Err(why) => return Err(self.bad_value(play, pc, slot, bytes, why)),
        };
        self.scratch.set(slot, &made).map_err(|_| self.too_large(play, pc, slot))
    }

    /// The value of a `set`, unless it is larger than all values may be.
    fn fill(&self, pieces: &[Piece]) -> Result<Vec<u8>, ()> {
        let length = matcher::text_length(pieces, self.scratch).filter(|&length| length <= MOST_VALUES).ok_or(())?;
        let mut bytes = Vec::with_capacity(length);
        for piece in pieces {
            match &piece.kind {
                PieceKind::Literal(text) => bytes.extend_from_slice(text),
                PieceKind::Value(slot) | PieceKind::Same { slot, .. } => {
                    bytes.extend_from_slice(self.scratch.value(*slot).unwrap_or_default());
                }
                PieceKind::Capture { .. } => {}
            }
        }
        Ok(bytes)
    }
}
