//! Where a play branches, and where its branches come together again: choices, loops, what may be left out.

use std::collections::HashMap;

use super::Compiler;
use crate::Side;
use crate::diagnostic::Span;
use crate::program::{Aside, Choice, FastPath, Fork, Op, Pc, Table};
use crate::syntax::{Branch, Case, FIRST, Form, Statement, StatementKind, Template};

impl Compiler<'_> {
    /// Lines that may be left out.
    pub(super) fn maybe(&mut self, place: Span, body: &[Statement], ours: bool) {
        self.over(place, body.first().map_or(FIRST, |first| first.connection));
        let head = self.choice(place);
        if let Op::Choice(index) = self.program.ops[head] {
            self.program.choices[index].is_own_maybe = ours;
        }
        let start = self.here();
        self.block(body);
        let jump = self.emit(place, Op::Jump(0));
        let without = self.emit(place, Op::Jump(0));
        let after = self.join([jump, without]);
        self.fork(head, Fork::Either { branches: vec![start, without], after });
        self.on = None;
    }

    /// A line that must not come: its message, and the end of the play behind it.
    fn forbidden(&mut self, place: Span, side: Side, form: Form, template: &Template) {
        let message = self.message(place, side, form, template, false);
        self.heard.clear();
        let index = self.add_message(message);
        self.emit(place, if side == self.side { Op::Say(index) } else { Op::Hear(index) });
        self.emit(place, Op::Forbidden);
    }

    /// What the other side may begin at any time.
    pub(super) fn aside(&mut self, place: Span, body: &[Statement]) {
        let over = self.emit(place, Op::Jump(0));
        let outside = self.here();
        let on = self.on.replace(FIRST);
        self.block(body);
        self.on = on;
        self.emit(place, Op::Return);
        let after = self.join([over]);
        let together = matches!(self.program.ops.get(outside), Some(Op::Together));
        let begin = outside + usize::from(together);
        if let Some(Op::Hear(message)) = self.program.ops.get(begin) {
            let message = *message;
            if self.program.asides.is_empty() {
                self.program.returns = self.counter();
            }
            let aside = Aside { message, begin, after, together };
            if self.program.messages[message].form != Form::Text {
                self.program.framed_asides.push(aside);
            }
            self.program.asides.push(aside);
        }
    }

    /// Where it goes on for each value.
    pub(super) fn choose(&mut self, place: Span, name: &Template, cases: &[Case]) {
        let Some(key) = self.pieces(name, place.line, false).into_iter().next() else { return };
        self.program.tables.push(Table { place, key, cases: HashMap::new(), otherwise: None, after: 0 });
        let index = self.program.tables.len() - 1;
        self.emit(place, Op::Choose(index));
        let (on, mut jumps) = (self.on, Vec::new());
        for case in cases {
            // The line of the case is told where it is taken.
            let start = self.emit(case.place, Op::Enter(vec![]));
            match &case.value {
                Some(value) => drop(self.program.tables[index].cases.insert(value.as_slice().into(), start)),
                None => self.program.tables[index].otherwise = Some(start),
            }
            self.on = on;
            self.block(&case.body);
            jumps.push(self.emit(case.place, Op::Jump(0)));
        }
        self.program.tables[index].after = self.join(jumps);
        self.on = None;
    }

    pub(super) fn counted(&mut self, place: Span, times: u32, body: &[Statement]) {
        let counter = self.counter();
        let enter = self.emit(place, Op::Enter(vec![counter]));
        self.places.loops.insert(place.line, enter);
        let skip = (times == 0).then(|| self.emit(place, Op::Jump(0)));
        let first = self.here();
        self.loops.push(enter);
        self.on = None;
        self.block(body);
        self.on = None;
        self.loops.pop();
        self.emit(place, Op::Again { counter, times, body: first });
        self.join(skip);
    }

    /// A fork whose branches are not known yet.
    fn choice(&mut self, place: Span) -> Pc {
        let choice = Choice {
            place,
            kind: Fork::Either { branches: vec![], after: 0 },
            connection: self.on.unwrap_or(FIRST),
            arms: vec![],
            ours: None,
            extra_wait: std::time::Duration::ZERO,
            has_text: false,
            has_lines: false,
            fast_path: FastPath::default(),
            is_own_maybe: false,
        };
        self.program.choices.push(choice);
        let index = self.program.choices.len() - 1;
        self.places.choices.insert(place.line, index);
        self.emit(place, Op::Choice(index))
    }

    fn fork(&mut self, head: Pc, kind: Fork) {
        if let Op::Choice(index) = self.program.ops[head] {
            self.program.choices[index].kind = kind;
        }
    }

    /// A line that may not come instead of what stands below it.
    pub(super) fn not(&mut self, place: Span, side: Side, form: Form, template: &Template) {
        let head = self.choice(place);
        let start = self.here();
        self.forbidden(place, side, form, template);
        let without = self.here();
        self.emit(place, Op::Jump(without + 1));
        self.fork(head, Fork::Either { branches: vec![start, without], after: without + 1 });
    }

    /// A loop that ends when the line below it is said.
    pub(super) fn open_loop(&mut self, place: Span, connection: u8, body: &[Statement]) {
        let enter = self.emit(place, Op::Enter(vec![]));
        self.places.loops.insert(place.line, enter);
        // Each round begins there.
        let top = if self.program.spans { self.emit(place, Op::On(connection)) } else { self.here() };
        let head = self.choice(place);
        self.loops.push(enter);
        self.block(body);
        self.loops.pop();
        self.emit(place, Op::Jump(top));
        let after = self.here();
        self.fork(head, Fork::Loop { body: head + 1, after, ends_file: false });
        self.on = None;
    }

    pub(super) fn either(&mut self, place: Span, connection: u8, branches: &[Branch]) {
        let head = self.choice(place);
        let (mut starts, mut jumps) = (Vec::new(), Vec::new());
        for branch in branches {
            starts.push(self.here());
            self.on = Some(connection);
            match branch.body.as_slice() {
                // Alone in a branch, it is all that the branch is: what follows the choice is not meant.
                [Statement { place, kind: StatementKind::Not { side, form, template }, .. }] => {
                    self.forbidden(*place, *side, *form, template);
                }
                body => self.block(body),
            }
            jumps.push(self.emit(branch.place, Op::Jump(0)));
        }
        let after = self.join(jumps);
        self.fork(head, Fork::Either { branches: starts, after });
        self.on = None;
    }

    /// Lets jumps lead to what comes next: where that is.
    fn join(&mut self, jumps: impl IntoIterator<Item = Pc>) -> Pc {
        let after = self.here();
        for jump in jumps {
            self.program.ops[jump] = Op::Jump(after);
        }
        after
    }
}
