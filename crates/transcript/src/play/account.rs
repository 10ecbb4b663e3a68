//! The account of a play that failed: what would have been right where it stood, and how far what came agrees with it.

use std::sync::Arc;

use super::Play;
use super::hear::allowed;
use crate::diagnostic::Place;
use crate::matcher;
use crate::notation::show_hiding;
use crate::program::{Deed, First, Message, Op, Pattern, PieceKind};
use crate::record::Secret;
use crate::script::Script;
use crate::values::Scratch;
use crate::verdict::{Expected, Fault, Verdict};

/// The messages that would be right where a play stands.
pub(super) fn expected_messages(script: &Script, play: &Play) -> Vec<usize> {
    match &script.program.ops[play.pc] {
        Op::Hear(message) => vec![*message],
        Op::AnyOrder(order) => {
            let order = &script.program.orders[*order];
            (0..order.messages.len())
                .filter(|&index| !play.has_come(order, index))
                .map(|index| order.messages[index])
                .collect()
        }
        Op::Choice(index) => script.program.choices[*index]
            .arms
            .iter()
            .filter(|arm| allowed(play, &arm.path))
            .filter_map(|arm| match arm.first {
                First::Line(message) => Some(message),
                _ => None,
            })
            .collect(),
        _ => vec![],
    }
}

impl Play {
    /// The account of a failure where the play stands.
    pub(super) fn verdict(&self, script: &Script, fault: Fault, received: &[u8], scratch: &mut Scratch) -> Verdict {
        let here = script.program.places[self.pc];
        let mut candidates: Vec<(Expected, usize, Place)> = expected_messages(script, self)
            .into_iter()
            .map(|index| {
                let message = &script.program.messages[index];
                let (piece, matched) =
                    if received.is_empty() { (0, 0) } else { matcher::difference(message, received, scratch) };
                let text = expected_text(script, message, scratch);
                let place = place_in(message, piece, matched, received);
                (Expected { line: message.place.line, text, matched }, matched, place)
            })
            .collect();
        // The nearest branch first.
        candidates.sort_by_key(|(_, matched, _)| std::cmp::Reverse(*matched));
        let differs = fault == Fault::Differs;
        let place = candidates.first().map_or(here, |(expected, _, place)| {
            if differs { *place } else { Place { line: expected.line, ..script_line(script, expected.line) } }
        });
        let byte = differs.then(|| candidates.first().map_or(1, |(_, matched, _)| matched + 1));
        let mut expected: Vec<Expected> = candidates.into_iter().map(|(expected, ..)| expected).collect();
        if let Op::Expect(deed) = script.program.ops[self.pc] {
            let text = match deed {
                Deed::Close | Deed::StopSending => "(the end)",
                Deed::Reset => "(a reset)",
            };
            expected.push(Expected { line: here.line, text: text.to_owned(), matched: 0 });
        }
        Verdict {
            fault,
            side: script.side.other(),
            place,
            source: Arc::clone(&script.source),
            sent: self.said.as_deref().cloned(),
            expected,
            received: received.to_vec(),
            byte,
            name: String::new(),
            secrets: Arc::clone(&script.secrets),
        }
    }
}

/// Where a message's line stands.
fn script_line(script: &Script, line: usize) -> Place {
    script
        .program
        .messages
        .iter()
        .find(|message| message.place.line == line)
        .map_or(Place { line, column: 1, width: 1 }, |message| message.place)
}

/// A message after substitution; a hole that is still open is shown as one.
fn expected_text(script: &Script, message: &Message, scratch: &Scratch) -> String {
    let mut text = String::new();
    let mut bytes = Vec::new();
    for piece in &message.pieces {
        match &piece.kind {
            PieceKind::Literal(literal) => bytes.extend_from_slice(literal),
            PieceKind::Value(slot) => bytes.extend_from_slice(scratch.value(*slot).unwrap_or_default()),
            PieceKind::Capture { slot, pattern, .. } => {
                text.push_str(show_inside(&mut bytes, &script.secrets).as_str());
                let name = slot.map_or("_", |slot| &script.program.slots[slot]);
                text.push_str(&hole(script, name, pattern));
            }
            PieceKind::Same { slot, pattern } => {
                text.push_str(show_inside(&mut bytes, &script.secrets).as_str());
                text.push_str(&hole(script, &script.program.slots[*slot], pattern));
            }
        }
    }
    text + &show_hiding(&bytes, &script.secrets)
}

/// Shows text that a hole follows: its last space is not at the end of the line.
fn show_inside(bytes: &mut Vec<u8>, secrets: &[Secret]) -> String {
    let shown = show_hiding(bytes, secrets);
    bytes.clear();
    shown.strip_suffix("{0x20}").map_or(shown.clone(), |cut| format!("{cut} "))
}

fn hole(script: &Script, name: &str, pattern: &Pattern) -> String {
    let pattern = pattern.written(|slot| script.program.slots[*slot].as_str());
    format!("{{{name}{pattern}}}")
}

/// The transcript's column for a difference: inside a literal the character, else the hole.
fn place_in(message: &Message, piece: usize, matched: usize, received: &[u8]) -> Place {
    let Some(found) = message.pieces.get(piece) else { return message.place };
    let PieceKind::Literal(literal) = &found.kind else { return found.place };
    let Ok(text) = std::str::from_utf8(literal) else { return found.place };
    if text.chars().count() != found.place.width {
        return found.place;
    }
    // How far into the literal the difference lies: what agrees of it ends where the line stops agreeing.
    let agrees = (0..=literal.len().min(matched))
        .rev()
        .find(|&length| received[..matched].ends_with(&literal[..length]))
        .unwrap_or(0);
    let before = text.char_indices().take_while(|(at, _)| *at < agrees).count();
    Place { column: found.place.column + before, width: 1, ..found.place }
}
