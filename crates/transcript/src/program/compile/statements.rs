//! Statements one after the other: what each of them does when it is played.

use super::Compiler;
use crate::Side;
use crate::diagnostic::{Diagnostic, Span};
use crate::function::Function;
use crate::names::Role;
use crate::program::{
    Connect, FileMessage, Keys, Literal, Literals, Message, Op, Order, Piece, PieceKind, StreamAction,
};
use crate::syntax::{Act, Form, Statement, StatementKind, Template};

impl Compiler<'_> {
    pub(super) fn block(&mut self, body: &[Statement]) {
        // Lines of the other side that may be left out, and may still be on their way while we speak.
        let mut pending: Vec<(Span, &[Statement])> = Vec::new();
        for (index, statement) in body.iter().enumerate() {
            if let StatementKind::Maybe { body } = &statement.kind {
                match body.first().and_then(speaker) {
                    Some(side) if side == self.side => self.maybe(statement.place, body, true),
                    _ => pending.push((statement.place, body)),
                }
                continue;
            }
            if !pending.is_empty() && !self.is_passed_by_maybe(statement) {
                let all = std::mem::take(&mut pending);
                if let StatementKind::Repeat { .. } | StatementKind::Either { .. } = statement.kind
                    && first_speaker(statement) == Some(self.side)
                {
                    self.lost_maybe(all[0].0);
                }
                all.into_iter().for_each(|(place, body)| self.maybe(place, body, false));
            }
            self.statement(statement, body.get(index + 1));
        }
        pending.into_iter().for_each(|(place, body)| self.maybe(place, body, false));
    }

    /// Whether a statement does not wait for the other side, so that what it may have said is heard behind it.
    fn is_passed_by_maybe(&self, statement: &Statement) -> bool {
        match &statement.kind {
            StatementKind::Message { side, .. }
            | StatementKind::File { side, .. }
            | StatementKind::Act { side, .. } => *side == self.side,
            StatementKind::AnyOrder { body } | StatementKind::Together { body } => {
                body.first().and_then(first_speaker) == Some(self.side)
            }
            StatementKind::Set { .. } | StatementKind::Let { .. } | StatementKind::Fresh { .. } => true,
            _ => false,
        }
    }

    fn lost_maybe(&mut self, place: Span) {
        let message = "what may be left out here could come in the middle of the block below";
        let help = "put a line between them that always comes, or move the `maybe` into the block";
        self.findings.push(Diagnostic::error(place, message).help(help));
    }

    fn statement(&mut self, statement: &Statement, next: Option<&Statement>) {
        let place = statement.place;
        if is_over_connection(&statement.kind) {
            self.over(place, statement.connection);
        }
        match &statement.kind {
            StatementKind::Message { side, form, template } => {
                self.message_statement(place, *side, *form, template, closes_behind(*side, next));
            }
            StatementKind::Act { side, act } => self.act(place, *side, act),
            StatementKind::Connects { side, to } => self.connects(statement, *side, to.as_ref()),
            StatementKind::Choose { name, cases } => self.choose(place, name, cases),
            StatementKind::File { side, path, path_place } => {
                let file = FileMessage { place, side: *side, path: path.clone(), path_place: *path_place };
                self.program.files.push(file);
                self.emit(place, Op::File(self.program.files.len() - 1));
            }
            StatementKind::Set { name, template } => self.set(place, name, template),
            StatementKind::Let { name, function, key, template } => {
                self.compute(place, name, *function, key.as_ref(), template);
            }
            StatementKind::Fresh { .. } => {}
            StatementKind::Not { side, form, template } => self.not(place, *side, *form, template),
            StatementKind::Aside { body } => self.aside(place, body),
            // Where it goes depends on what stands below it.
            StatementKind::Maybe { .. } => {}
            StatementKind::AnyOrder { body } => self.any_order(place, body),
            StatementKind::Together { body } => {
                self.emit(place, Op::Together);
                self.block(body);
                self.emit(place, Op::Apart);
            }
            StatementKind::Repeat { times: None, body } => self.open_loop(place, statement.connection, body),
            StatementKind::Repeat { times: Some(times), body } => self.counted(place, *times, body),
            StatementKind::Either { branches } => self.either(place, statement.connection, branches),
            StatementKind::Tls(tls) => {
                self.emit(place, Op::Tls(tls.clone()));
            }
            StatementKind::Wrong => {
                self.emit(place, Op::Wrong);
            }
        }
    }

    /// A line: one side says it, the other hears it. `to_end` says that nothing but the end of the stream ends it.
    fn message_statement(&mut self, place: Span, side: Side, form: Form, template: &Template, to_end: bool) {
        self.listen(place, side, template);
        let message = self.message(place, side, form, template, to_end);
        let index = self.add_message(message);
        self.emit(place, if side == self.side { Op::Say(index) } else { Op::Hear(index) });
        self.take_heard(place);
    }

    /// Puts a message down: its index.
    pub(super) fn add_message(&mut self, message: Message) -> usize {
        let index = self.program.messages.len();
        self.places.messages.insert(message.place.line, index);
        self.program.messages.push(message);
        index
    }

    fn act(&mut self, place: Span, side: Side, act: &Act) {
        let action = match act {
            Act::Closes => StreamAction::Close,
            Act::StopsSending => StreamAction::StopSending,
            Act::Resets => StreamAction::Reset,
            Act::Waits(time) => {
                self.emit(place, if side == self.side { Op::Pause(*time) } else { Op::ExtraWait(*time) });
                return;
            }
        };
        self.emit(place, if side == self.side { Op::Do(action) } else { Op::Expect(action) });
        if action != StreamAction::StopSending {
            self.on = None;
        }
    }

    /// A further connection; where it goes may be a value, which then has a slot even if it is known before.
    fn connects(&mut self, statement: &Statement, side: Side, to: Option<&Template>) {
        let (place, connection) = (statement.place, statement.connection);
        let name = to.and_then(|to| to.names().next());
        if let Some(name) = name
            && let Some(value) = self.constants.get(name).map(Literal::clone)
        {
            let (slot, kind) = (self.slot(name), PieceKind::Literal(value));
            self.emit(place, Op::Set { slot, value: vec![Piece { place, kind }] });
        }
        let to = name.map(|name| self.slot(name));
        self.emit(place, Op::Connect(Connect { connection, ours: side == self.side, to }));
        self.on = Some(connection);
    }

    fn set(&mut self, place: Span, name: &str, template: &Template) {
        if self.is_constant(name) {
            return;
        }
        let value = self.pieces(template, place.line, false);
        let slot = self.slot(name);
        self.emit(place, Op::Set { slot, value });
        self.write(place, name, None);
    }

    fn compute(&mut self, place: Span, name: &str, function: Function, key: Option<&Template>, template: &Template) {
        if self.is_constant(name) {
            return;
        }
        let key = key.map_or(vec![], |key| self.pieces(key, place.line, false));
        let value = self.pieces(template, place.line, false);
        let slot = self.slot(name);
        self.emit(place, Op::Let { slot, function, key, value });
        self.write(place, name, None);
    }

    fn any_order(&mut self, place: Span, body: &[Statement]) {
        let mut messages = Vec::new();
        let mut ours = false;
        let counter = self.program.counters;
        let counters: Vec<usize> = (0..=body.len().div_ceil(32)).map(|_| self.counter()).collect();
        let came = counter + body.len().div_ceil(32);
        self.emit(place, Op::Enter(counters));
        // The tour of a line's defaults belongs to the loop around, not to the block.
        for statement in body {
            let StatementKind::Message { side, form, template } = &statement.kind else { continue };
            ours = *side == self.side;
            let message = self.message(statement.place, *side, *form, template, false);
            messages.push(self.add_message(message));
        }
        let framed = |message: &usize| self.program.messages[*message].form == Form::Text;
        if let Some(other) = messages.iter().find(|message| framed(message) != framed(&messages[0])) {
            let place = self.program.messages[*other].place;
            let text = "lines in any order are either all text lines or none of them: where one ends cannot be told";
            self.findings.push(Diagnostic::error(place, text).help("frame the lines of the block alike"));
        }
        if messages.is_empty() {
            // The block was refused; there is nothing to play.
            self.emit(place, Op::Wrong);
            return;
        }
        // They were put down one behind the other.
        let own = &self.program.messages[messages[0]..][..messages.len()];
        let literals = if ours { None } else { Literals::new(own) };
        let keys = if ours || literals.is_some() { None } else { Keys::new(own) };
        self.program.orders.push(Order { messages, counter, ours, literals, keys, came });
        self.emit(place, Op::AnyOrder(self.program.orders.len() - 1));
        self.take_heard(place);
    }

    /// Before a message of ours that first says a port at which we listen: from here on we do.
    fn listen(&mut self, place: Span, side: Side, template: &Template) {
        if side != self.side {
            return;
        }
        for (hole, at) in template.holes() {
            if self.roles.of(at) == Role::Capture
                && let Some(connection) = self.listens_for(&hole.name)
            {
                let slot = self.slot(&hole.name);
                self.emit(place, Op::Listen { slot, connection });
                self.write(place, &hole.name, None);
            }
        }
    }
}

/// Whose a message is.
fn speaker(statement: &Statement) -> Option<Side> {
    if let StatementKind::Message { side, .. } = statement.kind { Some(side) } else { None }
}

/// Who says the first line of a statement.
fn first_speaker(statement: &Statement) -> Option<Side> {
    match &statement.kind {
        StatementKind::Message { side, .. } | StatementKind::Not { side, .. } | StatementKind::File { side, .. } => {
            Some(*side)
        }
        StatementKind::Repeat { body, .. }
        | StatementKind::AnyOrder { body }
        | StatementKind::Together { body }
        | StatementKind::Maybe { body } => body.iter().find_map(first_speaker),
        StatementKind::Either { branches } => {
            branches.iter().find_map(|branch| branch.body.iter().find_map(first_speaker))
        }
        StatementKind::Choose { cases, .. } => cases.iter().find_map(|case| case.body.iter().find_map(first_speaker)),
        _ => None,
    }
}

/// Whether a statement is about the connection that it stands for.
fn is_over_connection(kind: &StatementKind) -> bool {
    match kind {
        StatementKind::Message { .. }
        | StatementKind::Not { .. }
        | StatementKind::File { .. }
        | StatementKind::Tls(_)
        | StatementKind::Either { .. }
        | StatementKind::AnyOrder { .. }
        | StatementKind::Together { .. }
        | StatementKind::Repeat { times: None, .. } => true,
        StatementKind::Act { act, .. } => !matches!(act, Act::Waits(_)),
        _ => false,
    }
}

/// Whether the side that has spoken ends its stream by the next statement.
fn closes_behind(side: Side, next: Option<&Statement>) -> bool {
    matches!(next.map(|next| &next.kind),
        Some(StatementKind::Act { side: closer, act: Act::Closes | Act::StopsSending }) if *closer == side)
}
