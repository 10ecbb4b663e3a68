//! Rounds: ways through a loop of theirs that are one line heard and a known answer said. They are worked out once, so
//! that a batch of such lines is answered without walking operation by operation.

use super::{Arm, Depends, First, Literal, Message, Op, Pattern, Pc, Piece, PieceKind, Program, Shape, matcher};
use crate::syntax::{Eol, Form};
use crate::values::Scratch;

/// Operations that are looked at for one answer.
const LONGEST: usize = 64;

/// Most bytes of one answer.
const LARGEST: usize = 8 * 1024;

/// Bytes that are copied at once, however few are needed: that is two instructions, and a copy of any length is a call.
pub(crate) const CHUNK: usize = 16;

/// One way through a loop of theirs.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    pub(crate) takes: Takes,
    /// The message whose line begins it.
    pub(crate) message: usize,
    /// What is said, if the way is a round; by the ending of the line that was heard: LF, CRLF.
    pub(crate) answer: Option<[Vec<Part>; 2]>,
}

/// Which lines begin a way, where that is quickly told.
#[derive(Debug, Clone)]
pub(crate) enum Takes {
    /// Every line; all of it is the hole's.
    All,
    /// This one.
    Only(Literal),
    /// What the matcher says.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// The first so many of these bytes.
    Short([u8; CHUNK], usize),
    Long(Vec<u8>),
    /// What the hole of the line got that gives this slot its value.
    Hole(usize),
}

/// Fills in [`Choice::rounds`](super::Choice): for each arm, in their order, its answer if it is such a way.
pub(crate) fn find(program: &mut Program, eol: Eol) {
    for pc in 0..program.ops.len() {
        let Op::Choice(index) = program.ops[pc] else { continue };
        let choice = &program.choices[index];
        // A value that is still needed behind the round has to be kept, and that is the walk's work.
        if choice.ours.is_some() || program.live[pc] || eol == Eol::None {
            continue;
        }
        let round = |arm: &Arm| {
            let First::Line(message) = arm.first else { return None };
            let takes = takes(&program.messages[message]);
            Some(Round { takes, message, answer: answer(program, pc, arm, message, eol) })
        };
        // A way that begins with no line of theirs takes none.
        let rounds: Vec<Round> = choice.arms.iter().filter_map(round).collect();
        if rounds.iter().any(|round| round.answer.is_some()) {
            program.choices[index].rounds = rounds.into_boxed_slice();
        }
    }
}

fn takes(message: &Message) -> Takes {
    match &message.shape {
        _ if message.fold || message.form != Form::Text => Takes::Other,
        Shape::Exact(bytes) => Takes::Only(Literal::clone(bytes)),
        Shape::Around { before, after, pattern: Pattern::Any, .. } if before.is_empty() && after.is_empty() => {
            Takes::All
        }
        Shape::Around { .. } | Shape::General => Takes::Other,
    }
}

fn answer(program: &Program, choice: Pc, arm: &Arm, heard: usize, eol: Eol) -> Option<[Vec<Part>; 2]> {
    let heard = &program.messages[heard];
    if !arm.path.is_empty() || !matches!(program.ops[arm.pc], Op::Hear(_)) || heard.form != Form::Text {
        return None;
    }
    let captures: Vec<usize> = heard.pieces.iter().filter_map(captured).collect();
    let endings: [&[u8]; 2] = match eol {
        Eol::Lf => [b"\n", b"\n"],
        Eol::CrLf => [b"\r\n", b"\r\n"],
        Eol::Any | Eol::None => [b"\n", b"\r\n"],
    };
    let mut parts = [vec![], vec![]];
    let mut copied = 0;
    let mut pc = arm.pc + 1;
    for _ in 0..LONGEST {
        match program.ops[pc] {
            Op::Say(message) => {
                // A long answer gains nothing by being put together before.
                copied += matcher::text_length(&program.messages[message].pieces, &Scratch::default())?;
                if copied > LARGEST {
                    return None;
                }
                for (parts, ending) in parts.iter_mut().zip(endings) {
                    say(&program.messages[message], &captures, ending, parts)?;
                }
                pc += 1;
            }
            Op::Jump(to) => pc = to,
            Op::Choice(_) if pc == choice => {
                parts.iter_mut().flatten().for_each(Part::shorten);
                return Some(parts);
            }
            _ => return None,
        }
    }
    None
}

/// The slot that takes what stands in a hole.
fn captured(piece: &Piece) -> Option<usize> {
    match piece.kind {
        PieceKind::Capture { slot, .. } => slot,
        _ => None,
    }
}

/// Adds what a message says, if nothing but the line that was heard decides it.
fn say(message: &Message, captures: &[usize], ending: &[u8], parts: &mut Vec<Part>) -> Option<()> {
    if message.depends == Depends::Play && !message.rivals.is_empty() {
        return None;
    }
    for Piece { kind, .. } in &message.pieces {
        match kind {
            PieceKind::Literal(bytes) => add(bytes, parts),
            PieceKind::Value(slot) if captures.contains(slot) => parts.push(Part::Hole(*slot)),
            _ => return None,
        }
    }
    if message.form == Form::Text {
        add(ending, parts);
    }
    Some(())
}

fn add(bytes: &[u8], parts: &mut Vec<Part>) {
    match parts.last_mut() {
        Some(Part::Long(text)) => text.extend_from_slice(bytes),
        _ => parts.push(Part::Long(bytes.to_vec())),
    }
}

impl Part {
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
