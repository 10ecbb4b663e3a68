//! What stands in the wrong place of the file: a block that holds for nothing below it, an empty line that is not said, two
//! settings that exclude each other.

use crate::Side;
use crate::diagnostic::{Diagnostic, Source, Span};
use crate::syntax::{Form, Settings, Statement, StatementKind, throughout};

/// An `at any time` below the last line of its side: while a play awaits nothing, nothing is heard.
pub(super) fn never_heard(body: &[Statement], findings: &mut Vec<Diagnostic>) {
    let is_aside = |statement: &Statement| matches!(statement.kind, StatementKind::Aside { .. });
    // A file with nothing else is there to be included.
    if body.iter().all(is_aside) {
        return;
    }
    // Of each side whether something of it is awaited below.
    let mut awaited = [false; 2];
    for statement in body.iter().rev() {
        if let StatementKind::Aside { body } = &statement.kind {
            let first = throughout(body).find_map(speaker);
            if let Some(side) = first
                && !awaited[side as usize]
            {
                let text = format!("this is never heard: nothing of the {side} is awaited below it");
                let help = "move it above the lines during which it may come: it holds from where it stands";
                findings.push(Diagnostic::warning(statement.place, text).help(help));
            }
            continue;
        }
        for statement in throughout(std::slice::from_ref(statement)) {
            match speaker(statement) {
                Some(side) => awaited[side as usize] = true,
                // Who is waited for there is not looked at: it may be either.
                None if matches!(statement.kind, StatementKind::Tls(_) | StatementKind::Connects { .. }) => {
                    awaited = [true; 2];
                }
                None => {}
            }
        }
    }
}

/// Who says or does a statement.
fn speaker(statement: &Statement) -> Option<Side> {
    match &statement.kind {
        StatementKind::Message { side, .. }
        | StatementKind::Not { side, .. }
        | StatementKind::Act { side, .. }
        | StatementKind::File { side, .. } => Some(*side),
        _ => None,
    }
}

/// The head of an HTTP message that ends with an empty line of the file, where one that is said was meant.
pub(super) fn head_without_end(body: &[Statement], source: &Source, findings: &mut Vec<Diagnostic>) {
    let mut at = 0;
    while at < body.len() {
        let Some((side, _)) = said(&body[at], source).filter(|(_, text)| is_http(text)) else {
            at += 1;
            continue;
        };
        let is_field = |statement: &&Statement| {
            said(statement, source).is_some_and(|(by, text)| by == side && begins_as_field(text))
        };
        let fields = body[at + 1..].iter().take_while(is_field).count();
        at += fields + 1;
        let Some((other, _)) = body.get(at).and_then(|next| said(next, source)) else { continue };
        let last = body[at - 1].place;
        let is_blank = body[at].place.line > last.line + 1 && source.line(last.line + 1).trim().is_empty();
        if fields > 0 && other != side && is_blank {
            let text = "the empty line below this one is not said: this head has no end";
            let help = format!("write `{}:` in place of the empty line", side.letter());
            findings.push(Diagnostic::warning(last, text).help(help));
        }
    }
}

/// A text line, as it is written behind its colon.
fn said<'a>(statement: &Statement, source: &'a Source) -> Option<(Side, &'a str)> {
    let StatementKind::Message { side, form: Form::Text, .. } = &statement.kind else { return None };
    let (_, text) = source.line(statement.place.line).split_once(':')?;
    Some((*side, text.strip_prefix(' ').unwrap_or(text)))
}

/// The first line of a request, or of an answer.
fn is_http(text: &str) -> bool {
    text.starts_with("HTTP/1.") || text.trim_end().ends_with(" HTTP/1.1") || text.trim_end().ends_with(" HTTP/1.0")
}

fn begins_as_field(text: &str) -> bool {
    let name = text.split(':').next().unwrap_or_default();
    name.len() < text.len()
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A line is over when it was quiet for as long as the gap, and given up when it has taken as long as the timeout.
pub(super) fn gap_behind_timeout(settings: &Settings, source: &Source, findings: &mut Vec<Diagnostic>) {
    let (Some(gap), Some(timeout)) = (settings.gap, settings.timeout) else { return };
    if gap < timeout {
        return;
    }
    let is_gap = |line: &str| line.trim_start().starts_with("gap ");
    let Some((line, text)) = source.text().lines().enumerate().find(|(_, line)| is_gap(line)) else { return };
    let bare = text.trim();
    let column = text.chars().take_while(|c| c.is_whitespace()).count() + 1;
    let place = Span { line: line + 1, column, width: bare.chars().count() };
    let shorter = timeout.as_millis() / 10;
    let instead = if shorter > 0 {
        format!("write `gap {shorter}ms`, or a longer `timeout`")
    } else {
        "write a longer `timeout`".to_owned()
    };
    let text = "a line without an ending is never heard: `timeout` is over before this";
    findings.push(Diagnostic::warning(place, text).help(instead));
}
