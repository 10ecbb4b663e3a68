//! What each hole means: where a name first appears on a path it is captured, every later appearance stands for that
//! value. One rule for both ends, so it is worked out once, without asking who plays.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::diagnostic::{Diagnostic, Source, Span};
use crate::made::Made;
use crate::number::Number;
use crate::side::Side;
use crate::syntax::{Hole, Pattern, Statement, StatementKind, Template, TemplatePartKind, throughout};

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
    /// The names whose values are new for whoever says them first.
    fresh: HashMap<String, Made>,
    /// The names that stand for ports: who listens there, and for which connection.
    ports: HashMap<String, (Side, u8)>,
}

impl Roles {
    pub(crate) fn of(&self, place: Span) -> Role {
        self.by_place.get(&(place.line, place.column)).copied().unwrap_or(Role::Ignored)
    }

    /// What is made anew for a name.
    pub(crate) fn made(&self, name: &str) -> Option<Made> {
        self.fresh.get(name).copied()
    }

    /// Who listens at the port whose number a name has, if it is one, and for which connection.
    pub(crate) fn listens(&self, name: &str) -> Option<(Side, u8)> {
        self.ports.get(name).copied()
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

/// What is known of the names where the reading stands. Names without an entry have no value on any path.
///
/// A branch of a fork is read on the same states, and what it changed is taken back behind it: a fork costs what its
/// branches change, however many names there are.
#[derive(Default)]
struct States<'a> {
    known: HashMap<&'a str, State>,
    /// What was known of a name before each change, in their order.
    changes: Vec<(&'a str, Option<State>)>,
}

/// The names that a branch changed, each with what is known of it at the branch's end.
type Changed<'a> = BTreeMap<&'a str, State>;

impl<'a> States<'a> {
    fn of(&self, name: &str) -> Option<State> {
        self.known.get(name).copied()
    }

    fn set(&mut self, name: &'a str, state: State) {
        let before = self.known.insert(name, state);
        self.changes.push((name, before));
    }

    /// Takes back all changes since there were so many.
    fn take_back(&mut self, mark: usize) -> Changed<'a> {
        let mut changed = Changed::new();
        for (name, before) in self.changes.drain(mark..).rev() {
            let after = match before {
                Some(before) => self.known.insert(name, before),
                None => self.known.remove(name),
            };
            if let Some(after) = after {
                // The last change is met first.
                changed.entry(name).or_insert(after);
            }
        }
        changed
    }

    /// What is known where branches meet, in the order of the text; a name that a branch left alone is there as it was before.
    fn meet(&mut self, branches: &[Changed<'a>]) {
        let mut all: BTreeMap<&'a str, Vec<(usize, State)>> = BTreeMap::new();
        for (branch, changed) in branches.iter().enumerate() {
            for (name, state) in changed {
                all.entry(name).or_default().push((branch, *state));
            }
        }
        for (name, changes) in all {
            let untouched = if changes.len() < branches.len() { Some(self.of(name)) } else { None };
            let is_set = changes.iter().all(|(_, state)| matches!(state, State::Set(_)))
                && untouched.is_none_or(|before| matches!(before, Some(State::Set(_))));
            let (first, state) = changes[0];
            // The line is that of the first branch that knows the name.
            let before = untouched.flatten().filter(|_| first > 0);
            let (State::Set(line) | State::Maybe(line)) = before.unwrap_or(state);
            self.set(name, if is_set { State::Set(line) } else { State::Maybe(line) });
        }
    }
}

/// Works out the role of every hole; `given` names have a value from the start.
pub(crate) fn resolve(body: &[Statement], given: &[&str], source: &Source) -> (Roles, Vec<Diagnostic>) {
    let (values, mut roles) = (throughout(body).filter_map(Statement::sets).collect(), Roles::default());
    for statement in throughout(body) {
        if let StatementKind::Connects { side, to: Some(to) } = &statement.kind {
            roles.ports.extend(to.names().map(|name| (name.to_owned(), (side.other(), statement.connection))));
        }
    }
    let mut resolver = Resolver { source, values, roles, findings: Vec::new(), aside: Vec::new() };
    let mut states = States::default();
    for name in given {
        states.set(name, State::Set(0));
    }
    resolver.block(body, &mut states);
    resolver.apart(body);
    (resolver.roles, resolver.findings)
}

/// How a hole writes a number.
fn number_of(pattern: &Pattern) -> Option<Number> {
    if let Pattern::Number(number) = pattern { Some(*number) } else { None }
}

/// So many mistakes are noted: a file of names without values could have millions.
const MOST_FINDINGS: usize = 20_000;

struct Resolver<'a> {
    source: &'a Source,
    /// Names that some `set` gives; they are never captured.
    values: HashSet<&'a str>,
    roles: Roles,
    findings: Vec<Diagnostic>,
    /// The names that get their values in `at any time`, and where that begins.
    aside: Vec<(&'a str, Span)>,
}

impl<'a> Resolver<'a> {
    fn block(&mut self, body: &'a [Statement], states: &mut States<'a>) {
        for statement in body {
            match &statement.kind {
                StatementKind::Message { template, .. } => self.message(template, states),
                StatementKind::File { .. }
                | StatementKind::Act { .. }
                | StatementKind::Tls(_)
                | StatementKind::Wrong => {}
                StatementKind::Set { name, template } => {
                    self.uses(template, states);
                    states.set(name, State::Set(statement.place.line));
                }
                StatementKind::Let { name, key, template, .. } => {
                    key.iter().for_each(|key| self.uses(key, states));
                    self.uses(template, states);
                    states.set(name, State::Set(statement.place.line));
                }
                StatementKind::Fresh { name, made } => self.fresh(statement.place, name, *made, states),
                StatementKind::AnyOrder { body } => self.any_order(body, states),
                StatementKind::Together { body } => self.block(body, states),
                StatementKind::Not { template, .. } => {
                    // It is never played on from: what its holes take is gone.
                    let mark = states.changes.len();
                    self.message(template, states);
                    states.take_back(mark);
                }
                StatementKind::Maybe { body } => self.branches([&[][..], body], states),
                StatementKind::Aside { body } => {
                    let mark = states.changes.len();
                    self.block(body, states);
                    let changed = states.take_back(mark).into_keys();
                    self.aside.extend(changed.map(|name| (name, statement.place)));
                }
                StatementKind::Repeat { times, body } => {
                    // Each round captures anew, so every round begins with what was known before the loop.
                    let mark = states.changes.len();
                    self.block(body, states);
                    match times {
                        None => {
                            let round = states.take_back(mark);
                            states.meet(&[Changed::new(), round]);
                        }
                        Some(0) => drop(states.take_back(mark)),
                        Some(_) => {}
                    }
                }
                StatementKind::Connects { to, .. } => {
                    to.iter().for_each(|to| self.uses(to, states));
                }
                StatementKind::Choose { name, cases } => {
                    self.uses(name, states);
                    // Where no value fits the play fails: every branch that is taken is one of these.
                    self.branches(cases.iter().map(|case| &case.body[..]), states);
                }
                StatementKind::Either { branches } => {
                    self.branches(branches.iter().map(|branch| &branch.body[..]), states);
                }
            }
        }
    }

    /// Ways that exclude each other: behind them a name is what all of them agree on.
    fn branches(&mut self, bodies: impl IntoIterator<Item = &'a [Statement]>, states: &mut States<'a>) {
        let mark = states.changes.len();
        let mut branches = Vec::new();
        for body in bodies {
            self.block(body, states);
            branches.push(states.take_back(mark));
        }
        states.meet(&branches);
    }

    /// A name whose value is new: where it is said first, it gets it.
    fn fresh(&mut self, place: Span, name: &'a str, made: Made, states: &States<'a>) {
        let message = match states.of(name) {
            // What is given from outside wins.
            Some(State::Set(0)) => return,
            Some(State::Set(line) | State::Maybe(line)) => {
                format!("{{{name}}} has a value already, from {}", self.source.mention(line))
            }
            None if self.values.contains(name) => format!("another line gives {{{name}}} a value too"),
            None if self.roles.fresh.get(name).is_some_and(|other| *other != made) => {
                format!("another line makes {{{name}}} in another way")
            }
            None => {
                self.roles.fresh.insert(name.to_owned(), made);
                return;
            }
        };
        self.wrong(Diagnostic::error(place, message).help("give what is new here another name"));
    }

    /// Lines that may come in any order: none of them can use what another one captures.
    fn any_order(&mut self, body: &'a [Statement], states: &mut States<'a>) {
        let mut captured = Changed::new();
        let mark = states.changes.len();
        for statement in body {
            let StatementKind::Message { template, .. } = &statement.kind else { continue };
            self.message(template, states);
            for (name, state) in states.take_back(mark) {
                if states.of(name).is_some() {
                    continue;
                }
                if captured.insert(name, state).is_some() {
                    let message = format!("{{{name}}} is captured by two lines that may come in either order");
                    self.wrong(Diagnostic::error(statement.place, message).help("give it another name, or {_}"));
                }
            }
        }
        for (name, state) in captured {
            states.set(name, state);
        }
    }

    fn message(&mut self, template: &'a Template, states: &mut States<'a>) {
        // The names that get their values here, and how those are written that are numbers.
        let mut here: BTreeMap<&'a str, Option<Number>> = BTreeMap::new();
        for part in &template.parts {
            let TemplatePartKind::Hole(hole) = &part.kind else { continue };
            if let Pattern::BytesOf(count) = &hole.pattern
                && !here.contains_key(count.as_str())
            {
                self.used(part.place, count, states);
            }
            let role = if hole.name == "_" {
                Role::Ignored
            } else if let Some(written) = here.get(hole.name.as_str()) {
                if *written != number_of(&hole.pattern) {
                    let message = format!("{{{}}} is written in two ways in one message", hole.name);
                    let help = "write it alike, or give the second a name of its own";
                    self.wrong(Diagnostic::error(part.place, message).help(help));
                }
                Role::Same
            } else {
                match states.of(&hole.name) {
                    Some(State::Set(_)) => Role::Value,
                    Some(State::Maybe(line)) => {
                        self.unclear(part.place, &hole.name, line);
                        Role::Value
                    }
                    None if self.values.contains(hole.name.as_str()) => {
                        self.unset(part.place, &hole.name);
                        Role::Value
                    }
                    None => {
                        here.insert(hole.name.as_str(), number_of(&hole.pattern));
                        self.is_bare(part.place, hole);
                        Role::Capture
                    }
                }
            };
            self.roles.by_place.insert((part.place.line, part.place.column), role);
        }
        // A name has its value for the other messages only when the whole message was said.
        let line = template.parts.first().map_or(0, |part| part.place.line);
        for name in here.into_keys() {
            states.set(name, State::Set(line));
        }
    }

    /// What is said at any time must not change the values of what it comes between.
    fn apart(&mut self, body: &'a [Statement]) {
        if self.aside.is_empty() {
            return;
        }
        // Those of one aside do not disturb another one: each ends before the next begins.
        let others = body.iter().filter(|statement| !matches!(statement.kind, StatementKind::Aside { .. }));
        // A name that is made anew gets its value in a message.
        let statements = others.flat_map(|statement| throughout(std::slice::from_ref(statement)));
        let names = |statement: &'a Statement| {
            statement.sets().into_iter().chain(statement.templates().flat_map(Template::names))
        };
        let elsewhere: HashSet<&str> = statements.flat_map(names).collect();
        for (name, place) in std::mem::take(&mut self.aside) {
            if elsewhere.contains(name) {
                let message = format!("{{{name}}} gets a value `at any time`, and stands elsewhere too");
                self.wrong(Diagnostic::error(place, message).help("give it another name there, or here"));
            }
        }
    }

    /// What is made anew is not written down too.
    fn is_bare(&mut self, place: Span, hole: &Hole) {
        let name = &hole.name;
        if self.roles.fresh.contains_key(name) && (hole.pattern != Pattern::Any || !hole.defaults.is_empty()) {
            let message = format!("{{{name}}} is made anew, and its hole says what it is too");
            self.wrong(Diagnostic::error(place, message).help(format!("write {{{name}}}")));
        }
    }

    /// The holes of a `set`: all of them are uses.
    fn uses(&mut self, template: &Template, states: &States<'_>) {
        for part in &template.parts {
            let TemplatePartKind::Hole(hole) = &part.kind else { continue };
            self.used(part.place, &hole.name, states);
            self.roles.by_place.insert((part.place.line, part.place.column), Role::Value);
        }
    }

    /// A name is read here, so every path must have given it a value.
    fn used(&mut self, place: Span, name: &str, states: &States<'_>) {
        match states.of(name) {
            Some(State::Set(_)) => {}
            Some(State::Maybe(line)) => self.unclear(place, name, line),
            None => self.unset(place, name),
        }
    }

    fn unclear(&mut self, place: Span, name: &str, line: usize) {
        let message = format!("{{{name}}} has a value on one path to here and none on another");
        let line = self.source.mention(line);
        let help = format!("{line} gives it one, but not on every path: use another name here, or {{_}}");
        self.wrong(Diagnostic::error(place, message).help(help));
    }

    fn unset(&mut self, place: Span, name: &str) {
        let message = format!("{{{name}}} has no value yet");
        let help = if self.roles.fresh.contains_key(name) {
            "it is made where a message says it first: move this line below that message".to_owned()
        } else if self.values.contains(name) {
            format!("move the line that gives {name} its value above this one")
        } else {
            format!("write `set {name} = …` above this line, or pass --set {name}=…")
        };
        self.wrong(Diagnostic::error(place, message).help(help));
    }

    fn wrong(&mut self, finding: Diagnostic) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        }
    }
}
