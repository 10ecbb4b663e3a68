//! Warnings: a file that can be played, and says something else than it seems to. Each names what to write instead, also
//! where exactly what stands there is meant.

mod braces;
mod cases;
mod escapes;
mod known;
mod layout;
mod names;
mod near_holes;
mod patterns;
mod payload;
mod words;

use std::collections::BTreeSet;

use payload::Payload;

use crate::diagnostic::{Diagnostic, Source, Span};
use crate::names::Roles;
use crate::side::Side;
use crate::syntax::{Eol, Form, Settings, Statement, StatementKind};

/// What is probably not meant; `given` names get their values from outside.
pub(crate) fn warnings(
    body: &[Statement],
    roles: &Roles,
    source: &Source,
    settings: &Settings,
    given: &[&str],
) -> Vec<Diagnostic> {
    let is_udp = settings.at.as_ref().is_some_and(|at| at.address.to_ascii_lowercase().starts_with("udp:"));
    let census = names::Census::of(body, roles, given);
    let mut linter = Linter {
        source,
        known: known::Known::new(census.known(), source),
        lonely: census.lonely(),
        in_fields: census.in_fields(),
        findings: census.findings(source),
        blocks: false,
        bare: settings.eol == Eol::None && !is_udp,
        bare_datagrams: is_udp && matches!(settings.eol, Eol::Any | Eol::None),
        defaults: cases::Defaults::of(body),
    };
    linter.block(body);
    layout::never_heard(body, &mut linter.findings);
    layout::gap_behind_timeout(settings, source, &mut linter.findings);
    cases::never_had(body, roles, source, given, &mut linter.findings);
    linter.findings
}

struct Linter<'a> {
    source: &'a Source,
    known: known::Known<'a>,
    /// Those that stand in one place only.
    lonely: BTreeSet<&'a str>,
    /// Those whose values stand in fields, beside quotes and in bodies, where quotes are a protocol's.
    in_fields: BTreeSet<&'a str>,
    findings: Vec<Diagnostic>,
    defaults: cases::Defaults<'a>,
    /// A line that says `repeat` or the like was met.
    blocks: bool,
    /// Lines are said without an ending, on a stream.
    bare: bool,
    /// A line is a datagram of its own, without an ending.
    bare_datagrams: bool,
}

impl Linter<'_> {
    fn block(&mut self, body: &[Statement]) {
        layout::head_without_end(body, self.source, &mut self.findings);
        for statement in body {
            match &statement.kind {
                StatementKind::Message { side, form: Form::Text, template }
                    if template.parts.is_empty() && (self.bare || self.bare_datagrams && *side == Side::Client) =>
                {
                    self.empty_line(statement.place, *side);
                }
                StatementKind::Message { side, form, template } | StatementKind::Not { side, form, template } => {
                    let Some(payload) = Payload::of(self.source, statement.place, template) else { continue };
                    if *form == Form::Hex {
                        continue;
                    }
                    words::statement(&payload, *side, &self.known, &mut self.blocks, &mut self.findings);
                    escapes::escapes(&payload, *form == Form::Raw, &mut self.findings);
                    self.text(&payload);
                }
                StatementKind::Set { name, template } | StatementKind::Let { name, template, .. } => {
                    let Some(payload) = Payload::of(self.source, statement.place, template) else { continue };
                    match &statement.kind {
                        StatementKind::Let { function, .. } => {
                            words::name_for_its_value(&payload, name, *function, &self.known.names, &mut self.findings);
                        }
                        _ => {
                            words::value(&payload, name, &self.known.names, &self.in_fields, &mut self.findings);
                        }
                    }
                    escapes::escapes(&payload, true, &mut self.findings);
                    self.text(&payload);
                }
                StatementKind::Together { body } => {
                    // Lines of one datagram have endings.
                    let bare = std::mem::take(&mut self.bare_datagrams);
                    self.block(body);
                    self.bare_datagrams = bare;
                }
                StatementKind::Repeat { body, .. }
                | StatementKind::AnyOrder { body }
                | StatementKind::Maybe { body }
                | StatementKind::Aside { body } => self.block(body),
                StatementKind::Either { branches } => branches.iter().for_each(|branch| self.block(&branch.body)),
                StatementKind::Choose { cases, .. } => {
                    let name = cases::chosen(statement);
                    for case in cases {
                        cases::case(self.source, name, case, &self.defaults, &mut self.findings);
                        self.block(&case.body);
                    }
                }
                StatementKind::File { .. }
                | StatementKind::Connects { .. }
                | StatementKind::Fresh { .. }
                | StatementKind::Act { .. }
                | StatementKind::Tls(_)
                | StatementKind::Wrong => {}
            }
        }
    }

    /// A line without text, where lines are said without an ending.
    fn empty_line(&mut self, place: Span, side: Side) {
        let finding = if self.bare {
            let help = format!(
                "leave it out, or write its bytes: `{} raw: {{0x0a}}`; for datagrams alone, write `at udp://…`",
                side.letter()
            );
            let text = "this line has no bytes: under `eol none` nothing is sent, and on a stream nobody hears it";
            Diagnostic::warning(place, text).help(help)
        } else {
            let help =
                "write `eol lf`, so that the line ending is sent, or give the line text; another server may answer it";
            Diagnostic::warning(place, "this line is an empty datagram, and `serve` answers none").help(help)
        };
        self.findings.push(finding);
    }

    fn text(&mut self, payload: &Payload<'_>) {
        escapes::unseen(payload, &mut self.findings);
        escapes::comment(payload, &mut self.findings);
        braces::holes(payload, &self.known, &self.lonely, &mut self.findings);
        braces::text(payload, &self.known, &mut self.findings);
    }
}

#[cfg(test)]
mod tests;
