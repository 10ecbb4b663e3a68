//! `sockeye import --har`.

use std::fmt::Write as _;

use sockeye::capture::{Archive, Protocol, StreamId, archives};

use super::finished;
use crate::exit::Exit;
use crate::flags::{Import, StreamWanted};
use crate::output::Console;

/// Makes a transcript of what an archive has of one server; the exit code says whether all of it is there.
pub(super) fn transcript(bytes: &[u8], flags: &Import, console: &Console) -> Result<(String, Exit), Exit> {
    let name = flags.file.display().to_string();
    let wrong = |why: &str| console.fail(Exit::Usage, why);
    if bytes.len() as u64 > sockeye::limits::HTTP_ARCHIVE {
        return Err(wrong(&format!("{name} is larger than 64 MiB: save an archive of fewer pages")));
    }
    if let Some(why) = super::page::packed(bytes) {
        return Err(wrong(&format!("{name}: {why}")));
    }
    let archives = archives(bytes).map_err(|why| wrong(&format!("{name}: {why}")))?;
    let archive = chosen(&name, &archives, flags.stream).map_err(|why| wrong(&why))?;
    let conversation = &archive.conversation;
    let text = finished(&name, conversation, conversation.notes.clone(), flags.exact, console)?;
    Ok((text, if conversation.is_cut { Exit::CutShort } else { Exit::Done }))
}

fn chosen<'a>(name: &str, archives: &'a [Archive], wanted: Option<StreamWanted>) -> Result<&'a Archive, String> {
    let number = match (wanted, archives) {
        (None, [only]) => return Ok(only),
        (None, _) => None,
        (Some(StreamWanted::Number(number)), _) => Some(number),
        (Some(StreamWanted::Named(StreamId { protocol, number })), _) => (protocol == Protocol::Tcp).then_some(number),
    };
    let found = number.and_then(|number| archives.get(usize::try_from(number).ok()?));
    found.ok_or_else(|| {
        let mut text = format!("{name} has requests to {} servers: say which one", archives.len());
        for (number, archive) in archives.iter().enumerate() {
            let _ = write!(
                text,
                "\n  --stream {number:<4} {}, {} request{}",
                archive.origin,
                archive.requests,
                if archive.requests == 1 { "" } else { "s" }
            );
        }
        text
    })
}
