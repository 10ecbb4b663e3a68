//! Runs of many machines, or of one after another, made one. Histograms are added, so that nothing is lost; rates are over
//! the time that all of them share, so that a shard which began late makes no rate smaller.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use super::{Arrivals, Counts, Failed, Histogram, Line, LoadModel, Measured, MergedRun, Row, Run, Shard, Within};

/// Why runs make no sense as one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MergeError {
    /// There are none.
    Nothing,
    /// Two files have the same run: what it counted would count twice.
    Twice(String, String),
    /// Two files have the same shard.
    SameShard(Shard, String, String),
    /// Two files have shards of runs that were divided differently.
    OtherShards(String, Shard, String, Shard),
    /// Two files were made by different verbs.
    OtherVerb(String, String, String, String),
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => write!(f, "there is no run to merge"),
            Self::Twice(a, b) => write!(f, "{a} and {b} are the same run, which would count twice: name it once"),
            Self::SameShard(shard, a, b) => {
                write!(f, "{a} and {b} are both shard {shard}, which would count twice: leave one out")
            }
            Self::OtherShards(a, of_a, b, of_b) => {
                write!(f, "{a} is shard {of_a} and {b} is shard {of_b}: these are parts of different runs")
            }
            Self::OtherVerb(a, of_a, b, of_b) => {
                write!(f, "{a} was saved by {of_a} and {b} by {of_b}: what they measured cannot be added")
            }
        }
    }
}

impl std::error::Error for MergeError {}

/// Makes one run of several, each with the name of its file. What a reader has to know is among its warnings: a shard that
/// is missing, one that was late, runs that were about different things.
///
/// # Errors
/// They cannot be added without counting something twice.
pub fn merge(mut runs: Vec<(String, Run)>) -> Result<Run, MergeError> {
    runs.sort_by_key(|(_, run)| run.begun.began);
    let mut parts: Vec<MergedRun> = runs.iter().flat_map(|(name, run)| parts_of(name, run)).collect();
    refuse(&runs, &parts)?;
    parts.sort_by_key(|part| (part.shard, part.began));
    let missing = missing(&parts);
    if runs.len() == 1 {
        let (_, mut run) = runs.remove(0);
        if run.parts.is_empty() {
            run.gaps = missing.into_iter().collect();
        }
        return Ok(run);
    }
    let spans = Spans::of(&runs);
    let common = Common::of(&parts);
    let mut run = runs[0].1.clone();
    run.begun.shard = None;
    run.begun.connections = together(&common, runs.iter().map(|(_, run)| run.begun.connections));
    run.begun.model = model(&runs, &common);
    run.begun.ramp = runs.iter().map(|(_, run)| run.begun.ramp).max().unwrap_or_default();
    run.begun.files = united(runs.iter().flat_map(|(_, run)| run.begun.files.iter().cloned()));
    run.begun.target = united(runs.iter().map(|(_, run)| run.begun.target.clone())).join(", ");
    run.never_played = never_played(&runs);
    run.interrupted = runs.iter().any(|(_, run)| run.interrupted);
    run.generator.threads = runs.iter().map(|(_, run)| run.generator.threads).fold(0, u32::saturating_add);
    run.generator.cpu = runs.iter().map(|(_, run)| run.generator.cpu).fold(Duration::ZERO, Duration::saturating_add);
    run.gaps = missing.into_iter().chain(late(&parts, &common)).collect();
    run.warnings = unlike(&runs).into_iter().chain(own_warnings(&runs)).collect();
    run.measured = measured(&runs, &spans);
    (run.lasted, run.within) = match common {
        Common::Shared { from, to } => {
            let (begun, exchanges) = (spans.after(from), exchanges_within(&runs, from, to));
            (since(from, to), Some(Within { from: begun, exchanges }))
        }
        Common::Nothing => (spans.covered, None),
    };
    run.parts = parts;
    Ok(run)
}

/// What no run played of the files that it was to play.
fn never_played(runs: &[(String, Run)]) -> Vec<String> {
    let was_played =
        |file: &String| runs.iter().any(|(_, run)| run.begun.files.contains(file) && !run.never_played.contains(file));
    let never = united(runs.iter().flat_map(|(_, run)| run.never_played.iter().cloned()));
    never.into_iter().filter(|file| !was_played(file)).collect()
}

/// The runs of which a file was made.
fn parts_of(name: &str, run: &Run) -> Vec<MergedRun> {
    if !run.parts.is_empty() {
        return run.parts.clone();
    }
    vec![MergedRun {
        name: name.to_owned(),
        shard: run.begun.shard,
        began: run.begun.began,
        lasted: run.lasted,
        counts: run.measured.counts,
        exchanges: run.exchanges(),
        generator: run.generator,
    }]
}

fn refuse(runs: &[(String, Run)], parts: &[MergedRun]) -> Result<(), MergeError> {
    let Some((first, run)) = runs.first() else { return Err(MergeError::Nothing) };
    if let Some((name, other)) = runs.iter().find(|(_, other)| other.begun.verb != run.begun.verb) {
        let verbs = (run.begun.verb.clone(), other.begun.verb.clone());
        return Err(MergeError::OtherVerb(first.clone(), verbs.0, name.clone(), verbs.1));
    }
    for (index, part) in parts.iter().enumerate() {
        for other in &parts[..index] {
            let names = || (other.name.clone(), part.name.clone());
            if part.began == other.began && part.counts == other.counts && part.exchanges == other.exchanges {
                // Two processes do not begin in the same microsecond and count the same, unless they counted nothing.
                let counted = part.exchanges + part.counts.plays > 0;
                if counted && part.shard == other.shard {
                    return Err(MergeError::Twice(names().0, names().1));
                }
            }
            match (other.shard, part.shard) {
                (Some(a), Some(b)) if a.of != b.of => return Err(MergeError::OtherShards(names().0, a, names().1, b)),
                (Some(a), Some(b)) if a == b => return Err(MergeError::SameShard(a, names().0, names().1)),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Shards that no file has.
#[must_use]
pub fn missing_shards(run: &Run) -> Vec<Shard> {
    absent(&parts_of("", run))
}

fn absent(parts: &[MergedRun]) -> Vec<Shard> {
    let there: BTreeSet<Shard> = parts.iter().filter_map(|part| part.shard).collect();
    let of = there.first().map_or(0, |shard| shard.of);
    (1..=of).map(|index| Shard { index, of }).filter(|shard| !there.contains(shard)).collect()
}

/// The same in words.
fn missing(parts: &[MergedRun]) -> Option<String> {
    const MOST: usize = 20;
    let absent = absent(parts);
    let (s, verb) = match absent.len() {
        0 => return None,
        1 => ("", "is"),
        _ => ("s", "are"),
    };
    let mut list = absent.iter().take(MOST).map(Shard::to_string).collect::<Vec<_>>().join(", ");
    if absent.len() > MOST {
        list.push_str(&format!(" and {} more", absent.len() - MOST));
    }
    Some(format!("shard{s} {list} {verb} missing: these figures are of the others alone"))
}

/// How a part is called in a sentence.
fn called(part: &MergedRun) -> String {
    part.shard.map_or_else(|| part.name.clone(), |shard| format!("shard {shard} ({})", part.name))
}

/// The time that all runs share.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Common {
    Shared { from: SystemTime, to: SystemTime },
    Nothing,
}

impl Common {
    fn of(parts: &[MergedRun]) -> Self {
        let from = parts.iter().map(|part| part.began).max();
        let to = parts.iter().map(|part| part.began + part.lasted).min();
        match (from, to) {
            (Some(from), Some(to)) if from < to => Self::Shared { from, to },
            _ => Self::Nothing,
        }
    }
}

/// Who began late or ended early, so that the common time is shorter than it could be.
fn late(parts: &[MergedRun], common: &Common) -> Vec<String> {
    let first = parts.iter().map(|part| part.began).min().unwrap_or(SystemTime::UNIX_EPOCH);
    let last = parts.iter().map(|part| part.began + part.lasted).max().unwrap_or(SystemTime::UNIX_EPOCH);
    let longest = parts.iter().map(|part| part.lasted).max().unwrap_or_default();
    let Common::Shared { from, to } = *common else {
        let late: Vec<String> = parts
            .iter()
            .filter(|part| part.began != first)
            .map(|part| {
                format!("{} began {:.1} s after the first", called(part), since(first, part.began).as_secs_f64())
            })
            .collect();
        let words = "there is no time that all runs share, so the rate is over the time in which any of them ran";
        return vec![format!("{}: {words}", late.join(", "))];
    };
    let bearable = (longest / 10).clamp(Duration::from_millis(250), Duration::from_secs(1));
    let shared = since(from, to).as_secs_f64();
    let mut told = Vec::new();
    for part in parts {
        let behind = since(first, part.began);
        let before = since(part.began + part.lasted, last);
        let tail = format!("rates are over the {shared:.1} s in which all ran");
        if behind > bearable {
            told.push(format!("{} began {:.1} s after the first: {tail}", called(part), behind.as_secs_f64()));
        } else if before > bearable + since(first, from) {
            told.push(format!("{} ended {:.1} s before the last: {tail}", called(part), before.as_secs_f64()));
        }
    }
    told
}

/// What differs between runs that should be alike.
fn unlike(runs: &[(String, Run)]) -> Vec<String> {
    let mut told = Vec::new();
    let (first, one) = &runs[0];
    let mut differs = |what: &str, of: &dyn Fn(&Run) -> String| {
        if let Some((name, other)) = runs.iter().find(|(_, run)| of(run) != of(one)) {
            told.push(format!("not the same {what}: {first} has {}, {name} has {}", of(one), of(other)));
        }
    };
    differs("target", &|run| run.begun.target.clone());
    differs("transcripts", &|run| run.begun.files.join(", "));
    differs("kind of loop", &|run| {
        match run.begun.model {
            LoadModel::Closed => "a closed one",
            LoadModel::Open { arrivals: Arrivals::Constant, .. } => "an open one",
            LoadModel::Open { arrivals: Arrivals::Poisson, .. } => "an open one with Poisson arrivals",
        }
        .to_owned()
    });
    differs("version of sockeye", &|run| run.begun.version.clone());
    let is_part = |(_, run): &&(String, Run)| run.begun.shard.is_some() || !run.parts.is_empty();
    if let (Some((shard, _)), Some((whole, _))) = (runs.iter().find(is_part), runs.iter().find(|run| !is_part(run))) {
        told.push(format!("{shard} is a shard, and {whole} is none"));
    }
    told
}

/// What each run itself has to say.
fn own_warnings(runs: &[(String, Run)]) -> Vec<String> {
    let mut told = Vec::new();
    for (name, run) in runs {
        let merged = !run.parts.is_empty();
        told.extend(run.warnings.iter().map(|words| if merged { words.clone() } else { format!("{name}: {words}") }));
    }
    told
}

/// A sum over runs that were made at the same time, and the most of those that were not.
fn together(common: &Common, counts: impl Iterator<Item = u64>) -> u64 {
    match common {
        Common::Shared { .. } => counts.fold(0, u64::saturating_add),
        Common::Nothing => counts.max().unwrap_or_default(),
    }
}

fn model(runs: &[(String, Run)], common: &Common) -> LoadModel {
    let mut sum = runs[0].1.begun.model;
    for (_, run) in &runs[1..] {
        sum = match (sum, run.begun.model) {
            (LoadModel::Open { rate: a, arrivals }, LoadModel::Open { rate: b, arrivals: others })
                if arrivals == others =>
            {
                let rate = if *common == Common::Nothing { a.max(b) } else { a + b };
                LoadModel::Open { rate, arrivals }
            }
            (sum, _) => sum,
        };
    }
    sum
}

/// Each once, in the order in which they come.
fn united(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut each: Vec<String> = Vec::new();
    for one in all {
        if !each.contains(&one) {
            each.push(one);
        }
    }
    each
}

/// Where runs lie on one line of time from which the gaps between them are cut out.
struct Spans {
    first: SystemTime,
    /// A time at which a gap ends, and how much was cut out until then.
    gaps: Vec<(SystemTime, Duration)>,
    covered: Duration,
}

impl Spans {
    /// Runs come in the order in which they began.
    fn of(runs: &[(String, Run)]) -> Self {
        let first = runs[0].1.begun.began;
        let (mut end, mut cut, mut gaps) = (first, Duration::ZERO, Vec::new());
        for (_, run) in runs {
            if run.begun.began > end {
                cut += since(end, run.begun.began);
                gaps.push((run.begun.began, cut));
            }
            end = end.max(run.begun.began + span(run));
        }
        Self { first, gaps, covered: since(first, end) - cut }
    }

    /// How far from the beginning a time is.
    fn after(&self, time: SystemTime) -> Duration {
        let cut = self.gaps.iter().rev().find(|(end, _)| *end <= time).map_or(Duration::ZERO, |(_, cut)| *cut);
        since(self.first, time).saturating_sub(cut)
    }
}

/// From the first to the last row of a run: of a merged one that is more than the time its rate is about.
fn span(run: &Run) -> Duration {
    if run.parts.is_empty() { run.lasted } else { Duration::from_secs(run.measured.rows.len() as u64) }
}

fn since(from: SystemTime, to: SystemTime) -> Duration {
    to.duration_since(from).unwrap_or_default()
}

/// Exchanges that ended in a window; of a second that it cuts through, the part of them that lies within.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a count of exchanges in a second, in parts"
)]
fn exchanges_within(runs: &[(String, Run)], from: SystemTime, to: SystemTime) -> u64 {
    let mut all = 0.0;
    for (_, run) in runs {
        for row in &run.measured.rows {
            let began = run.begun.began + Duration::from_secs(row.second);
            let ended = (began + Duration::from_secs(1)).min(run.begun.began + span(run)).max(began);
            let inside = since(began.max(from), ended.min(to));
            let whole = since(began, ended);
            if !whole.is_zero() {
                all += row.exchanges as f64 * inside.as_secs_f64() / whole.as_secs_f64();
            } else if began >= from && began <= to {
                all += row.exchanges as f64;
            }
        }
    }
    all.round() as u64
}

fn measured(runs: &[(String, Run)], spans: &Spans) -> Measured {
    let mut all = Measured::default();
    let mut rows: BTreeMap<u64, (Counts, Histogram)> = BTreeMap::new();
    for (_, run) in runs {
        let one = &run.measured;
        all.counts += one.counts;
        all.latency.merge(&one.latency);
        all.whole_plays.merge(&one.whole_plays);
        all.connects.merge(&one.connects);
        all.handshakes.merge(&one.handshakes);
        let offset = spans.after(run.begun.began);
        // A second cannot be divided: each goes to the one that it is nearest to.
        let shift = (offset + Duration::from_millis(500)).as_secs();
        for row in &one.rows {
            let (counts, latency) = rows.entry(shift + row.second).or_default();
            *counts += row.counts;
            latency.merge(&row.latency());
        }
        for line in &one.lines {
            match all.lines.iter_mut().find(|known| known.name == line.name) {
                Some(known) => {
                    known.failures = known.failures.saturating_add(line.failures);
                    known.latency.merge(&line.latency);
                }
                None => all.lines.push(Line { ..line.clone() }),
            }
        }
        for failed in &one.failed {
            let failed = Failed { since: failed.since + offset, ..failed.clone() };
            match all.failed.iter_mut().find(|known| known.line == failed.line && known.kind == failed.kind) {
                Some(known) => {
                    let count = known.count.saturating_add(failed.count);
                    if failed.since < known.since {
                        *known = failed;
                    }
                    known.count = count;
                }
                None => all.failed.push(failed),
            }
        }
    }
    let place = |failed: &Failed| all.lines.iter().position(|line| Some(&line.name) == failed.line.as_ref());
    let mut failed = std::mem::take(&mut all.failed);
    failed.sort_by_key(|failed| (place(failed).unwrap_or(usize::MAX), failed.kind.clone()));
    all.failed = failed;
    let count = rows.last_key_value().map_or(0, |(&last, _)| last + 1);
    all.rows = (0..count)
        .map(|second| {
            rows.get(&second).map_or_else(|| Row::empty(second), |(counts, latency)| Row::new(second, *counts, latency))
        })
        .collect();
    all
}

#[cfg(test)]
mod tests;
