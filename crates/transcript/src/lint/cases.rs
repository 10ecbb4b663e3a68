//! The values of a `choose`: each is exactly what stands behind its `is`, whatever that means elsewhere.

use crate::diagnostic::{Diagnostic, Source, Span};
use crate::syntax::Case;

/// `is "a"`, `is a|b`, `is not a` and their like.
pub(super) fn case(source: &Source, case: &Case, findings: &mut Vec<Diagnostic>) {
    let Case { place, value: Some(_), .. } = case else { return };
    let line = source.line(place.line);
    let Some(behind) = line.trim_start_matches([' ', '\t']).strip_prefix("is") else { return };
    let written = behind.strip_prefix([' ', '\t']).unwrap_or(behind);
    let written = written.strip_suffix('\r').unwrap_or(written);
    let Some((message, help)) = other_than_it_seems(written) else { return };
    let end = line.strip_suffix('\r').unwrap_or(line).len();
    let column = line[..end - written.len()].chars().count() + 1;
    let place = Span { line: place.line, column, width: written.chars().count().max(1) };
    findings.push(Diagnostic::warning(place, message).help(help));
}

/// What is wrong with a value, and what to write.
fn other_than_it_seems(written: &str) -> Option<(String, String)> {
    let trimmed = written.trim_end_matches([' ', '\t']);
    if trimmed.len() < written.len() {
        let hex: String = written[trimmed.len()..].bytes().map(|byte| format!("{byte:02x}")).collect();
        let bare = format!("is {trimmed}");
        let help = format!("write `{}`, or `is {trimmed}{{0x{hex}}}` so that it can be seen", bare.trim_end());
        return Some(("a space that cannot be seen stands at the end".to_owned(), help));
    }
    written.chars().next().filter(char::is_ascii)?;
    let (why, help) = quoted(written).or_else(|| other_values(written)).or_else(|| signs_around(written))?;
    Some((format!("`{written}` is text: {why}"), help))
}

/// The same value, so that it is seen that the character there is meant.
fn meant(written: &str, at: usize) -> String {
    let byte = written.as_bytes()[at];
    format!("text that is meant is `is {}{{0x{byte:02x}}}{}`", &written[..at], &written[at + 1..])
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
