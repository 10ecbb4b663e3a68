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

mod condition;
mod destination;
mod error;
mod partial;
mod retry;
mod run;
mod segments;
mod watcher;

use std::sync::Arc;

pub use condition::Condition;
pub use destination::{Target, Unfinished};
pub use error::{TransferError, TransferErrorKind};
pub use partial::PartialFile;
pub use retry::Retry;
pub use watcher::{Note, Outcome, Report, Watcher};

use super::{Body, ConnectionPool, FetchOptions, Progress, Request, Url, preview};
use crate::file::UnsyncedFolders;
use run::Run;

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
    /// Whether only something else than what is there is asked for.
    pub condition: Condition,
    /// Whether a file that stands where the body would go is left alone, and nothing is asked for: [`Outcome::Occupied`].
    pub skip_existing: bool,
    /// Whether the folder of the file is made if it is not there, with those above it.
    pub makes_folder: bool,
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
            condition: Condition::default(),
            skip_existing: false,
            makes_folder: false,
            as_named: true,
            folders: None,
        }
    }
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
        if self.is_occupied(&self.target, &self.request.url, watcher) {
            return Ok(Outcome::Occupied);
        }
        let request = self.conditional()?;
        let mut run = Run { download: self, request: &request, options, pool, watcher };
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
            let pause = error.retry_after.unwrap_or_else(|| retry::pause(attempt));
            if options.timeout.is_some_and(|all| options.began.elapsed() + pause >= all) {
                return Err(error);
            }
            let again = Note::Retrying { why: error.to_string(), pause, attempt, of: self.retry.times };
            run.watcher.note(None, &again);
            std::thread::sleep(pause);
        }
    }

    /// The request as it would be sent first, with its conditions and without its secrets; none if nothing would be asked for,
    /// which the watcher is told. Nothing is connected to, and no folder is made.
    ///
    /// # Errors
    /// It cannot be sent, or what is there cannot be read.
    pub fn preview(&self, options: &FetchOptions, watcher: &mut dyn Watcher) -> Result<Option<String>, TransferError> {
        if self.is_occupied(&self.target, &self.request.url, watcher) {
            return Ok(None);
        }
        Ok(Some(preview(&self.conditional()?, options)?))
    }

    /// The request with the conditions of the download.
    fn conditional(&self) -> Result<Request, TransferError> {
        let mut request = self.request.clone();
        self.condition.add_to(&mut request, self.target.file())?;
        Ok(request)
    }

    /// Whether a file that is to be left alone stands where a body would go; the watcher is told.
    fn is_occupied(&self, target: &Target, at: &Url, watcher: &mut dyn Watcher) -> bool {
        let path = target.file().filter(|path| self.skip_existing && path.symlink_metadata().is_ok());
        if let Some(path) = path {
            watcher.note(Some(at), &Note::Occupied(path.to_owned()));
        }
        path.is_some()
    }

    fn is_resumable(&self) -> bool {
        matches!(self.target, Target::Resumable { .. })
    }
}
