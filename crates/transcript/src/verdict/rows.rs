//! The rows of an account: what was said, what would have been right, and what came instead, one under the other.

use super::{Awaited, Expected, Fault, SHOWN, Verdict, clip};
use crate::notation::{has_any, in_hex, show};

/// One row: the transcript's line beside what was said.
pub(super) struct Row {
    pub(super) line: Option<usize>,
    pub(super) label: &'static str,
    pub(super) text: String,
    /// How far from the text's beginning the caret stands under it, and what is said there.
    pub(super) caret: Option<(usize, String)>,
}

impl Verdict {
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        if let Some((line, bytes)) = &self.sent
            && !matches!(self.fault, Fault::Misheard { .. } | Fault::BrokenLine | Fault::WrongLength)
        {
            rows.push(Row {
                line: Some(*line),
                label: "sent",
                text: with_spaces_shown(self.show(&bytes[..bytes.len().min(SHOWN)])),
                caret: None,
            });
        }
        for expected in &self.expected {
            let is_compared = self.fault == Fault::Differs && expected.awaited == Awaited::Message;
            let text = if self.expected.len() > 1 && is_compared {
                format!("{}   ({} bytes match)", clip(&expected.text, SHOWN), expected.matched)
            } else {
                clip(&expected.text, SHOWN)
            };
            rows.push(Row { line: Some(expected.line), label: "expected", text: with_spaces_shown(text), caret: None });
        }
        let nothing_to_show = matches!(
            self.fault,
            Fault::Misheard { .. }
                | Fault::BrokenLine
                | Fault::WrongLength
                | Fault::FileShrank
                | Fault::NotACount
                | Fault::ValuesTooLarge { .. }
                | Fault::MessageTooLarge { .. }
        );
        if rows.is_empty() || nothing_to_show {
            rows.push(Row { line: Some(self.place.line), label: "", text: String::new(), caret: None });
        }
        if nothing_to_show {
            return rows;
        }
        if matches!(self.fault, Fault::Tls | Fault::TlsGoesOn | Fault::Untrusted) {
            // The line itself is the place; what came is nothing to read.
            let text = self.source.line(self.place.line).trim().to_owned();
            rows.push(Row { line: Some(self.place.line), label: "expected", text, caret: None });
            return rows;
        }
        let (received, caret) = self.received_row();
        rows.push(Row { line: None, label: "received", text: received, caret });
        rows
    }

    /// What came, cut around the difference, and where the caret goes under it.
    pub(super) fn received_row(&self) -> (String, Option<(usize, String)>) {
        if self.received.is_empty() {
            if self.fault == Fault::Differs && !self.name.is_empty() {
                return (format!("({})", self.name), None);
            }
            let nothing = match self.fault {
                _ if self.is_about_a_value() => "(an empty value)",
                Fault::Differs if self.byte.is_some() => "(an empty line)",
                Fault::Differs | Fault::NothingCame { .. } => "(nothing)",
                Fault::Reset => "(a reset)",
                _ => "(the end)",
            };
            return (nothing.to_owned(), None);
        }
        // A caret would stand under the name of a secret, not under what was said.
        let Some(byte) = self.byte.filter(|_| !has_any(&self.received, &self.secrets)) else {
            return (with_spaces_shown(self.show(&self.received[..self.received.len().min(SHOWN)])), None);
        };
        let at = begin_of_character(&self.received, byte.saturating_sub(1).min(self.received.len()));
        let from = at.saturating_sub(SHOWN / 2);
        let to = (at + SHOWN / 2).min(self.received.len());
        let lead = if from > 0 { "…" } else { "" };
        let tail = if to < self.received.len() { "…" } else { "" };
        // A trailing space of the part before the difference is not the end of the line: shown as it is.
        let before = show(&self.received[from..at]);
        let before = before.strip_suffix("{0x20}").map_or(before.clone(), |cut| format!("{cut} "));
        let after = show(&self.received[at..to]);
        let look = self.lookalikes(&before, &after).filter(|_| lead.is_empty()).unwrap_or_default();
        let before = with_spaces_shown(before);
        let offset = lead.chars().count() + before.chars().count();
        let text = format!("{lead}{before}{}{tail}", with_spaces_shown(after));
        (text, Some((offset, format!("byte {byte} of the line{look}"))))
    }

    /// The two characters that differ, in hex, where one of them is outside ASCII: they may look the same.
    fn lookalikes(&self, before: &str, after: &str) -> Option<String> {
        let [Expected { text, .. }] = &self.expected[..] else { return None };
        // A hole begins with its name's brace, and is no text that could be the same.
        let wanted = text.strip_prefix(before).filter(|wanted| !wanted.starts_with('{'))?;
        let is_plain = |text: &str| !text.is_empty() && !text.starts_with("{0x") && !is_odd_space(text.chars().next());
        if !is_plain(wanted) || !is_plain(after) {
            return None;
        }
        let (wanted, came) = (wanted.chars().next()?, after.chars().next()?);
        let differ = wanted != came && !(wanted.is_ascii() && came.is_ascii());
        differ.then(|| format!(": {} and not {}", spelled(came), spelled(wanted)))
    }
}

/// Where the character begins that a byte is in the middle of.
fn begin_of_character(bytes: &[u8], at: usize) -> usize {
    let begins = (at.saturating_sub(3)..at).find(|&begin| {
        let end = (begin + 4).min(bytes.len());
        let valid = bytes[begin..end].utf8_chunks().next().map_or("", |chunk| chunk.valid());
        valid.chars().next().is_some_and(|letter| begin + letter.len_utf8() > at)
    });
    begins.unwrap_or(at)
}

/// Whether it looks like a space, or like nothing, and is no space of ASCII.
fn is_odd_space(letter: Option<char>) -> bool {
    letter.is_some_and(|letter| {
        letter != ' ' && letter.is_whitespace()
            || matches!(letter, '\u{2800}' | '\u{3164}' | '\u{115f}' | '\u{1160}' | '\u{ffa0}')
    })
}

/// A character as its bytes are written in a transcript.
fn spelled(letter: char) -> String {
    format!("{{0x{}}}", in_hex(letter.to_string().as_bytes()))
}

/// Shown text in which every space can be told from another.
fn with_spaces_shown(text: String) -> String {
    if !text.chars().any(|letter| is_odd_space(Some(letter))) {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_odd_space(Some(letter)) {
            shown.push_str(&spelled(letter));
        } else {
            shown.push(letter);
        }
    }
    shown
}
