//! What was meant by settings, addresses and sums that are written as other languages have them.

use super::duration::nearest_duration;
use super::template;
use crate::function::Function;
use crate::number::is_digits;

/// The setting that was meant by a `set` with its word as the name: `set timeout = 20`, `set eol crlf`.
pub(crate) fn setting_meant(name: &str, value: &str) -> Option<String> {
    let value = value.trim().trim_matches(['"', '\'']);
    match name {
        "timeout" => Some(format!("timeout {}", nearest_duration(value).unwrap_or_else(|| "20s".to_owned()))),
        "gap" => {
            let unit = if is_digits(value) { "ms" } else { "" };
            Some(format!("gap {}", nearest_duration(&format!("{value}{unit}")).unwrap_or_else(|| "100ms".to_owned())))
        }
        "eol" => {
            let near = ["any", "lf", "crlf", "none"].into_iter().find(|word| value.eq_ignore_ascii_case(word));
            Some(format!("eol {}", near.or_else(|| ending_meant(value)).unwrap_or("crlf")))
        }
        "at" if value.contains([':', '/']) => Some(format!("at {value}")),
        "ignore" | "ignorecase" | "ignore_case" => Some("ignore case".to_owned()),
        _ => None,
    }
}

/// `n += 1`, `n -= 2`, `n++`: the name, the function that does it, and by how much.
pub(super) fn counted_on(text: &str) -> Option<(&str, &'static str, &str)> {
    let (name, function, value) = if let Some((name, value)) = text.split_once("+=") {
        (name, "sum", value.trim())
    } else if let Some((name, value)) = text.split_once("-=") {
        (name, "difference", value.trim())
    } else if let Some(name) = text.strip_suffix("++") {
        (name, "sum", "1")
    } else {
        (text.strip_suffix("--")?, "difference", "1")
    };
    let name = name.trim().trim_start_matches('$').trim_matches(['{', '}']);
    (is_name(name) && name != "_" && !value.is_empty()).then_some((name, function, value))
}

/// The statement that gives a name this value, where `word` was written with a wrong sign or without a name: what a
/// function makes is given by `let`, and what is text by `set`.
pub(super) fn giving<'a>(word: &'a str, value: &str) -> &'a str {
    let (function, operands) = value.split_once(' ').unwrap_or((value, ""));
    let is_made = matches!(function, "random" | "time") || Function::named(function).is_some();
    match word {
        "let" if !is_made && value.parse::<f64>().is_ok() => "set",
        "set" if computes(function, operands.trim()) => "let",
        word => word,
    }
}

/// Whether these are surely a function and what it works on: names of functions are words of a language too.
fn computes(function: &str, operands: &str) -> bool {
    let Some(known) = Function::named(function).filter(|known| !known.takes_key() && !operands.is_empty()) else {
        return false;
    };
    let is_hole = |word: &str| word.strip_prefix('{').and_then(|word| word.strip_suffix('}')).is_some_and(is_name);
    let is_operand = |word: &str| is_hole(word) || word.parse::<u32>().is_ok();
    if operands.contains(' ') {
        return matches!(known, Function::Sum | Function::Difference) && operands.split(' ').all(is_operand);
    }
    is_hole(operands) || known.is_coined() && operands.is_ascii() && known.apply(b"", operands.as_bytes()).is_ok()
}

/// The line ending that was meant by a word or by signs.
pub(super) fn ending_meant(written: &str) -> Option<&'static str> {
    match written.trim_matches([':', '=', ' ', '"', '\'']).to_ascii_lowercase().as_str() {
        "\\r\\n" | "crlf" | "dos" | "windows" | "cr lf" | "0d0a" | "net" => Some("crlf"),
        "\\n" | "lf" | "unix" | "0a" | "nl" => Some("lf"),
        "any" | "auto" => Some("any"),
        "none" | "no" | "off" => Some("none"),
        _ => None,
    }
}

/// `udp localhost:80`, `tcp localhost 80`, `localhost 80`: an address in words.
pub(super) fn address_meant(written: &str) -> Option<String> {
    let words: Vec<&str> = written.split_ascii_whitespace().collect();
    let is_carrier = |word: &str| matches!(word.to_ascii_lowercase().as_str(), "tcp" | "udp" | "tls" | "ws" | "wss");
    let is_port = |word: &str| word.parse::<u16>().is_ok();
    match words[..] {
        [carrier, address] if is_carrier(carrier) => Some(format!("{}://{address}", carrier.to_ascii_lowercase())),
        [carrier, host, port] if is_carrier(carrier) && is_port(port) => {
            Some(format!("{}://{host}:{port}", carrier.to_ascii_lowercase()))
        }
        [unix, path] if unix.eq_ignore_ascii_case("unix") => Some(format!("unix:{path}")),
        [host, port] if is_port(port) && !host.contains([':', '/']) => Some(format!("{host}:{port}")),
        _ => None,
    }
}

/// Whether a text is a name.
pub(crate) fn is_name(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    !characters.is_empty() && template::name_length(&characters) == characters.len()
}
