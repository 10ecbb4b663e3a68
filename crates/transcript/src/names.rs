//! What each hole means: where a name first appears on a path it is captured, every later appearance stands for that
//! value. One rule for both ends, so it is worked out once, without asking who plays.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::diagnostic::{Diagnostic, Place};
use crate::syntax::{PartKind, Pattern, Statement, StatementKind, Template};

/// What a hole is, wherever it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Never remembered: `_`.
    Ignored,
    /// The name gets its value here.
    Capture,
    /// It stands for the value that the name has.
    Value,
    /// The name was captured earlier in the same message: heard, both must be equal.
    Same,
}

/// The role of every hole, by the place where it begins.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    by_place: HashMap<(usize, usize), Role>,
}

impl Roles {
    pub(crate) fn of(&self, place: Place) -> Role {
        self.by_place.get(&(place.line, place.column)).copied().unwrap_or(Role::Ignored)
    }
}

/// Whether a name has a value where the reading stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// On every path, first given at this line.
    Set(usize),
    /// On some paths only; the line is one that sets it.
    Maybe(usize),
}

/// Names without an entry have no value on any path.
type States = BTreeMap<String, State>;

/// Works out the role of every hole; `given` names have a value from the start.
pub(crate) fn resolve(body: &[Statement], given: &[&str]) -> (Roles, Vec<Diagnostic>) {
    let mut resolver = Resolver { values: BTreeSet::new(), roles: Roles::default(), findings: Vec::new() };
    resolver.collect_sets(body);
    let mut states: States = given.iter().map(|name| ((*name).to_owned(), State::Set(0))).collect();
    resolver.block(body, &mut states);
    (resolver.roles, resolver.findings)
}

struct Resolver {
    /// Names that some `set` gives; they are never captured.
    values: BTreeSet<String>,
    roles: Roles,
    findings: Vec<Diagnostic>,
}

impl Resolver {
    fn collect_sets(&mut self, body: &[Statement]) {
        for statement in body {
            match &statement.kind {
                StatementKind::Set { name, .. } | StatementKind::Let { name, .. } => {
                    self.values.insert(name.clone());
                }
                StatementKind::Repeat { body, .. }
                | StatementKind::AnyOrder { body }
                | StatementKind::Together { body } => self.collect_sets(body),
                StatementKind::Either { branches } => {
                    branches.iter().for_each(|branch| self.collect_sets(&branch.body))
                }
                StatementKind::Message { .. }
                | StatementKind::File { .. }
                | StatementKind::Act { .. }
                | StatementKind::StartTls
                | StatementKind::Wrong => {}
            }
        }
    }

    fn block(&mut self, body: &[Statement], states: &mut States) {
        for statement in body {
            match &statement.kind {
                StatementKind::Message { template, .. } => self.message(template, states),
                StatementKind::File { .. }
                | StatementKind::Act { .. }
                | StatementKind::StartTls
                | StatementKind::Wrong => {}
                StatementKind::Set { name, template } => {
                    self.uses(template, states);
                    states.insert(name.clone(), State::Set(statement.place.line));
                }
                StatementKind::Let { name, key, template, .. } => {
                    key.iter().for_each(|key| self.uses(key, states));
                    self.uses(template, states);
                    states.insert(name.clone(), State::Set(statement.place.line));
                }
                StatementKind::AnyOrder { body } => self.any_order(body, states),
                StatementKind::Together { body } => self.block(body, states),
                StatementKind::Repeat { times, body } => {
                    // Each round captures anew, so every round begins with what was known before the loop.
                    let mut after = states.clone();
                    self.block(body, &mut after);
                    *states = match times {
                        None => merge(states, &after),
                        Some(0) => continue,
                        Some(_) => after,
                    };
                }
                StatementKind::Either { branches } => {
                    let mut merged: Option<States> = None;
                    for branch in branches {
                        let mut after = states.clone();
                        self.block(&branch.body, &mut after);
                        merged = Some(merged.map_or(after.clone(), |before| merge(&before, &after)));
                    }
                    *states = merged.unwrap_or_default();
                }
            }
        }
    }

    /// Lines that may come in any order: none of them can use what another one captures.
    fn any_order(&mut self, body: &[Statement], states: &mut States) {
        let before = states.clone();
        for statement in body {
            let StatementKind::Message { template, .. } = &statement.kind else { continue };
            let mut after = before.clone();
            self.message(template, &mut after);
            for (name, state) in after {
                if before.contains_key(&name) {
                    continue;
                }
                if states.insert(name.clone(), state).is_some() {
                    let message = format!("{{{name}}} is captured by two lines that may come in either order");
                    self.findings
                        .push(Diagnostic::error(statement.place, message).help("give it another name, or {_}"));
                }
            }
        }
    }

    fn message(&mut self, template: &Template, states: &mut States) {
        let mut here = BTreeSet::new();
        for part in &template.parts {
            let PartKind::Hole(hole) = &part.kind else { continue };
            if let Pattern::BytesOf(count) = &hole.pattern
                && !here.contains(count)
            {
                self.used(part.place, count, states);
            }
            let role = if hole.name == "_" {
                Role::Ignored
            } else if here.contains(&hole.name) {
                Role::Same
            } else {
                match states.get(&hole.name) {
                    Some(State::Set(_)) => Role::Value,
                    Some(State::Maybe(line)) => {
                        self.unclear(part.place, &hole.name, *line);
                        Role::Value
                    }
                    None if self.values.contains(&hole.name) => {
                        self.unset(part.place, &hole.name);
                        Role::Value
                    }
                    None => {
                        here.insert(hole.name.clone());
                        Role::Capture
                    }
                }
            };
            self.roles.by_place.insert((part.place.line, part.place.column), role);
        }
        // A name has its value for the other messages only when the whole message was said.
        let line = template.parts.first().map_or(0, |part| part.place.line);
        for name in here {
            states.insert(name, State::Set(line));
        }
    }

    /// The holes of a `set`: all of them are uses.
    fn uses(&mut self, template: &Template, states: &States) {
        for part in &template.parts {
            let PartKind::Hole(hole) = &part.kind else { continue };
            self.used(part.place, &hole.name, states);
            self.roles.by_place.insert((part.place.line, part.place.column), Role::Value);
        }
    }

    /// A name is read here, so every path must have given it a value.
    fn used(&mut self, place: Place, name: &str, states: &States) {
        match states.get(name) {
            Some(State::Set(_)) => {}
            Some(State::Maybe(line)) => self.unclear(place, name, *line),
            None => self.unset(place, name),
        }
    }

    fn unclear(&mut self, place: Place, name: &str, line: usize) {
        let message = format!("{{{name}}} has a value on one path to here and none on another");
        let help = format!("line {line} gives it one, but not on every path: use another name here, or {{_}}");
        self.findings.push(Diagnostic::error(place, message).help(help));
    }

    fn unset(&mut self, place: Place, name: &str) {
        let message = format!("{{{name}}} has no value yet");
        let help = if self.values.contains(name) {
            format!("move the line that gives {name} its value above this one")
        } else {
            format!("write `set {name} = …` above this line, or pass --set {name}=…")
        };
        self.findings.push(Diagnostic::error(place, message).help(help));
    }
}

/// What is known where two paths meet.
fn merge(a: &States, b: &States) -> States {
    let mut merged = States::new();
    for name in a.keys().chain(b.keys()) {
        let state = match (a.get(name), b.get(name)) {
            (Some(State::Set(line)), Some(State::Set(_))) => State::Set(*line),
            (Some(State::Set(line) | State::Maybe(line)), _) | (_, Some(State::Set(line) | State::Maybe(line))) => {
                State::Maybe(*line)
            }
            (None, None) => continue,
        };
        merged.insert(name.clone(), state);
    }
    merged
}
