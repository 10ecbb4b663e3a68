//! One page: what the flags ask for, downloaded, and what came of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use sockeye::verb::fetch::download::{Download, Outcome, Retry, Target};
use sockeye::verb::fetch::{ConnectionPool, Progress, Request, Url, file_name, preview};

use super::Failure;
use super::session::Session;
use super::watcher::PageWatcher;
use super::{conditional, request, target};
use crate::exit::Exit;

/// What is fetched.
pub(super) struct Page<'a> {
    session: &'a Session<'a>,
    url: Url,
    /// Which of several it is.
    index: usize,
    /// How far it has come; several if it may come in parts.
    progress: Vec<Arc<Progress>>,
}

impl<'a> Page<'a> {
    pub(super) fn new(session: &'a Session<'a>, (index, url): (usize, Url), progress: Vec<Arc<Progress>>) -> Self {
        Self { session, url, index, progress }
    }

    /// Fetches it, over a connection that stayed open, if one leads there.
    pub(super) fn run(&self, pool: &ConnectionPool) -> Result<Exit, Failure> {
        let began = Instant::now();
        let (session, flags) = (self.session, self.session.flags);
        let mut request = request::request(flags, &self.url)?;
        request.jar = session.jar.clone();
        if flags.skip_existing && !flags.remote_header_name {
            let path = self.path();
            if path.symlink_metadata().is_ok() {
                session.note(&format!("{}: {} is there already", self.url.shown(), path.display()));
                return Ok(Exit::Done);
            }
        }
        conditional::ask(flags, &self.path(), &mut request)?;
        if flags.dry_run {
            let failed = |failed: sockeye::verb::fetch::Failed| (Exit::from(&*failed.error), failed.to_string());
            let asked = preview(&request, session.options).map_err(failed)?;
            let shown = format!("{}\n{}\n", self.url.shown(), asked.trim_end());
            return Ok(session.console.print(shown.as_bytes()));
        }
        if let Some(body) = &request.body {
            session.downloads.sends(body);
        }
        let download = self.download(request)?;
        let mut watcher = PageWatcher::new(session, &self.url, self.index, &self.progress, began);
        let outcome = download
            .run(session.options, pool, &mut watcher)
            .map_err(|error| (Exit::from(&error), error.to_string()))?;
        if outcome == Outcome::Saved {
            conditional::keep(flags, watcher.tag())?;
        }
        Ok(Exit::Done)
    }

    fn download(&self, request: Request) -> Result<Download, Failure> {
        let flags = self.session.flags;
        let target = if flags.remote_header_name {
            Target::Named
        } else {
            target::choose(flags, self.index, &file_name(&self.url))?
        };
        Ok(Download {
            retry: Retry { times: flags.retry, all: flags.retry_all },
            progress: self.progress.clone(),
            save_errors: flags.save_errors,
            raw: flags.raw_body,
            max_size: flags.max_size,
            rate: flags.limit_rate,
            sha256: flags.sha256.clone(),
            keeps_time: flags.remote_time || flags.if_newer,
            only_if_changed: conditional::is_asked(flags),
            as_named: flags.output_of(self.index).is_some(),
            folders: self.session.folders.clone(),
            ..Download::new(request, target)
        })
    }

    /// Where the body goes, unless the server says.
    fn path(&self) -> PathBuf {
        self.session.flags.path_of(self.index, &file_name(&self.url))
    }
}
