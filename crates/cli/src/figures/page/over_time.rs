//! Charts whose axis is the time of the run: latency as a heat map with percentiles, the rate, failures.

use std::time::Duration;

use sockeye::figures::{Histogram, Run};

use super::chart::{Log, Plot, round_up, tick};
use crate::figures::summary::float;
use crate::figures::units;

/// Most columns and bands of the heat map.
const COLUMNS: usize = 120;
const BANDS: usize = 36;
/// Shades of a cell, each for a few times as many as the one before.
const SHADES: u32 = 8;

/// Some seconds of the run.
pub(super) struct Column {
    from: f64,
    to: f64,
    exchanges: u64,
    failures: u64,
    latency: Histogram,
}

/// The rows of a run as so many columns as there is room for.
pub(super) fn columns(run: &Run) -> Vec<Column> {
    let rows = &run.measured.rows;
    let length = rows.len().div_ceil(COLUMNS).max(1);
    let end = end(run);
    let column = |rows: &[sockeye::figures::Row]| {
        let mut latency = Histogram::new();
        rows.iter().for_each(|row| latency.merge(&row.latency()));
        let from = rows.first().map_or(0.0, |row| float(row.second));
        let to = rows.last().map_or(0.0, |row| float(row.second + 1)).min(end);
        let failures = rows.iter().map(|row| row.counts.failures).sum();
        Column { from, to, exchanges: latency.count(), failures, latency }
    };
    // A last second of a moment says nothing of a rate.
    rows.chunks(length).map(column).filter(|column| column.to - column.from > 0.2 || rows.len() == 1).collect()
}

/// Where the axis ends, in seconds.
fn end(run: &Run) -> f64 {
    let rows = float(run.measured.rows.len() as u64);
    if run.parts.is_empty() { run.lasted.as_secs_f64().min(rows).max(0.001) } else { rows.max(0.001) }
}

/// The span that the columns cover.
struct Axis(f64);

impl Axis {
    fn of(columns: &[Column]) -> Self {
        Self(columns.last().map_or(1.0, |column| column.to).max(0.001))
    }

    fn at(&self, seconds: f64) -> f64 {
        (seconds / self.0).clamp(0.0, 1.0)
    }

    fn span(&self, column: &Column) -> (f64, f64) {
        (self.at(column.from), self.at(column.to))
    }

    fn middle(&self, column: &Column) -> f64 {
        self.at(f64::midpoint(column.from, column.to))
    }

    /// Names under the drawing.
    fn mark(&self, plot: &mut Plot) {
        let steps = [
            0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0,
            21_600.0, 43_200.0,
        ];
        let step = steps.into_iter().find(|step| self.0 / step <= 7.0).unwrap_or(86_400.0);
        let mut seconds = 0.0;
        let mut number = 0_u32;
        while seconds <= self.0 * 1.0001 {
            let name = if seconds == 0.0 { "0 s".to_owned() } else { named(seconds) };
            plot.mark(self.at(seconds), &name, number % 2 == 1);
            number += 1;
            seconds = f64::from(number) * step;
        }
    }
}

fn named(seconds: f64) -> String {
    let whole = |unit: f64| (seconds / unit).fract().abs() < 1e-9;
    match seconds {
        3600.0.. if whole(3600.0) => format!("{} h", seconds / 3600.0),
        120.0.. if whole(60.0) => format!("{} min", seconds / 60.0),
        _ => format!("{} s", (seconds * 10.0).round() / 10.0),
    }
}

/// How many exchanges took how long, when; and the median, p99 and the longest of each moment.
pub(super) fn heat_map(run: &Run, columns: &[Column]) -> String {
    let latency = &run.measured.latency;
    let scale = Log::new(latency.min(), latency.max());
    let axis = Axis::of(columns);
    let mut plot = Plot::new("");
    scale.ticks(0.07).into_iter().for_each(|time| plot.level(scale.at(time), &tick(time)));
    axis.mark(&mut plot);
    let bands = columns.iter().map(|column| (column, banded(&column.latency, scale, BANDS))).collect::<Vec<_>>();
    let most = bands.iter().flat_map(|(_, bands)| bands).copied().max().unwrap_or(1);
    let height = 1.0 / float(BANDS as u64);
    for (column, bands) in &bands {
        for (band, &count) in bands.iter().enumerate().filter(|(_, count)| **count > 0) {
            let low = float(band as u64) * height;
            let words = format!(
                "{} to {}, {} to {}: {}",
                named(column.from),
                named(column.to),
                units::time(scale.time(low)),
                units::time(scale.time(low + height)),
                units::count(count)
            );
            plot.cell(&format!("c{}", shade(count, most)), axis.span(column), (low, low + height), &words);
        }
    }
    let line = |of: &dyn Fn(&Histogram) -> Duration| {
        let point = |column: &Column| {
            (!column.latency.is_empty()).then(|| (axis.middle(column), scale.at(of(&column.latency))))
        };
        columns.iter().map(point).collect::<Vec<_>>()
    };
    let lines = [
        ("most", "max", line(&Histogram::max)),
        ("tail", "p99", line(&|latency| latency.quantile(0.99))),
        ("median", "p50", line(&|latency| latency.quantile(0.5))),
    ];
    let mut ends = Vec::new();
    for (class, name, points) in &lines {
        // A single column has no line: its values are ticks across it.
        let points = match points[..] {
            [Some((_, y))] => vec![Some((0.0, y)), Some((1.0, y))],
            _ => points.clone(),
        };
        if *class != "most" {
            plot.path("halo", &points);
        }
        plot.path(class, &points);
        if let Some((_, y)) = points.iter().flatten().next_back() {
            ends.push((*class, *y, *name));
        }
    }
    plot.ends(ends);
    plot.finish("Latency over time: how many exchanges took how long, with the median and the 99th percentile")
}

/// What the colours and lines of the heat map mean.
pub(super) fn key() -> String {
    let width = 100 / SHADES;
    let ramp: String = (1..=SHADES)
        .map(|shade| {
            format!("<rect class=\"c{shade}\" x=\"{}\" width=\"{width}\" height=\"10\"/>", (shade - 1) * width)
        })
        .collect();
    let line = |class: &str, name: &str| {
        format!(
            "<span><svg viewBox=\"0 0 22 8\" aria-hidden=\"true\"><path class=\"{class}\" d=\"M0 4L22 4\"/></svg>{name}</span>"
        )
    };
    format!(
        "<div class=\"key\"><span>few<svg class=\"ramp\" viewBox=\"0 0 96 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">{ramp}</svg>many exchanges</span>{}{}{}</div>\n",
        line("median", "p50"),
        line("tail", "p99"),
        line("most", "max")
    )
}

/// Exchanges a second.
pub(super) fn rate(columns: &[Column]) -> String {
    let axis = Axis::of(columns);
    let rates: Vec<f64> =
        columns.iter().map(|column| float(column.exchanges) / (column.to - column.from).max(0.001)).collect();
    let top = round_up(rates.iter().copied().fold(0.0, f64::max));
    let mut plot = Plot::new("low");
    for part in [0.0, 0.5, 1.0] {
        plot.level(part, &units::rate(top * part));
    }
    axis.mark(&mut plot);
    let points: Vec<(f64, f64)> =
        columns.iter().zip(&rates).map(|(column, rate)| (axis.middle(column), rate / top)).collect();
    let points = match points[..] {
        [(_, y)] => vec![(0.0, y), (1.0, y)],
        _ => points,
    };
    plot.area(&points);
    plot.path("line", &points.iter().copied().map(Some).collect::<Vec<_>>());
    for (column, rate) in columns.iter().zip(&rates) {
        let words = format!("{} to {}: {} a second", named(column.from), named(column.to), units::rate(*rate));
        plot.cell("clear", axis.span(column), (0.0, 1.0), &words);
    }
    plot.finish("Exchanges a second, over time")
}

/// Failures, when there were some.
pub(super) fn failures(columns: &[Column]) -> Option<String> {
    let most = columns.iter().map(|column| column.failures).max().filter(|&most| most > 0)?;
    let axis = Axis::of(columns);
    let mut plot = Plot::new("strip");
    plot.level(0.0, "0");
    plot.level(1.0, &units::count(most));
    axis.mark(&mut plot);
    for column in columns.iter().filter(|column| column.failures > 0) {
        let (left, right) = axis.span(column);
        let inset = (right - left) * 0.12;
        let words = format!("{} to {}: {} failed", named(column.from), named(column.to), units::count(column.failures));
        plot.cell("fail", (left + inset, right - inset), (0.0, float(column.failures) / float(most)), &words);
    }
    Some(plot.finish("Failures, over time"))
}

/// How many times fall into each of so many bands of a scale.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place from 0 to 1, times a small number")]
pub(super) fn banded(histogram: &Histogram, scale: Log, bands: usize) -> Vec<u64> {
    let mut counts = vec![0; bands];
    for bucket in histogram.buckets() {
        let band = (scale.at(bucket.low + (bucket.high - bucket.low) / 2) * float(bands as u64)) as usize;
        counts[band.min(bands - 1)] += bucket.count;
    }
    counts
}

/// From 1, for one, to the most for as many as there are anywhere.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
fn shade(count: u64, most: u64) -> u32 {
    let part = float(count).ln_1p() / float(most.max(1)).ln_1p();
    ((part * f64::from(SHADES)).ceil() as u32).clamp(1, SHADES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_go_from_one_to_all() {
        assert_eq!([shade(1, 1_000_000), shade(1_000_000, 1_000_000), shade(1, 1)], [1, 8, 8]);
        assert!(shade(10, 1_000_000) < shade(1000, 1_000_000));
    }

    #[test]
    fn every_time_falls_into_a_band() {
        let mut histogram = Histogram::new();
        (1..500).for_each(|n| histogram.record(Duration::from_micros(n * n)));
        let scale = Log::new(histogram.min(), histogram.max());
        assert_eq!(banded(&histogram, scale, 20).iter().sum::<u64>(), 499);
    }

    #[test]
    fn moments_have_names() {
        assert_eq!(
            [0.5, 10.0, 90.0, 120.0, 5400.0, 7200.0].map(named),
            ["0.5 s", "10 s", "90 s", "2 min", "90 min", "2 h"]
        );
    }
}
