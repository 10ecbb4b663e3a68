//! What is said of a page: its head, and what came of it at the end.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use sockeye::verb::fetch::Head;
use sockeye::verb::fetch::download::Report;

use super::session::Session;
use crate::clean::Cleaner;
use crate::color::paint_head;
use crate::flags::Fetch;
use crate::output::{Console, write_all};

/// One head at a time.
static HEADS: Mutex<()> = Mutex::new(());

/// The head goes to standard output as it came, or to standard error if the body takes that place.
pub(super) fn show_head(head: &Head, flags: &Fetch, console: &Console) -> io::Result<()> {
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
    write_head(head, terminal, console, stdout)
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

/// What a server or proxy that asks for credentials would take, where none were given or they were not good enough.
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
pub(super) fn tell(session: &Session<'_>, report: &Report<'_>, redirects: &[String], began: Instant) {
    let Report { url, head, times, saved, .. } = report;
    let file = saved.as_ref().and_then(|(_, path, _)| path.as_ref().map(|path| path.display().to_string()));
    let saved = saved.as_ref().map(|(saved, _, already)| (*saved, *already));
    if let Some((saved, already)) = saved {
        if saved.surplus > 0 {
            let surplus = saved.surplus;
            session
                .note(&format!("{}: {surplus} bytes came behind the promised end and were not written", url.shown()));
        }
        if let (Some(file), false) = (&file, session.console.json) {
            let before = if already > 0 { format!(", {already} of them before") } else { String::new() };
            session.note(&format!("saved {file}, {} bytes{before}", saved.written + already));
        }
    }
    let total = began.elapsed();
    if session.console.json {
        let fields: Vec<_> =
            head.fields.iter().map(|(name, value)| json!([name, String::from_utf8_lossy(value)])).collect();
        session.console.tell(&json!({
            "event": "fetched", "url": url.to_string(), "version": head.version_name(),
            "status": head.status, "reason": head.reason, "fields": fields,
            "redirects": redirects, "file": file,
            "received": saved.map(|(saved, _)| saved.received), "written": saved.map(|(saved, _)| saved.written),
            "surplus": saved.map(|(saved, _)| saved.surplus), "already": saved.map(|(_, already)| already),
            "seconds": { "name": times.name.as_secs_f64(), "connect": times.connect.as_secs_f64(),
                "tls": times.tls.map(|time| time.as_secs_f64()), "first_byte": times.first_byte.as_secs_f64(),
                "total": total.as_secs_f64() },
        }));
    } else if session.flags.time {
        let row = |name: &str, time: Duration| format!("{name:<10} {:>10.3} ms\n", time.as_secs_f64() * 1000.0);
        let tls = times.tls.map_or_else(String::new, |time| row("TLS", time));
        let table = [
            row("name", times.name),
            row("connect", times.connect),
            tls,
            row("first byte", times.first_byte),
            row("total", total),
        ];
        session.aside(|| {
            session.console.flush();
            session.console.complain(table.concat().trim_end());
        });
    }
}
