//! What a run shows while it goes on: one screen on a terminal, drawn over each second; a line a second elsewhere.

mod keys;
mod screen;

use std::io::{self, IsTerminal};
use std::time::Duration;

use serde_json::json;
use sockeye::figures::Snapshot;

use self::keys::Keys;
use self::screen::{History, Size, frame};
use super::units;
use crate::clean;
use crate::output::Console;

/// Shows a run until it is dropped.
pub(crate) struct Live<'a> {
    console: &'a Console,
    history: History,
    shown: Shown,
}

/// How it is shown.
enum Shown {
    /// Drawn over and over, over so many lines.
    Screen { keys: Option<Keys>, lines: usize, color: bool },
    /// A line of text, or an object, a second.
    Lines,
}

impl<'a> Live<'a> {
    /// `title` says what runs, and for how long it is planned.
    pub(crate) fn start(console: &'a Console, title: &str, planned: Option<Duration>) -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let is_screen =
            !console.quiet && !console.json && !is_dumb && io::stderr().is_terminal() && keys::is_foreground();
        // What was said before must not come while it is drawn.
        console.flush();
        let shown = if is_screen {
            Shown::Screen { keys: Keys::take(), lines: 0, color: console.colors_errors() }
        } else {
            Shown::Lines
        };
        let mut live = Self { console, history: History::new(clean::line(title), planned), shown };
        live.draw();
        live
    }

    /// A turn of the code that measures: a second that is past, if one is. False if the person at the terminal wants an end.
    pub(crate) fn turn(&mut self, snapshot: Option<&Snapshot>) -> bool {
        if let Some(snapshot) = snapshot {
            self.history.push(snapshot);
            match self.shown {
                Shown::Screen { .. } => self.draw(),
                Shown::Lines => self.tell(snapshot),
            }
        }
        match &mut self.shown {
            Shown::Screen { keys: Some(keys), .. } => !keys.asked_for_an_end(),
            _ => true,
        }
    }

    fn draw(&mut self) {
        let Shown::Screen { keys, lines, color } = &mut self.shown else { return };
        let frame = frame(&self.history, Size::of_terminal(), keys.is_some(), *color);
        // Back to the first line, and over what stands there: a screen that is cleared first would flicker.
        let mut text = if *lines > 0 { format!("\x1b[{lines}A\r") } else { String::from("\x1b[?25l") };
        for line in &frame {
            text.push_str(line);
            text.push_str("\x1b[K\n");
        }
        text.push_str("\x1b[J");
        *lines = frame.len();
        self.console.draw(&text);
    }

    fn tell(&self, snapshot: &Snapshot) {
        let Snapshot { second, counts, latency, .. } = snapshot;
        let [p50, p99] = [0.5, 0.99].map(|part| latency.quantile(part));
        if self.console.json {
            self.console.tell(&json!({"event": "second", "second": second, "exchanges": latency.count(),
                "plays": counts.plays, "failures": counts.failures, "late": counts.late,
                "p50": p50.as_secs_f64(), "p99": p99.as_secs_f64(), "max": latency.max().as_secs_f64()}));
        } else if !self.console.quiet {
            let failures = match counts.failures {
                0 => String::new(),
                failures => format!(", {} failed", units::count(failures)),
            };
            let times = match latency.count() {
                0 => String::new(),
                _ => {
                    format!(", p50 {}, p99 {}, max {}", units::time(p50), units::time(p99), units::time(latency.max()))
                }
            };
            self.console.complain(&format!(
                "{} s: {} exchanges{times}{failures}",
                second + 1,
                units::count(latency.count())
            ));
        }
    }
}

impl Drop for Live<'_> {
    /// What was drawn goes: the report takes its place.
    fn drop(&mut self) {
        if let Shown::Screen { lines, .. } = self.shown {
            let up = if lines > 0 { format!("\x1b[{lines}A") } else { String::new() };
            self.console.draw(&format!("{up}\r\x1b[J\x1b[?25h"));
        }
    }
}
