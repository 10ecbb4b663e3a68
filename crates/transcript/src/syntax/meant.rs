//! What a line that is no statement was meant to be.

/// What is wrong with a line, and how the reading goes on, so that one mistake is told once.
pub(super) struct Meant<'a> {
    /// The part of the line that is wrong: a slice of it.
    pub(super) part: &'a str,
    pub(super) message: String,
    pub(super) help: String,
    pub(super) instead: Instead,
}

#[cfg(test)]
impl Meant<'_> {
    /// The statement that the line is read as, if it is one.
    pub(super) fn statement(self) -> Option<String> {
        match self.instead {
            Instead::Statement(statement) => Some(statement),
            _ => None,
        }
    }
}

/// What the line is read as.
pub(super) enum Instead {
    /// As this statement.
    Statement(String),
    /// As the head of a block whose lines are read for their mistakes and dropped.
    Block,
    /// As such a head if it has an `end`: a word of another language may be no head at all.
    BlockIfClosed,
    /// As a head with the block's first line behind it: whether it has an `end` is not known.
    Inline,
    /// As a line that parts or ends such a block.
    Or,
    End,
    /// As nothing.
    Nothing,
}

/// Whether a line begins as a message does.
pub(super) fn is_message(text: &str) -> bool {
    let head = text.split(':').next().unwrap_or_default();
    text.len() > head.len() && matches!(head, "C" | "S" | "C raw" | "S raw" | "C hex" | "S hex" | "C file" | "S file")
}

/// A statement as a suggestion shows it.
pub(super) fn clip(text: &str) -> String {
    let text = text.trim_end();
    if text.chars().count() <= 60 { text.to_owned() } else { text.chars().take(59).chain(['…']).collect() }
}
