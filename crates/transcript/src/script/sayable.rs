//! Why a side cannot say what it has to: a hole has no value, a value breaks its line, or the listener would take the line
//! for another one.

use super::PlayOptions;
use crate::Side;
use crate::carrier::Carrier;
use crate::diagnostic::{Diagnostic, Source};
use crate::notation::show_hiding;
use crate::program::{self, Depends, Generated, Message, Op, Piece, PieceKind, Plan, Program};
use crate::secret::Secret;
use crate::syntax::{Eol, Form};
use crate::values::Scratch;

/// The messages that we may come to say.
pub(super) fn said(program: &Program) -> Vec<usize> {
    let mut unreached = vec![true; program.ops.len()];
    let mut open = vec![0];
    let mut messages = Vec::new();
    while let Some(pc) = open.pop() {
        if !std::mem::replace(&mut unreached[pc], false) {
            continue;
        }
        match &program.ops[pc] {
            Op::Say(message) => {
                messages.push(*message);
                open.push(pc + 1);
            }
            Op::AnyOrder(order) => {
                let order = &program.orders[*order];
                if order.ours {
                    messages.extend_from_slice(&order.messages);
                }
                open.push(pc + 1);
            }
            Op::End | Op::Forbidden | Op::Return => {}
            Op::Jump(to) => open.push(*to),
            Op::Choose(table) => open.extend(program.tables[*table].starts()),
            Op::Again { body, .. } => open.extend([*body, pc + 1]),
            Op::Choice(index) => {
                let choice = &program.choices[*index];
                match (&choice.ours, &choice.kind) {
                    (Some(Plan::Turns { turns, .. }), _) => open.extend(turns.iter().map(|(start, _)| *start)),
                    (_, program::Fork::Loop { body, after, .. }) => open.extend([*body, *after]),
                    (_, program::Fork::Either { branches, .. }) => open.extend(branches),
                }
            }
            _ => open.push(pc + 1),
        }
    }
    messages.sort_unstable();
    messages
}

/// What we must say needs a value, must fit on its line, and must not be heard as something else.
pub(super) fn sayable(program: &Program, source: &Source, options: &PlayOptions) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for index in said(program) {
        let message = &program.messages[index];
        let mut missing = false;
        for piece in &message.pieces {
            if let PieceKind::Capture { slot, defaults, rotation, generated: None, .. } = &piece.kind {
                let name = slot.map_or("_", |slot| program.name(slot));
                if defaults.is_empty() {
                    missing = true;
                    findings.push(no_value(options.side, piece, name));
                } else if defaults.len() > 1 && rotation.is_none() {
                    let text = format!("outside a loop only the first of the {} defaults is said", defaults.len());
                    findings.push(Diagnostic::warning(piece.place, text).help("put the line into a `repeat`"));
                }
            }
            if message.form == Form::Text && options.carrier == Carrier::Stream && holds_lf(&piece.kind) {
                findings.push(
                    Diagnostic::error(piece.place, "a value with a line ending in it cannot stand in a text line")
                        .help("say it with `raw:`"),
                );
            }
        }
        if missing {
            continue;
        }
        for (piece, default, rival) in program::misheard(program, index, Depends::Nothing, &mut Scratch::new()) {
            let line = source.mention(program.messages[rival].place.line);
            findings.push(misheard(message, message.pieces.get(piece), default, &line, &options.secrets));
        }
    }
    findings
}

fn no_value(side: Side, piece: &Piece, name: &str) -> Diagnostic {
    let message = format!("the {side} must say {{{name}}}, but nothing gives it a value");
    let help = match name {
        "_" => "write {_=…}".to_owned(),
        "play" => "`load` gives each play its number; elsewhere write {play=…} or pass --set play=…".to_owned(),
        _ => format!("write {{{name}=…}} or pass --set {name}=…"),
    };
    Diagnostic::error(piece.place, message).help(help)
}

fn misheard(
    message: &Message,
    // An empty line has none.
    piece: Option<&Piece>,
    default: usize,
    line: &str,
    secrets: &[Secret],
) -> Diagnostic {
    let text = match piece.map(|piece| &piece.kind) {
        Some(PieceKind::Capture { defaults, .. }) => show_hiding(&defaults[default], secrets),
        _ => {
            let literals = message.pieces.iter().filter_map(|piece| match &piece.kind {
                PieceKind::Literal(literal) => Some(&literal[..]),
                _ => None,
            });
            show_hiding(&literals.collect::<Vec<_>>().concat(), secrets)
        }
    };
    let place = piece.map_or(message.place, |piece| piece.place);
    Diagnostic::error(place, format!("`{text}` would be heard as {line}"))
        .help("at a choice the first line that fits is taken: say something that only this one takes")
}

/// Whether some name may have a value with a line ending in it.
pub(super) fn may_break_lines(program: &Program, eol: Eol) -> bool {
    let holes = |message: &Message| message.pieces.iter().any(|piece| matches!(piece.kind, PieceKind::Capture { .. }));
    eol == Eol::None
        || program.ops.iter().any(|op| matches!(op, Op::Set { .. } | Op::Let { .. }))
        || program.messages.iter().any(|message| {
            message.form != Form::Text && holes(message) || message.pieces.iter().any(|piece| holds_lf(&piece.kind))
        })
}

pub(super) fn holds_lf(kind: &PieceKind) -> bool {
    match kind {
        PieceKind::Literal(bytes) => bytes.contains(&b'\n'),
        PieceKind::Capture { defaults, generated, .. } => {
            defaults.iter().any(|default| default.contains(&b'\n'))
                || match generated.as_deref() {
                    Some(Generated::Repeated(bytes)) => bytes.contains(&b'\n'),
                    Some(Generated::Made(made)) => made.may_break_lines(),
                    None => false,
                }
        }
        _ => false,
    }
}
