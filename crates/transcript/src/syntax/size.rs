//! How much a transcript may hold. Its bytes are bounded, but three bytes may be a statement, a hole or a default, each of
//! which takes some hundred times as much memory.

use super::{Template, TemplatePartKind};
use crate::diagnostic::{Diagnostic, Span};

/// All that a transcript may count for. A statement counts for four, a hole for two, a default and a piece of text for one.
pub(super) const MOST: usize = crate::limits::STATEMENTS * STATEMENT;
const STATEMENT: usize = 4;
/// So many mistakes are found; of a file that has more the rest is not read.
const MOST_FINDINGS: usize = 20_000;

/// What was read of a transcript so far.
#[derive(Debug, Default)]
pub(super) struct Size(usize);

impl Size {
    pub(super) fn statement(&mut self) {
        self.0 = self.0.saturating_add(STATEMENT);
    }

    pub(super) fn template(&mut self, template: &Template) {
        let each = template.parts.iter().map(|part| match &part.kind {
            TemplatePartKind::Literal(_) => 1,
            TemplatePartKind::Hole(hole) => 2 + hole.defaults.len(),
        });
        self.0 = self.0.saturating_add(each.sum());
    }

    /// Why no more is read, if that is so.
    pub(super) fn full(&self, line: usize, findings: usize) -> Option<Diagnostic> {
        let place = Span { line, column: 1, width: 1 };
        if self.0 > MOST {
            let statements = MOST / STATEMENT;
            let text = format!("a transcript holds {statements} statements, or as much in holes and defaults");
            return Some(
                Diagnostic::error(place, text)
                    .help("split the conversation; a long text can be a file: `S file: body.bin`"),
            );
        }
        let help = "is this a transcript at all?";
        (findings > MOST_FINDINGS)
            .then(|| Diagnostic::error(place, "so much is wrong that the rest is not read").help(help))
    }
}

#[cfg(test)]
mod tests {
    use super::super::template::{self, At};
    use super::*;
    use crate::pattern::Expressions;

    /// How many statements with this text fill a transcript.
    fn most(payload: &str) -> usize {
        let template = template::text(payload, At { line: 1, column: 1 }, &mut Expressions::default(), &mut Vec::new());
        let mut size = Size::default();
        let mut count = 0;
        while size.full(1, 0).is_none() {
            count += 1;
            size.statement();
            size.template(&template);
        }
        count
    }

    #[test]
    fn holes_and_defaults_fill_a_transcript_as_statements_do() {
        for (payload, each) in [("", 4), ("a", 5), ("{x}", 6), ("{x=a}", 7), ("{x=a|b|c} d {y}", 4 + 5 + 1 + 2)] {
            assert_eq!(most(payload), MOST / each + 1, "{payload}");
        }
    }
}
