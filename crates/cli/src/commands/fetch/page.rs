//! One page: asked for, its head shown, its body in its place.

use std::sync::Arc;
use std::time::Instant;

use sockeye::verb::fetch::{Answer, FetchError, Options, Progress, Request, Taking, Url, fetch};

use super::asking;
use super::bar::Bar;
use super::leaving::UnderWay;
use super::place::Place;
use super::telling::{Told, Watching, show_head};
use super::trouble::{self, Trouble};
use crate::exit::Exit;
use crate::flags::Fetch;
use crate::output::Console;

/// What is fetched, and what it takes.
pub(super) struct Page<'a> {
    flags: &'a Fetch,
    options: &'a Options,
    url: Url,
    console: &'a Console,
    under_way: &'a UnderWay,
    progress: Arc<Progress>,
    began: Instant,
}

impl<'a> Page<'a> {
    pub(super) fn new(
        flags: &'a Fetch,
        options: &'a Options,
        url: Url,
        console: &'a Console,
        under_way: &'a UnderWay,
    ) -> Self {
        let progress = Arc::new(Progress::default());
        Self { flags, options, url, console, under_way, progress, began: Instant::now() }
    }

    /// Fetches it, again if that may help.
    pub(super) fn run(&self) -> Result<Exit, Trouble> {
        let request = asking::request(self.flags, &self.url)?;
        let mut attempt = 0;
        loop {
            let left = self.flags.retry - attempt;
            let trouble = match self.once(request.clone(), left > 0) {
                Err(trouble) if left > 0 && trouble.again.is_some() => trouble,
                done => return done,
            };
            attempt += 1;
            let pause = trouble.again.flatten().unwrap_or_else(|| trouble::pause(attempt));
            if self.options.timeout.is_some_and(|all| self.options.began.elapsed() + pause >= all) {
                return Err(trouble);
            }
            let (why, of) = (&trouble.why, self.flags.retry);
            self.console.note(&format!("{why}; again in {:.1} s, {attempt} of {of}", pause.as_secs_f64()));
            std::thread::sleep(pause);
        }
    }

    fn once(&self, request: Request, may_again: bool) -> Result<Exit, Trouble> {
        let place = Place::choose(self.flags, &self.url)?;
        self.under_way.put(&self.progress, place.leaving());
        let done = self.ask(request, place, may_again);
        self.under_way.take(&self.progress);
        done
    }

    fn ask(&self, mut request: Request, place: Place, may_again: bool) -> Result<Exit, Trouble> {
        let (flags, console) = (self.flags, self.console);
        if flags.resume {
            request.range = place.missing(&self.url);
            // What is on the wire is what is in the file, so that a position in one is one in the other.
            request.fields.insert(0, ("Accept-Encoding".to_owned(), "identity".to_owned()));
        }
        let mut watch = Watching { console, redirects: vec![] };
        let answer = fetch(&request, self.options, &mut watch)
            .map_err(|failed| Trouble::unanswered(&failed, &request.method))?;
        // As with redirects, only the last head is shown.
        if let Some(passing) = Trouble::passing(&answer, &request.method).filter(|_| may_again) {
            return Err(passing);
        }
        show_head(answer.head(), flags, console)?;
        let told = Told { flags, console, began: self.began, redirects: watch.redirects };
        let status = answer.head().status;
        if status >= 400 && !flags.save_errors {
            place.refused(status);
            let line = answer.head().status_line();
            told.finish(&answer);
            let help = if answer.has_body() { "; nothing saved (--save-errors saves such an answer)" } else { "" };
            return Err(Trouble::new(Exit::HttpStatus, format!("{}: {line}{help}", answer.url.shown())));
        }
        if answer.has_body() {
            self.take(answer, place, &told)?;
        } else {
            told.finish(&answer);
            if flags.sha256.is_some() {
                let why = format!("{}: the answer has no body, and so not that SHA-256", answer.url.shown());
                return Err(Trouble::new(Exit::Differs, why));
            }
        }
        if status >= 400 {
            let why = format!("{}: the answer has the status {status}", self.url.shown());
            return Err(Trouble::new(Exit::HttpStatus, why));
        }
        Ok(Exit::Done)
    }

    /// Takes the body, and gives the file its name.
    fn take(&self, answer: Answer, mut place: Place, told: &Told<'_>) -> Result<(), Trouble> {
        let (head, url, times) = (answer.head().clone(), answer.url.clone(), answer.times);
        let already = place.begin(&self.url, &answer)?;
        let bar = Bar::start(&self.progress, self.console);
        let progress = Arc::clone(&self.progress);
        let taking = Taking {
            raw: self.flags.raw_body,
            already,
            max_size: self.flags.max_size,
            rate: self.flags.limit_rate,
            progress,
        };
        let name = place.name();
        let saved = place.with_sink(|sink| answer.save(sink, &name, &taking));
        drop(bar);
        let saved = saved.map_err(|failed| {
            let mut trouble = Trouble::from(&failed);
            if let Some(part) = place.keep() {
                trouble.why.push_str(&format!("; --resume goes on with {part}"));
                trouble.again = is_network(&failed.error).then_some(None);
            }
            trouble
        })?;
        if let Some(expected) = &self.flags.sha256 {
            place.check(expected).map_err(|(exit, why)| Trouble::new(exit, format!("{}: {why}", url.shown())))?;
        }
        if self.flags.remote_time {
            self.set_time(&place, head.last_modified());
        }
        let shown = place.shown();
        place.commit().map_err(|error| Trouble::new(Exit::CannotWrite, error.to_string()))?;
        told.saved(&url, &head, times, shown, saved, already);
        Ok(())
    }

    /// That there is no time, or it cannot be set, makes the file no worse.
    fn set_time(&self, place: &Place, modified: Option<std::time::SystemTime>) {
        match modified.map(|modified| place.set_time(modified)) {
            Some(Ok(())) => {}
            Some(Err(error)) => self.console.note(&format!("cannot set the time of the file: {error}")),
            None => self.console.note("the server does not say when it was last changed: the file has the time of now"),
        }
    }
}

/// Whether another connection may do better.
fn is_network(error: &FetchError) -> bool {
    matches!(error, FetchError::Cut { .. } | FetchError::Reset { .. } | FetchError::TimedOut { .. })
}
