//! One page: what the flags ask for.

use std::sync::Arc;
use std::time::Instant;

use sockeye::verb::fetch::batch::BatchJob;
use sockeye::verb::fetch::download::{Condition, Download, Outcome, Retry, Target, TransferError, Watcher};
use sockeye::verb::fetch::{Progress, Url, file_name};

use super::session::Session;
use super::watcher::PageWatcher;
use super::{request, target};
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

    /// Prints what would be asked for.
    pub(super) fn show(&self) -> Result<Exit, TransferError> {
        let session = self.session;
        let asked = self.download()?.preview(session.options, &mut *self.watcher())?;
        let shown = asked.map(|asked| format!("{}\n{}\n", self.url.shown(), asked.trim_end()));
        Ok(shown.map_or(Exit::Done, |shown| session.console.print(shown.as_bytes())))
    }

    /// Says why it failed, and has the exit code for that.
    pub(super) fn fail(&self, error: &TransferError) -> Exit {
        self.session.aside(|| self.session.console.fail(Exit::from(error), &error.to_string()))
    }

    /// By the name from the URL; the server may say another one, but only in its answer.
    fn condition(&self) -> Condition {
        let flags = self.session.flags;
        let file = flags.path_of(self.index, &file_name(&self.url));
        Condition { file: Some(file), if_newer: flags.if_newer, tag_file: flags.etag.clone() }
    }
}

impl BatchJob for Page<'_> {
    fn watcher(&self) -> Box<dyn Watcher + '_> {
        Box::new(PageWatcher::new(self.session, &self.url, self.index, &self.progress, Instant::now()))
    }

    fn download(&self) -> Result<Download, TransferError> {
        let flags = self.session.flags;
        let mut request = request::request(flags, &self.url)?;
        request.jar = self.session.jar.clone();
        if let Some(body) = &request.body {
            self.session.downloads.sends(body);
        }
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
            keeps_time: flags.remote_time,
            condition: self.condition(),
            skip_existing: flags.skip_existing,
            makes_folder: flags.dir.is_some() && flags.output_of(self.index).is_none(),
            as_named: flags.output_of(self.index).is_some(),
            ..Download::new(request, target)
        })
    }

    fn ended(&self, result: &Result<Outcome, TransferError>) {
        if let Err(error) = result {
            self.fail(error);
        }
    }
}
