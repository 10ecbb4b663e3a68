//! A run: how it was made, and what was measured.

use std::ops::AddAssign;
use std::time::{Duration, SystemTime};

use super::Histogram;

/// The version of the form in which runs are saved. Names may be added to it without a new one.
pub const FORMAT: u64 = 1;

/// What was said of a run before it began, and what is known of the program that made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    /// The verb: `load`, `probe`.
    pub verb: String,
    /// The version of sockeye.
    pub version: String,
    /// The target: an address or a URL.
    pub target: String,
    /// What was played: the transcripts, as they were named.
    pub files: Vec<String>,
    /// When it began.
    pub began: SystemTime,
    /// How many connections were asked for.
    pub connections: u64,
    /// How long the connections came one after another.
    pub ramp: Duration,
    /// What decided when a play began.
    pub model: LoadModel,
    /// Which part of a larger run it is.
    pub shard: Option<Shard>,
}

/// What decides when a play begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LoadModel {
    /// The end of the one before: a closed loop, whose latency hides what did not begin while the server stood still.
    Closed,
    /// A clock: an open loop, whose latency begins when the play was due.
    Open {
        /// Plays a second.
        rate: f64,
        /// How they are spread.
        arrivals: Arrivals,
    },
}

/// How the plays of an open loop are spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// At even distances.
    Constant,
    /// Independent of each other, as people come.
    Poisson,
}

/// One of several machines or processes that make one run together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    /// Which one, from 1.
    pub index: u32,
    /// How many there are.
    pub of: u32,
}

impl Shard {
    /// More shards than there are machines: a file that says more is damaged.
    pub(super) const MOST: u32 = 100_000;
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

/// A run that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// How it was made.
    pub begun: Begun,
    /// How long it lasted. Of a merged run: the time that its rate is about.
    pub lasted: Duration,
    /// Which part of a merged run that is; none if it is all of it.
    pub within: Option<Within>,
    /// What was measured.
    pub measured: Measured,
    /// What it cost to make it.
    pub generator: Generator,
    /// Whether it was ended before its time: by Ctrl-C, or `q`.
    pub interrupted: bool,
    /// Files of which no play ended, as written or not. Of a merged run: in none of its runs.
    pub never_played: Vec<String>,
    /// What to know before believing the figures, a sentence each.
    pub warnings: Vec<String>,
    /// What came to light when runs were merged: a shard that is missing, one that was late.
    pub gaps: Vec<String>,
    /// The runs of which it was merged.
    pub parts: Vec<MergedRun>,
}

/// The part of a merged run in which all of its runs were going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within {
    /// How far from the beginning it began.
    pub from: Duration,
    /// Exchanges in it.
    pub exchanges: u64,
}

/// One of the runs that were merged.
#[derive(Debug, Clone, PartialEq)]
pub struct MergedRun {
    /// Its file.
    pub name: String,
    /// Which shard it was.
    pub shard: Option<Shard>,
    /// When it began.
    pub began: SystemTime,
    /// How long it lasted.
    pub lasted: Duration,
    /// What it counted.
    pub counts: Counts,
    /// Exchanges.
    pub exchanges: u64,
    /// What it needed itself.
    pub generator: Generator,
}

/// What the program itself needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Generator {
    /// Its threads, of all machines together.
    pub threads: u32,
    /// Time on processors.
    pub cpu: Duration,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// All together.
    pub counts: Counts,
    /// Latency of all exchanges: those of every line.
    pub latency: Histogram,
    /// Each exchange by itself, in the order of the transcripts.
    pub lines: Vec<Line>,
    /// Whole plays that went as written.
    pub whole_plays: Histogram,
    /// Connecting.
    pub connects: Histogram,
    /// TLS handshakes.
    pub handshakes: Histogram,
    /// A row for each second, without gaps; the last one may be of less than a second.
    pub rows: Vec<Row>,
    /// Failures by line and kind, those of lines in their order first.
    pub failed: Vec<Failed>,
}

/// An exchange of a transcript: from the last byte of what is said to the last byte of what is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Where it stands: `greet.talk:3`.
    pub name: String,
    /// Plays that failed there.
    pub failures: u64,
    /// How long the answers took.
    pub latency: Histogram,
}

/// What is counted, of a second or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Plays that ended, well or not.
    pub plays: u64,
    /// Those of them that did not go as written, and plays that never came about.
    pub failures: u64,
    /// Bytes to the peer.
    pub sent: u64,
    /// Bytes from it.
    pub received: u64,
    /// Plays that began late by more than a millisecond, because the generator could not follow.
    pub late: u64,
    /// The latest of them.
    pub latest: Duration,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.plays = self.plays.saturating_add(other.plays);
        self.failures = self.failures.saturating_add(other.failures);
        self.sent = self.sent.saturating_add(other.sent);
        self.received = self.received.saturating_add(other.received);
        self.late = self.late.saturating_add(other.late);
        self.latest = self.latest.max(other.latest);
    }
}

/// A second of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which one, from 0: it began so many seconds after the run.
    pub second: u64,
    /// What was counted in it.
    pub counts: Counts,
    /// Exchanges that ended in it.
    pub exchanges: u64,
    /// How long they took: kept as it is saved, for a run has many rows. Empty if there were none.
    pub(super) packed: String,
}

impl Row {
    /// One in which nothing happened.
    #[must_use]
    pub fn empty(second: u64) -> Self {
        Self { second, counts: Counts::default(), exchanges: 0, packed: String::new() }
    }

    /// One with these exchanges.
    #[must_use]
    pub fn new(second: u64, counts: Counts, latency: &Histogram) -> Self {
        let packed = if latency.is_empty() { String::new() } else { latency.encode() };
        Self { second, counts, exchanges: latency.count(), packed }
    }

    /// How long the exchanges took that ended in it.
    #[must_use]
    pub fn latency(&self) -> Histogram {
        // Rows of a file were looked at when it was read.
        Histogram::decode(&self.packed).unwrap_or_default()
    }
}

/// Plays that failed at one line, in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The line, `greet.talk:3`; none where a play did not come to one.
    pub line: Option<String>,
    /// The name of the kind, as events have it: `differs`, `refused`.
    pub kind: String,
    /// How many.
    pub count: u64,
    /// How long the run had gone on at the first of them.
    pub since: Duration,
    /// The account of the first, whole. What a peer sent is in it, and not yet made harmless.
    pub first: String,
}

impl Begun {
    /// A run of a verb that begins now; the rest is to be filled in.
    #[must_use]
    pub fn now(verb: &str) -> Self {
        Self {
            verb: verb.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            target: String::new(),
            files: Vec::new(),
            began: SystemTime::now(),
            connections: 0,
            ramp: Duration::ZERO,
            model: LoadModel::Closed,
            shard: None,
        }
    }

    /// The run, once it is over.
    #[must_use]
    pub fn ended(self, lasted: Duration, measured: Measured) -> Run {
        let (warnings, gaps, parts) = (Vec::new(), Vec::new(), Vec::new());
        Run {
            begun: self,
            lasted,
            within: None,
            measured,
            generator: Generator::default(),
            interrupted: false,
            never_played: Vec::new(),
            warnings,
            gaps,
            parts,
        }
    }
}

impl Run {
    /// Exchanges that ended as written.
    #[must_use]
    pub fn exchanges(&self) -> u64 {
        self.measured.latency.count()
    }

    /// Exchanges a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        a_second(self.within.map_or_else(|| self.exchanges(), |within| within.exchanges), self.lasted)
    }

    /// All that is to be known before believing the figures.
    pub fn all_warnings(&self) -> impl Iterator<Item = &str> {
        self.gaps.iter().chain(&self.warnings).map(String::as_str)
    }

    /// The part of the processors that the generator's threads took: 1.0 is all.
    #[must_use]
    pub fn load_of_generator(&self) -> Option<f64> {
        let of = |lasted: Duration, generator: Generator| lasted.as_secs_f64() * f64::from(generator.threads);
        let could = if self.parts.is_empty() {
            of(self.lasted, self.generator)
        } else {
            self.parts.iter().map(|part| of(part.lasted, part.generator)).sum()
        };
        (could > 0.0).then(|| self.generator.cpu.as_secs_f64() / could)
    }
}

/// So many in so much time.
#[allow(clippy::cast_precision_loss, reason = "counts of more than fifteen digits are not exact as rates anyway")]
pub(super) fn a_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}
