//! `sockeye check`.

use std::path::Path;

use serde_json::{Map, Value, json};
use sockeye::check::{CheckOptions, Difference, Report, check};
use sockeye::file::AtomicFile;
use sockeye::limits;
use transcript::{Carrier, Diagnostic, Refused, Severity, Source, Transcript, rehearse};

use super::file::{self, Unusable};
use crate::exit::Exit;
use crate::failure::put_failure;
use crate::flags::{Check, format_of_findings};
use crate::json;
use crate::output::Console;

/// Checks every file; the code is that of the worst.
pub(crate) fn run(flags: &Check, console: &Console) -> Exit {
    if flags.format {
        return format_files(flags, console);
    }
    let names = flags.values.names();
    let options = CheckOptions {
        values: flags.values.to_map(),
        fresh: flags.values.fresh_as_ever(),
        all_branches: flags.all_branches,
    };
    let mut worst = Exit::Done;
    let mut unknown = None;
    for path in &flags.files {
        let exit = match read(path).and_then(|(path, text)| file::parse(path, &text, &names)) {
            Ok(loaded) => {
                // A name is known if one of the files has it.
                let known = transcript::known_names([&loaded.transcript], &names);
                unknown = match (unknown, known) {
                    (Some(Ok(())), _) | (_, Ok(())) => Some(Ok(())),
                    (Some(before), Err(_)) => Some(before),
                    (None, Err(why)) => Some(Err(why)),
                };
                let report = check(&loaded, &options);
                if console.json {
                    tell_as_json(&loaded.transcript, &report, console)
                } else {
                    tell(&loaded.transcript, &report, console)
                }
            }
            Err(Unusable::Refused(refused)) if console.json => {
                match console.print(findings(&refused.findings, &refused.source).as_bytes()) {
                    Exit::Done => Exit::Usage,
                    printed => printed,
                }
            }
            Err(unusable) => console.conclude(Exit::Usage, unusable),
        };
        worst = match (worst, exit) {
            (Exit::Usage, _) | (_, Exit::Done) => worst,
            (_, exit) => exit,
        };
    }
    if let Some(Err(why)) = unknown {
        return console.fail(Exit::Usage, &why.to_string());
    }
    worst
}

/// How standard input is named on the command line.
const STANDARD_INPUT: &str = "-";

/// A transcript's text, and how it is named in messages. Its other files are looked for beside it: those of standard input in
/// the current folder.
fn read(path: &Path) -> Result<(&Path, Vec<u8>), Unusable> {
    let (path, text) = match path == Path::new(STANDARD_INPUT) {
        true => (Path::new("<stdin>"), file::typed()),
        false => (path, file::text(path)),
    };
    text.map(|text| (path, text)).map_err(|error| Unusable::unreadable(path, error))
}

/// Prints a transcript in the canonical layout, or writes it back.
fn format_files(flags: &Check, console: &Console) -> Exit {
    let is_no_file = |path: &Path| {
        let name = path.to_str().unwrap_or_default().to_ascii_lowercase();
        matches!(
            name.as_str(),
            "json" | "jsonl" | "ndjson" | "text" | "plain" | "xml" | "junit" | "sarif" | "tap" | "github"
        ) && !path.exists()
    };
    if flags.files.iter().any(|file| is_no_file(file)) {
        return console.fail(Exit::Usage, &format_of_findings());
    }
    if flags.files.len() > 1 && !flags.write {
        return console.fail(Exit::Usage, "--format prints one file; with --write it rewrites several");
    }
    if flags.write && flags.files.iter().any(|path| path == Path::new(STANDARD_INPUT)) {
        return console.fail(Exit::Usage, "--write has nowhere to write to: `-` is standard input");
    }
    for path in &flags.files {
        let (path, text) = match read(path) {
            Ok(found) => found,
            Err(unusable) => return console.conclude(Exit::Usage, unusable),
        };
        // Only what can be read as a transcript is laid out as one.
        if let Err(unusable) = file::parse(path, &text, &flags.values.names()) {
            return console.conclude(Exit::Usage, unusable);
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let laid_out = transcript::format(&text);
        if !flags.write {
            return console.print(laid_out.as_bytes());
        }
        if laid_out != text {
            let written = AtomicFile::create(path).and_then(|mut file| {
                file.append(laid_out.as_bytes())?;
                file.commit()
            });
            if let Err(error) = written {
                return console.fail(Exit::CannotWrite, &error.to_string());
            }
        }
    }
    Exit::Done
}

/// Findings as JSON, one object a line.
fn findings(findings: &[Diagnostic], source: &Source) -> String {
    let mut text = String::new();
    for finding in findings {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let (file, line) = source.locate(finding.line);
        let object = json!({ "file": file, "line": line, "column": finding.column,
            "width": finding.width, "severity": severity, "message": finding.message, "help": finding.help });
        json::push_line(&mut text, &object);
    }
    text
}

/// What one end found wrong with the other, as JSON.
fn difference(difference: &Difference) -> Map<String, Value> {
    let mut object = Map::new();
    put_failure(&mut object, &difference.failure);
    object
}

fn tell_as_json(transcript: &Transcript, report: &Report, console: &Console) -> Exit {
    let source = transcript.source();
    let mut text = findings(&report.warnings, source);
    let playable = report.is_playable();
    for refused in [&report.client, &report.server].into_iter().filter_map(|side| side.as_ref().err()) {
        // Of a file that plays from the other end, they are no errors but the reasons why not from this one.
        let refused = findings(&refused.findings, source);
        if !playable && !text.ends_with(&refused) {
            text.push_str(&refused);
        }
    }
    let why = |side: &Result<(), Refused>| match side {
        Ok(()) => json!(true),
        Err(refused) => {
            let first = refused.findings.first();
            json!({ "no": first.map_or_else(String::new, |finding| finding.one_line(source)) })
        }
    };
    let both = report.client.is_ok() && report.server.is_ok();
    // Of what was not played to its end only a difference is known.
    let agree = match report.differences.is_empty() {
        true => both.then_some(true).filter(|_| !report.too_long),
        false => both.then_some(false),
    };
    let differences: Vec<_> = report.differences.iter().map(difference).collect();
    let elsewhere: Vec<_> = report.elsewhere.iter().map(|(_, found)| difference(found)).collect();
    let summary = json!({ "file": source.name(), "client": why(&report.client), "server": why(&report.server),
        "udp": why(&report.datagrams), "agree": agree, "differences": differences, "notes": elsewhere,
        "too_long": report.too_long, "crowded": report.crowded, "unplayed": report.unplayed.iter().map(|(line, _)| line).collect::<Vec<_>>() });
    json::push_line(&mut text, &summary);
    match console.print(text.as_bytes()) {
        Exit::Done if !playable => Exit::Usage,
        Exit::Done if !report.differences.is_empty() => Exit::Differs,
        printed => printed,
    }
}

fn tell(transcript: &Transcript, report: &Report, console: &Console) -> Exit {
    let name = transcript.source().name();
    for warning in report.warnings.iter().take(transcript::MOST_SHOWN) {
        console.complain(&warning.render(transcript.source()));
    }
    if let Some(more @ 1..) = report.warnings.len().checked_sub(transcript::MOST_SHOWN) {
        console.complain(&format!("{name}: {} warnings; {more} more are not shown\n", report.warnings.len()));
    }
    for difference in &report.differences {
        console.complain(&difference.render());
    }
    for (carrier, found) in &report.elsewhere {
        let (over, scheme) = carrier_words(*carrier);
        let headline = found.failure.headline();
        console.complain(&format!(
            "note: over {over}, which the file does not name with `at {scheme}://…`, the two ends differ: {headline}\n{}",
            found.details()
        ));
    }
    if !report.is_playable() {
        let mut told = String::new();
        for refused in [&report.client, &report.server].into_iter().filter_map(|side| side.as_ref().err()) {
            // What is wrong for both sides is said once.
            let refused = refused.to_string();
            if refused != told {
                console.complain(&refused);
            }
            told = refused;
        }
        return Exit::Usage;
    }
    let text = outcome(transcript, report);
    let printed = if console.quiet { Exit::Done } else { console.print(text.as_bytes()) };
    if printed == Exit::Done && !report.differences.is_empty() { Exit::Differs } else { printed }
}

/// From which ends it can be played, and whether they agree.
fn outcome(transcript: &Transcript, report: &Report) -> String {
    let name = transcript.source().name();
    let line = |side: &str, result: &Result<(), Refused>| match result {
        Ok(()) => format!("{name}: {side}: yes\n"),
        Err(refused) => {
            let why = refused.findings.first().map_or_else(String::new, |finding| finding.one_line(&refused.source));
            format!("{name}: {side}: no: {why}\n")
        }
    };
    let mut text = line("as client", &report.client) + &line("as server", &report.server);
    text += &match report.elsewhere.iter().find(|(carrier, _)| *carrier == Carrier::Datagram) {
        Some((_, found)) => format!("{name}: over UDP: the two ends differ: {}\n", found.failure.headline()),
        None => line("over UDP", &report.datagrams),
    };
    if let Some(count) = report.crowded.filter(|_| report.datagrams.is_ok()) {
        let lost = "more than the queue of a socket may hold: on a busy machine some are lost";
        text.insert_str(text.len() - 1, &format!("; {count} datagrams follow each other there, {lost}"));
    }
    if report.client.is_ok() && report.server.is_ok() {
        let verdict = match (report.differences.is_empty(), report.too_long) {
            (false, _) => "they differ".to_owned(),
            (true, true) => too_long(),
            (true, false) => "they agree".to_owned(),
        };
        text += &format!(
            "{name}: both ends against each other: {verdict}{}\n",
            unplayed(&report.unplayed, transcript.source())
        );
    }
    text
}

/// Of a conversation that is not played to its end.
fn too_long() -> String {
    let (steps, mebibytes) = (limits::count(rehearse::MOST_STEPS as u64), rehearse::MOST_BYTES >> 20);
    format!(
        "they agree as far as they were played; it is too long to play to its end ({steps} steps, or {mebibytes} MiB from one end)"
    )
}

/// How a carrier is called, and its scheme.
fn carrier_words(carrier: Carrier) -> (&'static str, &'static str) {
    match carrier {
        Carrier::Stream => ("TCP", "tcp"),
        Carrier::Datagram | Carrier::Packet => ("UDP", "udp"),
        Carrier::Messages => ("WebSocket", "ws"),
    }
}

/// Which branches were not played.
fn unplayed(branches: &[(usize, Option<String>)], source: &Source) -> String {
    let number = |line: usize| match source.locate(line) {
        (name, line) if name != source.name() => format!("{line} of {name}"),
        (_, line) => line.to_string(),
    };
    let lines = |wanted: fn(&Option<String>) -> bool| {
        let lines: Vec<_> = branches.iter().filter(|(_, why)| wanted(why)).map(|(line, _)| number(*line)).collect();
        let word = if lines.len() == 1 { "the branch at line" } else { "the branches at lines" };
        (!lines.is_empty()).then(|| format!("{word} {}", lines.join(", ")))
    };
    let mut text = String::new();
    if let Some(lines) = lines(Option::is_none) {
        text += &format!("; not played: {lines} (--all-branches plays every one)");
    }
    if lines(Option::is_some).is_some() {
        for (line, why) in branches {
            if let Some(why) = why {
                text += &format!("; the branch at line {} cannot be played: {why}", number(*line));
            }
        }
    }
    text
}
