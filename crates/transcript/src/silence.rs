//! Who has stopped sending says no more: a line of that side further down can never be played, whatever the peer does.

use std::collections::BTreeSet;

use crate::diagnostic::{Diagnostic, Span};
use crate::side::Side;
use crate::syntax::{Act, Statement, StatementKind};

/// Who has stopped sending, and over which connection; along any of the paths that lead here.
type Silent = BTreeSet<(Side, u8)>;

/// The lines of a side that has stopped sending.
pub(crate) fn check(body: &[Statement]) -> Vec<Diagnostic> {
    let mut walk = Walk::default();
    walk.block(body, &mut Silent::new());
    walk.findings
}

#[derive(Default)]
struct Walk {
    findings: Vec<Diagnostic>,
    /// The lines that are told already: the second round of a loop is looked at too.
    told: BTreeSet<usize>,
}

impl Walk {
    fn block(&mut self, body: &[Statement], silent: &mut Silent) {
        for statement in body {
            self.statement(statement, silent);
        }
    }

    fn statement(&mut self, statement: &Statement, silent: &mut Silent) {
        let Statement { place, kind, connection } = statement;
        match kind {
            StatementKind::Message { side, .. } | StatementKind::File { side, .. } => {
                self.says(*place, *side, *connection, silent);
            }
            StatementKind::Act { side, act: Act::StopsSending } => {
                self.says(*place, *side, *connection, silent);
                silent.insert((*side, *connection));
            }
            // TLS needs both to speak.
            StatementKind::Tls(_) => {
                for side in [Side::Client, Side::Server] {
                    self.says(*place, side, *connection, silent);
                }
            }
            // What comes behind is another connection, or is never played.
            StatementKind::Act { act: Act::Closes | Act::Resets, .. } | StatementKind::Connects { .. } => {
                silent.retain(|(_, over)| over != connection);
            }
            StatementKind::Repeat { times, body } => {
                let before = silent.clone();
                self.block(body, silent);
                // The next round begins with what this one left.
                if *times != Some(1) && *silent != before {
                    self.block(body, silent);
                }
            }
            StatementKind::Either { branches } => self.branches(branches.iter().map(|branch| &branch.body[..]), silent),
            StatementKind::Choose { cases, .. } => self.branches(cases.iter().map(|case| &case.body[..]), silent),
            StatementKind::AnyOrder { body } | StatementKind::Together { body } | StatementKind::Maybe { body } => {
                self.block(body, silent);
            }
            // Where it comes is not known.
            StatementKind::Aside { body } => self.block(body, &mut Silent::new()),
            StatementKind::Act { act: Act::Waits(_), .. }
            | StatementKind::Not { .. }
            | StatementKind::Set { .. }
            | StatementKind::Let { .. }
            | StatementKind::Fresh { .. }
            | StatementKind::Wrong => {}
        }
    }

    fn branches<'a>(&mut self, branches: impl Iterator<Item = &'a [Statement]>, silent: &mut Silent) {
        let before = silent.clone();
        silent.clear();
        for branch in branches {
            let mut along = before.clone();
            self.block(branch, &mut along);
            silent.append(&mut along);
        }
    }

    fn says(&mut self, place: Span, side: Side, connection: u8, silent: &Silent) {
        if silent.contains(&(side, connection)) && self.told.insert(place.line) {
            let message = format!("the {side} has stopped sending, and says nothing more");
            let help = "move `stops sending` below the last line of that side; `closes` may stand behind it";
            self.findings.push(Diagnostic::error(place, message).help(help));
        }
    }
}
