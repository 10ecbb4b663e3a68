//! A transcript as a whole: its text read, its names resolved, its structure checked, and all that is wrong or odd told.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Severity, Source, Span};
use crate::file::Files;
use crate::program::Outside;
use crate::secret::Secret;
use crate::side::Side;
use crate::syntax::{self, Refused, Settings, Statement, StatementKind, Tls, Tree};
use crate::{connections, lint, names, program, secret, silence, tls};

/// A transcript that follows the grammar. Whether a side can play it is asked by [`crate::Script::prepare`].
#[derive(Debug, Clone)]
pub struct Transcript {
    pub(crate) source: Arc<Source>,
    pub(crate) settings: Settings,
    /// Shared by every copy.
    pub(crate) body: Arc<Vec<Statement>>,
    pub(crate) warnings: Vec<Diagnostic>,
}

impl Transcript {
    /// Reads a transcript's text. `name` is what messages call it; `given` are the names that get their values from
    /// outside, as `--set` gives them.
    ///
    /// # Errors
    /// Every mistake in it, in the order of the lines.
    pub fn parse(name: &str, text: &[u8], given: &[&str]) -> Result<Self, Refused> {
        Self::parse_with(name, text, given, None)
    }

    /// The same for one that includes others, which are read from the transcript's folder.
    ///
    /// # Errors
    /// As [`Self::parse`]; a file that is included cannot be read.
    pub fn parse_with(name: &str, text: &[u8], given: &[&str], files: Option<&dyn Files>) -> Result<Self, Refused> {
        let Tree { source, settings, body, mut findings, is_closed } = syntax::read(name, text, files)?;
        let (roles, unresolved) = names::resolve(&body, given, &source);
        findings.extend(unresolved);
        findings.extend(connections::check(&body, &roles, &source).into_iter().filter(|_| is_closed));
        findings.extend(silence::check(&body).into_iter().filter(|_| is_closed));
        // A statement that stands where it may not tells nothing of where TLS is.
        if is_closed && findings.iter().all(|finding| finding.severity == Severity::Warning) {
            findings.extend(tls::check(&body));
        }
        // What is wrong with the structure is wrong from either side.
        let columns: Vec<String> = given.iter().map(|name| (*name).to_owned()).collect();
        let outside = Outside { values: &BTreeMap::new(), columns: &columns };
        let structure = program::compile(&body, &settings, &source, Side::Client, outside).1;
        findings.extend(structure.into_iter().filter(|_| is_closed));
        if findings.iter().all(|finding| finding.severity == Severity::Warning) {
            findings.extend(lint::warnings(&body, &roles, &source, &settings, given));
        }
        let (errors, warnings): (Vec<_>, Vec<_>) =
            findings.into_iter().partition(|finding| finding.severity == Severity::Error);
        if errors.is_empty() {
            Ok(Self { source, settings, body: Arc::new(body), warnings })
        } else {
            Err(Refused::new(&source, errors))
        }
    }

    /// The name and the text, for messages.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// What is allowed but probably not meant.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// Where it first goes over to TLS, if it does.
    #[must_use]
    pub fn starttls(&self) -> Option<Span> {
        let mut statements = syntax::throughout(&self.body);
        statements
            .find(|statement| matches!(statement.kind, StatementKind::Tls(Tls::Start { .. })))
            .map(|statement| statement.place)
    }

    /// Whether this side listens at ports that it tells the other side.
    #[must_use]
    pub fn opens_ports(&self, listens: Side) -> bool {
        syntax::throughout(&self.body).any(
            |statement| matches!(&statement.kind, StatementKind::Connects { side, to: Some(_) } if *side != listens),
        )
    }

    /// The first line that opens another connection, if there is one.
    #[must_use]
    pub fn connects(&self) -> Option<Span> {
        let mut statements = syntax::throughout(&self.body);
        let found = statements.find(|statement| matches!(statement.kind, StatementKind::Connects { .. }));
        found.map(|statement| statement.place)
    }

    /// Whether a connection goes to a port that one side tells the other.
    #[must_use]
    pub fn tells_ports(&self) -> bool {
        syntax::throughout(&self.body)
            .any(|statement| matches!(&statement.kind, StatementKind::Connects { to: Some(_), .. }))
    }

    /// What it makes of secret values before it is played, and would show them: `base64` of one, and the like. A record hides
    /// them as the secrets themselves. `values` are all that are given, the secret ones too.
    #[must_use]
    pub fn made_of_secrets(&self, secrets: &[Secret], values: &BTreeMap<String, Vec<u8>>) -> Vec<Secret> {
        let names: Vec<&str> = secrets.iter().map(|secret| secret.name.as_str()).collect();
        let given: Vec<&str> = values.keys().map(String::as_str).collect();
        secret::known_secrets(&self.body, &secret::made_of_secrets(&self.body, &names, &given), values)
    }

    /// Whether some name has a random value, that depends on the seed.
    #[must_use]
    pub fn has_random(&self) -> bool {
        syntax::throughout(&self.body)
            .any(|statement| matches!(&statement.kind, StatementKind::Fresh { made, .. } if made.is_random()))
    }

    /// How lines end, how long to wait.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}
