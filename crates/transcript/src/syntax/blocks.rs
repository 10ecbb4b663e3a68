//! Blocks, from their heads to their ends: loops, choices, lines in any order or together, and what may come at any time.

use std::collections::HashMap;

use super::foreign::{is_for_all_others, value_of_way};
use super::line::Line;
use super::meant::{clip, is_message};
use super::open::{Block, Open};
use super::parse::Parser;
use super::repeat_count::count_meant;
use super::template::{self, At};
use super::{Branch, Case, FIRST, Pattern, Statement, StatementKind, Template, TemplatePart, TemplatePartKind};
use crate::Side;
use crate::diagnostic::{Diagnostic, Span};

/// Deepest nesting of blocks.
const DEEPEST: usize = crate::limits::BLOCKS;

/// A value for a way that is wrong otherwise: its own may stand above already, which would be a second mistake.
fn value_of_its_own(line: Line<'_>) -> Vec<u8> {
    format!("\0{}", line.place.line).into_bytes()
}

impl Parser<'_> {
    pub(super) fn repeat(&mut self, line: Line<'_>, rest: &str) {
        let times = match rest {
            "" => None,
            _ => match rest.parse::<u32>() {
                Ok(times) if times > 0 => Some(times),
                Ok(_) | Err(_) => {
                    let place = line.place_of(rest);
                    let help = count_meant(rest);
                    self.error(place, format!("`{rest}` is not a number of rounds"), help);
                    return self.begin(line.place, Block::Broken);
                }
            },
        };
        self.begin(line.place, Block::Repeat(times));
    }

    /// `choose {key}`.
    pub(super) fn choose(&mut self, line: Line<'_>, rest: &str) {
        let place = if rest.is_empty() { line.place } else { line.place_of(rest) };
        let at = At { line: place.line, column: place.column };
        let before = self.findings.len();
        let name = template::text(rest, at, &mut self.expressions, &mut self.findings);
        let is_name = match &name.parts[..] {
            [TemplatePart { kind: TemplatePartKind::Hole(hole), .. }] => {
                hole.name != "_" && hole.pattern == Pattern::Any && hole.defaults.is_empty()
            }
            _ => false,
        };
        if !is_name {
            let message =
                if rest.is_empty() { "`choose` names no value".to_owned() } else { format!("`{rest}` is not a name") };
            let meant = match &name.parts[..] {
                [TemplatePart { kind: TemplatePartKind::Hole(hole), .. }, ..] if hole.name != "_" => &hole.name,
                _ => name_meant(rest).unwrap_or("key"),
            };
            // One that is begun as a hole and is none was told.
            if self.findings.len() == before {
                let help = format!("write `choose {{{meant}}}`, with a name that has a value by then");
                self.error(place, message, help);
            }
            // Alone it may be no head at all.
            if rest.is_empty() && !line.has_block(self.open.len(), &mut self.looked_at) {
                return;
            }
            // Its cases are read for their mistakes.
            return self.begin(line.place, Block::Choose { name: Template::default(), done: vec![] });
        }
        self.begin(line.place, Block::Choose { name, done: vec![] });
    }

    /// `if {x} == a`, `switch {x}`: a choice by the value of a name, in the words of other languages.
    pub(super) fn choose_in_other_words(&mut self, line: Line<'_>, word: &str, name: &str, value: Option<&str>) {
        let way = match value {
            Some(value) => format!("and below it `is {}`", clip(value)),
            None => "and below it each way as `is` and its value".to_owned(),
        };
        let help = format!("write `choose {{{name}}}`, {way}");
        self.error(line.place, format!("`{word}` begins no statement"), help);
        if line.has_block(self.open.len(), &mut self.looked_at) {
            self.begin(line.place, Block::Choose { name: Template::default(), done: vec![] });
            if value.is_some() {
                self.case(line.place, Some(value_of_its_own(line)));
            }
        }
    }

    /// Whether an `is` or `else` belongs to a `choose` around the innermost block, or to none.
    pub(super) fn is_way_outside(&self, word: &str) -> bool {
        let is_around = self.open.iter().any(|open| matches!(open.kind, Block::Choose { .. }));
        match self.open.last().map(|open| &open.kind) {
            Some(Block::Either { .. }) => word == "is",
            Some(Block::Broken) => word == "is",
            _ => word == "is" || is_around,
        }
    }

    /// `is a` that stands in no `choose`.
    pub(super) fn way_outside(&mut self, line: Line<'_>, word: &str) {
        let is_around = self.open.iter().any(|open| matches!(open.kind, Block::Choose { .. }));
        match self.open.last() {
            // Its head was told.
            Some(Open { kind: Block::Broken, .. }) => {}
            _ if is_around => {
                let help = "write `end` above it: a block inside the `choose` is still open";
                self.error(line.place, format!("`{word}` stands outside its `choose`"), help);
            }
            _ => {
                let help = "begin the choice with `choose {key}`, with a name that has a value by then";
                self.error(line.place, format!("`{word}` stands outside a `choose`"), help);
            }
        }
    }

    /// `else S: d`, `else if b`.
    pub(super) fn else_with_more(&mut self, line: Line<'_>, rest: &str) {
        if is_message(rest) {
            let help = format!("put `{}` on a line below `else`", clip(rest));
            self.error(line.place_of(rest), "nothing follows `else` on its line", help);
            return self.case(line.place, None);
        }
        let help = match value_of_way(rest) {
            "" => "write `else`: it is the way for all other values".to_owned(),
            value => format!("write `is {}`; `else` alone is the way for all other values", clip(value)),
        };
        self.error(line.place, "nothing follows `else` on its line", help);
        self.case(line.place, Some(value_of_its_own(line)));
    }

    /// Whether the innermost block is a `choose`.
    pub(super) fn chooses(&self) -> bool {
        matches!(self.open.last(), Some(Open { kind: Block::Choose { .. }, .. }))
    }

    /// `is value`: the value is verbatim to the end of the line.
    pub(super) fn is(&mut self, line: Line<'_>, written: &str) {
        let at = At { line: line.place.line, column: line.place_of(written).column };
        let template = template::text(written, at, &mut self.expressions, &mut self.findings);
        let mut value = Vec::new();
        for part in &template.parts {
            match &part.kind {
                TemplatePartKind::Literal(bytes) => value.extend_from_slice(bytes),
                TemplatePartKind::Hole(hole) => {
                    let help = format!("write the value itself: `is {}`", hole.name);
                    self.error(part.place, "`is` has a value that is known, and no hole", help);
                    break;
                }
            }
        }
        self.case(line.place, Some(value));
    }

    /// `or a` in a `choose`.
    pub(super) fn or_in_choose(&mut self, line: Line<'_>, rest: &str) {
        let help = match rest {
            "" => "write `is` and the value, or `else` for all others".to_owned(),
            _ => format!("write `is {}`, and below it what is said then", clip(rest)),
        };
        self.error(line.place, "`or` is of an `either`: a way of a `choose` begins with `is`", help);
        self.case(line.place, Some(value_of_its_own(line)));
    }

    /// `case a`, `otherwise`: a way of a `choose` in the words of other languages.
    pub(super) fn case_in_other_words(&mut self, line: Line<'_>, word: &str, rest: &str) {
        let value = value_of_way(rest);
        let (help, case) = match is_for_all_others(word) {
            true => ("write `else`: it is the way for all other values".to_owned(), None),
            false => (format!("write `is {}`", clip(value)), Some(value_of_its_own(line))),
        };
        self.error(line.place, format!("`{word}` begins no way of a `choose`"), help);
        self.case(line.place, case);
    }

    /// `is: a`, `else:`.
    pub(super) fn case_with_colon(&mut self, line: Line<'_>, word: &str, rest: &str) {
        let bare = word.trim_end_matches(':');
        let help = match (bare, rest) {
            ("is", "") => "write `is` and the value behind it".to_owned(),
            ("is", _) => format!("write `is {}`", clip(rest)),
            (_, rest) if is_message(rest) => format!("write `else`, and `{}` on a line below it", clip(rest)),
            _ => format!("write `{bare}`"),
        };
        self.error(line.place, format!("no `:` stands behind `{bare}`"), help);
        self.case(line.place, (bare == "is").then(|| rest.as_bytes().to_vec()));
    }

    /// A new case of a `choose`; without a value for all that the others are not.
    pub(super) fn case(&mut self, place: Span, value: Option<Vec<u8>>) {
        self.size.statement();
        let body = std::mem::take(&mut self.body);
        let Some(Open { kind: Block::Choose { name, done }, .. }) = self.open.last_mut() else { return };
        // Of one whose head was told no way is asked for.
        let is_known = !name.parts.is_empty();
        let stray = match done.last_mut() {
            Some(before) => {
                before.body = body;
                None
            }
            None => body.first().map(|first| first.place),
        };
        let is_behind_else = done.last().is_some_and(|before| before.value.is_none());
        done.push(Case { place, value, body: vec![] });
        if let Some(stray) = stray.filter(|_| is_known) {
            self.error(stray, "this stands above the first `is`", "write above it for which value it is: `is a`");
        }
        if is_behind_else {
            self.error(place, "`else` is the last way of a `choose`", "move it below all others, and write it once");
        }
    }

    /// No value stands twice.
    fn told_apart(&mut self, cases: &[Case]) {
        let mut seen = HashMap::new();
        for case in cases {
            let Some(value) = &case.value else { continue };
            if let Some(first) = seen.insert(value, case.place.line) {
                let message = format!("this value stands at {} already", self.source.mention(first));
                self.error(case.place, message, "put both into one `is`");
            }
        }
    }

    pub(super) fn begin(&mut self, place: Span, kind: Block) {
        // Nothing deeper is kept: what walks the tree below here need not ask how deep it is.
        let depth = self.open.len() + self.blocks_outside;
        let kind = if depth < DEEPEST { kind } else { Block::Broken };
        if depth == DEEPEST {
            self.error(place, format!("blocks are nested deeper than {DEEPEST}"), "flatten the conversation");
        }
        self.size.statement();
        self.open.push(Open { place, kind, outside: std::mem::take(&mut self.body) });
    }

    pub(super) fn or(&mut self, place: Span) {
        self.size.statement();
        match self.open.last_mut() {
            Some(Open { kind: Block::Either { done, current }, .. }) => {
                done.push(Branch { place: *current, body: std::mem::take(&mut self.body) });
                *current = place;
            }
            Some(Open { kind: Block::Broken, .. }) => {}
            _ if self.inline > 0 => {}
            _ => self.error(place, "`or` stands outside an `either`", "begin the choice with `either`"),
        }
    }

    pub(super) fn end(&mut self, place: Span) {
        let Some(Open { place: began, kind, outside }) = self.open.pop() else {
            if self.inline > 0 {
                self.inline -= 1;
                return;
            }
            let help = "every `end` closes a block above it, such as `repeat` or `either`";
            return self.error(place, "`end` closes nothing", help);
        };
        if place.column < began.column && place.line > began.line {
            self.astray.get_or_insert(began);
        }
        let body = std::mem::replace(&mut self.body, outside);
        let Some(kind) = self.closed(began, kind, body) else { return self.push(began, StatementKind::Wrong) };
        let is_empty = match &kind {
            StatementKind::Repeat { body, .. }
            | StatementKind::Together { body }
            | StatementKind::Maybe { body }
            | StatementKind::Aside { body }
            | StatementKind::AnyOrder { body } => body.is_empty(),
            StatementKind::Either { branches } => branches.iter().all(|branch| branch.body.is_empty()),
            _ => false,
        };
        if is_empty {
            self.error(began, "the block is empty", "put a line between it and its `end`");
            return self.push(began, StatementKind::Wrong);
        }
        let connection = kind.bodies().find_map(first_said).unwrap_or(FIRST);
        self.push_on(began, connection, kind);
    }

    /// The statement that a block is whose last body this is; `None` if it was broken from the start.
    fn closed(&mut self, began: Span, block: Block, body: Vec<Statement>) -> Option<StatementKind> {
        let kind = match block {
            Block::Repeat(times) => StatementKind::Repeat { times, body },
            Block::Either { mut done, current } => {
                let is_empty = body.is_empty() && done.iter().all(|branch| branch.body.is_empty());
                if let Some(empty) = done.iter().find(|branch| branch.body.is_empty()).map(|branch| branch.place)
                    && !is_empty
                {
                    self.error(empty, "an empty branch hides those below it", "make it the last one");
                }
                if done.is_empty() && !is_empty {
                    let help =
                        "write `maybe` instead if it may be left out, or put `or` and another way above its `end`";
                    let message = "this choice has one way, so that nothing is chosen";
                    self.findings.push(Diagnostic::warning(began, message).help(help));
                }
                done.push(Branch { place: current, body });
                StatementKind::Either { branches: done }
            }
            Block::Together => {
                self.one_side_throughout(&body);
                StatementKind::Together { body }
            }
            Block::Maybe => {
                self.one_side(&body, "maybe");
                StatementKind::Maybe { body }
            }
            // Its head was told.
            Block::Choose { name, .. } if name.parts.is_empty() => return None,
            Block::Choose { name, mut done } => {
                match done.last_mut() {
                    Some(last) => last.body = body,
                    None => {
                        let help = "write `is` and a value below it, and below that what is said then";
                        self.error(began, "`choose` has no `is`", help);
                    }
                }
                self.told_apart(&done);
                StatementKind::Choose { name, cases: done }
            }
            Block::Aside => {
                self.begins_with_a_line(began, &body);
                StatementKind::Aside { body }
            }
            Block::AnyOrder => {
                self.one_side(&body, "in any order");
                StatementKind::AnyOrder { body }
            }
            Block::Broken => return None,
        };
        Some(kind)
    }

    pub(super) fn close_all(&mut self) {
        // The layout knows better than the count which of them was forgotten.
        let mut astray = self.astray.take();
        while let Some(Open { place, .. }) = self.open.last() {
            let (innermost, last) = (*place, self.body.last().map(|statement| statement.place));
            let place = astray.take().unwrap_or(innermost);
            let opened = self.source.line(place.line).trim();
            let message = format!("`{opened}` is never closed");
            self.findings.push(Diagnostic::error(place, message).help("write `end` below its last line"));
            // What is wrong with a block that has no end is no second mistake.
            let findings = self.findings.len();
            self.end(last.unwrap_or(innermost));
            self.findings.truncate(findings);
        }
    }

    /// Refuses what is not a line of the block's one side.
    fn one_side(&mut self, body: &[Statement], block: &str) {
        if let Some(odd) = not_one_side(body) {
            let message = format!("`{block}` holds lines of one side only");
            let begins_block =
                |statement: &Statement| statement.place == odd && statement.kind.bodies().next().is_some();
            let help = match body.iter().any(begins_block) {
                true if block == "maybe" => {
                    "write `either`, this block, `or` and `end` instead: an `or` with nothing below it means that it did not come"
                }
                true => "move this block out of the block",
                false => "move this line out of the block",
            };
            self.error(odd, message, help);
        }
    }

    /// The same of a block that has others in it.
    fn one_side_throughout(&mut self, body: &[Statement]) {
        let mut first = None;
        if let Some(odd) = not_one_side_throughout(body, &mut first) {
            self.error(
                odd,
                "`together` holds what one side says: lines of it, and `repeat`, `either` and `in any order` with such lines",
                "move this line out of the block",
            );
        }
    }

    /// `at any time`: it holds for the file from there on.
    pub(super) fn aside(&mut self, place: Span) {
        if !self.open.is_empty() || self.blocks_outside > 0 {
            let help = "move it out of the block: it holds from where it stands to the end of the file";
            self.error(place, "`at any time` stands in no other block", help);
        }
        self.seen.message = true;
        self.begin(place, Block::Aside);
    }

    /// What is heard at any time is known by its first line.
    fn begins_with_a_line(&mut self, began: Span, body: &[Statement]) {
        let Some(first) = body.first() else { return };
        let first = match &first.kind {
            StatementKind::Together { body } => body.first().unwrap_or(first),
            _ => first,
        };
        if !matches!(first.kind, StatementKind::Message { .. } | StatementKind::Wrong) {
            let place = if matches!(first.kind, StatementKind::Set { .. }) { first.place } else { began };
            self.error(place, "`at any time` begins with a line", "let the line come first that tells what this is");
        }
    }

    /// An `or` in other words: of a choice it is one.
    pub(super) fn or_broken(&mut self, place: Span) {
        if let Some(Open { kind: Block::Either { .. }, .. }) = self.open.last() {
            self.or(place);
        }
    }
}

/// The name in `on {x}`, `{x}:`, `$x`, `(x)`, `x # a comment`.
fn name_meant(written: &str) -> Option<&str> {
    let written = [" #", " //"].iter().find_map(|mark| written.split_once(mark)).map_or(written, |(before, _)| before);
    let words = ["on", "by", "from", "of", "with", "the", "value", "if", "when"];
    let is_mark = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    let mut names = written.split(is_mark).filter(|word| !word.is_empty() && !words.contains(word));
    let name = names.next().filter(|name| !name.starts_with(|c: char| c.is_ascii_digit()) && *name != "_")?;
    names.next().is_none().then_some(name)
}

/// The connection of the first line in a block.
fn first_said(body: &[Statement]) -> Option<u8> {
    let has_connection = |statement: &&Statement| {
        !matches!(
            statement.kind,
            StatementKind::Set { .. } | StatementKind::Let { .. } | StatementKind::Fresh { .. } | StatementKind::Wrong
        )
    };
    body.iter().find(has_connection).map(|statement| statement.connection)
}

/// The same for statements in blocks: only those are looked at that may stand in a `together`.
fn not_one_side_throughout(body: &[Statement], first: &mut Option<(Side, u8)>) -> Option<Span> {
    body.iter().find_map(|statement| match &statement.kind {
        StatementKind::Message { side, .. } => {
            let speaker = (*side, statement.connection);
            (*first.get_or_insert(speaker) != speaker).then_some(statement.place)
        }
        StatementKind::Repeat { body, .. } | StatementKind::AnyOrder { body } => not_one_side_throughout(body, first),
        StatementKind::Either { branches } => {
            branches.iter().find_map(|branch| not_one_side_throughout(&branch.body, first))
        }
        StatementKind::Wrong => None,
        _ => Some(statement.place),
    })
}

/// The first statement that is not a line of the same side as the first one.
fn not_one_side(body: &[Statement]) -> Option<Span> {
    let side_of = |statement: &Statement| match statement.kind {
        StatementKind::Message { side, .. } => Some((side, statement.connection)),
        _ => None,
    };
    // What is wrong in itself was told.
    let mut body = body.iter().filter(|statement| !matches!(statement.kind, StatementKind::Wrong)).peekable();
    let first = body.peek().and_then(|first| side_of(first));
    body.find(|statement| side_of(statement).is_none() || side_of(statement) != first).map(|odd| odd.place)
}
