//! Charts of a distribution: the percentile curve, and the histogram.

use std::time::Duration;

use sockeye::figures::Histogram;

use super::chart::{Log, Plot, round_up, tick};
use super::over_time::banded;
use crate::figures::summary::float;
use crate::figures::units;

/// How long each part of the exchanges took, the slow ones drawn out: each step to the right is a tenth of what is left.
pub(super) fn percentiles(latency: &Histogram, base: Option<&Histogram>) -> String {
    let scale = scale(latency, base);
    let most = [Some(latency), base].into_iter().flatten().map(Histogram::count).max().unwrap_or(1);
    let end = float(most).log10().clamp(1.0, 7.0);
    let mut plot = Plot::new("");
    scale.ticks(0.07).into_iter().for_each(|time| plot.level(scale.at(time), &tick(time)));
    let marks = [
        (0.5_f64, "50 %"),
        (0.9, "90 %"),
        (0.99, "99 %"),
        (0.999, "99.9 %"),
        (0.9999, "99.99 %"),
        (0.999_99, "99.999 %"),
        (0.999_999, "99.9999 %"),
    ];
    for (index, (part, name)) in marks.into_iter().enumerate() {
        let at = -(1.0 - part).log10() / end;
        if at <= 1.0 {
            plot.upright(at, name, end > 3.5 && index % 2 == 1);
        }
    }
    let curve = |histogram: &Histogram| {
        let last = float(histogram.count().max(1)).log10().min(end);
        let steps = 160_u32;
        (0..=steps)
            .map(|step| {
                let nines = last * f64::from(step) / f64::from(steps);
                Some((nines / end, scale.at(histogram.quantile(1.0 - 10_f64.powf(-nines)))))
            })
            .collect::<Vec<_>>()
    };
    if let Some(base) = base.filter(|base| !base.is_empty()) {
        plot.path("base", &curve(base));
    }
    if !latency.is_empty() {
        plot.path("line", &curve(latency));
    }
    plot.finish("The percentile curve: the time within which each part of the exchanges was answered")
}

/// How many exchanges took how long.
pub(super) fn histogram(latency: &Histogram, base: Option<&Histogram>, class: &'static str) -> String {
    let scale = scale(latency, base);
    let is_small = class == "mini";
    let bands = if is_small { 40 } else { 56 };
    let counts = banded(latency, scale, bands);
    let width = 1.0 / float(bands as u64);
    let share = |count: u64, histogram: &Histogram| float(count) / float(histogram.count().max(1));
    let base = base.filter(|base| !base.is_empty()).map(|base| (base, banded(base, scale, bands)));
    let shares = counts.iter().map(|&count| share(count, latency));
    let bases = base.iter().flat_map(|(base, counts)| counts.iter().map(|&count| share(count, base)));
    let top = shares.chain(bases).fold(0.0, f64::max);
    let top = if is_small { top.max(1e-9) } else { round_up(top) };
    let mut plot = Plot::new(class);
    if !is_small {
        for part in [0.0, 0.5, 1.0] {
            plot.level(part, &units::percent(top * part));
        }
    }
    let ticks = scale.ticks(if is_small { 0.2 } else { 0.14 });
    for (index, time) in ticks.iter().enumerate() {
        plot.mark(scale.at(*time), &tick(*time), !is_small && index % 2 == 1);
    }
    for (band, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let left = float(band as u64) * width;
        let words = format!(
            "{} to {}: {}, {}",
            units::time(scale.time(left)),
            units::time(scale.time(left + width)),
            units::count(count),
            units::percent(share(count, latency))
        );
        // What is there can be seen, however little it is.
        let height = (share(count, latency) / top).max(if is_small { 0.02 } else { 0.006 });
        plot.cell("bar", (left + width * 0.08, left + width * 0.92), (0.0, height), &words);
    }
    if let Some((base, counts)) = &base {
        let steps = counts.iter().enumerate().flat_map(|(band, &count)| {
            let (left, y) = (float(band as u64) * width, share(count, base) / top);
            [Some((left, y)), Some((left + width, y))]
        });
        plot.path("base", &steps.collect::<Vec<_>>());
    }
    if !is_small && !latency.is_empty() {
        let [median, tail] = [0.5, 0.99].map(|part| scale.at(latency.quantile(part)));
        plot.flag("median", median, if tail - median > 0.1 { "p50" } else { "" });
        plot.flag("tail", tail, "p99");
    }
    plot.finish("Histogram: how many exchanges took how long")
}

fn scale(latency: &Histogram, base: Option<&Histogram>) -> Log {
    let all = || [Some(latency), base].into_iter().flatten().filter(|histogram| !histogram.is_empty());
    let low = all().map(Histogram::min).min().unwrap_or(Duration::from_micros(10));
    let high = all().map(Histogram::max).max().unwrap_or(Duration::from_millis(10));
    Log::new(low, high)
}
