//! Values that nobody is to see: neither a record nor the account of a failure shows them. Nor do they show what is made of such
//! a value, if it can be told back from that.

use std::collections::{BTreeMap, BTreeSet};

use crate::syntax::Pattern;
use crate::syntax::{Statement, StatementKind, Template, TemplatePartKind, throughout};

/// A value that is not to be written down: its name stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The name of its hole.
    pub name: String,
    /// The value. An empty one hides nothing.
    pub value: Vec<u8>,
}

/// The names whose values are made of secret ones, in another form than these; those that stand there as they are, are hidden
/// anyway. `given` names have their values from outside.
pub(crate) fn made_of_secrets(body: &[Statement], secret: &[&str], given: &[&str]) -> BTreeSet<String> {
    let mut holding: BTreeSet<&str> = secret.iter().copied().collect();
    let mut made = BTreeSet::new();
    loop {
        let before = holding.len();
        for statement in throughout(body) {
            let Some(name) = statement.sets().filter(|name| !given.contains(name)) else { continue };
            let (told_back, template) = match &statement.kind {
                StatementKind::Let { function, template, .. } => (function.can_be_told_back(), template),
                StatementKind::Set { template, .. } => (true, template),
                _ => continue,
            };
            if told_back && template.names().any(|name| holding.contains(name)) {
                holding.insert(name);
                if matches!(statement.kind, StatementKind::Let { .. }) || writes_numbers(template) {
                    made.insert(name.to_owned());
                }
            }
        }
        if holding.len() == before {
            return made;
        }
    }
}

/// The values among them that are known before a play, as these are given. A name may have several.
pub(crate) fn known_secrets(
    body: &[Statement],
    made: &BTreeSet<String>,
    values: &BTreeMap<String, Vec<u8>>,
) -> Vec<Secret> {
    let mut known: BTreeMap<&str, Vec<u8>> =
        values.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let mut secrets = Vec::new();
    for statement in throughout(body) {
        let Some(name) = statement.sets().filter(|name| !values.contains_key(*name)) else { continue };
        let value = match &statement.kind {
            StatementKind::Set { template, .. } => filled(template, &known),
            StatementKind::Let { function, key, template, .. } => {
                let key = key.as_ref().map_or(Some(vec![]), |key| filled(key, &known));
                key.zip(filled(template, &known)).and_then(|(key, value)| function.apply(&key, &value).ok())
            }
            _ => None,
        };
        match value {
            Some(value) => {
                if made.contains(name) {
                    secrets.push(Secret { name: name.to_owned(), value: value.clone() });
                }
                known.insert(name, value);
            }
            None => {
                known.remove(name);
            }
        }
    }
    secrets
}

/// The bytes of a template all of whose names have known values.
fn filled(template: &Template, known: &BTreeMap<&str, Vec<u8>>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for part in &template.parts {
        match &part.kind {
            TemplatePartKind::Literal(text) => bytes.extend_from_slice(text),
            TemplatePartKind::Hole(hole) => {
                let value = known.get(hole.name.as_str())?;
                match hole.pattern {
                    Pattern::Number(number) => bytes.extend(number.write(value)?),
                    _ => bytes.extend_from_slice(value),
                }
            }
        }
        // A play holds no more.
        if bytes.len() > crate::values::MOST_VALUES {
            return None;
        }
    }
    Some(bytes)
}

fn writes_numbers(template: &Template) -> bool {
    let is_number = |kind: &TemplatePartKind| matches!(kind, TemplatePartKind::Hole(hole) if matches!(hole.pattern, Pattern::Number(_)));
    template.parts.iter().any(|part| is_number(&part.kind))
}
