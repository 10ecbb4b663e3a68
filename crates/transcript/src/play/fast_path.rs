//! The fast path of the player: a batch of lines that each have a known answer is answered in one loop. Whatever is
//! out of the ordinary is left to the walk, and what is left behind is what the walk would have left.

use super::framing::LineEnding;
use super::say::MOST_SHOWN;
use super::step::SAID_AHEAD;
use super::walk::Walk;
use super::{Last, Play, Watch};
use crate::program::{
    Answer, AnswerPart, Bookkeeping, CHUNK, FastPath, KnownExchange, Message, QuickMatch, Text, TextForm, matcher,
};
use crate::syntax::Eol;
use crate::values::{Block, Scratch};

impl<W: Watch> Walk<'_, W> {
    /// Answers as many whole lines as begin a known exchange, where there are such.
    #[inline(always)]
    pub(super) fn take_fast_path(&mut self, play: &mut Play, fast_path: &FastPath) {
        match &fast_path.bookkeeping {
            None => self.answer_batch::<false>(play, fast_path, &Bookkeeping::default()),
            Some(bookkeeping) => self.fast_path_with_bookkeeping(play, fast_path, bookkeeping),
        }
    }

    /// The same, where there is more to an exchange than its answer: apart, so that each of the two has the registers.
    #[inline(never)]
    pub(super) fn fast_path_with_bookkeeping(
        &mut self,
        play: &mut Play,
        fast_path: &FastPath,
        bookkeeping: &Bookkeeping,
    ) {
        self.answer_batch::<true>(play, fast_path, bookkeeping);
    }

    #[inline(always)]
    fn answer_batch<const MORE: bool>(&mut self, play: &mut Play, fast_path: &FastPath, bookkeeping: &Bookkeeping) {
        let script = self.script;
        let input = self.input;
        let rest = &input.bytes[self.at..];
        if play.after_gap || rest.is_empty() {
            return;
        }
        let turn = bookkeeping.turn.as_ref().filter(|_| MORE);
        // The exchange that leaves the loop is the walk's.
        let all = match bookkeeping.count {
            Some(count) if MORE => count.last.saturating_sub(play.counters[count.counter]),
            _ => 0,
        };
        let mut done = 0;
        let mut turns = turn.map_or(0, |turn| play.counters[turn.counter]);
        let mut answers = Answers::begin(self.scratch, &mut self.output.bytes, &script.program.messages);
        let (mut begin, mut last) = (0, LineEnding::Nothing);
        // The last answer that says something, where it begins in the output, and what it answers.
        let mut answered: Option<(&Answer, usize, LineEnding)> = None;
        // What an earlier look found no ending in is passed over.
        let mut from = play.scanned;
        while let Some(found) = rest.get(from..).and_then(line_feed) {
            let end = from + found;
            let line = &rest[begin..end];
            let Some((text, ending)) = text_of(line, script.eol) else { break };
            if line.len() > script.longest_line || answers.length() >= SAID_AHEAD {
                break;
            }
            if MORE {
                if bookkeeping.count.is_some() && done == all {
                    break;
                }
                if let Some(turn) = turn {
                    (answers.said, answers.next) = (turn.default(turns.wrapping_sub(1)), turn.default(turns));
                }
            }
            let start = if MORE { answers.length() } else { 0 };
            let Some(answer) = answers.exchange::<MORE>(&fast_path.exchanges, &rest[begin..], text, ending) else {
                break;
            };
            if MORE {
                done += 1;
                turns = turns.wrapping_add(1);
                if !answer.lines.is_empty() {
                    answered = Some((answer, start, ending));
                }
            }
            self.watch.heard(answer.heard, input.now);
            answer.lines.iter().for_each(|&line| self.watch.said(line, input.now));
            (begin, from, last) = (end + 1, end + 1, ending);
        }
        answers.end();
        if begin == 0 {
            return;
        }
        if MORE {
            self.keep_books(play, bookkeeping, (done, turns), answered);
        }
        self.end_batch(play, begin, last);
    }

    /// Leaves all as the walk would have left it behind the last of these lines.
    #[inline(always)]
    fn end_batch(&mut self, play: &mut Play, length: usize, last: LineEnding) {
        self.at += length;
        self.owes_ending = false;
        (play.line_ending, play.waiting_since, play.extra_wait) = (last, None, std::time::Duration::ZERO);
        (play.scanned, play.gained) = (0, 0);
    }

    /// Notes what a batch did besides: how many exchanges there were, whose turn it is, and what was said last. A batch of one
    /// is as common as any other, and is not to pay for a call.
    #[inline(always)]
    fn keep_books(
        &mut self,
        play: &mut Play,
        bookkeeping: &Bookkeeping,
        (done, turns): (u32, u32),
        answered: Option<(&Answer, usize, LineEnding)>,
    ) {
        if let Some(count) = bookkeeping.count {
            play.counters[count.counter] += done;
        }
        if let Some(turn) = &bookkeeping.turn {
            play.counters[turn.counter] = turns;
            // Another of its defaults was there before, so that there is room.
            let _ = turn.slot.map(|slot| self.scratch.set(slot, turn.default(turns.wrapping_sub(1))));
        }
        if self.script.keep_said
            && let Some((answer, start, ending)) = answered
        {
            let is_crlf = matches!((self.script.eol, ending), (Eol::CrLf, _) | (Eol::Any, LineEnding::CrLf));
            self.last = last_line(&self.output.bytes, start, 1 + usize::from(is_crlf), &answer.lines);
        }
    }
}

/// How long the text of a line is that an LF ends, and its ending; `None` if no line of this kind may end so.
#[inline(always)]
fn text_of(line: &[u8], eol: Eol) -> Option<(usize, LineEnding)> {
    match line {
        [.., b'\r'] if matches!(eol, Eol::Any | Eol::CrLf) => Some((line.len() - 1, LineEnding::CrLf)),
        _ if matches!(eol, Eol::Any | Eol::Lf) => Some((line.len(), LineEnding::Lf)),
        _ => None,
    }
}

/// Where the text line stands that was said last, of those of an answer.
fn last_line(output: &[u8], start: usize, ending: usize, lines: &[usize]) -> Option<Last> {
    let end = output.len() - ending;
    let start = match lines {
        [_] => start,
        _ => start + memchr::memrchr(b'\n', &output[start..end]).map_or(0, |before| before + 1),
    };
    Some(Last { line: *lines.last()?, start, end: end.min(start + MOST_SHOWN) })
}

/// Answers on their way to the output. They gather in a block whose length is fixed: a vector would be asked for room
/// with every piece.
struct Answers<'w> {
    messages: &'w [Message],
    scratch: &'w mut Scratch,
    output: &'w mut Vec<u8>,
    block: Box<Block>,
    filled: usize,
    /// Of defaults that are said in turn: the one that was said last, and the next one.
    said: &'w [u8],
    next: &'w [u8],
}

impl<'w> Answers<'w> {
    fn begin(scratch: &'w mut Scratch, output: &'w mut Vec<u8>, messages: &'w [Message]) -> Self {
        let block = scratch.block.take().unwrap_or_else(|| Box::new([0; size_of::<Block>()]));
        Self { messages, scratch, output, block, filled: 0, said: &[], next: &[] }
    }

    fn length(&self) -> usize {
        self.output.len() + self.filled
    }

    fn end(mut self) {
        self.flush();
        self.scratch.block = Some(self.block);
    }

    fn flush(&mut self) {
        self.output.extend_from_slice(&self.block[..self.filled]);
        self.filled = 0;
    }

    /// Answers the line that the bytes begin with, if the first exchange that takes it has a known answer.
    #[inline(always)]
    fn exchange<'r, const MORE: bool>(
        &mut self,
        exchanges: &'r [KnownExchange],
        bytes: &[u8],
        length: usize,
        ending: LineEnding,
    ) -> Option<&'r Answer> {
        let line = &bytes[..length];
        for exchange in exchanges {
            match &exchange.quick_match {
                QuickMatch::Only(text) if line.len() != text.len() || line != &text[..] => continue,
                QuickMatch::Turned if !MORE || !is_between(line, exchange, self.said) => continue,
                QuickMatch::Only(_) | QuickMatch::Turned | QuickMatch::All => {
                    let answer = exchange.answer.as_ref()?;
                    self.say(&answer.texts[usize::from(ending == LineEnding::CrLf)], |_| (bytes, length));
                    return Some(answer);
                }
                QuickMatch::Other if !matcher::line_matches(&self.messages[exchange.message], line, self.scratch) => {
                    continue;
                }
                QuickMatch::Other => {
                    let answer = exchange.answer.as_ref()?;
                    let captured = std::mem::take(&mut self.scratch.captured);
                    self.say(&answer.texts[usize::from(ending == LineEnding::CrLf)], |slot| {
                        let found = captured.iter().rfind(|captured| captured.slot == slot);
                        found.map_or((&[], 0), |found| (&bytes[found.start..], found.end - found.start))
                    });
                    self.scratch.captured = captured;
                    return Some(answer);
                }
            }
        }
        None
    }

    /// Says an answer; `hole` tells where a value begins and how long it is.
    #[inline(always)]
    fn say<'a>(&mut self, text: &'a Text, hole: impl Fn(usize) -> (&'a [u8], usize)) {
        // What most answers are is put down without asking for room three times. Copying a fixed number of bytes is two
        // instructions, and copying any number a call.
        match &text.form {
            TextForm::OneHole { before, first, slot, after, last } => {
                let (bytes, length) = hole(*slot);
                if length <= CHUNK
                    && let Some(value) = bytes.first_chunk::<CHUNK>()
                    && let Some(room) = self.block.get_mut(self.filled..self.filled + 3 * CHUNK)
                {
                    let (second, third) = (*first, first + length);
                    room[..CHUNK].copy_from_slice(before);
                    room[second..second + CHUNK].copy_from_slice(value);
                    room[third..third + CHUNK].copy_from_slice(after);
                    self.filled += third + last;
                    return;
                }
            }
            TextForm::Short(bytes, length) => {
                if let Some(room) = self.block.get_mut(self.filled..self.filled + CHUNK) {
                    room.copy_from_slice(bytes);
                    self.filled += length;
                    return;
                }
            }
            TextForm::Other => {}
        }
        self.say_parts(&text.parts, hole);
    }

    /// Says an answer of any form. Left to the compiler, it became a call when the walk had more to do, and every answer paid for that.
    #[inline(always)]
    fn say_parts<'a>(&mut self, parts: &'a [AnswerPart], hole: impl Fn(usize) -> (&'a [u8], usize)) {
        let mut at = self.filled;
        for (index, part) in parts.iter().enumerate() {
            let (bytes, length) = part_of(part, self.scratch, self.next, &hole);
            if length <= CHUNK
                && let Some(chunk) = bytes.first_chunk::<CHUNK>()
                && let Some(room) = self.block.get_mut(at..at + CHUNK)
            {
                room.copy_from_slice(chunk);
            } else if let Some(room) = self.block.get_mut(at..at + length) {
                room.copy_from_slice(&bytes[..length]);
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
    fn say_rest<'a>(&mut self, parts: &'a [AnswerPart], hole: impl Fn(usize) -> (&'a [u8], usize)) {
        self.flush();
        for part in parts {
            let (bytes, length) = part_of(part, self.scratch, self.next, &hole);
            self.output.extend_from_slice(&bytes[..length]);
        }
    }
}

/// Where the bytes of a part stand, and how many of them are said.
#[inline(always)]
fn part_of<'a: 'p, 'p>(
    part: &'p AnswerPart,
    scratch: &'p Scratch,
    next: &'p [u8],
    hole: impl Fn(usize) -> (&'a [u8], usize),
) -> (&'p [u8], usize) {
    match part {
        AnswerPart::Short(chunk, length) => (&chunk[..], *length),
        AnswerPart::Long(bytes) => whole(bytes),
        AnswerPart::Hole(slot) => hole(*slot),
        AnswerPart::Value(slot) => whole(scratch.value(*slot).unwrap_or_default()),
        AnswerPart::Turn => whole(next),
    }
}

/// All of a value.
fn whole(bytes: &[u8]) -> (&[u8], usize) {
    (bytes, bytes.len())
}

/// Whether a line is a value between the texts of an exchange.
fn is_between(line: &[u8], exchange: &KnownExchange, value: &[u8]) -> bool {
    let Some((before, after)) = exchange.between.as_deref() else { return false };
    let inside = line.strip_prefix(&before[..]).and_then(|rest| rest.strip_suffix(&after[..]));
    inside.is_some_and(|inside| inside == value)
}

/// Where the first LF stands. Most lines of a batch are short, and for them a word at a time is faster than a call of
/// what is faster for long ones. The test for a byte in a word is Mycroft's.
#[inline(always)]
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
