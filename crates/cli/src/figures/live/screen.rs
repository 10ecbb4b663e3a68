//! What stands on the screen, as lines: a function of what was measured and of how much room there is.

use std::collections::VecDeque;
use std::time::Duration;

use sockeye::figures::{Counts, Snapshot};

use crate::clean;
use crate::figures::summary::float;
use crate::figures::units;

/// Seconds that a sparkline remembers; it shows as many as fit.
const REMEMBERED: usize = 240;
/// Where the sparklines begin.
const LEFT: usize = 26;

/// What was measured until now.
pub(super) struct History {
    title: String,
    planned: Option<Duration>,
    past: u64,
    last: Option<Last>,
    rates: VecDeque<f64>,
    medians: VecDeque<f64>,
    tails: VecDeque<f64>,
    failures: VecDeque<f64>,
}

/// The last second, and all until then.
struct Last {
    rate: u64,
    times: [Duration; 4],
    all: Counts,
    exchanges: u64,
    failed: Vec<(String, u64)>,
}

/// Room on the terminal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl Size {
    pub(super) fn of_terminal() -> Self {
        let known = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
        let known = known.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        let (columns, rows) = known.filter(|&(columns, rows)| columns > 0 && rows > 0).unwrap_or((80, 24));
        Self { columns, rows }
    }
}

impl History {
    /// The title was made harmless.
    pub(super) fn new(title: String, planned: Option<Duration>) -> Self {
        let [rates, medians, tails, failures] = [const { VecDeque::new() }; 4];
        Self { title, planned, past: 0, last: None, rates, medians, tails, failures }
    }

    pub(super) fn push(&mut self, snapshot: &Snapshot) {
        let latency = &snapshot.latency;
        let times = [0.5, 0.9, 0.99].map(|part| latency.quantile(part));
        let times = [times[0], times[1], times[2], latency.max()];
        remember(&mut self.rates, float(latency.count()));
        remember(&mut self.medians, times[0].as_secs_f64());
        remember(&mut self.tails, times[2].as_secs_f64());
        remember(&mut self.failures, float(snapshot.counts.failures));
        self.past = snapshot.second + 1;
        let failed = snapshot.failed.iter().map(|(kind, count)| (clean::line(kind), *count)).collect();
        let (rate, all, exchanges) = (latency.count(), snapshot.all, snapshot.exchanges);
        self.last = Some(Last { rate, times, all, exchanges, failed });
    }
}

fn remember(values: &mut VecDeque<f64>, value: f64) {
    if values.len() == REMEMBERED {
        values.pop_front();
    }
    values.push_back(value);
}

/// The lines of the screen: no longer than it is wide, and one fewer than it is high.
pub(super) fn frame(history: &History, size: Size, has_keys: bool, color: bool) -> Vec<String> {
    // The last column stays free: some terminals break the line there.
    let width = size.columns.saturating_sub(1).max(20);
    let room = width.saturating_sub(LEFT);
    let paint = |code: &str, text: String| if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text };
    let past = Duration::from_secs(history.past);
    let clock = match history.planned {
        Some(planned) => format!("{} of {}", whole(past), whole(planned)),
        None => whole(past),
    };
    let mut lines = vec![ends(&history.title, &clock, width)];
    if let Some(planned) = history.planned {
        lines.push(paint("34", bar(past.as_secs_f64() / planned.as_secs_f64().max(0.001), width)));
    }
    lines.push(String::new());
    let Some(last) = &history.last else {
        lines.push(cut("connecting …", width));
        return fitting(lines, size);
    };
    let mut row = |name: &str, value: &str, unit: &str, values: Option<&VecDeque<f64>>, code: &str| {
        let text = cut(&format!("{name:<9}{value:>10} {unit:<4}"), width);
        let spark = values.map_or(String::new(), |values| paint(code, sparkline(values, room)));
        let gap = " ".repeat(LEFT.saturating_sub(text.chars().count()));
        lines.push(format!("{text}{gap}{spark}").trim_end().to_owned());
    };
    let time = |time: Duration| {
        let text = units::time(time);
        text.split_once(' ')
            .map_or((text.clone(), String::new()), |(number, unit)| (number.to_owned(), unit.to_owned()))
    };
    row("rate", &units::count(last.rate), "/s", Some(&history.rates), "36");
    for (index, (name, values)) in
        [("p50", Some(&history.medians)), ("p90", None), ("p99", Some(&history.tails)), ("max", None)]
            .into_iter()
            .enumerate()
    {
        let (number, unit) = time(last.times[index]);
        row(name, &number, &unit, values, "33");
    }
    let failures = (last.all.failures > 0).then_some(&history.failures);
    row("failures", &units::count(last.all.failures), "", failures, "31");
    row("total", &units::count(last.exchanges), "exchanges", None, "");
    if last.all.late > 0 {
        row("late", &units::count(last.all.late), "starts", None, "");
    }
    if !last.failed.is_empty() {
        let kinds: Vec<String> =
            last.failed.iter().map(|(kind, count)| format!("{} {kind}", units::count(*count))).collect();
        lines.push(paint("31", cut(&format!("         {}", kinds.join(", ")), width)));
    }
    lines.push(String::new());
    let keys = if has_keys { "q or Ctrl-C ends it, and reports" } else { "Ctrl-C ends it, and reports" };
    lines.push(paint("2", cut(keys, width)));
    fitting(lines, size)
}

/// What does not fit below is left out: a screen that scrolls could not be drawn over.
fn fitting(mut lines: Vec<String>, size: Size) -> Vec<String> {
    lines.truncate(size.rows.saturating_sub(1).max(1));
    lines
}

fn whole(time: Duration) -> String {
    if time.as_secs() < 120 && time.subsec_nanos() == 0 { format!("{} s", time.as_secs()) } else { units::span(time) }
}

/// One text at the left, one at the right.
fn ends(left: &str, right: &str, width: usize) -> String {
    let room = width.saturating_sub(right.chars().count() + 2);
    let left = cut(left, room);
    let gap = width.saturating_sub(left.chars().count() + right.chars().count());
    cut(&format!("{left}{}{right}", " ".repeat(gap)), width)
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// How much of it is done.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a width")]
fn bar(part: f64, width: usize) -> String {
    let full = (part.clamp(0.0, 1.0) * float(width as u64)).round() as usize;
    format!("{}{}", "━".repeat(full), "─".repeat(width - full.min(width)))
}

/// The last values, from zero to the largest of them.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "one of eight")]
fn sparkline(values: &VecDeque<f64>, width: usize) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown = || values.iter().skip(values.len().saturating_sub(width));
    let most = shown().copied().fold(0.0, f64::max);
    let level =
        |value: &f64| if most > 0.0 { LEVELS[((value / most * 7.0).round() as usize).min(7)] } else { LEVELS[0] };
    shown().map(level).collect()
}

#[cfg(test)]
mod tests {
    use sockeye::figures::Histogram;

    use super::*;

    fn after(seconds: u64, failures: u64) -> History {
        let mut history = History::new("load of tcp://127.0.0.1:9999".to_owned(), Some(Duration::from_secs(60)));
        for second in 0..seconds {
            let mut latency = Histogram::new();
            latency.record_many(Duration::from_micros(400), 1000 * (second % 8 + 1));
            let counts = Counts { failures, ..Counts::default() };
            let all = Counts { failures: failures * (second + 1), late: failures, ..Counts::default() };
            let failed = if failures > 0 { vec![("differs", 3), ("refused", 1)] } else { vec![] };
            history.push(&Snapshot { second, counts, latency, all, exchanges: 12_345_678, failed });
        }
        history
    }

    const WIDE: Size = Size { columns: 80, rows: 24 };

    #[test]
    fn the_screen_has_the_rate_the_percentiles_and_what_failed() {
        let lines = frame(&after(8, 2), WIDE, true, false);
        let text = lines.join("\n");
        assert!(lines[0].starts_with("load of tcp://127.0.0.1:9999") && lines[0].ends_with("8 s of 60 s"), "{text}");
        assert!(text.contains("rate          8,000 /s    ▂▃▄▅▅▆▇█"), "{text}");
        assert!(text.contains("p99             400 µs"), "{text}");
        assert!(text.contains("failures         16") && text.contains("3 differs, 1 refused"), "{text}");
        assert!(text.ends_with("q or Ctrl-C ends it, and reports"), "{text}");
        assert!(frame(&after(0, 0), WIDE, false, false).join("\n").contains("connecting"));
    }

    #[test]
    fn no_line_is_wider_and_no_screen_higher_than_the_terminal() {
        for columns in [1, 20, 30, 79, 80, 200] {
            for rows in [1, 4, 9, 24] {
                let size = Size { columns, rows };
                let lines = frame(&after(300, 1), size, true, false);
                assert!(lines.len() < rows.max(2), "{rows}: {}", lines.len());
                let widest = lines.iter().map(|line| line.chars().count()).max().unwrap();
                assert!(widest < columns.max(21), "{columns}: {lines:?}");
            }
        }
    }

    #[test]
    fn a_sparkline_goes_from_zero_to_the_largest() {
        let of = |values: &[f64], width| sparkline(&values.iter().copied().collect(), width);
        assert_eq!([of(&[0.0, 5.0, 10.0], 9), of(&[1.0, 2.0, 4.0], 2), of(&[0.0, 0.0], 9)], ["▁▅█", "▅█", "▁▁"]);
    }
}
