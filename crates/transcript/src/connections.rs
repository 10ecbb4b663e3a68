//! Which connections are open where: what is said over one that is not is refused before anything is played.

use crate::diagnostic::{Diagnostic, Source, Span};
use crate::names::Roles;
use crate::side::Side;
use crate::syntax::{Act, FIRST, Statement, StatementKind, throughout};

/// A bit for each connection that is open; none where no path leads.
type Open = Option<u16>;

fn bit(connection: u8) -> u16 {
    1 << connection
}

/// What is wrong with the connections of a transcript.
pub(crate) fn check(body: &[Statement], roles: &Roles, source: &Source) -> Vec<Diagnostic> {
    let spans = |statement: &Statement| {
        statement.connection != FIRST || matches!(statement.kind, StatementKind::Connects { .. })
    };
    if !throughout(body).any(spans) {
        return Vec::new();
    }
    let mut walk = Walk { source, findings: Vec::new() };
    walk.block(body, Some(bit(FIRST)), None);
    walk.ports(body, roles);
    walk.findings
}

struct Walk<'a> {
    source: &'a Source,
    findings: Vec<Diagnostic>,
}

/// How a connection is called in a message.
fn called(connection: u8) -> String {
    match connection {
        FIRST => "the first connection".to_owned(),
        other => format!("connection {other}"),
    }
}

/// What opens it.
fn opening(connection: u8) -> String {
    if connection == FIRST { "C connects".to_owned() } else { format!("C{connection} connects") }
}

impl Walk<'_> {
    fn wrong(&mut self, place: Span, message: String, help: impl Into<String>) {
        self.findings.push(Diagnostic::error(place, message).help(help));
    }

    /// What is open behind a block. In a block whose lines are all of one connection, it is named.
    fn block(&mut self, body: &[Statement], mut open: Open, only: Option<(&str, u8)>) -> Open {
        for statement in body {
            if let Some((block, connection)) = only
                && statement.connection != connection
                && has_connection(statement)
            {
                let message = format!("`{block}` is about one connection");
                self.wrong(statement.place, message, "move this line out of the block");
            }
            open = self.statement(statement, open);
        }
        open
    }

    fn statement(&mut self, statement: &Statement, open: Open) -> Open {
        let (place, connection) = (statement.place, statement.connection);
        match &statement.kind {
            StatementKind::Connects { side, .. } => self.connects(place, connection, *side, open),
            StatementKind::Message { .. }
            | StatementKind::Not { .. }
            | StatementKind::File { .. }
            | StatementKind::Tls(_)
            | StatementKind::Act { .. } => self.goes_over(statement, open),
            StatementKind::Repeat { times, body } => {
                let after = self.block(body, open, None);
                if let (Some(before), Some(after)) = (open, after)
                    && before != after
                    && *times != Some(1)
                {
                    let message = "a round ends with other connections than it begins with";
                    let help = "open what the round closes, and close what it opens, before its `end`";
                    self.wrong(place, message.to_owned(), help);
                }
                if *times == Some(1) { after } else { open }
            }
            StatementKind::Either { branches } => {
                // That they begin over the same connection is looked at where loops have their branches too.
                let branches: Vec<Open> = branches.iter().map(|branch| self.block(&branch.body, open, None)).collect();
                self.meet(place, &branches)
            }
            StatementKind::Choose { cases, .. } => {
                let branches: Vec<Open> = cases.iter().map(|case| self.block(&case.body, open, None)).collect();
                self.meet(place, &branches)
            }
            StatementKind::AnyOrder { body } => self.block(body, open, Some(("in any order", connection))),
            StatementKind::Together { body } => self.block(body, open, Some(("together", connection))),
            StatementKind::Maybe { body } => self.block(body, open, Some(("maybe", connection))),
            StatementKind::Aside { body } => {
                self.block(body, Some(bit(FIRST)), Some(("at any time", FIRST)));
                let ends = |statement: &&Statement| match &statement.kind {
                    StatementKind::Connects { .. } => true,
                    StatementKind::Act { act, .. } => act.that_ends().is_some(),
                    _ => false,
                };
                if let Some(odd) = throughout(body).find(ends) {
                    let message = "no connection is opened or ended `at any time`".to_owned();
                    self.wrong(odd.place, message, "write it where it is done");
                }
                open
            }
            StatementKind::Set { .. }
            | StatementKind::Let { .. }
            | StatementKind::Fresh { .. }
            | StatementKind::Wrong => open,
        }
    }

    /// A connection is opened.
    fn connects(&mut self, place: Span, connection: u8, side: Side, open: Open) -> Open {
        let now = open?;
        if now & bit(connection) != 0 {
            let word = opening(connection);
            let message = format!("{} is open already", called(connection));
            let side = side.letter();
            let end = word.replace("connects", "closes").replacen('C', &side.to_string(), 1);
            self.wrong(place, message, format!("end it before: `{end}`, or open another one: `C2 connects`"));
        }
        Some(now | bit(connection))
    }

    /// Something is said or done over a connection, which has to be open.
    fn goes_over(&mut self, statement: &Statement, open: Open) -> Open {
        let (now, connection) = (open?, statement.connection);
        if let StatementKind::Act { act: Act::Waits(_), .. } = statement.kind {
            return open;
        }
        if now & bit(connection) == 0 {
            // What stands behind the end of the only one is told apart.
            if now != 0 || connection != FIRST {
                let message = format!("{} is not open here", called(connection));
                self.wrong(statement.place, message, format!("write `{}` above this line", opening(connection)));
            }
            return None;
        }
        match &statement.kind {
            StatementKind::Act { act, .. } if act.that_ends().is_some() => Some(now & !bit(connection)),
            _ => open,
        }
    }

    /// What is open where branches meet.
    fn meet(&mut self, place: Span, branches: &[Open]) -> Open {
        // A branch on which all has ended and nothing is opened again ends the play.
        let mut going: Vec<u16> = branches.iter().copied().flatten().collect();
        if going.iter().any(|open| *open != 0) {
            going.retain(|open| *open != 0);
        }
        let first = *going.first()?;
        if going.iter().any(|open| *open != first) {
            let message = "some ways from here leave a connection open that others have closed".to_owned();
            self.wrong(place, message, "let all ways leave the same connections open");
        }
        Some(first)
    }

    /// A port is said by who listens there, and before the other side connects.
    fn ports(&mut self, body: &[Statement], roles: &Roles) {
        let mut told: Vec<String> = Vec::new();
        for statement in throughout(body) {
            let StatementKind::Message { side, template, .. } = &statement.kind else { continue };
            for (hole, place) in template.holes() {
                let Some((listens, _)) = roles.listens(&hole.name) else { continue };
                if listens == *side && !hole.defaults.is_empty() {
                    let message =
                        format!("{{{}}} is the port at which the {listens} listens, and has no default", hole.name);
                    self.wrong(place, message, "leave the default out: sockeye takes a port that is free");
                }
                if listens != *side && !told.contains(&hole.name) {
                    let (letter, line) = (listens.letter(), self.source.mention(statement.place.line));
                    let message = format!(
                        "{{{}}} is a port at which the {listens} listens, and {line} is not said by it",
                        hole.name
                    );
                    self.wrong(place, message, format!("let a line of `{letter}:` say it first"));
                }
                told.push(hole.name.clone());
            }
        }
    }
}

/// Whether a statement is about a connection.
fn has_connection(statement: &Statement) -> bool {
    !matches!(
        statement.kind,
        StatementKind::Set { .. }
            | StatementKind::Let { .. }
            | StatementKind::Fresh { .. }
            | StatementKind::Wrong
            | StatementKind::Act { act: Act::Waits(_), .. }
    )
}
