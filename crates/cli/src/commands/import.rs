//! `sockeye import`.

use std::io::{self, Read};

use sockeye::file::AtomicFile;
use transcript::import::{Import, Imported, import, why_none};
use transcript::rehearse::rehearse;
use transcript::{Carrier, Ending, Options, Script, Side, Transcript};

use super::file;
use crate::exit::Exit;
use crate::failure::Why;
use crate::flags;
use crate::output::Console;

/// Prints a session of a page as a transcript.
pub(crate) fn run(flags: &flags::Import, console: &Console) -> Exit {
    let (Ok(exit) | Err(exit)) = transcript(flags, console);
    console.flush();
    exit
}

fn transcript(flags: &flags::Import, console: &Console) -> Result<Exit, Exit> {
    let name = flags.file.display().to_string();
    let page = read(flags).map_err(|error| {
        console.fail(Exit::Usage, &format!("cannot read {name}: {error}", error = sockeye::net::words(&error)))
    })?;
    if page.len() as u64 > sockeye::limits::TRANSCRIPT {
        return Err(console.fail(Exit::Usage, &format!("{name} is larger than 16 MiB: cut out the pages that matter")));
    }
    let page = utf16(&page).map_or(page, String::into_bytes);
    let lossy = String::from_utf8_lossy(&page);
    let is_utf8 = matches!(lossy, std::borrow::Cow::Borrowed(_));
    let page = lossy;
    let client = flags.client.as_deref();
    let options = Import { session: flags.session, starttls: flags.starttls, client };
    let Some(imported) = import(&page, options) else {
        let first = import(&page, Import { client, ..Import::default() });
        let why = match first.map(|first| first.sessions.len()) {
            Some(1) => format!("{name} has one session, and no number {}", flags.session),
            Some(count) => format!("{name} has {count} sessions, and no number {}", flags.session),
            None => format!("{name} has no session: {}", why_none(&page, client)),
        };
        return Err(console.fail(Exit::Usage, &why));
    };
    agrees(&name, &imported).map_err(|why| console.conclude(Exit::Usage, why))?;
    let mut warnings: Vec<String> =
        imported.guesses.iter().map(|(line, guess)| format!("warning: {name}:{line}: {guess}")).collect();
    if !is_utf8 {
        warnings.push(format!(
            "warning: {name} is not UTF-8 throughout: what is not is shown as {}",
            char::REPLACEMENT_CHARACTER
        ));
    }
    if let [_, _, ..] = imported.sessions[..] {
        let lines: Vec<String> = imported.sessions.iter().map(ToString::to_string).collect();
        let (count, lines) = (lines.len(), lines.join(", "));
        let taken = flags.session;
        warnings.push(format!(
            "warning: {name} has {count} sessions, at the lines {lines}; this is number {taken} (--session)"
        ));
    }
    // At once and not as events, of which a long page has more than wait.
    if !console.quiet && !warnings.is_empty() {
        console.complain(&warnings.join("\n"));
    }
    let Some(path) = &flags.output else { return Ok(console.print(imported.text.as_bytes())) };
    let written = AtomicFile::create(path).and_then(|mut file| {
        file.append(imported.text.as_bytes())?;
        file.commit()
    });
    written.map_err(|error| console.fail(Exit::CannotWrite, &error.to_string()))?;
    Ok(Exit::Done)
}

fn read(flags: &flags::Import) -> io::Result<Vec<u8>> {
    if flags.file.as_os_str() != "-" {
        return file::text(&flags.file);
    }
    let mut page = Vec::new();
    io::stdin().take(sockeye::limits::TRANSCRIPT + 1).read_to_end(&mut page)?;
    Ok(page)
}

/// Nothing is printed that `sockeye check` would not pass.
fn agrees(name: &str, imported: &Imported) -> Result<(), Why> {
    let transcript = Transcript::parse(name, imported.text.as_bytes(), &[])?;
    let prepare = |side| Script::prepare(&transcript, &Options::new(side, Carrier::Stream));
    let (client, server) = (prepare(Side::Client)?, prepare(Side::Server)?);
    let rehearsal = rehearse(&client, &server, |all| all);
    match [rehearsal.client, rehearsal.server].into_iter().find(|ending| !ending.is_success()) {
        Some(Ending::Failed(verdict)) => Err(Why::failed(None, verdict.into())),
        _ => Ok(()),
    }
}

/// The text of a page that was saved as UTF-16, which begins with its mark.
fn utf16(page: &[u8]) -> Option<String> {
    let of: fn([u8; 2]) -> u16 = match page {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return None,
    };
    let units: Vec<u16> = page[2..].chunks_exact(2).map(|pair| of([pair[0], pair[1]])).collect();
    Some(String::from_utf16_lossy(&units))
}
