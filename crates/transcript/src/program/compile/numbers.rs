//! Numbers as protocols write them: the digits of a name stand in one slot, the bytes that it is written as in another.

use super::Compiler;
use crate::diagnostic::{Diagnostic, Span};
use crate::function::Function;
use crate::names::Role;
use crate::notation::show;
use crate::number::Number;
use crate::program::{Literal, Op, Pattern, Piece, PieceKind, Recipe};
use crate::syntax::{self, Hole, Statement, Template, throughout};
use crate::values::given_slot;

impl Compiler<'_> {
    /// Notes which numbers with a value are written how.
    pub(super) fn collect_written(&mut self, body: &[Statement]) {
        for (hole, place) in throughout(body).flat_map(Statement::templates).flat_map(Template::holes) {
            if let syntax::Pattern::Number(number) = hole.pattern
                && (self.roles.of(place) == Role::Value || self.listens_for(&hole.name).is_some())
            {
                self.written.entry(hole.name.clone()).or_default().insert(number);
            }
        }
    }

    /// Numbers that each play is given are written before it begins.
    pub(super) fn write_all_given(&mut self) {
        for (name, numbers) in self.written.clone() {
            numbers.into_iter().for_each(|number| self.write_given(&name, number));
        }
    }

    pub(super) fn write_given(&mut self, name: &str, number: Number) {
        let written = written_as(name, number);
        if let Some(&slot) = self.given.get(name)
            && !self.given.contains_key(&written)
        {
            self.given.insert(written.clone(), given_slot(self.program.given.len()));
            self.program.given.push(written);
            let place = Span { line: 1, column: 1, width: 1 };
            let value = vec![Piece { place, kind: PieceKind::Value(slot) }];
            self.program.recipes.push(Recipe { function: Some(Function::Write(number)), key: vec![], value });
        }
    }

    /// Behind what gives a name its value: the bytes as which it is written further down, except those that are there.
    pub(super) fn write(&mut self, place: Span, name: &str, there: Option<Number>) {
        for number in self.written.get(name).cloned().unwrap_or_default() {
            if Some(number) != there {
                let value = vec![Piece { place, kind: PieceKind::Value(self.slot(name)) }];
                let slot = self.slot(&written_as(name, number));
                self.emit(place, Op::Let { slot, function: Function::Write(number), key: vec![], value });
            }
        }
    }

    /// Behind a message: numbers that it had as they are written get their digits, and the other way round.
    pub(super) fn take_heard(&mut self, place: Span) {
        for (name, number) in std::mem::take(&mut self.heard) {
            if let Some(number) = number {
                let value = vec![Piece { place, kind: PieceKind::Value(self.slot(&written_as(&name, number))) }];
                let slot = self.slot(&name);
                self.emit(place, Op::Let { slot, function: Function::Read(number), key: vec![], value });
            }
            self.write(place, &name, number);
        }
    }

    /// A number that is not written in decimal digits: its slot has the bytes as they are written.
    pub(super) fn number(&mut self, place: Span, hole: &Hole, number: Number, role: Role, ours: bool) -> PieceKind {
        if let Some(value) = self.constants.get(&hole.name).filter(|_| role != Role::Ignored) {
            let Some(bytes) = number.write(value) else {
                let message = if value.is_empty() {
                    format!("{{{}}} is empty, and should be a number that fits into {number}", hole.name)
                } else {
                    format!("{{{}}} is `{}`, which is no number that fits into {number}", hole.name, show(value))
                };
                let help = "a number is decimal digits; `let` counts: length {text}";
                self.findings.push(Diagnostic::error(place, message).help(help));
                return PieceKind::Literal(Literal::default());
            };
            return PieceKind::Literal(bytes.into());
        }
        let slot = (role != Role::Ignored).then(|| self.slot(&written_as(&hole.name, number)));
        match (role, slot) {
            (Role::Value, Some(slot)) => PieceKind::Value(slot),
            (Role::Same, Some(slot)) => PieceKind::Same { slot, pattern: Pattern::Number(number) },
            _ => {
                if let Some(slot) = slot {
                    self.heard.push((hole.name.clone(), Some(number)));
                    self.here.push((hole.name.clone(), number, slot));
                }
                let defaults: Vec<Vec<u8>> =
                    hole.defaults.iter().filter_map(|default| number.write(&default.bytes)).collect();
                let rotation = self.rotation(ours, &defaults);
                PieceKind::Capture { slot, pattern: Pattern::Number(number), defaults, rotation, generated: None }
            }
        }
    }
}

/// What the slot is called that has a number as it is written: no name has a colon.
fn written_as(name: &str, number: Number) -> String {
    format!("{name}:{number}")
}
