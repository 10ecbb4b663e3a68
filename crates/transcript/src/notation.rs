//! Bytes in transcript notation: what cannot be seen, or would be obeyed by a terminal, is written `{0x…}`.

use crate::secret::Secret;

/// Bytes as pairs of hex digits, one behind the other.
pub(crate) fn in_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The same with a secret's hole in the place of its value.
pub(crate) fn show_hiding(bytes: &[u8], secrets: &[Secret]) -> String {
    if secrets.is_empty() {
        return show(bytes);
    }
    let mut shown = String::new();
    for part in split(bytes, secrets) {
        match part {
            Piece::Open(bytes) => {
                // A space is only at the end of the line where nothing follows.
                let text = show(bytes);
                shown.push_str(&text);
            }
            Piece::Hidden(name) => {
                if let Some(cut) = shown.strip_suffix("{0x20}") {
                    shown = format!("{cut} ");
                }
                shown.push('{');
                shown.push_str(name);
                shown.push('}');
            }
        }
    }
    shown
}

/// Bytes as pairs of hex digits, with a secret's hole in the place of its value.
pub(crate) fn hex(bytes: &[u8], secrets: &[Secret]) -> String {
    let mut words = Vec::new();
    for part in split(bytes, secrets) {
        match part {
            Piece::Open(bytes) => words.extend(bytes.iter().map(|byte| format!("{byte:02x}"))),
            Piece::Hidden(name) => words.push(format!("{{{name}}}")),
        }
    }
    words.join(" ")
}

/// Whether a secret stands in some bytes.
pub(crate) fn has_any(bytes: &[u8], secrets: &[Secret]) -> bool {
    split(bytes, secrets).iter().any(|part| matches!(part, Piece::Hidden(_)))
}

enum Piece<'a> {
    Open(&'a [u8]),
    Hidden(&'a str),
}

/// Parts bytes at the secrets in them; where several begin at one place, at the longest.
fn split<'a>(mut bytes: &'a [u8], secrets: &'a [Secret]) -> Vec<Piece<'a>> {
    let mut parts = Vec::new();
    loop {
        let found = secrets
            .iter()
            .filter(|secret| !secret.value.is_empty())
            .filter_map(|secret| Some((memchr::memmem::find(bytes, &secret.value)?, secret)))
            .min_by_key(|(at, secret)| (*at, std::cmp::Reverse(secret.value.len())));
        let Some((at, secret)) = found else { break };
        if at > 0 {
            parts.push(Piece::Open(&bytes[..at]));
        }
        parts.push(Piece::Hidden(&secret.name));
        bytes = &bytes[at + secret.value.len()..];
    }
    if !bytes.is_empty() {
        parts.push(Piece::Open(bytes));
    }
    parts
}

/// Writes bytes so that they can be read, pasted into a transcript and shown on any terminal without harm.
#[must_use]
pub fn show(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid();
        let mut rest = valid.chars();
        while let Some(character) = rest.next() {
            if character == '{' && begins_hole(rest.as_str()) || is_hidden(character) {
                push_hex(&mut shown, character.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                shown.push(character);
            }
        }
        push_hex(&mut shown, chunk.invalid());
    }
    // A space at the end of a line cannot be seen.
    if shown.ends_with(' ') {
        shown.pop();
        shown.push_str("{0x20}");
    }
    shown
}

fn push_hex(shown: &mut String, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    shown.push_str("{0x");
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            shown.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    shown.push('}');
}

/// Whether the text behind a `{` would make it a hole.
fn begins_hole(rest: &str) -> bool {
    let name = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    rest.starts_with("0x")
        || (name > 0 && !rest.starts_with(|c: char| c.is_ascii_digit()) && rest[name..].starts_with([':', '=', '}']))
}

/// Controls, and characters that change how others look without being seen themselves: zero-width characters,
/// directional marks and overrides (UAX #9), line and paragraph separators, tags, the BOM.
#[must_use]
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_written_in_hex() {
        assert_eq!(show(b"Hello, World!"), "Hello, World!");
        assert_eq!(show("Grüße, 世界 🐟".as_bytes()), "Grüße, 世界 🐟");
        assert_eq!(show(b"a\r\n\x1b[31m\x00"), "a{0x0d}{0x0a}{0x1b}[31m{0x00}");
        assert_eq!(show(b"\xff\xfe x \x9b1m"), "{0xff}{0xfe} x {0x9b}1m");
        assert_eq!(show("\u{202e}abc\u{9b}".as_bytes()), "{0xe280ae}abc{0xc29b}");
        assert_eq!(show(b"end "), "end{0x20}");
    }

    #[test]
    fn a_brace_that_would_begin_a_hole_is_written_in_hex() {
        assert_eq!(show(b"{name} {a=b} {0xff} {\"ok\":1} {}"), "{0x7b}name} {0x7b}a=b} {0x7b}0xff} {\"ok\":1} {}");
    }
}
