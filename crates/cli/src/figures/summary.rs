//! Figures as text.

use std::fmt::Write as _;

use sockeye::figures::{
    Arrivals, Change, Comparison, Counts, Histogram, LoadModel, Metric, Run, Verdict, missing_shards,
};

use super::units;
use crate::clean;

/// A run: what it was, its latency by line, and what failed. What peers sent is made harmless.
pub(crate) fn summary(run: &Run) -> String {
    let mut text = format!("{}\n\n", clean::line(&title(run)));
    let Counts { plays, failures, sent, received, late, latest } = run.measured.counts;
    let mut row = |name: &str, count: String, more: String| {
        let _ = writeln!(text, "{}", format!("{name:<10}  {count:>13}  {more}").trim_end());
    };
    let all = units::count(run.exchanges());
    let rate = format!("{} a second", units::rate(run.rate()));
    let shared = match run.within {
        Some(within) if within.exchanges != run.exchanges() => {
            format!(", over the {} that all runs share", units::span(run.lasted))
        }
        _ => String::new(),
    };
    row("exchanges", all, rate + &shared);
    row("plays", units::count(plays), String::new());
    let part = if failures > 0 && plays > 0 {
        format!("{} of the plays", units::percent(part(failures, plays)))
    } else {
        String::new()
    };
    row("failures", units::count(failures), part);
    if !run.never_played.is_empty() {
        row("unplayed", units::count(run.never_played.len() as u64), clean::line(&run.never_played.join(", ")));
    }
    row("sent", units::bytes(sent), String::new());
    row("received", units::bytes(received), String::new());
    if late > 0 {
        row("late", units::count(late), format!("starts, by {} at most", units::time(latest)));
    }
    if let Some(load) = run.load_of_generator() {
        let threads = match run.generator.threads {
            1 => "1 thread".to_owned(),
            threads => format!("{threads} threads"),
        };
        row("generator", units::percent(load), format!("of {threads}"));
    }
    text.push('\n');
    text.push_str(&latencies(run));
    text.push_str(&merged(run));
    text.push_str(&failures_of(run));
    text
}

/// In one line.
pub(super) fn title(run: &Run) -> String {
    let begun = &run.begun;
    let mut words = vec![format!("{} of {}", begun.verb, begun.target)];
    if !begun.files.is_empty() {
        words[0].push_str(&format!(" playing {}", begun.files.join(", ")));
    }
    words.push(units::span(run.lasted));
    words.push(match begun.connections {
        1 => "1 connection".to_owned(),
        connections => format!("{} connections", units::count(connections)),
    });
    words.push(model(run));
    if let Some(shard) = begun.shard {
        words.push(format!("shard {shard}"));
    }
    if !run.parts.is_empty() {
        words.push(format!("{} runs merged", run.parts.len()));
    }
    if run.interrupted {
        words.push("interrupted".to_owned());
    }
    words.join(", ")
}

pub(super) fn model(run: &Run) -> String {
    match run.begun.model {
        LoadModel::Closed => "closed loop".to_owned(),
        LoadModel::Open { rate, arrivals: Arrivals::Constant } => {
            format!("open loop at {} a second", units::rate(rate))
        }
        LoadModel::Open { rate, arrivals: Arrivals::Poisson } => {
            format!("open loop at {} a second, Poisson arrivals", units::rate(rate))
        }
    }
}

/// A row of the table of latencies.
pub(super) struct Latency<'a> {
    pub(super) name: &'a str,
    pub(super) histogram: &'a Histogram,
    pub(super) rate: Option<f64>,
    pub(super) failures: Option<u64>,
}

/// Everything that has a histogram: all exchanges, each line, whole plays, connecting.
pub(super) fn rows(run: &Run) -> Vec<Latency<'_>> {
    let measured = &run.measured;
    let seconds = run.lasted.as_secs_f64();
    let scale = if run.exchanges() > 0 { run.rate() / float(run.exchanges()) } else { 0.0 };
    let mut rows = vec![Latency {
        name: "all exchanges",
        histogram: &measured.latency,
        rate: (seconds > 0.0).then(|| run.rate()),
        failures: Some(measured.counts.failures),
    }];
    // One line is all of them.
    rows.extend(measured.lines.iter().map(|line| Latency {
        name: &line.name,
        histogram: &line.latency,
        rate: Some(float(line.latency.count()) * scale),
        failures: Some(line.failures),
    }));
    let others = [
        ("whole plays", &measured.whole_plays),
        ("connects", &measured.connects),
        ("handshakes", &measured.handshakes),
    ];
    for (name, histogram) in others {
        if !histogram.is_empty() {
            rows.push(Latency { name, histogram, rate: None, failures: None });
        }
    }
    rows
}

/// What is shown of each.
pub(super) const PARTS: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

fn latencies(run: &Run) -> String {
    let heading = ["latency", "count", "a second", "failed", "p50", "p90", "p99", "p99.9", "max"];
    let mut table = vec![heading.map(str::to_owned)];
    for Latency { name, histogram, rate, failures } in rows(run) {
        let mut cells = vec![clean::line(name), units::count(histogram.count())];
        cells.push(rate.map_or(String::new(), units::rate));
        cells.push(failures.map_or(String::new(), units::count));
        let is_empty = histogram.is_empty();
        let mut push = |time| cells.push(if is_empty { "-".to_owned() } else { units::time(time) });
        PARTS.iter().for_each(|&(_, part)| push(histogram.quantile(part)));
        push(histogram.max());
        table.extend(<[String; 9]>::try_from(cells));
    }
    aligned(&table)
}

/// The first column to the left, the others to the right.
fn aligned<const N: usize>(table: &[[String; N]]) -> String {
    let widest = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(widest);
    let mut text = String::new();
    for row in table {
        let cell = |(column, cell): (usize, &String)| {
            let width = widths[column];
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        };
        let cells: Vec<String> = row.iter().enumerate().map(cell).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

/// Shards that are missing have a row each, unless there are more: a warning says how many.
pub(super) const MOST_MISSING: usize = 20;

/// The runs that were merged.
fn merged(run: &Run) -> String {
    if run.parts.is_empty() && missing_shards(run).is_empty() {
        return String::new();
    }
    let first = run.parts.iter().map(|part| part.began).min().unwrap_or(run.begun.began);
    let heading = ["merged", "shard", "began", "lasted", "exchanges", "a second", "failed"];
    let mut table = vec![heading.map(str::to_owned)];
    for part in &run.parts {
        let began = part.began.duration_since(first).unwrap_or_default();
        table.push([
            clean::line(&part.name),
            part.shard.map_or("-".to_owned(), |shard| shard.to_string()),
            format!("+{:.3} s", began.as_secs_f64()),
            units::span(part.lasted),
            units::count(part.exchanges),
            units::rate(if part.lasted.is_zero() { 0.0 } else { float(part.exchanges) / part.lasted.as_secs_f64() }),
            units::count(part.counts.failures),
        ]);
    }
    for shard in missing_shards(run).iter().take(MOST_MISSING) {
        table.push(["missing", &shard.to_string(), "-", "-", "-", "-", "-"].map(str::to_owned));
    }
    format!("\n{}", aligned(&table))
}

fn failures_of(run: &Run) -> String {
    let mut text = String::new();
    for failed in &run.measured.failed {
        let line = failed.line.as_ref().map_or(String::new(), |line| format!(" at {}", clean::line(line)));
        let (count, kind) = (units::count(failed.count), clean::line(&failed.kind));
        let since = units::span(failed.since);
        let _ = writeln!(text, "\n{count} failed{line}: {kind}; the first after {since}:");
        let account = clean::lines(&failed.first);
        account.lines().for_each(|line| {
            let _ = writeln!(text, "{}", format!("  {line}").trim_end());
        });
    }
    text
}

/// A run beside its base.
pub(crate) fn comparison(compared: &Comparison) -> String {
    let mut table = vec![["against the base", "base", "run", "change", "99 % interval", "verdict"].map(str::to_owned)];
    for change in &compared.changes {
        let interval = change
            .interval
            .map_or("-".to_owned(), |(low, high)| format!("{} to {}", units::change(low), units::change(high)));
        let verdict = match change.verdict {
            Verdict::Noise => "noise".to_owned(),
            verdict => verdict.to_string(),
        };
        table.push([
            metric_name(change.metric),
            metric_value(change.metric, change.base),
            metric_value(change.metric, change.value),
            units::change(change.ratio),
            interval,
            verdict,
        ]);
    }
    let mut text = format!("\n{}", aligned(&table));
    let _ = writeln!(text, "\n{}", verdict(compared));
    text
}

pub(super) fn metric_name(metric: Metric) -> String {
    match metric {
        Metric::Rate => "exchanges a second".to_owned(),
        Metric::Mean => "mean latency".to_owned(),
        Metric::Percentile(_) => metric.to_string(),
    }
}

pub(super) fn metric_value(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Rate => units::rate(value),
        _ => units::time(std::time::Duration::try_from_secs_f64(value).unwrap_or_default()),
    }
}

/// The verdict in a sentence.
fn verdict(compared: &Comparison) -> String {
    let found = match compared.verdict() {
        Verdict::Noise => "the noise does not allow one".to_owned(),
        verdict => verdict.to_string(),
    };
    format!("verdict: {found}: {}", reason(compared))
}

/// What it stands on.
pub(super) fn reason(compared: &Comparison) -> String {
    let change = compared.decisive();
    let Change { metric, ratio, interval, .. } = *change;
    let (base, run) = compared.seconds;
    let what = match metric {
        Metric::Rate => "the rate",
        _ => "the mean latency",
    };
    let changed = format!("{what} changed by {}", units::change(ratio));
    let words = interval.map(|(low, high)| format!("{} to {}", units::change(low), units::change(high)));
    let words = words.unwrap_or_default();
    match (compared.verdict(), interval) {
        (Verdict::Noise, None) => {
            format!("{changed}, and there are too few whole seconds ({run}, and {base} in the base); take at least ten")
        }
        (Verdict::Noise, Some((low, high))) if low <= 1.0 && high >= 1.0 => {
            format!("{changed}, and it could be anything from {words}")
        }
        (Verdict::Noise, Some(_)) => format!("{changed}, and the same run made twice differs by up to 2 %"),
        _ => format!("{changed}, with a confidence of 99 % by {words}"),
    }
}

fn part(of: u64, all: u64) -> f64 {
    float(of) / float(all)
}

#[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}
