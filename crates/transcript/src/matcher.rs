//! Whether bytes are what a message says: one pass from left to right, no backtracking, whatever a peer sends.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;

use crate::pattern::count_in;
use crate::program::{Message, Pattern, Piece, PieceKind, Shape};
use crate::values::{Captured, Scratch};

/// Whether a message without values takes a line; nothing is captured.
pub(crate) fn matches(message: &Message, line: &[u8]) -> bool {
    line_matches(message, line, &mut Scratch::new())
}

/// Whether a message takes a whole line. What its holes got stands in [`Scratch::captured`] afterwards.
pub(crate) fn line_matches(message: &Message, line: &[u8], scratch: &mut Scratch) -> bool {
    scratch.captured.clear();
    if matches!(message.shape, Shape::General) {
        return matches!(walk(message, line, Extent::Line, &mut None, scratch), Walked::Whole(_));
    }
    let Some(Range { start, end }) = hole_of(message, line) else { return false };
    if let Shape::Around { slot: Some(slot), .. } = &message.shape {
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
        Shape::Around { before, after, pattern, .. } => {
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
        Shape::General => None,
    }
}

/// Whether two texts of one length are the same, in any case of ASCII letters if they are folded.
fn same(a: &[u8], b: &[u8], fold: bool) -> bool {
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
pub(crate) enum Walked {
    /// It matches, and is so many bytes long.
    Whole(usize),
    /// So far nothing speaks against it.
    Partly,
    /// The piece with this index does not fit at this byte.
    Differs { piece: usize, at: usize },
}

/// Where a search stood when the bytes ended: no later look needs to search them again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Searched {
    /// The hole whose end is looked for.
    piece: usize,
    /// The text behind it does not begin before this byte.
    upto: usize,
}

/// Matches a `raw` or `hex` message against the bytes that have come; `whole` says that they are all there is and all belong to it. `searched` is
/// what an earlier look at fewer of the same bytes left there.
pub(crate) fn run_matches(
    message: &Message,
    bytes: &[u8],
    whole: bool,
    searched: &mut Option<Searched>,
    scratch: &mut Scratch,
) -> Walked {
    scratch.captured.clear();
    let extent = if whole { Extent::Line } else { Extent::Prefix };
    walk(message, bytes, extent, searched, scratch)
}

/// Where a line differs from a message: the piece and the byte of the line.
pub(crate) fn difference(message: &Message, line: &[u8], scratch: &mut Scratch) -> (usize, usize) {
    scratch.captured.clear();
    match walk(message, line, Extent::Line, &mut None, scratch) {
        Walked::Differs { piece, at } => (piece, at),
        Walked::Whole(_) | Walked::Partly => (message.pieces.len().saturating_sub(1), line.len()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// The bytes are all there is, and all must be taken.
    Line,
    /// More may follow, and what is not taken is not ours.
    Prefix,
}

/// The hole that is open while the text behind it is looked for.
#[derive(Clone, Copy)]
struct Open<'a> {
    piece: usize,
    start: usize,
    pattern: &'a Pattern,
}

fn walk(
    message: &Message,
    line: &[u8],
    extent: Extent,
    searched: &mut Option<Searched>,
    scratch: &mut Scratch,
) -> Walked {
    let pieces = &message.pieces[..];
    let tail = tail_length(message, scratch);
    let mut at = 0;
    let mut index = 0;
    let mut open: Option<Open<'_>> = None;
    loop {
        let (text, next) = text_run(message, index, scratch);
        let last = next == pieces.len();
        let differs = |at: usize, offset: usize, scratch: &Scratch| Walked::Differs {
            piece: piece_in(pieces, index, next, offset, scratch),
            at,
        };
        let end = match open {
            // Text stands right here: at the beginning, or behind a hole of known length.
            None => at,
            Some(Open { piece, start, pattern }) if pattern.has_length() => {
                let Some(count) = length_of(pattern, line, scratch) else {
                    return Walked::Differs { piece, at: start };
                };
                if line.len() - start < count {
                    return if extent == Extent::Prefix { Walked::Partly } else { differs(line.len(), 0, scratch) };
                }
                start + count
            }
            Some(Open { start, .. }) if last && extent == Extent::Line => {
                let end = line.len().checked_sub(text.bytes.len()).filter(|&end| end >= start);
                match end.filter(|&end| text.agreeing(&line[end..]) == text.bytes.len()) {
                    Some(end) => end,
                    None => {
                        let common = text.agreeing_backwards(line);
                        let at = (line.len() - common).saturating_sub(1).max(start);
                        return differs(at, (text.bytes.len() - common).saturating_sub(1), scratch);
                    }
                }
            }
            // An open end without a length: it goes on until the stream ends.
            Some(_) if text.bytes.is_empty() => return Walked::Partly,
            Some(Open { piece, start, .. }) => {
                let limit =
                    if extent == Extent::Line { line.len().saturating_sub(tail).max(start) } else { line.len() };
                let from = searched.filter(|searched| searched.piece == piece).map_or(start, |searched| searched.upto);
                // An earlier look, before the end was known, may have searched where only the last text can stand.
                match line.get(from..limit).and_then(|rest| text.find(rest)) {
                    Some(found) => from + found,
                    None if extent == Extent::Prefix => {
                        let upto = (limit + 1).saturating_sub(text.bytes.len()).max(from);
                        *searched = Some(Searched { piece, upto });
                        return Walked::Partly;
                    }
                    None => return differs(start, 0, scratch),
                }
            }
        };
        if let Some(open) = open
            && !close(pieces, open, line, end, scratch)
        {
            return Walked::Differs { piece: open.piece, at: open.start };
        }
        let common = text.agreeing(&line[end..]);
        if common < text.bytes.len() {
            let short = end + common == line.len();
            return if short && extent == Extent::Prefix {
                Walked::Partly
            } else {
                differs(end + common, common, scratch)
            };
        }
        at = end + text.bytes.len();
        if last {
            return match extent {
                Extent::Line if at < line.len() => Walked::Differs { piece: pieces.len().saturating_sub(1), at },
                _ => Walked::Whole(at),
            };
        }
        let pattern = match &pieces[next].kind {
            PieceKind::Capture { pattern, .. } | PieceKind::Same { pattern, .. } => pattern,
            PieceKind::Literal(_) | PieceKind::Value(_) => &Pattern::Any,
        };
        open = Some(Open { piece: next, start: at, pattern });
        index = next + 1;
    }
}

/// How many bytes a hole takes that says so; `None` if the name that counts them holds no number.
fn length_of(pattern: &Pattern, line: &[u8], scratch: &Scratch) -> Option<usize> {
    match pattern {
        Pattern::Bytes(count) => Some(*count),
        Pattern::BytesOf(slot) => count_in(value_or_captured(*slot, line, scratch)?),
        _ => None,
    }
}

/// The value of a name: what the message in hand gave it, else what it had before.
fn value_or_captured<'a>(slot: usize, line: &'a [u8], scratch: &'a Scratch) -> Option<&'a [u8]> {
    let here = scratch.captured.iter().find(|captured| captured.slot == slot);
    here.map(|captured| &line[captured.start..captured.end]).or_else(|| scratch.value(slot))
}

/// A hole of a message whose length is to come from a name that holds no number of bytes: the name's slot.
pub(crate) fn bad_count(message: &Message, line: &[u8], scratch: &Scratch) -> Option<usize> {
    message.pieces.iter().find_map(|piece| match &piece.kind {
        PieceKind::Capture { pattern: Pattern::BytesOf(slot), .. }
        | PieceKind::Same { pattern: Pattern::BytesOf(slot), .. } => {
            value_or_captured(*slot, line, scratch).is_some_and(|value| count_in(value).is_none()).then_some(*slot)
        }
        _ => None,
    })
}

/// Ends a hole: its pattern is tried, its bytes are noted or compared.
fn close(pieces: &[Piece], open: Open<'_>, line: &[u8], end: usize, scratch: &mut Scratch) -> bool {
    let Open { piece, start, pattern } = open;
    let got = &line[start..end];
    match &pieces[piece].kind {
        PieceKind::Capture { slot: Some(slot), .. } => {
            scratch.captured.push(Captured { slot: *slot, start, end });
            pattern.accepts(got)
        }
        PieceKind::Same { slot, .. } => {
            let first = scratch.captured.iter().find(|captured| captured.slot == *slot);
            pattern.accepts(got) && first.is_some_and(|first| line[first.start..first.end] == *got)
        }
        _ => pattern.accepts(got),
    }
}

/// The text between two holes, after substitution.
struct Run<'a> {
    bytes: Cow<'a, [u8]>,
    /// Whether letters of its literal text match in either case.
    fold: bool,
    /// Where values stand in it: their letters never do.
    values: Vec<(usize, usize)>,
}

impl Run<'_> {
    fn agrees(&self, index: usize, byte: u8) -> bool {
        let own = self.bytes[index];
        let folded = self.fold && !self.values.iter().any(|&(from, to)| (from..to).contains(&index));
        if folded { own.eq_ignore_ascii_case(&byte) } else { own == byte }
    }

    /// How many bytes from the beginning of a line are as they should be.
    fn agreeing(&self, line: &[u8]) -> usize {
        if self.fold {
            let most = self.bytes.len().min(line.len());
            return (0..most).take_while(|&index| self.agrees(index, line[index])).count();
        }
        line.iter().zip(self.bytes.iter()).take_while(|(a, b)| a == b).count()
    }

    /// How many bytes from the end of a line are as they should be.
    fn agreeing_backwards(&self, line: &[u8]) -> usize {
        let length = self.bytes.len();
        let most = length.min(line.len());
        (0..most).take_while(|&back| self.agrees(length - 1 - back, line[line.len() - 1 - back])).count()
    }

    /// Where it first stands in a line.
    fn find(&self, line: &[u8]) -> Option<usize> {
        if !self.fold {
            return memmem::find(line, &self.bytes);
        }
        let (lower, own) = (line.to_ascii_lowercase(), self.bytes.to_ascii_lowercase());
        let finder = memmem::Finder::new(&own);
        let mut from = 0;
        while let Some(found) = finder.find(&lower[from..]) {
            let at = from + found;
            if self.values.iter().all(|&(start, end)| line[at + start..at + end] == self.bytes[start..end]) {
                return Some(at);
            }
            from = at + 1;
        }
        None
    }
}

/// The text from a piece up to the next hole, and that hole's index.
fn text_run<'a>(message: &'a Message, from: usize, scratch: &Scratch) -> (Run<'a>, usize) {
    let mut run = Run { bytes: Cow::Borrowed(&[]), fold: message.fold, values: vec![] };
    let mut index = from;
    while let Some(piece) = message.pieces.get(index) {
        match &piece.kind {
            PieceKind::Literal(bytes) if index == from => run.bytes = Cow::Borrowed(bytes),
            PieceKind::Literal(bytes) => run.bytes.to_mut().extend_from_slice(bytes),
            PieceKind::Value(slot) => {
                let start = run.bytes.len();
                run.bytes.to_mut().extend_from_slice(scratch.value(*slot).unwrap_or_default());
                if message.fold {
                    run.values.push((start, run.bytes.len()));
                }
            }
            PieceKind::Capture { .. } | PieceKind::Same { .. } => break,
        }
        index += 1;
    }
    (run, index)
}

/// How long the text behind the last hole is.
fn tail_length(message: &Message, scratch: &Scratch) -> usize {
    let holes = |piece: &Piece| matches!(piece.kind, PieceKind::Capture { .. } | PieceKind::Same { .. });
    let from = message.pieces.iter().rposition(holes).map_or(0, |hole| hole + 1);
    text_run(message, from, scratch).0.bytes.len()
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
