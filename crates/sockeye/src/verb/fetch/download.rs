//! Downloading: a fetch whose body goes to a place, tried again where that may help, gone on with where a part is there, over
//! several connections where that is faster.
//!
//! ```
//! use sockeye::mock::Mock;
//! use sockeye::verb::fetch::download::{Download, Outcome, Retry, Target};
//! use sockeye::verb::fetch::{ConnectionPool, FetchOptions, Request, Url};
//!
//! let server = Mock::start("C: GET /a HTTP/1.1\nrepeat\n  C: {_}\nend\nC:\nS: HTTP/1.1 200 OK\nS: Content-Length: 5\nS:\nS raw: Hello\nS closes\n");
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("a");
//!
//! let request = Request::get(Url::parse(&format!("{}/a", server.url("http")))?);
//! let target = Target::File { path: path.clone(), replace: false };
//! let download = Download { retry: Retry::times(3), ..Download::new(request, target) };
//! let done = download.run(&FetchOptions::default(), &ConnectionPool::default(), &mut ())?;
//! assert!(matches!(done, Outcome::Saved));
//! assert_eq!(std::fs::read(&path)?, b"Hello");
//! # server.finish();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod destination;
mod error;
mod partial;
mod retry;
mod segments;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use destination::{Target, Unfinished};
pub use error::{TransferError, TransferErrorKind};
pub use partial::PartialFile;
pub use retry::Retry;

use super::{
    Answer, Body, ConnectionPool, FetchError, FetchOptions, Head, Progress, Request, SaveOptions, Saved, Times, Url,
    Watch, fetch, is_packed,
};
use crate::file::UnsyncedFolders;
use crate::net::connect::Attempt;
use crate::net::words;
use crate::sink::Sink;
use destination::Destination;
use error::is_idempotent;
use segments::Segments;

/// What is downloaded, and how.
#[derive(Debug, Clone)]
pub struct Download {
    /// What is asked for.
    pub request: Request,
    /// Where the body goes.
    pub target: Target,
    /// When it is asked for again.
    pub retry: Retry,
    /// How far it has come: as many as there may be connections, and at least one.
    pub progress: Vec<Arc<Progress>>,
    /// Whether the body of an answer that is an error is saved as well.
    pub save_errors: bool,
    /// Whether the body is saved with its content codings.
    pub raw: bool,
    /// Most bytes that are written.
    pub max_size: Option<u64>,
    /// Most bytes in a second.
    pub rate: Option<u64>,
    /// The SHA-256 that it must have, in small hex digits.
    pub sha256: Option<String>,
    /// Whether the file gets the time that the server says it was last changed.
    pub keeps_time: bool,
    /// Whether the request asks only for what has changed, so that 304 is what was asked for.
    pub only_if_changed: bool,
    /// Whether the name of the file decides what is on the wire: of one that is packed, its own bytes.
    pub as_named: bool,
    /// Where one of many files leaves its folder, to be synced when all are there; without it the folder is synced at once.
    pub folders: Option<Arc<UnsyncedFolders>>,
}

impl Download {
    /// The usual: once, over one connection.
    #[must_use]
    pub fn new(request: Request, target: Target) -> Self {
        Self {
            request,
            target,
            retry: Retry::default(),
            progress: vec![Arc::default()],
            save_errors: false,
            raw: false,
            max_size: None,
            rate: None,
            sha256: None,
            keeps_time: false,
            only_if_changed: false,
            as_named: true,
            folders: None,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The body is where it was to be.
    Saved,
    /// All of it was there already.
    AlreadyThere,
    /// There is another file where it would go, which stays.
    Occupied,
    /// It is as it was.
    NotChanged,
    /// The answer has no body.
    NoBody,
}

/// What is known of an answer at its end.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report<'a> {
    /// Who answered in the end.
    pub url: &'a Url,
    /// The head.
    pub head: &'a Head,
    /// How long it took until there.
    pub times: Times,
    /// What was saved, where, and how much of it was there before.
    pub saved: Option<(&'a Saved, Option<PathBuf>, u64)>,
}

/// What is worth knowing on the way. Displays as a sentence.
#[derive(Debug)]
#[non_exhaustive]
pub enum Note {
    /// All of it is there already.
    AlreadyThere,
    /// Nothing says that it is the same as what is there.
    BeginsAnew,
    /// It has not changed.
    NotChanged,
    /// The answer has no body.
    NoBody,
    /// A word in Content-Encoding is no coding.
    NoCoding(String),
    /// It failed, and is asked for again.
    Again {
        /// How it failed.
        why: String,
        /// How long is waited.
        pause: Duration,
        /// Which of the attempts that are left this is.
        attempt: u32,
        /// Of how many.
        of: u32,
    },
    /// The file cannot have the time.
    TimeNotSet(io::Error),
    /// The server says no time.
    NoTime,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyThere => f.write_str("all of it is there already"),
            Self::BeginsAnew => f.write_str("nothing says that it is the same as what is there; it begins anew"),
            Self::NotChanged => f.write_str("not changed"),
            Self::NoBody => f.write_str("the answer has no body: nothing saved"),
            Self::NoCoding(word) => write!(f, "its Content-Encoding `{word}` is no coding, and is passed over"),
            Self::Again { why, pause, attempt, of } => {
                write!(f, "{why}; again in {:.1} s, {attempt} of {of}", pause.as_secs_f64())
            }
            Self::TimeNotSet(error) => write!(f, "cannot set the time of the file: {}", words(error)),
            Self::NoTime => {
                f.write_str("the server does not say when it was last changed: the file has the time of now")
            }
        }
    }
}

/// Who has something downloaded: is told what happens, and decides what only the caller can.
pub trait Watcher: Watch {
    /// It is asked for, perhaps once more.
    fn begins(&mut self) {}
    /// The head of the answer that counts, before its body.
    ///
    /// # Errors
    /// It cannot be shown: then the body is not taken.
    fn head(&mut self, _head: &Head) -> Result<(), TransferError> {
        Ok(())
    }
    /// Something is worth knowing, at a URL if there is one.
    fn note(&mut self, _at: Option<&Url>, _note: &Note) {}
    /// An answer is done with.
    fn ended(&mut self, _report: &Report<'_>) {}
    /// What is to be done from now on by whoever ends the process.
    fn holds(&mut self, _unfinished: Unfinished) {}
    /// What is to be said besides of an answer that is an error.
    fn refused(&mut self, _head: &Head) -> String {
        String::new()
    }
    /// Where the body of an answer goes, of [`Target::Named`]; none if it goes nowhere.
    ///
    /// # Errors
    /// There is no such place.
    fn named(&mut self, _answer: &Answer) -> Result<Option<Target>, TransferError> {
        Ok(Some(Target::Nowhere))
    }
    /// Takes the body, of [`Target::Output`]: gives a sink to `take`.
    ///
    /// # Errors
    /// What was held back cannot be written.
    fn output(&mut self, _head: &Head, take: &mut dyn FnMut(&mut Sink<'_>)) -> io::Result<()> {
        take(&mut Sink::Writer(&mut io::sink()));
        Ok(())
    }
}

/// Nobody.
impl Watcher for () {}

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

/// One download that is going on.
struct Run<'a> {
    download: &'a Download,
    options: &'a FetchOptions,
    pool: &'a ConnectionPool,
    watcher: &'a mut dyn Watcher,
}

impl Download {
    /// Downloads it, again if that may help; over a connection that stayed open, if one leads there.
    ///
    /// # Errors
    /// It is not there, or not all of it.
    pub fn run(
        &self,
        options: &FetchOptions,
        pool: &ConnectionPool,
        watcher: &mut dyn Watcher,
    ) -> Result<Outcome, TransferError> {
        let mut run = Run { download: self, options, pool, watcher };
        let mut attempt = 0;
        loop {
            let left = self.retry.times.saturating_sub(attempt);
            let error = match run.once(left > 0) {
                Err(error) if error.goes_on => continue,
                Err(mut error) if left > 0 && self.retry.may_help(&error) => {
                    if let Some(name) = self.request.body.as_ref().and_then(Body::spent) {
                        error.add(&format!("; not asked again, for {name} cannot be read a second time"));
                        return Err(error);
                    }
                    error
                }
                done => return done,
            };
            attempt += 1;
            let pause = error.again.flatten().unwrap_or_else(|| retry::pause(attempt));
            if options.timeout.is_some_and(|all| options.began.elapsed() + pause >= all) {
                return Err(error);
            }
            let again = Note::Again { why: error.to_string(), pause, attempt, of: self.retry.times };
            run.watcher.note(None, &again);
            std::thread::sleep(pause);
        }
    }

    fn is_resumable(&self) -> bool {
        matches!(self.target, Target::Resumable { .. })
    }
}

impl Run<'_> {
    fn once(&mut self, may_again: bool) -> Result<Outcome, TransferError> {
        self.watcher.begins();
        if self.is_finished() {
            self.watcher.note(Some(&self.download.request.url), &Note::AlreadyThere);
            return Ok(Outcome::AlreadyThere);
        }
        let until: Option<Instant> = self.options.timeout.map(|timeout| self.options.began + timeout);
        let destination = Destination::open(&self.download.target, until)?;
        self.watcher.holds(destination.unfinished());
        let done = self.ask(destination, may_again);
        self.watcher.holds(Unfinished::Nothing);
        done
    }

    /// Whether a file of an earlier run has its name already and is still what the server has, as far as its length and time
    /// tell. What is asked for is what would stand behind its end.
    fn is_finished(&self) -> bool {
        let request = &self.download.request;
        let Target::Resumable { path, .. } = &self.download.target else { return false };
        let Ok(found) = std::fs::metadata(path) else { return false };
        let mut part = path.clone().into_os_string();
        part.push(".part");
        if !found.is_file() || std::path::Path::new(&part).exists() || !is_idempotent(&request.method) {
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

    /// What is sent: for a place that may have a part already.
    fn request(&self, destination: &Destination) -> Request {
        let download = self.download;
        let mut request = download.request.clone();
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

    fn ask(&mut self, destination: Destination, may_again: bool) -> Result<Outcome, TransferError> {
        let download = self.download;
        let mut request = self.request(&destination);
        let answer = self.answer(&mut request, &destination)?;
        // As with redirects, only the last head is shown.
        if let Some(passing) = TransferError::passing(&answer, &request.method).filter(|_| may_again) {
            return Err(passing);
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
        if status == 304 && download.only_if_changed && request.asks_if_changed() {
            self.watcher.note(Some(&answer.url), &Note::NotChanged);
            self.end(&answer);
            return leave(answer, &request.method).map(|()| Outcome::NotChanged);
        }
        // Whoever asks only for what has changed would take it for news of a file that is not there. To others it is an answer
        // without content, as to curl.
        if status == 304 && download.only_if_changed && request.method != "HEAD" {
            return Err(self.changed_unasked(&answer));
        }
        let outcome = if answer.has_body() {
            let Some(destination) = self.named(destination, &answer)? else { return Ok(Outcome::Occupied) };
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
        let destination = Destination::open(&target, None)?;
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
        if download.keeps_time {
            self.set_time(&destination, &head);
        }
        let path = destination.path().map(std::path::Path::to_owned);
        destination.commit(self.download.folders.as_deref())?;
        self.watcher.ended(&Report { url: &url, head: &head, times, saved: Some((&saved, path, already)) });
        match saved.unsent {
            // What the server says of it is kept; who asks again does so by hand, or with `Retry::all`.
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
                let nothing =
                    || Err(super::Failed::at(url.clone(), FetchError::Output(io::ErrorKind::WriteZero.into())));
                saved.unwrap_or_else(nothing).and_then(|saved| {
                    written.map_err(|error| super::Failed::at(url, FetchError::Output(error)))?;
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
            // What was written to a file without a name is gone; what somebody has read is not.
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
