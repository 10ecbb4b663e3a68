//! Names whose values are known before a play: they stand in messages as text. Those that each play is given, and what is
//! made of these.

use std::collections::BTreeMap;

use super::{Compiler, Constants};
use crate::diagnostic::{Diagnostic, Span};
use crate::function::Function;
use crate::program::{Literal, Op, Piece, PieceKind, Recipe};
use crate::syntax::{self, Hole, Statement, StatementKind, Template, TemplatePartKind, throughout};
use crate::values::{MOST_VALUES, given_slot};

/// Longest value that stands in messages as text, in bytes: it is looked at for each of them.
const LONGEST_CONSTANT: usize = 64 * 1024;

/// Longest value that is written out again as what was meant, in bytes.
const LONGEST_SHOWN: usize = 200;

impl Compiler<'_> {
    /// A name that one `set` or `let` gives, from nothing but text and constants, is a constant.
    pub(super) fn collect_constants(&mut self, body: &[Statement]) {
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
            let value = self.known_value(statement);
            let fits =
                |value: &Vec<u8>| value.len() <= LONGEST_CONSTANT && all.saturating_add(value.len()) <= MOST_VALUES;
            if let Some(value) = value.filter(fits) {
                all += value.len();
                self.constants.insert(name.to_owned(), value.into());
            }
        }
    }

    /// The value that a `set` or `let` gives, if it is made of nothing but text and constants.
    fn known_value(&mut self, statement: &Statement) -> Option<Vec<u8>> {
        match &statement.kind {
            StatementKind::Set { template, .. } => self.constant(template),
            StatementKind::Let { function, key, template, .. } => {
                let key = key.as_ref().map_or(Some(vec![]), |key| self.constant(key))?;
                let value = self.constant(template)?;
                let made = function.apply(&key, &value);
                if let Err(why) = &made {
                    let help = match function {
                        _ if why.is_result() => {
                            format!("the result is between {} and {}", i64::MIN, u64::MAX)
                        }
                        Function::Sum | Function::Difference => {
                            format!(
                                "write whole numbers with spaces between them, and no sign but a minus: `{function} {{a}} 4`"
                            )
                        }
                        _ => encoding_meant(*function, &value, template),
                    };
                    self.findings.push(Diagnostic::error(statement.place, why.to_string()).help(help));
                }
                made.ok()
            }
            _ => None,
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
            if let TemplatePartKind::Hole(Hole { name, pattern: syntax::Pattern::Number(number), .. }) = &part.kind {
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
                        syntax::Pattern::Number(number) => bytes.extend(number.write(value)?),
                        _ => bytes.extend_from_slice(value),
                    }
                }
            }
        }
        Some(bytes)
    }

    /// Where letters of literal text match in either case, those of a value do not: there values stand apart from text.
    /// So do values from outside that are too long to stand in every message that has them.
    pub(super) fn begin(&mut self) {
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
}

/// What to write for a value that `unhex` or `unbase64` does not read.
fn encoding_meant(function: Function, value: &[u8], template: &Template) -> String {
    let is_hex = function == Function::Unhex;
    let what = if is_hex { "pairs of hex digits, without spaces and without 0x" } else { "base64 with its `=`" };
    let text = String::from_utf8_lossy(value);
    let mut plain = if is_hex {
        let bare = |word: &str| word.strip_prefix("0x").or_else(|| word.strip_prefix("\\x")).unwrap_or(word).to_owned();
        text.replace("\\x", " ").split([' ', '\t', ':', ',', '-']).map(bare).collect::<String>()
    } else {
        text.replace('-', "+").replace('_', "/").split([' ', '\t', '=']).collect::<String>()
    };
    if is_hex && plain.len() % 2 == 1 {
        plain.insert(0, '0');
    } else if !is_hex {
        let missing = plain.len().next_multiple_of(4) - plain.len();
        plain.push_str(&"=".repeat(missing));
    }
    // Of a value that stands elsewhere the statement is not told.
    let is_text = template.parts.iter().all(|part| matches!(part.kind, TemplatePartKind::Literal(_)));
    if is_text && value.len() <= LONGEST_SHOWN && function.apply(b"", plain.as_bytes()).is_ok() && !plain.is_empty() {
        return format!("`{function}` reads {what}: write `{function} {plain}`");
    }
    format!("`{function}` reads {what}: `{function} {}`", if is_hex { "4869" } else { "SGk=" })
}
