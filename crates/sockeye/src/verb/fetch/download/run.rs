//! One download that is going on: an attempt of it, from the request until the file has its name.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::super::{
    Answer, ConnectionPool, Failed, FetchError, FetchOptions, Head, Request, SaveOptions, Saved, Url, Watch, fetch,
    is_packed,
};
use super::Download;
use super::condition::etag;
use super::destination::{Destination, Target, Unfinished};
use super::error::{TransferError, TransferErrorKind, is_idempotent};
use super::segments::Segments;
use super::watcher::{Note, Outcome, Report, Watcher};
use crate::net::connect::Attempt;
use crate::net::words;
use crate::sink::Sink;

/// One download that is going on.
pub(super) struct Run<'a> {
    pub(super) download: &'a Download,
    /// What is asked for, with the conditions of the download.
    pub(super) request: &'a Request,
    pub(super) options: &'a FetchOptions,
    pub(super) pool: &'a ConnectionPool,
    pub(super) watcher: &'a mut dyn Watcher,
}

/// Tells the watcher, and remembers whether a server has redirected.
struct Redirects<'a> {
    watcher: &'a mut dyn Watcher,
    any: bool,
}

impl Watch for Redirects<'_> {
    fn tried(&mut self, attempts: &[Attempt]) {
        self.watcher.tried(attempts);
    }

    fn asked(&mut self, request: &str) {
        self.watcher.asked(request);
    }

    fn redirected(&mut self, status: u16, to: &Url, dropped: &[String]) {
        self.any = true;
        self.watcher.redirected(status, to, dropped);
    }
}

impl Run<'_> {
    /// One attempt. `may_retry` says whether there is another one, for an answer that may be another soon.
    pub(super) fn once(&mut self, may_retry: bool) -> Result<Outcome, TransferError> {
        self.watcher.begins();
        if self.is_finished() {
            self.watcher.note(Some(&self.request.url), &Note::AlreadyThere);
            return Ok(Outcome::AlreadyThere);
        }
        let until: Option<Instant> = self.options.timeout.map(|timeout| self.options.began + timeout);
        let destination = self.open(&self.download.target, until)?;
        self.watcher.holds(destination.unfinished());
        let done = self.ask(destination, may_retry);
        self.watcher.holds(Unfinished::Nothing);
        done
    }

    /// Whether a file of an earlier run has its name already and is still what the server has, as far as its length and time
    /// tell. What is asked for is what would stand behind its end.
    fn is_finished(&self) -> bool {
        let request = self.request;
        let Target::Resumable { path, .. } = &self.download.target else { return false };
        let Ok(found) = std::fs::metadata(path) else { return false };
        let mut part = path.clone().into_os_string();
        part.push(".part");
        if !found.is_file() || Path::new(&part).exists() || !is_idempotent(&request.method) {
            return false;
        }
        let mut request = request.clone();
        request.fields.push(("Range".to_owned(), format!("bytes={}-", found.len())));
        request.fields.push(("Accept-Encoding".to_owned(), "identity".to_owned()));
        let Ok(answer) = fetch(&request, self.options, self.pool, &mut ()) else { return false };
        let head = answer.head();
        let is_as_long = match head.status {
            416 => head.whole_without_range().is_none_or(|length| length == found.len()),
            200 => head.length == Some(found.len()),
            _ => false,
        };
        let is_newer = head.last_modified().zip(found.modified().ok()).is_some_and(|(there, here)| there > here);
        let is_finished = is_as_long && !is_newer;
        if is_finished {
            // A run that was killed behind the last step leaves it.
            part.push(".json");
            let _ = std::fs::remove_file(&part);
        }
        is_finished
    }

    /// Opens a place, and makes its folder if that is wanted.
    fn open(&self, target: &Target, until: Option<Instant>) -> Result<Destination, TransferError> {
        if let Some(folder) = target.file().and_then(Path::parent).filter(|_| self.download.makes_folder) {
            std::fs::create_dir_all(folder).map_err(|error| {
                let text = format!("cannot make the folder {}: {}", folder.display(), words(&error));
                TransferError::new(TransferErrorKind::Output, text)
            })?;
        }
        Destination::open(target, until)
    }

    /// What is sent: for a place that may have a part already.
    fn request_for(&self, destination: &Destination) -> Request {
        let download = self.download;
        let mut request = self.request.clone();
        if download.is_resumable() {
            request.range = destination.missing(&request.url);
        }
        let is_packed = download.as_named && !download.raw && is_packed(&destination.name());
        if download.is_resumable() || download.progress.len() > 1 || is_packed {
            // What is on the wire is what is in the file, so that a position in one is one in the other.
            request.fields.insert(0, ("Accept-Encoding".to_owned(), "identity".to_owned()));
        }
        request
    }

    fn ask(&mut self, destination: Destination, may_retry: bool) -> Result<Outcome, TransferError> {
        let download = self.download;
        let mut request = self.request_for(&destination);
        let answer = self.answer(&mut request, &destination)?;
        // As with redirects, only the last head is shown.
        if let Some(transient) = TransferError::transient(&answer, &request.method).filter(|_| may_retry) {
            return Err(transient);
        }
        self.watcher.head(answer.head())?;
        let status = answer.head().status;
        if status == 416 && destination.is_all(&answer) {
            self.watcher.note(Some(&answer.url), &Note::AlreadyThere);
            self.end(&answer);
            return self.name(destination, &answer).map(|()| Outcome::AlreadyThere);
        }
        if status >= 400 && !download.save_errors {
            destination.refused(status);
            return Err(self.refused(&answer));
        }
        if status == 304 && download.condition.is_set() && request.asks_if_changed() {
            self.watcher.note(Some(&answer.url), &Note::NotChanged);
            self.end(&answer);
            return leave(answer, &request.method).map(|()| Outcome::NotChanged);
        }
        // Without the condition there is no file, or no tag of it: nothing says that it has not changed. Where no condition is
        // wanted, it is an answer without content, as to curl.
        if status == 304 && download.condition.is_set() && request.method != "HEAD" {
            return Err(self.changed_unasked(&answer));
        }
        let mut tag = None;
        let outcome = if answer.has_body() {
            let Some(destination) = self.named(destination, &answer)? else { return Ok(Outcome::Occupied) };
            tag = etag(answer.head());
            self.take(answer, destination, &request)?;
            Outcome::Saved
        } else {
            self.leave_empty(answer, &request.method)?;
            Outcome::NoBody
        };
        if status >= 400 {
            let text = format!("{}: the answer has the status {status}", request.url.shown());
            return Err(TransferError::new(TransferErrorKind::Status, text));
        }
        if outcome == Outcome::Saved {
            download.condition.keep(tag.as_deref())?;
        }
        Ok(outcome)
    }

    /// Asks, and asks for all of it if the part that is there is of another version.
    fn answer(&mut self, request: &mut Request, destination: &Destination) -> Result<Answer, TransferError> {
        let mut redirects = Redirects { watcher: &mut *self.watcher, any: false };
        let mut answer = fetch(request, self.options, self.pool, &mut redirects);
        let is_other = answer.as_ref().is_err_and(|failed| matches!(*failed.error, FetchError::OtherVersion));
        if is_other && is_idempotent(&request.method) {
            redirects.watcher.note(Some(&request.url), &Note::BeginsAnew);
            destination.forget();
            request.range = None;
            redirects.any = false;
            redirects.watcher.begins();
            answer = fetch(request, self.options, self.pool, &mut redirects);
        }
        let was_heard = redirects.any;
        answer.map_err(|failed| TransferError::unanswered(failed, &request.method, was_heard))
    }

    /// The server does not do what it was asked for.
    fn refused(&mut self, answer: &Answer) -> TransferError {
        let said = self.watcher.refused(answer.head());
        self.end(answer);
        let help = if answer.has_body() { "; nothing saved (--save-errors saves such an answer)" } else { "" };
        let text = format!("{}: {}{said}{help}", answer.url.shown(), answer.head().status_line());
        TransferError::new(TransferErrorKind::Status, text)
    }

    /// The server says that nothing has changed, and was not asked whether anything had.
    fn changed_unasked(&mut self, answer: &Answer) -> TransferError {
        self.end(answer);
        let text = format!(
            "{}: the server says 304, that nothing has changed, and was not asked for that; nothing came",
            answer.url.shown()
        );
        let kind = TransferErrorKind::Exchange(Box::new(FetchError::Protocol(text.clone())));
        TransferError::new(kind, text)
    }

    /// Where the body goes, if only the answer tells.
    fn named(&mut self, destination: Destination, answer: &Answer) -> Result<Option<Destination>, TransferError> {
        if self.download.target != Target::Named {
            return Ok(Some(destination));
        }
        let Some(target) = self.watcher.named(answer)? else { return Ok(None) };
        if self.download.is_occupied(&target, &answer.url, self.watcher) {
            return Ok(None);
        }
        let destination = self.open(&target, None)?;
        self.watcher.holds(destination.unfinished());
        Ok(Some(destination))
    }

    /// An answer without a body: the connection serves for what is asked next.
    fn leave_empty(&mut self, answer: Answer, method: &str) -> Result<(), TransferError> {
        self.end(&answer);
        if self.download.sha256.is_some() {
            let text = format!("{}: the answer has no body, and so not that SHA-256", answer.url.shown());
            return Err(TransferError::new(TransferErrorKind::Differs, text));
        }
        if method != "HEAD" {
            self.watcher.note(Some(&answer.url), &Note::NoBody);
        }
        leave(answer, method)
    }

    fn end(&mut self, answer: &Answer) {
        self.watcher.ended(&Report { url: &answer.url, head: answer.head(), times: answer.times, saved: None });
    }

    /// Takes the body, and gives the file its name.
    fn take(&mut self, answer: Answer, destination: Destination, request: &Request) -> Result<(), TransferError> {
        let download = self.download;
        if let [word, ..] = answer.head().no_codings().as_slice() {
            self.watcher.note(Some(&answer.url), &Note::NoCoding((*word).to_owned()));
        }
        let (head, url, times) = (answer.head().clone(), answer.url.clone(), answer.times);
        let already = destination.begin(&request.url, &answer)?;
        let came = answer.part;
        let segments = Segments::of(&answer, download.progress.len(), download.max_size);
        let saved = match (segments, destination.atomic()) {
            (Some(segments), Some(file)) => {
                segments.take(answer, request, file, &download.progress, (self.options, download.rate))?
            }
            _ => self.save(answer, &destination, already, &request.method)?,
        };
        if let Some(came) = came.filter(|&came| !destination.is_whole(came)) {
            let _ = destination.keep();
            let text = format!("{}: only the bytes {} to {} came", url.shown(), came.first, came.last);
            let error = TransferError::new(TransferErrorKind::CutShort, text);
            return Err(TransferError { goes_on: saved.received > 0, ..error });
        }
        self.check(&destination, &url)?;
        if download.keeps_time || download.condition.if_newer {
            self.set_time(&destination, &head);
        }
        let path = destination.path().map(Path::to_owned);
        destination.commit(self.download.folders.as_deref())?;
        self.watcher.ended(&Report { url: &url, head: &head, times, saved: Some((&saved, path, already)) });
        match saved.unsent {
            // What the server says of it is kept. It is asked again only by hand, or with `Retry::all`.
            Some(failed) => Err(TransferError::from(failed)),
            None => Ok(()),
        }
    }

    /// Takes the body over the connection on which it comes.
    fn save(
        &mut self,
        answer: Answer,
        destination: &Destination,
        already: u64,
        method: &str,
    ) -> Result<Saved, TransferError> {
        let download = self.download;
        let saving = SaveOptions {
            raw: download.raw,
            already,
            max_size: download.max_size,
            rate: download.rate,
            only: None,
            stopper: None,
            progress: Arc::clone(&download.progress[0]),
        };
        let (name, url) = (destination.name(), answer.url.clone());
        let saved = match (destination, destination.descriptor()) {
            (_, Some(file)) => answer.save(&mut Sink::Descriptor(file), &name, &saving),
            (Destination::Output, None) => {
                let head = answer.head().clone();
                let (mut answer, mut saved) = (Some(answer), None);
                let written = self.watcher.output(&head, &mut |sink| {
                    saved = answer.take().map(|answer| answer.save(sink, &name, &saving));
                });
                let nothing = || Err(Failed::at(url.clone(), FetchError::Output(io::ErrorKind::WriteZero.into())));
                saved.unwrap_or_else(nothing).and_then(|saved| {
                    written.map_err(|error| Failed::at(url, FetchError::Output(error)))?;
                    Ok(saved)
                })
            }
            (_, None) => answer.save(&mut Sink::Writer(&mut io::sink()), &name, &saving),
        };
        saved.map_err(|failed| match destination.keep() {
            Some(part) => {
                let mut error = TransferError::interrupted(failed, method);
                error.add(&format!("; --resume goes on with {}", part.display()));
                error
            }
            // What was written to a file without a name is gone; what an output has taken is not.
            None if destination.atomic().is_some() => TransferError::interrupted(failed, method),
            None => TransferError { is_given: true, ..TransferError::from(failed) },
        })
    }

    /// Gives a file its name of which nothing was missing.
    fn name(&self, destination: Destination, answer: &Answer) -> Result<(), TransferError> {
        self.check(&destination, &answer.url)?;
        destination.commit(self.download.folders.as_deref())
    }

    fn check(&self, destination: &Destination, url: &Url) -> Result<(), TransferError> {
        let Some(expected) = &self.download.sha256 else { return Ok(()) };
        destination.check(expected).map_err(|error| {
            let text = format!("{}: {error}", url.shown());
            TransferError::new(error.kind, text)
        })
    }

    /// That there is no time, or it cannot be set, makes the file no worse.
    fn set_time(&mut self, destination: &Destination, head: &Head) {
        let note = match head.last_modified().map(|modified| destination.set_time(modified)) {
            Some(Ok(())) => return,
            Some(Err(error)) => Note::TimeNotSet(error),
            None => Note::NoTime,
        };
        self.watcher.note(None, &note);
    }
}

/// Takes no body, and sees that all of what is sent is.
fn leave(answer: Answer, method: &str) -> Result<(), TransferError> {
    answer.leave().map_err(|failed| TransferError::interrupted(failed, method))
}
