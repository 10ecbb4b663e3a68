//! Whether bytes are what a message says: one pass from left to right, no backtracking, whatever a peer sends.

use std::borrow::Cow;

use memchr::memmem;

use crate::program::{Message, Piece, PieceKind, Shape};
use crate::syntax::Pattern;
use crate::values::{Captured, Scratch};

/// Whether a message without values takes a line; nothing is captured.
pub(crate) fn matches(message: &Message, line: &[u8]) -> bool {
    line_matches(message, line, &mut Scratch::new())
}

/// Whether a message takes a whole line. What its holes got stands in [`Scratch::captured`] afterwards.
pub(crate) fn line_matches(message: &Message, line: &[u8], scratch: &mut Scratch) -> bool {
    scratch.captured.clear();
    match &message.shape {
        Shape::Exact(bytes) => line == &bytes[..],
        Shape::Around { before, after, slot, pattern } => {
            // Comparing with an empty vector asks memcmp(3) to look at a dangling address. With masked loads (AVX-512)
            // that is legal and costs a hundred nanoseconds.
            let mut hole = line;
            if !before.is_empty() {
                let Some(rest) = hole.strip_prefix(&before[..]) else { return false };
                hole = rest;
            }
            if !after.is_empty() {
                let Some(rest) = hole.strip_suffix(&after[..]) else { return false };
                hole = rest;
            }
            if *pattern != Pattern::Any && !pattern.accepts(hole) {
                return false;
            }
            if let Some(slot) = *slot {
                let start = before.len();
                scratch.captured.push(Captured { slot, start, end: start + hole.len() });
            }
            true
        }
        Shape::General => matches!(walk(&message.pieces, line, Extent::Line, scratch), Walked::Whole(_)),
    }
}

/// Whether a line could be this message, whatever its holes hold; a line ending behind it does not matter.
pub(crate) fn resembles(message: &Message, line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut rest = line;
    let last = message.pieces.len().saturating_sub(1);
    for (index, piece) in message.pieces.iter().enumerate() {
        let PieceKind::Literal(bytes) = &piece.kind else { continue };
        let found = match (index == 0, index == last) {
            (true, true) => (rest == &bytes[..]).then_some(0),
            (true, false) => rest.starts_with(bytes).then_some(0),
            (false, true) => rest.ends_with(bytes).then(|| rest.len() - bytes.len()),
            (false, false) => memmem::find(rest, bytes),
        };
        let Some(at) = found else { return false };
        rest = &rest[at + bytes.len()..];
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

/// Matches a `raw` or `hex` message against the bytes that have come; `ended` says that no more will.
pub(crate) fn run_matches(message: &Message, bytes: &[u8], ended: bool, scratch: &mut Scratch) -> Walked {
    scratch.captured.clear();
    let extent = if ended && message.to_end { Extent::Line } else { Extent::Prefix };
    walk(&message.pieces, bytes, extent, scratch)
}

/// Where a line differs from a message: the piece and the byte of the line.
pub(crate) fn difference(message: &Message, line: &[u8], scratch: &mut Scratch) -> (usize, usize) {
    scratch.captured.clear();
    match walk(&message.pieces, line, Extent::Line, scratch) {
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
struct Open {
    piece: usize,
    start: usize,
    pattern: Pattern,
}

fn walk(pieces: &[Piece], line: &[u8], extent: Extent, scratch: &mut Scratch) -> Walked {
    let tail = tail_length(pieces, scratch);
    let mut at = 0;
    let mut index = 0;
    let mut open: Option<Open> = None;
    loop {
        let (text, next) = text_run(pieces, index, scratch);
        let last = next == pieces.len();
        let differs = |at: usize, offset: usize, scratch: &Scratch| Walked::Differs {
            piece: piece_in(pieces, index, next, offset, scratch),
            at,
        };
        let end = match open {
            // Text stands right here: at the beginning, or behind a hole of known length.
            None => at,
            Some(Open { start, pattern: Pattern::Bytes(count), .. }) => {
                if line.len() - start < count {
                    return if extent == Extent::Prefix { Walked::Partly } else { differs(line.len(), 0, scratch) };
                }
                start + count
            }
            Some(Open { start, .. }) if last && extent == Extent::Line => {
                match line.len().checked_sub(text.len()).filter(|&end| end >= start && line[end..] == text[..]) {
                    Some(end) => end,
                    None => {
                        let common = common_suffix(line, &text);
                        let at = (line.len() - common).saturating_sub(1).max(start);
                        return differs(at, (text.len() - common).saturating_sub(1), scratch);
                    }
                }
            }
            // An open end without a length: it goes on until the stream ends.
            Some(_) if text.is_empty() => return Walked::Partly,
            Some(Open { start, .. }) => {
                let limit =
                    if extent == Extent::Line { line.len().saturating_sub(tail).max(start) } else { line.len() };
                match memmem::find(&line[start..limit], &text) {
                    Some(found) => start + found,
                    None if extent == Extent::Prefix => return Walked::Partly,
                    None => return differs(start, 0, scratch),
                }
            }
        };
        if let Some(Open { piece, start, pattern }) = open
            && !close(pieces, piece, pattern, line, start, end, scratch)
        {
            return Walked::Differs { piece, at: start };
        }
        let common = line[end..].iter().zip(text.iter()).take_while(|(a, b)| a == b).count();
        if common < text.len() {
            let short = end + common == line.len();
            return if short && extent == Extent::Prefix {
                Walked::Partly
            } else {
                differs(end + common, common, scratch)
            };
        }
        at = end + text.len();
        if last {
            return match extent {
                Extent::Line if at < line.len() => Walked::Differs { piece: pieces.len().saturating_sub(1), at },
                _ => Walked::Whole(at),
            };
        }
        let pattern = match &pieces[next].kind {
            PieceKind::Capture { pattern, .. } | PieceKind::Same { pattern, .. } => *pattern,
            PieceKind::Literal(_) | PieceKind::Value(_) => Pattern::Any,
        };
        open = Some(Open { piece: next, start: at, pattern });
        index = next + 1;
    }
}

/// Ends a hole: its pattern is tried, its bytes are noted or compared.
fn close(
    pieces: &[Piece],
    piece: usize,
    pattern: Pattern,
    line: &[u8],
    start: usize,
    end: usize,
    scratch: &mut Scratch,
) -> bool {
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

/// The text from a piece up to the next hole, and that hole's index.
fn text_run<'a>(pieces: &'a [Piece], from: usize, scratch: &Scratch) -> (Cow<'a, [u8]>, usize) {
    let mut text: Cow<'a, [u8]> = Cow::Borrowed(&[]);
    let mut index = from;
    while let Some(piece) = pieces.get(index) {
        match &piece.kind {
            PieceKind::Literal(bytes) if index == from => text = Cow::Borrowed(bytes),
            PieceKind::Literal(bytes) => text.to_mut().extend_from_slice(bytes),
            PieceKind::Value(slot) => text.to_mut().extend_from_slice(scratch.value(*slot).unwrap_or_default()),
            PieceKind::Capture { .. } | PieceKind::Same { .. } => break,
        }
        index += 1;
    }
    (text, index)
}

/// How long the text behind the last hole is.
fn tail_length(pieces: &[Piece], scratch: &Scratch) -> usize {
    let holes = |piece: &Piece| matches!(piece.kind, PieceKind::Capture { .. } | PieceKind::Same { .. });
    let from = pieces.iter().rposition(holes).map_or(0, |hole| hole + 1);
    text_run(pieces, from, scratch).0.len()
}

/// How many bytes from the end of a line are as they should be.
fn common_suffix(line: &[u8], text: &[u8]) -> usize {
    line.iter().rev().zip(text.iter().rev()).take_while(|(a, b)| a == b).count()
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
