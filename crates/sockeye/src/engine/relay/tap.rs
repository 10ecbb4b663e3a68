//! Who hears what a pair says: a record, a view on standard error.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use transcript::Side;
use transcript::record::{Recording, Secret};

use super::RelayLoop;
use crate::event::Conversation;
use crate::net::words;
use crate::record::{Record, Tap};

/// Makes the taps of one connection.
pub type Listen = Arc<dyn Fn(&Conversation) -> Arc<dyn Tap> + Send + Sync>;

/// Who hears what is said on every connection.
#[derive(Clone, Default)]
pub struct TapOptions {
    /// The file of a record; `%n` in it is the number of the connection.
    pub record: Option<PathBuf>,
    /// Whether pauses are recorded too.
    pub times: bool,
    /// Values that a record does not show.
    pub secrets: Vec<Secret>,
    /// Others.
    pub others: Vec<Listen>,
}

impl fmt::Debug for TapOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TapOptions").field("record", &self.record).finish_non_exhaustive()
    }
}

impl TapOptions {
    /// Whether no program hears.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.record.is_none() && self.others.is_empty()
    }

    /// The file of one connection's record: without `%n` the first has the name as it is, and each later one its number
    /// before the ending.
    fn path(&self, number: u64) -> Option<PathBuf> {
        let path = self.record.as_ref()?;
        let text = path.to_string_lossy();
        if text.contains("%n") {
            return Some(PathBuf::from(text.replace("%n", &number.to_string())));
        }
        if number == 1 {
            return Some(path.clone());
        }
        let (stem, ending) =
            (path.file_stem()?.to_string_lossy(), path.extension().map(|ending| ending.to_string_lossy()));
        let ending = ending.map_or_else(String::new, |ending| format!(".{ending}"));
        Some(path.with_file_name(format!("{stem}-{number}{ending}")))
    }
}

impl RelayLoop {
    /// The taps of a connection, from its beginning.
    pub(super) fn taps_of(&self, conversation: &Conversation) -> Option<Box<Taps>> {
        let hearers = &self.shared.options.hearers;
        if hearers.is_empty() {
            return None;
        }
        let mut taps = Taps::default();
        if let Some(path) = hearers.path(conversation.number) {
            let carrier = conversation.protocol.carrier();
            let (secrets, times) = (hearers.secrets.clone(), hearers.times);
            match Record::create(&path, Recording { carrier, at: None, secrets, times, ports: false }) {
                Ok(record) => taps.record = Some(Arc::new(record)),
                Err(error) => self.tell_record(conversation, &path.display().to_string(), &error),
            }
        }
        taps.others.extend(hearers.others.iter().map(|listen| listen(conversation)));
        Some(Box::new(taps))
    }

    /// A connection is over: its record is written to the end.
    pub(super) fn finish_taps(&self, taps: Taps, conversation: &Conversation) {
        let Some(record) = taps.record else { return };
        if let Err(error) = record.finish() {
            let path = self.shared.options.hearers.path(conversation.number).unwrap_or_default();
            self.tell_record(conversation, &path.display().to_string(), &error);
        }
    }

    /// The conversation goes on; what there is of its record is whole statements.
    fn tell_record(&self, conversation: &Conversation, path: &str, error: &std::io::Error) {
        let number = conversation.number;
        self.shared.tell_unwritten(&format!("the record of #{number}"), &format!("{path}: {}", words(error)));
    }
}

/// The taps of one pair.
#[derive(Debug, Default)]
pub(super) struct Taps {
    pub(super) record: Option<Arc<Record>>,
    pub(super) others: Vec<Arc<dyn Tap>>,
}

impl Taps {
    pub(super) fn said(&mut self, side: Side, bytes: &[u8]) {
        self.all().for_each(|tap| tap.said(side, bytes));
    }

    pub(super) fn ended(&mut self, side: Side) {
        self.all().for_each(|tap| tap.ended(side));
    }

    pub(super) fn reset(&mut self, side: Side) {
        self.all().for_each(|tap| tap.reset(side));
    }

    fn all(&self) -> impl Iterator<Item = &dyn Tap> {
        let record = self.record.as_deref().map(|record| record as &dyn Tap);
        record.into_iter().chain(self.others.iter().map(|tap| &**tap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_has_a_file_of_its_own() {
        let hearers = |path: &str| TapOptions { record: Some(path.into()), ..TapOptions::default() };
        let path = |record: &str, number| hearers(record).path(number).unwrap().display().to_string();
        assert_eq!([path("a.talk", 1), path("a.talk", 2)], ["a.talk", "a-2.talk"]);
        assert_eq!([path("x/%n.talk", 1), path("x/%n.talk", 12)], ["x/1.talk", "x/12.talk"]);
        assert_eq!(path("x/log", 3), "x/log-3");
    }
}
