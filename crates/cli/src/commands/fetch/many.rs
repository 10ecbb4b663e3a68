//! Several pages in one run: which URLs, and what came of all.

use std::path::Path;
use std::sync::Arc;

use sockeye::verb::fetch::batch::Batch;
use sockeye::verb::fetch::{FetchOptions, Progress, Url, find_collision};

use super::super::bar::Bar;
use super::interrupt::Downloads;
use super::jar;
use super::page::Page;
use super::request::is_stdin;
use super::session::Session;
use crate::exit::Exit;
use crate::flags::{Datum, Fetch};
use crate::output::Console;

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
    if urls.len() > 1 {
        check_several(flags, &urls)?;
    }
    Ok(urls)
}

/// Refuses what two URLs cannot share.
fn check_several(flags: &Fetch, urls: &[Url]) -> Result<(), String> {
    let is_stdin = flags.data.parts.iter().any(Datum::is_stdin)
        || flags.data_json.as_deref() == Some("@-")
        || flags.upload_file.as_deref().is_some_and(|path| path.as_os_str() == "-")
        || flags.form.iter().any(|(_, value)| is_stdin(value));
    let is_file = |path: &Path| std::fs::metadata(path).map_or(true, |found| found.is_file());
    let for_one = [
        ("--sha256", flags.sha256.is_some()),
        ("standard input", is_stdin),
        ("-o FILE", matches!(flags.output.as_slice(), [path] if !flags.body_to_stdout() && is_file(path))),
    ];
    if let Some((what, _)) = for_one.iter().find(|(_, is_there)| *is_there) {
        return Err(format!("{what} is for one URL, and there are {}", urls.len()));
    }
    let by_urls = flags.output.is_empty() && !flags.head && !flags.remote_header_name;
    if by_urls && let Some(collision) = find_collision(urls) {
        return Err(collision.to_string());
    }
    Ok(())
}

/// The URLs in a file, one a line; empty lines and those that begin with # are none.
fn listed(path: &Path) -> Result<Vec<String>, String> {
    let read =
        if path.as_os_str() == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    let text = read.map_err(|error| format!("cannot read the list of URLs {}: {error}", path.display()))?;
    let lines = text.lines().map(|line| line.trim_start_matches('\u{feff}').trim());
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
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
    let session = Session { flags, options, console, downloads: &downloads, bar: bar.as_ref(), jar: jar.clone() };
    let pages: Vec<Page<'_>> =
        urls.into_iter().enumerate().zip(progress).map(|(url, progress)| Page::new(&session, url, progress)).collect();
    if flags.dry_run {
        return Ok(show_all(&pages));
    }
    // Two bodies in one stream would be none.
    let concurrency = if flags.body_to_stdout() { 1 } else { flags.jobs };
    let done = Batch { concurrency }.run(&pages, options);
    drop(pages);
    drop(bar);
    let failed = done.first_failure().map(|(_, error)| Exit::from(error));
    let stored = done.stored.map_err(|error| console.fail(Exit::CannotWrite, &error.to_string()));
    if let (Some(jar), Some(path)) = (jar, &flags.cookie_jar) {
        jar::keep(&jar, path, console)?;
    }
    failed.map_or_else(|| stored.map(|()| Exit::Done), Ok)
}

/// Prints what would be asked for, in the order of the URLs; the code is that of the first that cannot be.
fn show_all(pages: &[Page<'_>]) -> Exit {
    let mut failed = None;
    for page in pages {
        match page.show() {
            Ok(Exit::Done) => {}
            // What is written next would fail as well.
            Ok(exit) => return exit,
            Err(error) => {
                let exit = page.fail(&error);
                failed.get_or_insert(exit);
            }
        }
    }
    failed.unwrap_or(Exit::Done)
}
