//! Rounds: ways through a loop of theirs that are one line heard and a known answer said. They are worked out once, so
//! that a batch of such lines is answered without walking operation by operation.

use super::{Message, Op, Pc, Piece, PieceKind, Program};
use crate::syntax::{Eol, Form};

/// Operations that are looked at for one answer.
const LONGEST: usize = 64;

/// Bytes that are copied at once, however few are needed: that is two instructions, and a copy of any length is a call.
pub(crate) const CHUNK: usize = 16;

/// What is said in a round, by the ending of the line that was heard: LF, CRLF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) parts: [Vec<Part>; 2],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// These bytes, and [`CHUNK`] at least: behind the length stands nothing.
    Text { bytes: Vec<u8>, length: usize },
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
        let answers: Vec<_> = choice.arms.iter().map(|arm| answer(program, pc, arm, eol)).collect();
        if answers.iter().any(Option::is_some) {
            program.choices[index].rounds = answers.into_boxed_slice();
        }
    }
}

fn answer(program: &Program, choice: Pc, arm: &super::Arm, eol: Eol) -> Option<Answer> {
    let super::First::Line(heard) = arm.first else { return None };
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
    let mut pc = arm.pc + 1;
    for _ in 0..LONGEST {
        match program.ops[pc] {
            Op::Say(message) => {
                for (parts, ending) in parts.iter_mut().zip(endings) {
                    say(&program.messages[message], &captures, ending, parts)?;
                }
                pc += 1;
            }
            Op::Jump(to) => pc = to,
            Op::Choice(_) if pc == choice => {
                parts.iter_mut().flatten().for_each(Part::pad);
                return Some(Answer { parts });
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
    if message.dynamic && !message.rivals.is_empty() {
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
        Some(Part::Text { bytes: text, length }) => {
            text.extend_from_slice(bytes);
            *length = text.len();
        }
        _ => parts.push(Part::Text { bytes: bytes.to_vec(), length: bytes.len() }),
    }
}

impl Part {
    fn pad(&mut self) {
        if let Self::Text { bytes, length } = self {
            bytes.resize((*length).max(CHUNK), 0);
        }
    }
}
