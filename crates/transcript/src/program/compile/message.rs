//! A message: its pieces, what each hole takes and what is said in its place, and the shape that it is matched by.

use std::sync::Arc;

use super::Compiler;
use crate::Side;
use crate::diagnostic::{Diagnostic, Span};
use crate::names::Role;
use crate::notation::show;
use crate::pattern::{Count, Regex, count_in};
use crate::program::{
    Depends, FastPath, Generated, Literal, MOST_SAID, Message, Pattern, Piece, PieceKind, Shape, matcher,
};
use crate::syntax::{self, Form, Hole, Template, TemplatePart, TemplatePartKind};
use crate::values::{Scratch, given_index};

/// Most bytes of text that stand in a program twice, for speed.
const MOST_COPIED: usize = 32 * 1024 * 1024;

impl Compiler<'_> {
    pub(super) fn message(
        &mut self,
        place: Span,
        side: Side,
        form: Form,
        template: &Template,
        to_end: bool,
    ) -> Message {
        let pieces = coalesced(self.pieces(template, place.line, side == self.side));
        self.here.clear();
        if matcher::text_length(&pieces, &Scratch::default()).is_none_or(|length| length > MOST_SAID) {
            let message = "with its values filled in, this line is longer than 32 MiB";
            self.findings.push(Diagnostic::error(place, message).help("set a shorter value, or say it in parts"));
        }
        let shape = self.shape(&pieces);
        let of = |slot: usize| if given_index(slot).is_some() { Depends::Given } else { Depends::Play };
        let depends = pieces.iter().map(|piece| match &piece.kind {
            PieceKind::Value(slot) => of(*slot),
            PieceKind::Capture { pattern: Pattern::BytesOf(count), .. } => of(count.slot),
            PieceKind::Same { .. } | PieceKind::Capture { generated: Some(_), .. } => Depends::Play,
            PieceKind::Literal(_) | PieceKind::Capture { .. } => Depends::Nothing,
        });
        let depends = depends.max().unwrap_or(Depends::Nothing);
        let fold = self.fold && form != Form::Hex;
        Message {
            place,
            side,
            form,
            pieces,
            fold,
            shape,
            rivals: vec![],
            depends,
            to_end,
            fast_path: FastPath::default(),
        }
    }

    pub(super) fn pieces(&mut self, template: &Template, line: usize, ours: bool) -> Vec<Piece> {
        let mut pieces = Vec::with_capacity(template.parts.len());
        for TemplatePart { place, kind } in &template.parts {
            debug_assert_eq!(place.line, line);
            let kind = match kind {
                TemplatePartKind::Literal(bytes) => PieceKind::Literal(bytes.as_slice().into()),
                TemplatePartKind::Hole(hole) => self.hole(*place, hole, ours),
            };
            pieces.push(Piece { place: *place, kind });
        }
        pieces
    }

    fn hole(&mut self, place: Span, hole: &Hole, ours: bool) -> PieceKind {
        let role = match self.roles.of(place) {
            // It was given its value when we began to listen.
            Role::Capture if ours && self.listens_for(&hole.name).is_some() => Role::Value,
            role => role,
        };
        if let syntax::Pattern::Number(number) = hole.pattern {
            return self.number(place, hole, number, role, ours);
        }
        let slot = match role {
            Role::Ignored => None,
            Role::Value | Role::Same | Role::Capture => {
                if let Some(value) = self.constants.get(&hole.name) {
                    return PieceKind::Literal(Literal::clone(value));
                }
                Some(self.slot(&hole.name))
            }
        };
        match (role, slot) {
            (Role::Value, Some(slot)) => PieceKind::Value(slot),
            (Role::Same, Some(slot)) => PieceKind::Same { slot, pattern: self.pattern(place, hole) },
            _ => {
                if role == Role::Capture {
                    self.heard.push((hole.name.clone(), None));
                }
                if let Some(made) = self.roles.made(&hole.name) {
                    let pattern = match made.expression() {
                        Ok(expression) => self.expression(&expression),
                        Err(count) => Pattern::Bytes(count),
                    };
                    return PieceKind::Capture {
                        slot,
                        pattern,
                        defaults: vec![],
                        rotation: None,
                        generated: Some(Box::new(Generated::Made(made))),
                    };
                }
                let pattern = self.pattern(place, hole);
                let mut defaults: Vec<Vec<u8>> = hole.defaults.iter().map(|default| default.bytes.clone()).collect();
                let generated =
                    if hole.is_repeated { defaults.pop().map(Generated::Repeated).map(Box::new) } else { None };
                let rotation = self.rotation(ours, &defaults);
                PieceKind::Capture { slot, pattern, defaults, rotation, generated }
            }
        }
    }

    /// The counter of defaults that are said in turn.
    pub(super) fn rotation(&mut self, ours: bool, defaults: &[Vec<u8>]) -> Option<usize> {
        match self.loops.last() {
            Some(&enter) if ours && defaults.len() > 1 => Some(self.counter_of(enter)),
            _ => None,
        }
    }

    /// The expression of what is made anew. It is well formed.
    fn expression(&mut self, source: &str) -> Pattern {
        if let Some(regex) = self.expressions.get(source) {
            return Pattern::Regex(Arc::clone(regex));
        }
        let Ok(regex) = Regex::new(source).map(Arc::new) else { return Pattern::Any };
        self.expressions.insert(source.to_owned(), Arc::clone(&regex));
        Pattern::Regex(regex)
    }

    /// The shape that a message is matched by.
    fn shape(&mut self, pieces: &[Piece]) -> Shape {
        let hole = pieces.iter().position(|piece| !matches!(piece.kind, PieceKind::Literal(_)));
        let Some(hole) = hole else {
            return self.text(pieces).map_or(Shape::General, Shape::Exact);
        };
        let is_open = |piece: &Piece| matches!(piece.kind, PieceKind::Capture { .. } | PieceKind::Same { .. });
        if !pieces.iter().any(is_open) {
            return Shape::Filled;
        }
        match &pieces[hole].kind {
            PieceKind::Capture { slot, pattern, .. }
                if !matches!(pattern, Pattern::BytesOf(_))
                    && pieces[hole + 1..].iter().all(|piece| matches!(piece.kind, PieceKind::Literal(_))) =>
            {
                match (self.text(&pieces[..hole]), self.text(&pieces[hole + 1..])) {
                    (Some(before), Some(after)) => {
                        Shape::OneHole { before, after, slot: *slot, pattern: pattern.clone() }
                    }
                    _ => Shape::General,
                }
            }
            _ => Shape::General,
        }
    }

    /// Pieces of text as one; `None` once too much would be copied for that.
    fn text(&mut self, pieces: &[Piece]) -> Option<Literal> {
        if let [Piece { kind: PieceKind::Literal(text), .. }] = pieces {
            return Some(Literal::clone(text));
        }
        let length = matcher::text_length(pieces, &Scratch::default())?;
        self.copied = self.copied.saturating_add(length);
        if self.copied > MOST_COPIED {
            return None;
        }
        let mut text = Vec::with_capacity(length);
        for piece in pieces {
            if let PieceKind::Literal(bytes) = &piece.kind {
                text.extend_from_slice(bytes);
            }
        }
        Some(text.into())
    }

    /// A hole's pattern, with the slot of a name that counts bytes, or the number if that is a constant.
    fn pattern(&mut self, place: Span, hole: &Hole) -> Pattern {
        let name = match &hole.pattern {
            syntax::Pattern::Any => return Pattern::Any,
            syntax::Pattern::Word => return Pattern::Word,
            syntax::Pattern::Int => return Pattern::Int,
            syntax::Pattern::Regex(regex) => return Pattern::Regex(regex.clone()),
            syntax::Pattern::Bytes(count) => return Pattern::Bytes(*count),
            // Those are made apart.
            syntax::Pattern::Number(number) => return Pattern::Number(*number),
            syntax::Pattern::BytesOf(name) => name,
        };
        if let Some(&(_, number, slot)) = self.here.iter().find(|(here, ..)| here == name) {
            return Pattern::BytesOf(Box::new(Count { slot, number: Some(number) }));
        }
        let Some(value) = self.constants.get(name) else {
            return Pattern::BytesOf(Box::new(Count { slot: self.slot(name), number: None }));
        };
        let Some(count) = count_in(value) else {
            let message = if value.is_empty() {
                format!("{{{name}}} is empty, and should be a number of bytes")
            } else {
                format!("{{{name}}} is `{}`, which is no number of bytes", show(value))
            };
            self.findings.push(Diagnostic::error(place, message).help("give it digits only, at most 16 MiB"));
            return Pattern::Any;
        };
        let wrong = hole.defaults.iter().find(|default| default.bytes.len() != count).filter(|_| !hole.is_repeated);
        if let Some(wrong) = wrong {
            let message = format!("the default is {} bytes long, and {{{name}}} is {count}", wrong.bytes.len());
            self.findings.push(Diagnostic::error(wrong.place, message).help("let `let` count it: length {text}"));
        }
        Pattern::Bytes(count)
    }
}

/// Pieces that a message may have before small ones of text are put together: each of them is looked at again with every
/// part of the message that comes.
const MANY_PIECES: usize = 1024;

/// Longer text stands as it is: it may be shared.
const SMALL: usize = 64;

/// Puts text in many small pieces, as `{0x01}{0x02}…` is, together. An account of what differs is then less exact.
fn coalesced(pieces: Vec<Piece>) -> Vec<Piece> {
    if pieces.len() < MANY_PIECES {
        return pieces;
    }
    let mut all: Vec<Piece> = Vec::new();
    let mut open: Option<(Span, Vec<u8>)> = None;
    let close = |open: &mut Option<(Span, Vec<u8>)>, all: &mut Vec<Piece>| {
        if let Some((place, text)) = open.take() {
            all.push(Piece { place, kind: PieceKind::Literal(text.into()) });
        }
    };
    for piece in pieces {
        match piece.kind {
            PieceKind::Literal(text) if text.len() <= SMALL => {
                open.get_or_insert_with(|| (piece.place, Vec::new())).1.extend_from_slice(&text);
            }
            _ => {
                close(&mut open, &mut all);
                all.push(piece);
            }
        }
    }
    close(&mut open, &mut all);
    all
}
