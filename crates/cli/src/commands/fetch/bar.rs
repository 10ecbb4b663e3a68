//! The progress bar: on a terminal, drawn by a thread that only looks, so that the download never waits for it.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use sockeye::verb::fetch::Progress;

use crate::output::Console;

/// How often it looks; what takes less time shows no bar.
const TICK: Duration = Duration::from_millis(200);

/// A bar that is drawn until it is dropped.
pub(super) struct Bar {
    end: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bar {
    pub(super) fn start(progress: &Arc<Progress>, console: &Console) -> Option<Self> {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if console.quiet || console.json || dumb || !io::stderr().is_terminal() {
            return None;
        }
        let (end, ended) = sync_channel(0);
        let progress = Arc::clone(progress);
        let draw = move || {
            let mut bar: Option<ProgressBar> = None;
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                bar.get_or_insert_with(|| new_bar(progress.promised())).set_position(progress.received());
            }
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
        };
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(draw).ok()?;
        Some(Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn new_bar(promised: Option<u64>) -> ProgressBar {
    let (bar, template) = match promised {
        Some(length) => (
            ProgressBar::new(length),
            "{percent:>3}% [{wide_bar}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta} left",
        ),
        None => (ProgressBar::no_length(), "{spinner} {binary_bytes} {binary_bytes_per_sec} {elapsed}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style.progress_chars("=> "))
}
