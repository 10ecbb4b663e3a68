//! A run as a page: one file, without scripts and without the network, for light and dark, for telephones and wide windows.
//! Everything that came from a peer or a file name is made harmless and escaped.

mod chart;
mod over_time;
mod shape;
mod tables;

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sockeye::figures::{Comparison, Run, Verdict};

use super::summary::{float, model, reason};
use super::units;
use crate::clean;

/// The page; with a base, beside it.
pub(crate) fn page(run: &Run, against: Option<(&Run, &Comparison)>) -> String {
    let columns = over_time::columns(run);
    let mut text = head(run);
    if let Some((_, compared)) = against {
        text.push_str(&judged(compared));
    }
    let warnings: Vec<&str> = run
        .all_warnings()
        .chain(against.iter().flat_map(|(_, compared)| compared.warnings.iter().map(String::as_str)))
        .collect();
    if !warnings.is_empty() {
        let items: String = warnings.iter().map(|words| format!("<li>{}</li>", escaped(words))).collect();
        let _ = writeln!(text, "<div class=\"box warn\" role=\"note\"><ul>{items}</ul></div>");
    }
    text.push_str(&tiles(run));
    if let Some((_, compared)) = against {
        let note = "<p class=\"note\">intervals of 99 %, by a block bootstrap over seconds</p>";
        card(&mut text, "Against the base", note, &tables::changes(compared));
    }
    if run.exchanges() > 0 {
        let base = against.map(|(base, _)| &base.measured.latency);
        let latency = &run.measured.latency;
        card(&mut text, "Latency over time", &over_time::key(), &over_time::heat_map(run, &columns));
        let mut rates = over_time::rate(&columns);
        if let Some(failures) = over_time::failures(&columns) {
            let _ = write!(rates, "<p class=\"sub\">Failures</p>{failures}");
        }
        card(&mut text, "Rate over time", "<p class=\"note\">exchanges a second</p>", &rates);
        let dashed = if base.is_some() { "<p class=\"note\">dashed: the base</p>" } else { "" };
        text.push_str("<div class=\"two\">");
        let note = if dashed.is_empty() { "<p class=\"note\">this part was answered within</p>" } else { dashed };
        card(&mut text, "Percentiles", note, &shape::percentiles(latency, base));
        let note = if dashed.is_empty() { "<p class=\"note\">share of the exchanges</p>" } else { dashed };
        card(&mut text, "Histogram", note, &shape::histogram(latency, base, ""));
        text.push_str("</div>\n");
    } else if let Some(failures) = over_time::failures(&columns) {
        card(&mut text, "Failures over time", "", &failures);
    }
    text.push_str(&tables::failures(run));
    text.push_str(&tables::lines(run));
    text.push_str(&tables::merged(run));
    text.push_str(&tables::seconds(run));
    text.push_str(&foot(run));
    text
}

/// A part of the page under a heading.
fn card(text: &mut String, heading: &str, beside: &str, content: &str) {
    let _ = writeln!(
        text,
        "<section class=\"card\"><div class=\"head\"><h2>{heading}</h2>{beside}</div>\n{content}</section>"
    );
}

/// Nothing is fetched and no script runs, whatever a peer said: browsers hold it to that.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

fn head(run: &Run) -> String {
    let begun = &run.begun;
    let target = escaped(&begun.target);
    let what = match &begun.files[..] {
        [] => target.clone(),
        files => format!("{} against {target}", escaped(&files.join(", "))),
    };
    let verb = escaped(&begun.verb);
    let mut facts = vec![date(begun.began), format!("ran {}", units::span(run.lasted))];
    if begun.connections > 0 {
        let s = if begun.connections == 1 { "" } else { "s" };
        facts.push(format!("{} connection{s}", units::count(begun.connections)));
    }
    facts.push(model(run));
    facts.extend(begun.shard.map(|shard| format!("shard {shard}")));
    if !run.parts.is_empty() {
        facts.push(format!("{} runs merged", run.parts.len()));
    }
    if run.interrupted {
        facts.push("interrupted".to_owned());
    }
    let facts: String = facts.iter().map(|fact| format!("<li>{fact}</li>")).collect();
    let style = include_str!("style.css");
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{verb}: {what}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n\
         <header><p class=\"kicker\"><i></i>sockeye {verb}</p><h1>{what}</h1><ul class=\"facts\">{facts}</ul></header>\n"
    )
}

fn tiles(run: &Run) -> String {
    let latency = &run.measured.latency;
    let counts = run.measured.counts;
    let mut text = String::from("<div class=\"tiles\">\n");
    let mut tile = |class: &str, value: &str, name: &str| {
        let value = match value.rsplit_once(' ') {
            Some((number, unit)) => format!("{number}<small>{unit}</small>"),
            None => value.to_owned(),
        };
        let _ = writeln!(text, "<div class=\"tile{class}\"><b>{value}</b><span>{name}</span></div>");
    };
    let time = |time: Duration| if latency.is_empty() { "–".to_owned() } else { units::time(time) };
    tile("", &format!("{} /s", units::rate(run.rate())), "exchanges");
    tile("", &time(latency.quantile(0.5)), "median latency");
    tile("", &time(latency.quantile(0.99)), "99th percentile");
    tile("", &time(latency.max()), "longest");
    let (class, part) = match counts.failures {
        0 => (" is-good", "failures".to_owned()),
        failures => {
            let part = units::percent(float(failures) / float(counts.plays.max(1)));
            (" is-bad", format!("failures, {part} of the plays"))
        }
    };
    tile(class, &units::count(counts.failures), &part);
    let moved = format!("sent, {} received", units::bytes(counts.received));
    tile("", &units::bytes(counts.sent), &moved);
    text.push_str("</div>\n");
    text
}

/// The verdict.
fn judged(compared: &Comparison) -> String {
    let class = match compared.verdict() {
        Verdict::Faster => "good",
        Verdict::Slower => "bad",
        Verdict::Noise => "warn",
    };
    let words = format!("{}: {}", compared.verdict(), reason(compared));
    let mut letters = words.chars();
    let words: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    format!("<div class=\"box {class}\">{words}.</div>\n")
}

fn foot(run: &Run) -> String {
    let mut text = String::from("<footer>");
    if let Some(load) = run.load_of_generator() {
        let threads = run.generator.threads;
        let _ = write!(
            text,
            "<p>The generator took {} of {threads} processor{}.",
            units::percent(load),
            if threads == 1 { "" } else { "s" }
        );
        let late = run.measured.counts.late;
        if late > 0 {
            let latest = units::time(run.measured.counts.latest);
            let _ = write!(text, " {} plays began late by more than 1 ms, by {latest} at most.", units::count(late));
        }
        text.push_str("</p>");
    }
    let _ = write!(
        text,
        "<p>Latency is from the last byte that was said to the last byte of the answer{}. Times are kept to one part in a thousand, in HdrHistogram.</p>",
        match run.begun.model {
            sockeye::figures::LoadModel::Closed =>
                "; a closed loop begins no play while the server stands still, so what waits then is not counted",
            sockeye::figures::LoadModel::Open { .. } =>
                ", and of the first one of a play from the moment at which the play was due",
        }
    );
    let _ = write!(text, "<p>sockeye {}</p></footer>\n</main>\n</body>\n</html>\n", escaped(&run.begun.version));
    text
}

/// A point in time, in UTC.
fn date(time: SystemTime) -> String {
    let text = sockeye::figures::written(time.max(UNIX_EPOCH));
    let second = text.get(..19).unwrap_or(&text);
    format!("{} UTC", second.replace('T', " "))
}

/// Text as HTML shows it, in elements and between quotes. What hides or reorders text is shown as it is in transcripts.
fn escaped(text: &str) -> String {
    escape(&clean::line(text))
}

/// The same of several lines.
fn escaped_lines(text: &str) -> String {
    escape(&clean::lines(text))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
