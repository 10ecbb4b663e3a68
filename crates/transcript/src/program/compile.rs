//! From the tree to operations: what is compiled into, and what every part of compiling asks of it.

mod constants;
mod forks;
mod message;
mod numbers;
mod statements;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Literal, Op, Pc, Places, Program, choices, liveness, plan};
use crate::Side;
use crate::diagnostic::{Diagnostic, Source, Span};
use crate::names::{self, Roles};
use crate::number::Number;
use crate::pattern::Regex;
use crate::syntax::{FIRST, Settings, Statement, StatementKind, throughout};
use crate::values::given_slot;

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
    let mut compiler = Compiler::new(body, settings, source, side, outside);
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
    liveness::mark_live(&mut program);
    (program, findings)
}

type Constants = BTreeMap<String, Literal>;

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
    /// The connection over which the play goes here, where that is the same on every path.
    on: Option<u8>,
}

impl<'a> Compiler<'a> {
    fn new(body: &[Statement], settings: &Settings, source: &Source, side: Side, outside: Outside<'a>) -> Self {
        let Outside { values, columns } = outside;
        let names: Vec<&str> = values.keys().chain(columns).map(String::as_str).collect();
        // What a play is given wins.
        let values: Vec<(&str, &[u8])> = values
            .iter()
            .filter(|(name, _)| !columns.contains(name))
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect();
        let (roles, _) = names::resolve(body, &names, source);
        Self {
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
                framed_asides: vec![],
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

    fn here(&self) -> Pc {
        self.program.ops.len()
    }

    /// Whether a name keeps one value from the start, so that its `set` or `let` does nothing any more.
    fn is_constant(&self, name: &str) -> bool {
        self.constants.contains_key(name) || self.given.contains_key(name) || self.outside.contains(name)
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

    /// A new counter that starts again when the loop is entered.
    fn counter_of(&mut self, enter: Pc) -> usize {
        let counter = self.counter();
        if let Op::Enter(counters) = &mut self.program.ops[enter] {
            counters.push(counter);
        }
        counter
    }
}
