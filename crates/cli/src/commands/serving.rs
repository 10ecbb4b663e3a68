//! What `serve` and `relay` have in common: on how many threads they work, and how their summaries end.

use std::time::Duration;

/// How many threads work, for so many conversations in all: one keeps one busy.
pub(super) fn threads(plays: Option<u64>, asked: Option<u8>) -> usize {
    if plays == Some(1) {
        return 1;
    }
    let all = || std::thread::available_parallelism().map_or(1, usize::from).min(sockeye::limits::DEFAULT_THREADS);
    asked.map_or_else(all, usize::from)
}

/// Conversations that did not come to their end.
pub(super) struct Unfinished {
    /// Cut when it was stopped.
    pub(super) cut: u64,
    /// Whether that was by a second signal, and not after the grace.
    pub(super) at_once: bool,
    pub(super) grace: Duration,
    /// Those that were to be and never came.
    pub(super) missing: u64,
}

impl Unfinished {
    /// Says so behind the other words of a summary.
    pub(super) fn tell(&self, words: &mut String) {
        let Self { cut, at_once, grace, missing } = *self;
        if cut > 0 {
            let why = if at_once {
                "at once, by a second signal".to_owned()
            } else {
                format!("after a grace of {} (--grace)", transcript::seconds(grace))
            };
            words.push_str(&format!(", {cut} cut {why}"));
        }
        if missing > 0 {
            words.push_str(&format!(", {missing} never came"));
        }
    }
}
