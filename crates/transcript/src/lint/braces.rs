//! Braces: holes that end earlier than they seem to, and signs that other languages put around a name.

use std::collections::BTreeSet;

use super::known::{Found, Known, is_pattern};
use super::near_holes::{brace, regex_without_colon};
use super::patterns;
use super::payload::Payload;
use crate::diagnostic::Diagnostic;
use crate::notation::in_hex;
use crate::pattern::Pattern;
use crate::syntax::Hole;

/// Holes that are other than they look.
pub(super) fn holes(payload: &Payload<'_>, known: &Known<'_>, lonely: &BTreeSet<&str>, findings: &mut Vec<Diagnostic>) {
    for &(hole, from, to) in &payload.holes {
        let name = &hole.name;
        let mut warn =
            |from: usize, message: String, help: String| findings.push(payload.warning(from, to, message, help));
        match payload.text_before(from) {
            Some('{') if payload.text_at(to) == Some('}') => {
                let help =
                    format!("write `{{{name}}}` for the value, or `{{0x7b}}{{{name}}}{{0x7d}}` with braces around it");
                warn(from - 1, "the outer braces are text".to_owned(), help);
            }
            Some('\\') if payload.text_before(from - 1) != Some('\\') => {
                let help = format!(
                    "write `{{0x7b}}{name}` for a brace that is text, or `{{0x5c}}` for a backslash that is meant"
                );
                warn(from - 1, "a backslash does not make the brace behind it text: this is a hole".to_owned(), help);
            }
            Some(sign @ ('$' | '%')) if !is_length(payload, hole, from, to) => {
                let code = sign as u32;
                let help = format!(
                    "leave it out: `{{{name}}}` alone stands for the value; where it is meant, write `{{0x{code:02x}}}{{{name}}}`"
                );
                warn(from - 1, format!("the `{sign}` is said: it does not belong to the hole"), help);
            }
            _ => {}
        }
        let is_bare = hole.defaults.is_empty() && hole.pattern == Pattern::Any && lonely.contains(name.as_str());
        if is_bare && let Some((bytes, what)) = named_bytes(name) {
            warn(from, format!("this is a hole with the name {name}"), format!("write `{{0x{bytes}}}` for {what}"));
        }
        if hole.pattern == Pattern::Any && lonely.contains(name.as_str()) && patterns::as_name(hole) {
            let default = payload.slice(from + 1 + name.len(), to - 1);
            let help =
                format!("write `{{_:{name}{default}}}`, or with a name that is used again `{{x:{name}{default}}}`");
            warn(from, format!("this hole has the name {name} and takes anything"), help);
        }
        early_end(payload, known, hole, (from, to), findings);
    }
}

/// `${n}` where protocols put a length behind the sign, as Redis does.
fn is_length(payload: &Payload<'_>, hole: &Hole, from: usize, to: usize) -> bool {
    let is_alone = from == 1 && to == payload.characters.len();
    let digits = |bytes: &[u8]| bytes.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
    is_alone
        && (hole.pattern == Pattern::Int
            || !hole.defaults.is_empty() && hole.defaults.iter().all(|default| digits(&default.bytes))
            || ["n", "len", "length", "size", "count", "bytes", "num", "number"].iter().any(|word| {
                hole.name.to_ascii_lowercase().trim_end_matches(|c: char| c.is_ascii_digit()).ends_with(word)
            }))
}

/// Names that stand for characters elsewhere.
fn named_bytes(name: &str) -> Option<(String, &'static str)> {
    let known = match name.to_ascii_uppercase().as_str() {
        "CRLF" => ("0d0a", "CR and LF; a line ends by itself"),
        "CR" => ("0d", "a CR; a line ends by itself"),
        "LF" | "NL" => ("0a", "an LF; a line ends by itself"),
        "SP" => ("20", "a space"),
        "TAB" | "HT" => ("09", "a tab"),
        "NUL" => ("00", "a zero byte"),
        "ESC" => ("1b", "an escape character"),
        _ => {
            let digits = name.strip_prefix(['x', 'X'])?;
            let is_hex = !digits.is_empty()
                && digits.len().is_multiple_of(2)
                && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            return is_hex.then(|| (digits.to_ascii_lowercase(), "these bytes"));
        }
    };
    Some((known.0.to_owned(), known.1))
}

/// Defaults that hold what should have ended them, or that end before they should.
fn early_end(
    payload: &Payload<'_>,
    known: &Known<'_>,
    hole: &Hole,
    (from, to): (usize, usize),
    findings: &mut Vec<Diagnostic>,
) {
    let name = &hole.name;
    let (Some(first), Some(last)) = (hole.defaults.first(), hole.defaults.last()) else { return };
    let start = payload.place(0, 1).column;
    let (first, last) = (first.place.column - start, last.place.column - start);
    let all = payload.slice(first, to - 1);
    let mut warn = |from: usize, message: String, help: String| findings.push(payload.warning(from, to, message, help));
    // Bytes that were written as `{0x…}` are meant.
    let mut bare = String::new();
    let mut rest = all.as_str();
    while let Some(at) = rest.find("{0x") {
        bare.push_str(&rest[..at]);
        rest = rest[at..].split_once('}').map_or("", |(_, behind)| behind);
    }
    bare.push_str(rest);
    if bare.contains('{') {
        let help = format!(
            "write `set {name} = …` above, where braces are text, and `{{{name}}}` here; or `{{0x7b}}` and `{{0x7d}}` inside"
        );
        return warn(first, format!("this default ends at the first `}}`: it is `{all}`"), help);
    }
    if let Some((message, help)) = from_elsewhere(hole, &all, known) {
        return warn(first, message, help);
    }
    if all.ends_with('\\') || bare.contains("\\|") {
        let help = "write `{0x7d}` for a } and `{0x7c}` for a | inside a default".to_owned();
        return warn(first, "a backslash keeps no sign in a default".to_owned(), help);
    }
    let text = payload.slice(last, to - 1);
    if let Some((value, pattern)) = text.rsplit_once(':')
        && hole.pattern == Pattern::Any
        && is_pattern(pattern.trim())
        // `{url=http://a/}` is a default with a path in it.
        && (!pattern.trim().starts_with('/') || regex_without_colon(pattern.trim()).is_some())
    {
        let help = format!("write `{{{name}:{}={}}}`", pattern.trim(), payload.slice(first, last) + value);
        return warn(first, format!("the pattern stands before the default: this one is `{text}`"), help);
    }
    let parts: Vec<&str> = all.split('|').collect();
    if let Some((message, help)) = signs_of_lists(name, &all, &parts) {
        return warn(first, message, help);
    }
    let is_text = payload.text_before(from).is_none_or(|c| c.is_alphanumeric() || matches!(c, ' ' | '.' | '!'));
    // In JSON, HTTP and XML the quotes are the protocol's.
    if is_text
        && !payload.is_field()
        && let Some(help) = unquoted_defaults(name, &parts)
    {
        warn(first, "the quotes belong to the default".to_owned(), help);
    }
}

/// `{name=(Ann|Bob)}`, `{name=[Ann|Bob]}`, `{name=Ann | Bob}`: signs around and between defaults that belong to them.
fn signs_of_lists(name: &str, all: &str, parts: &[&str]) -> Option<(String, String)> {
    let pairs = [('(', ')'), ('[', ']')];
    let list = pairs.iter().find_map(|(open, close)| all.strip_prefix(*open)?.strip_suffix(*close));
    let is_list = |list: &&str| parts.len() > 1 && !list.starts_with('|') && !list.ends_with('|');
    if let Some(list) = list.filter(|list| is_list(list) && !list.contains(['(', ')', '[', ']'])) {
        let sign = all.as_bytes()[0];
        let help = format!("write `{{{name}={list}}}`, or `{{0x{sign:02x}}}` for a bracket that is meant");
        return Some(("the brackets belong to the defaults".to_owned(), help));
    }
    let is_spaced = parts.windows(2).all(|pair| pair[0].ends_with(' ') && pair[1].starts_with(' '));
    (is_spaced && parts.len() > 1).then(|| {
        let tidy = parts.iter().map(|part| part.trim()).collect::<Vec<_>>().join("|");
        let help = format!("write `{tidy}`, or `{{0x20}}` for a space that is meant");
        ("the spaces beside | belong to the defaults".to_owned(), help)
    })
}

/// `{name="Ann"}`, `{name='Ann'|'Bob'}`: what to write without the quotes.
fn unquoted_defaults(name: &str, parts: &[&str]) -> Option<String> {
    let quoted: Vec<(char, &str)> = parts.iter().map(|part| in_quotes(part)).collect::<Option<_>>()?;
    let tidy = quoted.iter().map(|(_, bare)| *bare).collect::<Vec<_>>().join("|");
    let hex = in_hex(quoted.first()?.0.to_string().as_bytes());
    Some(format!("write `{{{name}={tidy}}}`, or `{{0x{hex}}}` for a quote that is meant"))
}

/// The quote around some text, and the text.
fn in_quotes(part: &str) -> Option<(char, &str)> {
    [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”')].into_iter().find_map(|(open, close)| {
        let bare = part.strip_prefix(open)?.strip_suffix(close)?;
        (!bare.is_empty()).then_some((open, bare))
    })
}

/// `{name=~/re/}`, `{name==Ann}`: a default that begins with the rest of an operator.
fn from_elsewhere(hole: &Hole, all: &str, known: &Known<'_>) -> Option<(String, String)> {
    let name = &hole.name;
    if let Some(advice) = known.patterns.as_default(hole, all) {
        return Some(advice);
    }
    if hole.pattern == Pattern::Any
        && all.starts_with('~')
        && let Some(regex) = regex_without_colon(all)
    {
        let help = format!("write `{{{name}:/{regex}/}}`, or `{{0x7e}}` for a ~ that is meant");
        return Some((format!("a regex stands behind a colon: this is the default `{all}`"), help));
    }
    let value = all.strip_prefix('=').filter(|value| !value.is_empty() && !value.starts_with('='))?;
    let help = format!("write `{{{name}={value}}}`, or `{{0x3d}}` for a = that is meant");
    Some((format!("one = stands before a default: this one is `{all}`"), help))
}

/// Text that looks like a hole, or like the holes of other languages.
pub(super) fn text(payload: &Payload<'_>, known: &Known<'_>, findings: &mut Vec<Diagnostic>) {
    let end = payload.characters.len();
    let mut seen = 0;
    for at in 0..end {
        if at < seen {
            continue;
        }
        let Some(character) = payload.text_at(at) else { continue };
        let found = match character {
            '{' => brace(payload, at, known),
            '｛' => wide_braces(payload, at),
            '[' => in_square_brackets(payload, at, known),
            '$' | '<' | '%' | '@' => other_language(payload, at, known),
            _ => None,
        };
        if let Some((to, message, help)) = found {
            findings.push(payload.warning(at, to, message, help));
            seen = to;
        }
    }
}

/// `｛name=Ann｝`.
fn wide_braces(payload: &Payload<'_>, at: usize) -> Found {
    let close = (at + 1..payload.characters.len()).find(|to| payload.text_at(*to) == Some('｝'))?;
    let inside = payload.slice(at + 1, close).replace('＝', "=").replace('：', ":");
    let begins_a_name = inside.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic());
    begins_a_name.then(|| {
        let message = "these braces (U+FF5B) are text: the plain ones make a hole".to_owned();
        (close + 1, message, format!("write `{{{inside}}}`; for text that is meant `{{0xefbd9b}}{inside}｝`"))
    })
}

/// `[[name]]` of templates, with a name of this file.
fn in_square_brackets(payload: &Payload<'_>, at: usize, known: &Known<'_>) -> Found {
    if payload.text_at(at + 1) != Some('[') {
        return None;
    }
    let name: String = (at + 2..payload.characters.len())
        .map_while(|at| payload.text_at(at))
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    let end = at + 2 + name.chars().count();
    let closes = payload.text_at(end) == Some(']') && payload.text_at(end + 1) == Some(']');
    (closes && known.names.contains(name.as_str())).then(|| {
        let message = format!("`[[{name}]]` is text: it is not the value of {name}");
        (end + 2, message, format!("write `{{{name}}}`; for text that is meant `{{0x5b}}[{name}]]`"))
    })
}

/// `$name`, `%name%`, `@name@`, `$(name)`, `%(name)s`, `<name>` with a name of this file; `%s`.
fn other_language(payload: &Payload<'_>, at: usize, known: &Known<'_>) -> Found {
    // No more of the line is looked at than a name may need.
    const LONGEST: usize = 1024;
    let until = payload.characters.len().min(at + LONGEST);
    let rest: String = (at..until).map_while(|at| payload.text_at(at)).collect();
    let behind = rest.get(1..)?.trim_start_matches('(');
    let name: String = behind.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let after = &behind[name.len()..];
    let sign = rest.chars().next()?;
    let is_known = known.names.contains(name.as_str());
    let in_brackets = rest.starts_with("$(") || rest.starts_with("%(");
    let length = match sign {
        '$' if is_known && in_brackets && after.starts_with(')') => name.len() + 3,
        '$' if is_known && !in_brackets => name.len() + 1,
        '%' if is_known && after.starts_with('%') => name.len() + 2,
        '@' if is_known && after.starts_with('@') && !in_brackets => name.len() + 2,
        '%' if is_known && in_brackets && after.starts_with(")s") => name.len() + 4,
        // A tag of XML has its end somewhere.
        '<' if is_known && after.starts_with('>') && !known.closes_tag(&name) => name.len() + 2,
        _ => {
            let is_directive = matches!(name.as_str(), "s" | "d") && sign == '%' && !in_brackets;
            let alone = payload.text_before(at).is_none_or(|c| c == ' ')
                && !after.starts_with(|c: char| c.is_alphanumeric() || c == '%' || c == '\\');
            if is_directive && alone && !payload.is_quoted(at) && !payload.is_command() {
                let hole = if name == "d" { "{count:int=1}" } else { "{name=Ann}" };
                let message = format!("`%{name}` is said as it stands");
                return Some((
                    at + 2,
                    message,
                    format!("write a hole, such as `{hole}`; for text that is meant `{{0x25}}{name}`"),
                ));
            }
            return None;
        }
    };
    let written: String = rest.chars().take(length).collect();
    let code = sign as u32;
    let escaped = format!("{{0x{code:02x}}}{}", &written[1..]);
    Some((
        at + length,
        format!("`{written}` is text: it is not the value of {name}"),
        format!("write `{{{name}}}`; for text that is meant `{escaped}`"),
    ))
}
