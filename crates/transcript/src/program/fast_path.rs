//! The fast path: exchanges from a place where a line of theirs is awaited back to that place, on which nothing happens but that known
//! answers are said. They are worked out once, so that a batch of such lines is answered without walking operation by
//! operation. Whose loop it is does not matter: in one of ours exchanges are counted, and defaults may be said in turn.

use super::{
    Arm, Depends, First, Fork, Literal, Message, Op, Pattern, Pc, Piece, PieceKind, Plan, Program, Shape, matcher,
};
use crate::syntax::{Eol, Form};
use crate::values::{Scratch, given_index};

/// Operations that are looked at for one answer.
const LONGEST: usize = 64;

/// Most bytes of one answer.
const LARGEST: usize = 8 * 1024;

/// Bytes that are copied at once, however few are needed: that is two instructions, and a copy of any length is a call.
pub(crate) const CHUNK: usize = 16;

/// The known exchanges from one place.
#[derive(Debug, Clone, Default)]
pub(crate) struct FastPath {
    /// Each exchange that a line may begin, in the order in which they are tried; empty if none of them has a known answer.
    pub(crate) exchanges: Box<[KnownExchange]>,
    /// What all of them do besides; nothing at all if no more is to be done than to answer.
    pub(crate) bookkeeping: Option<Box<Bookkeeping>>,
}

/// What an exchange does besides where the loop is ours, says defaults in turn, or has what was said kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bookkeeping {
    pub(crate) count: Option<Count>,
    pub(crate) turn: Option<Turn>,
}

/// The counter of a loop of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) counter: usize,
    /// Where the counter stands when the loop is left: such an exchange is the walk's.
    pub(crate) last: u32,
}

/// Defaults that are said one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) counter: usize,
    pub(crate) slot: Option<usize>,
    pub(crate) defaults: Vec<Vec<u8>>,
}

impl Turn {
    /// The default whose turn it is.
    pub(crate) fn default(&self, turn: u32) -> &[u8] {
        // There are two at least: of one there are no turns.
        self.defaults.get(turn as usize % self.defaults.len().max(1)).map_or(&[], Vec::as_slice)
    }
}

/// One path through a loop.
#[derive(Debug, Clone)]
pub(crate) struct KnownExchange {
    pub(crate) quick_match: QuickMatch,
    /// The texts around what was said in turn.
    pub(crate) between: Option<Box<(Literal, Literal)>>,
    /// The message whose line begins it.
    pub(crate) message: usize,
    pub(crate) answer: Option<Answer>,
}

/// What is said, if it is known.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// By the ending of the line that was heard: LF, CRLF.
    pub(crate) texts: [Text; 2],
    /// The line of the transcript that it answers, and those that it says.
    pub(crate) heard: usize,
    pub(crate) lines: Vec<usize>,
}

/// The text of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    /// The same as the parts, where it is one of the forms that most answers have.
    pub(crate) form: TextForm,
    pub(crate) parts: Vec<AnswerPart>,
}

/// A form of text that is put down without a look at part after part.
#[derive(Debug, Clone)]
pub(crate) enum TextForm {
    /// The first so many of these bytes.
    Short([u8; CHUNK], usize),
    /// The value of a hole between two short texts.
    OneHole { before: [u8; CHUNK], first: usize, slot: usize, after: [u8; CHUNK], last: usize },
    /// None of them.
    Other,
}

/// Which lines begin an exchange, where that is quickly told.
#[derive(Debug, Clone)]
pub(crate) enum QuickMatch {
    /// Every line; all of it is the hole's.
    All,
    /// This one.
    Only(Literal),
    /// What was said in turn, in its [`KnownExchange::between`].
    Turned,
    /// What the matcher says.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AnswerPart {
    /// The first so many of these bytes.
    Short([u8; CHUNK], usize),
    Long(Vec<u8>),
    /// What the hole of the line got that gives this slot its value.
    Hole(usize),
    /// The value that a slot had before.
    Value(usize),
    /// The default whose turn it is.
    Turn,
}

/// Fills in the [`FastPath`] of every choice of theirs and of every line of theirs that is all that may come. Where what is said
/// is kept for accounts (`keeps_said`), only text lines are said so: which of them was the last can be seen.
pub(crate) fn find(program: &mut Program, eol: Eol, keeps_said: bool) {
    if eol == Eol::None {
        return;
    }
    for pc in 0..program.ops.len() {
        let finder = Finder { program, place: pc, eol, keeps_said };
        match program.ops[pc] {
            Op::Choice(index) if program.choices[index].ours.is_none() => {
                let fast_path = finder.of(&program.choices[index].arms);
                program.choices[index].fast_path = fast_path;
            }
            Op::Hear(message) if program.messages[message].form == Form::Text => {
                let arm = Arm { path: vec![], first: First::Line(message), together: false, pc };
                let fast_path = finder.of(&[arm]);
                program.messages[message].fast_path = fast_path;
            }
            _ => {}
        }
    }
}

struct Finder<'a> {
    program: &'a Program,
    /// Where the line is awaited.
    place: Pc,
    eol: Eol,
    keeps_said: bool,
}

/// A path as far as it was followed.
struct Candidate<'a> {
    /// The slots that the line gives their values.
    captures: Vec<usize>,
    /// Those that have the same value in every exchange.
    fixed: Vec<(usize, &'a [u8])>,
    bookkeeping: Bookkeeping,
    parts: [Vec<AnswerPart>; 2],
    lines: Vec<usize>,
}

impl Finder<'_> {
    fn of(&self, arms: &[Arm]) -> FastPath {
        // A branch that begins with no line of theirs takes none.
        let lines = arms.iter().filter_map(|arm| match arm.first {
            First::Line(message) => Some((message, self.candidate(arm, message))),
            _ => None,
        });
        let mut lines: Vec<(usize, Option<Candidate<'_>>)> = lines.collect();
        let Some(bookkeeping) = lines.iter().find_map(|(_, candidate)| Some(candidate.as_ref()?.bookkeeping.clone()))
        else {
            return FastPath::default();
        };
        // One count is kept for all.
        for (_, candidate) in &mut lines {
            candidate.take_if(|candidate| candidate.bookkeeping != bookkeeping);
        }
        let exchange = |(message, candidate): (usize, Option<Candidate<'_>>)| {
            let between = self.between(message, bookkeeping.turn.as_ref())?.map(Box::new);
            let quick_match =
                if between.is_some() { QuickMatch::Turned } else { self.quick_match(message, candidate.as_ref()) };
            let heard = self.program.messages[message].place.line;
            let answer =
                candidate.map(|Candidate { parts, lines, .. }| Answer { texts: parts.map(Text::new), heard, lines });
            Some(KnownExchange { quick_match, between, message, answer })
        };
        let Some(exchanges) = lines.into_iter().map(exchange).collect() else { return FastPath::default() };
        FastPath {
            exchanges,
            bookkeeping: (self.keeps_said || bookkeeping != Bookkeeping::default()).then(|| Box::new(bookkeeping)),
        }
    }

    /// The texts around a default that was said in turn, if a line is to be told by it. While a batch goes on, the scratch
    /// has another one: where more than these texts is to be looked at, none is found at all.
    fn between(&self, message: usize, turn: Option<&Turn>) -> Option<Option<(Literal, Literal)>> {
        let message = &self.program.messages[message];
        let Some(turned) = turn.and_then(|turn| turn.slot) else { return Some(None) };
        let reads = |piece: &Piece| match &piece.kind {
            PieceKind::Value(slot) => *slot == turned,
            PieceKind::Capture { pattern: Pattern::BytesOf(count), .. } => count.slot == turned,
            _ => false,
        };
        let Some(at) = message.pieces.iter().position(reads) else { return Some(None) };
        let text = |pieces: &[Piece]| match pieces {
            [] => Some(Literal::default()),
            [Piece { kind: PieceKind::Literal(text), .. }] => Some(Literal::clone(text)),
            _ => None,
        };
        let is_value = matches!(message.pieces[at].kind, PieceKind::Value(_));
        let texts = text(&message.pieces[..at]).zip(text(&message.pieces[at + 1..]));
        texts.filter(|_| is_value && message.form == Form::Text && !message.fold).map(Some)
    }

    /// Which lines begin an exchange.
    fn quick_match(&self, message: usize, candidate: Option<&Candidate<'_>>) -> QuickMatch {
        let message = &self.program.messages[message];
        match &message.shape {
            _ if message.form != Form::Text || message.fold => QuickMatch::Other,
            Shape::Exact(bytes) => QuickMatch::Only(Literal::clone(bytes)),
            Shape::OneHole { before, after, pattern: Pattern::Any, .. } if before.is_empty() && after.is_empty() => {
                QuickMatch::All
            }
            Shape::Filled => {
                let fixed = |piece: &Piece| match &piece.kind {
                    PieceKind::Literal(text) => Some(text.to_vec()),
                    PieceKind::Value(slot) => {
                        let (_, value) = candidate?.fixed.iter().find(|(fixed, _)| fixed == slot)?;
                        Some(value.to_vec())
                    }
                    PieceKind::Capture { .. } | PieceKind::Same { .. } => None,
                };
                let text: Option<Vec<Vec<u8>>> = message.pieces.iter().map(fixed).collect();
                text.map_or(QuickMatch::Other, |text| QuickMatch::Only(text.concat().into()))
            }
            Shape::OneHole { .. } | Shape::General => QuickMatch::Other,
        }
    }

    /// Follows a branch to where it comes back.
    fn candidate(&self, arm: &Arm, heard: usize) -> Option<Candidate<'_>> {
        let heard = &self.program.messages[heard];
        if !arm.path.is_empty() || !matches!(self.program.ops[arm.pc], Op::Hear(_)) || heard.form != Form::Text {
            return None;
        }
        let captures: Vec<usize> = heard.pieces.iter().filter_map(captured).collect();
        // A value that is still needed behind the exchange has to be kept, and that is the walk's work.
        let needed = *self.program.needed.get(self.place)?;
        if captures.iter().any(|slot| needed >> slot & 1 == 1) {
            return None;
        }
        let mut candidate = Candidate {
            captures,
            fixed: vec![],
            bookkeeping: Bookkeeping::default(),
            parts: [vec![], vec![]],
            lines: vec![],
        };
        let mut copied = 0;
        let mut pc = arm.pc + 1;
        for _ in 0..LONGEST {
            if pc == self.place {
                candidate.parts.iter_mut().flatten().for_each(AnswerPart::shorten);
                return Some(candidate);
            }
            match &self.program.ops[pc] {
                Op::Say(message) => {
                    let message = &self.program.messages[*message];
                    // A long answer gains nothing by being put together before.
                    copied += matcher::text_length(&message.pieces, &Scratch::default())?;
                    if copied > LARGEST {
                        return None;
                    }
                    self.say(message, &mut candidate)?;
                    pc += 1;
                }
                Op::Jump(to) => pc = *to,
                Op::Again { counter, times, body } => {
                    self.count(&mut candidate, Count { counter: *counter, last: times.checked_sub(1)? })?;
                    pc = *body;
                }
                Op::Choice(index) => match (&self.program.choices[*index].ours, &self.program.choices[*index].kind) {
                    (Some(Plan::Repeat { counter, times }), Fork::Loop { body, .. }) => {
                        self.count(&mut candidate, Count { counter: *counter, last: *times })?;
                        pc = *body;
                    }
                    _ => return None,
                },
                _ => return None,
            }
        }
        None
    }

    /// Of several loops around each other only the walk knows which goes on.
    fn count(&self, candidate: &mut Candidate<'_>, count: Count) -> Option<()> {
        if candidate.bookkeeping.count.is_some() {
            return None;
        }
        candidate.bookkeeping.count = Some(count);
        Some(())
    }

    /// Adds what a message says, if nothing but the line that was heard, and what was known before, decides it.
    fn say<'a>(&'a self, message: &'a Message, candidate: &mut Candidate<'a>) -> Option<()> {
        if message.depends == Depends::Play && !message.rivals.is_empty()
            || self.keeps_said && message.form != Form::Text
        {
            return None;
        }
        let mut values = 0;
        for Piece { kind, .. } in &message.pieces {
            match kind {
                PieceKind::Literal(bytes) => candidate.add(bytes),
                PieceKind::Value(slot) | PieceKind::Same { slot, .. } => {
                    let turned = candidate.bookkeeping.turn.as_ref().and_then(|turn| turn.slot);
                    if let Some(&(_, value)) = candidate.fixed.iter().find(|(fixed, _)| fixed == slot) {
                        candidate.add(value);
                    } else if turned == Some(*slot) {
                        candidate.push(&AnswerPart::Turn);
                    } else if candidate.captures.contains(slot) {
                        candidate.push(&AnswerPart::Hole(*slot));
                    } else {
                        // Together they must not be too long, which of those that are given is known, and of one is sure.
                        values += usize::from(given_index(*slot).is_none());
                        if values > 1 {
                            return None;
                        }
                        candidate.push(&AnswerPart::Value(*slot));
                    }
                }
                PieceKind::Capture { pattern: Pattern::BytesOf(_), .. } => return None,
                PieceKind::Capture { slot, defaults, rotation: None, .. } => {
                    let default = defaults.first()?;
                    candidate.fixed.extend(slot.map(|slot| (slot, default.as_slice())));
                    candidate.add(default);
                }
                PieceKind::Capture { slot, defaults, rotation: Some(counter), .. } => {
                    if candidate.bookkeeping.turn.is_some() || defaults.is_empty() {
                        return None;
                    }
                    candidate.bookkeeping.turn =
                        Some(Turn { counter: *counter, slot: *slot, defaults: defaults.clone() });
                    candidate.push(&AnswerPart::Turn);
                }
            }
        }
        if message.form == Form::Text {
            let endings: [&[u8]; 2] = match self.eol {
                Eol::Lf => [b"\n", b"\n"],
                Eol::CrLf => [b"\r\n", b"\r\n"],
                Eol::Any | Eol::None => [b"\n", b"\r\n"],
            };
            for (parts, ending) in candidate.parts.iter_mut().zip(endings) {
                add(ending, parts);
            }
        }
        candidate.lines.push(message.place.line);
        Some(())
    }
}

impl Candidate<'_> {
    fn add(&mut self, bytes: &[u8]) {
        self.parts.iter_mut().for_each(|parts| add(bytes, parts));
    }

    fn push(&mut self, part: &AnswerPart) {
        self.parts.iter_mut().for_each(|parts| parts.push(part.clone()));
    }
}

/// The slot that takes what stands in a hole.
fn captured(piece: &Piece) -> Option<usize> {
    match piece.kind {
        PieceKind::Capture { slot, .. } => slot,
        _ => None,
    }
}

fn add(bytes: &[u8], parts: &mut Vec<AnswerPart>) {
    match parts.last_mut() {
        Some(AnswerPart::Long(text)) => text.extend_from_slice(bytes),
        _ => parts.push(AnswerPart::Long(bytes.to_vec())),
    }
}

impl Text {
    fn new(parts: Vec<AnswerPart>) -> Self {
        let form = match parts[..] {
            [AnswerPart::Short(text, length)] => TextForm::Short(text, length),
            [AnswerPart::Short(before, first), AnswerPart::Hole(slot), AnswerPart::Short(after, last)] => {
                TextForm::OneHole { before, first, slot, after, last }
            }
            _ => TextForm::Other,
        };
        Self { form, parts }
    }
}

impl AnswerPart {
    fn shorten(&mut self) {
        if let Self::Long(bytes) = self
            && bytes.len() <= CHUNK
        {
            let mut chunk = [0; CHUNK];
            chunk[..bytes.len()].copy_from_slice(bytes);
            *self = Self::Short(chunk, bytes.len());
        }
    }
}

#[cfg(test)]
mod tests;
