//! `sockeye talk --play FILE --update`: the transcript is brought up to what the server says.

use std::path::Path;
use std::sync::Arc;

use sockeye::failure::Failure;
use sockeye::file::{AtomicFile, FileError};
use sockeye::net::connect::connect;
use sockeye::verb::serve::LoadedTranscript;
use sockeye::verb::talk::{Setting, play};
use transcript::{Fault, Transcript, Verdict};

use super::connection;
use super::play_once::{Target, judge, prepare, security, unconnected};
use crate::exit::Exit;
use crate::flags::Talk;
use crate::output::Console;

/// Most lines that are rewritten: a server that never says the same twice is given up.
const MOST: usize = 1000;

/// Plays until nothing differs any more that a line could mend; each failing line is rewritten.
pub(super) fn run(flags: &Talk, mut target: Target, text: &str, console: &Console) -> Result<Exit, Exit> {
    let mut text = text.to_owned();
    let mut updated: Vec<usize> = Vec::new();
    let (trust, begins) = security(flags, &target, console)?;
    let host = target.address.tls_host();
    let exit = loop {
        let script = prepare(flags, &target.loaded, target.carrier(), &[])
            .map_err(|refused| console.conclude(Exit::Usage, refused))?;
        let connected = match connect(&target.address, target.protocol, &connection::options(flags)) {
            Ok(connected) => connected,
            Err(error) => {
                let (exit, why) = unconnected(&error, flags);
                break console.conclude(exit, why);
            }
        };
        let reconnect = connection::reconnect(flags, &target.address);
        let setting = Setting { tap: None, trust: &trust, host: &host, begins: begins.clone(), reconnect, row: None };
        let played = play(connected, &Arc::new(script), &setting);
        if let Some(Failure::Play { verdict, .. }) = &played.failure
            && updated.len() < MOST
            // A line that failed again as it was received the last time is another one each time.
            && updated.last() != Some(&verdict.place.line)
            && let Some(newer) = transcript::update(&text, verdict)
        {
            let line = verdict.place.line;
            let place = format!("{}:{line}", target.loaded.transcript.source().name());
            let lost = newer.lost.join(", ");
            if let Some(loaded) = parse(flags, &target, &newer.text) {
                if !lost.is_empty() {
                    console.note(&format!("{place}: not kept: {lost}, which is not in what came"));
                }
                updated.push(line);
                text = newer.text;
                target.loaded = loaded;
                continue;
            }
            if !lost.is_empty() {
                console.note(&format!("{place}: not written anew: {lost} is not in what came, and is used below"));
            } else {
                console.note(&format!(
                    "{place}: not written anew: with what came in it the transcript could not be played"
                ));
            }
        } else if let Some(Failure::Play { verdict, .. }) = &played.failure {
            tell_of_rest(verdict, updated.last(), console);
        }
        break match judge(played, updated.len() + 1, console) {
            Ok(()) => Exit::Done,
            Err((exit, why)) => console.conclude(exit, why),
        };
    };
    if updated.is_empty() {
        return Ok(exit);
    }
    if let Some(path) = flags.play.first() {
        store(path, &text, &updated, console)?;
    }
    Ok(exit)
}

/// Writes the file, and says which of its lines are new.
fn store(path: &Path, text: &str, updated: &[usize], console: &Console) -> Result<(), Exit> {
    write(path, text).map_err(|error| console.fail(Exit::CannotWrite, &error.to_string()))?;
    let lines: Vec<String> = updated.iter().map(usize::to_string).collect();
    console.note(&format!("{}: written anew: line {}", path.display(), lines.join(", ")));
    Ok(())
}

/// Whether the text of the line that differs is that of a file: `S file: body.txt`.
fn is_of_file(verdict: &Verdict) -> bool {
    let line = verdict.source.line(verdict.place.line);
    line.split_once(':').is_some_and(|(head, _)| head.trim_end().ends_with(" file"))
}

/// Says why a line that the play failed at stays as it is.
fn tell_of_rest(verdict: &Verdict, last: Option<&usize>, console: &Console) {
    let (file, line) = verdict.source.locate(verdict.place.line);
    let why = if file != verdict.source.name() {
        // It may be one of many conversations: only who keeps it knows whether it is to change.
        "--update changes the file that is played, and none that it includes"
    } else if last == Some(&verdict.place.line) && matches!(verdict.fault, Fault::Differs) {
        "it was written anew, and is another one each time: write a pattern in its place"
    } else {
        match (&verdict.fault, verdict.expected.len()) {
            (Fault::Differs, _) if is_of_file(verdict) => {
                "its text stands in another file, which --update does not change"
            }
            (Fault::Differs, 2..) => "several lines may stand there, and which of them it is to be cannot be known",
            (Fault::Differs, _) => {
                "what came has no line here whose text it could become: a line is too much or missing"
            }
            (Fault::NothingCame { .. } | Fault::ClosedEarly, _) => "nothing came for it: it may have to be taken out",
            (Fault::UnexpectedData, _) => "more came than is written: a line is missing before it",
            (Fault::WrongEnding, _) => "its text is right and its line ending is not, which `eol` says",
            _ => return,
        }
    };
    console.note(&format!("{file}:{line}: not written anew: {why}"));
}

/// The transcript with the new line, if it can be played: a name that the old line captured may be missing now.
fn parse(flags: &Talk, target: &Target, text: &str) -> Option<LoadedTranscript> {
    let name = target.loaded.transcript.source().name();
    let transcript = Transcript::parse_with(
        name,
        text.as_bytes(),
        &flags.values.names(),
        target.loaded.files.as_deref().map(|files| files as _),
    )
    .ok()?;
    let loaded = LoadedTranscript { transcript, files: target.loaded.files.clone() };
    prepare(flags, &loaded, target.carrier(), &[]).ok().map(|_| loaded)
}

fn write(path: &Path, text: &str) -> Result<(), FileError> {
    let mut file = AtomicFile::create(path)?;
    file.append(text.as_bytes())?;
    file.commit()
}
