//! From the tree to operations.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{
    Aside, Choice, Connect, Deed, Depends, FileMessage, Fork, Keys, Literal, Literals, MOST_SAID, Message, Op, Order,
    Pattern, Pc, Piece, PieceKind, Places, Program, Recipe, Rounds, Shape, Table, Unwritten, choices, matcher, plan,
    reach,
};
use crate::Side;
use crate::diagnostic::{Diagnostic, Source, Span};
use crate::function::Function;
use crate::names::{self, Role, Roles};
use crate::notation::show;
use crate::number::Number;
use crate::pattern::{Count, Regex, count_in};
use crate::syntax::{
    Act, Case, FIRST, Form, Hole, Settings, Statement, StatementKind, Template, TemplatePart, TemplatePartKind,
    throughout,
};
use crate::values::{MOST_VALUES, Scratch, given_index, given_slot};

/// What is given from outside; it wins over `set`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outside<'a> {
    /// The values that names have in every play.
    pub(crate) values: &'a BTreeMap<String, Vec<u8>>,
    /// Names whose values each play is given, in the order in which it is.
    pub(crate) columns: &'a [String],
}

/// Compiles a tree for the side that "we" play. The findings are errors and warnings of structure, the same for both
/// sides; a program with an error among them must not be played.
pub(crate) fn compile(
    body: &[Statement],
    settings: &Settings,
    source: &Source,
    side: Side,
    outside: Outside<'_>,
) -> (Program, Vec<Diagnostic>) {
    let Outside { values, columns } = outside;
    let names: Vec<&str> = values.keys().chain(columns).map(String::as_str).collect();
    // What a play is given wins.
    let values: Vec<(&str, &[u8])> = values
        .iter()
        .filter(|(name, _)| !columns.contains(name))
        .map(|(name, value)| (name.as_str(), value.as_slice()))
        .collect();
    let (roles, _) = names::resolve(body, &names, source);
    let mut compiler = Compiler {
        side,
        roles,
        fold: settings.ignore_case,
        constants: values.iter().map(|(name, value)| ((*name).to_owned(), Literal::from(*value))).collect(),
        outside: values.iter().map(|(name, _)| *name).chain(columns.iter().map(String::as_str)).collect(),
        given: columns.iter().enumerate().map(|(index, name)| (name.clone(), given_slot(index))).collect(),
        findings: vec![],
        slots: BTreeMap::new(),
        program: Program {
            ops: vec![],
            places: vec![],
            messages: vec![],
            choices: vec![],
            orders: vec![],
            files: vec![],
            slots: vec![],
            given: columns.to_vec(),
            recipes: vec![],
            counters: 0,
            tables: vec![],
            spans: throughout(body).any(|statement| matches!(statement.kind, StatementKind::Connects { .. })),
            asides: vec![],
            returns: 0,
            live: vec![],
            needed: vec![],
        },
        loops: vec![],
        places: Places::default(),
        copied: 0,
        written: BTreeMap::new(),
        heard: vec![],
        here: vec![],
        expressions: BTreeMap::new(),
        on: Some(FIRST),
    };
    compiler.collect_written(body);
    compiler.collect_constants(body);
    compiler.write_all_given();
    compiler.begin();
    compiler.block(body);
    let end = body.last().map_or(Span { line: 1, column: 1, width: 1 }, |last| last.place);
    compiler.emit(end, Op::End);
    let Compiler { mut program, slots, places, mut findings, .. } = compiler;
    program.slots = vec![String::new(); slots.len()];
    for (name, slot) in slots {
        // Where a number stands as it is written, it is that number to whoever reads of it.
        program.slots[slot] = name.split(':').next().unwrap_or_default().to_owned();
    }
    findings.extend(choices::resolve(&mut program, source));
    plan::choose(&mut program, body, side, &places);
    reach::mark_live(&mut program);
    (program, findings)
}

type Constants = BTreeMap<String, Literal>;

/// Longest value that stands in messages as text, in bytes: it is looked at for each of them.
const LONGEST_CONSTANT: usize = 64 * 1024;

struct Compiler<'a> {
    side: Side,
    roles: Roles,
    /// Whether ASCII letters of literal text match in either case; letters of values never do.
    fold: bool,
    /// The names that get their values from outside, whatever the file says.
    outside: BTreeSet<&'a str>,
    /// The slots of names whose values each play is given, or that are made of these.
    given: BTreeMap<String, usize>,
    findings: Vec<Diagnostic>,
    /// Names with one value for the whole file: it stands in the messages as text.
    constants: Constants,
    slots: BTreeMap<String, usize>,
    program: Program,
    /// The loops around the statement: the `Enter` operation of each, which resets counters.
    loops: Vec<Pc>,
    places: Places,
    /// Bytes of text that stand in the program twice.
    copied: usize,
    /// How numbers are written whose values are known before: whenever such a name gets its value, a slot of its own gets
    /// the bytes.
    written: BTreeMap<String, BTreeSet<Number>>,
    /// What messages and blocks in hand give their values: the name, and how it stands there if it is written as a number.
    heard: Vec<(String, Option<Number>)>,
    /// The numbers of the message in hand, and the slots that have their bytes.
    here: Vec<(String, Number, usize)>,
    /// The expressions of what is made anew.
    expressions: BTreeMap<String, Arc<Regex>>,
    /// The connection over which the play goes here, where that is the same on every way.
    on: Option<u8>,
}

/// Most bytes of text that stand in a program twice, for speed.
const MOST_COPIED: usize = 32 * 1024 * 1024;

impl Compiler<'_> {
    /// A name that one `set` or `let` gives, from nothing but text and constants, is a constant.
    fn collect_constants(&mut self, body: &[Statement]) {
        let sets: Vec<(&str, &Statement)> =
            throughout(body).filter_map(|statement| Some((statement.sets()?, statement))).collect();
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for (name, _) in &sets {
            *times.entry(name).or_default() += 1;
        }
        // Of those that are too long to stand in messages as text only the length is known.
        let mut lengths: BTreeMap<&str, usize> = BTreeMap::new();
        // A file of values made of one another would come to far more than it is long.
        let mut all = 0_usize;
        for (name, statement) in sets {
            if times.get(name) != Some(&1) || self.outside.contains(name) {
                continue;
            }
            if let StatementKind::Set { template, .. } = &statement.kind
                && let Some(length) = self.constant_length(template, &lengths)
                && (length > LONGEST_CONSTANT || all.saturating_add(length) > MOST_VALUES)
            {
                if length > MOST_VALUES {
                    let message =
                        format!("{{{name}}} would be {length} bytes long, and all values together hold 16 MiB");
                    let help = "a value that doubles again and again soon fills any memory: set a shorter one";
                    self.findings.push(Diagnostic::error(statement.place, message).help(help));
                }
                lengths.insert(name, length.min(MOST_VALUES));
                continue;
            }
            if let Some(recipe) = self.recipe(statement) {
                self.given.insert(name.to_owned(), given_slot(self.program.given.len()));
                self.program.given.push(name.to_owned());
                self.program.recipes.push(recipe);
                continue;
            }
            let value = match &statement.kind {
                StatementKind::Set { template, .. } => self.constant(template),
                StatementKind::Let { function, key, template, .. } => {
                    let key = key.as_ref().map_or(Some(vec![]), |key| self.constant(key));
                    match key.zip(self.constant(template)).map(|(key, value)| function.apply(&key, &value)) {
                        Some(Ok(made)) => Some(made),
                        Some(Err(why)) => {
                            let help = match function {
                                Function::Sum | Function::Difference => format!(
                                    "write numbers with spaces between them, and no signs: `{function} {{a}} 4`"
                                ),
                                _ => format!("`{function}` reads what was encoded before"),
                            };
                            self.findings.push(Diagnostic::error(statement.place, why.to_string()).help(help));
                            None
                        }
                        None => None,
                    }
                }
                _ => None,
            };
            let fits =
                |value: &Vec<u8>| value.len() <= LONGEST_CONSTANT && all.saturating_add(value.len()) <= MOST_VALUES;
            if let Some(value) = value.filter(fits) {
                all += value.len();
                self.constants.insert(name.to_owned(), value.into());
            }
        }
    }

    /// How a value is made that depends on nothing but text, constants, and something that each play is given.
    fn recipe(&mut self, statement: &Statement) -> Option<Recipe> {
        let none = Template::default();
        let (function, key, template) = match &statement.kind {
            StatementKind::Set { template, .. } => (None, &none, template),
            StatementKind::Let { function, key, template, .. } => {
                (Some(*function), key.as_ref().unwrap_or(&none), template)
            }
            _ => return None,
        };
        let names = || {
            let parts = key.parts.iter().chain(&template.parts);
            parts.filter_map(|part| if let TemplatePartKind::Hole(hole) = &part.kind { Some(&hole.name) } else { None })
        };
        let is_known = |name: &String| self.given.contains_key(name) || self.constants.contains_key(name);
        if !names().any(|name| self.given.contains_key(name)) || !names().all(is_known) {
            return None;
        }
        for part in key.parts.iter().chain(&template.parts) {
            if let TemplatePartKind::Hole(Hole { name, pattern: crate::syntax::Pattern::Number(number), .. }) =
                &part.kind
            {
                self.write_given(name, *number);
            }
        }
        let line = statement.place.line;
        let (key, value) = (self.pieces(key, line, false), self.pieces(template, line, false));
        Some(Recipe { function, key, value })
    }

    /// How long the value of a template is that holds nothing but text and names whose values are known.
    fn constant_length(&self, template: &Template, lengths: &BTreeMap<&str, usize>) -> Option<usize> {
        template.parts.iter().try_fold(0_usize, |sum, part| {
            let length = match &part.kind {
                TemplatePartKind::Literal(bytes) => bytes.len(),
                TemplatePartKind::Hole(hole) => {
                    let constant = self.constants.get(&hole.name).map(|value| value.len());
                    constant.or_else(|| lengths.get(hole.name.as_str()).copied())?
                }
            };
            Some(sum.saturating_add(length))
        })
    }

    /// The bytes of a template that holds nothing but text and constants.
    fn constant(&self, template: &Template) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for part in &template.parts {
            match &part.kind {
                TemplatePartKind::Literal(more) => bytes.extend_from_slice(more),
                TemplatePartKind::Hole(hole) => {
                    let value = self.constants.get(&hole.name)?;
                    match hole.pattern {
                        // One that does not fit is told where the value is used.
                        crate::syntax::Pattern::Number(number) => bytes.extend(number.write(value)?),
                        _ => bytes.extend_from_slice(value),
                    }
                }
            }
        }
        Some(bytes)
    }

    /// Where letters of literal text match in either case, those of a value do not: there values stand apart from text.
    /// So do values from outside that are too long to stand in every message that has them.
    fn begin(&mut self) {
        let place = Span { line: 1, column: 1, width: 1 };
        let values = self.constants.iter().filter(|(name, _)| self.outside.contains(name.as_str()));
        let all = values.map(|(_, value)| value.len()).fold(0, usize::saturating_add);
        if all > MOST_VALUES {
            let message = format!("the values that are given are {all} bytes long together, and a play holds 16 MiB");
            self.findings.push(Diagnostic::error(place, message).help("a larger body is a file: `S file: body.bin`"));
            return;
        }
        let apart = |value: &Literal| self.fold || value.len() > LONGEST_CONSTANT;
        let (apart, constants): (Constants, Constants) =
            std::mem::take(&mut self.constants).into_iter().partition(|(_, value)| apart(value));
        self.constants = constants;
        for (name, bytes) in apart {
            let slot = self.slot(&name);
            self.emit(place, Op::Set { slot, value: vec![Piece { place, kind: PieceKind::Literal(bytes) }] });
            self.write(place, &name, None);
        }
    }

    /// Notes which numbers with a value are written how.
    fn collect_written(&mut self, body: &[Statement]) {
        for (hole, place) in throughout(body).flat_map(Statement::templates).flat_map(Template::holes) {
            if let crate::syntax::Pattern::Number(number) = hole.pattern
                && (self.roles.of(place) == Role::Value || self.listens_for(&hole.name).is_some())
            {
                self.written.entry(hole.name.clone()).or_default().insert(number);
            }
        }
    }

    /// Numbers that each play is given are written before it begins.
    fn write_all_given(&mut self) {
        for (name, numbers) in self.written.clone() {
            numbers.into_iter().for_each(|number| self.write_given(&name, number));
        }
    }

    fn write_given(&mut self, name: &str, number: Number) {
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
    fn write(&mut self, place: Span, name: &str, there: Option<Number>) {
        for number in self.written.get(name).cloned().unwrap_or_default() {
            if Some(number) != there {
                let value = vec![Piece { place, kind: PieceKind::Value(self.slot(name)) }];
                let slot = self.slot(&written_as(name, number));
                self.emit(place, Op::Let { slot, function: Function::Write(number), key: vec![], value });
            }
        }
    }

    /// Behind a message: numbers that it had as they are written get their digits, and the other way round.
    fn take_heard(&mut self, place: Span) {
        for (name, number) in std::mem::take(&mut self.heard) {
            if let Some(number) = number {
                let value = vec![Piece { place, kind: PieceKind::Value(self.slot(&written_as(&name, number))) }];
                let slot = self.slot(&name);
                self.emit(place, Op::Let { slot, function: Function::Read(number), key: vec![], value });
            }
            self.write(place, &name, number);
        }
    }

    fn emit(&mut self, place: Span, op: Op) -> Pc {
        self.program.ops.push(op);
        self.program.places.push(place);
        self.program.ops.len() - 1
    }

    /// What follows is about this connection.
    fn over(&mut self, place: Span, connection: u8) {
        if self.program.spans && self.on != Some(connection) {
            self.emit(place, Op::On(connection));
        }
        self.on = Some(connection);
    }

    /// The connection for which we listen at the port whose number a name has, if we do.
    fn listens_for(&self, name: &str) -> Option<u8> {
        self.roles.listens(name).filter(|(side, _)| *side == self.side).map(|(_, connection)| connection)
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

    fn here(&self) -> Pc {
        self.program.ops.len()
    }

    fn block(&mut self, body: &[Statement]) {
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

    /// Lines that may be left out.
    fn maybe(&mut self, place: Span, body: &[Statement], ours: bool) {
        self.over(place, body.first().map_or(FIRST, |first| first.connection));
        let head = self.choice(place);
        if let Op::Choice(index) = self.program.ops[head] {
            self.program.choices[index].is_own_maybe = ours;
        }
        let start = self.here();
        self.block(body);
        let jump = self.emit(place, Op::Jump(0));
        let without = self.emit(place, Op::Jump(0));
        let after = self.here();
        for jump in [jump, without] {
            self.program.ops[jump] = Op::Jump(after);
        }
        self.fork(head, Fork::Either { branches: vec![start, without], after });
        self.on = None;
    }

    /// A line that must not come: its message, and the end of the play behind it.
    fn forbidden(&mut self, place: Span, side: Side, form: Form, template: &Template) {
        let message = self.message(place, side, form, template, false);
        self.heard.clear();
        self.program.messages.push(message);
        let index = self.program.messages.len() - 1;
        self.places.messages.insert(place.line, index);
        self.emit(place, if side == self.side { Op::Say(index) } else { Op::Hear(index) });
        self.emit(place, Op::Forbidden);
    }

    /// What the other side may begin at any time.
    fn aside(&mut self, place: Span, body: &[Statement]) {
        let over = self.emit(place, Op::Jump(0));
        let begin = self.here();
        let on = self.on.replace(FIRST);
        self.block(body);
        self.on = on;
        self.emit(place, Op::Return);
        let after = self.here();
        self.program.ops[over] = Op::Jump(after);
        if let Some(Op::Hear(message)) = self.program.ops.get(begin) {
            let message = *message;
            if self.program.asides.is_empty() {
                self.program.returns = self.counter();
            }
            self.program.asides.push(Aside { message, begin, after });
        }
    }

    fn statement(&mut self, statement: &Statement, next: Option<&Statement>) {
        let place = statement.place;
        let has_connection = match &statement.kind {
            StatementKind::Message { .. }
            | StatementKind::Not { .. }
            | StatementKind::File { .. }
            | StatementKind::StartTls
            | StatementKind::Either { .. }
            | StatementKind::AnyOrder { .. }
            | StatementKind::Together { .. }
            | StatementKind::Repeat { times: None, .. } => true,
            StatementKind::Act { act, .. } => !matches!(act, Act::Waits(_)),
            _ => false,
        };
        if has_connection {
            self.over(place, statement.connection);
        }
        match &statement.kind {
            StatementKind::Message { side, form, template } => {
                self.listen(place, *side, template);
                let to_end = matches!(next.map(|next| &next.kind),
                    Some(StatementKind::Act { side: closer, act: Act::Closes | Act::StopsSending }) if closer == side);
                let message = self.message(place, *side, *form, template, to_end);
                self.program.messages.push(message);
                let index = self.program.messages.len() - 1;
                self.places.messages.insert(place.line, index);
                self.emit(place, if *side == self.side { Op::Say(index) } else { Op::Hear(index) });
                self.take_heard(place);
            }
            StatementKind::Act { side, act } => {
                let deed = match act {
                    Act::Closes => Deed::Close,
                    Act::StopsSending => Deed::StopSending,
                    Act::Resets => Deed::Reset,
                    Act::Waits(time) => {
                        self.emit(place, if *side == self.side { Op::Pause(*time) } else { Op::Patience(*time) });
                        return;
                    }
                };
                self.emit(place, if *side == self.side { Op::Do(deed) } else { Op::Expect(deed) });
                if deed != Deed::StopSending {
                    self.on = None;
                }
            }
            StatementKind::Connects { side, to } => {
                let name = to.as_ref().and_then(|to| to.names().next());
                if let Some(name) = name
                    && let Some(value) = self.constants.get(name).map(Literal::clone)
                {
                    let (slot, kind) = (self.slot(name), PieceKind::Literal(value));
                    self.emit(place, Op::Set { slot, value: vec![Piece { place, kind }] });
                }
                let to = name.map(|name| self.slot(name));
                let (connection, ours) = (statement.connection, *side == self.side);
                self.emit(place, Op::Connect(Connect { connection, ours, to }));
                self.on = Some(connection);
            }
            StatementKind::Choose { name, cases } => self.choose(place, name, cases),
            StatementKind::File { side, path, path_place } => {
                let file = FileMessage { place, side: *side, path: path.clone(), path_place: *path_place };
                self.program.files.push(file);
                self.emit(place, Op::File(self.program.files.len() - 1));
            }
            StatementKind::Set { name, template } => {
                if !self.is_constant(name) {
                    let value = self.pieces(template, place.line, false);
                    let slot = self.slot(name);
                    self.emit(place, Op::Set { slot, value });
                    self.write(place, name, None);
                }
            }
            StatementKind::Let { name, function, key, template } => {
                if !self.is_constant(name) {
                    let key = key.as_ref().map_or(vec![], |key| self.pieces(key, place.line, false));
                    let value = self.pieces(template, place.line, false);
                    let slot = self.slot(name);
                    self.emit(place, Op::Let { slot, function: *function, key, value });
                    self.write(place, name, None);
                }
            }
            StatementKind::Fresh { .. } => {}
            StatementKind::Not { side, form, template } => {
                let head = self.choice(place);
                let start = self.here();
                self.forbidden(place, *side, *form, template);
                let without = self.here();
                self.emit(place, Op::Jump(without + 1));
                self.fork(head, Fork::Either { branches: vec![start, without], after: without + 1 });
            }
            StatementKind::Aside { body } => self.aside(place, body),
            // Where it goes depends on what stands below it.
            StatementKind::Maybe { .. } => {}
            StatementKind::AnyOrder { body } => self.any_order(place, body),
            StatementKind::Together { body } => {
                self.emit(place, Op::Together);
                self.block(body);
                self.emit(place, Op::Apart);
            }
            StatementKind::Repeat { times: None, body } => {
                let enter = self.emit(place, Op::Enter(vec![]));
                self.places.loops.insert(place.line, enter);
                // Each round begins there.
                let top = if self.program.spans { self.emit(place, Op::On(statement.connection)) } else { self.here() };
                let head = self.choice(place);
                self.loops.push(enter);
                self.block(body);
                self.loops.pop();
                self.emit(place, Op::Jump(top));
                let after = self.here();
                self.fork(head, Fork::Loop { body: head + 1, after, ends_file: false });
                self.on = None;
            }
            StatementKind::Repeat { times: Some(times), body } => self.counted(place, *times, body),
            StatementKind::Either { branches } => {
                let head = self.choice(place);
                let mut starts = Vec::new();
                let mut jumps = Vec::new();
                for branch in branches {
                    starts.push(self.here());
                    self.on = Some(statement.connection);
                    match branch.body.as_slice() {
                        // Alone in a branch, it is all that the branch is: what follows the choice is not meant.
                        [Statement { place, kind: StatementKind::Not { side, form, template }, .. }] => {
                            self.forbidden(*place, *side, *form, template);
                        }
                        body => self.block(body),
                    }
                    jumps.push(self.emit(branch.place, Op::Jump(0)));
                }
                let after = self.here();
                for jump in jumps {
                    self.program.ops[jump] = Op::Jump(after);
                }
                self.fork(head, Fork::Either { branches: starts, after });
                self.on = None;
            }
            StatementKind::StartTls => {
                self.emit(place, Op::StartTls);
            }
            StatementKind::Wrong => {
                self.emit(place, Op::Wrong);
            }
        }
    }

    /// Whether a name keeps one value from the start, so that its `set` or `let` does nothing any more.
    fn is_constant(&self, name: &str) -> bool {
        self.constants.contains_key(name) || self.given.contains_key(name) || self.outside.contains(name)
    }

    /// Where it goes on for each value.
    fn choose(&mut self, place: Span, name: &Template, cases: &[Case]) {
        let Some(key) = self.pieces(name, place.line, false).into_iter().next() else { return };
        self.program.tables.push(Table { place, key, ways: HashMap::new(), otherwise: None });
        let index = self.program.tables.len() - 1;
        self.emit(place, Op::Choose(index));
        let (on, mut jumps) = (self.on, Vec::new());
        for case in cases {
            // The line of the way is told where it is taken.
            let start = self.emit(case.place, Op::Enter(vec![]));
            match &case.value {
                Some(value) => drop(self.program.tables[index].ways.insert(value.as_slice().into(), start)),
                None => self.program.tables[index].otherwise = Some(start),
            }
            self.on = on;
            self.block(&case.body);
            jumps.push(self.emit(case.place, Op::Jump(0)));
        }
        let after = self.here();
        for jump in jumps {
            self.program.ops[jump] = Op::Jump(after);
        }
        self.on = None;
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
            messages.push(self.program.messages.len());
            self.places.messages.insert(statement.place.line, self.program.messages.len());
            let message = self.message(statement.place, *side, *form, template, false);
            self.program.messages.push(message);
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

    fn counted(&mut self, place: Span, times: u32, body: &[Statement]) {
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
        if let Some(skip) = skip {
            self.program.ops[skip] = Op::Jump(self.here());
        }
    }

    /// A fork whose ways are not known yet.
    fn choice(&mut self, place: Span) -> Pc {
        let choice = Choice {
            place,
            kind: Fork::Either { branches: vec![], after: 0 },
            connection: self.on.unwrap_or(FIRST),
            arms: vec![],
            ours: None,
            patience: std::time::Duration::ZERO,
            has_text: false,
            has_lines: false,
            rounds: Rounds::default(),
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

    fn counter(&mut self) -> usize {
        self.program.counters += 1;
        self.program.counters - 1
    }

    fn slot(&mut self, name: &str) -> usize {
        if let Some(&slot) = self.given.get(name) {
            return slot;
        }
        let next = self.slots.len();
        *self.slots.entry(name.to_owned()).or_insert(next)
    }

    fn message(&mut self, place: Span, side: Side, form: Form, template: &Template, to_end: bool) -> Message {
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
            PieceKind::Same { .. } | PieceKind::Capture { unwritten: Some(_), .. } => Depends::Play,
            PieceKind::Literal(_) | PieceKind::Capture { .. } => Depends::Nothing,
        });
        let depends = depends.max().unwrap_or(Depends::Nothing);
        let fold = self.fold && form != Form::Hex;
        Message { place, side, form, pieces, fold, shape, rivals: vec![], depends, to_end, rounds: Rounds::default() }
    }

    fn pieces(&mut self, template: &Template, line: usize, ours: bool) -> Vec<Piece> {
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
        if let crate::syntax::Pattern::Number(number) = hole.pattern {
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
                        tour: None,
                        unwritten: Some(Box::new(Unwritten::Made(made))),
                    };
                }
                let pattern = self.pattern(place, hole);
                let mut defaults: Vec<Vec<u8>> = hole.defaults.iter().map(|default| default.bytes.clone()).collect();
                let unwritten =
                    if hole.is_repeated { defaults.pop().map(Unwritten::Repeated).map(Box::new) } else { None };
                let tour = self.tour(ours, &defaults);
                PieceKind::Capture { slot, pattern, defaults, tour, unwritten }
            }
        }
    }

    /// The counter of defaults that are said in turn.
    fn tour(&mut self, ours: bool, defaults: &[Vec<u8>]) -> Option<usize> {
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

    /// A number that is not written in decimal digits: its slot has the bytes as they are written.
    fn number(&mut self, place: Span, hole: &Hole, number: Number, role: Role, ours: bool) -> PieceKind {
        if let Some(value) = self.constants.get(&hole.name).filter(|_| role != Role::Ignored) {
            let Some(bytes) = number.write(value) else {
                let message =
                    format!("{{{}}} is `{}`, which is no number that fits into {number}", hole.name, show(value));
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
                let tour = self.tour(ours, &defaults);
                PieceKind::Capture { slot, pattern: Pattern::Number(number), defaults, tour, unwritten: None }
            }
        }
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
                        Shape::Around { before, after, slot: *slot, pattern: pattern.clone() }
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
            crate::syntax::Pattern::Any => return Pattern::Any,
            crate::syntax::Pattern::Word => return Pattern::Word,
            crate::syntax::Pattern::Int => return Pattern::Int,
            crate::syntax::Pattern::Regex(regex) => return Pattern::Regex(regex.clone()),
            crate::syntax::Pattern::Bytes(count) => return Pattern::Bytes(*count),
            // Those are made apart.
            crate::syntax::Pattern::Number(number) => return Pattern::Number(*number),
            crate::syntax::Pattern::BytesOf(name) => name,
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

    /// A new counter that starts again when the loop is entered.
    fn counter_of(&mut self, enter: Pc) -> usize {
        let counter = self.counter();
        if let Op::Enter(counters) = &mut self.program.ops[enter] {
            counters.push(counter);
        }
        counter
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

/// What the slot is called that has a number as it is written: no name has a colon.
fn written_as(name: &str, number: Number) -> String {
    format!("{name}:{number}")
}
