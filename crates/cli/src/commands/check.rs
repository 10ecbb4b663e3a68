//! `sockeye check`.

use sockeye::verb::check::{Report, check};
use transcript::{Refused, Transcript};

use super::file;
use crate::exit::Exit;
use crate::flags::Check;
use crate::output::Console;

/// Checks every file; the code is that of the worst.
pub(crate) fn run(flags: &Check, console: &Console) -> Exit {
    let mut worst = Exit::Done;
    for path in &flags.files {
        let exit = match file::read(path, &flags.values.names(), console) {
            Ok(transcript) => tell(&transcript, &check(&transcript, &flags.values.to_map()), console),
            Err(exit) => exit,
        };
        worst = match (worst, exit) {
            (Exit::Usage, _) | (_, Exit::Done) => worst,
            (_, exit) => exit,
        };
    }
    worst
}

fn tell(transcript: &Transcript, report: &Report, console: &Console) -> Exit {
    let name = transcript.source().name();
    for warning in &report.warnings {
        console.complain(&warning.render(transcript.source()));
    }
    for difference in &report.differences {
        console.complain(difference);
    }
    if !report.is_playable() {
        for refused in [&report.client, &report.server].into_iter().filter_map(|side| side.as_ref().err()) {
            console.complain(&refused.to_string());
        }
        return Exit::Usage;
    }
    let line = |side: &str, result: &Result<(), Refused>| match result {
        Ok(()) => format!("{name}: {side}: yes\n"),
        Err(refused) => {
            let why = refused.findings.first().map_or_else(String::new, |finding| finding.one_line(&refused.source));
            format!("{name}: {side}: no: {why}\n")
        }
    };
    let mut text = line("as client", &report.client) + &line("as server", &report.server);
    text += &line("over UDP", &report.datagrams);
    if report.client.is_ok() && report.server.is_ok() {
        let verdict = match (report.differences.is_empty(), report.too_long) {
            (false, _) => "they differ",
            (true, true) => "they agree as far as they were played; it is too long to play to its end",
            (true, false) => "they agree",
        };
        text += &format!("{name}: both ends against each other: {verdict}\n");
    }
    let printed = if console.quiet { Exit::Done } else { console.print(text.as_bytes()) };
    if printed == Exit::Done && !report.differences.is_empty() { Exit::Differs } else { printed }
}
