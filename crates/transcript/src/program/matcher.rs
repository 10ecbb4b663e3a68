//! Whether bytes are what a message says: one pass from left to right, no backtracking, whatever a peer sends.

use std::ops::Range;

use memchr::memmem;

use super::{Message, Pattern, Piece, PieceKind, Shape};
use crate::number::Number;
use crate::pattern::Count;
use crate::seek::Seek;
use crate::values::{Captured, Progress, Scratch};

/// Whether a message without values takes a line; nothing is captured.
pub(crate) fn matches(message: &Message, line: &[u8]) -> bool {
    line_matches(message, line, &mut Scratch::new())
}

/// Whether a message takes a whole line. What its holes got stands in [`Scratch::captured`] afterwards.
pub(crate) fn line_matches(message: &Message, line: &[u8], scratch: &mut Scratch) -> bool {
    match message.shape {
        Shape::General => return matches!(match_line(message, line, scratch), MatchResult::Whole(_)),
        Shape::Filled => {
            scratch.captured.clear();
            return is_filled(message, line, scratch);
        }
        Shape::Exact(_) | Shape::OneHole { .. } => scratch.captured.clear(),
    }
    let Some(Range { start, end }) = hole_of(message, line) else { return false };
    if let Shape::OneHole { slot: Some(slot), .. } = &message.shape {
        scratch.captured.push(Captured { slot: *slot, start, end });
    }
    true
}

/// Where the hole of a message of a common shape stands in a line, an empty one if it has none; `None` if the line does
/// not fit, or the shape is not common.
#[inline]
pub(crate) fn hole_of(message: &Message, line: &[u8]) -> Option<Range<usize>> {
    match &message.shape {
        Shape::Exact(bytes) => (line.len() == bytes.len() && same(line, bytes, message.fold)).then_some(0..0),
        Shape::OneHole { before, after, pattern, .. } => {
            let end = line.len().checked_sub(after.len()).filter(|&end| end >= before.len())?;
            // Comparing with an empty vector asks memcmp(3) to look at a dangling address. With masked loads (AVX-512)
            // that is legal and costs a hundred nanoseconds.
            if !before.is_empty() && !same(&line[..before.len()], before, message.fold)
                || !after.is_empty() && !same(&line[end..], after, message.fold)
            {
                return None;
            }
            let hole = before.len()..end;
            (matches!(pattern, Pattern::Any) || pattern.accepts(&line[hole.clone()])).then_some(hole)
        }
        Shape::Filled | Shape::General => None,
    }
}

/// Whether a line is the text of a message that has no hole, with the values that it stands for.
fn is_filled(message: &Message, line: &[u8], scratch: &Scratch) -> bool {
    let mut rest = line;
    for piece in &message.pieces {
        let (own, fold) = match &piece.kind {
            PieceKind::Literal(text) => (&text[..], message.fold),
            PieceKind::Value(slot) => (scratch.value(*slot).unwrap_or_default(), false),
            PieceKind::Capture { .. } | PieceKind::Same { .. } => return false,
        };
        match rest.split_at_checked(own.len()) {
            Some((there, behind)) if same(there, own, fold) => rest = behind,
            _ => return false,
        }
    }
    rest.is_empty()
}

/// Whether two texts of one length are the same, in any case of ASCII letters if they are folded.
pub(crate) fn same(a: &[u8], b: &[u8], fold: bool) -> bool {
    if fold { a.eq_ignore_ascii_case(b) } else { a == b }
}

/// Whether a line could be one of these messages, whatever their holes hold; a line ending behind it does not matter.
pub(crate) fn resemble<'a>(mut messages: impl Iterator<Item = &'a Message>, line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // In small letters only once, however many messages there are.
    let folded = line.to_ascii_lowercase();
    messages.any(|message| if message.fold { resembles(message, &folded) } else { resembles(message, line) })
}

fn resembles(message: &Message, line: &[u8]) -> bool {
    let mut rest = line;
    let last = message.pieces.len().saturating_sub(1);
    for (index, piece) in message.pieces.iter().enumerate() {
        let PieceKind::Literal(literal) = &piece.kind else { continue };
        let is_here = |there: &[u8]| same(there, literal, message.fold);
        let found = match (index == 0, index == last) {
            (true, true) => is_here(rest).then_some(0),
            (true, false) => rest.get(..literal.len()).is_some_and(is_here).then_some(0),
            (false, true) => {
                let from = rest.len().checked_sub(literal.len());
                from.filter(|&from| is_here(&rest[from..]))
            }
            (false, false) if message.fold => memmem::find(rest, &literal.to_ascii_lowercase()),
            (false, false) => memmem::find(rest, literal),
        };
        let Some(at) = found else { return false };
        rest = &rest[at + literal.len()..];
    }
    !message.pieces.is_empty()
}

/// What became of matching a framed message against what has come so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MatchResult {
    /// It matches, and is so many bytes long.
    Whole(usize),
    /// So far nothing speaks against it.
    Partly,
    /// The piece with this index does not fit at this byte.
    Differs { piece: usize, at: usize },
}

/// Matches a `raw` or `hex` message against the bytes that have come; `whole` says that they are all there is and all
/// belong to it. `progress` is what an earlier look at fewer of the same bytes left there.
pub(crate) fn raw_matches(
    message: &Message,
    bytes: &[u8],
    whole: bool,
    progress: &mut Progress,
    scratch: &mut Scratch,
) -> MatchResult {
    let mut captured = std::mem::take(&mut scratch.captured);
    captured.clear();
    // What was captured before is not copied for each look.
    if !progress.captured.is_empty() {
        std::mem::swap(&mut captured, &mut progress.captured);
    }
    let extent = if whole { Extent::Line } else { Extent::Prefix };
    let walked = Matching { message, line: bytes, extent, scratch }.walk(progress, &mut captured);
    if walked == MatchResult::Partly && !captured.is_empty() {
        std::mem::swap(&mut captured, &mut progress.captured);
        captured.clear();
    }
    scratch.captured = captured;
    walked
}

/// Where a line differs from a message: the piece and the byte of the line.
pub(crate) fn difference(message: &Message, line: &[u8], scratch: &mut Scratch) -> (usize, usize) {
    match match_line(message, line, scratch) {
        MatchResult::Differs { piece, at } => (piece, at),
        MatchResult::Whole(_) | MatchResult::Partly => (message.pieces.len().saturating_sub(1), line.len()),
    }
}

/// Matches a whole line piece by piece.
fn match_line(message: &Message, line: &[u8], scratch: &mut Scratch) -> MatchResult {
    let mut captured = std::mem::take(&mut scratch.captured);
    captured.clear();
    let walked =
        Matching { message, line, extent: Extent::Line, scratch }.walk(&mut Progress::default(), &mut captured);
    scratch.captured = captured;
    walked
}

/// A text of so many bytes is looked for anew with each byte that comes; one that is longer is not.
const LONG: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// The bytes are all there is, and all must be taken.
    Line,
    /// More may follow, and what is not taken is not ours.
    Prefix,
}

/// A message beside the bytes that are to be it.
struct Matching<'a> {
    message: &'a Message,
    line: &'a [u8],
    extent: Extent,
    scratch: &'a Scratch,
}

impl Matching<'_> {
    /// Goes on from where `progress` stands: text, hole, text, to the end of the message or to what differs.
    fn walk(&self, progress: &mut Progress, captured: &mut Vec<Captured>) -> MatchResult {
        let Self { message, line, extent, scratch } = *self;
        let pieces = &message.pieces[..];
        loop {
            let text = Text::from(message, progress.index, scratch);
            let begins = match (progress.begins, progress.open) {
                (Some(begins), _) => begins,
                // Text stands right here: at the beginning of the message.
                (None, None) => 0,
                (None, Some((piece, start))) => {
                    let end = match self.end_of_hole(&text, piece, start, progress, captured) {
                        Ok(end) => end,
                        Err(walked) => return walked,
                    };
                    if !close(&pieces[piece], pattern_of(&pieces[piece]), line, start..end, captured) {
                        return MatchResult::Differs { piece, at: start };
                    }
                    end
                }
            };
            progress.begins = Some(begins);
            let common = text.agreeing(&line[begins..], progress.agreed);
            if common < text.length {
                let short = begins + common == line.len();
                progress.agreed = common;
                return match short && extent == Extent::Prefix {
                    true => MatchResult::Partly,
                    false => self.differs(&text, progress.index, begins + common, common),
                };
            }
            let at = begins + text.length;
            let next = progress.index + text.pieces.len();
            if next == pieces.len() {
                return match extent {
                    Extent::Line if at < line.len() => {
                        MatchResult::Differs { piece: pieces.len().saturating_sub(1), at }
                    }
                    _ => MatchResult::Whole(at),
                };
            }
            (progress.open, progress.index) = (Some((next, at)), next + 1);
            (progress.begins, progress.agreed, progress.searched_to) = (None, 0, at);
            progress.seek = None;
        }
    }

    /// Where a hole ends: after as many bytes as it has, or where the text behind it stands. Else what that means for the message.
    #[inline(always)]
    fn end_of_hole(
        &self,
        text: &Text<'_>,
        piece: usize,
        start: usize,
        progress: &mut Progress,
        captured: &[Captured],
    ) -> Result<usize, MatchResult> {
        let Self { message, line, extent, .. } = *self;
        let pattern = pattern_of(&message.pieces[piece]);
        if pattern.has_length() {
            return self.end_by_length(text, piece, start, progress.index, captured);
        }
        let differs = |at: usize, offset: usize| Err(self.differs(text, progress.index, at, offset));
        if progress.index + text.pieces.len() == message.pieces.len() && extent == Extent::Line {
            let end = line.len().checked_sub(text.length).filter(|&end| end >= start);
            if let Some(end) = end.filter(|&end| text.agreeing(&line[end..], 0) == text.length) {
                progress.agreed = text.length;
                return Ok(end);
            }
            let common = text.agreeing_backwards(line);
            let at = (line.len() - common).saturating_sub(1).max(start);
            return differs(at, (text.length - common).saturating_sub(1));
        }
        let limit = match extent {
            Extent::Line => line.len().saturating_sub(tail_length(message, self.scratch)).max(start),
            Extent::Prefix => line.len(),
        };
        if text.length == 0 {
            return match extent {
                // An open end without a length: it goes on until the stream ends.
                Extent::Prefix => Err(MatchResult::Partly),
                // Another hole stands right behind it.
                Extent::Line => match pattern.taken_from(&line[start..limit]) {
                    Some(taken) => Ok(start + taken),
                    None => differs(start, 0),
                },
            };
        }
        let from = progress.searched_to.max(start);
        // An earlier look, before the end was known, may have searched where only the last text can stand.
        match text.find(&line[..limit], from, extent, &mut progress.seek) {
            Some(found) => {
                progress.agreed = text.length;
                Ok(found)
            }
            None if extent == Extent::Prefix => {
                progress.searched_to = (limit + 1).saturating_sub(text.length).max(from);
                Err(MatchResult::Partly)
            }
            None => differs(start, 0),
        }
    }

    /// The same of a hole that says how many bytes it has, or whose first bytes say so.
    fn end_by_length(
        &self,
        text: &Text<'_>,
        piece: usize,
        start: usize,
        index: usize,
        captured: &[Captured],
    ) -> Result<usize, MatchResult> {
        let Self { message, line, extent, scratch } = *self;
        let pattern = pattern_of(&message.pieces[piece]);
        if let Pattern::Number(Number::Varint) = pattern
            && extent == Extent::Prefix
            && Number::varint_length(&line[start..]).is_none()
        {
            return Err(MatchResult::Partly);
        }
        let Some(count) = length_of(pattern, line, start, scratch, captured) else {
            return Err(MatchResult::Differs { piece, at: start });
        };
        match line.len() - start < count {
            true if extent == Extent::Prefix => Err(MatchResult::Partly),
            true => Err(self.differs(text, index, line.len(), 0)),
            false => Ok(start + count),
        }
    }

    /// The text that begins with the piece of this index has another byte than the line has there.
    fn differs(&self, text: &Text<'_>, index: usize, at: usize, offset: usize) -> MatchResult {
        let next = index + text.pieces.len();
        MatchResult::Differs { piece: piece_in(&self.message.pieces, index, next, offset, self.scratch), at }
    }
}

fn pattern_of(piece: &Piece) -> &Pattern {
    match &piece.kind {
        PieceKind::Capture { pattern, .. } | PieceKind::Same { pattern, .. } => pattern,
        PieceKind::Literal(_) | PieceKind::Value(_) => &Pattern::Any,
    }
}

/// How many bytes a hole takes that says so; `None` if the name that counts them holds no number.
fn length_of(pattern: &Pattern, line: &[u8], start: usize, scratch: &Scratch, captured: &[Captured]) -> Option<usize> {
    match pattern {
        Pattern::Bytes(count) => Some(*count),
        Pattern::BytesOf(count) => count.of(value_or_captured(**count, line, scratch, captured)?),
        Pattern::Number(Number::Varint) => Number::varint_length(&line[start..]),
        Pattern::Number(number) => number.length(),
        _ => None,
    }
}

/// The value of a name: what the message in hand gave it, else what it had before.
fn value_or_captured<'a>(
    count: Count,
    line: &'a [u8],
    scratch: &'a Scratch,
    captured: &[Captured],
) -> Option<&'a [u8]> {
    let here = captured.iter().find(|captured| captured.slot == count.slot);
    here.map(|captured| &line[captured.start..captured.end]).or_else(|| scratch.value(count.slot))
}

/// A hole of a message whose length is to come from a name that holds no number of bytes: the name's slot.
pub(crate) fn bad_count(message: &Message, line: &[u8], scratch: &Scratch) -> Option<usize> {
    message.pieces.iter().find_map(|piece| match &piece.kind {
        PieceKind::Capture { pattern: Pattern::BytesOf(count), .. }
        | PieceKind::Same { pattern: Pattern::BytesOf(count), .. } => {
            value_or_captured(**count, line, scratch, &scratch.captured)
                .is_some_and(|value| count.of(value).is_none())
                .then_some(count.slot)
        }
        _ => None,
    })
}

/// Ends a hole: its pattern is tried, its bytes are noted or compared.
fn close(piece: &Piece, pattern: &Pattern, line: &[u8], hole: Range<usize>, captured: &mut Vec<Captured>) -> bool {
    let got = &line[hole.clone()];
    match &piece.kind {
        PieceKind::Capture { slot: Some(slot), .. } => {
            captured.push(Captured { slot: *slot, start: hole.start, end: hole.end });
            pattern.accepts(got)
        }
        PieceKind::Same { slot, .. } => {
            let first = captured.iter().find(|captured| captured.slot == *slot);
            pattern.accepts(got) && first.is_some_and(|first| line[first.start..first.end] == *got)
        }
        _ => pattern.accepts(got),
    }
}

/// The text between two holes with its values, which stay where they are: they may be long.
struct Text<'a> {
    pieces: &'a [Piece],
    scratch: &'a Scratch,
    /// Whether letters of its literal text match in either case; those of a value never do.
    fold: bool,
    length: usize,
}

impl<'a> Text<'a> {
    /// The text from a piece up to the next hole. Left to the compiler, this and [`Self::agreeing`] became calls when the
    /// modules beside it changed, and each piece of a line paid for that.
    #[inline(always)]
    fn from(message: &'a Message, index: usize, scratch: &'a Scratch) -> Self {
        let pieces = &message.pieces[index..];
        let hole = |piece: &Piece| matches!(piece.kind, PieceKind::Capture { .. } | PieceKind::Same { .. });
        let pieces = &pieces[..pieces.iter().position(hole).unwrap_or(pieces.len())];
        let length = match pieces {
            [] => 0,
            [Piece { kind: PieceKind::Literal(own), .. }] => own.len(),
            _ => text_length(pieces, scratch).unwrap_or(usize::MAX),
        };
        Self { pieces, scratch, fold: message.fold, length }
    }

    /// Each piece's bytes, and whether their case counts.
    fn parts(&self) -> impl DoubleEndedIterator<Item = (&'a [u8], bool)> {
        let (scratch, fold) = (self.scratch, self.fold);
        self.pieces.iter().map(move |piece| match &piece.kind {
            PieceKind::Literal(bytes) => (&bytes[..], fold),
            PieceKind::Value(slot) => (scratch.value(*slot).unwrap_or_default(), false),
            PieceKind::Capture { .. } | PieceKind::Same { .. } => (&[][..], false),
        })
    }

    /// How many bytes from the beginning of a line are as they should be; the first ones are known to be.
    #[inline(always)]
    fn agreeing(&self, line: &[u8], known: usize) -> usize {
        // What was found by a search is known to be there, and between two holes there is mostly nothing.
        if known == self.length {
            return known;
        }
        // The usual case: one piece, and all of it is there.
        if let [Piece { kind: PieceKind::Literal(own), .. }] = self.pieces
            && let Some(there) = line.get(known..own.len())
            && same(&own[known..], there, self.fold)
        {
            return own.len();
        }
        self.agreeing_parts(line, known)
    }

    fn agreeing_parts(&self, line: &[u8], known: usize) -> usize {
        let mut passed = 0;
        for (part, fold) in self.parts() {
            let from = known.saturating_sub(passed).min(part.len());
            let rest = &line[(passed + from).min(line.len())..];
            let common = common_length(&part[from..], rest, fold);
            if from + common < part.len() {
                return passed + from + common;
            }
            passed += part.len();
        }
        passed
    }

    /// How many bytes from the end of a line are as they should be.
    fn agreeing_backwards(&self, line: &[u8]) -> usize {
        let mut passed = 0;
        for (part, fold) in self.parts().rev() {
            let rest = &line[..line.len() - passed.min(line.len())];
            let agrees = |(a, b): &(&u8, &u8)| if fold { a.eq_ignore_ascii_case(b) } else { a == b };
            let common = part.iter().rev().zip(rest.iter().rev()).take_while(agrees).count();
            if common < part.len() {
                return passed + common;
            }
            passed += part.len();
        }
        passed
    }

    /// Where it first stands in some bytes of a line. Where more may follow, the search goes on where it was.
    fn find(&self, line: &[u8], from: usize, extent: Extent, seek: &mut Option<Box<Seek>>) -> Option<usize> {
        let rest = line.get(from..).filter(|rest| self.length <= rest.len())?;
        let places = rest.len() - self.length + 1;
        let comes_bit_by_bit = extent == Extent::Prefix && self.length > LONG && places < self.length;
        if comes_bit_by_bit || self.is_mixed() {
            let seek = seek.get_or_insert_with(|| Box::new(Seek::at(from, self.parts(), line)));
            return seek.go(line, |at| self.agreeing(&line[at..], 0) == self.length);
        }
        *seek = None;
        self.find_whole(rest).map(|found| from + found)
    }

    /// Whether letters match in either case in some of it, and not in the rest.
    fn is_mixed(&self) -> bool {
        self.fold && self.pieces.iter().any(|piece| matches!(piece.kind, PieceKind::Value(_)))
    }

    fn find_whole(&self, line: &[u8]) -> Option<usize> {
        if let ([Piece { kind: PieceKind::Literal(own), .. }], false) = (self.pieces, self.fold) {
            return match own[..] {
                [byte] => memchr::memchr(byte, line),
                _ => memmem::find(line, own),
            };
        }
        let own = self.parts().fold(Vec::with_capacity(self.length), |mut own, (part, _)| {
            own.extend_from_slice(part);
            own
        });
        if self.fold {
            memmem::find(&line.to_ascii_lowercase(), &own.to_ascii_lowercase())
        } else {
            memmem::find(line, &own)
        }
    }
}

/// How many bytes two texts have in common from their beginning.
fn common_length(a: &[u8], b: &[u8], fold: bool) -> usize {
    let most = a.len().min(b.len());
    // Mostly all of it: comparing that is one call.
    if same(&a[..most], &b[..most], fold) {
        return most;
    }
    a.iter().zip(b).take_while(|(a, b)| if fold { a.eq_ignore_ascii_case(b) } else { a == b }).count()
}

/// How long the text of some pieces is with their values, holes left out; `None` if no memory could hold it.
pub(crate) fn text_length(pieces: &[Piece], scratch: &Scratch) -> Option<usize> {
    pieces.iter().try_fold(0_usize, |sum, piece| {
        sum.checked_add(match &piece.kind {
            PieceKind::Literal(bytes) => bytes.len(),
            PieceKind::Value(slot) => scratch.value(*slot).map_or(0, <[u8]>::len),
            PieceKind::Same { .. } | PieceKind::Capture { .. } => 0,
        })
    })
}

/// How long the text behind the last hole is.
fn tail_length(message: &Message, scratch: &Scratch) -> usize {
    let holes = |piece: &Piece| matches!(piece.kind, PieceKind::Capture { .. } | PieceKind::Same { .. });
    // Mostly it is nothing, or one text.
    match &message.pieces[..] {
        [.., last] if holes(last) => return 0,
        [.., hole, Piece { kind: PieceKind::Literal(own), .. }] if holes(hole) => return own.len(),
        _ => {}
    }
    let from = message.pieces.iter().rposition(holes).map_or(0, |hole| hole + 1);
    Text::from(message, from, scratch).length
}

/// The piece that holds a byte of a text run.
fn piece_in(pieces: &[Piece], from: usize, to: usize, mut offset: usize, scratch: &Scratch) -> usize {
    for (index, piece) in pieces.iter().enumerate().take(to).skip(from) {
        let length = match &piece.kind {
            PieceKind::Literal(bytes) => bytes.len(),
            PieceKind::Value(slot) => scratch.value(*slot).map_or(0, <[u8]>::len),
            PieceKind::Capture { .. } | PieceKind::Same { .. } => 0,
        };
        if offset < length {
            return index;
        }
        offset -= length;
    }
    to.min(pieces.len()).saturating_sub(1)
}
