//! What can be read without looking at a chart.

use std::fmt::Write as _;
use std::time::Duration;

use sockeye::figures::{Comparison, Histogram, Run, Verdict, missing_shards};

use super::chart::{Log, SIZE};
use super::{card, escaped, escaped_lines, shape};
use crate::figures::summary::{Latency, MOST_MISSING, PARTS, float, metric_name, metric_value, rows};
use crate::figures::units;

/// More lines than this are folded away.
const UNFOLDED: usize = 6;
/// More seconds than this are in the saved run alone.
const SECONDS: usize = 3600;

/// All exchanges, each line, whole plays and connecting; and then each line by itself.
pub(super) fn lines(run: &Run) -> String {
    let all = rows(run);
    let known = || all.iter().filter(|row| !row.histogram.is_empty());
    let low = known().map(|row| row.histogram.min()).min().unwrap_or(Duration::from_micros(1));
    let high = known().map(|row| row.histogram.max()).max().unwrap_or(Duration::from_secs(1));
    let scale = Log::new(low, high);
    let heads = ["exchange", "p50 to p99, and max", "p50", "p90", "p99", "p99.9", "max", "count", "a second", "failed"];
    let body =
        all.iter().enumerate().map(|(index, row)| row_of(row, scale, if index == 0 { " class=\"sum\"" } else { "" }));
    let mut text = String::new();
    card(&mut text, "Latency by line", "", &table(&heads, body));
    let lines = &run.measured.lines;
    let each: String = lines
        .iter()
        .filter(|line| !line.latency.is_empty() || line.failures > 0)
        .map(|line| {
            let drawing =
                if line.latency.is_empty() { String::new() } else { shape::histogram(&line.latency, None, "mini") };
            format!(
                "<div><h3>{}</h3>{drawing}{}</div>\n",
                escaped(&line.name),
                distribution(&line.latency, line.failures)
            )
        })
        .collect();
    if each.is_empty() {
        return text;
    }
    let open = if lines.len() <= UNFOLDED { " open" } else { "" };
    let _ = writeln!(
        text,
        "<details class=\"card\"{open}><summary>Each exchange</summary><div class=\"lines\">{each}</div></details>"
    );
    text
}

fn row_of(row: &Latency<'_>, scale: Log, class: &str) -> String {
    let Latency { name, histogram, rate, failures } = row;
    let mut text = format!("<tr{class}><td class=\"name\">{}</td><td class=\"range\">", escaped(name));
    if !histogram.is_empty() {
        let [middle, tail, most] =
            [histogram.quantile(0.5), histogram.quantile(0.99), histogram.max()].map(|time| SIZE * scale.at(time));
        // It can be seen even where both are the same.
        let tail = tail.max(middle + 4.0);
        let line = |class: &str, from: f64, to: f64, top: u32, foot: u32| {
            format!("<line class=\"{class}\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{top}\" y2=\"{foot}\"/>")
        };
        let lines = [line("track", 0.0, SIZE, 7, 7), line("body", middle, tail, 7, 7), line("dot", most, most, 2, 12)];
        let lines = lines.concat();
        let _ = write!(
            text,
            "<svg viewBox=\"0 0 1000 14\" preserveAspectRatio=\"none\" aria-hidden=\"true\">{lines}</svg>"
        );
    }
    text.push_str("</td>");
    let time = |time| if histogram.is_empty() { "–".to_owned() } else { units::time(time) };
    let times = PARTS.map(|(_, part)| histogram.quantile(part)).into_iter().chain([histogram.max()]);
    let times: String = times.map(|value| format!("<td>{}</td>", time(value))).collect();
    let hurt = if failures.is_some_and(|failures| failures > 0) { " class=\"hurt\"" } else { "" };
    let _ = write!(
        text,
        "{times}<td>{}</td><td>{}</td><td{hurt}>{}</td></tr>",
        units::count(histogram.count()),
        rate.map_or(String::new(), units::rate),
        failures.map_or(String::new(), units::count)
    );
    text
}

/// One line of the transcript.
fn distribution(latency: &Histogram, failures: u64) -> String {
    let parts = [
        ("min", 0.0),
        ("p50", 0.5),
        ("p75", 0.75),
        ("p90", 0.9),
        ("p95", 0.95),
        ("p99", 0.99),
        ("p99.9", 0.999),
        ("p99.99", 0.9999),
    ];
    let mut pairs = vec![("count", units::count(latency.count())), ("failed", units::count(failures))];
    if !latency.is_empty() {
        pairs.extend(parts.iter().map(|&(name, part)| {
            (name, units::time(if part == 0.0 { latency.min() } else { latency.quantile(part) }))
        }));
        pairs.extend([("max", units::time(latency.max())), ("mean", units::time(latency.mean()))]);
    }
    let body: String = pairs
        .chunks(2)
        .map(|two| {
            let cell = |(name, value): &(&str, String)| format!("<th>{name}</th><td>{value}</td>");
            format!("<tr>{}</tr>", two.iter().map(cell).collect::<String>())
        })
        .collect();
    format!("<table><tbody>{body}</tbody></table>")
}

/// What failed, each line and kind with the first account whole.
pub(super) fn failures(run: &Run) -> String {
    if run.measured.failed.is_empty() {
        return String::new();
    }
    let each: String = run
        .measured
        .failed
        .iter()
        .map(|failed| {
            let line = failed.line.as_ref().map_or(String::new(), |line| format!(" at {}", escaped(line)));
            let (count, kind, since) = (units::count(failed.count), escaped(&failed.kind), units::span(failed.since));
            let account = escaped_lines(&failed.first);
            format!("<div><p><b>{count}</b> failed{line}: <b>{kind}</b>; the first after {since}</p><pre>{account}</pre></div>\n")
        })
        .collect();
    let mut text = String::new();
    card(&mut text, "Failures", "", &format!("<div class=\"failures\">{each}</div>"));
    text
}

/// The runs that were merged.
pub(super) fn merged(run: &Run) -> String {
    let missing = missing_shards(run);
    if run.parts.is_empty() && missing.is_empty() {
        return String::new();
    }
    let first = run.parts.iter().map(|part| part.began).min().unwrap_or(run.begun.began);
    let heads = ["file", "shard", "began", "lasted", "exchanges", "a second", "failed"];
    let there = run.parts.iter().map(|part| {
        let began = part.began.duration_since(first).unwrap_or_default().as_secs_f64();
        let rate = if part.lasted.is_zero() { 0.0 } else { float(part.exchanges) / part.lasted.as_secs_f64() };
        format!(
            "<tr><td class=\"name\">{}</td><td>{}</td><td>+{began:.3} s</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&part.name),
            part.shard.map_or("–".to_owned(), |shard| shard.to_string()),
            units::span(part.lasted),
            units::count(part.exchanges),
            units::rate(rate),
            units::count(part.counts.failures)
        )
    });
    let absent = missing.iter().take(MOST_MISSING).map(|shard| {
        format!("<tr><td class=\"name hurt\">missing</td><td class=\"hurt\">{shard}</td><td>–</td><td>–</td><td>–</td><td>–</td><td>–</td></tr>")
    });
    let mut text = String::new();
    card(&mut text, "Runs", "", &table(&heads, there.chain(absent)));
    text
}

/// Second by second.
pub(super) fn seconds(run: &Run) -> String {
    let rows = &run.measured.rows;
    if rows.is_empty() || rows.len() > SECONDS {
        return String::new();
    }
    let heads = ["second", "exchanges", "failed", "p50", "p99", "max", "sent", "received"];
    let body = rows.iter().map(|row| {
        let latency = row.latency();
        let time = |time| if latency.is_empty() { "–".to_owned() } else { units::time(time) };
        let hurt = if row.counts.failures > 0 { " class=\"hurt\"" } else { "" };
        format!(
            "<tr><td>{}</td><td>{}</td><td{hurt}>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            row.second,
            units::count(row.exchanges),
            units::count(row.counts.failures),
            time(latency.quantile(0.5)),
            time(latency.quantile(0.99)),
            time(latency.max()),
            units::bytes(row.counts.sent),
            units::bytes(row.counts.received)
        )
    });
    let table = table(&heads, body);
    format!("<details class=\"card\"><summary>Second by second</summary>{table}</details>\n")
}

/// Each metric beside the base.
pub(super) fn changes(compared: &Comparison) -> String {
    let heads = ["", "run", "base", "change", "verdict", "interval"];
    let body = compared.changes.iter().map(|change| {
        let interval = change
            .interval
            .map_or("–".to_owned(), |(low, high)| format!("{} to {}", units::change(low), units::change(high)));
        let verdict = match change.verdict {
            Verdict::Noise => "noise".to_owned(),
            verdict => verdict.to_string(),
        };
        let class = match change.verdict {
            Verdict::Slower => " class=\"hurt\"",
            _ => "",
        };
        let row = if change.metric == compared.decisive { " class=\"sum\"" } else { "" };
        format!(
            "<tr{row}><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td{class}>{verdict}</td><td>{interval}</td></tr>",
            metric_name(change.metric),
            metric_value(change.metric, change.value),
            metric_value(change.metric, change.base),
            units::change(change.ratio)
        )
    });
    table(&heads, body)
}

fn table(heads: &[&str], body: impl Iterator<Item = String>) -> String {
    let head = |head: &&str| {
        if head.contains(" to ") { format!("<th class=\"range\">{head}</th>") } else { format!("<th>{head}</th>") }
    };
    let heads: String = heads.iter().map(head).collect();
    let body: String = body.map(|row| row + "\n").collect();
    format!("<div class=\"wide\"><table><thead><tr>{heads}</tr></thead><tbody>\n{body}</tbody></table></div>\n")
}
