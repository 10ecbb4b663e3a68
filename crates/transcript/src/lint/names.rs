//! Names: mistyped ones that take anything, defaults and patterns that nobody looks at, and counts that are no numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::Side;
use crate::diagnostic::{Diagnostic, Source, Span};
use crate::function::Function;
use crate::names::{Role, Roles};
use crate::pattern::{Pattern, count_in};
use crate::syntax::{Form, Hole, Statement, StatementKind, Template, TemplatePartKind, setting_meant};

/// Everything that the file does with names, in its order.
pub(super) struct Census<'a> {
    captures: Vec<Capture<'a>>,
    /// Holes that stand for a value: the hole and the place.
    values: Vec<(&'a Hole, Span)>,
    /// Names that a `set` or `let` gives, with the line.
    given: BTreeMap<&'a str, usize>,
    /// Names that get their values from outside.
    outside: BTreeSet<&'a str>,
    used: BTreeSet<&'a str>,
    /// Names whose values stand in fields, beside quotes and in bodies.
    in_fields: BTreeSet<&'a str>,
    /// Names that count bytes, each with the hole whose bytes they count.
    counts: Vec<(&'a str, &'a Hole, Span)>,
    /// Names whose value a function makes that makes no number.
    digests: BTreeMap<&'a str, Function>,
    /// Names that are the word of a setting, each with its value and the place of its `set`.
    settings: Vec<(&'a str, &'a Template, Span)>,
}

struct Capture<'a> {
    hole: &'a Hole,
    place: Span,
    side: Side,
    form: Form,
}

impl<'a> Census<'a> {
    pub(super) fn of(body: &'a [Statement], roles: &Roles, outside: &[&'a str]) -> Self {
        let mut census = Self {
            captures: vec![],
            values: vec![],
            given: BTreeMap::new(),
            outside: outside.iter().copied().collect(),
            used: BTreeSet::new(),
            in_fields: BTreeSet::new(),
            counts: vec![],
            digests: BTreeMap::new(),
            settings: vec![],
        };
        census.block(body, roles);
        census
    }

    fn block(&mut self, body: &'a [Statement], roles: &Roles) {
        for statement in body {
            match &statement.kind {
                StatementKind::Message { side, form, template } | StatementKind::Not { side, form, template } => {
                    self.fields(template, *form);
                    for part in &template.parts {
                        let TemplatePartKind::Hole(hole) = &part.kind else { continue };
                        if let Pattern::BytesOf(count) = &hole.pattern {
                            self.used.insert(count);
                            self.counts.push((count, hole, part.place));
                        }
                        match roles.of(part.place) {
                            Role::Ignored => {}
                            Role::Capture => {
                                self.captures.push(Capture { hole, place: part.place, side: *side, form: *form });
                            }
                            // Within one message both are looked at.
                            Role::Same if hole.defaults.is_empty() => drop(self.used.insert(&hole.name)),
                            Role::Value | Role::Same => {
                                self.used.insert(&hole.name);
                                self.values.push((hole, part.place));
                            }
                        }
                    }
                }
                StatementKind::Set { name, template } => {
                    self.given.entry(name).or_insert(statement.place.line);
                    self.fields(template, Form::Text);
                    self.uses(template);
                    if setting_meant(name, ":").is_some() && self.settings.len() < 100 {
                        self.settings.push((name, template, statement.place));
                    }
                }
                StatementKind::Let { name, function, key, template } => {
                    self.given.entry(name).or_insert(statement.place.line);
                    if function.is_digest() {
                        self.digests.insert(name, *function);
                    }
                    key.iter().for_each(|key| self.uses(key));
                    self.uses(template);
                }
                StatementKind::Repeat { body, .. }
                | StatementKind::AnyOrder { body }
                | StatementKind::Maybe { body }
                | StatementKind::Aside { body }
                | StatementKind::Together { body } => self.block(body, roles),
                StatementKind::Either { branches } => {
                    branches.iter().for_each(|branch| self.block(&branch.body, roles));
                }
                StatementKind::Choose { name, cases } => {
                    self.uses(name);
                    cases.iter().for_each(|case| self.block(&case.body, roles));
                }
                StatementKind::Connects { to, .. } => to.iter().for_each(|to| self.uses(to)),
                StatementKind::File { .. }
                | StatementKind::Fresh { .. }
                | StatementKind::Act { .. }
                | StatementKind::Tls(_)
                | StatementKind::Wrong => {}
            }
        }
    }

    /// Notes the names in a message with signs that protocols put around quoted text.
    fn fields(&mut self, template: &'a Template, form: Form) {
        let has_signs = template.parts.iter().any(|part| match &part.kind {
            TemplatePartKind::Literal(bytes) => bytes.iter().any(|byte| b":=\"'<>[]{}(),".contains(byte)),
            TemplatePartKind::Hole(_) => false,
        });
        if form == Form::Text && !has_signs {
            return;
        }
        for part in &template.parts {
            if let TemplatePartKind::Hole(hole) = &part.kind {
                self.in_fields.insert(&hole.name);
            }
        }
    }

    fn uses(&mut self, template: &'a Template) {
        for part in &template.parts {
            if let TemplatePartKind::Hole(hole) = &part.kind {
                self.used.insert(&hole.name);
                self.values.push((hole, part.place));
            }
        }
    }

    /// Every name.
    pub(super) fn known(&self) -> BTreeSet<&'a str> {
        let captured = self.captures.iter().map(|capture| capture.hole.name.as_str());
        captured.chain(self.given.keys().copied()).chain(self.outside.iter().copied()).collect()
    }

    /// Names that stand in one place only.
    pub(super) fn lonely(&self) -> BTreeSet<&'a str> {
        let mut lonely = BTreeSet::new();
        let mut met = BTreeSet::new();
        for name in self.captures.iter().map(|capture| capture.hole.name.as_str()) {
            if !met.insert(name) {
                lonely.remove(name);
            } else if !self.used.contains(name) {
                lonely.insert(name);
            }
        }
        lonely
    }

    /// Names whose values stand in fields, beside quotes and in bodies.
    pub(super) fn in_fields(&self) -> BTreeSet<&'a str> {
        self.in_fields.clone()
    }

    pub(super) fn findings(&self, source: &Source) -> Vec<Diagnostic> {
        let mut findings = Vec::new();
        self.mistyped(&mut findings);
        self.unused(&mut findings);
        self.no_settings(&mut findings);
        self.ignored_parts(source, &mut findings);
        self.no_numbers(&mut findings);
        findings
    }

    /// A capture that nothing uses takes whatever comes: beside a name that differs in a letter it is a slip.
    fn mistyped(&self, findings: &mut Vec<Diagnostic>) {
        let mut first: BTreeMap<&str, &Capture<'a>> = BTreeMap::new();
        let mut compared = 0;
        for capture in &self.captures {
            let name = capture.hole.name.as_str();
            if first.contains_key(name) {
                continue;
            }
            let is_lost = !self.used.contains(name) && !self.outside.contains(name);
            compared += if is_lost { self.given.len() + self.outside.len() + first.len() } else { 0 };
            if is_lost
                && compared <= MOST_COMPARED
                && let Some(other) = self.meant_by(capture, &first)
            {
                let text = format!("{{{name}}} is a new name that takes anything: nothing else uses it");
                let help = format!("did you mean {{{other}}}? where anything may come, write {{_}}");
                findings.push(Diagnostic::warning(capture.place, text).help(help));
            }
            first.insert(name, capture);
        }
    }

    /// A value that no line uses, beside a capture that nothing uses: the two were probably meant to be one.
    fn unused(&self, findings: &mut Vec<Diagnostic>) {
        let unused = self.given.iter().filter(|(name, _)| !self.used.contains(*name) && !self.outside.contains(*name));
        let lost = self.captures.iter().filter(|capture| !self.used.contains(capture.hole.name.as_str()));
        let lost: Vec<&Capture<'_>> = lost.filter(|capture| !capture.hole.defaults.is_empty()).take(1000).collect();
        for (name, _) in unused.take(1000) {
            let near = |capture: &&&Capture<'_>| nearness(name, &capture.hole.name).is_some();
            let Some(capture) = lost.iter().find(near) else { continue };
            let text = format!("{{{}}} is a new name: nothing uses the value of {name}", capture.hole.name);
            let help = format!("did you mean {{{name}}}?");
            findings.push(Diagnostic::warning(capture.place, text).help(help));
        }
    }

    /// `set timeout = 20`: a setting that is written as the value of a name, which nothing uses.
    fn no_settings(&self, findings: &mut Vec<Diagnostic>) {
        for &(name, template, place) in &self.settings {
            if self.used.contains(name) || self.outside.contains(name) {
                continue;
            }
            let mut value = Vec::new();
            for part in &template.parts {
                if let TemplatePartKind::Literal(bytes) = &part.kind {
                    value.extend_from_slice(bytes);
                }
            }
            let Some(setting) = setting_meant(name, &String::from_utf8_lossy(&value)) else { continue };
            let text = format!("this gives the name {name} a value that nothing uses, and sets nothing");
            let help = format!("write `{setting}`, above the first line that is said");
            findings.push(Diagnostic::warning(place, text).help(help));
        }
    }

    /// The name that one was probably meant to be: one that has a value by then.
    fn meant_by(&self, capture: &Capture<'a>, before: &BTreeMap<&'a str, &Capture<'a>>) -> Option<&'a str> {
        let name = capture.hole.name.as_str();
        let given = self.given.iter().filter(|(_, line)| **line <= capture.place.line).map(|(name, _)| (*name, None));
        let outside = self.outside.iter().map(|name| (*name, None));
        let captured = before.iter().map(|(name, capture)| (*name, Some(*capture)));
        given.chain(outside).chain(captured).find_map(|(other, earlier)| {
            let near = nearness(name, other)?;
            let is_slip = match earlier {
                // One name, spelled in two ways.
                Some(_) if near == Near::Spelling => true,
                // Both are examples of their own, or both just let things through: as one is meant, so is the other.
                Some(earlier) if !capture.hole.defaults.is_empty() => {
                    near == Near::Letters
                        && capture.hole.defaults.first().map(|default| &default.bytes)
                            == earlier.hole.defaults.first().map(|default| &default.bytes)
                }
                Some(earlier) => {
                    !earlier.hole.defaults.is_empty() || earlier.side != capture.side || near == Near::Letters
                }
                None => capture.hole.defaults.is_empty(),
            };
            is_slip.then_some(other)
        })
    }

    /// Where each name is captured first.
    fn first(&self) -> HashMap<&'a str, &Capture<'a>> {
        let mut first = HashMap::new();
        for capture in &self.captures {
            first.entry(capture.hole.name.as_str()).or_insert(capture);
        }
        first
    }

    /// A name that has a value takes no other default and no pattern.
    fn ignored_parts(&self, source: &Source, findings: &mut Vec<Diagnostic>) {
        let first = self.first();
        for &(hole, place) in &self.values {
            let name = &hole.name;
            if self.outside.contains(name.as_str()) {
                continue;
            }
            // How a number is written is no pattern that is looked at.
            let is_open = matches!(hole.pattern, Pattern::Any | Pattern::Number(_));
            let what = match (hole.defaults.is_empty(), is_open) {
                (true, true) => continue,
                (false, true) => "this default is never used",
                (true, false) => "this pattern is never looked at",
                (false, false) => "this pattern and this default are never used",
            };
            let captured = first.get(name.as_str()).map(|capture| capture.place.line);
            let line = self.given.get(name.as_str()).copied().or(captured).unwrap_or(place.line);
            let text = format!("{{{name}}} has its value from {}: {what}", source.mention(line));
            let help = format!("write {{{name}}} for that value, or another name for another one");
            findings.push(Diagnostic::warning(place, text).help(help));
        }
    }

    /// Bytes are no number unless they are digits.
    fn no_numbers(&self, findings: &mut Vec<Diagnostic>) {
        let first = self.first();
        for &(count, hole, place) in &self.counts {
            let shape = format!("{{{}:{count} bytes}}", hole.name);
            if let Some(function) = self.digests.get(count) {
                let text = format!("{count} is what `{function}` makes, and {shape} needs a number in digits");
                let help =
                    format!("write `let {count} = length …`, or the number of bytes: {{{}:16 bytes}}", hole.name);
                findings.push(Diagnostic::warning(place, text).help(help));
                continue;
            }
            let Some(capture) = first.get(count) else { continue };
            if matches!(capture.hole.pattern, Pattern::Number(_)) {
                continue;
            }
            let is_number = capture.hole.defaults.iter().all(|default| count_in(&default.bytes).is_some());
            let is_bytes = capture.form == Form::Hex && (capture.hole.defaults.is_empty() || !is_number);
            if is_bytes {
                let text = format!("{{{count}}} is raw bytes, and {shape} needs a number in digits: it fails");
                let help = format!(
                    "say how the number is written, as in {{{count}:u16}}; or write the number of bytes itself: {{{}:16 bytes}}",
                    hole.name
                );
                findings.push(Diagnostic::warning(capture.place, text).help(help));
            }
        }
    }
}

/// Most pairs of names of a file that are compared: in one with thousands that nothing uses, a slip is not looked for any
/// more.
const MOST_COMPARED: usize = 1_000_000;

/// How a name differs from another that it could be a slip of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Near {
    /// The same but for the case of letters and `_`.
    Spelling,
    /// The same letters in another order.
    Letters,
    /// A letter more, less or another.
    Edit,
}

fn nearness(name: &str, other: &str) -> Option<Near> {
    if name == other {
        return None;
    }
    let bare = |name: &str| name.to_ascii_lowercase().replace('_', "");
    let (a, b) = (bare(name), bare(other));
    if a == b {
        return Some(Near::Spelling);
    }
    // `line1` and `line2` are two of a kind.
    let letters = |name: &str| name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    if a[..letters(&a)] == b[..letters(&b)] || a.len().min(b.len()) < 3 {
        return None;
    }
    let (x, y): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let same_before = x.iter().zip(&y).take_while(|(a, b)| a == b).count();
    let same_behind =
        x[same_before..].iter().rev().zip(y[same_before..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (x, y) = (&x[same_before..x.len() - same_behind], &y[same_before..y.len() - same_behind]);
    match (x, y) {
        ([a, b], [c, d]) if a == d && b == c => Some(Near::Letters),
        ([_], []) | ([], [_]) => Some(Near::Edit),
        // In short words another letter makes another word: host, port, post.
        ([_], [_]) if a.len() > 4 => Some(Near::Edit),
        ([_, _], []) | ([], [_, _]) if a.len().min(b.len()) > 4 && (a.ends_with("es") || b.ends_with("es")) => {
            Some(Near::Edit)
        }
        _ => None,
    }
}
