//! Braces that begin no hole and seem to: a pattern without a name, a space too many, signs of other languages.

use super::known::{Found, Known, is_pattern};
use super::patterns;
use super::payload::Payload;
use crate::function::Function;
use crate::notation::in_hex;
use crate::number::is_digits;
use crate::syntax::is_name;

/// A brace that begins no hole.
pub(super) fn brace(payload: &Payload<'_>, at: usize, known: &Known<'_>) -> Found {
    let end = payload.characters.len();
    let close = (at + 1..end)
        .take_while(|to| payload.text_at(*to).is_some_and(|c| c != '{'))
        .find(|to| payload.text_at(*to) == Some('}'));
    let Some(close) = close else { return unclosed(payload, at, known) };
    let inside = payload.slice(at + 1, close);
    let (message, instead) = without_name(&inside, known)
        .or_else(|| with_sign_before(&inside, known))
        .or_else(|| nearly_a_hole(&inside, known))
        .or_else(|| with_name(&inside, known, doubled(payload, at, close)))?;
    let escaped = format!("{{0x7b}}{inside}}}");
    Some((close + 1, message, format!("write `{instead}`; for text that is meant `{escaped}`")))
}

/// What is told of a brace, and what to write instead.
type Advice = Option<(String, String)>;

fn is_text(inside: &str, why: &str) -> String {
    format!("`{{{inside}}}` is text and no hole: {why}")
}

/// `{/[0-9]+/}`, `{*}`, `{:int=5}`, `{4 bytes=abcd}`, `{\x0d}`, `{random 16 hex}`: a hole's pattern or value, and no name.
fn without_name(inside: &str, known: &Known<'_>) -> Advice {
    let (bare, default) = cut_default(inside.trim());
    // A default that the pattern does not take would be refused.
    let fitting = |written: &str| match default.get(1..).and_then(|value| Some((known.patterns.read(written)?, value)))
    {
        Some((pattern, value)) if !patterns::takes(&pattern, value) => "",
        _ => default,
    };
    let nameless =
        |instead: String| Some((is_text(inside, "a hole has a name, and _ is one that is not kept"), instead));
    if bare.len() > 2 && bare.starts_with('/') && bare.ends_with('/') {
        let instead = format!("{{_:{bare}{}}}", fitting(bare));
        return Some((is_text(inside, "a regex stands behind a name"), instead));
    }
    if matches!(bare, "*" | ".*" | ".+" | "?" | "\\d+" | "\\w+" | "\\d*" | "\\w*" | "[0-9]+" | "%s" | "%d") {
        let pattern = if bare.contains(['d', '9']) { "int" } else { "" };
        let colon = if pattern.is_empty() { "" } else { ":" };
        return nameless(format!("{{_{colon}{pattern}{}}}", fitting(pattern)));
    }
    if let Some(behind) = bare.strip_prefix(':').or_else(|| bare.strip_prefix('='))
        && (bare.starts_with(':') && is_pattern(behind) || bare.starts_with('=') && !behind.is_empty())
    {
        return nameless(format!("{{_{bare}{}}}", fitting(behind)));
    }
    if is_pattern(bare) && bare.ends_with(" bytes") {
        return nameless(format!("{{_:{bare}{}}}", fitting(bare)));
    }
    // `{5:int}`.
    if let Some((value, written)) = bare.split_once(':')
        && default.is_empty()
        && value.starts_with(|c: char| c.is_ascii_digit())
        && patterns::word(written).is_some_and(|pattern| patterns::takes(&pattern, value))
    {
        return nameless(format!("{{_:{written}={value}}}"));
    }
    let bare = inside.trim();
    if let Some(hex) = hex_of(bare) {
        return Some((is_text(inside, "bytes are written with 0x"), format!("{{0x{}}}", hex.to_ascii_lowercase())));
    }
    Some((is_text(inside, "a value that is made has a name"), made_anew(bare)?))
}

/// What stands before a default, and the default with its sign; it is empty if there is none.
fn cut_default(bare: &str) -> (&str, &str) {
    let colon = usize::from(bare.starts_with(':'));
    let end = match bare[colon..].strip_prefix('/').map(|regex| regex.find('/')) {
        // Behind a regex, whatever stands in it.
        Some(Some(slash)) => Some(colon + slash + 2).filter(|end| bare[*end..].starts_with('=')),
        Some(None) => None,
        None => bare.find('=').filter(|end| *end > 0),
    };
    match end.filter(|end| end + 1 < bare.len()) {
        Some(end) => bare.split_at(end),
        None => (bare, ""),
    }
}

/// `{n int=5}`, `{int n=5}`, `{n;int}`, `{name?=x}`, `{"name"=x}`; of names that there are `{n, m}`, `{n+1}`,
/// `{length body}`.
fn nearly_a_hole(inside: &str, known: &Known<'_>) -> Advice {
    let (head, default) = match inside.split_once('=') {
        Some((head, default)) => (head.trim(), default.trim()),
        None => (inside.trim(), ""),
    };
    if !default.is_empty() && !default.starts_with(['=', '>']) && !default.contains([',', ';']) {
        if let Some((name, pattern)) = name_and_pattern(head, &[' ', ';'])
            && patterns::takes(&patterns::word(pattern)?, default)
        {
            let why = "a pattern stands behind a name and a colon";
            return Some((is_text(inside, why), format!("{{{name}:{pattern}={default}}}")));
        }
        let quoted = ['"', '\''].iter().find_map(|quote| head.strip_prefix(*quote)?.strip_suffix(*quote));
        let bare = quoted.or_else(|| head.strip_suffix('?')).filter(|name| is_name(name))?;
        let value = unquoted(default).unwrap_or(default);
        let why = "nothing but a name stands before its default";
        return (!value.contains(['"', '\''])).then(|| (is_text(inside, why), format!("{{{bare}={value}}}")));
    }
    if inside.contains('=') {
        return None;
    }
    if let Some((name, pattern)) = name_and_pattern(head, &[';']) {
        return Some((is_text(inside, "a pattern stands behind a colon"), format!("{{{name}:{pattern}}}")));
    }
    let is_known = |name: &str| known.names.contains(name);
    let names: Vec<&str> = head.split(',').map(str::trim).collect();
    if names.len() > 1 && names.iter().all(|name| is_known(name)) {
        let each: Vec<String> = names.iter().map(|name| format!("{{{name}}}")).collect();
        return Some((is_text(inside, "a hole has one name"), each.join(", ")));
    }
    let (line, made) = computed(head, known)?;
    let why = "what is computed has a name of its own";
    Some((is_text(inside, why), format!("let {made} = {line}` above, and `{{{made}}}")))
}

/// A name and the word of a pattern, with one of these signs between them; with a space in either order.
fn name_and_pattern<'a>(head: &'a str, signs: &[char]) -> Option<(&'a str, &'a str)> {
    let (first, second) = head.split_once(signs).map(|(first, second)| (first.trim(), second.trim()))?;
    match (is_name(first), patterns::word(second)) {
        (true, Some(_)) => Some((first, second)),
        _ if is_name(second) && patterns::word(first).is_some() && !head.contains(';') => Some((second, first)),
        _ => None,
    }
}

/// `n+1` and `length body`, of names that there are: what stands behind `let`, and a name that is free.
fn computed(head: &str, known: &Known<'_>) -> Option<(String, &'static str)> {
    let free = ["made", "made_here", "made_of_it"].into_iter().find(|name| !known.names.contains(name))?;
    let is_known = |name: &str| known.names.contains(name);
    if let Some((function, name)) = head.split_once(' ')
        && Function::named(function).is_some_and(|function| !function.takes_key())
        && is_known(name)
    {
        return Some((format!("{function} {{{name}}}"), free));
    }
    let (first, second) = head.split_once('+').map(|(first, second)| (first.trim(), second.trim()))?;
    let is_number = is_digits(second);
    let second = if is_known(second) { format!("{{{second}}}") } else { second.to_owned() };
    (is_known(first) && (is_number || second.starts_with('{'))).then(|| (format!("sum {{{first}}} {second}"), free))
}

/// `{0X0d}`, `{\x0d}`, `{0d 0a}`, `{0d}`, and `{U+00e9}` in UTF-8: bytes, in another way than ours. A number alone is a literal of IMAP.
fn hex_of(bare: &str) -> Option<String> {
    if let Some(number) = bare.strip_prefix("U+") {
        let character = char::from_u32(u32::from_str_radix(number, 16).ok()?)?;
        return Some(in_hex(character.to_string().as_bytes()));
    }
    let marked = ["0X", "\\x"].iter().find_map(|mark| bare.strip_prefix(mark));
    let hex: String = marked.unwrap_or(bare).chars().filter(|c| *c != ' ').collect();
    let is_hex = !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_bare = matches!(hex.len(), 2 | 4 | 6 | 8)
        && hex.starts_with(|c: char| c.is_ascii_digit())
        && hex.contains(|c: char| c.is_ascii_alphabetic());
    (is_hex && (marked.is_some() || is_bare)).then_some(hex)
}

/// `{@name}`, `{$name}`.
fn with_sign_before(inside: &str, known: &Known<'_>) -> Advice {
    let bare = inside.trim();
    let unsigned = bare.trim_start_matches(['@', '#', '$', '%', ':', '.', '&', '>']);
    (unsigned != bare && known.names.contains(unsigned))
        .then(|| (is_text(inside, "a hole begins with its name"), format!("{{{unsigned}}}")))
}

/// Something that begins as a hole does, with a name, and is none. `is_doubled` says that a second pair of braces stands around it.
fn with_name(inside: &str, known: &Known<'_>, is_doubled: bool) -> Advice {
    let bare = inside.trim();
    let head: String = bare.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')).collect();
    let behind = bare[head.len()..].trim_start();
    // A number in braces is a literal of IMAP or a count of a regex; text in quotes is JSON.
    if !head.starts_with(|c: char| c.is_alphabetic() || c == '_' || c.is_ascii_digit() && behind.starts_with('='))
        || is_guid(bare)
    {
        return None;
    }
    let name: String = head.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let name = if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name };
    let is_name = head.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !head.starts_with(|c: char| c.is_ascii_digit());
    let why = if is_name { "no space stands in a hole before its default" } else { "a name is letters, digits and _" };
    if let Some(value) = behind.strip_prefix('=').map(str::trim_start).and_then(unquoted)
        && is_name
        && inside.contains(" =")
    {
        return Some((is_text(inside, why), format!("{{{name}={value}}}")));
    }
    if let Some(begin) = member_of_known(bare, &name, known) {
        return Some((is_text(inside, "nothing but `:`, `=` or `}` follows a name"), format!("{{{begin}}}")));
    }
    if is_code(bare) {
        return None;
    }
    let (message, instead) = behind_name(&Begun { inside, name: &name, is_name, behind, is_doubled }, known)?;
    Some((message.unwrap_or_else(|| is_text(inside, why)), instead))
}

/// `{name[0]}`, `{name.first}`, `{name!r}`, `{name|upper}`, `{name()}`, `{name*}`, of a name that there is: that name.
fn member_of_known(bare: &str, name: &str, known: &Known<'_>) -> Option<String> {
    let begin: String = bare.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let after = &bare[begin.len()..];
    let has_sign = after.starts_with(['[', '!', '|', '?', '(']);
    // With the dot, all of it may be a name that there is.
    let is_member = match known.names.contains(name) {
        true => has_sign && !after.contains([';', '"', '\'', ' ']),
        false => has_sign || after.starts_with('.'),
    };
    (known.names.contains(begin.as_str()) && (is_member || after == "*")).then_some(begin)
}

/// What stands in braces and begins with a name.
struct Begun<'a> {
    inside: &'a str,
    /// The name, as it can be one.
    name: &'a str,
    /// It stands there so.
    is_name: bool,
    behind: &'a str,
    is_doubled: bool,
}

/// By what stands behind the name: what is told, if it is something of its own, and what to write.
fn behind_name(begun: &Begun<'_>, known: &Known<'_>) -> Option<(Option<String>, String)> {
    let &Begun { inside, name, is_name, behind, is_doubled } = begun;
    let is_tight = inside == inside.trim();
    let is_known = known.in_any_case.contains(&name.to_ascii_lowercase());
    let tidy = || {
        let value = behind.trim_start_matches(['=', ':']).trim();
        if behind.is_empty() { format!("{{{name}}}") } else { format!("{{{name}{}{value}}}", &behind[..1]) }
    };
    if is_name && let Some(regex) = regex_without_colon(behind) {
        return Some((Some(is_text(inside, "a regex stands behind a colon")), format!("{{{name}:/{regex}/}}")));
    }
    match behind.chars().next() {
        Some(sign @ ('＝' | '：')) if is_name => {
            let plain = if sign == '＝' { '=' } else { ':' };
            let message = is_text(inside, &format!("this sign (U+{:04X}) is not the plain one", sign as u32));
            Some((Some(message), format!("{{{name}{plain}{}}}", behind[sign.len_utf8()..].trim())))
        }
        Some('?') if is_name && behind == "?" => Some((None, format!("{{{name}}}"))),
        // `{{ name }}` of templates, and a slip such as `{name }`: text that is meant has space at both ends or at none.
        None if is_name && !is_tight && is_doubled => {
            Some((Some(format!("`{{{{{inside}}}}}` is text and no hole: a hole has one brace and no spaces")), tidy()))
        }
        None if is_name
            && !is_tight
            && (is_known || name == "_" || !inside.starts_with(' ') || !inside.ends_with(' ')) =>
        {
            Some((None, tidy()))
        }
        None if !is_name => Some((None, tidy())),
        Some('=') if !behind.starts_with("==") && !behind.starts_with("=>") => Some((None, tidy())),
        Some(':') if is_pattern(behind[1..].split('=').next().unwrap_or_default().trim()) => Some((None, tidy())),
        Some('|' | '?' | ',' | ';' | '!') if is_known || is_name && behind.starts_with('|') && is_tight => {
            let message = is_text(inside, "behind its name a hole has `:`, `=` or `}`");
            Some((Some(message), format!("{{{name}={}}}", behind[1..].trim())))
        }
        Some(_) => {
            let joined = format!("{name}_{}", behind.replace([' ', '-'], "_"));
            known.names.contains(joined.as_str()).then(|| (None, format!("{{{joined}}}")))
        }
        None => None,
    }
}

/// The regex of `{name/[0-9]+/}`, `{name ~ [0-9]+}` and `{name=~/[0-9]+/}`, by what stands behind the name: something that would be odd
/// in a path.
pub(super) fn regex_without_colon(behind: &str) -> Option<&str> {
    let written = behind.trim_start_matches(['=', '!', '~', ' ']);
    let bare = written.strip_prefix('/').and_then(|written| written.strip_suffix('/'));
    let regex = match behind.strip_prefix(['=', '!']).unwrap_or(behind).starts_with('~') {
        true => bare.unwrap_or(written),
        false => bare?,
    };
    let is_regex = !behind.starts_with("!/") && regex.contains(['[', '\\', '+', '*', '^', '$', '(', '?']);
    (is_regex && !regex.contains('/')).then_some(regex)
}

/// `random 16 hex`, `time HTTP`: what stands behind `let name =`.
fn made_anew(inside: &str) -> Option<String> {
    let words: Vec<&str> = inside.split_ascii_whitespace().collect();
    match words[..] {
        ["random", _, "hex" | "digits" | "letters" | "bytes"] | ["random", "uuid"] => {
            Some(format!("let id = {inside}` above, and `{{id}}"))
        }
        ["time", "HTTP" | "RFC3339" | "unix"] => Some(format!("let now = {inside}` above, and `{{now}}")),
        _ => None,
    }
}

/// What stands between two quotes, and nothing but that.
fn unquoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inside = text[1..].strip_suffix(quote)?;
    (!inside.is_empty() && !inside.contains([quote, ',', ';', '(', '='])).then_some(inside)
}

/// Whether a pair of braces stands right in another.
fn doubled(payload: &Payload<'_>, open: usize, close: usize) -> bool {
    payload.text_before(open) == Some('{') && payload.text_at(close + 1) == Some('}')
}

/// Code in braces: of C, CSS, shells.
fn is_code(inside: &str) -> bool {
    inside.contains([';', '(', '"', '\''])
}

/// A GUID as Windows writes it.
fn is_guid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// `Hello {name!`: a brace, a name that the file has, and no end.
fn unclosed(payload: &Payload<'_>, at: usize, known: &Known<'_>) -> Found {
    let name: String = (at + 1..payload.characters.len())
        .map_while(|at| payload.text_at(at))
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    let to = at + 1 + name.chars().count();
    let ends = to == payload.characters.len() && payload.text_before(at).is_none_or(|c| c == ' ') && name.len() > 1;
    let is_known = known.names.contains(name.as_str());
    (is_known || ends && !name.is_empty()).then(|| {
        let message = format!("`{{{name}` is text: no `}}` ends it");
        (to, message, format!("write `{{{name}}}`; for text that is meant `{{0x7b}}{name}`"))
    })
}
