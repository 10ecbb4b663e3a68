//! Where TLS has begun and where it has not: one that begins twice, or ends before it began, is refused before anything is
//! played. What differs from way to way is told while it is played.

use crate::diagnostic::Diagnostic;
use crate::syntax::{MOST_CONNECTIONS, Statement, StatementKind, Tls, throughout};

/// What a connection is under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Clear,
    Tls,
    /// One of both: it differs from way to way.
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
            if times.is_some() {
                return after;
            }
        }
        StatementKind::Aside { body } => {
            touch(&mut states, body);
            block(body, states, findings);
        }
        kind => {
            // Blocks whose lines all come once have one body, and choices one for each way.
            let ways: Vec<States> = kind.bodies().map(|body| block(body, states, findings)).collect();
            if let Some(first) = ways.first() {
                let met = ways.iter().skip(1).fold(*first, |mut met, way| {
                    met.iter_mut().zip(way).for_each(|(state, other)| *state = state.meet(*other));
                    met
                });
                return met;
            }
        }
    }
    states
}

/// A block whose lines may have been played before: what it does with TLS may have been done.
fn touch(states: &mut States, body: &[Statement]) {
    for statement in throughout(body) {
        if matches!(statement.kind, StatementKind::Tls(_) | StatementKind::Connects { .. }) {
            states[usize::from(statement.connection)] = State::Either;
        }
    }
}
