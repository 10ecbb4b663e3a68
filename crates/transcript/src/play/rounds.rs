//! The fast path of the player: a batch of lines that each have a known answer is answered in one loop. Whatever is
//! out of the ordinary is left to the walk, and what is left behind is what the walk would have left.

use super::{Heard, MUCH, Play, Walk};
use crate::matcher;
use crate::program::{Answer, CHUNK, Choice, First, Part, Shape};
use crate::syntax::Eol;

impl Walk<'_> {
    /// Answers as many whole lines at a choice of theirs as begin a round.
    pub(super) fn rounds(&mut self, play: &mut Play, choice: &Choice) {
        let script = self.script;
        let input = self.input;
        if play.after_gap {
            return;
        }
        let rest = &input.bytes[self.at..];
        let (mut begin, mut last) = (0, Heard::Nothing);
        // What an earlier look found no ending in is passed over.
        let mut from = play.scanned;
        while let Some(found) = rest.get(from..).and_then(line_feed) {
            let end = from + found;
            let has_cr = end > begin && rest[end - 1] == b'\r';
            let (text, heard) = match script.eol {
                Eol::Any | Eol::CrLf if has_cr => (end - 1, Heard::CrLf),
                Eol::CrLf | Eol::None => break,
                Eol::Any | Eol::Lf => (end, Heard::Lf),
            };
            if end - begin > script.longest_line || self.output.bytes.len() >= MUCH {
                break;
            }
            if !self.round(choice, &rest[begin..], text - begin, heard) {
                break;
            }
            (begin, from, last) = (end + 1, end + 1, heard);
        }
        if begin == 0 {
            return;
        }
        self.at += begin;
        self.owes_ending = false;
        (play.heard, play.since, play.patience) = (last, None, std::time::Duration::ZERO);
        (play.scanned, play.gained) = (0, 0);
    }

    /// Answers the line that the bytes begin with, if the first way that takes it is a round.
    #[inline]
    fn round(&mut self, choice: &Choice, bytes: &[u8], length: usize, heard: Heard) -> bool {
        let output = &mut self.output.bytes;
        let line = &bytes[..length];
        for (arm, answer) in choice.arms.iter().zip(&choice.rounds) {
            let First::Line(index) = arm.first else { continue };
            let message = &self.script.program.messages[index];
            if !matches!(message.shape, Shape::General) {
                let Some(hole) = matcher::hole_of(message, line) else { continue };
                let Some(answer) = answer else { return false };
                say(answer, heard, output, |_| (&bytes[hole.start..], hole.len()));
                return true;
            }
            if matcher::line_matches(message, line, self.scratch) {
                let captured = &self.scratch.captured;
                let Some(answer) = answer else { return false };
                say(answer, heard, output, |slot| {
                    let found = captured.iter().rfind(|captured| captured.slot == slot);
                    found.map_or((&[], 0), |found| (&bytes[found.start..], found.end - found.start))
                });
                return true;
            }
        }
        false
    }
}

/// Where the first LF stands. Most lines of a batch are short, and for them a word at a time is faster than a call of
/// what is faster for long ones. The test for a byte in a word is Mycroft's.
#[inline]
fn line_feed(bytes: &[u8]) -> Option<usize> {
    const LOW: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = LOW << 7;
    let (words, _) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().take(2).enumerate() {
        let zero_at = u64::from_le_bytes(*word) ^ (LOW * b'\n' as u64);
        let found = zero_at.wrapping_sub(LOW) & !zero_at & HIGH;
        if found != 0 {
            return Some(8 * index + found.trailing_zeros() as usize / 8);
        }
    }
    let seen = 8 * words.len().min(2);
    memchr::memchr(b'\n', &bytes[seen..]).map(|found| seen + found)
}

/// Says an answer; `hole` tells where a value begins and how long it is.
#[inline]
fn say<'a>(answer: &'a Answer, heard: Heard, output: &mut Vec<u8>, hole: impl Fn(usize) -> (&'a [u8], usize)) {
    for part in &answer.parts[usize::from(heard == Heard::CrLf)] {
        let (bytes, length) = match part {
            Part::Text { bytes, length } => (&bytes[..], *length),
            Part::Hole(slot) => hole(*slot),
        };
        match bytes.first_chunk::<CHUNK>() {
            Some(chunk) if length <= CHUNK => {
                let end = output.len() + length;
                output.extend_from_slice(chunk);
                output.truncate(end);
            }
            _ => output.extend_from_slice(&bytes[..length]),
        }
    }
}
