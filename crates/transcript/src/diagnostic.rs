//! What is wrong with a transcript, and where: messages with a line, a column, a caret and a suggestion.

use std::fmt::Write as _;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The transcript cannot be played.
    Error,
    /// It can be played, but probably not as it was meant.
    Warning,
}

/// One finding in a transcript's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// How many characters it is about; at least 1.
    pub width: usize,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    #[must_use]
    pub fn error(place: Span, message: impl Into<String>) -> Self {
        let Span { line, column, width } = place;
        Self { severity: Severity::Error, line, column, width: width.max(1), message: message.into(), help: None }
    }

    /// A warning at a place.
    #[must_use]
    pub fn warning(place: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, message) }
    }

    /// The same with a suggestion.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// `greeting.talk:4:1: message; help`: everything on one line, without the word error.
    #[must_use]
    pub fn one_line(&self, source: &Source) -> String {
        let (name, line) = source.locate(self.line);
        let mut text = format!("{name}:{line}:{}: {}", self.column, self.message);
        if let Some(help) = &self.help {
            text.push_str("; ");
            text.push_str(help);
        }
        text
    }

    /// The message with the line it is about, a caret under the place and the suggestion, over several lines.
    #[must_use]
    pub fn render(&self, source: &Source) -> String {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let (name, line) = source.locate(self.line);
        let number = line.to_string();
        let margin = " ".repeat(number.len() + 1);
        let mut text = format!("{word}: {}\n", self.message);
        let _ = writeln!(text, "{margin}--> {name}:{line}:{}", self.column);
        // A line that is far longer than a screen is shown around the place.
        let (shown, before) = excerpt(source.line(self.line), self.column - 1, self.width);
        let _ = writeln!(text, " {number} | {shown}");
        let carets = "^".repeat(self.width.min(120));
        let _ = writeln!(text, " {} | {}{carets}", " ".repeat(number.len()), " ".repeat(before));
        if let Some(help) = &self.help {
            let _ = writeln!(text, " {} = help: {help}", " ".repeat(number.len()));
        }
        for (name, line) in source.includers(self.line) {
            let _ = writeln!(text, " {} = included by {name}:{line}", " ".repeat(number.len()));
        }
        text
    }
}

/// At most 160 characters of a line around a place, tabs as one space, and how many of them stand before the place.
fn excerpt(line: &str, start: usize, width: usize) -> (String, usize) {
    const MOST: usize = 160;
    let characters: Vec<char> = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if characters.len() <= MOST {
        return (characters.into_iter().collect(), start);
    }
    let from = start.saturating_sub(40).min(characters.len());
    let to = (from + MOST.max(width.min(MOST))).min(characters.len());
    let lead = if from > 0 { "…" } else { "" };
    let tail = if to < characters.len() { "…" } else { "" };
    let shown: String = characters[from..to].iter().collect();
    (format!("{lead}{shown}{tail}"), start - from + lead.chars().count())
}

/// A place in a transcript's text: all three in characters, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// The line.
    pub line: usize,
    /// The column of the first character.
    pub column: usize,
    /// How many characters.
    pub width: usize,
}

/// A transcript's name and text, kept for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: Box<str>,
    /// Where each line begins: a transcript is far shorter than 4 GiB.
    starts: Box<[u32]>,
    /// What it includes, and what those include.
    included: Vec<Included>,
}

/// A text that another one includes. Its lines have numbers of their own, behind those of all texts before it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Included {
    source: Source,
    /// The line that includes it.
    by: usize,
}

/// How far the numbers of two texts' lines are apart: no text has so many.
const APART: usize = 1 << 25;

impl Source {
    /// Keeps a text under the name that messages use.
    #[must_use]
    pub fn new(name: impl Into<String>, text: &str) -> Self {
        let behind_endings = text.match_indices('\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(behind_endings).filter(|start| *start < text.len());
        let starts = starts.map_while(|start| u32::try_from(start).ok()).collect();
        Self { name: name.into(), text: text.into(), starts, included: Vec::new() }
    }

    /// Adds a text that a line includes: how much is to be added to the numbers of its lines.
    pub(crate) fn include(&mut self, name: impl Into<String>, text: &str, by: usize) -> usize {
        self.included.push(Included { source: Self::new(name, text), by });
        self.included.len() * APART
    }

    /// Whether other texts belong to it.
    pub(crate) fn has_others(&self) -> bool {
        !self.included.is_empty()
    }

    /// The text that has a line, and the line's number in it.
    fn part(&self, line: usize) -> (&Self, usize) {
        let part = (line / APART).checked_sub(1).and_then(|index| self.included.get(index));
        part.map_or((self, line), |part| (&part.source, line % APART))
    }

    /// The file that a line stands in, and its number there: the line may be one of a file that this one includes.
    #[must_use]
    pub fn locate(&self, line: usize) -> (&str, usize) {
        let (part, line) = self.part(line);
        (&part.name, line)
    }

    /// The lines through which a line is included, from the inside to the outside.
    pub(crate) fn includers(&self, line: usize) -> impl Iterator<Item = (&str, usize)> {
        let by = |line: usize| Some(self.included.get((line / APART).checked_sub(1)?)?.by);
        std::iter::successors(by(line), move |line| by(*line)).map(|line| self.locate(line))
    }

    /// How messages call a line: `line 4`, or `line 4 of login.talk` in a file that is included.
    pub(crate) fn mention(&self, line: usize) -> String {
        match self.locate(line) {
            (_, own) if own == line => format!("line {line}"),
            (name, line) => format!("line {line} of {name}"),
        }
    }

    /// The name: a path as it was typed, or the name of a built-in transcript.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many lines there are.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// All of it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text of a line, counted from 1; empty past the end.
    #[must_use]
    pub fn line(&self, number: usize) -> &str {
        let (part, number) = self.part(number);
        let start = number.checked_sub(1).and_then(|index| part.starts.get(index));
        let Some(line) = start.and_then(|start| part.text.get(*start as usize..)) else { return "" };
        let line = line.split('\n').next().unwrap_or_default();
        line.trim_end_matches('\r')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_points_at_its_place() {
        let source = Source::new("smtp.talk", "S: 220 {banner}\n");
        let finding = Diagnostic::error(
            Span { line: 1, column: 8, width: 8 },
            "the server must say {banner}, but nothing gives it a value",
        )
        .help("write {banner=…} or pass --set banner=…");
        assert_eq!(
            finding.render(&source),
            "error: the server must say {banner}, but nothing gives it a value\n  --> smtp.talk:1:8\n 1 | S: 220 {banner}\n   |        ^^^^^^^^\n   = help: write {banner=…} or pass --set banner=…\n"
        );
        assert_eq!(
            finding.one_line(&source),
            "smtp.talk:1:8: the server must say {banner}, but nothing gives it a value; write {banner=…} or pass --set banner=…"
        );
    }

    #[test]
    fn a_line_of_a_thousand_characters_is_shown_around_the_place() {
        let source = Source::new("long.talk", &format!("{}X{}", "a".repeat(500), "b".repeat(500)));
        let text = Diagnostic::error(Span { line: 1, column: 501, width: 1 }, "here").render(&source);
        let lines: Vec<&str> = text.lines().collect();
        let caret = lines[3].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[2].chars().nth(caret), Some('X'));
        assert!(lines[2].chars().count() < 200);
    }

    #[test]
    fn a_text_has_as_many_lines_as_it_has_beginnings() {
        for (text, count, last) in
            [("", 0, ""), ("a", 1, "a"), ("a\n", 1, "a"), ("a\nb", 2, "b"), ("\n\n", 2, ""), ("a\r\n\r\nc\r\n", 3, "c")]
        {
            let source = Source::new("x.talk", text);
            assert_eq!((source.len(), source.line(count), source.line(count + 1)), (count, last, ""), "{text:?}");
        }
    }
}
