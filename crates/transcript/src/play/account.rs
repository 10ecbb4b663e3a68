//! The account of a play that failed: what would have been right where it stood, and how far what came agrees with it.

use std::sync::Arc;

use super::Play;
use super::expected::{expected_actions, expected_messages};
use crate::diagnostic::Span;
use crate::notation::show_hiding;
use crate::number::Number;
use crate::program::{Message, Op, Pattern, Piece, PieceKind, StreamAction, matcher};
use crate::script::Script;
use crate::secret::Secret;
use crate::syntax::{Eol, Form};
use crate::values::{Scratch, given_index};
use crate::verdict::{Awaited, Expected, Fault, Held, Unfinished, Verdict};

/// Most bytes of what would have been right that are kept of one line.
const ROOM: usize = 16 * 1024;

impl Play {
    /// The account of a failure where the play stands.
    pub(super) fn verdict(&self, script: &Script, fault: Fault, received: &[u8], scratch: &mut Scratch) -> Verdict {
        let here = script.program.places[self.pc];
        let secrets = script.secrets_with(scratch);
        let nearest = self.nearest(script, received, scratch);
        let only = match nearest.as_slice() {
            [(index, ..)] if fault == Fault::Differs => Some(&script.program.messages[*index]),
            _ => None,
        };
        let held = only.map_or(vec![], |message| held(message, scratch));
        let fold = only.is_some_and(|message| message.fold);
        let unfinished = match fault {
            Fault::NothingCame { .. } if !received.is_empty() => self.unfinished(script, &nearest),
            _ => None,
        };
        let candidates: Vec<(Expected, usize, Span)> = nearest
            .into_iter()
            .enumerate()
            .map(|(rank, (index, matched, place))| {
                let message = &script.program.messages[index];
                // Many branches are listed, and few of them are read to their end.
                let room = if rank < 16 { ROOM } else { ROOM / 16 };
                let text = expected_text(script, message, scratch, &secrets, matched, room);
                (Expected { awaited: Awaited::Message, line: message.place.line, text, matched }, matched, place)
            })
            .collect();
        let differs = fault == Fault::Differs;
        let actions = expected_actions(script, self);
        let elsewhere = actions.first().map_or(here, |(_, pc)| script.program.places[*pc]);
        let place = candidates.first().map_or(elsewhere, |(expected, _, place)| {
            if differs { *place } else { Span { line: expected.line, ..script_line(script, expected.line) } }
        });
        let byte = differs.then(|| candidates.first().map_or(1, |(_, matched, _)| matched + 1));
        let mut expected: Vec<Expected> = candidates.into_iter().map(|(expected, ..)| expected).collect();
        expected.extend(actions.into_iter().map(|(action, pc)| {
            let text = match action {
                StreamAction::Close | StreamAction::StopSending => "(the end)",
                StreamAction::Reset => "(a reset)",
            };
            let line = script.program.places[pc].line;
            Expected { awaited: Awaited::End, line, text: text.to_owned(), matched: 0 }
        }));
        Verdict {
            fault,
            side: script.side.other(),
            place,
            source: Arc::clone(&script.source),
            sent: self.sent(),
            expected,
            received: received.to_vec(),
            byte,
            name: String::new(),
            secrets,
            held,
            fold,
            refused: None,
            unfinished,
        }
    }

    /// What would have ended the message of which a part came.
    fn unfinished(&self, script: &Script, nearest: &[(usize, usize, Span)]) -> Option<Unfinished> {
        let message = match (&script.program.ops[self.pc], nearest) {
            (Op::File(_), _) => return Some(Unfinished::Bytes),
            (_, [(index, ..), ..]) => &script.program.messages[*index],
            _ => return None,
        };
        if message.form != Form::Text {
            let is_open = |piece: &Piece| match &piece.kind {
                PieceKind::Capture { pattern, .. } | PieceKind::Same { pattern, .. } => match pattern {
                    Pattern::Bytes(_) | Pattern::BytesOf(_) => false,
                    // Its own bytes tell how long it is.
                    Pattern::Number(Number::Varint) => false,
                    Pattern::Number(number) => number.length().is_none(),
                    _ => true,
                },
                PieceKind::Literal(_) | PieceKind::Value(_) => false,
            };
            return Some(match message.pieces.iter().position(is_open) {
                None => Unfinished::Bytes,
                Some(open) if open + 1 == message.pieces.len() => Unfinished::End,
                Some(_) => Unfinished::Text,
            });
        }
        Some(match (script.eol, script.gap) {
            (Eol::Lf | Eol::CrLf, _) => Unfinished::Line,
            (Eol::Any, None) => Unfinished::LineOrNoGap,
            (Eol::Any, Some(_)) => Unfinished::LineOrGap,
            (Eol::None, None) => Unfinished::NoGap,
            (Eol::None, Some(_)) => Unfinished::Gap,
        })
    }

    /// The messages that would be right, the nearest to what came first: how many bytes agree with each, and where it differs.
    fn nearest(&self, script: &Script, received: &[u8], scratch: &mut Scratch) -> Vec<(usize, usize, Span)> {
        let differs = |index| {
            let message = &script.program.messages[index];
            let (piece, matched) =
                if received.is_empty() { (0, 0) } else { matcher::difference(message, received, scratch) };
            (index, matched, place_in(message, piece, matched, received))
        };
        let mut nearest: Vec<(usize, usize, Span)> = expected_messages(script, self).into_iter().map(differs).collect();
        nearest.sort_by_key(|(_, matched, _)| std::cmp::Reverse(*matched));
        nearest
    }
}

/// What the parts of a message stand for.
fn held(message: &Message, scratch: &Scratch) -> Vec<Held> {
    let pieces = message.pieces.iter().map(|piece| match &piece.kind {
        PieceKind::Literal(bytes) => Held::Value(Arc::clone(bytes)),
        PieceKind::Value(slot) => Held::Value(scratch.value(*slot).unwrap_or_default().into()),
        PieceKind::Capture { pattern, .. } => Held::Open {
            length: match pattern {
                Pattern::Bytes(count) => Some(*count),
                Pattern::BytesOf(count) => scratch.value(count.slot).and_then(|value| count.of(value)),
                Pattern::Number(number) => number.length(),
                _ => None,
            },
        },
        PieceKind::Same { .. } => Held::Same,
    });
    pieces.collect()
}

/// Where a message's line stands.
fn script_line(script: &Script, line: usize) -> Span {
    script
        .program
        .messages
        .iter()
        .find(|message| message.place.line == line)
        .map_or(Span { line, column: 1, width: 1 }, |message| message.place)
}

/// A message after substitution; a hole that is still open is shown as one. Of a long one the bytes around the
/// difference are shown.
fn expected_text(
    script: &Script,
    message: &Message,
    scratch: &Scratch,
    secrets: &[Secret],
    matched: usize,
    room: usize,
) -> String {
    // A secret that is cut in two would not be known as one.
    let secret = secrets.iter().map(|secret| secret.value.len()).max().unwrap_or(0);
    let from = if message.has_holes() || secret > 0 { 0 } else { matched.saturating_sub(room / 2) };
    let mut window = Window { from, to: from + room, passed: 0 };
    let mut text = if from > 0 { "…".to_owned() } else { String::new() };
    let mut bytes = Vec::new();
    for piece in &message.pieces {
        match &piece.kind {
            PieceKind::Literal(literal) => bytes.extend_from_slice(window.part(literal)),
            PieceKind::Value(slot) => {
                bytes.extend_from_slice(window.part(scratch.value(*slot).unwrap_or_default()));
            }
            PieceKind::Capture { slot, pattern, .. } if window.is_open() => {
                text.push_str(show_inside(&mut bytes, secrets).as_str());
                let name = slot.map_or("_", |slot| script.program.name(slot));
                text.push_str(&hole(script, name, pattern, scratch));
            }
            PieceKind::Same { slot, pattern } if window.is_open() => {
                text.push_str(show_inside(&mut bytes, secrets).as_str());
                text.push_str(&hole(script, script.program.name(*slot), pattern, scratch));
            }
            PieceKind::Capture { .. } | PieceKind::Same { .. } => {}
        }
    }
    if !window.is_open() {
        bytes.truncate(bytes.len().saturating_sub(secret));
    }
    text.push_str(&show_hiding(&bytes, secrets));
    if !window.is_open() {
        text.push('…');
    }
    text
}

/// Which bytes of a long text are shown.
struct Window {
    from: usize,
    to: usize,
    passed: usize,
}

impl Window {
    /// What is shown of the next bytes.
    fn part<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let clip = |at: usize| at.saturating_sub(self.passed).min(bytes.len());
        let part = &bytes[clip(self.from)..clip(self.to)];
        self.passed = self.passed.saturating_add(bytes.len());
        part
    }

    fn is_open(&self) -> bool {
        self.passed <= self.to
    }
}

/// Shows text that a hole follows: its last space is not at the end of the line.
fn show_inside(bytes: &mut Vec<u8>, secrets: &[Secret]) -> String {
    let shown = show_hiding(bytes, secrets);
    bytes.clear();
    shown.strip_suffix("{0x20}").map_or(shown.clone(), |cut| format!("{cut} "))
}

fn hole(script: &Script, name: &str, pattern: &Pattern, scratch: &Scratch) -> String {
    // What a play was given was known before it began: the number says more than the name.
    if let Pattern::BytesOf(count) = pattern
        && given_index(count.slot).is_some()
        && let Some(count) = scratch.value(count.slot).and_then(|value| count.of(value))
    {
        return format!("{{{name}:{count} bytes}}");
    }
    let pattern = pattern.written(|count| script.program.name(count.slot));
    format!("{{{name}{pattern}}}")
}

/// The transcript's column for a difference: inside a literal the character, else the hole.
fn place_in(message: &Message, piece: usize, matched: usize, received: &[u8]) -> Span {
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
    Span { column: found.place.column + before, width: 1, ..found.place }
}
