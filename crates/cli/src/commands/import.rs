//! `sockeye import`: from what others wrote down to a transcript.

mod archive;
mod capture;
mod page;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sockeye::capture::Conversation;
use transcript::import::with_holes;
use transcript::rehearse::rehearse;
use transcript::{Carrier, Ending, Fault, PlayOptions, Script, Side, Transcript};

use crate::exit::Exit;
use crate::failure::CommandFailure;
use crate::flags;
use crate::output::Console;
use crate::whole;

/// Prints a conversation that a page or a capture has as a transcript.
pub(crate) fn run(flags: &flags::Import, console: &Console) -> Exit {
    let (Ok(exit) | Err(exit)) = import(flags, console);
    console.flush();
    exit
}

fn import(flags: &flags::Import, console: &Console) -> Result<Exit, Exit> {
    let name = flags.file.display().to_string();
    let unreadable = |error: io::Error| {
        console.fail(
            Exit::of(&error, Exit::CannotRead),
            &format!("cannot read {name}: {error}", error = sockeye::net::words(&error)),
        )
    };
    let source = Source::open(flags).map_err(unreadable)?;
    let (text, exit) = if flags.har {
        archive::transcript(&source.read(sockeye::limits::HTTP_ARCHIVE + 1).map_err(unreadable)?, flags, console)?
    } else if source.is_capture() {
        capture::transcript(source, flags, console)?
    } else {
        let page = source.read(sockeye::limits::TRANSCRIPT + 1).map_err(unreadable)?;
        (page::transcript(page, flags, console)?, Exit::Done)
    };
    put(&text, flags, console).map(|()| exit)
}

/// Where it comes from, and how it begins.
struct Source {
    head: Vec<u8>,
    /// None is standard input.
    file: Option<File>,
}

impl Source {
    fn open(flags: &flags::Import) -> io::Result<Self> {
        let mut head = Vec::new();
        if flags.file.as_os_str() == "-" {
            io::stdin().take(4).read_to_end(&mut head)?;
            return Ok(Self { head, file: None });
        }
        let file = File::open(&flags.file)?;
        (&file).take(4).read_to_end(&mut head)?;
        Ok(Self { head, file: Some(file) })
    }

    fn is_capture(&self) -> bool {
        sockeye::capture::is_capture(&self.head)
    }

    /// All of it, or as much.
    fn read(self, most: u64) -> io::Result<Vec<u8>> {
        let mut all = self.head;
        let more = most.saturating_sub(all.len() as u64);
        match self.file {
            Some(file) => file.take(more).read_to_end(&mut all)?,
            None => io::stdin().take(more).read_to_end(&mut all)?,
        };
        Ok(all)
    }
}

/// Writes the transcript where it is wanted.
fn put(text: &str, flags: &flags::Import, console: &Console) -> Result<(), Exit> {
    whole::write(flags.output.as_deref().unwrap_or(Path::new("-")), text, console)
}

/// A conversation as a transcript that plays from both ends, with what is to be known of it above; each note is a warning too.
fn finished(
    name: &str,
    conversation: &Conversation,
    mut notes: Vec<String>,
    is_exact: bool,
    console: &Console,
) -> Result<String, Exit> {
    let exact = conversation.transcript();
    let shown = format!("the transcript of {name}");
    let passes = |text: &str| agrees(&shown, text, conversation.carrier).map(drop);
    let open = if is_exact { None } else { Some(with_holes(&exact)).filter(|open| *open != exact) };
    let body = match open.map(|open| passes(&open).map(|()| open)) {
        Some(Ok(open)) => open,
        other => {
            passes(&exact).map_err(|why| console.conclude(Exit::Usage, why))?;
            if matches!(other, Some(Err(_))) {
                notes.push(
                    "what may be another thing the next time stays as it was: with holes the two ends would differ"
                        .to_owned(),
                );
            }
            exact
        }
    };
    let text: String = notes.iter().map(|note| format!("# {note}\n")).collect::<String>() + &body;
    console.warn_of_all(&notes.iter().map(|note| format!("{name}: {note}")).collect::<Vec<_>>());
    Ok(text)
}

/// Nothing is printed that `sockeye check` would not pass. What it would warn of is in the transcript.
fn agrees(name: &str, text: &str, carrier: Carrier) -> Result<Transcript, CommandFailure> {
    let transcript = Transcript::parse(name, text.as_bytes(), &[])?;
    let prepare = |side| Script::prepare(&transcript, &PlayOptions::new(side, carrier));
    let (client, server) = (prepare(Side::Client)?, prepare(Side::Server)?);
    let rehearsal = rehearse(&client, &server, |all| all);
    let failed = [rehearsal.client, rehearsal.server].into_iter().filter_map(|ending| match ending {
        Ending::Failed(verdict) => Some(verdict),
        _ => None,
    });
    // That the other end closed early follows from why it did.
    match failed.min_by_key(|verdict| verdict.fault == Fault::ClosedEarly) {
        Some(verdict) => Err(CommandFailure::failed(None, verdict.into())),
        None => Ok(transcript),
    }
}
