//! Several downloads at once, each by itself: one that fails does not hold up the others.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use super::download::{Download, Outcome, TransferError, Watcher};
use super::{ConnectionPool, FetchOptions};
use crate::file::{FileError, UnsyncedFolders};
use crate::limits;

/// How several downloads go on at the same time.
///
/// ```
/// use sockeye::mock::Mock;
/// use sockeye::verb::fetch::batch::Batch;
/// use sockeye::verb::fetch::download::{Download, Outcome, Target};
/// use sockeye::verb::fetch::{FetchOptions, Request, Url, file_name};
///
/// let folder = tempfile::tempdir()?;
/// let server = Mock::start("C: GET /{_} HTTP/1.1\nrepeat\n  C: {_}\nend\nC:\nS: HTTP/1.1 200 OK\nS: Content-Length: 5\nS:\nS raw: Hello\nS closes\n");
/// let urls = ["a", "b"].map(|path| Url::parse(&format!("{}/{path}", server.url("http"))));
/// let urls: Vec<Url> = urls.into_iter().collect::<Result<_, _>>()?;
/// let to = |url: &Url| Target::at(folder.path().join(file_name(url)), false);
/// let downloads: Vec<Download> = urls.iter().map(|url| Download::new(Request::get(url.clone()), to(url))).collect();
///
/// let done = Batch { concurrency: 2 }.run(&downloads, &FetchOptions::default());
/// done.stored?;
/// assert!(done.results.iter().all(|result| matches!(result, Ok(Outcome::Saved))));
/// assert_eq!(std::fs::read(folder.path().join("b"))?, b"Hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Most downloads at the same time, each on a thread with connections of its own; at least one. With one, each begins when the
    /// one before it in the list has ended.
    pub concurrency: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self { concurrency: limits::DOWNLOADS }
    }
}

/// One download of a [`Batch`]. All methods are called on the thread that downloads it, when its turn has come.
pub trait BatchJob: Sync {
    /// What is told of the download, and asked. Called first, so that a clock that is started here counts all of it.
    fn watcher(&self) -> Box<dyn Watcher + '_> {
        Box::new(())
    }

    /// What is downloaded. [`Download::folders`] is set by the batch, if there are several.
    ///
    /// # Errors
    /// It cannot be asked for: a file that is to be sent cannot be read. It then has failed, as if it had been tried.
    fn download(&self) -> Result<Download, TransferError>;

    /// It has ended; others may still go on.
    fn ended(&self, _result: &Result<Outcome, TransferError>) {}
}

impl BatchJob for Download {
    fn download(&self) -> Result<Download, TransferError> {
        Ok(self.clone())
    }
}

/// What came of several downloads.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchResult {
    /// What came of each, in the order of the list.
    pub results: Vec<Result<Outcome, TransferError>>,
    /// Whether the names of the files are stored. If they are not, all files are there and whole, and may lose their names in a
    /// power failure.
    pub stored: Result<(), FileError>,
}

impl BatchResult {
    /// The first of the list that failed, whenever it failed, and its place in the list, the first being 0.
    #[must_use]
    pub fn first_failure(&self) -> Option<(usize, &TransferError)> {
        self.results.iter().enumerate().find_map(|(index, result)| Some((index, result.as_ref().err()?)))
    }
}

impl Batch {
    /// Downloads all of a list, and returns when the last has ended. They begin in the order of the list. A download that fails
    /// ends no other one, and neither does one thread that cannot be started: the others then take over what it would have done.
    ///
    /// Files of one folder get their names at once; that these are stored is waited for once, at the end.
    pub fn run(&self, jobs: &[impl BatchJob], options: &FetchOptions) -> BatchResult {
        let folders = (jobs.len() > 1).then(Arc::<UnsyncedFolders>::default);
        let results: Vec<OnceLock<_>> = jobs.iter().map(|_| OnceLock::new()).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            // Connections belong to the thread, and serve for what it downloads next.
            let pool = ConnectionPool::default();
            while let Some((job, slot)) = take(&next, jobs, &results) {
                let result = run(job, options, &pool, folders.as_ref());
                job.ended(&result);
                let _ = slot.set(result);
            }
        };
        thread::scope(|scope| {
            for _ in 1..self.concurrency.min(jobs.len()) {
                let _ = thread::Builder::new().name("fetch".to_owned()).spawn_scoped(scope, work);
            }
            work();
        });
        BatchResult {
            results: results.into_iter().filter_map(OnceLock::into_inner).collect(),
            stored: folders.map_or(Ok(()), |folders| folders.sync()),
        }
    }
}

/// The next of a list, and where its result goes.
fn take<'a, J, R>(next: &AtomicUsize, jobs: &'a [J], results: &'a [R]) -> Option<(&'a J, &'a R)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    jobs.get(index).zip(results.get(index))
}

fn run(
    job: &impl BatchJob,
    options: &FetchOptions,
    pool: &ConnectionPool,
    folders: Option<&Arc<UnsyncedFolders>>,
) -> Result<Outcome, TransferError> {
    let mut watcher = job.watcher();
    let mut download = job.download()?;
    if let Some(folders) = folders {
        download.folders = Some(Arc::clone(folders));
    }
    download.run(options, pool, &mut *watcher)
}
