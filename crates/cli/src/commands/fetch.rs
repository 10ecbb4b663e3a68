//! `sockeye fetch`.

mod asking;
mod bar;
mod place;

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use sockeye::net::connect::Attempt;
use sockeye::net::tls::{Trust, Why};
use sockeye::verb::fetch::{
    Answer, Failed, FetchError, Head, Options, Progress, Proxies, Saved, Taking, Times, Url, Watch, fetch,
};

use super::signals;
use crate::clean::Cleaner;
use crate::exit::Exit;
use crate::flags::Fetch;
use crate::output::{Console, write_all};
use bar::Bar;
use place::Place;

/// Fetches one page.
pub(crate) fn run(flags: &Fetch, console: &Console) -> Exit {
    let (Ok(exit) | Err(exit)) = page(flags, console);
    console.flush();
    exit
}

fn page(flags: &Fetch, console: &Console) -> Result<Exit, Exit> {
    let began = Instant::now();
    let url = Url::parse(&flags.url).map_err(|error| console.fail(Exit::Usage, &error.to_string()))?;
    let request = asking::request(flags, &url).map_err(|(exit, why)| console.fail(exit, &why))?;
    let options = options(flags, console)?;
    if console.stdout_is_missing() {
        return Err(console.fail(Exit::CannotWrite, "cannot write the head of the answer: standard output is closed"));
    }
    let place = Place::choose(flags, &url).map_err(|why| console.fail(Exit::CannotWrite, &why))?;
    let progress = Arc::new(Progress::default());
    tell_when_interrupted(&place, &progress, console)?;
    let mut watch = Told { console, redirects: vec![] };
    let answer = fetch(&request, &options, &mut watch).map_err(|failed| fail(&failed, console))?;
    show_head(answer.head(), flags, console)?;
    let report = Report { flags, console, began, redirects: watch.redirects };
    let status = answer.head().status;
    if status >= 400 && !flags.save_errors {
        let line = answer.head().status_line();
        report.finish(&answer);
        let help = if answer.has_body() { "; nothing saved (--save-errors saves such an answer)" } else { "" };
        return Err(console.fail(Exit::HttpStatus, &format!("{}: {line}{help}", answer.url.shown())));
    }
    let exit = if status >= 400 { Exit::HttpStatus } else { Exit::Done };
    if !answer.has_body() {
        report.finish(&answer);
        return Ok(exit);
    }
    report.take(answer, place, progress)?;
    if exit == Exit::HttpStatus {
        return Err(console.fail(exit, &format!("{}: the answer has the status {status}", url.shown())));
    }
    Ok(exit)
}

fn options(flags: &Fetch, console: &Console) -> Result<Options, Exit> {
    let trust = flags.ca.as_deref().map_or_else(Trust::system, Trust::only);
    trust
        .check()
        .map_err(|error| console.fail(Exit::CannotRead, &format!("cannot use the certificates of --ca: {error}")))?;
    Ok(Options {
        family: flags.family.family(),
        connect_timeout: flags.connect_timeout,
        timeout: flags.timeout,
        follow: !flags.no_follow,
        trust,
        proxies: Proxies::from_environment(|name| std::env::var(name).ok()),
    })
}

/// Whoever interrupts a download is told how far it came, and no half of it stays behind.
fn tell_when_interrupted(place: &Place, progress: &Arc<Progress>, console: &Console) -> Result<(), Exit> {
    let (leftover, progress, quiet) = (place.leftover(), Arc::clone(progress), console.quiet);
    signals::end_on_signals(move |_| {
        if let Some(leftover) = &leftover {
            leftover.remove();
        }
        if !quiet {
            let received = progress.received();
            let of = progress.promised().map_or_else(String::new, |promised| format!(" of {promised}"));
            let line = format!("sockeye: interrupted; {received} bytes{of} of the body received, nothing saved");
            Console::plain().complain(&line);
        }
    })
    .map_err(|error| console.fail(Exit::Usage, &format!("cannot watch for signals: {error}")))
}

fn fail(failed: &Failed, console: &Console) -> Exit {
    let exit = match &*failed.error {
        FetchError::Request(_) => Exit::Usage,
        FetchError::Input(_) => Exit::CannotRead,
        FetchError::Connect(error) => Exit::from(error),
        FetchError::Tls(error) => match error.why {
            Why::Files => Exit::CannotRead,
            Why::Certificate => Exit::Certificate,
            Why::Handshake => Exit::TlsHandshake,
        },
        FetchError::Proxy(_) => Exit::Refused,
        FetchError::TimedOut { .. } => Exit::TimedOut,
        FetchError::Reset { .. } | FetchError::Protocol(_) => Exit::Reset,
        FetchError::Cut { .. } => Exit::CutShort,
        FetchError::Redirect(_) | FetchError::Redirects(_) => Exit::TooManyRedirects,
        FetchError::TooLarge(_) | FetchError::Output(_) => Exit::CannotWrite,
    };
    console.fail(exit, &failed.to_string())
}

/// What happens on the way, for whoever wants to hear more.
struct Told<'a> {
    console: &'a Console,
    redirects: Vec<String>,
}

impl Watch for Told<'_> {
    fn tried(&mut self, attempts: &[Attempt]) {
        if self.console.verbose > 0 {
            for attempt in attempts {
                self.console.note(&attempt.to_string());
            }
        }
    }

    fn redirected(&mut self, status: u16, to: &Url, dropped: &[String]) {
        self.redirects.push(to.to_string());
        if self.console.verbose > 0 {
            let dropped = if dropped.is_empty() { String::new() } else { format!(", without {}", dropped.join(", ")) };
            self.console.note(&format!("{status}: on to {}{dropped}", to.shown()));
        }
    }
}

/// The head goes to standard output as it came, or to standard error if the body takes that place.
fn show_head(head: &Head, flags: &Fetch, console: &Console) -> Result<(), Exit> {
    if flags.body_to_stdout() {
        if !console.quiet && !console.json {
            let stderr = io::stderr();
            // A standard error that is closed or full ends no download.
            let _ = write_head(head, stderr.is_terminal(), stderr);
        }
        return Ok(());
    }
    let stdout = io::stdout();
    let terminal = stdout.is_terminal();
    write_head(head, terminal, stdout)
        .map_err(|error| console.fail(Exit::CannotWrite, &format!("cannot write to standard output: {error}")))
}

fn write_head(head: &Head, terminal: bool, stream: impl AsFd + Write) -> io::Result<()> {
    if !terminal {
        return write_all(stream.as_fd(), &head.raw);
    }
    let mut cleaner = Cleaner::new(stream);
    cleaner.write_all(&head.raw)?;
    cleaner.finish()?.flush()
}

/// What is said at the end.
struct Report<'a> {
    flags: &'a Fetch,
    console: &'a Console,
    began: Instant,
    redirects: Vec<String>,
}

impl Report<'_> {
    /// Takes the body, and gives the file its name.
    fn take(&self, answer: Answer, mut place: Place, progress: Arc<Progress>) -> Result<(), Exit> {
        let (head, url, times) = (answer.head().clone(), answer.url.clone(), answer.times);
        let bar = Bar::start(&progress, self.console);
        let taking = Taking { raw: self.flags.raw_body, max_size: self.flags.max_size, progress };
        let name = place.name();
        let saved = place.with_sink(|sink| answer.save(sink, &name, &taking));
        drop(bar);
        let saved = saved.map_err(|failed| fail(&failed, self.console))?;
        let shown = place.shown();
        place.commit().map_err(|why| self.console.fail(Exit::CannotWrite, &why))?;
        if saved.surplus > 0 {
            let surplus = saved.surplus;
            self.console
                .note(&format!("{}: {surplus} bytes came behind the promised end and were not written", url.shown()));
        }
        if let (Some(shown), false) = (&shown, self.console.json) {
            self.console.note(&format!("saved {shown}, {} bytes", saved.written));
        }
        self.tell(&url, &head, times, shown, Some(saved));
        Ok(())
    }

    /// The same without a body.
    fn finish(&self, answer: &Answer) {
        self.tell(&answer.url, answer.head(), answer.times, None, None);
    }

    fn tell(&self, url: &Url, head: &Head, times: Times, file: Option<String>, saved: Option<Saved>) {
        let total = self.began.elapsed();
        if self.console.json {
            let fields: Vec<_> =
                head.fields.iter().map(|(name, value)| json!([name, String::from_utf8_lossy(value)])).collect();
            self.console.tell(&json!({
                "event": "fetched", "url": url.to_string(), "version": format!("HTTP/1.{}", head.minor),
                "status": head.status, "reason": head.reason, "fields": fields,
                "redirects": self.redirects, "file": file,
                "received": saved.map(|saved| saved.received), "written": saved.map(|saved| saved.written),
                "surplus": saved.map(|saved| saved.surplus),
                "seconds": { "name": times.name.as_secs_f64(), "connect": times.connect.as_secs_f64(),
                    "tls": times.tls.map(|time| time.as_secs_f64()), "first_byte": times.first_byte.as_secs_f64(),
                    "total": total.as_secs_f64() },
            }));
        } else if self.flags.time {
            let row = |name: &str, time: Duration| format!("{name:<10} {:>10.3} ms\n", time.as_secs_f64() * 1000.0);
            let tls = times.tls.map_or_else(String::new, |time| row("TLS", time));
            let table = [
                row("name", times.name),
                row("connect", times.connect),
                tls,
                row("first byte", times.first_byte),
                row("total", total),
            ];
            self.console.flush();
            self.console.complain(table.concat().trim_end());
        }
    }
}
