//! Two runs compared: faster, slower, or the noise does not allow a verdict.
//!
//! Seconds of a run are not independent: a server warms up, a machine has slow moments that last. Intervals that take them
//! for independent are too narrow, and find differences where there are none. So whole blocks of seconds are drawn again,
//! many times, and what the rate or a percentile would have been is looked at each time: the circular block bootstrap
//! (Politis and Romano 1992), its blocks as long as the autocorrelation asks for (Politis and White 2004, corrected by
//! Patton, Politis and White 2009). With few blocks the interval is widened as Student's t is wider than the normal
//! distribution. Seeds are fixed: the same files give the same verdict.

mod blocks;
mod sparse;

use std::fmt;
use std::time::Duration;

use super::{LoadModel, Run};
use blocks::{block_length, draw};
use sparse::Seconds;

/// How many times seconds are drawn again.
const DRAWS: usize = 1000;
/// Of all intervals, so many have the true value in them.
const CONFIDENCE: f64 = 0.99;
/// The same run on the same machine differs by that much when it is made again: no verdict is built on less.
const LEAST: f64 = 0.02;
/// What of a run is compared: longer ones are cut into so many pieces.
const MOST_PIECES: usize = 600;

/// Something that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Exchanges a second.
    Rate,
    /// The mean latency.
    Mean,
    /// A percentile of the latency, in thousandths: 990 is p99.
    Percentile(u16),
}

/// All that are compared, in the order in which they are shown.
const METRICS: [Metric; 5] =
    [Metric::Rate, Metric::Mean, Metric::Percentile(500), Metric::Percentile(900), Metric::Percentile(990)];

/// What can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is faster than the base.
    Faster,
    /// It is slower.
    Slower,
    /// The noise does not allow a verdict.
    Noise,
}

/// How one metric changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// What is compared.
    pub metric: Metric,
    /// Its value in the base: a rate a second, or seconds.
    pub base: f64,
    /// Its value in the run.
    pub value: f64,
    /// The run's part of the base: 1.05 is 5 % more.
    pub ratio: f64,
    /// The interval in which that lies, with a confidence of 99 %; none if there are too few seconds for one.
    pub interval: Option<(f64, f64)>,
    /// What can be said.
    pub verdict: Verdict,
}

/// A run beside its base.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Each metric.
    pub changes: Vec<Change>,
    /// The metric on which the verdict stands.
    pub decisive: Metric,
    /// What makes the two hard to compare, a sentence each.
    pub warnings: Vec<String>,
    /// Whole seconds of the base and of the run, without those in which connections came one after another.
    pub seconds: (usize, usize),
    /// The length of a block, in seconds.
    pub block: usize,
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate => f.write_str("rate"),
            Self::Mean => f.write_str("mean"),
            Self::Percentile(part) if part % 10 == 0 => write!(f, "p{}", part / 10),
            Self::Percentile(part) => write!(f, "p{}.{}", part / 10, part % 10),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Noise => "the noise does not allow a verdict",
        })
    }
}

impl Metric {
    /// Whether more of it is faster.
    fn more_is_faster(self) -> bool {
        self == Self::Rate
    }
}

impl Change {
    /// By which part the run is slower than its base; negative if it is faster.
    #[must_use]
    pub fn slower_by(&self) -> f64 {
        if self.metric.more_is_faster() { 1.0 - self.ratio } else { self.ratio - 1.0 }
    }
}

impl Comparison {
    /// The change of the metric on which the verdict stands.
    ///
    /// # Panics
    /// Never: all metrics are compared.
    #[must_use]
    pub fn decisive(&self) -> &Change {
        self.changes.iter().find(|change| change.metric == self.decisive).expect("all metrics are compared")
    }

    /// What can be said.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.decisive().verdict
    }
}

/// Why two runs cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompareError {
    /// The base has no exchange that went as written.
    EmptyBase,
    /// The run has none.
    EmptyRun,
}

impl fmt::Display for CompareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let which = match self {
            Self::EmptyBase => "the base",
            Self::EmptyRun => "the run",
        };
        write!(f, "{which} has no exchange that went as written: there is nothing to compare")
    }
}

impl std::error::Error for CompareError {}

/// Compares a run with its base. In a closed loop the rate decides, in an open one, whose rate is given, the mean latency.
///
/// # Errors
/// One of the two has no exchange: there is nothing to compare.
pub fn compare(run: &Run, base: &Run) -> Result<Comparison, CompareError> {
    for (run, error) in [(base, CompareError::EmptyBase), (run, CompareError::EmptyRun)] {
        if run.exchanges() == 0 {
            return Err(error);
        }
    }
    let (seconds, pieces) = (steady(run), steady(base));
    let new = Seconds::of(&run.measured.rows[seconds.clone()], MOST_PIECES);
    let old = Seconds::of(&base.measured.rows[pieces.clone()], MOST_PIECES);
    let block = block_length(&new.rates()).max(block_length(&old.rates())).max(block_length(&new.means()));
    let block = block.max(block_length(&old.means()));
    let is_open = matches!((run.begun.model, base.begun.model), (LoadModel::Open { .. }, LoadModel::Open { .. }));
    let decisive = if is_open { Metric::Mean } else { Metric::Rate };
    let replicates = [old.draws(block, 1), new.draws(block, 2)];
    let shorter = old.len().min(new.len());
    let changes = METRICS
        .iter()
        .enumerate()
        .map(|(index, &metric)| {
            let (before, after) = (value(base, metric), value(run, metric));
            let ratio = after / before;
            let draws = replicates.each_ref().map(|draws| draws.iter().map(|values| values[index]).collect::<Vec<_>>());
            let interval = blocks::interval(&draws[1], &draws[0], ratio, shorter, block, CONFIDENCE);
            let verdict = interval.map_or(Verdict::Noise, |interval| judge(metric, ratio, interval));
            Change { metric, base: before, value: after, ratio, interval, verdict }
        })
        .collect();
    let seconds = (pieces.len(), seconds.len());
    Ok(Comparison { changes, decisive, warnings: unlike(run, base), seconds, block })
}

fn judge(metric: Metric, ratio: f64, (low, high): (f64, f64)) -> Verdict {
    if (ratio - 1.0).abs() < LEAST || (low <= 1.0 && high >= 1.0) {
        return Verdict::Noise;
    }
    if (ratio > 1.0) == metric.more_is_faster() { Verdict::Faster } else { Verdict::Slower }
}

/// A metric of a whole run.
fn value(run: &Run, metric: Metric) -> f64 {
    let latency = &run.measured.latency;
    match metric {
        Metric::Rate => run.rate(),
        Metric::Mean => latency.mean().as_secs_f64(),
        Metric::Percentile(part) => latency.quantile(f64::from(part) / 1000.0).as_secs_f64(),
    }
}

impl Seconds {
    /// What the metrics would have been if other seconds had come: each time, one value for each of [`METRICS`].
    fn draws(&self, block: usize, seed: u64) -> Vec<[f64; METRICS.len()]> {
        let pieces = self.len();
        if pieces == 0 {
            return Vec::new();
        }
        let mut drawn = Vec::with_capacity(DRAWS);
        let mut times = vec![0_u32; pieces];
        draw(pieces, block, DRAWS, seed, &mut times, |times| {
            let sum = self.sum(times);
            drawn.push(METRICS.map(|metric| match metric {
                Metric::Rate => sum.rate(),
                Metric::Mean => sum.mean(),
                Metric::Percentile(part) => sum.quantile(f64::from(part) / 1000.0),
            }));
        });
        drawn
    }
}

/// The rows that count: whole seconds in which all connections were there, of all runs that were merged.
fn steady(run: &Run) -> std::ops::Range<usize> {
    let (from, length) = match run.within {
        Some(within) => (within.from, run.lasted),
        None => (Duration::ZERO, run.lasted),
    };
    let whole = |time: Duration| usize::try_from(time.as_secs()).unwrap_or(usize::MAX);
    let round_up = |time: Duration| whole(time) + usize::from(time.subsec_nanos() > 0);
    let to = whole(from + length).min(run.measured.rows.len());
    let from = round_up(from).max(round_up(run.begun.ramp)).min(to);
    from..to
}

/// What makes the two hard to compare.
fn unlike(run: &Run, base: &Run) -> Vec<String> {
    let mut told = Vec::new();
    let mut differs = |what: &str, of: &dyn Fn(&Run) -> String| {
        let (now, before) = (of(run), of(base));
        if now != before {
            told.push(format!("not the same {what}: the run has {now}, the base {before}"));
        }
    };
    differs("number of connections", &|run| run.begun.connections.to_string());
    differs("transcripts", &|run| run.begun.files.join(", "));
    differs("pace", &|run| match run.begun.model {
        LoadModel::Closed => "a closed loop".to_owned(),
        LoadModel::Open { rate, .. } => format!("an open loop at {rate} a second"),
    });
    let failed = |run: &Run| run.measured.counts.failures;
    if failed(run) > 0 || failed(base) > 0 {
        let words = "only answers that were right are compared";
        told.push(format!("failures: {} in the run, {} in the base; {words}", failed(run), failed(base)));
    }
    told
}

#[cfg(test)]
mod tests;
