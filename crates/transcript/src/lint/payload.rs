//! What stands behind a colon, as it is written: which characters are text, and which belong to a hole.

use std::cell::OnceCell;

use crate::diagnostic::{Diagnostic, Source, Span};
use crate::syntax::{Hole, Template, TemplatePartKind};

/// A payload as it is written.
pub(super) struct Payload<'a> {
    line: usize,
    /// The column of its first character.
    column: usize,
    pub(super) characters: Vec<char>,
    /// For each character whether it is text that was typed as it is said.
    is_text: Vec<bool>,
    /// The holes, each with where it begins and ends.
    pub(super) holes: Vec<(&'a Hole, usize, usize)>,
    /// Where quotes of each kind stand, once that was asked.
    quotes: OnceCell<[Vec<usize>; 3]>,
    is_command: OnceCell<bool>,
    is_field: OnceCell<bool>,
}

const QUOTES: [char; 3] = ['"', '\'', '`'];

impl<'a> Payload<'a> {
    /// The payload of a statement; none if it is empty.
    pub(super) fn of(source: &Source, statement: Span, template: &'a Template) -> Option<Self> {
        let column = template.parts.first()?.place.column;
        let end = template.parts.last().map(|part| part.place.column + part.place.width)?;
        let characters: Vec<char> = source.line(statement.line).chars().skip(column - 1).take(end - column).collect();
        let mut is_text = vec![false; characters.len()];
        let mut holes = Vec::new();
        for part in &template.parts {
            let from = part.place.column - column;
            let to = (from + part.place.width).min(characters.len());
            match &part.kind {
                TemplatePartKind::Hole(hole) => holes.push((hole, from, to)),
                TemplatePartKind::Literal(_)
                    if characters.get(from..to).is_some_and(|text| text.starts_with(&['{', '0', 'x'])) => {}
                TemplatePartKind::Literal(_) => is_text[from.min(to)..to].fill(true),
            }
        }
        Some(Self {
            line: statement.line,
            column,
            characters,
            is_text,
            holes,
            quotes: OnceCell::new(),
            is_command: OnceCell::new(),
            is_field: OnceCell::new(),
        })
    }

    /// The character at a place if it is text.
    pub(super) fn text_at(&self, at: usize) -> Option<char> {
        self.characters.get(at).copied().filter(|_| self.is_text[at])
    }

    /// The character before a place if it is text.
    pub(super) fn text_before(&self, at: usize) -> Option<char> {
        self.text_at(at.checked_sub(1)?)
    }

    /// The text from a place to another.
    pub(super) fn slice(&self, from: usize, to: usize) -> String {
        self.characters[from.min(to)..to.min(self.characters.len())].iter().collect()
    }

    /// Whether some character is text.
    pub(super) fn has(&self, wanted: &[char]) -> bool {
        self.characters.iter().zip(&self.is_text).any(|(c, is_text)| *is_text && wanted.contains(c))
    }

    pub(super) fn place(&self, from: usize, to: usize) -> Span {
        Span { line: self.line, column: self.column + from, width: to.saturating_sub(from).max(1) }
    }

    pub(super) fn warning(&self, from: usize, to: usize, message: String, help: String) -> Diagnostic {
        Diagnostic::warning(self.place(from, to), message).help(help)
    }

    /// Whether a place stands between two quotes of one kind.
    pub(super) fn is_quoted(&self, at: usize) -> bool {
        let all = self.quotes.get_or_init(|| QUOTES.map(|quote| self.quotes(quote)));
        QUOTES.iter().zip(all).any(|(&quote, quotes)| {
            let before = quotes.partition_point(|quote| *quote < at);
            // An apostrophe is no quote: one begins a word.
            let opens = before.checked_sub(1).is_some_and(|open| {
                quote != '\'' || self.text_before(quotes[open]).is_none_or(|c| !c.is_alphanumeric())
            });
            before % 2 == 1 && opens && before < quotes.len()
        })
    }

    /// Whether a program's directives, such as `%s`, are at home in it.
    pub(super) fn is_command(&self) -> bool {
        *self.is_command.get_or_init(|| {
            let text: String = self.characters.iter().collect();
            ["printf", "date", "strftime", "format", "log"].iter().any(|word| text.contains(word))
        })
    }

    /// Whether it is a header field, or has several attributes.
    pub(super) fn is_field(&self) -> bool {
        *self
            .is_field
            .get_or_init(|| self.characters.contains(&':') || self.characters.iter().filter(|c| **c == '=').count() > 1)
    }

    fn quotes(&self, quote: char) -> Vec<usize> {
        let is_quote =
            |at: &usize| self.text_at(*at) == Some(quote) && (quote == '"' || self.text_before(*at) != Some('\\'));
        (0..self.characters.len()).filter(is_quote).collect()
    }
}

/// Text with the byte that stands there in hex: so it is text, whatever it would be otherwise.
pub(super) fn escaped(text: &str, at: usize) -> String {
    format!("{}{{0x{:02x}}}{}", &text[..at], text.as_bytes()[at], &text[at + 1..])
}
