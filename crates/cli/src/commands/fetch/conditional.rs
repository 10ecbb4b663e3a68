//! Asking only for what is another than what is there: by the file's time, or by a tag that was kept (RFC 9110, section 13).

use std::path::Path;
use std::time::SystemTime;

use sockeye::file::AtomicFile;
use sockeye::verb::fetch::{Head, Request, date};

use super::Failure;
use crate::exit::Exit;
use crate::flags::Fetch;

/// Longest tag that is kept, in bytes.
const LONGEST: u64 = 8192;

/// Whether a 304 is what was asked for.
pub(super) fn is_asked(flags: &Fetch) -> bool {
    flags.if_newer || flags.etag.is_some()
}

/// Says what is there. Where the file is not, everything is wanted, whatever was kept.
pub(super) fn ask(flags: &Fetch, path: &Path, request: &mut Request) -> Result<(), Failure> {
    let Some(found) = path.metadata().ok().filter(std::fs::Metadata::is_file) else { return Ok(()) };
    if let (true, Ok(modified)) = (flags.if_newer, found.modified()) {
        request.fields.push(("If-Modified-Since".to_owned(), date(modified.min(SystemTime::now()))));
    }
    if let Some(kept) = &flags.etag {
        match kept.metadata() {
            Ok(found) if found.is_file() && found.len() <= LONGEST => {
                let text = std::fs::read_to_string(kept).map_err(|error| {
                    (Exit::CannotRead, format!("cannot read the tag in {}: {error}", kept.display()))
                })?;
                let tag = text.trim();
                if !tag.is_empty() {
                    request.fields.push(("If-None-Match".to_owned(), tag.to_owned()));
                }
            }
            Ok(_) => {
                let why = format!("{} holds no tag: it is no small file", kept.display());
                return Err((Exit::CannotRead, why));
            }
            // The first time.
            Err(_) => {}
        }
    }
    Ok(())
}

/// The tag of an answer.
pub(super) fn tag(head: &Head) -> Option<String> {
    let (_, value) = head.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("etag"))?;
    String::from_utf8(value.clone()).ok()
}

/// Keeps it for the next time. Without one, the next time everything is fetched.
pub(super) fn keep(flags: &Fetch, tag: Option<String>) -> Result<(), Failure> {
    let Some(path) = &flags.etag else { return Ok(()) };
    let text = tag.map(|tag| format!("{tag}\n")).unwrap_or_default();
    let written = AtomicFile::create(path).and_then(|mut file| {
        file.append(text.as_bytes())?;
        file.commit()
    });
    written.map_err(|error| (Exit::CannotWrite, format!("the tag is not kept: {error}")))
}
