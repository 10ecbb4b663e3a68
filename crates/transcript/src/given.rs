//! Names that are given a value from outside, and that no transcript has: a slip of the pen that would go unnoticed.

use std::collections::BTreeSet;
use std::fmt;

use crate::Transcript;
use crate::syntax::{StatementKind, Template, nearest, throughout};

/// A name that is given a value and that no hole, `set` or `let` has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    /// As it was given.
    pub name: String,
    /// The one that was probably meant.
    pub nearest: Option<String>,
    /// All names that there are.
    pub known: Vec<String>,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is given a value, and no hole, `set` or `let` has that name: ", self.name)?;
        match (&self.nearest, self.known.as_slice()) {
            (Some(nearest), _) => write!(f, "did you mean `{nearest}`?"),
            (None, []) => f.write_str("there are no names to give values to"),
            (None, known) if known.len() > 12 => write!(f, "the names are {} and more", known[..12].join(", ")),
            (None, known) => write!(f, "the names are {}", known.join(", ")),
        }
    }
}

impl std::error::Error for UnknownName {}

/// Whether each of these names is in one of the transcripts at least.
///
/// # Errors
/// The first that is in none.
pub fn known_names<'a>(
    transcripts: impl IntoIterator<Item = &'a Transcript>,
    given: &[&str],
) -> Result<(), UnknownName> {
    if given.is_empty() {
        return Ok(());
    }
    let mut known = BTreeSet::new();
    for statement in transcripts.into_iter().flat_map(|transcript| throughout(&transcript.body)) {
        known.extend(statement.sets());
        known.extend(statement.templates().flat_map(Template::names));
        if let StatementKind::Fresh { name, .. } = &statement.kind {
            known.insert(name);
        }
    }
    match given.iter().find(|name| !known.contains(**name)) {
        None => Ok(()),
        Some(name) => Err(UnknownName {
            name: (*name).to_owned(),
            nearest: nearest(name, known.iter().copied()).map(str::to_owned),
            known: known.into_iter().map(str::to_owned).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
    use super::*;

    fn transcript(text: &str, given: &[&str]) -> Transcript {
        Transcript::parse("t.talk", text.as_bytes(), given).unwrap_or_else(|refused| panic!("{refused}"))
    }

    #[test]
    fn every_name_that_a_transcript_has_is_known_and_no_other() {
        let text = "set key = k\nset size = 2\nC: {name=Ann} {_=x}\nlet mac = hmac-md5 key {name}\n\
                    S raw: {body:size bytes=ab}\neither\n  C: {deep=1}\nor\n  in any order\n    C: a{order=2}\n  end\nend\n";
        let transcript = transcript(text, &[]);
        for name in ["key", "size", "name", "mac", "body", "deep", "order"] {
            assert_eq!(known_names([&transcript], &[name]), Ok(()));
        }
        let unknown = known_names([&transcript], &["name", "nmae"]).unwrap_err();
        assert!(unknown.to_string().ends_with("did you mean `name`?"), "{unknown}");
        let unknown = known_names([&transcript], &["zzzzzz"]).unwrap_err();
        assert!(unknown.to_string().ends_with("the names are body, deep, key, mac, name, order, size"), "{unknown}");
        assert!(known_names([&transcript], &["_"]).is_err());
        assert!(known_names([], &["x"]).unwrap_err().to_string().ends_with("there are no names to give values to"));
    }

    #[test]
    fn of_many_names_that_would_be_known_a_dozen_is_told() {
        for (count, ending) in
            [(11, "n10, n11"), (12, "n11, n12"), (13, "n11, n12 and more"), (40, "n11, n12 and more")]
        {
            let text: String = (1..=count).map(|number| format!("C: {{n{number:02}=x}}\n")).collect();
            let unknown = known_names([&transcript(&text, &[])], &["something"]).unwrap_err().to_string();
            assert!(unknown.contains("the names are n01, n02, ") && unknown.ends_with(ending), "{unknown}");
        }
    }

    #[test]
    fn a_name_is_known_if_one_of_several_transcripts_has_it() {
        let (one, two) = (transcript("C: {a=1}\n", &[]), transcript("C: {b=1}\n", &[]));
        assert_eq!(known_names([&one, &two], &["a", "b"]), Ok(()));
        assert_eq!(known_names([&one, &two], &["a", "c"]).unwrap_err().name, "c");
    }
}
