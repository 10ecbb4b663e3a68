//! What several verbs have in common: values for names, and the family of addresses.

use clap::Args;
use sockeye::net::Family;
use transcript::record::Secret;

use super::parsers::{name_value, secret};

/// Values for names of the transcript.
#[derive(Debug, Args)]
pub(crate) struct Values {
    /// Give a name of the transcript a value, over its `set` and its defaults
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_value)]
    pub(crate) set: Vec<(String, String)>,
    /// The same for what no message and no record may show; without =VALUE it comes from the environment variable NAME
    #[arg(long = "secret", value_name = "NAME[=VALUE]", value_parser = secret)]
    pub(crate) secret: Vec<(String, String)>,
}

impl Values {
    /// The names that get their values from outside.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.given().map(|(name, _)| name.as_str()).collect()
    }

    /// Values where there is no transcript whose names they are would be dropped without a word.
    pub(crate) fn refused_without(&self, has_transcript: bool) -> Result<(), String> {
        let flag = if self.set.is_empty() { "--secret" } else { "--set" };
        match self.given().next() {
            Some((name, _)) if !has_transcript => Err(format!(
                "{flag} gives `{name}` of a transcript a value, and there is none: name it with --play FILE"
            )),
            _ => Ok(()),
        }
    }

    /// The values that are not shown.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let secret =
            |(name, value): &(String, String)| Secret { name: name.clone(), value: value.clone().into_bytes() };
        self.secret.iter().map(secret).collect()
    }

    fn given(&self) -> impl Iterator<Item = &(String, String)> {
        self.set.iter().chain(&self.secret)
    }

    pub(crate) fn to_map(&self) -> std::collections::BTreeMap<String, Vec<u8>> {
        self.given().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect()
    }
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct FamilyFlags {
    /// IPv4 only
    #[arg(short = '4', conflicts_with = "v6")]
    pub(crate) v4: bool,
    /// IPv6 only
    #[arg(short = '6')]
    pub(crate) v6: bool,
}

impl FamilyFlags {
    pub(crate) fn family(self) -> Option<Family> {
        match (self.v4, self.v6) {
            (true, _) => Some(Family::V4),
            (_, true) => Some(Family::V6),
            _ => None,
        }
    }
}
