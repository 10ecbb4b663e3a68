//! The fast path of the player: a batch of lines that each have a known answer is answered in one loop. Whatever is
//! out of the ordinary is left to the walk, and what is left behind is what the walk would have left.

use super::{Heard, Play, SAID_AHEAD, Walk};
use crate::program::{CHUNK, Choice, Message, Part, Takes, matcher};
use crate::syntax::Eol;
use crate::values::Scratch;

/// Bytes of answers that are put together before they join the output.
const BLOCK: usize = 16 * 1024;

impl Walk<'_> {
    /// Answers as many whole lines at a choice of theirs as begin a round.
    pub(super) fn rounds(&mut self, play: &mut Play, choice: &Choice) {
        let script = self.script;
        let input = self.input;
        let rest = &input.bytes[self.at..];
        if play.after_gap || rest.is_empty() {
            return;
        }
        let mut answers = Answers::begin(self);
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
            if end - begin > script.longest_line || answers.length() >= SAID_AHEAD {
                break;
            }
            if !answers.round(choice, &rest[begin..], text - begin, heard) {
                break;
            }
            (begin, from, last) = (end + 1, end + 1, heard);
        }
        answers.end();
        if begin == 0 {
            return;
        }
        self.at += begin;
        self.owes_ending = false;
        (play.heard, play.since, play.patience) = (last, None, std::time::Duration::ZERO);
        (play.scanned, play.gained) = (0, 0);
    }
}

/// Answers on their way to the output. They gather in a block whose length is fixed: a vector would be asked for room
/// with every piece.
struct Answers<'w> {
    messages: &'w [Message],
    scratch: &'w mut Scratch,
    output: &'w mut Vec<u8>,
    block: Vec<u8>,
    filled: usize,
}

impl<'w> Answers<'w> {
    fn begin(walk: &'w mut Walk<'_>) -> Self {
        let mut block = std::mem::take(&mut walk.scratch.block);
        block.resize(BLOCK, 0);
        let messages = &walk.script.program.messages;
        Self { messages, scratch: walk.scratch, output: &mut walk.output.bytes, block, filled: 0 }
    }

    fn length(&self) -> usize {
        self.output.len() + self.filled
    }

    fn end(mut self) {
        self.flush();
        self.scratch.block = self.block;
    }

    fn flush(&mut self) {
        self.output.extend_from_slice(&self.block[..self.filled]);
        self.filled = 0;
    }

    /// Answers the line that the bytes begin with, if the first way that takes it is a round.
    #[inline]
    fn round(&mut self, choice: &Choice, bytes: &[u8], length: usize, heard: Heard) -> bool {
        let line = &bytes[..length];
        for round in &choice.rounds {
            match &round.takes {
                Takes::Only(text) if line.len() != text.len() || line != &text[..] => continue,
                Takes::Only(_) | Takes::All => {
                    let Some(answer) = &round.answer else { return false };
                    self.say(&answer[usize::from(heard == Heard::CrLf)], |_| (bytes, length));
                }
                Takes::Other if !matcher::line_matches(&self.messages[round.message], line, self.scratch) => continue,
                Takes::Other => {
                    let Some(answer) = &round.answer else { return false };
                    let captured = std::mem::take(&mut self.scratch.captured);
                    self.say(&answer[usize::from(heard == Heard::CrLf)], |slot| {
                        let found = captured.iter().rfind(|captured| captured.slot == slot);
                        found.map_or((&[], 0), |found| (&bytes[found.start..], found.end - found.start))
                    });
                    self.scratch.captured = captured;
                }
            }
            return true;
        }
        false
    }

    /// Says an answer; `hole` tells where a value begins and how long it is.
    #[inline]
    fn say<'a>(&mut self, parts: &'a [Part], hole: impl Fn(usize) -> (&'a [u8], usize)) {
        let mut at = self.filled;
        // What most answers are: a short value between two short texts, put down without asking three times for room.
        if let [Part::Short(before, first), Part::Hole(slot), Part::Short(after, last)] = parts
            && let (bytes, length) = hole(*slot)
            && length <= CHUNK
            && let Some(value) = bytes.first_chunk::<CHUNK>()
            && let Some(room) = self.block.get_mut(at..at + 3 * CHUNK)
        {
            let (second, third) = (*first, first + length);
            room[..CHUNK].copy_from_slice(before);
            room[second..second + CHUNK].copy_from_slice(value);
            room[third..third + CHUNK].copy_from_slice(after);
            self.filled = at + third + last;
            return;
        }
        if let [Part::Short(text, length)] = parts
            && let Some(room) = self.block.get_mut(at..at + CHUNK)
        {
            room.copy_from_slice(text);
            self.filled = at + length;
            return;
        }
        for (index, part) in parts.iter().enumerate() {
            let (chunk, length) = match part {
                Part::Short(chunk, length) => (Some(chunk), *length),
                Part::Long(bytes) => (None, bytes.len()),
                Part::Hole(slot) => {
                    let (bytes, length) = hole(*slot);
                    (bytes.first_chunk().filter(|_| length <= CHUNK), length)
                }
            };
            // Copying a fixed number of bytes is two instructions, and copying any number a call.
            if let Some(chunk) = chunk
                && let Some(room) = self.block.get_mut(at..at + CHUNK)
            {
                room.copy_from_slice(chunk);
            } else if let Some(room) = self.block.get_mut(at..at + length) {
                room.copy_from_slice(part.bytes(&hole));
            } else {
                self.filled = at;
                return self.say_rest(&parts[index..], hole);
            }
            at += length;
        }
        self.filled = at;
    }

    /// The block is full: the rest of the answer goes behind it.
    #[cold]
    fn say_rest<'a>(&mut self, parts: &'a [Part], hole: impl Fn(usize) -> (&'a [u8], usize)) {
        self.flush();
        for part in parts {
            self.output.extend_from_slice(part.bytes(&hole));
        }
    }
}

impl Part {
    fn bytes<'a>(&'a self, hole: &impl Fn(usize) -> (&'a [u8], usize)) -> &'a [u8] {
        match self {
            Self::Short(chunk, length) => &chunk[..*length],
            Self::Long(bytes) => bytes,
            Self::Hole(slot) => {
                let (bytes, length) = hole(*slot);
                &bytes[..length]
            }
        }
    }
}

/// Where the first LF stands. Most lines of a batch are short, and for them a word at a time is faster than a call of
/// what is faster for long ones. The test for a byte in a word is Mycroft's.
#[inline]
fn line_feed(bytes: &[u8]) -> Option<usize> {
    const LOW: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = LOW << 7;
    let mut seen = 0;
    while let Some(word) = bytes[seen..].first_chunk::<8>()
        && seen < 16
    {
        let zero_at = u64::from_le_bytes(*word) ^ (LOW * b'\n' as u64);
        let found = zero_at.wrapping_sub(LOW) & !zero_at & HIGH;
        if found != 0 {
            return Some(seen + found.trailing_zeros() as usize / 8);
        }
        seen += 8;
    }
    memchr::memchr(b'\n', &bytes[seen..]).map(|found| seen + found)
}
