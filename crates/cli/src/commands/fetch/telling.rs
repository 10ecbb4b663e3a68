//! What is said of a page: on the way, its head, and at the end.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use sockeye::net::connect::Attempt;
use sockeye::verb::fetch::{Answer, Head, Saved, Times, Url, Watch};

use super::page::Shared;
use super::trouble::Trouble;
use crate::clean::Cleaner;
use crate::color::paint_head;
use crate::exit::Exit;
use crate::flags::Fetch;
use crate::output::{Console, write_all};

/// What happens on the way, for whoever wants to hear more.
pub(super) struct Watching<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) redirects: Vec<String>,
}

impl Watch for Watching<'_> {
    fn tried(&mut self, attempts: &[Attempt]) {
        if self.shared.console.verbose > 0 {
            for attempt in attempts {
                self.shared.note(&attempt.to_string());
            }
        }
    }

    fn asked(&mut self, request: &str) {
        if self.shared.console.verbose > 0 {
            for line in request.lines() {
                self.shared.note(&format!("> {line}"));
            }
        }
    }

    fn redirected(&mut self, status: u16, to: &Url, dropped: &[String]) {
        self.redirects.push(to.to_string());
        if self.shared.console.verbose > 0 {
            let dropped = if dropped.is_empty() { String::new() } else { format!(", without {}", dropped.join(", ")) };
            self.shared.note(&format!("{status}: on to {}{dropped}", to.shown()));
        }
    }
}

/// One head at a time.
static HEADS: Mutex<()> = Mutex::new(());

/// The head goes to standard output as it came, or to standard error if the body takes that place.
pub(super) fn show_head(head: &Head, flags: &Fetch, console: &Console) -> Result<(), Trouble> {
    let _one = HEADS.lock().unwrap_or_else(PoisonError::into_inner);
    if flags.body_to_stdout() {
        if !console.quiet && !console.json {
            let stderr = io::stderr();
            // A standard error that is closed or full ends no download.
            let _ = write_head(head, stderr.is_terminal(), console, stderr);
        }
        return Ok(());
    }
    let stdout = io::stdout();
    let terminal = stdout.is_terminal();
    write_head(head, terminal, console, stdout).map_err(|error| {
        Trouble::new(
            Exit::CannotWrite,
            format!("cannot write to standard output: {error}", error = sockeye::net::words(&error)),
        )
    })
}

fn write_head(head: &Head, terminal: bool, console: &Console, stream: impl AsFd + Write) -> io::Result<()> {
    if !terminal {
        return write_all(stream.as_fd(), &head.raw);
    }
    let mut cleaner = Cleaner::new(Vec::new());
    cleaner.write_all(&head.raw)?;
    let cleaned = cleaner.finish()?;
    if console.colors_terminals {
        return write_all(stream.as_fd(), paint_head(&String::from_utf8_lossy(&cleaned)).as_bytes());
    }
    write_all(stream.as_fd(), &cleaned)
}

/// What whoever wants to know who asks would take, where that was not given or not good enough.
pub(super) fn offered(head: &Head, flags: &Fetch) -> String {
    let (field, who, is_given, by_proof, flag) = match head.status {
        401 => {
            let is_given = flags.user.is_some() || flags.netrc || flags.netrc_file.is_some() || flags.bearer.is_some();
            ("www-authenticate", "the server", is_given, flags.digest, "--digest")
        }
        407 => ("proxy-authenticate", "the proxy", flags.proxy.is_some(), flags.proxy_digest, "--proxy-digest"),
        _ => return String::new(),
    };
    let offers = head.offers(field);
    if offers.is_empty() {
        return format!("; {who} does not say what it would take");
    }
    let has = |scheme: &str| offers.iter().any(|offer| offer.starts_with(scheme));
    let help = match () {
        () if by_proof && !has("Digest") && has("Basic") => {
            format!(", and no proof: without {flag} it is shown the password itself")
        }
        () if !is_given && head.status == 401 && (has("Basic") || has("Digest")) => " (--user)".to_owned(),
        () => String::new(),
    };
    format!("; {who} takes {}{help}", offers.join(", "))
}

/// What is said at the end.
pub(super) struct Told<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) began: Instant,
    pub(super) redirects: Vec<String>,
}

impl Told<'_> {
    /// The file has its name.
    pub(super) fn saved(
        &self,
        url: &Url,
        head: &Head,
        times: Times,
        file: Option<String>,
        saved: &Saved,
        already: u64,
    ) {
        if saved.surplus > 0 {
            let surplus = saved.surplus;
            self.shared
                .note(&format!("{}: {surplus} bytes came behind the promised end and were not written", url.shown()));
        }
        if let (Some(file), false) = (&file, self.shared.console.json) {
            let before = if already > 0 { format!(", {already} of them before") } else { String::new() };
            self.shared.note(&format!("saved {file}, {} bytes{before}", saved.written + already));
        }
        self.tell(url, head, times, file, Some((saved, already)));
    }

    /// There is no body, or nobody wants it.
    pub(super) fn finish(&self, answer: &Answer) {
        self.tell(&answer.url, answer.head(), answer.times, None, None);
    }

    fn tell(&self, url: &Url, head: &Head, times: Times, file: Option<String>, saved: Option<(&Saved, u64)>) {
        let total = self.began.elapsed();
        if self.shared.console.json {
            let fields: Vec<_> =
                head.fields.iter().map(|(name, value)| json!([name, String::from_utf8_lossy(value)])).collect();
            self.shared.console.tell(&json!({
                "event": "fetched", "url": url.to_string(), "version": head.version_name(),
                "status": head.status, "reason": head.reason, "fields": fields,
                "redirects": self.redirects, "file": file,
                "received": saved.map(|(saved, _)| saved.received), "written": saved.map(|(saved, _)| saved.written),
                "surplus": saved.map(|(saved, _)| saved.surplus), "already": saved.map(|(_, already)| already),
                "seconds": { "name": times.name.as_secs_f64(), "connect": times.connect.as_secs_f64(),
                    "tls": times.tls.map(|time| time.as_secs_f64()), "first_byte": times.first_byte.as_secs_f64(),
                    "total": total.as_secs_f64() },
            }));
        } else if self.shared.flags.time {
            let row = |name: &str, time: Duration| format!("{name:<10} {:>10.3} ms\n", time.as_secs_f64() * 1000.0);
            let tls = times.tls.map_or_else(String::new, |time| row("TLS", time));
            let table = [
                row("name", times.name),
                row("connect", times.connect),
                tls,
                row("first byte", times.first_byte),
                row("total", total),
            ];
            self.shared.aside(|| {
                self.shared.console.flush();
                self.shared.console.complain(table.concat().trim_end());
            });
        }
    }
}
