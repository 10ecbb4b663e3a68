//! Why a command ends as it does: values until the moment they are written, as lines for people or as fields for programs.

use serde_json::{Map, Value, json};
use sockeye::event::Conversation;
use sockeye::failure::Failure;
use transcript::{Awaited, Refused};

/// The kind of a failure that no conversation began with.
const WRONG_TRANSCRIPT: &str = "wrong_transcript";

/// Why a command fails.
#[derive(Debug, Clone)]
pub(crate) enum CommandFailure {
    /// In words that are ours.
    Said(String),
    /// A transcript is wrong.
    Refused(Refused),
    /// A play did not go as written.
    Failed(Box<(Option<Conversation>, Failure)>),
}

impl CommandFailure {
    /// A conversation failed.
    pub(crate) fn failed(conversation: Option<Conversation>, failure: Failure) -> Self {
        Self::Failed(Box::new((conversation, failure)))
    }
}

impl From<String> for CommandFailure {
    fn from(words: String) -> Self {
        Self::Said(words)
    }
}

impl From<Refused> for CommandFailure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl CommandFailure {
    /// In one line.
    pub(crate) fn headline(&self) -> String {
        match self {
            Self::Said(words) => words.clone(),
            Self::Refused(refused) => refused
                .findings
                .first()
                .map_or_else(|| refused.source.name().to_owned(), |finding| finding.one_line(&refused.source)),
            Self::Failed(failed) => failed.1.headline(),
        }
    }

    /// The whole account for people, as it stands on standard error.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Said(words) => format!("sockeye: {words}"),
            Self::Refused(refused) => refused.to_string(),
            Self::Failed(failed) => match &**failed {
                (conversation, failure @ Failure::Play { .. }) => failure.of(conversation.as_ref()),
                (_, Failure::Other { reason, .. }) => format!("sockeye: {reason}"),
            },
        }
    }

    /// The fields for programs.
    pub(crate) fn put(&self, object: &mut Map<String, Value>) {
        match self {
            Self::Said(_) => {}
            Self::Refused(refused) => {
                put(object, "kind", json!(WRONG_TRANSCRIPT));
                let finding = refused.findings.first();
                let (file, line) = refused.source.locate(finding.map_or(1, |finding| finding.line));
                put(object, "file", json!(file));
                if let Some(finding) = finding {
                    put(object, "line", json!(line));
                    put(object, "column", json!(finding.column));
                }
            }
            Self::Failed(failed) => {
                let (conversation, failure) = &**failed;
                if let Some(conversation) = conversation {
                    put_conversation(object, conversation);
                }
                put_failure(object, failure);
            }
        }
        put(object, "error", json!(self.headline()));
    }
}

fn put(object: &mut Map<String, Value>, key: &str, value: Value) {
    object.insert(key.to_owned(), value);
}

/// A conversation's number and its four-tuple.
pub(crate) fn put_conversation(object: &mut Map<String, Value>, conversation: &Conversation) {
    put(object, "conn", json!(conversation.number));
    put(object, "proto", json!(conversation.protocol.scheme()));
    put(object, "server", json!(conversation.server.to_string()));
    put(object, "client", json!(conversation.client.to_string()));
    if let Some(to) = &conversation.to {
        put(object, "to", json!(to.to_string()));
    }
}

/// What went wrong. Of a play there is always a place, what was expected and what came: `null` where there is nothing to
/// tell, which is not an empty line. Both are in transcript notation, as the transcript would have them.
pub(crate) fn put_failure(object: &mut Map<String, Value>, failure: &Failure) {
    put(object, "kind", json!(failure.kind().name()));
    put(object, "error", json!(failure.headline()));
    match failure {
        Failure::Play { verdict, hint } => {
            let (file, line) = verdict.source.locate(verdict.place.line);
            put(object, "file", json!(file));
            put(object, "line", json!(line));
            put(object, "column", json!(verdict.place.column));
            put(object, "expected", json!(verdict.expected_text()));
            put(object, "received", json!(verdict.received_text()));
            if let Some(byte) = verdict.byte {
                put(object, "byte", json!(byte));
            }
            let others = verdict.expected.iter().filter(|other| other.awaited != Awaited::End).skip(1);
            let others: Vec<_> = others.map(|other| json!({ "line": other.line, "expected": other.text })).collect();
            if !others.is_empty() {
                put(object, "or", json!(others));
            }
            if let Some(hint) = hint {
                put(object, "help", json!(hint));
            }
        }
        Failure::Other { line, .. } => {
            if let Some(line) = line {
                put(object, "line", json!(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sockeye::failure::Kind;

    use super::*;
    use crate::exit::Exit;

    /// The table in docs/testing.md is a promise to programs.
    #[test]
    fn every_kind_is_listed_with_its_exit_code() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/testing.md")).unwrap();
        let rows: BTreeMap<&str, &str> = page
            .lines()
            .filter_map(|line| {
                let (kind, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
                Some((kind, rest.split_once(" | ")?.0))
            })
            .collect();
        let mut expected: BTreeMap<&str, String> =
            Kind::all().map(|kind| (kind.name(), Exit::from(kind).code().to_string())).collect();
        expected.insert(WRONG_TRANSCRIPT, Exit::Usage.code().to_string());
        let expected: BTreeMap<&str, &str> = expected.iter().map(|(kind, code)| (*kind, code.as_str())).collect();
        assert_eq!(rows, expected);
    }
}
