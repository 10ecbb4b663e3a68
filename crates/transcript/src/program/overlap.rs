//! Whether a message with holes may end where another goes on. What the holes may hold is tried: examples, and what the other
//! message has there. Each text that is made up is one that the message takes, so that nothing is told that cannot be.

use super::matcher::{self, MatchResult};
use super::{Generated, Message, Pattern, Piece, PieceKind};
use crate::values::{Progress, Scratch};

/// Longest text that is made up.
const LONGEST: usize = 4096;
/// Most texts that are made up of one message in one go.
const MOST: usize = 24;
/// Bytes of another message that are tried one by one as the beginning of a hole.
const INSIDE: usize = 6;
/// Defaults of one hole that are looked at.
const DEFAULTS: usize = 3;

/// What two messages, which a listener tries in this order, may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Overlap {
    /// The first may be whole where the second goes on.
    pub(super) first_ends: bool,
    /// The second may be whole where the first goes on.
    pub(super) second_ends: bool,
    /// The second may be whole where nobody knows yet that it is not the first.
    pub(super) first_waits: bool,
}

impl Overlap {
    pub(super) fn of(first: &Message, second: &Message) -> Self {
        let (mut ours, mut theirs) = (texts(first, &[]), texts(second, &[]));
        let more: Vec<Vec<u8>> = theirs.iter().flat_map(|text| texts(first, text)).take(MOST).collect();
        ours.extend(more);
        let more: Vec<Vec<u8>> = ours.iter().flat_map(|text| texts(second, text)).collect();
        theirs.extend(more);
        let more: Vec<Vec<u8>> = theirs.iter().flat_map(|text| texts(first, text)).collect();
        ours.extend(more);
        let fold = first.fold && second.fold;
        let goes_on =
            |short: &[u8], long: &[u8]| short.len() < long.len() && matcher::same(short, &long[..short.len()], fold);
        let any = |shorts: &[Vec<u8>], longs: &[Vec<u8>]| {
            shorts.iter().any(|short| longs.iter().any(|long| goes_on(short, long)))
        };
        // One that the end of the stream ends is whole only then.
        let is_partly = |text: &Vec<u8>| matches!(looked_at(first, text, false), MatchResult::Partly);
        Self {
            first_ends: !first.to_end && any(&ours, &theirs),
            second_ends: !second.to_end && any(&theirs, &ours),
            first_waits: !second.to_end && theirs.iter().any(is_partly),
        }
    }
}

fn looked_at(message: &Message, text: &[u8], whole: bool) -> MatchResult {
    matcher::raw_matches(message, text, whole, &mut Progress::default(), &mut Scratch::new())
}

/// Texts that a message takes, as like to some bytes as they can be.
fn texts(message: &Message, like: &[u8]) -> Vec<Vec<u8>> {
    let mut maker = Maker { message, like, made: Vec::new(), tries: 0 };
    maker.make(0, Vec::new(), &mut Vec::new());
    maker.made
}

struct Maker<'a> {
    message: &'a Message,
    like: &'a [u8],
    made: Vec<Vec<u8>>,
    tries: usize,
}

impl Maker<'_> {
    /// Goes on behind the pieces up to one; what the holes before it hold stands in `held`.
    fn make(&mut self, piece: usize, text: Vec<u8>, held: &mut Vec<(usize, Vec<u8>)>) {
        if text.len() > LONGEST || self.made.len() >= MOST || self.tries >= 4 * MOST {
            return;
        }
        let Some(Piece { kind, .. }) = self.message.pieces.get(piece) else {
            self.tries += 1;
            let is_whole = matches!(looked_at(self.message, &text, self.message.to_end),
                MatchResult::Whole(length) if length == text.len());
            if is_whole && !self.made.contains(&text) {
                self.made.push(text);
            }
            return;
        };
        match kind {
            PieceKind::Literal(own) => self.make(piece + 1, [&text[..], own].concat(), held),
            // What it will be is not known yet.
            PieceKind::Value(_) => {}
            PieceKind::Same { slot, .. } => {
                if let Some((_, value)) = held.iter().find(|(other, _)| other == slot) {
                    let text = [&text[..], value].concat();
                    self.make(piece + 1, text, held);
                }
            }
            PieceKind::Capture { slot, pattern, defaults, generated, .. } => {
                let mut fills = self.fills(piece, &text, pattern, held);
                fills.extend(defaults.iter().take(DEFAULTS).cloned());
                fills.extend(filler(pattern, defaults, generated.as_deref()));
                for fill in fills {
                    let longer = [&text[..], &fill].concat();
                    let known = held.len();
                    held.extend(slot.map(|slot| (slot, fill)));
                    self.make(piece + 1, longer, held);
                    held.truncate(known);
                }
            }
        }
    }

    /// What stands in the place of a hole in the bytes that the text is to be like.
    fn fills(&self, piece: usize, text: &[u8], pattern: &Pattern, held: &[(usize, Vec<u8>)]) -> Vec<Vec<u8>> {
        let there = if self.like.starts_with(text) { &self.like[text.len()..] } else { &[] };
        let counted = match pattern {
            Pattern::BytesOf(count) => held.iter().rev().find(|(slot, _)| *slot == count.slot),
            _ => None,
        };
        if there.is_empty() && counted.is_none() {
            return vec![];
        }
        let length = match pattern {
            Pattern::Bytes(count) => Some(*count),
            Pattern::BytesOf(count) => counted.and_then(|(_, value)| count.of(value)),
            Pattern::Number(number) => number.length(),
            _ => None,
        };
        if let Some(length) = length.filter(|length| *length <= LONGEST) {
            let mut fill = there[..length.min(there.len())].to_vec();
            fill.resize(length, b'x');
            return vec![fill];
        }
        let mut fills = vec![there.to_vec()];
        if let Some(Piece { kind: PieceKind::Literal(next), .. }) = self.message.pieces.get(piece + 1) {
            fills.extend(memchr::memmem::find(there, next).map(|at| there[..at].to_vec()));
        }
        // The other one's text may end inside the hole.
        fills.extend((0..there.len().min(INSIDE)).map(|length| there[..length].to_vec()));
        fills
    }
}

/// What a hole may hold that has no default.
fn filler(pattern: &Pattern, defaults: &[Vec<u8>], generated: Option<&Generated>) -> Option<Vec<u8>> {
    match (pattern, generated) {
        _ if !defaults.is_empty() => None,
        (Pattern::Bytes(count), _) if *count > LONGEST => None,
        (Pattern::Bytes(count), Some(Generated::Repeated(bytes))) => {
            Some(bytes.iter().copied().cycle().take(*count).collect())
        }
        (Pattern::Bytes(count), _) => Some(vec![b'x'; *count]),
        (Pattern::Int, _) => Some(b"0".to_vec()),
        (Pattern::Any | Pattern::Word, _) => Some(b"x".to_vec()),
        _ => None,
    }
}
