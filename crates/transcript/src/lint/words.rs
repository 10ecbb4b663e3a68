//! Messages that are statements by their words: `S: waits 1s`.

use std::collections::BTreeSet;

use super::payload::Payload;
use crate::Side;
use crate::diagnostic::Diagnostic;
use crate::function::Function;
use crate::syntax::{bare_bytes, is_duration};

/// `set id = random 16 hex`: `set` takes the words as they are.
pub(super) fn function_in_a_set(payload: &Payload<'_>, name: &str, findings: &mut Vec<Diagnostic>) {
    let end = payload.characters.len();
    let text = payload.slice(0, end);
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if let Some(value) = text.strip_prefix("= ").filter(|value| !value.trim().is_empty()) {
        let message = format!("one `=` stands behind a name: the value is `{text}`");
        let help =
            format!("write `set {name} = {value}`; for text that is meant `set {name} = {{0x3d}}{}`", &text[1..]);
        findings.push(payload.warning(0, end, message, help));
        return;
    }
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
    if is_one {
        let message = format!("`set` gives {name} these words, and computes nothing");
        let escaped = format!("{{0x{:02x}}}{}", text.as_bytes()[0], &text[1..]);
        let help = format!("write `let {name} = {text}`; for text that is meant `set {name} = {escaped}`");
        findings.push(payload.warning(0, end, message, help));
    }
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
        let escaped = format!("{{0x{:02x}}}{}", text.as_bytes()[0], &text[1..]);
        let key = if function.takes_key() { " KEY" } else { "" };
        let help = format!("write `let {name} = {function}{key} {{{bare}}}`; for text that is meant `{escaped}`");
        findings.push(payload.warning(0, end, message, help));
    }
}

/// A statement that is written as something said; `blocks` remembers that one of them began a block.
pub(super) fn statement(payload: &Payload<'_>, side: Side, blocks: &mut bool, findings: &mut Vec<Diagnostic>) {
    let end = payload.characters.len();
    if !payload.holes.is_empty() || end > 40 {
        return;
    }
    let text = payload.slice(0, end);
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (letter, first) = (side.letter(), words.first().copied().unwrap_or_default());
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let act = |written: &str| Some(format!("write `{letter} {written}`, without the colon, if the side does so"));
    let block =
        |written: &str| Some(format!("write `{written}`, without `{letter}:`, if it is meant as the statement"));
    if let Some((message, help)) = elsewhere(text.trim(), letter) {
        findings.push(payload.warning(0, end, message, help));
        return;
    }
    // `closes.`, `Closes`, `STOPS SENDING`.
    let tidy = text.trim().trim_end_matches(['.', '!', ';']).to_ascii_lowercase();
    let tidy: Vec<&str> = tidy.split_ascii_whitespace().collect();
    let help = match words[..] {
        _ if matches!(tidy[..], ["closes"] | ["resets"] | ["stops", "sending"]) => act(&tidy.join(" ")),
        ["include", path] if path.ends_with(".talk") => block(text.trim()),
        ["not", "C:" | "S:", _, ..] => block(text.trim()),
        ["let", _, "=", "random" | "time", ..] => block(text.trim()),
        ["let", _, "=", function, ..] if Function::named(function).is_some() => block(text.trim()),
        ["closes"] | ["resets"] | ["stops", "sending"] => act(&words.join(" ")),
        ["waits" | "wait" | "sleeps" | "sleep" | "delay" | "pause" | "pauses", time] if is_duration(time) => {
            act(&format!("waits {time}"))
        }
        ["closes", "connection"] | ["closes", "the", "connection"] | ["disconnects"] | ["hangs", "up"] => act("closes"),
        ["resets", "connection"] | ["resets", "the", "connection"] => act("resets"),
        ["raw:", ..] | ["hex:", _, ..] | ["file:", _] => {
            Some(format!("write `{letter} {text}`, with one colon, if those bytes are meant"))
        }
        ["repeat"] | ["either"] | ["together"] | ["maybe"] | ["in", "any", "order"] | ["at", "any", "time"] => {
            block(&words.join(" "))
        }
        ["repeat", count] if is_number(count) => block(&words.join(" ")),
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

/// What other languages and pages mean by a whole message: an empty line, anything, bytes.
fn elsewhere(text: &str, letter: char) -> Option<(String, String)> {
    let escaped = || format!("{{0x{:02x}}}{}", text.as_bytes()[0], &text[1..]);
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
    if matches!(bare.trim(), "..." | "…" | "[...]" | "[…]" | "....") {
        let first = text.chars().next().unwrap_or_default();
        let bytes: String = first.to_string().bytes().map(|byte| format!("{byte:02x}")).collect();
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
    if text.starts_with("0x")
        && text.len() > 4
        && let Some(hex) = bare_bytes(text)
    {
        let help = format!("write `{letter} hex: {hex}`; text that is meant is `{}`", escaped());
        return Some((format!("`{text}` is said as it stands, letter by letter"), help));
    }
    None
}
