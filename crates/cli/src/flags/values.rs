//! What several verbs have in common: values for names, and the family of addresses.

use std::time::Duration;

use clap::Args;
use sockeye::net::Family;
use transcript::record::Secret;
use transcript::{Fresh, Transcript};

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
    /// Draw what is random (`let id = random 16 hex`) from this seed: it is the same in every run
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Have it be this time for `let now = time …`: 2026-11-28T15:31:20Z, or seconds since 1970
    #[arg(long = "at", value_name = "TIME", value_parser = transcript::time)]
    pub(crate) at: Option<Duration>,
}

impl Values {
    /// The names that get their values from outside.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.given().map(|(name, _)| name.as_str()).collect()
    }

    /// What new values are made of.
    pub(crate) fn fresh(&self) -> Fresh {
        sockeye::fresh::fresh(self.seed, self.at)
    }

    /// The same where nothing is to differ from run to run by itself.
    pub(crate) fn fresh_as_ever(&self) -> Fresh {
        sockeye::fresh::fresh(self.seed.or(Some(0)), self.at)
    }

    /// Where random values of a transcript come from, so that they can be had again; none if there are none, or the user said so.
    pub(crate) fn notice_of_seed(&self, transcript: &Transcript) -> Option<String> {
        let is_told = self.seed.is_none() && transcript.has_random();
        let (name, seed) = (transcript.source().name(), self.fresh().seed);
        is_told.then(|| format!("{name}: random values are drawn from --seed {seed}"))
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

    /// The same, and of the seed and the time, where nothing but a transcript makes use of them.
    pub(crate) fn all_refused_without(&self, has_transcript: bool) -> Result<(), String> {
        self.refused_without(has_transcript)?;
        let flag = match (self.seed, self.at) {
            (Some(_), _) => "--seed",
            (_, Some(_)) => "--at",
            (None, None) => return Ok(()),
        };
        if has_transcript {
            return Ok(());
        }
        Err(format!("{flag} is about values that a transcript draws, and there is none: name it with --play FILE"))
    }

    /// The values that are not shown.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let secret =
            |(name, value): &(String, String)| Secret { name: name.clone(), value: value.clone().into_bytes() };
        self.secret.iter().map(secret).collect()
    }

    /// Why it is not known which value a name has: two are given.
    pub(crate) fn given_twice(&self) -> Option<String> {
        let is_set = |name: &str| self.set.iter().any(|(other, _)| other == name);
        let twice = self.given().enumerate().find(|(index, (name, _))| {
            let mut before = self.given().take(*index);
            before.any(|(other, _)| other == name)
        });
        let (index, (name, _)) = twice?;
        let flags = match index < self.set.len() {
            true => "--set gives",
            false if is_set(name) => "--set and --secret both give",
            false => "--secret gives",
        };
        Some(format!("{flags} `{name}` a value, and it can have one alone: take the other out"))
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
