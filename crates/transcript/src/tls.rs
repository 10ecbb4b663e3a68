//! Where TLS has begun and where it has not: one that begins twice, or ends before it began, is refused before anything is
//! played. What differs from branch to branch is told while it is played.

use crate::diagnostic::Diagnostic;
use crate::syntax::{MOST_CONNECTIONS, Statement, StatementKind, Tls, throughout};

/// What a connection is under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Clear,
    Tls,
    /// One of both: it differs from branch to branch.
    Either,
}

impl State {
    fn meet(self, other: Self) -> Self {
        if self == other { self } else { Self::Either }
    }
}

type States = [State; MOST_CONNECTIONS as usize + 1];

/// What is wrong with where TLS begins and ends.
pub(crate) fn check(body: &[Statement]) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    if throughout(body).any(|statement| matches!(statement.kind, StatementKind::Tls(_))) {
        block(body, [State::Clear; MOST_CONNECTIONS as usize + 1], &mut findings);
    }
    findings
}

fn block(body: &[Statement], before: States, findings: &mut Vec<Diagnostic>) -> States {
    body.iter().fold(before, |states, statement| self::statement(statement, states, findings))
}

fn statement(statement: &Statement, mut states: States, findings: &mut Vec<Diagnostic>) -> States {
    let own = usize::from(statement.connection);
    match &statement.kind {
        StatementKind::Tls(tls) => {
            let (wrong, message, help) = match tls {
                Tls::Start { .. } => (
                    State::Tls,
                    "TLS has begun already",
                    "take this line out, or write `stoptls` where TLS ends before it",
                ),
                Tls::Stop => (
                    State::Clear,
                    "there is no TLS here that could end",
                    "write `starttls` where it begins; a file that begins with it is TLS from the first byte",
                ),
            };
            if states[own] == wrong {
                findings.push(Diagnostic::error(statement.place, message).help(help));
            }
            states[own] = if matches!(tls, Tls::Stop) { State::Clear } else { State::Tls };
        }
        StatementKind::Connects { .. } => states[own] = State::Clear,
        StatementKind::Repeat { times, body } => {
            touch(&mut states, body);
            let after = block(body, states, findings);
            // A loop that begins with it cannot be told from what follows it: that is refused as such.
            let begins_a_way =
                times.is_none() && matches!(body.first(), Some(first) if matches!(first.kind, StatementKind::Tls(_)));
            if *times != Some(1) && !begins_a_way {
                in_each_round(body, findings);
            }
            if times.is_some() {
                return after;
            }
        }
        StatementKind::Aside { body } => {
            touch(&mut states, body);
            block(body, states, findings);
        }
        kind => {
            // Blocks whose lines all come once have one body, and choices one for each branch.
            let branches: Vec<States> = kind.bodies().map(|body| block(body, states, findings)).collect();
            if let Some(first) = branches.first() {
                let met = branches.iter().skip(1).fold(*first, |mut met, branch| {
                    met.iter_mut().zip(branch).for_each(|(state, other)| *state = state.meet(*other));
                    met
                });
                return met;
            }
        }
    }
    states
}

/// TLS that begins in each round and ends in none, or the other way round: the second round cannot do what the first did.
fn in_each_round(body: &[Statement], findings: &mut Vec<Diagnostic>) {
    let ends =
        |statement: &Statement| matches!(&statement.kind, StatementKind::Act { act, .. } if act.that_ends().is_some());
    if throughout(body).any(ends) {
        return;
    }
    let touches = |statement: &&Statement| {
        throughout(std::slice::from_ref(*statement))
            .any(|inner| matches!(inner.kind, StatementKind::Tls(_) | StatementKind::Connects { .. }))
    };
    let first = body.iter().find(touches);
    let last = body.iter().rfind(touches);
    if let (Some(first), Some(last)) = (first, last)
        && let (StatementKind::Tls(begin), StatementKind::Tls(end)) = (&first.kind, &last.kind)
        && first.connection == last.connection
        && matches!(begin, Tls::Stop) == matches!(end, Tls::Stop)
        && !findings.iter().any(|finding| finding.line == first.place.line)
    {
        let (message, help) = match begin {
            Tls::Start { .. } => (
                "TLS has begun already in the second round",
                "move this line above the loop, or write `stoptls` at its end",
            ),
            Tls::Stop => (
                "there is no TLS in the second round that could end",
                "move this line below the loop, or write `starttls` at its end",
            ),
        };
        findings.push(Diagnostic::error(first.place, message).help(help));
    }
}

/// A block whose lines may have been played before: what it does with TLS may have been done.
fn touch(states: &mut States, body: &[Statement]) {
    for statement in throughout(body) {
        if matches!(statement.kind, StatementKind::Tls(_) | StatementKind::Connects { .. }) {
            states[usize::from(statement.connection)] = State::Either;
        }
    }
}
