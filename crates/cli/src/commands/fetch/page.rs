//! One page: asked for, its head shown, its body in its place.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use sockeye::verb::fetch::{
    Answer, Body, ConnectionPool, Failed, FetchError, Jar, Options, Progress, Request, Saved, Taking, Url, fetch,
    file_name, is_packed, preview,
};

use super::asking;
use super::bar::Bar;
use super::leaving::{Leaving, UnderWay};
use super::parts::Parts;
use super::place::{Place, Shown};
use super::telling::{self, Told, Watching, show_head};
use super::trouble::{self, Trouble};
use super::unchanged;
use crate::exit::Exit;
use crate::flags::Fetch;
use crate::output::Console;
use crate::pretty;

/// What all pages have in common.
pub(super) struct Shared<'a> {
    pub(super) flags: &'a Fetch,
    pub(super) options: &'a Options,
    pub(super) console: &'a Console,
    pub(super) under_way: &'a UnderWay,
    pub(super) bar: Option<&'a Bar>,
    /// Cookies that stay.
    pub(super) jar: Option<Jar>,
}

impl Shared<'_> {
    /// Says something; where there is a bar, beside it.
    pub(super) fn aside<T>(&self, say: impl FnOnce() -> T) -> T {
        let Some(bar) = self.bar else { return say() };
        bar.aside(|| {
            let said = say();
            // Before the bar is drawn again.
            self.console.flush();
            said
        })
    }

    pub(super) fn note(&self, text: &str) {
        self.aside(|| self.console.note(text));
    }
}

/// What is fetched.
pub(super) struct Page<'a> {
    shared: &'a Shared<'a>,
    url: Url,
    /// Which of several it is.
    index: usize,
    /// How far it has come; several if it may come in parts.
    progress: Vec<Arc<Progress>>,
    /// When its turn came.
    began: OnceLock<Instant>,
}

impl<'a> Page<'a> {
    pub(super) fn new(shared: &'a Shared<'a>, (index, url): (usize, Url), progress: Vec<Arc<Progress>>) -> Self {
        Self { shared, url, index, progress, began: OnceLock::new() }
    }

    /// Fetches it, again if that may help; over a connection that stayed open, if one leads there.
    pub(super) fn run(&self, connections: &ConnectionPool) -> Result<Exit, Trouble> {
        self.began.get_or_init(Instant::now);
        let mut request = asking::request(self.shared.flags, &self.url)?;
        request.jar = self.shared.jar.clone();
        if self.shared.flags.skip_existing && !self.shared.flags.remote_header_name {
            let path = self.path();
            if path.symlink_metadata().is_ok() {
                self.shared.note(&format!("{}: {} is there already", self.url.shown(), path.display()));
                return Ok(Exit::Done);
            }
        }
        unchanged::ask(self.shared.flags, &self.path(), &mut request)?;
        if self.shared.flags.dry_run {
            let asked = preview(&request, self.shared.options).map_err(|failed| Trouble::from(&failed))?;
            let shown = format!("{}\n{}\n", self.url.shown(), asked.trim_end());
            return Ok(self.shared.console.print(shown.as_bytes()));
        }
        if let Some(body) = &request.body {
            self.shared.under_way.sends(body);
        }
        let mut attempt = 0;
        loop {
            let left = self.shared.flags.retry - attempt;
            let trouble = match self.once(request.clone(), connections, left > 0) {
                Err(trouble) if trouble.goes_on => continue,
                Err(mut trouble) if left > 0 && self.may_ask_again(&trouble) => {
                    if let Some(name) = request.body.as_ref().and_then(Body::spent) {
                        trouble.why.push_str(&format!("; not asked again, for {name} cannot be read a second time"));
                        return Err(trouble);
                    }
                    trouble
                }
                done => return done,
            };
            attempt += 1;
            let pause = trouble.again.flatten().unwrap_or_else(|| trouble::pause(attempt));
            if self.shared.options.timeout.is_some_and(|all| self.shared.options.began.elapsed() + pause >= all) {
                return Err(trouble);
            }
            let (why, of) = (&trouble.why, self.shared.flags.retry);
            self.shared.note(&format!("{why}; again in {:.1} s, {attempt} of {of}", pause.as_secs_f64()));
            std::thread::sleep(pause);
        }
    }

    /// Whether another try may help: some failures stay what they are, whatever was typed.
    fn may_ask_again(&self, trouble: &Trouble) -> bool {
        let is_lasting = matches!(trouble.exit, Exit::Usage | Exit::CannotRead | Exit::CannotWrite | Exit::Differs);
        trouble.again.is_some() || (self.shared.flags.retry_all && !trouble.is_given && !is_lasting)
    }

    /// Where the body goes, unless the server says.
    fn path(&self) -> PathBuf {
        self.shared.flags.path_of(self.index, &file_name(&self.url))
    }

    /// What a signal has to do from now on.
    fn hold(&self, leaving: Leaving) {
        for progress in &self.progress[1..] {
            self.shared.under_way.put(progress, Leaving::Nothing);
        }
        self.shared.under_way.put(&self.progress[0], leaving);
    }

    fn once(&self, request: Request, connections: &ConnectionPool, may_again: bool) -> Result<Exit, Trouble> {
        if self.shared.flags.resume && self.is_finished(&request, connections) {
            self.shared.note(&format!("{}: all of it is there already", self.url.shown()));
            return Ok(Exit::Done);
        }
        let options = self.shared.options;
        let until = options.timeout.map(|timeout| options.began + timeout);
        let name = file_name(&self.url);
        let place = if self.shared.flags.remote_header_name {
            Place::Nowhere
        } else {
            Place::choose(self.shared.flags, (self.index, &name), until)?
        };
        self.hold(place.leaving());
        let done = self.ask(request, place, connections, may_again);
        self.hold(Leaving::Nothing);
        done
    }

    /// Whether a file of an earlier run has its name already and is still what the server has, as far as its length and time
    /// tell. What is asked for is what would stand behind its end.
    fn is_finished(&self, request: &Request, connections: &ConnectionPool) -> bool {
        let path = self.path();
        let Ok(found) = std::fs::metadata(&path) else { return false };
        let mut part = path.clone().into_os_string();
        part.push(".part");
        if !found.is_file() || std::path::Path::new(&part).exists() || !trouble::is_idempotent(&request.method) {
            return false;
        }
        let mut request = request.clone();
        request.fields.push(("Range".to_owned(), format!("bytes={}-", found.len())));
        request.fields.push(("Accept-Encoding".to_owned(), "identity".to_owned()));
        let Ok(answer) = fetch(&request, self.shared.options, connections, &mut ()) else { return false };
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

    fn ask(
        &self,
        mut request: Request,
        place: Place,
        connections: &ConnectionPool,
        may_again: bool,
    ) -> Result<Exit, Trouble> {
        let (flags, console) = (self.shared.flags, self.shared.console);
        if flags.resume {
            request.range = place.missing(&self.url);
        }
        let is_packed = flags.output_of(self.index).is_some() && !flags.raw_body && is_packed(&place.name());
        if flags.resume || flags.parts > 1 || is_packed {
            // What is on the wire is what is in the file, so that a position in one is one in the other.
            request.fields.insert(0, ("Accept-Encoding".to_owned(), "identity".to_owned()));
        }
        let mut watch = Watching { shared: self.shared, redirects: vec![] };
        let mut answer = fetch(&request, self.shared.options, connections, &mut watch);
        let is_other = answer.as_ref().is_err_and(|failed| matches!(*failed.error, FetchError::OtherVersion));
        if is_other && trouble::is_idempotent(&request.method) {
            let shown = self.url.shown();
            self.shared.note(&format!("{shown}: nothing says that it is the same as what is there; it begins anew"));
            place.forget();
            (request.range, watch.redirects) = (None, vec![]);
            answer = fetch(&request, self.shared.options, connections, &mut watch);
        }
        let answer =
            answer.map_err(|failed| Trouble::unanswered(&failed, &request.method, !watch.redirects.is_empty()))?;
        // As with redirects, only the last head is shown.
        if let Some(passing) = Trouble::passing(&answer, &request.method).filter(|_| may_again) {
            return Err(passing);
        }
        self.shared.aside(|| show_head(answer.head(), flags, console))?;
        let told =
            Told { shared: self.shared, began: *self.began.get_or_init(Instant::now), redirects: watch.redirects };
        let status = answer.head().status;
        if status == 416 && place.is_all(&answer) {
            self.shared.note(&format!("{}: all of it is there already", answer.url.shown()));
            told.finish(&answer);
            return self.end(place, &answer).map(|()| Exit::Done);
        }
        if status >= 400 && !flags.save_errors {
            place.refused(status);
            let line = answer.head().status_line();
            let offered = telling::offered(answer.head(), flags);
            told.finish(&answer);
            let help = if answer.has_body() { "; nothing saved (--save-errors saves such an answer)" } else { "" };
            return Err(Trouble::new(Exit::HttpStatus, format!("{}: {line}{offered}{help}", answer.url.shown())));
        }
        if status == 304 && unchanged::is_asked(flags) {
            self.shared.note(&format!("{}: not changed", answer.url.shown()));
            told.finish(&answer);
            return self.leave(answer, &request.method).map(|()| Exit::Done);
        }
        let place = if flags.remote_header_name && answer.has_body() {
            let name = answer.offered_name().unwrap_or_else(|| file_name(&self.url));
            let path = flags.path_of(self.index, &name);
            if flags.skip_existing && path.symlink_metadata().is_ok() {
                self.shared.note(&format!("{}: {} is there already", answer.url.shown(), path.display()));
                return Ok(Exit::Done);
            }
            let place = Place::choose(flags, (self.index, &name), None)?;
            self.hold(place.leaving());
            place
        } else {
            place
        };
        if answer.has_body() {
            self.take(answer, place, &request, &told)?;
        } else {
            told.finish(&answer);
            if flags.sha256.is_some() {
                let why = format!("{}: the answer has no body, and so not that SHA-256", answer.url.shown());
                return Err(Trouble::new(Exit::Differs, why));
            }
            if request.method != "HEAD" {
                self.shared.note(&format!("{}: the answer has no body: nothing saved", answer.url.shown()));
            }
            self.leave(answer, &request.method)?;
        }
        if status >= 400 {
            let why = format!("{}: the answer has the status {status}", self.url.shown());
            return Err(Trouble::new(Exit::HttpStatus, why));
        }
        Ok(Exit::Done)
    }

    /// Takes the body, and gives the file its name.
    fn take(&self, answer: Answer, mut place: Place, request: &Request, told: &Told<'_>) -> Result<(), Trouble> {
        if let [word, ..] = answer.head().no_codings().as_slice() {
            let shown = answer.url.shown();
            self.shared.note(&format!("{shown}: its Content-Encoding `{word}` is no coding, and is passed over"));
        }
        let (head, url, times) = (answer.head().clone(), answer.url.clone(), answer.times);
        let already = place.begin(&self.url, &answer)?;
        let came = answer.part;
        let parts = Parts::of(&answer, self.progress.len(), self.shared.flags.max_size);
        let saved = match (parts, place.atomic()) {
            (Some(parts), Some(file)) => parts.take(answer, request, file, &self.progress, self.shared)?,
            _ => self.save(answer, &mut place, already, &request.method)?,
        };
        if let Some(came) = came.filter(|&came| !place.is_whole(came)) {
            let _ = place.keep();
            let why = format!("{}: only the bytes {} to {} came", url.shown(), came.first, came.last);
            return Err(Trouble { goes_on: saved.received > 0, ..Trouble::new(Exit::CutShort, why) });
        }
        if let Some(expected) = &self.shared.flags.sha256 {
            place.check(expected).map_err(|(exit, why)| Trouble::new(exit, format!("{}: {why}", url.shown())))?;
        }
        if self.shared.flags.remote_time || self.shared.flags.if_newer {
            self.set_time(&place, head.last_modified());
        }
        let shown = place.shown();
        let tag = unchanged::tag(&head);
        place.commit().map_err(|error| Trouble::new(Exit::CannotWrite, error.to_string()))?;
        told.saved(&url, &head, times, shown, &saved, already);
        unchanged::keep(self.shared.flags, tag)?;
        match saved.unsent {
            // What the server says of it is kept; who asks again does so by hand, or with --retry-all.
            Some(failed) => Err(Trouble::from(&failed)),
            None => Ok(()),
        }
    }

    /// Takes no body, and sees that all of what is sent is.
    fn leave(&self, answer: Answer, method: &str) -> Result<(), Trouble> {
        answer.leave().map_err(|failed| Trouble::interrupted(&failed, method))
    }

    /// Takes the body over the connection on which it comes.
    fn save(&self, answer: Answer, place: &mut Place, already: u64, method: &str) -> Result<Saved, Trouble> {
        let flags = self.shared.flags;
        let taking = Taking {
            raw: flags.raw_body,
            already,
            max_size: flags.max_size,
            rate: flags.limit_rate,
            only: None,
            stopper: None,
            progress: Arc::clone(&self.progress[0]),
        };
        let name = place.name();
        let is_json = answer
            .head()
            .fields
            .iter()
            .any(|(field, value)| field.eq_ignore_ascii_case("content-type") && pretty::is_json(value));
        let shown = match (is_json && !flags.raw_body, self.shared.console.colors_terminals) {
            (false, _) => Shown::AsItCame,
            (true, false) => Shown::Json,
            (true, true) => Shown::JsonInColor,
        };
        let url = answer.url.clone();
        let (saved, written) = place.with_sink(shown, |sink| answer.save(sink, &name, &taking));
        let saved = saved.and_then(|saved| {
            written.map_err(|error| Failed::at(url, FetchError::Output(error)))?;
            Ok(saved)
        });
        saved.map_err(|failed| match place.keep() {
            Some(part) => {
                let mut trouble = Trouble::interrupted(&failed, method);
                trouble.why.push_str(&format!("; --resume goes on with {part}"));
                trouble
            }
            // What was written to a file without a name is gone; what somebody has read is not.
            None if place.atomic().is_some() => Trouble::interrupted(&failed, method),
            None => Trouble { is_given: true, ..Trouble::from(&failed) },
        })
    }

    /// Gives a file its name of which nothing was missing.
    fn end(&self, place: Place, answer: &Answer) -> Result<(), Trouble> {
        if let Some(expected) = &self.shared.flags.sha256 {
            place
                .check(expected)
                .map_err(|(exit, why)| Trouble::new(exit, format!("{}: {why}", answer.url.shown())))?;
        }
        place.commit().map_err(|error| Trouble::new(Exit::CannotWrite, error.to_string()))
    }

    /// That there is no time, or it cannot be set, makes the file no worse.
    fn set_time(&self, place: &Place, modified: Option<std::time::SystemTime>) {
        match modified.map(|modified| place.set_time(modified)) {
            Some(Ok(())) => {}
            Some(Err(error)) => self
                .shared
                .note(&format!("cannot set the time of the file: {error}", error = sockeye::net::words(&error))),
            None => self.shared.note("the server does not say when it was last changed: the file has the time of now"),
        }
    }
}
