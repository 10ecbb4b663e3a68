//! What a page's download tells on the way: heads, notes, and the body that goes to standard output.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use sockeye::net::connect::Attempt;
use sockeye::sink::Sink;
use sockeye::verb::fetch::download::{Note, Report, Target, TransferError, TransferErrorKind, Unfinished, Watcher};
use sockeye::verb::fetch::{Answer, Head, Progress, Url, Watch, file_name};

use super::messages::{self, offered, show_head};
use super::session::Session;
use super::target;
use crate::clean::Cleaner;
use crate::pretty::{self, Pretty};

/// Tells what happens while one page is fetched.
pub(super) struct PageWatcher<'a> {
    session: &'a Session<'a>,
    url: &'a Url,
    index: usize,
    progress: &'a [Arc<Progress>],
    /// When the page's turn came.
    began: Instant,
    redirects: Vec<String>,
}

impl<'a> PageWatcher<'a> {
    pub(super) fn new(
        session: &'a Session<'a>,
        url: &'a Url,
        index: usize,
        progress: &'a [Arc<Progress>],
        began: Instant,
    ) -> Self {
        Self { session, url, index, progress, began, redirects: vec![] }
    }
}

impl Watch for PageWatcher<'_> {
    fn tried(&mut self, attempts: &[Attempt]) {
        if self.session.console.verbose > 0 {
            for attempt in attempts {
                self.session.note(&attempt.to_string());
            }
        }
    }

    fn asked(&mut self, request: &str) {
        if self.session.console.verbose > 0 {
            for line in request.lines() {
                self.session.note(&format!("> {line}"));
            }
        }
    }

    fn redirected(&mut self, status: u16, to: &Url, dropped: &[String]) {
        self.redirects.push(to.to_string());
        if self.session.console.verbose > 0 {
            let dropped = if dropped.is_empty() { String::new() } else { format!(", without {}", dropped.join(", ")) };
            self.session.note(&format!("{status}: on to {}{dropped}", to.shown()));
        }
    }
}

impl Watcher for PageWatcher<'_> {
    fn begins(&mut self) {
        self.redirects.clear();
    }

    fn head(&mut self, head: &Head) -> Result<(), TransferError> {
        let (flags, console) = (self.session.flags, self.session.console);
        self.session.aside(|| show_head(head, flags, console)).map_err(|error| {
            let text = format!("cannot write to standard output: {}", sockeye::net::words(&error));
            TransferError::new(TransferErrorKind::Output, text)
        })
    }

    fn note(&mut self, at: Option<&Url>, note: &Note) {
        match at {
            Some(url) => self.session.note(&format!("{}: {note}", url.shown())),
            None => self.session.note(&note.to_string()),
        }
    }

    fn ended(&mut self, report: &Report<'_>) {
        messages::tell(self.session, report, &self.redirects, self.began);
    }

    fn holds(&mut self, unfinished: Unfinished) {
        for progress in &self.progress[1..] {
            self.session.downloads.put(progress, Unfinished::Nothing);
        }
        self.session.downloads.put(&self.progress[0], unfinished);
    }

    fn refused(&mut self, head: &Head) -> String {
        offered(head, self.session.flags)
    }

    fn named(&mut self, answer: &Answer) -> Result<Option<Target>, TransferError> {
        let name = answer.offered_name().unwrap_or_else(|| file_name(self.url));
        target::choose(self.session.flags, self.index, &name).map(Some)
    }

    /// As it came, but harmless to a terminal, and JSON there in a form that is easy to read.
    fn output(&mut self, head: &Head, take: &mut dyn FnMut(&mut Sink<'_>)) -> io::Result<()> {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            take(&mut Sink::Descriptor(stdout.as_fd()));
            return Ok(());
        }
        let is_json = head
            .fields
            .iter()
            .any(|(field, value)| field.eq_ignore_ascii_case("content-type") && pretty::is_json(value));
        if is_json && !self.session.flags.raw_body {
            let mut pretty = Pretty::new(BufWriter::new(stdout), self.session.console.colors_terminals);
            take(&mut Sink::Writer(&mut pretty));
            return pretty.finish().and_then(|mut stdout| stdout.flush());
        }
        let mut cleaner = Cleaner::new(stdout);
        take(&mut Sink::Writer(&mut cleaner));
        cleaner.finish().and_then(|mut stdout| stdout.flush())
    }
}
