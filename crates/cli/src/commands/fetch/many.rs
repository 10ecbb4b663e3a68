//! Several pages at once, each by itself: one that fails holds no other up.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sockeye::file::UnsyncedFolders;
use sockeye::verb::fetch::{ConnectionPool, FetchOptions, Url, file_name};

use super::super::bar::Bar;
use super::interrupt::Downloads;
use super::jar;
use super::page::Page;
use super::request::is_stdin;
use super::session::Session;
use crate::exit::Exit;
use crate::flags::{Datum, Fetch};
use crate::output::Console;
use sockeye::verb::fetch::Progress;

/// Reads the URLs, and refuses what can only be meant for one.
pub(super) fn urls(flags: &Fetch) -> Result<Vec<Url>, String> {
    let without_body = [("--head", flags.head), ("--resume", flags.resume), ("--parts", flags.parts > 1)];
    if let Some((flag, _)) = without_body.iter().find(|(_, is_there)| *is_there && flags.data.is_body()) {
        return Err(format!("{flag} asks without a body: -G puts what --data says into the query"));
    }
    let mut typed = flags.urls.clone();
    if let Some(path) = &flags.url_file {
        typed.extend(listed(path)?);
    }
    let urls: Result<Vec<Url>, _> = typed.iter().map(|typed| Url::parse(typed)).collect();
    let urls = urls.map_err(|error| error.to_string())?;
    if urls.is_empty() {
        return Err("there is no URL in the list".to_owned());
    }
    let outputs = flags.output.len();
    if outputs > 1 && outputs != urls.len() {
        return Err(format!("each URL has its own -o: there are {} URLs, and {outputs} of -o", urls.len()));
    }
    if urls.len() < 2 {
        return Ok(urls);
    }
    let is_stdin = flags.data.parts.iter().any(Datum::is_stdin)
        || flags.data_json.as_deref() == Some("@-")
        || flags.upload_file.as_deref().is_some_and(|path| path.as_os_str() == "-")
        || flags.form.iter().any(|(_, value)| is_stdin(value));
    let for_one = [
        ("--sha256", flags.sha256.is_some()),
        ("standard input", is_stdin),
        ("-o FILE", matches!(flags.output.as_slice(), [path] if !flags.body_to_stdout() && !is_device(path))),
    ];
    if let Some((what, _)) = for_one.iter().find(|(_, is_there)| *is_there) {
        return Err(format!("{what} is for one URL, and there are {}", urls.len()));
    }
    if flags.output.is_empty() && !flags.head && !flags.remote_header_name {
        let mut names: HashMap<String, &Url> = HashMap::new();
        for url in &urls {
            let name = file_name(url);
            if let Some(other) = names.insert(name.clone(), url) {
                return Err(format!("{} and {} would both be saved as {name}", other.shown(), url.shown()));
            }
        }
    }
    Ok(urls)
}

/// The URLs in a file, one a line; empty lines and those that begin with # are none.
fn listed(path: &Path) -> Result<Vec<String>, String> {
    let read =
        if path.as_os_str() == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    let text = read.map_err(|error| format!("cannot read the list of URLs {}: {error}", path.display()))?;
    let lines = text.lines().map(|line| line.trim_start_matches('\u{feff}').trim());
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}

fn is_device(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file())
}

/// Fetches them all; the code is that of the first URL that failed.
pub(super) fn fetch_all(
    flags: &Fetch,
    options: &FetchOptions,
    urls: Vec<Url>,
    console: &Console,
) -> Result<Exit, Exit> {
    let downloads = Downloads::default();
    downloads.tell_when_interrupted(console)?;
    let progress: Vec<Vec<_>> = urls.iter().map(|_| (0..flags.parts).map(|_| Arc::default()).collect()).collect();
    let bar = {
        let all: Vec<_> = progress.iter().flatten().cloned().collect();
        Bar::start(move || Progress::sum(&all), console)
    };
    let jar = flags.cookie_jar.as_deref().map(|path| jar::open(path, console)).transpose()?;
    let folders = (urls.len() > 1).then(Arc::<UnsyncedFolders>::default);
    let session = Session {
        flags,
        options,
        console,
        downloads: &downloads,
        bar: bar.as_ref(),
        jar: jar.clone(),
        folders: folders.clone(),
    };
    let pages: Vec<Page<'_>> =
        urls.into_iter().enumerate().zip(progress).map(|(url, progress)| Page::new(&session, url, progress)).collect();
    // Two bodies in one stream would be none.
    let jobs = if flags.body_to_stdout() { 1 } else { flags.jobs.min(pages.len()) };
    let failed: Mutex<Option<(usize, Exit)>> = Mutex::new(None);
    let next = AtomicUsize::new(0);
    let work = || {
        let connections = ConnectionPool::default();
        while let Some((index, page)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, pages.get(at)?)))
        {
            if let Err((exit, why)) = page.run(&connections) {
                session.aside(|| console.fail(exit, &why));
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                if failed.is_none_or(|(first, _)| index < first) {
                    *failed = Some((index, exit));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..jobs {
            // With fewer threads it only takes longer.
            let _ = std::thread::Builder::new().name("fetch".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    drop(bar);
    let stored = folders.map_or(Ok(()), |folders| folders.sync());
    let stored = stored.map_err(|error| console.fail(Exit::CannotWrite, &error.to_string()));
    if let (Some(jar), Some(path), false) = (jar, &flags.cookie_jar, flags.dry_run) {
        jar::keep(&jar, path, console)?;
    }
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    match failed {
        Some((_, exit)) => Ok(exit),
        None => stored.map(|()| Exit::Done),
    }
}
