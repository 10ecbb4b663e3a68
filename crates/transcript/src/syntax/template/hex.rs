//! Hex payloads: pairs of digits, and what to write where something else stands among them.

use std::fmt;

use super::{Reader, TemplatePartKind};
use crate::diagnostic::Diagnostic;

impl Reader<'_> {
    /// Pairs of digits up to a hole or the end of the line.
    pub(super) fn hex_run(&mut self) {
        let start = self.position;
        let mut bytes = Vec::new();
        while let Some(&next) = self.characters.get(self.position) {
            if next == '{' && self.hole_begins() {
                break;
            }
            let from = self.position;
            self.position += 1;
            if matches!(next, ' ' | '\t') {
                continue;
            }
            let pair = next.to_digit(16).zip(self.characters.get(self.position).and_then(|low| low.to_digit(16)));
            if let Some((high, low)) = pair {
                self.position += 1;
                bytes.push((high * 16 + low) as u8);
            } else {
                let place = self.place(from, from + 1);
                let message = if next == '0' && matches!(self.characters.get(self.position), Some('x' | 'X')) {
                    "`0x` is no pair of hex digits".to_owned()
                } else if next.is_ascii_hexdigit() {
                    format!("`{next}` is half a byte")
                } else {
                    format!("`{next}` is not a hex digit")
                };
                self.findings.push(Diagnostic::error(place, message).help(self.hex_help(from)));
                self.position = self.characters.len();
            }
        }
        self.push(start, TemplatePartKind::Literal(bytes));
    }

    /// What to write where something else stands among the pairs.
    fn hex_help(&self, at: usize) -> String {
        let rest: String = self.characters[at..].iter().collect();
        let before: String = self.characters[..at].iter().collect();
        let lower = rest.to_ascii_lowercase();
        if let Some((digits, _)) = lower.strip_prefix('{').and_then(|rest| rest.split_once('}'))
            && let Ok(bytes) = hex_bytes(digits)
            && !bytes.is_empty()
        {
            let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            return format!("write these bytes without braces: {}", pairs.join(" "));
        }
        let help = if lower.starts_with("0x") || lower.starts_with("\\x") {
            "leave `0x` and `\\x` out: 01 ff"
        } else if rest.starts_with([',', ':', ';', '-', '.', '|']) {
            "pairs stand side by side or with spaces between them: 01 ff"
        } else if rest.starts_with('#') || rest.starts_with("//") {
            "a comment stands on a line of its own, behind a #"
        } else if rest.starts_with(['"', '\'', '“']) {
            "text stands on a `raw:` line: `C raw: text`"
        } else if lower.starts_with('h') && before.ends_with(|c: char| c.is_ascii_hexdigit()) {
            "leave the h out: 01 ff"
        } else if rest.starts_with('{') {
            "a hole begins with { and a name: {size:4 bytes}"
        } else {
            "write pairs of hex digits: 0a ff"
        };
        help.to_owned()
    }
}

/// Why a text is no pairs of hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HexError {
    /// Something else stands among them.
    NoDigit(char),
    /// The last pair lacks a digit; the text.
    HalfByte(String),
}

impl fmt::Display for HexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDigit(wrong) => write!(f, "`{wrong}` is not a hex digit"),
            Self::HalfByte(text) => write!(f, "`{text}` has half a byte too many"),
        }
    }
}

impl std::error::Error for HexError {}

/// Bytes from pairs of hex digits, spaces between them ignored.
pub(super) fn hex_bytes(text: &str) -> Result<Vec<u8>, HexError> {
    let digits: Vec<char> = text.chars().filter(|c| !matches!(c, ' ' | '\t')).collect();
    if let Some(&wrong) = digits.iter().find(|c| !c.is_ascii_hexdigit()) {
        return Err(HexError::NoDigit(wrong));
    }
    if digits.len() % 2 == 1 {
        return Err(HexError::HalfByte(text.to_owned()));
    }
    let value = |c: char| c.to_digit(16).unwrap_or(0) as u8;
    Ok(digits.chunks_exact(2).map(|pair| value(pair[0]) * 16 + value(pair[1])).collect())
}
