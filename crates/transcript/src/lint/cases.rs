//! The values of a `choose`: each is exactly what stands behind its `is`, whatever that means elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::payload::escaped;
use crate::diagnostic::{Diagnostic, Source, Span};
use crate::names::{Role, Roles};
use crate::notation::in_hex;
use crate::number::Number;
use crate::syntax::{Case, Pattern, Statement, StatementKind, Template, throughout};

/// The defaults of each name that a `choose` looks at: a value that is one of them is meant as it is written.
pub(super) struct Defaults<'a>(BTreeMap<&'a str, BTreeSet<&'a [u8]>>);

impl<'a> Defaults<'a> {
    pub(super) fn of(body: &'a [Statement]) -> Self {
        let chosen: BTreeSet<&str> = throughout(body).filter_map(chosen).collect();
        let mut defaults: BTreeMap<&str, BTreeSet<&[u8]>> = BTreeMap::new();
        if !chosen.is_empty() {
            let holes = throughout(body).flat_map(Statement::templates).flat_map(Template::holes);
            for (hole, _) in holes.filter(|(hole, _)| chosen.contains(hole.name.as_str())) {
                let of_name = defaults.entry(hole.name.as_str()).or_default();
                of_name.extend(hole.defaults.iter().map(|sample| &sample.bytes[..]));
            }
        }
        Self(defaults)
    }

    fn has(&self, name: Option<&str>, value: &[u8]) -> bool {
        name.and_then(|name| self.0.get(name)).is_some_and(|defaults| defaults.contains(value))
    }
}

/// The name whose value a `choose` looks at.
pub(super) fn chosen(statement: &Statement) -> Option<&str> {
    let StatementKind::Choose { name, .. } = &statement.kind else { return None };
    name.holes().next().map(|(hole, _)| hole.name.as_str())
}

/// `is "a"`, `is a|b`, `is not a` and their like; `name` is that of the `choose`.
pub(super) fn case(
    source: &Source,
    name: Option<&str>,
    case: &Case,
    defaults: &Defaults<'_>,
    findings: &mut Vec<Diagnostic>,
) {
    let Case { place, value: Some(value), .. } = case else { return };
    let line = source.line(place.line);
    let Some(behind) = line.trim_start_matches([' ', '\t']).strip_prefix("is") else { return };
    let written = behind.strip_prefix([' ', '\t']).unwrap_or(behind);
    let written = written.strip_suffix('\r').unwrap_or(written);
    let found = unseen(written).or_else(|| other_than_it_seems(written).filter(|_| !defaults.has(name, value)));
    let Some((message, help)) = found else { return };
    let end = line.strip_suffix('\r').unwrap_or(line).len();
    let column = line[..end - written.len()].chars().count() + 1;
    let place = Span { line: place.line, column, width: written.chars().count().max(1) };
    findings.push(Diagnostic::warning(place, message).help(help));
}

/// Values that the name of a `choose` never has: no hole that captures it takes them. `given` names have their values from
/// outside.
pub(super) fn never_had(
    body: &[Statement],
    roles: &Roles,
    source: &Source,
    given: &[&str],
    findings: &mut Vec<Diagnostic>,
) {
    let others: BTreeSet<&str> = throughout(body)
        .filter_map(|statement| match &statement.kind {
            StatementKind::Set { name, .. } | StatementKind::Let { name, .. } | StatementKind::Fresh { name, .. } => {
                Some(name.as_str())
            }
            _ => None,
        })
        .chain(given.iter().copied())
        .collect();
    let names: BTreeSet<&str> = throughout(body).filter_map(chosen).filter(|name| !others.contains(name)).collect();
    if names.is_empty() {
        return;
    }
    let captured = captured(body, roles, &names);
    let told: BTreeSet<usize> = findings.iter().map(|told| told.line).collect();
    for statement in throughout(body) {
        let StatementKind::Choose { cases, .. } = &statement.kind else { continue };
        let Some((name, patterns)) = chosen(statement).and_then(|name| captured.get_key_value(name)) else { continue };
        for case in cases {
            let Some(value) = &case.value else { continue };
            let is_had = patterns.iter().any(|pattern| may_be_had(pattern, value));
            if !is_had && !told.contains(&case.place.line) {
                findings.push(is_never_had(source, case, name, patterns[0], value));
            }
        }
    }
}

/// The patterns of the holes that capture each of these names, each pattern once.
fn captured<'a>(
    body: &'a [Statement],
    roles: &Roles,
    names: &BTreeSet<&'a str>,
) -> BTreeMap<&'a str, Vec<&'a Pattern>> {
    let mut captured: BTreeMap<&str, Vec<&Pattern>> = BTreeMap::new();
    let mut known = BTreeSet::new();
    let holes = throughout(body).flat_map(Statement::templates).flat_map(Template::holes);
    for (hole, place) in holes {
        let name = hole.name.as_str();
        if names.contains(name)
            && roles.of(place) == Role::Capture
            && known.insert((name, hole.pattern.written(|count| count.as_str())))
        {
            captured.entry(name).or_default().push(&hole.pattern);
        }
    }
    captured
}

/// Whether a hole with this pattern gives its name this value.
fn may_be_had(pattern: &Pattern, value: &[u8]) -> bool {
    match pattern {
        // The name has the number in decimal digits, however it was written.
        Pattern::Number(number) => number
            .write(value)
            .and_then(|bytes| number.read(&bytes))
            .is_some_and(|read| read.to_string().as_bytes() == value),
        pattern => pattern.accepts(value),
    }
}

fn is_never_had(source: &Source, case: &Case, name: &str, pattern: &Pattern, value: &[u8]) -> Diagnostic {
    let line = source.line(case.place.line);
    let indent = line.chars().take_while(|letter| matches!(letter, ' ' | '\t')).count();
    let width = line.trim().chars().count();
    let place = Span { line: case.place.line, column: indent + 1, width: width.max(1) };
    let shown = match value {
        [] => "empty".to_owned(),
        value => format!("`{}`", crate::notation::show(value)),
    };
    let written = pattern.written(|count| count.as_str());
    let message = format!("{{{name}}} is never {shown}: its hole takes `{{{name}{written}}}`");
    let in_hex = matches!(pattern, Pattern::Number(Number::Hex { .. }));
    let help = match (pattern, decimal(value, in_hex)) {
        (Pattern::Number(_), Some(digits)) if may_be_had(pattern, digits.as_bytes()) => {
            format!("the value of a number is decimal digits: write `is {digits}`")
        }
        (Pattern::Number(number), _) => {
            format!(
                "the value of a number is decimal digits, and fits into {number}: let one stand here, or leave it out"
            )
        }
        (Pattern::Int, Some(digits)) => format!("a whole number is decimal digits: write `is {digits}`"),
        (Pattern::Int, None) => "a whole number is decimal digits: let one stand here, or leave it out".to_owned(),
        _ => "let a value stand here that the pattern takes, or leave it out".to_owned(),
    };
    Diagnostic::warning(place, message).help(help)
}

/// The number that `007`, `+7` or `0x1f` stands for, in decimal digits; `1f` only where numbers are written `in_hex`: elsewhere
/// `bad` is a word.
fn decimal(value: &[u8], in_hex: bool) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(hex, 16).ok().map(|number| number.to_string());
    }
    let decimal = text.parse::<u64>().ok();
    decimal.or_else(|| u64::from_str_radix(text, 16).ok().filter(|_| in_hex)).map(|number| number.to_string())
}

/// A space at the end of a value, which is said even where a default has it: nobody sees it.
fn unseen(written: &str) -> Option<(String, String)> {
    let trimmed = written.trim_end_matches([' ', '\t']);
    if trimmed.len() == written.len() {
        return None;
    }
    let hex = in_hex(&written.as_bytes()[trimmed.len()..]);
    let bare = format!("is {trimmed}");
    let help = format!("write `{}`, or `is {trimmed}{{0x{hex}}}` so that it can be seen", bare.trim_end());
    Some(("a space that cannot be seen stands at the end".to_owned(), help))
}

/// What is wrong with a value, and what to write.
fn other_than_it_seems(written: &str) -> Option<(String, String)> {
    written.chars().next().filter(char::is_ascii)?;
    let found = quoted(written).or_else(|| other_values(written)).or_else(|| signs_around(written));
    let (why, help) = found.or_else(|| line_behind(written)).or_else(|| compared(written))?;
    Some((format!("`{written}` is text: {why}"), help))
}

/// The same value, so that it is seen that the character there is meant.
fn meant(written: &str, at: usize) -> String {
    format!("text that is meant is `is {}`", escaped(written, at))
}

/// What to write instead of a value, and the value itself if it is meant.
fn instead(written: &str, value: &str, at: usize) -> String {
    format!("write `is {value}`; {}", meant(written, at))
}

/// What stands between two signs, if it is not empty.
fn inside(written: &str, open: char, close: char) -> Option<&str> {
    written.strip_prefix(open)?.strip_suffix(close).filter(|text| !text.is_empty())
}

/// A value in quotes.
fn quoted(written: &str) -> Option<(String, String)> {
    let bare = ['"', '\'', '`'].iter().find_map(|&quote| inside(written, quote, quote))?;
    Some(("its quotes belong to the value".to_owned(), instead(written, bare, 0)))
}

/// Text that seems to stand for other values, or for several, or to have a comment.
fn other_values(written: &str) -> Option<(String, String)> {
    if let Some(at) = [" # ", " // "].iter().filter_map(|mark| written.find(mark)).min()
        && !written[..at].trim().is_empty()
    {
        let bare = written[..at].trim_end();
        let help = format!("write `is {bare}`, and the comment above it behind a #; {}", meant(written, at + 1));
        return Some(("a comment stands on a line of its own".to_owned(), help));
    }
    let is_expression = |text: &str| text.contains(['*', '+', '?', '[', '(', '\\', '|', '^', '$']);
    let expression = inside(written, '/', '/').filter(|text| is_expression(text)).or_else(|| inside(written, '^', '$'));
    if let Some(expression) = expression {
        let expression = expression.replace('/', "\\x2f");
        let help = format!(
            "write each value as an `is` of its own; by an expression an `either` decides, with lines such as \
             `C: {{_:/{expression}/}}`; {}",
            meant(written, 0)
        );
        return Some(("it stands for no other value".to_owned(), help));
    }
    let parts: Vec<&str> = written.split('|').map(str::trim).collect();
    if parts.len() > 1 && parts.iter().all(|part| !part.is_empty()) {
        let all: Vec<String> = parts.iter().map(|part| format!("`is {part}`")).collect();
        let text = written.replace('|', "{0x7c}");
        let help =
            format!("write {}, each with what is said then; text that is meant is `is {text}`", all.join(" and "));
        return Some(("it is one value, and no list of them".to_owned(), help));
    }
    if let Some(bare) = written.strip_prefix("not ").map(str::trim).filter(|bare| !bare.is_empty()) {
        let help =
            format!("write `is {bare}` with what is said then, and `else` for all others; {}", meant(written, 0));
        return Some(("it stands for no other value".to_owned(), help));
    }
    None
}

/// Signs around a value that belong to it, and seem not to.
fn signs_around(written: &str) -> Option<(String, String)> {
    let is_name = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    };
    if written.starts_with('=') {
        let bare = written.trim_start_matches('=').trim_start();
        return (!bare.is_empty()).then(|| ("its `=` belongs to the value".to_owned(), instead(written, bare, 0)));
    }
    if let Some(bare) = written.strip_suffix(':').filter(|bare| !bare.is_empty()) {
        return Some(("its `:` belongs to the value".to_owned(), instead(written, bare, written.len() - 1)));
    }
    if let Some(name) = written.strip_prefix('$').filter(|name| is_name(name)) {
        let help = format!("write the value itself, as in `is a`; {}", meant(written, 0));
        return Some((format!("it is not the value of {name}"), help));
    }
    if let Some(bare) = inside(written, '<', '>').filter(|bare| is_name(bare)) {
        return Some(("its `<` and `>` belong to the value".to_owned(), instead(written, bare, 0)));
    }
    None
}

/// `a S: b`, `a: S: b`, `b then`: what is said then stands on the lines below.
fn line_behind(written: &str) -> Option<(String, String)> {
    let words = written.match_indices(' ').map(|(at, _)| at + 1);
    let is_side = |text: &&str| {
        ["C: ", "S: ", "C raw: ", "S raw: ", "C hex: ", "S hex: "].iter().any(|side| text.starts_with(side))
    };
    if let Some((at, line)) = words.map(|at| (at, &written[at..])).find(|(_, text)| is_side(text)) {
        let bare = written[..at].trim_end().trim_end_matches([':', '-', '>', '=']).trim_end();
        let bare = bare.strip_suffix(" then").unwrap_or(bare);
        if bare.is_empty() {
            return None;
        }
        let help = format!("write `is {bare}`, and `{line}` on the line below it; {}", meant(written, at));
        return Some(("what is said then stands on a line of its own".to_owned(), help));
    }
    let bare =
        written.strip_suffix(" then").map(str::trim_end).filter(|bare| !bare.is_empty() && !bare.contains(' '))?;
    let at = written.len() - "then".len();
    Some(("its `then` belongs to the value".to_owned(), instead(written, bare, at)))
}

/// `1,000`, `12,000,345`: one number. `200,404` are rather two.
fn has_thousands(written: &str) -> bool {
    let mut groups = written.split(',');
    let first = groups.next().unwrap_or_default();
    let is_group = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let (mut behind, mut has_zero) = (0, false);
    for group in groups {
        if group.len() != 3 || !is_group(group) {
            return false;
        }
        (behind, has_zero) = (behind + 1, has_zero || group.starts_with('0'));
    }
    behind > 0 && is_group(first) && ((1..3).contains(&first.len()) || first.len() == 3 && has_zero)
}

/// `a or b`, `a, b`, `> 3`, `A*`, `^a`: a value is one, and is compared as a whole.
fn compared(written: &str) -> Option<(String, String)> {
    if has_thousands(written) {
        return None;
    }
    for mark in [" or ", " || ", ", ", ","] {
        let parts: Vec<&str> = written.split(mark).map(str::trim).collect();
        let is_short = |part: &&str| part.len() <= 2 || part.bytes().all(|byte| byte.is_ascii_digit());
        let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        // `Hello, World` may well be one value; numbers and letters with a comma between them hardly are.
        if parts.len() > 1 && parts.iter().all(is_word) && (!mark.contains(',') || parts.iter().all(is_short)) {
            let all: Vec<String> = parts.iter().map(|part| format!("`is {part}`")).collect();
            let at = written.find(mark.trim()).unwrap_or(0);
            let help = format!("write {}, each with what is said then; {}", all.join(" and "), meant(written, at));
            return Some(("it is one value, and no list of them".to_owned(), help));
        }
    }
    let behind = written.trim_start_matches(['<', '>', '!', '=']).trim_start();
    let is_number = !behind.is_empty() && behind.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if behind.len() < written.len() && (is_number && written.starts_with(['<', '>']) || written.starts_with("!=")) {
        let help = format!(
            "a value is compared as a whole: write each as an `is` of its own, and `else` for all others; {}",
            meant(written, 0)
        );
        return Some(("it stands for no other value".to_owned(), help));
    }
    let is_word =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let (begin, at) = match (written.strip_suffix('*'), written.strip_prefix('^')) {
        (Some(begin), _) => (begin, written.len() - 1),
        (None, Some(begin)) => (begin, 0),
        (None, None) => return None,
    };
    is_word(begin).then(|| {
        let help = format!(
            "write each value as an `is` of its own; by how a line begins an `either` decides, with lines such as \
             `C: {begin}{{_}}`; {}",
            meant(written, at)
        );
        ("it stands for no other value".to_owned(), help)
    })
}
