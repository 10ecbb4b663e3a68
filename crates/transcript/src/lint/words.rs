//! Messages that are statements by their words: `S: waits 1s`.

use std::collections::BTreeSet;

use super::known::Known;
use super::payload::Payload;
use super::payload::escaped;
use crate::Side;
use crate::diagnostic::Diagnostic;
use crate::function::Function;
use crate::notation::in_hex;
use crate::number::is_digits;
use crate::syntax::{bare_bytes, is_duration};

/// What a `set` gives; `in_fields` are names whose values stand where quotes are a protocol's.
pub(super) fn value(
    payload: &Payload<'_>,
    name: &str,
    known: &BTreeSet<&str>,
    in_fields: &BTreeSet<&str>,
    findings: &mut Vec<Diagnostic>,
) {
    function_in_a_set(payload, name, known, findings);
    if !in_fields.contains(name) {
        quotes_around(payload, name, findings);
    }
}

/// `set id = random 16 hex`, `set n = {n} + 1`: `set` takes the words as they are.
fn function_in_a_set(payload: &Payload<'_>, name: &str, known: &BTreeSet<&str>, findings: &mut Vec<Diagnostic>) {
    let end = payload.characters.len();
    let text = payload.slice(0, end);
    if let Some(value) = text.strip_prefix("= ").filter(|value| !value.trim().is_empty()) {
        let message = format!("one `=` stands behind a name: the value is `{text}`");
        let help =
            format!("write `set {name} = {value}`; for text that is meant `set {name} = {{0x3d}}{}`", &text[1..]);
        findings.push(payload.warning(0, end, message, help));
        return;
    }
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let is_one = match words[..] {
        ["random", "uuid"] | ["time", "HTTP" | "RFC3339" | "unix"] => true,
        ["random", count, "hex" | "digits" | "letters" | "bytes"] => count.bytes().all(|byte| byte.is_ascii_digit()),
        // `set n = length {body}`.
        [function, ..] => {
            Function::named(function).is_some()
                && payload.holes.first().is_some_and(|(_, from, _)| *from == function.len() + 1)
        }
        _ => false,
    };
    // What is computed, and the sign of the text that shows that it is none.
    let computed = if is_one { Some((text.clone(), 0)) } else { computed(name, &text, known) };
    if let Some((line, sign)) = computed {
        let message = format!("`set` gives {name} these words, and computes nothing");
        let escaped = escaped(&text, sign);
        let help = format!("write `let {name} = {line}`; for text that is meant `set {name} = {escaped}`");
        findings.push(payload.warning(0, end, message, help));
    }
}

/// What stands behind `let` where a `set` has arithmetic or a function in the way of another language: `{n} + 1`, `length body`,
/// `len(body)`, `$(date)`. With it comes where the text has a sign that can be written as a byte.
fn computed(name: &str, text: &str, known: &BTreeSet<&str>) -> Option<(String, usize)> {
    arithmetic(name, text, known)
        .or_else(|| Some((applied(text, known)?, 0)))
        .or_else(|| Some((called(text, known)?, 0)))
}

/// `{n}` for a name that has a value, however it is written.
fn value_of(word: &str, known: &BTreeSet<&str>) -> Option<String> {
    let bare = word.strip_prefix('{').and_then(|word| word.strip_suffix('}')).unwrap_or(word);
    known.contains(bare).then(|| format!("{{{bare}}}"))
}

/// `{n} + 1`, `n - 1`: a name and a number. Two names with a sign between them may be a question to a calculator.
fn arithmetic(name: &str, text: &str, known: &BTreeSet<&str>) -> Option<(String, usize)> {
    let (sign, function) = match (text.find('+'), text.find(" - ")) {
        (Some(sign), _) => (sign, "sum"),
        (None, Some(space)) => (space + 1, "difference"),
        (None, None) => return None,
    };
    let (first, second) = (text[..sign].trim(), text[sign + 1..].trim());
    let operand = |word: &str| value_of(word, known).or_else(|| is_digits(word).then(|| word.to_owned()));
    let (one, other) = (operand(first)?, operand(second)?);
    let is_spaced = text[..sign].ends_with(' ') && text[sign + 1..].starts_with(' ');
    let is_itself = one == format!("{{{name}}}");
    let is_mixed = is_digits(first) != is_digits(second);
    (is_itself || is_spaced && is_mixed).then(|| (format!("{function} {one} {other}"), sign))
}

/// `length body`, of a name; `base64 hello`, `sum 1 2`.
fn applied(text: &str, known: &BTreeSet<&str>) -> Option<String> {
    let words: Vec<&str> = text.split(' ').collect();
    let (word, rest) = words.split_first()?;
    let function = Function::named(word).filter(|function| !function.takes_key() && !rest.is_empty())?;
    if let [operand] = rest {
        if let Some(value) = value_of(operand, known) {
            return Some(format!("{word} {value}"));
        }
        // `length`, `hex` and `sum` are words of a language.
        let is_made = function.apply(b"", operand.as_bytes()).is_ok();
        return (function.is_coined() && is_made && !operand.is_empty() && operand.is_ascii()).then(|| text.to_owned());
    }
    let number = |word: &&str| value_of(word, known).or_else(|| word.parse::<u32>().ok().map(|_| (*word).to_owned()));
    let numbers: Vec<String> = rest.iter().map(number).collect::<Option<_>>()?;
    matches!(function, Function::Sum | Function::Difference).then(|| format!("{word} {}", numbers.join(" ")))
}

/// `len(body)`, `base64(hello)`, `random()`, `$(date)`.
fn called(text: &str, known: &BTreeSet<&str>) -> Option<String> {
    let shell = text.strip_prefix("$(").and_then(|text| text.strip_suffix(')'));
    let shell = shell.or_else(|| text.strip_prefix('`')?.strip_suffix('`'));
    let fresh = match shell.unwrap_or(text) {
        "date +%s" if shell.is_some() => Some("time unix"),
        "date" | "date -u" if shell.is_some() => Some("time RFC3339"),
        "uuidgen" if shell.is_some() => Some("random uuid"),
        "uuid()" | "uuid4()" | "uuid.uuid4()" => Some("random uuid"),
        "random()" | "rand()" => Some("random 16 hex"),
        "now()" | "time()" => Some("time RFC3339"),
        "$RANDOM" => Some("random 5 digits"),
        _ => None,
    };
    if let Some(fresh) = fresh {
        return Some(fresh.to_owned());
    }
    let (word, operand) = text.strip_suffix(')')?.split_once('(')?;
    let word = match word {
        "len" | "strlen" | "size" | "count" => "length",
        "b64encode" | "base64encode" | "base64_encode" | "btoa" => "base64",
        "b64decode" | "base64decode" | "base64_decode" | "atob" => "unbase64",
        word => word,
    };
    let function = Function::named(word).filter(|function| !function.takes_key())?;
    if let Some(value) = value_of(operand, known) {
        return Some(format!("{word} {value}"));
    }
    let bare = operand.trim_matches(['"', '\'']);
    let is_plain = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" +/=".contains(&byte));
    (function.is_coined() && is_plain && function.apply(b"", bare.as_bytes()).is_ok()).then(|| format!("{word} {bare}"))
}

/// `set x = "a b"`: the quotes belong to the value.
fn quotes_around(payload: &Payload<'_>, name: &str, findings: &mut Vec<Diagnostic>) {
    let end = payload.characters.len();
    let text = payload.slice(0, end);
    let Some(quote) = text.chars().next().filter(|quote| matches!(quote, '"' | '\'')) else { return };
    let Some(bare) = text[1..].strip_suffix(quote).filter(|bare| !bare.contains(quote)) else { return };
    // Quotes may be there for the spaces inside, of which those at the ends would be none.
    let (begin, inside) = bare.strip_prefix(' ').map_or(("", bare), |inside| ("{0x20}", inside));
    let (inside, end_of_it) = inside.strip_suffix(' ').map_or((inside, ""), |inside| (inside, "{0x20}"));
    let help = format!(
        "write `{}`; quotes that are meant are `set {name} = {}`",
        format!("set {name} = {begin}{inside}{end_of_it}").trim_end(),
        escaped(&text, 0)
    );
    findings.push(payload.warning(0, end, "the quotes belong to the value".to_owned(), help));
}

/// `let n = length body`, where `body` has a value.
pub(super) fn name_for_its_value(
    payload: &Payload<'_>,
    name: &str,
    function: Function,
    known: &BTreeSet<&str>,
    findings: &mut Vec<Diagnostic>,
) {
    let end = payload.characters.len();
    let text = payload.slice(0, end);
    if let Some(value) = text.strip_prefix("of ").filter(|value| value.starts_with('{') && !function.takes_key()) {
        let message = format!("`of` belongs to what `{function}` works on");
        let help = format!("write `let {name} = {function} {value}`; for text that is meant `{{0x6f}}{}`", &text[1..]);
        findings.push(payload.warning(0, end, message, help));
        return;
    }
    let bare = text.trim_matches(['(', ')', ' ', '$', '<', '>']);
    if payload.holes.is_empty() && known.contains(bare) {
        let message = format!("`{text}` is text: it is not the value of {bare}");
        let escaped = escaped(&text, 0);
        let key = if function.takes_key() { " KEY" } else { "" };
        let help = format!("write `let {name} = {function}{key} {{{bare}}}`; for text that is meant `{escaped}`");
        findings.push(payload.warning(0, end, message, help));
    }
}

/// A statement that is written as something said; `blocks` remembers that one of them began a block.
pub(super) fn statement(
    payload: &Payload<'_>,
    side: Side,
    known: &Known<'_>,
    blocks: &mut bool,
    findings: &mut Vec<Diagnostic>,
) {
    let end = payload.characters.len();
    if !payload.holes.is_empty() || end > 40 {
        return;
    }
    let text = payload.slice(0, end);
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (letter, first) = (side.letter(), words.first().copied().unwrap_or_default());
    let act = |written: &str| Some(format!("write `{letter} {written}`, without the colon, if the side does so"));
    let block =
        |written: &str| Some(format!("write `{written}`, without `{letter}:`, if it is meant as the statement"));
    if let Some((message, help)) = elsewhere(text.trim(), letter) {
        findings.push(payload.warning(0, end, message, help));
        return;
    }
    let help = match words[..] {
        _ if let Some(written) = act_meant(&text, known) => act(&written),
        [key]
            if side == Side::Client
                && let Some(byte) = control_key(key) =>
        {
            Some(format!("write `C raw: {{0x{byte:02x}}}`, if that key is meant"))
        }
        ["include", path] if path.ends_with(".talk") => block(text.trim()),
        ["not", "C:" | "S:", _, ..] => block(text.trim()),
        ["let", _, "=", "random" | "time", ..] => block(text.trim()),
        ["let", _, "=", function, ..] if Function::named(function).is_some() => block(text.trim()),
        ["waits" | "wait" | "sleeps" | "sleep" | "delay" | "pause" | "pauses", time] if is_duration(time) => {
            act(&format!("waits {time}"))
        }
        ["raw:", ..] | ["hex:", _, ..] | ["file:", _] => {
            Some(format!("write `{letter} {text}`, with one colon, if those bytes are meant"))
        }
        ["repeat"] | ["either"] | ["together"] | ["maybe"] | ["in", "any", "order"] | ["at", "any", "time"] => {
            block(&words.join(" "))
        }
        ["repeat", count] if is_digits(count) => block(&words.join(" ")),
        ["end"] | ["or"] if *blocks => block(first),
        ["eol", "any" | "lf" | "crlf" | "none"] | ["ignore", "case"] | ["transcript", "1"] => block(&words.join(" ")),
        ["gap" | "timeout", time] if is_duration(time) => block(&words.join(" ")),
        ["starttls"] if side == Side::Server => block("starttls"),
        ["stoptls"] if side == Side::Server => block("stoptls"),
        _ => None,
    };
    let Some(help) = help else { return };
    *blocks |= matches!(first, "repeat" | "either" | "together" | "in");
    let message = format!("the {side} says `{text}` here: it is no statement");
    let hex = format!("{{0x{:02x}}}", first.bytes().next().unwrap_or_default());
    let escaped = format!("{hex}{}", text.trim_start().get(1..).unwrap_or_default());
    findings.push(payload.warning(0, end, message, format!("{help}; text that is meant is `{letter}: {escaped}`")));
}

/// `closes.`, `STOPS SENDING`, `closes the connection`, and stage directions such as `(closes)`: the act.
fn act_meant(text: &str, known: &Known<'_>) -> Option<String> {
    let tidy = text.trim().trim_end_matches(['.', '!', ';']).to_ascii_lowercase();
    let around = [('(', ')'), ('<', '>'), ('[', ']'), ('*', '*')];
    let direction = around.iter().find_map(|(open, close)| tidy.strip_prefix(*open)?.strip_suffix(*close));
    let words: Vec<&str> = direction.unwrap_or(&tidy).split_ascii_whitespace().collect();
    match words[..] {
        ["closes"] | ["resets"] | ["stops", "sending"] => Some(words.join(" ")),
        ["closes" | "resets", "connection"] | ["closes" | "resets", "the", "connection"] => Some(words[0].to_owned()),
        ["disconnects"] | ["hangs", "up"] => Some("closes".to_owned()),
        ["close"] | ["closed"] | ["connection", "closed"] if direction.is_some_and(|word| !known.closes_tag(word)) => {
            Some("closes".to_owned())
        }
        _ => None,
    }
}

/// `^C`, as terminals show a key.
fn control_key(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [b'^', key @ (b'C' | b'D' | b'Z' | b'G' | b'[' | b']')] => Some(key & 0x1f),
        _ => None,
    }
}

/// What other languages and pages mean by a whole message: an empty line, anything, bytes.
fn elsewhere(text: &str, letter: char) -> Option<(String, String)> {
    let escaped = || escaped(text, 0);
    let bare = text.trim_matches(['<', '>', '(', ')', '[', ']']);
    if bare.len() + 2 == text.len()
        && matches!(bare.to_ascii_lowercase().as_str(), "empty line" | "blank line" | "empty" | "blank")
    {
        let help = format!(
            "an empty line is `{letter}:` and nothing behind it; text that is meant is `{letter}: {}`",
            escaped()
        );
        return Some((format!("`{text}` is said as it stands"), help));
    }
    if matches!(text, ".*" | ".+" | "/.*/" | "/.+/" | "^.*$" | "^.+$" | "(.*)" | "(.+)") {
        let help = format!(
            "where anything may stand, write `{{_}}`, or `{{_=example}}` so that it can be said; text that is meant is `{}`",
            escaped()
        );
        return Some((format!("`{text}` is text: it takes nothing else"), help));
    }
    if matches!(bare.trim(), "..." | "…" | "[...]" | "[…]" | "...." | "{...}" | "{…}") {
        let first = text.chars().next().unwrap_or_default();
        let bytes = in_hex(first.to_string().as_bytes());
        let help = format!(
            "write the lines that are left out, or `{letter}: {{_}}` for one that may be anything; text that is meant is `{letter}: {{0x{bytes}}}{}`",
            &text[first.len_utf8()..]
        );
        return Some((format!("`{text}` is text: it stands for nothing that was left out"), help));
    }
    let is_anchored = text.len() > 2 && text.starts_with('^') && text.ends_with('$') && !text.ends_with("\\$");
    if is_anchored {
        let help = format!(
            "a regex stands in a hole: `{{_:/{}/}}`; text that is meant is `{}`",
            &text[1..text.len() - 1].replace('/', "\\x2f"),
            escaped()
        );
        return Some((format!("`{text}` is text: it takes nothing else"), help));
    }
    if let Some(advice) = file_or_class(text, letter) {
        return Some(advice);
    }
    if text.starts_with("0x")
        && text.len() > 4
        && let Some(hex) = bare_bytes(text)
    {
        let help = format!("write `{letter} hex: {hex}`; text that is meant is `{}`", escaped());
        return Some((format!("`{text}` is said as it stands, letter by letter"), help));
    }
    None
}

/// `{file body.txt}`, and a class of a regex in plain text.
fn file_or_class(text: &str, letter: char) -> Option<(String, String)> {
    if let Some(path) = text.strip_prefix("{file ").and_then(|path| path.strip_suffix('}'))
        && path.contains('.')
        && !path.contains([' ', '"', '\'', ':', ';', '{'])
        && !path.starts_with(['/', '.', '~'])
    {
        let help = format!("write `{letter} file: {path}`; text that is meant is `{{0x7b}}{}`", &text[1..]);
        return Some((format!("`{text}` is text: it stands for no file"), help));
    }
    if let Some((at, class)) = class_in_text(text) {
        let pattern = if class.contains(['d', '9']) { "int".to_owned() } else { format!("/{class}/") };
        let help = format!(
            "write `{letter}: {}{{_:{pattern}}}{}`; text that is meant is `{letter}: {}`",
            &text[..at.start],
            &text[at.end..],
            escaped(text, at.start)
        );
        return Some((format!("`{}` is text: it takes nothing else", &text[at]), help));
    }
    None
}

/// `250 (\d+) ok`: a class of a regex that is a word of plain text, and not the first one, as commands are; where it stands, and
/// the class.
fn class_in_text(text: &str) -> Option<(std::ops::Range<usize>, &str)> {
    if text.matches('\\').count() > 1 || text.contains(['/', '"', '\'', '|', '^', '$', '{']) {
        return None;
    }
    let mut from = text.find(' ')?;
    while let Some(at) = text[from..].find(|c: char| c != ' ') {
        let begin = from + at;
        let end = text[begin..].find(' ').map_or(text.len(), |length| begin + length);
        let word = &text[begin..end];
        let class = word.strip_prefix('(').and_then(|word| word.strip_suffix(')')).unwrap_or(word);
        if matches!(class, "\\d+" | "\\d*" | "\\w+" | "\\S+") || class == "[0-9]+" && class != word {
            return Some((begin..end, class));
        }
        from = end;
    }
    None
}
