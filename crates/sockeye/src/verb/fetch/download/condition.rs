//! Asking only for what is another than what is there: by the time of a file, or by a tag that was kept (RFC 9110, section 13).

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::{Head, Request, date};
use super::error::{TransferError, TransferErrorKind};
use crate::file::AtomicFile;
use crate::limits;

/// What makes a request conditional, so that what has not changed is not sent again. A server that has nothing else answers
/// 304 (RFC 9110, section 15.4.5), which is [`Outcome::NotChanged`](super::Outcome::NotChanged). The default sets no condition.
///
/// Where no file is there, everything is asked for, whatever tag was kept. The [target](super::Target) has to allow that the
/// file is replaced.
///
/// ```
/// use sockeye::mock::Mock;
/// use sockeye::verb::fetch::download::{Condition, Download, Outcome, Target};
/// use sockeye::verb::fetch::{ConnectionPool, FetchOptions, Request, Url};
///
/// let server = Mock::start("C: GET /a HTTP/1.1\nrepeat\n  C: {_}\nend\nC:\nS: HTTP/1.1 304 Not Modified\nS: ETag: \"7\"\nS:\nS closes\n");
/// let folder = tempfile::tempdir()?;
/// let (path, tag_file) = (folder.path().join("a"), folder.path().join("tag"));
/// std::fs::write(&path, "as it was")?;
/// std::fs::write(&tag_file, "\"7\"\n")?;
///
/// let request = Request::get(Url::parse(&format!("{}/a", server.url("http")))?);
/// let condition = Condition { tag_file: Some(tag_file), ..Condition::default() };
/// let download = Download { condition, ..Download::new(request, Target::at(path, true)) };
/// let options = FetchOptions::default();
/// assert!(download.preview(&options, &mut ())?.is_some_and(|asked| asked.contains("if-none-match: \"7\"")));
/// assert_eq!(download.run(&options, &ConnectionPool::default(), &mut ())?, Outcome::NotChanged);
/// # server.finish();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// What was saved before; without it, the file of the target.
    pub file: Option<PathBuf>,
    /// Only what was modified after that file was (If-Modified-Since: RFC 9110, section 13.1.3). The new file gets the time that
    /// the server says, so that the next comparison does not depend on two clocks.
    pub if_newer: bool,
    /// Only what has another tag than the one in this file, if there is one (If-None-Match: RFC 9110, section 13.1.2). The tag of
    /// what is saved is kept there for the next time; an answer without one leaves the file empty.
    pub tag_file: Option<PathBuf>,
}

impl Condition {
    /// Whether anything is asked for under a condition.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.if_newer || self.tag_file.is_some()
    }

    /// Says in a request what is there.
    pub(super) fn add_to(&self, request: &mut Request, target: Option<&Path>) -> Result<(), TransferError> {
        let file = self.file.as_deref().or(target).filter(|_| self.is_set());
        let Some(found) = file.and_then(|file| file.metadata().ok()).filter(std::fs::Metadata::is_file) else {
            return Ok(());
        };
        if let (true, Ok(modified)) = (self.if_newer, found.modified()) {
            // A server ignores a time that is in the future.
            request.fields.push(("If-Modified-Since".to_owned(), date(modified.min(SystemTime::now()))));
        }
        if let Some(tag) = self.tag_file.as_deref().map(read_tag).transpose()?.flatten() {
            request.fields.push(("If-None-Match".to_owned(), tag));
        }
        Ok(())
    }

    /// Keeps a tag for the next time. Without one, the next time everything is fetched.
    pub(super) fn keep(&self, tag: Option<&str>) -> Result<(), TransferError> {
        let Some(path) = &self.tag_file else { return Ok(()) };
        let text = tag.map(|tag| format!("{tag}\n")).unwrap_or_default();
        let written = AtomicFile::create(path).and_then(|mut file| {
            file.append(text.as_bytes())?;
            file.commit()
        });
        written.map_err(|error| TransferError::new(TransferErrorKind::Output, format!("the tag is not kept: {error}")))
    }
}

/// The tag of an answer, weak or strong (RFC 9110, section 8.8.3).
pub(super) fn etag(head: &Head) -> Option<String> {
    head.first("etag").and_then(|value| String::from_utf8(value.to_vec()).ok())
}

/// The tag in a file; none if there is no file yet, or nothing in it.
fn read_tag(path: &Path) -> Result<Option<String>, TransferError> {
    let Ok(found) = path.metadata() else { return Ok(None) };
    let unreadable = |text: String| TransferError::new(TransferErrorKind::Input, text);
    let shown = path.display();
    if !found.is_file() || found.len() > limits::TAG_FILE {
        return Err(unreadable(format!("{shown} holds no tag: it is no small file")));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| unreadable(format!("cannot read the tag in {shown}: {error}")))?;
    Ok(Some(text.trim().to_owned()).filter(|tag| !tag.is_empty()))
}
